"""Who is named to whom: the envelope's recipients, sorted into what a provider calls to, cc and bcc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from mailkit.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["Addressed", "addressed", "people"]


@frozen
class Addressed:
    """The recipients of one request.

    Args:
        to: At least one.
        cc: Who all others see as well.
        bcc: Whom nobody sees.
    """

    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()


def addressed(message: Message, envelope: Envelope) -> Addressed:
    """Return the envelope's recipients, each where the message names it, the others in bcc.

    A provider delivers to whom it names, so whoever is not in the envelope is not named: after a partial failure the
    envelope holds who is left. A single recipient whom the message does not name at all is the one in `to`.

    Raises:
        MessageError: Nobody would be in `to`, as every provider wants, without showing several hidden recipients to
            each other.
    """
    wanted = {address.addr_spec: address for address in envelope.rcpt_to}

    def taken(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        return tuple([each for each in addresses if wanted.pop(each.addr_spec, None) is not None])

    to, cc = taken(message.to), taken(message.cc)
    hidden = tuple(wanted.values())
    if not to:
        if cc:
            to, cc = cc[:1], cc[1:]
        elif len(hidden) == 1:
            to, hidden = hidden, ()
        else:
            raise MessageError(
                "the message has only hidden recipients, and a provider names at least one to all others: add one in "
                "to, or send each of them a message of its own"
            )
    return Addressed(to, cc, hidden)


def people(message: Message, to: Addressed, spell: Callable[[Address], Any]) -> dict[str, Any]:
    """Return whom a message names, under the names that most providers have for them: from, to, cc and bcc.

    Args:
        message: The message.
        to: Who gets it.
        spell: How the provider writes an address.
    """
    groups = {"to": to.to, "cc": to.cc, "bcc": to.bcc}
    return {
        "from": None if message.from_ is None else spell(message.from_),
        **{name: [spell(each) for each in group] for name, group in groups.items()},
    }
