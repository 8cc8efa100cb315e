"""MIME for providers that know no envelope: they deliver to whom To, Cc and Bcc name.

This is the one place where a Bcc field is written. Everywhere else hidden recipients are in the envelope and nowhere
else (RFC 5322 §3.6.3, first way). Gmail's ``messages.send`` takes "the recipients in the To, Cc, and Bcc headers", and
Microsoft Graph's ``sendMail`` with MIME has nothing but its header fields either; both are the submitting agent, which
reads the field and takes it out before anybody gets a copy. So the three fields have to say exactly what the envelope
says: whoever is named and not in the envelope would get a copy that nobody asked for, and the other way round none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mailkit.errors import MessageError
from mailkit.mime import render
from mailkit.mime.address_list import parse_address_list
from mailkit.mime.headers import mailboxes
from mailkit.providers.recipients import addressed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["mime_for", "prepared_for"]

_UNFOLDED: Final = re.compile(rb"\r\n(?=[ \t])")
_NAMING: Final = re.compile(rb"((?:resent-)?(?:to|cc)[ \t]*):(.*)", re.IGNORECASE | re.DOTALL)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def mime_for(message: Message, envelope: Envelope) -> bytes:
    """Return a message as MIME whose To, Cc and Bcc name the envelope's recipients, all of them and nobody else.

    After a partial failure the envelope holds who is left: the others are not named then, lest they get a second copy.

    Raises:
        MessageError: Several hidden recipients and nobody else, a field that may name others, or the message cannot be
            written.
    """
    for name, _ in message.headers:
        _refuse_resent(name)
    to = addressed(message, envelope)
    if (to.to, to.cc) != (message.to, message.cc):
        message = message.evolve(to=to.to, cc=to.cc)
    return _blind(to.bcc) + render(message).as_bytes()


def prepared_for(data: bytes, envelope: Envelope) -> bytes:
    """Return prepared RFC 5322 bytes, which have no Bcc, with one for whom the envelope has besides To and Cc.

    The bytes themselves stay as they are: the field goes before them.

    Raises:
        MessageError: They name somebody who is not in the envelope, or it cannot be told whom they name.
    """
    named = {address.addr_spec for address in _named(data)}
    wanted = {address.addr_spec: address for address in envelope.rcpt_to}
    strangers = sorted(named - set(wanted))
    if strangers:
        raise MessageError(
            f"the provider delivers prepared bytes to everybody in To and Cc, and {', '.join(strangers)} is not among "
            "the recipients: add them, or take them out of the header"
        )
    return _blind([address for addr_spec, address in wanted.items() if addr_spec not in named]) + data


def _blind(hidden: Iterable[Address]) -> bytes:
    mailbox_list = [("", each.addr_spec) for each in hidden]
    return mailboxes("Bcc", mailbox_list).encode("ascii") if mailbox_list else b""


def _refuse_resent(name: str) -> None:
    if name.lower() in {"resent-to", "resent-cc"}:
        raise MessageError(
            f"the provider delivers to whom the header names, and does not say what {name} is to it: leave that field "
            "out"
        )


def _named(data: bytes) -> list[Address]:
    """Return whom To and Cc name, where no reader could read anybody else out of them."""
    header = _UNFOLDED.sub(b"", data.partition(b"\r\n\r\n")[0])
    found: list[Address] = []
    seen: set[str] = set()
    for line in header.split(b"\r\n"):
        naming = _NAMING.fullmatch(line)
        if naming is None:
            continue
        name = naming[1].decode("ascii")
        _refuse_resent(name.rstrip())
        text = naming[2].decode("utf-8", "replace").replace("\t", " ")
        unquoted = _QUOTED.sub("", text)
        has_odd_group = ":" in unquoted and "@" in unquoted
        # The obsolete space before the colon, a second field of one name, and comments: each is overlooked somewhere.
        if has_odd_group or "(" in unquoted or not text.isascii() or name.endswith((" ", "\t")) or name.lower() in seen:
            raise _unclear(name)
        seen.add(name.lower())
        addresses = parse_address_list(text, name, encoded=False)
        if unquoted.count("@") != len(addresses):
            raise _unclear(name)  # a name that looks like an address, and that readers take for one
        found += addresses
    return found


def _unclear(name: str) -> MessageError:
    return MessageError(
        f"the provider delivers prepared bytes to whom their header names, and its {name.rstrip()} is no plain list of "
        "addresses: write it once, without groups and comments, in ASCII, and names in double quotes"
    )
