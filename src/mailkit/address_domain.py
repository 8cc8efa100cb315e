"""What follows the @: a host name or an address literal (RFC 5321 §4.1.2 and §4.1.3, RFC 5891, UTS #46)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from mailkit.errors import AddressError

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

__all__ = [
    "HOST",
    "ONE_ADDRESS",
    "check_last_label",
    "parse_domain",
    "refuse",
    "refuse_character",
    "validated",
]

_MAX_LABEL = 63  # RFC 1035 §2.3.4
_SHOWN = 100  # how many characters of a refused text its error message repeats

# The look-ahead leaves out what RFC 5890 §2.3.1 reserves, "xn--…" among it.
_LABEL = r"(?![A-Za-z0-9]{2}--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST = rf"{_LABEL}(?:\.{_LABEL})*"
"""A regular expression for host names that need no IDNA: letters, digits, hyphens (RFC 1123 §2.1)."""

_HOST_PATTERN = re.compile(HOST)
_RESERVED_LABEL = re.compile(r"(?!xn)[a-z0-9]{2}--", re.IGNORECASE | re.ASCII)
_NOT_DOMAIN = re.compile(r"[\x00-,/:-@\[-`{-\x7f]")  # ASCII without letters, digits, dot and hyphen
_NOT_LITERAL = re.compile(r"[^A-Za-z0-9.:]")

ONE_ADDRESS = "a string is one address, so pass several as a list of strings"
_NO_COMMENT = "comments are not accepted, so leave it out"
_LITERAL_FORM = "write [192.0.2.1] or [IPv6:2001:db8::1]"
_CORRECT = "correct the host name"
_REMEDIES = {
    " ": "nothing may follow the address",
    ",": ONE_ADDRESS,
    ";": ONE_ADDRESS,
    ":": "source routes and groups are not accepted, so give the address alone",
    "@": "an address has one @ outside quotes",
    "(": _NO_COMMENT,
    ")": _NO_COMMENT,
    ">": "write a display name as Name <user@host>",
}


def parse_domain(text: str, start: int, end: int) -> tuple[str, str]:
    """Return the domain in ``text[start:end]`` twice: in Unicode, and as it goes over the wire.

    Raises:
        AddressError: It is neither a host name nor an address literal.
    """
    domain = text[start:end]
    if domain.startswith("["):
        return _address_literal(text, start, domain)
    if wrong := _NOT_DOMAIN.search(domain):
        remedy = _REMEDIES.get(wrong[0], "a host name has letters, digits and hyphens only")
        refuse_character(text, start + wrong.start(), remedy)
    if _HOST_PATTERN.fullmatch(domain):
        domain = ascii_domain = domain.lower()
    else:
        if domain.isascii():
            _check_labels(text, start, domain)
        try:
            domain, ascii_domain = _international_host(domain)
        except ValueError as error:
            remedy = f"correct it, or give its A-label form ({error})"
            refuse(text, start, "the domain is no internationalised host name", remedy, cause=error)
    check_last_label(text, start, ascii_domain)
    return domain, ascii_domain


def check_last_label(text: str, start: int, ascii_domain: str) -> None:
    """Refuse ``192.0.2.1`` without brackets: no top-level domain is a number (RFC 3696 §2)."""
    if ascii_domain.rpartition(".")[2].isdigit():
        refuse(text, start, "the domain ends with a number", f"correct it; for an IP address {_LITERAL_FORM}")


def validated(email: str) -> ValidatedEmail:
    """Ask email-validator, which is imported only now. Its errors (and idna's) are ValueErrors."""
    from email_validator import validate_email

    return validate_email(
        email,
        allow_smtputf8=True,
        allow_quoted_local=True,
        allow_domain_literal=True,
        check_deliverability=False,
        globally_deliverable=False,
        test_environment=True,
    )


def refuse_character(text: str, position: int, remedy: str) -> NoReturn:
    """Raise the error for a character that may not stand where it does."""
    refuse(text, position, f"unexpected {text[position]!r}", remedy)


def refuse(text: str, position: int, problem: str, remedy: str, *, cause: Exception | None = None) -> NoReturn:
    """Raise the error that says what is wrong with `text`, where, and what to do."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    message = f"{shown!r} is not valid: {problem} at position {position}; {remedy}"
    raise AddressError(message, value=text, position=position) from cause


def _address_literal(text: str, start: int, domain: str) -> tuple[str, str]:
    if not domain.endswith("]"):
        refuse(text, start, "the address literal that opens here does not end with ]", _LITERAL_FORM)
    # Keeps out IPv6 zones as well, which Python knows and RFC 5321 does not: they may hold any character.
    if wrong := _NOT_LITERAL.search(domain, 1, len(domain) - 1):
        refuse_character(text, start + wrong.start(), _LITERAL_FORM)
    try:
        literal = validated(f"x@{domain}").ascii_domain
    except ValueError as error:
        refuse(text, start, "the brackets hold no IP address", f"{_LITERAL_FORM} ({error})", cause=error)
    return literal, literal


@lru_cache(maxsize=1024)
def _international_host(domain: str) -> tuple[str, str]:
    # email-validator refuses special-use names (.local, .invalid, localhost …), but private networks do get
    # mail. It sees each name with one more label: then none is special, and the other rules stay the same.
    valid = validated(f"x@{domain}.x")
    return valid.domain.removesuffix(".x"), valid.ascii_domain.removesuffix(".x")


def _check_labels(text: str, start: int, domain: str) -> None:
    """Say what is wrong with an ASCII domain, unless its A-labels are for IDNA to judge."""
    for label in domain.split("."):
        if not label:
            refuse(text, start, "the domain has an empty label", _CORRECT)
        if len(label) > _MAX_LABEL:
            refuse(text, start, f"a label of the domain has more than {_MAX_LABEL} octets", _CORRECT)
        if label.startswith("-") or label.endswith("-"):
            refuse(text, start, "a label of the domain begins or ends with a hyphen", _CORRECT)
        if _RESERVED_LABEL.match(label):
            refuse(text, start, "a label of the domain has the reserved form ??--", _CORRECT)
        start += len(label) + 1
