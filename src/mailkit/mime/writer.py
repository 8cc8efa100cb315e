"""Message → octets: a header, the parts between their boundaries, and a size that is known before any of it is read."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from secrets import token_hex
from typing import TYPE_CHECKING, Literal, cast

from attrs import field as attribute
from attrs import frozen

from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.mime.boundary import Boundaries
from mailkit.mime.content import Content
from mailkit.mime.headers import (
    custom,
    date,
    field,
    identifiers,
    mailbox,
    mailboxes,
    mailing_list_targets,
    unstructured,
)
from mailkit.mime.parameters import multipart_type
from mailkit.mime.structure import Leaf, Multipart, structure, transfer_encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailkit.address import Address
    from mailkit.message import Message
    from mailkit.mime.structure import Part

__all__ = ["BodyType", "Rendered", "render"]

BodyType = Literal["7BIT", "8BITMIME", "BINARYMIME"]
"""What MAIL FROM says in BODY= (RFC 6152, RFC 3030)."""

_BLOCK = 1 << 16
_MIME_VERSION = field("MIME-Version", ["1.0"])
_BODY_TYPES: dict[str, BodyType] = {"8bit": "8BITMIME", "binary": "BINARYMIME"}


@frozen(kw_only=True)
class Rendered:
    """A message as it goes over the wire: RFC 5322 octets, lines that end with CRLF, no Bcc.

    Iterating gives the same octets each time. Files are read meanwhile, so that memory does not grow with them.

    Example:
        >>> from mailkit import Message
        >>> rendered = render(Message(from_="ada@example.com", to="bob@example.org", text="Hi"))
        >>> rendered.size == len(rendered.as_bytes()), rendered.body_type
        (True, '7BIT')

    Args:
        size: How many octets it has: for the SIZE of SMTP and for Content-Length.
        body_type: What the server must be able to take.
        needs_smtputf8: Whether an address in its header is not ASCII, which only SMTPUTF8 (RFC 6531) allows.
        message_id: Its Message-ID without angle brackets, whether given or made.
    """

    size: int
    body_type: BodyType
    needs_smtputf8: bool
    message_id: str
    _segments: tuple[bytes | Content, ...] = attribute(repr=False, alias="segments")

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the octets in blocks of at most 64 KiB.

        Raises:
            MessageError: A file has gone, or is not what it was when the message was rendered.
        """
        for segment in self._segments:
            if isinstance(segment, Content):
                yield from segment.iter_blocks()
            elif len(segment) <= _BLOCK:
                yield segment
            else:
                for start in range(0, len(segment), _BLOCK):
                    yield segment[start : start + _BLOCK]

    def as_bytes(self) -> bytes:
        """Return all octets.

        Raises:
            MessageError: A file has gone, or is not what it was when the message was rendered.
        """
        first, *rest = self._segments
        if not rest and isinstance(first, bytes):
            return first
        # Block by block: to join them, all of them would have to be there beside the result.
        buffer = BytesIO()
        buffer.writelines(self.iter_bytes())
        return buffer.getvalue()


def render(
    message: Message,
    *,
    eight_bit: bool = False,
    smtputf8: bool = False,
    binary: bool = False,
    boundary: Callable[[], str] | None = None,
) -> Rendered:
    """Return a message as octets, in the encodings that a server can take.

    The same message gives the same octets within a process, if it has a date and a message_id.

    Args:
        message: What is to be sent. A missing date is now, a missing message_id is made.
        eight_bit: Whether UTF-8 may go out as it is (8BITMIME).
        smtputf8: Whether an address with a local part beyond ASCII may stand in the header (SMTPUTF8).
        binary: Whether attachments may go out as they are (BINARYMIME, which wants BDAT).
        boundary: Gives a new boundary each time; by default 128 bits that nobody else can know.

    Raises:
        UnsupportedFeatureError: An address needs SMTPUTF8.
        MessageError: Something in it cannot be sent, an attachment cannot be read, or a boundary stands in a part.
    """
    message_id = message.message_id or _new_message_id(message.from_)
    header = _header(message, message_id)
    needs_smtputf8 = not header.isascii()
    if needs_smtputf8 and not smtputf8:
        raise UnsupportedFeatureError(
            "an address in the header has a local part that is not ASCII, which needs a server with SMTPUTF8"
            " (RFC 6531): use another address, or another server",
            feature="smtputf8",
        )
    root = structure(message, eight_bit=eight_bit, binary=binary)
    boundaries = Boundaries(message_id, boundary)
    pieces: list[bytes | Content] = [header.encode()]
    _write(root, boundaries, pieces)
    _refuse_boundaries(root, boundaries)
    last = pieces[-1]
    if isinstance(last, Content) or not last.endswith(b"\r\n"):
        pieces.append(b"\r\n")  # the end of data in SMTP would add it anyway
    # Only attachments are read while they are sent.
    segments = _joined(pieces) if message.attachments else (b"".join(cast("list[bytes]", pieces)),)
    return Rendered(
        size=sum([piece.size if isinstance(piece, Content) else len(piece) for piece in segments]),
        body_type=_BODY_TYPES.get(root.encoding) or ("8BITMIME" if needs_smtputf8 else "7BIT"),
        needs_smtputf8=needs_smtputf8,
        message_id=message_id,
        segments=segments,
    )


def _header(message: Message, message_id: str) -> str:
    """Return the fields that stand before those of the body, with From first and no Bcc and no Return-Path anywhere."""
    fields: list[str] = []
    if message.from_ is not None:
        fields.append(mailbox("From", message.from_.name, message.from_.addr_spec))
    if message.sender is not None:
        fields.append(mailbox("Sender", message.sender.name, message.sender.addr_spec))
    if message.reply_to:
        fields.append(_addresses("Reply-To", message.reply_to))
    if message.to:
        fields.append(_addresses("To", message.to))
    if message.cc:
        fields.append(_addresses("Cc", message.cc))
    if message.subject is not None:
        fields.append(unstructured("Subject", message.subject))
    moment = datetime.now(UTC) if message.date is None else message.date
    fields.extend((date(moment), identifiers("Message-ID", (message_id,))))
    if message.in_reply_to is not None:
        fields.append(identifiers("In-Reply-To", (message.in_reply_to,)))
    if message.references:
        fields.append(identifiers("References", message.references))
    if message.list_unsubscribe is not None:
        leave = message.list_unsubscribe
        fields.append(mailing_list_targets(leave.targets, one_click=leave.one_click))
    fields += [custom(name, value) for name, value in message.headers]
    fields.append(_MIME_VERSION)
    return "".join(fields)


def _addresses(name: str, addresses: tuple[Address, ...]) -> str:
    if len(addresses) == 1:
        return mailbox(name, addresses[0].name, addresses[0].addr_spec)
    return mailboxes(name, [(address.name, address.addr_spec) for address in addresses])


def _new_message_id(author: Address | None) -> str:
    # RFC 5322 §3.6.4: unique because of the random part; the domain says who has to see to that.
    return f"{token_hex(16)}@{'localhost' if author is None else author.ascii_domain}"


def _write(part: Part, boundaries: Boundaries, pieces: list[bytes | Content]) -> None:
    if isinstance(part, Leaf):
        pieces.extend((f"{part.header}\r\n".encode(), part.content))
        return
    boundary = boundaries.next()
    root_type = part.parts[0].media_type if part.subtype == "related" else None
    encoding = "" if part.encoding == "7bit" else transfer_encoding(part.encoding)
    delimiter = f"{multipart_type(part.subtype, boundary, root_type)}{encoding}\r\n--{boundary}\r\n".encode()
    for inner in part.parts:
        pieces.append(delimiter)
        _write(inner, boundaries, pieces)
        delimiter = f"\r\n--{boundary}\r\n".encode()
    pieces.append(f"\r\n--{boundary}--".encode())


def _refuse_boundaries(part: Part, boundaries: Boundaries) -> None:
    """Refuse parts that hold a boundary."""
    if isinstance(part, Multipart):
        for inner in part.parts:
            _refuse_boundaries(inner, boundaries)
    elif not boundaries.are_absent_from(part.encoding, part.content):
        raise MessageError(
            "a boundary stands in one of the parts that it separates: render the message again, with other boundaries"
        )


def _joined(pieces: list[bytes | Content]) -> tuple[bytes | Content, ...]:
    segments: list[bytes | Content] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
        else:
            segments += [b"".join(run), piece]
            run.clear()
    segments.append(b"".join(run))
    return tuple(segments)
