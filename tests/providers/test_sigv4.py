"""Signature Version 4, against AWS's published examples and botocore's signatures for the same clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest
from attrs import frozen

from mailkit.edge.http import Request
from mailkit.providers.sigv4 import signature_headers
from mailkit.secret import Secret

_NOW: Final = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
_SES: Final = "https://email.eu-west-1.amazonaws.com"
_JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}


@frozen
class Case:
    """A request and its signature.

    Args:
        request: The request.
        signature: What botocore 1.44.5 makes of it; the first four are AWS's published examples as well.
        names: The fields that are signed.
        token: The session token.
        service: The signing name.
        region: The region.
    """

    request: Request
    signature: str
    names: str = "host;x-amz-date"
    token: Secret | None = None
    service: str = "ses"
    region: str = "eu-west-1"

    @classmethod
    def published(cls, request: Request, signature: str, names: str = "host;x-amz-date") -> Case:
        """Return one of AWS's own."""
        return cls(request, signature, names, service="service", region="us-east-1")


_POST: Final = Request("POST", f"{_SES}/v2/email/outbound-emails", headers=_JSON, body='{"a":"ä"}'.encode())

CASES: Final = {
    "get-vanilla": Case.published(
        Request("GET", "https://example.amazonaws.com/"),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": Case.published(
        Request("POST", "https://example.amazonaws.com/"),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "get-vanilla-query-order-key": Case.published(
        Request("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1"),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "post-x-www-form-urlencoded": Case.published(
        Request(
            "POST",
            "https://example.amazonaws.com",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=b"Param1=value1",
        ),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        "content-type;host;x-amz-date",
    ),
    "encoded path": Case.published(
        Request("GET", "https://example.amazonaws.com/example%20space/"),
        "446b817944c553435b35e813c261ff4e161fff982d1bacdef1c87f6785dd1662",
    ),
    "ses": Case(
        _POST,
        "1974df7fdaf3b0af43df8b0c433366247272db57b6eecf795c57575184353242",
        "accept;content-type;host;x-amz-date",
    ),
    "session token": Case(
        _POST,
        "fb08642a3266d24dcededb0d33db3f910bf8d63e1be25d90eee7f75232c5fad2",
        "accept;content-type;host;x-amz-date;x-amz-security-token",
        Secret("TOKEN/1+2="),
    ),
    "own port": Case(
        Request("POST", "http://127.0.0.1:8005/v2/email/outbound-emails", headers=_JSON, body=b"{}"),
        "a2755450517a22361d7eab5416497df42803cfec1adbd634077d8ab91eb5ae81",
        "accept;content-type;host;x-amz-date",
    ),
    "odd": Case(
        Request(
            "GET",
            "https://EMAIL.eu-west-1.amazonaws.com:443/v2/email/identities/a%40b%2Fc?NextToken=a%2Fb&PageSize=3",
            headers={"Accept": "application/json", "X-Odd": "a   b"},
        ),
        "da1c3cc716e4d003a4ebf1d9bfb8885c86635c572a0c2a0c99a9bfb39f6fcb42",
        "accept;host;x-amz-date;x-odd",
    ),
}


def _sign(case: Case, now: datetime = _NOW) -> dict[str, str | Secret]:
    return signature_headers(
        case.request,
        key=Secret("AKIDEXAMPLE"),
        secret=Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token=case.token,
        region=case.region,
        service=case.service,
        now=now,
    )


@pytest.mark.parametrize("name", CASES)
def test_a_signature_is_as_published(name: str) -> None:
    """The same request at the same time has the same signature."""
    case = CASES[name]
    headers = _sign(case)
    assert headers["X-Amz-Date"] == "20150830T123600Z"
    assert headers.get("X-Amz-Security-Token") == case.token
    assert Secret.coerce(headers["Authorization"]).reveal() == (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/{case.region}/{case.service}/aws4_request, "
        f"SignedHeaders={case.names}, Signature={case.signature}"
    )


def test_the_time_is_utc() -> None:
    """A clock in another zone makes the same signature."""
    elsewhere = _NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert _sign(CASES["ses"], elsewhere) == _sign(CASES["ses"])


def test_nothing_secret_is_shown() -> None:
    """The repr of the header fields has neither the key nor the signature nor the token."""
    shown = repr(_sign(CASES["session token"]))
    assert "AKIDEXAMPLE" not in shown
    assert "TOKEN" not in shown
    assert "fb08642a" not in shown
