"""TC3-HMAC-SHA256, against the signatures of Tencent Cloud's library for the same clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest

from mailkit.edge.http import Request
from mailkit.providers.tc3 import signature_headers
from mailkit.secret import Secret

_NOW: Final = datetime(2026, 11, 23, 12, 36, tzinfo=UTC)
_JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}
_SES: Final = "https://ses.tencentcloudapi.com/"

# With what tencentcloud-sdk-python-common 3.1.195 makes of them.
CASES: Final = {
    "json": (
        Request("POST", _SES, headers=_JSON, body='{"Subject":"Grüße"}'.encode()),
        "5d6de23d6a724d85be6b77898e48dcb6959082a9bff89001ebd54563c138c6c0",
    ),
    "own port": (
        Request("POST", "http://127.0.0.1:8005/", headers=_JSON, body=b"{}"),
        "082d29993a2fda3de4ceac8c02f613388476e625f281f64e63b0659749d42f38",
    ),
    "query": (
        Request(
            "GET",
            "https://SES.tencentcloudapi.com:443?Limit=1&Offset=0",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
        "156b151be3c7757b11e46e2bf953a322a25fb900b46dbae01f8e9597dad60c37",
    ),
}


def _sign(request: Request, now: datetime = _NOW, token: Secret | None = None) -> dict[str, str | Secret]:
    return signature_headers(
        request,
        key=Secret("AKIDEXAMPLE"),
        secret=Secret("wJalrXUtnFEMI/K7MDENG"),
        session_token=token,
        service="ses",
        now=now,
    )


@pytest.mark.parametrize("name", CASES)
def test_a_signature_is_the_librarys(name: str) -> None:
    """The same request at the same time has the same signature."""
    request, signature = CASES[name]
    headers = _sign(request)
    assert headers["X-TC-Timestamp"] == "1795437360"
    assert Secret.coerce(headers["Authorization"]).reveal() == (
        "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2026-11-23/ses/tc3_request, SignedHeaders=content-type;host, "
        f"Signature={signature}"
    )


def test_a_session_token_goes_along() -> None:
    """It is in a header field of its own, and no part of the signature."""
    request, _ = CASES["json"]
    headers = _sign(request, token=Secret("TOKEN-7"))
    assert headers.pop("X-TC-Token") == Secret("TOKEN-7")
    assert headers == _sign(request)


def test_the_day_is_that_of_utc() -> None:
    """A clock in another zone, where it is the next day already, makes the same signature."""
    evening = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    request, _ = CASES["json"]
    assert _sign(request, evening.astimezone(timezone(timedelta(hours=8)))) == _sign(request, evening)


def test_nothing_secret_is_shown() -> None:
    """The repr of the header fields has neither the key nor the signature nor the token."""
    request, signature = CASES["json"]
    shown = repr(_sign(request, token=Secret("TOKEN-7")))
    assert not [each for each in ("AKIDEXAMPLE", "TOKEN", signature) if each in shown]
