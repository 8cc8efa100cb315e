"""Records and policies of MTA-STS, right ones and wrong ones (RFC 8461 §3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.mx.sts import LONGEST_AGE, Policy, parse_policy, record_id

POLICY = (
    b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n"
    b"max_age: 604800\n"
)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1; id=20160831085700Z"], "20160831085700Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1 ;\tid=1 ; "], "1"),
        ([b"v=STSv1; other=x; id=1; more.things_-=!~"], "1"),
        ([b"v=spf1 -all", b"v=STSv1; id=1;"], "1"),
        ([], None),
        ([b"v=spf1 -all"], None),
        ([b"v=STSv1; id=1;", b"v=STSv1; id=2;"], None),
        ([b"v=STSv2; id=1;"], None),
        ([b"V=STSv1; id=1;"], None),
        ([b" v=STSv1; id=1;"], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1;"], None),
        ([b"v=STSv1; id=;"], None),
        ([b"v=STSv1; id=1; id=2;"], None),
        ([b"v=STSv1; id=" + b"1" * 33], None),
        ([b"v=STSv1; id=a-b;"], None),
        ([b"v=STSv1; ID=1;"], None),
        ([b"v=STSv1; id=1;;"], None),
        ([b"v=STSv1; id=1; x"], None),
        ([b"v=STSv1; id=\xff;"], None),
    ],
)
def test_a_record_has_one_id(texts: list[bytes], found: str | None) -> None:
    """Exactly one well-formed record counts; two, or a malformed one, are none."""
    assert record_id(texts) == found


def test_the_rfc_s_example_is_a_policy() -> None:
    """RFC 8461 §3.2's own, with LF and with CRLF, with and without a line end at the end."""
    expected = Policy(mode="enforce", mx=("mail.example.com", "*.example.net", "backupmx.example.com"), max_age=604_800)
    assert parse_policy(POLICY) == expected
    assert parse_policy(POLICY.replace(b"\n", b"\r\n")) == expected
    assert parse_policy(POLICY.rstrip()) == expected
    assert parse_policy(POLICY + b"\n \n") == expected


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        (b"version: STSv1\nmode: none\nmax_age: 0\n", Policy(mode="none", mx=(), max_age=0)),
        (b"max_age:1\nmx:\tMX.Example.ORG \nmode:testing\nversion:STSv1",
         Policy(mode="testing", mx=("mx.example.org",), max_age=1)),
        (b"version: STSv1\nmode: enforce\nmode: none\nmx: a\nmax_age: 1\nmax_age: 2\nnew-thing: \xc3\xa4 :x\n",
         Policy(mode="enforce", mx=("a",), max_age=1)),
        (b"version: STSv1\nmode: enforce\nmx: a\nmax_age: 9999999999\n",
         Policy(mode="enforce", mx=("a",), max_age=LONGEST_AGE)),
    ],
)  # fmt: skip
def test_what_is_allowed_in_a_policy(body: bytes, policy: Policy) -> None:
    """Any order, spaces, unknown fields and repetitions; an age beyond a year is a year."""
    assert parse_policy(body) == policy


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"mode: enforce\nmx: a\nmax_age: 1\n",
        b"version: STSv2\nmode: enforce\nmx: a\nmax_age: 1\n",
        b"version: STSv1\nmx: a\nmax_age: 1\n",
        b"version: STSv1\nmode: strict\nmx: a\nmax_age: 1\n",
        b"version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a\n",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: 1.5\n",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: \xd9\xa1\n",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: 12345678901\n",
        b"version: STSv1\nmode: enforce\nmx:\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: **.b\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: .b\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: 1\nnonsense\n",
        b"version: STSv1\n\nmode: enforce\nmx: a\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a\nmax_age: 1\nx: \xff\n",
        b"\xef\xbb\xbfversion: STSv1\nmode: enforce\nmx: a\nmax_age: 1\n",
    ],
)
def test_what_is_no_policy(body: bytes) -> None:
    """Anything missing, unknown or malformed, and nothing of it counts."""
    assert parse_policy(body) is None


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_body_breaks_the_parser(body: bytes) -> None:
    """Whatever a web server sends is a policy or none."""
    policy = parse_policy(body)
    assert policy is None or policy.mode in {"enforce", "testing", "none"}


@given(st.lists(st.binary(max_size=100).map(lambda data: b"v=STSv1" + data), max_size=3))
def test_no_record_breaks_the_parser(texts: list[bytes]) -> None:
    """Whatever a name server sends has an id of letters and digits, or none."""
    found = record_id(texts)
    assert found is None or (found.isalnum() and len(found) <= 32)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("mx1.example.net", True),
        ("a.mx1.example.net", False),
        ("example.net", False),
        ("*.example.net", True),
        ("mail.example.com.evil.test", False),
        ("evilexample.net", False),
        ("other.example.com", False),
        ("", False),
    ],
)
def test_hosts_that_a_policy_names(host: str, allowed: bool) -> None:
    """A star stands for exactly one label."""
    policy = parse_policy(POLICY)
    assert policy is not None
    assert policy.allows(host) is allowed
