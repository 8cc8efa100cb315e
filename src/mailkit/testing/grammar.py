"""The arguments of MAIL, RCPT and BDAT, by the letter of RFC 5321 §4.1 and of the extensions' RFCs."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["BadArgument", "Path", "UnsupportedParameter", "parse_bdat", "parse_path"]

# RFC 5321 §4.1.2; RFC 6531 §3.3 adds UTF-8 beyond ASCII to atoms, quoted strings and sub-domains.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_LOCAL = rf'(?:{_ATEXT}(?:\.{_ATEXT})*|"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*")'
_LABEL = r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9\-\u0080-\U0010ffff]*[A-Za-z0-9\u0080-\U0010ffff])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[!-Z^-~]+\])"
_PATH = re.compile(rf"<(?P<address>|{_LOCAL}@{_DOMAIN}|postmaster)>(?P<rest>.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_PARAMETER = re.compile(r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9\-]*)(?:=(?P<value>[!-<>-~\u0080-\U0010ffff]+))?")
_BDAT = re.compile(rb"(?P<size>[0-9]{1,20})(?P<last> LAST)?", re.IGNORECASE)

# xtext, RFC 3461 §4: printable ASCII without "+" and "=", and "+" with two upper-case hexadecimal digits.
_XTEXT: Final = r"(?:[!-*,-<>-~]|\+(?-i:[0-9A-F]{2}))+"


@attrs.frozen
class _Parameter:
    """A parameter that an extension defines: the keyword that offers it, and the values that it may have."""

    extension: str
    value: re.Pattern[str] | None


def _parameter(extension: str, value: str | None = None) -> _Parameter:
    return _Parameter(extension, None if value is None else re.compile(value, re.IGNORECASE | re.ASCII))


_MAIL: Final[Mapping[str, _Parameter]] = MappingProxyType(
    {
        "SIZE": _parameter("SIZE", r"[0-9]{1,20}"),  # RFC 1870 §4
        "BODY": _parameter("8BITMIME", r"7BIT|8BITMIME|BINARYMIME"),  # RFC 6152 §3, RFC 3030 §3
        "SMTPUTF8": _parameter("SMTPUTF8"),  # RFC 6531 §3.4
        "RET": _parameter("DSN", r"FULL|HDRS"),  # RFC 3461 §4.3
        "ENVID": _parameter("DSN", _XTEXT),  # §4.4
        "AUTH": _parameter("AUTH", rf"<>|{_XTEXT}"),  # RFC 4954 §5
        "REQUIRETLS": _parameter("REQUIRETLS"),  # RFC 8689 §2
        "MT-PRIORITY": _parameter("MT-PRIORITY", r"-?[0-9]"),  # RFC 6710 §4.1
        "BY": _parameter("DELIVERBY", r"-?[0-9]{1,9};[RN]T?"),  # RFC 2852 §4
        "HOLDFOR": _parameter("FUTURERELEASE", r"[0-9]{1,9}"),  # RFC 4865 §4
        "HOLDUNTIL": _parameter("FUTURERELEASE", r"[0-9TZ:.+\-]+"),
    }
)
_RCPT: Final[Mapping[str, _Parameter]] = MappingProxyType(
    {
        "NOTIFY": _parameter("DSN", r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*"),  # RFC 3461 §4.1
        # RFC 3461 §4.2; RFC 6533 §3 lets a utf-8 address keep its own encodings, which are a wider set.
        "ORCPT": _parameter("DSN", rf"(?:utf-8;[!-<>-~\u0080-\U0010ffff]+|[A-Za-z0-9.\-]+;{_XTEXT})"),
    }
)
_PREFIXES: Final = MappingProxyType({"MAIL": "FROM:", "RCPT": "TO:"})
_PARAMETERS: Final = MappingProxyType({"MAIL": _MAIL, "RCPT": _RCPT})


class BadArgument(ValueError):
    """An argument that the grammar forbids; the text is the reply, `code SP enhanced SP text`."""


class UnsupportedParameter(BadArgument):
    """A parameter of an extension that was not offered."""


@attrs.frozen
class Path:
    """A forward-path or reverse-path with its parameters.

    Args:
        address: The mailbox, without angle brackets; empty for the null reverse-path.
        parameters: Values by upper-case keyword; `None` where there is none.
    """

    address: str
    parameters: Mapping[str, str | None]


def parse_path(verb: str, argument: bytes, offered: Collection[str]) -> Path:
    """Parse the argument of MAIL or RCPT.

    Args:
        verb: `"MAIL"` or `"RCPT"`.
        argument: What follows the verb and one space.
        offered: Keywords of the extensions that the server has offered in this session.

    Raises:
        BadArgument: With the reply that is due.
    """
    try:
        text = argument.decode()
    except UnicodeDecodeError:
        raise BadArgument("501 5.5.4 Argument is not UTF-8") from None
    prefix = _PREFIXES[verb]
    match = _PATH.fullmatch(text[len(prefix) :]) if text[: len(prefix)].upper() == prefix else None
    if match is None or (verb == "RCPT" and not match["address"]):
        raise BadArgument(f"501 5.5.4 Syntax: {verb} {prefix}<address>")
    if verb == "MAIL" and match["address"].lower() == "postmaster":
        raise BadArgument("501 5.1.7 Sender has no domain")
    return Path(match["address"], _parse_parameters(_PARAMETERS[verb], match["rest"], offered))


def _parse_parameters(known: Mapping[str, _Parameter], text: str, offered: Collection[str]) -> Mapping[str, str | None]:
    parameters: dict[str, str | None] = {}
    for word in text.split(" ")[1:] if text else ():
        match = _PARAMETER.fullmatch(word)
        keyword = match["keyword"].upper() if match else ""
        if match is None or keyword in parameters:
            raise BadArgument("501 5.5.4 Syntax error in parameters")
        rule = known.get(keyword)
        if rule is None or rule.extension not in offered:
            raise UnsupportedParameter(f"555 5.5.4 Unsupported parameter: {keyword}")
        value: str | None = match["value"]
        if (value is None) != (rule.value is None) or (rule.value and not rule.value.fullmatch(value or "")):
            raise BadArgument(f"501 5.5.4 Bad value of parameter {keyword}")
        if keyword == "BODY" and (value or "").upper() == "BINARYMIME" and "BINARYMIME" not in offered:
            raise UnsupportedParameter("555 5.5.4 BINARYMIME was not offered")
        parameters[keyword] = value
    if text and not text.startswith(" "):
        raise BadArgument("501 5.5.4 Syntax error after the path")
    return parameters


def parse_bdat(argument: bytes) -> tuple[int, bool]:
    """Parse the argument of BDAT: the number of octets, and whether they are the last (RFC 3030 §2).

    Raises:
        BadArgument: With the reply that is due.
    """
    match = _BDAT.fullmatch(argument)
    if match is None:
        raise BadArgument("501 5.5.4 Syntax: BDAT size [LAST]")
    return int(match["size"]), match["last"] is not None
