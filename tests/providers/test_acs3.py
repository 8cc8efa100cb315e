"""ACS3-HMAC-SHA256, against Alibaba Cloud's published example and its library's signatures for the same clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest
from attrs import frozen

from mailkit.edge.http import Request
from mailkit.providers.acs3 import signature_headers
from mailkit.secret import Secret

_NOW: Final = datetime(2026, 11, 23, 12, 36, tzinfo=UTC)
_OPERATION: Final = {"Accept": "application/json", "x-acs-action": "SingleSendMail", "x-acs-version": "2015-11-23"}
_FORM: Final = Request(
    "POST",
    "https://dm.aliyuncs.com/",
    headers={**_OPERATION, "Content-Type": "application/x-www-form-urlencoded"},
    body=b"Subject=Gr%C3%BC%C3%9Fe",
)


@frozen
class Case:
    """A request and its signature.

    Args:
        request: The request.
        signature: What alibabacloud-tea-openapi 0.4.6 makes of it.
        names: The fields that are signed beside the signature's own.
        token: The session token.
    """

    request: Request
    signature: str
    names: tuple[str, ...]
    token: Secret | None = None


CASES: Final = {
    "form": Case(
        _FORM,
        "72d1b27ad04ec31317e2a0267592edbc842a3ac0cdad3e98dd70c41746aeb14c",
        ("accept", "content-type", "x-acs-action", "x-acs-version"),
    ),
    "session token": Case(
        _FORM,
        "955a5373bd6df36bbed4f100e67eb21c07cff708feb8b562c02ae93a2a045a76",
        ("accept", "content-type", "x-acs-accesskey-id", "x-acs-action", "x-acs-security-token", "x-acs-version"),
        Secret("TOKEN/1+2="),
    ),
    "query and port": Case(
        Request(
            "GET",
            "http://127.0.0.1:8005/?b=1%20%2F~%2A&a=%C3%BC&c=",
            headers={"x-acs-action": "DescAccountSummary", "x-acs-version": "2015-11-23"},
        ),
        "12d4b7655dcc7942d92a478addfb0d1df15147282145fe04fd046023e23ef41c",
        ("x-acs-action", "x-acs-version"),
    ),
    "a name twice": Case(
        Request("GET", "https://dm.aliyuncs.com", headers=[("X-Odd", "b"), ("x-odd", "a")]),
        "d9d0ea91b6de79e21d8946631cc2c47c173abbd1e70a2beeb76b830b4d92bcb4",
        ("x-odd",),
    ),
    "odd": Case(
        Request("GET", "https://DM.aliyuncs.com:443/a%20b/", headers={"X-Odd": "a   b"}),
        "3f69d565a614cfa3be7972a4b2dc4310ac0775547016917c641757ab7ddbf75e",
        ("x-odd",),
    ),
}


def _sign(case: Case, now: datetime = _NOW) -> dict[str, str | Secret]:
    return signature_headers(
        case.request,
        key=Secret("AKIDEXAMPLE"),
        secret=Secret("wJalrXUtnFEMI/K7MDENG"),
        session_token=case.token,
        nonce="0123456789abcdef",
        now=now,
    )


@pytest.mark.parametrize("name", CASES)
def test_a_signature_is_the_librarys(name: str) -> None:
    """The same request with the same time and nonce has the same signature."""
    case = CASES[name]
    headers = _sign(case)
    assert (headers["x-acs-date"], headers["x-acs-signature-nonce"]) == ("2026-11-23T12:36:00Z", "0123456789abcdef")
    assert headers.get("x-acs-security-token") == case.token
    names = sorted([*case.names, "host", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce"])
    assert Secret.coerce(headers["Authorization"]).reveal() == (
        f"ACS3-HMAC-SHA256 Credential=AKIDEXAMPLE,SignedHeaders={';'.join(names)},Signature={case.signature}"
    )


def test_a_signature_is_as_published() -> None:
    """The example in Alibaba Cloud's description of the algorithm has the signature that it names."""
    image = "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"
    request = Request(
        "POST",
        f"https://ecs.cn-shanghai.aliyuncs.com/?ImageId={image}&RegionId=cn-shanghai",
        headers={"x-acs-action": "RunInstances", "x-acs-version": "2014-05-26"},
    )
    headers = signature_headers(
        request,
        key=Secret("YourAccessKeyId"),
        secret=Secret("YourAccessKeySecret"),
        nonce="3156853299f313e23d1673dc12e1703d",
        now=datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
    )
    signature = Secret.coerce(headers["Authorization"]).reveal().rpartition("=")[2]
    assert signature == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


def test_the_time_is_utc() -> None:
    """A clock in another zone makes the same signature."""
    elsewhere = _NOW.astimezone(timezone(timedelta(hours=8)))
    assert _sign(CASES["form"], elsewhere) == _sign(CASES["form"])


def test_nothing_secret_is_shown() -> None:
    """The repr of the header fields has neither the key nor the signature nor the token."""
    case = CASES["session token"]
    shown = repr(_sign(case))
    assert not [each for each in ("AKIDEXAMPLE", "TOKEN", case.signature) if each in shown]
