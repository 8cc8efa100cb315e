"""Letter: a message that was checked and is ready to be put somewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import field, frozen

from mailkit.receipt import Receipt, RecipientResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Status

__all__ = ["Letter", "local_line_ends", "results"]

_CRLF = re.compile(rb"\r\n")


@frozen(kw_only=True)
class Letter:
    """What a local transport puts in its place.

    Args:
        envelope: Who it is really from and to.
        message: The message, complete; None for prepared bytes.
        message_id: Its Message-ID without angle brackets, ``""`` where prepared bytes have none.
        size: How many octets it has.
        blocks: Gives its octets from the first one, each time anew: RFC 5322, CRLF, no Bcc.
    """

    envelope: Envelope
    message: Message | None
    message_id: str
    size: int
    blocks: Callable[[], Iterator[bytes]] = field(repr=False)

    def accepted(self, transport: str, *, provider_id: str | None = None) -> Receipt:
        """Return the receipt that says that every recipient was accepted."""
        return Receipt(
            message_id=self.message_id,
            transport=transport,
            recipients=results(self.envelope, "accepted"),
            provider_id=provider_id,
        )


def results(envelope: Envelope, status: Status) -> tuple[RecipientResult, ...]:
    """Return the same result for every recipient."""
    return tuple([RecipientResult(address.addr_spec, status=status) for address in envelope.rcpt_to])


def local_line_ends(blocks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield canonical blocks with LF for each CRLF, as files of mail on Unix have them.

    Example:
        >>> list(local_line_ends([b"Subject: a\r", b"\n\r\nb\r\n"]))
        [b'Subject: a', b'\n\nb\n']
    """
    carried = b""
    for block in blocks:
        whole = carried + block
        carried = b"\r" if whole.endswith(b"\r") else b""
        yield _CRLF.sub(b"\n", whole[: len(whole) - len(carried)])
    if carried:
        yield carried
