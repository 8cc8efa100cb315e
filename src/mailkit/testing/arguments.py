"""Arguments of the test server that a typing slip could turn into something else without a word."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["check_hostname", "check_known", "check_loopback", "check_reply"]

# RFC 5321 §4.2; what is not like this can still be sent, as a RawReply.
_REPLY: Final = re.compile(r"[2-5][0-9][0-9](?:[ ].*)?", re.DOTALL)


def check_known(what: str, values: Iterable[object], known: Collection[object]) -> None:
    """Refuse values that are not among the known ones.

    Raises:
        ConfigurationError: With the known ones.
    """
    for value in values:
        if value not in known:
            raise ConfigurationError(f"SMTPServer knows no {what} {value!r}: use one of {', '.join(map(str, known))}")


def check_loopback(host: str) -> None:
    """Refuse an address that others could reach.

    Raises:
        ConfigurationError: It is no loopback address.
    """
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ConfigurationError(
            f"SMTPServer listens on loopback addresses only, not on {host!r}: use 127.0.0.1 or ::1"
        )


def check_hostname(name: str) -> None:
    """Refuse a name that cannot stand in a greeting and a certificate.

    Raises:
        ConfigurationError: It is not printable ASCII.
    """
    if not name.isascii() or not name.isprintable() or not name or " " in name:
        raise ConfigurationError(f"SMTPServer cannot call itself {name!r}: use a domain in its ASCII form (xn--…)")


def check_reply(text: str) -> None:
    """Refuse a reply's text without a code.

    Raises:
        ConfigurationError: It does not begin with a code from 200 to 599.
    """
    if not _REPLY.fullmatch(text):
        raise ConfigurationError(f"{text!r} is no reply: write 'code text', or pass RawReply for any other bytes")
