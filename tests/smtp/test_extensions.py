"""EHLO replies of real and of strange servers, and what they offer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.reply import Reply
from mailkit.smtp.extensions import Extensions, Limits

POSTFIX = """mx.example.com
PIPELINING
SIZE 10240000
VRFY
ETRN
STARTTLS
AUTH PLAIN LOGIN
AUTH=PLAIN LOGIN
ENHANCEDSTATUSCODES
8BITMIME
DSN
SMTPUTF8
CHUNKING"""


def offered(*lines: str) -> Extensions:
    """Return what these lines after the server's name offer."""
    return Extensions.parse(Reply(250, "\n".join(("mx.example.com", *lines))))


def test_a_postfix_offers_what_it_says() -> None:
    """Every extension of a Postfix reply is seen, and none that it does not name."""
    extensions = Extensions.parse(Reply(250, POSTFIX))
    assert extensions.pipelining
    assert extensions.size_limit == 10_240_000
    assert extensions.starttls
    assert extensions.auth_mechanisms == ("PLAIN", "LOGIN")
    assert extensions.enhanced_status_codes
    assert extensions.eight_bit_mime
    assert extensions.dsn
    assert extensions.smtputf8
    assert extensions.chunking
    assert not extensions.binary_mime
    assert not extensions.requiretls
    assert extensions.limits == Limits()
    assert "VRFY" in extensions
    assert "vrfy" in extensions
    assert "EXPN" not in extensions
    assert 8 not in extensions


def test_case_does_not_matter() -> None:
    """Keywords, mechanisms and limits are read in any case."""
    extensions = offered("Pipelining", "auth plain Scram-Sha-256", "limits RcptMax=5", "RequireTLS")
    assert extensions.pipelining
    assert extensions.auth_mechanisms == ("PLAIN", "SCRAM-SHA-256")
    assert extensions.limits == Limits(rcpt_max=5)
    assert extensions.requiretls


def test_the_first_line_offers_nothing() -> None:
    """A server whose name is an extension's does not offer it."""
    assert Extensions.parse(Reply(250, "STARTTLS")) == Extensions.none()
    assert Extensions.parse(Reply(250, "")) == Extensions.none()


def test_helo_offers_nothing() -> None:
    """Without EHLO there is no extension."""
    none = Extensions.none()
    assert not none.keywords
    assert none.size_limit is None
    assert none.auth_mechanisms == ()
    assert not none.pipelining


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("SIZE", None),
        ("SIZE 0", None),
        ("SIZE -1", None),
        ("SIZE 1e9", None),
        ("SIZE ٣٤", None),
        ("SIZE 99999999999999999999999999", None),
        ("SIZE " + "9" * 2_000, None),
        ("SIZE 99999999999999999999", 99_999_999_999_999_999_999),
        ("SIZE 35882577", 35_882_577),
        ("SIZE 1000 2000", 1_000),
    ],
)
def test_a_size_is_a_limit_or_none(line: str, limit: int | None) -> None:
    """SIZE counts where it is one to twenty digits (RFC 1870 §4) and not 0."""
    assert offered(line).size_limit == limit


@pytest.mark.parametrize(
    ("lines", "mechanisms"),
    [
        (["AUTH"], ()),
        (["AUTH="], ()),
        (["AUTH=LOGIN", "AUTH PLAIN"], ("LOGIN", "PLAIN")),
        (["AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN"], ("PLAIN", "LOGIN")),
        (["auth=plain"], ("PLAIN",)),
        (["AUTH PL\\x00AIN LOGIN"], ("LOGIN",)),
        (["AUTH " + "A" * 21 + " LOGIN"], ("LOGIN",)),
        (["AUTH XOAUTH2 X_Y-1"], ("XOAUTH2", "X_Y-1")),
    ],
)
def test_mechanisms_are_merged(lines: list[str], mechanisms: tuple[str, ...]) -> None:
    """AUTH and its old form give each well-formed mechanism once."""
    assert offered(*lines).auth_mechanisms == mechanisms


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        ("LIMITS MAILMAX=50 RCPTMAX=100 RCPTDOMAINMAX=1", Limits(mail_max=50, rcpt_max=100, rcpt_domain_max=1)),
        ("LIMITS RCPTMAX=0", Limits()),
        ("LIMITS RCPTMAX=-3", Limits()),
        ("LIMITS RCPTMAX=1000000", Limits()),
        ("LIMITS RCPTMAX", Limits()),
        ("LIMITS FOO=1 MAILMAX=2", Limits(mail_max=2)),
        ("LIMITS", Limits()),
    ],
)
def test_limits_are_read(line: str, limits: Limits) -> None:
    """Well-formed limits (RFC 9422 §3) count, others limit nothing."""
    assert offered(line).limits == limits


@pytest.mark.parametrize(
    "line", ["", " ", "\\x00", "PIPELI\\x1bNING", "-PIPELINING", "PIPELINING=yes", "é", "STARTTLS,"]
)
def test_what_is_no_keyword_offers_nothing(line: str) -> None:
    """Malformed lines are skipped, the rest is read."""
    extensions = offered(line, "DSN")
    assert set(extensions.keywords) == {"DSN"}


def test_of_a_repeated_keyword_the_first_line_counts() -> None:
    """A second SIZE does not change the first."""
    assert offered("SIZE 1000", "SIZE 5").size_limit == 1_000


def test_binary_bodies_need_chunking() -> None:
    """BINARYMIME without BDAT cannot be used (RFC 3030 §3)."""
    assert not offered("BINARYMIME").binary_mime
    assert offered("BINARYMIME", "CHUNKING").binary_mime


def test_extensions_are_values() -> None:
    """Equal replies make equal and hashable extensions, which cannot be changed."""
    one, other = Extensions.parse(Reply(250, POSTFIX)), Extensions.parse(Reply(250, POSTFIX))
    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(TypeError):
        one.keywords["X"] = ()  # type: ignore[index]


@given(st.text())
def test_no_reply_breaks_the_reading(text: str) -> None:
    """Whatever the text, every question has an answer."""
    extensions = Extensions.parse(Reply(250, text))
    assert extensions.size_limit is None or extensions.size_limit > 0
    assert all(mechanism.isascii() for mechanism in extensions.auth_mechanisms)
    assert extensions.limits.rcpt_max is None or extensions.limits.rcpt_max > 0
