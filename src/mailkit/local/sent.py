"""Sent: one message that a transport in memory has accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar, final, overload

from attrs import field, frozen

from mailkit.message import Message

if TYPE_CHECKING:
    import os
    import re
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.calendar import Calendar
    from mailkit.envelope import Envelope
    from mailkit.list_unsubscribe import ListUnsubscribe
    from mailkit.receipt import Receipt
    from mailkit.template import Template

__all__ = ["Sent"]

T = TypeVar("T")


class _OfMessage(Generic[T]):
    """A field of the message, to be read from what was sent."""

    def __init__(self, get: Callable[[Message], T]) -> None:
        self._get = get

    @overload
    def __get__(self, sent: None, owner: type[Sent]) -> Self: ...

    @overload
    def __get__(self, sent: Sent, owner: type[Sent]) -> T: ...

    def __get__(self, sent: Sent | None, owner: type[Sent]) -> Self | T:
        return self if sent is None else self._get(sent.message)


@final
@frozen(kw_only=True)
class Sent:
    """A message as it was sent. Every field of the message can be read here as well: ``sent.subject``.

    Example:
        >>> from mailkit.local import MemoryTransport
        >>> from mailkit import Mailer
        >>> transport = MemoryTransport()
        >>> receipt = Mailer(transport).send(Message(from_="ada@example.com", to="bob@example.org", subject="Hello"))
        >>> transport.outbox[0].subject, transport.outbox[0].envelope.rcpt_to
        ('Hello', (Address('bob@example.org'),))

    Args:
        envelope: Who it was really from and to, Bcc included.
        receipt: What the sender was told.
        raw: The octets: RFC 5322, CRLF, no Bcc.
        message: The message, complete; None if its octets were given to ``send_raw``.
    """

    envelope: Envelope
    receipt: Receipt
    raw: bytes = field(repr=False)
    _message: Message | None = field(default=None, alias="message")

    @property
    def message(self) -> Message:
        """The message, complete; what was given to ``send_raw`` is read from its octets.

        Raises:
            MessageError: Prepared octets hold what no Message can say: read `raw` instead.
        """
        if self._message is not None:
            return self._message
        import email
        import email.policy

        return Message.from_email_message(email.message_from_bytes(self.raw, policy=email.policy.default))

    @property
    def is_prepared(self) -> bool:
        """Whether it was given to ``send_raw``."""
        return self._message is None

    def snapshot(self, *, replace: Mapping[str | re.Pattern[str], str] | None = None) -> str:
        """Return it as text that is the same in every run: envelope, header fields and parts, decoded.

        Date and Message-ID have a stand-in, boundaries and transfer encodings are left out, other files than texts are
        shown by size and hash. It is a ``str``, so any snapshot library compares it.

        Args:
            replace: What else differs, a text or a compiled pattern, and what is shown in its place.
        """
        from mailkit.local.snapshot import snapshot

        return snapshot(self.raw, self.envelope, self._message, replace=replace)

    def assert_matches_snapshot(
        self,
        path: str | os.PathLike[str],
        *,
        update: bool | None = None,
        replace: Mapping[str | re.Pattern[str], str] | None = None,
    ) -> None:
        """Check that its snapshot is that in a file.

        Args:
            path: The file.
            update: Write the file instead; where None, the environment's ``MAILKIT_UPDATE_SNAPSHOTS=1`` says so.
            replace: What else differs, a text or a compiled pattern, and what is shown in its place.

        Raises:
            AssertionError: It differs, which is shown line by line, or there is no such file.
            ConfigurationError: The file cannot be read or written.
        """
        from mailkit.local.snapshot import check_snapshot

        __tracebackhide__ = True
        check_snapshot(self.snapshot(replace=replace), path, update=update)

    from_: ClassVar[_OfMessage[Address | None]] = _OfMessage(lambda message: message.from_)
    sender: ClassVar[_OfMessage[Address | None]] = _OfMessage(lambda message: message.sender)
    to: ClassVar[_OfMessage[tuple[Address, ...]]] = _OfMessage(lambda message: message.to)
    cc: ClassVar[_OfMessage[tuple[Address, ...]]] = _OfMessage(lambda message: message.cc)
    bcc: ClassVar[_OfMessage[tuple[Address, ...]]] = _OfMessage(lambda message: message.bcc)
    reply_to: ClassVar[_OfMessage[tuple[Address, ...]]] = _OfMessage(lambda message: message.reply_to)
    subject: ClassVar[_OfMessage[str | None]] = _OfMessage(lambda message: message.subject)
    text: ClassVar[_OfMessage[str | None]] = _OfMessage(lambda message: message.text)
    html: ClassVar[_OfMessage[str | None]] = _OfMessage(lambda message: message.html)
    amp: ClassVar[_OfMessage[str | None]] = _OfMessage(lambda message: message.amp)
    calendar: ClassVar[_OfMessage[Calendar | None]] = _OfMessage(lambda message: message.calendar)
    attachments: ClassVar[_OfMessage[tuple[Attachment, ...]]] = _OfMessage(lambda message: message.attachments)
    headers: ClassVar[_OfMessage[tuple[tuple[str, str], ...]]] = _OfMessage(lambda message: message.headers)
    date: ClassVar[_OfMessage[datetime | None]] = _OfMessage(lambda message: message.date)
    message_id: ClassVar[_OfMessage[str | None]] = _OfMessage(lambda message: message.message_id)
    in_reply_to: ClassVar[_OfMessage[str | None]] = _OfMessage(lambda message: message.in_reply_to)
    references: ClassVar[_OfMessage[tuple[str, ...]]] = _OfMessage(lambda message: message.references)
    return_path: ClassVar[_OfMessage[Address | Literal[""] | None]] = _OfMessage(lambda message: message.return_path)
    list_unsubscribe: ClassVar[_OfMessage[ListUnsubscribe | None]] = _OfMessage(
        lambda message: message.list_unsubscribe
    )
    tags: ClassVar[_OfMessage[tuple[str, ...]]] = _OfMessage(lambda message: message.tags)
    metadata: ClassVar[_OfMessage[Mapping[str, str]]] = _OfMessage(lambda message: message.metadata)
    track_opens: ClassVar[_OfMessage[bool | None]] = _OfMessage(lambda message: message.track_opens)
    track_clicks: ClassVar[_OfMessage[bool | None]] = _OfMessage(lambda message: message.track_clicks)
    send_at: ClassVar[_OfMessage[datetime | None]] = _OfMessage(lambda message: message.send_at)
    template: ClassVar[_OfMessage[Template | None]] = _OfMessage(lambda message: message.template)
    idempotency_key: ClassVar[_OfMessage[str | None]] = _OfMessage(lambda message: message.idempotency_key)
    options: ClassVar[_OfMessage[Mapping[str, Mapping[str, Any]]]] = _OfMessage(lambda message: message.options)
