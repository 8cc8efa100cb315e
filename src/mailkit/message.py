"""Message: what is sent, as one value that never changes."""

from __future__ import annotations

import os
from collections.abc import Mapping  # noqa: TC003 - get_type_hints and attrs.resolve_types need it
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, final

from attrs import evolve, field, fields, frozen

from mailkit import message_fields as accept
from mailkit.address import Address  # noqa: TC001 - as above
from mailkit.attachment import Attachment  # noqa: TC001 - as above
from mailkit.calendar import Calendar
from mailkit.errors import MessageError
from mailkit.frozendict import EMPTY, FrozenDict
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.template import Template

if TYPE_CHECKING:
    import email.message
    from collections.abc import Callable, Iterator

    from mailkit.mime import Rendered

__all__ = ["Calendar", "ListUnsubscribe", "Message", "Template"]

_SHOWN = 60


@final
@frozen(kw_only=True, repr=False)
class Message:
    """An e-mail message. All is checked here, once, and every transport reads what came of it.

    A message may be incomplete: as a mailer's ``defaults`` it fills in what other messages leave open.

    Example:
        >>> message = Message(
        ...     from_="Ada Lovelace <ada@example.com>", to="bob@example.org", subject="Hello", text="Hi Bob"
        ... )
        >>> message.to[0].email
        'bob@example.org'
        >>> message.evolve(subject="Changed").subject
        'Changed'

    Args:
        from_: The author.
        sender: Who sent it on the author's behalf, if somebody else did (RFC 5322 §3.6.2).
        to: The recipients: one address or any iterable of them. A str is exactly one.
        cc: Who gets a copy.
        bcc: Who gets a copy that nobody sees.
        reply_to: Where answers go.
        subject: One line, not encoded.
        text: The plain text. Any line ends.
        html: The HTML. Inline images are attachments with a ``content_id``.
        amp: The AMP for Email.
        calendar: An invitation.
        attachments: Files and inline images. A str is never taken for a path.
        headers: Further header fields, as a mapping or as pairs. What has a field here cannot be set there.
        date: An aware datetime; by default the time of sending.
        message_id: ``left@right``, with or without angle brackets; by default generated when it is sent.
        in_reply_to: The ``message_id`` of the message that this one answers.
        references: The ``message_id`` of all messages of the thread, oldest first.
        return_path: Where bounces go, if not to the sender; ``""`` is the null reverse-path.
        list_unsubscribe: A :class:`ListUnsubscribe`, or its URLs.
        tags: Words by which the provider groups its statistics.
        metadata: What comes back with the provider's events: str to str.
        track_opens: Whether the provider counts openings.
        track_clicks: Whether the provider counts clicks.
        send_at: When the provider is to send it: an aware datetime.
        template: The provider's stored template.
        idempotency_key: What tells the provider that two requests are one; the Message-ID where None. A hint: whoever
            knows no keys (SMTP, most HTTP APIs) takes the message without it, and an unknown outcome stays unknown.
        options: One provider's raw fields: ``{"postmark": {…}}``.

    Raises:
        MessageError: A value is wrong; the error names the field and says what to do.
        AddressError: An address is.
    """

    from_: Address | None = field(default=None, converter=accept.from_)
    sender: Address | None = field(default=None, converter=accept.sender)
    to: tuple[Address, ...] = field(default=(), converter=accept.to)
    cc: tuple[Address, ...] = field(default=(), converter=accept.cc)
    bcc: tuple[Address, ...] = field(default=(), converter=accept.bcc)
    reply_to: tuple[Address, ...] = field(default=(), converter=accept.reply_to)
    subject: str | None = field(default=None, converter=accept.subject)
    text: str | None = field(default=None, converter=accept.text)
    html: str | None = field(default=None, converter=accept.html)
    amp: str | None = field(default=None, converter=accept.amp)
    calendar: Calendar | None = field(default=None, converter=accept.calendar)
    attachments: tuple[Attachment, ...] = field(default=(), converter=accept.attachments)
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=accept.headers)
    date: datetime | None = field(default=None, converter=accept.date)
    message_id: str | None = field(default=None, converter=accept.message_id)
    in_reply_to: str | None = field(default=None, converter=accept.in_reply_to)
    references: tuple[str, ...] = field(default=(), converter=accept.references)
    return_path: Address | Literal[""] | None = field(default=None, converter=accept.return_path)
    list_unsubscribe: ListUnsubscribe | None = field(default=None, converter=accept.list_unsubscribe)
    tags: tuple[str, ...] = field(default=(), converter=accept.tags)
    metadata: Mapping[str, str] = field(default=EMPTY, converter=accept.metadata)
    track_opens: bool | None = field(default=None, converter=accept.track_opens)
    track_clicks: bool | None = field(default=None, converter=accept.track_clicks)
    send_at: datetime | None = field(default=None, converter=accept.send_at)
    template: Template | None = field(default=None, converter=accept.template)
    idempotency_key: str | None = field(default=None, converter=accept.idempotency_key)
    options: Mapping[str, Mapping[str, Any]] = field(default=EMPTY, converter=accept.options)

    def evolve(self, **changes: Any) -> Message:
        """Return a copy with some fields changed; they are checked as those of a new message.

        Args:
            changes: Any of the fields.

        Raises:
            MessageError: A value is wrong.
        """
        return evolve(self, **changes)

    def completed(
        self, defaults: Message | None = None, *, date: datetime | None = None, message_id: str | None = None
    ) -> Message:
        """Return the message as it is sent: nothing is open any more, so that each attempt sends the same.

        What the message leaves open comes from `defaults`, field by field. Their header fields, metadata and
        options are added where the message has none of that name, their tags after the message's own. Then
        Date and Message-ID are filled in.

        Args:
            defaults: The values for what is open.
            date: The Date, if neither has one; by default now, in UTC.
            message_id: The Message-ID, if there is none; by default 128 random bits at the author's domain.

        Raises:
            MessageError: There is no ``from_``, or `defaults` set what each message needs for itself.
        """
        if defaults is None and self.date is not None and self.message_id is not None and self.from_ is not None:
            return self
        values = list(_values(self))
        if defaults is not None:
            _fill(values, defaults)
        author: Address | None = values[_FROM]
        if author is None:
            raise MessageError(
                "the message has no From address: set from_, or give the mailer defaults=Message(from_=…)"
            )
        if values[_DATE] is None:
            # Whole seconds, as the field has them (RFC 5322 §3.3): what is read back is equal.
            moment = accept.date(date) or datetime.now(UTC)
            values[_DATE] = moment.replace(microsecond=0) if moment.microsecond else moment
        if values[_MESSAGE_ID] is None:
            # RFC 5322 §3.6.4. Unique by chance: no clock and no host name can be read out of it.
            values[_MESSAGE_ID] = accept.message_id(message_id) or f"{os.urandom(16).hex()}@{author.ascii_domain}"
        return _restore(values)

    @property
    def size(self) -> int:
        """The number of octets that :meth:`as_bytes` returns, known without encoding the attachments.

        Raises:
            MessageError: An attachment cannot be read.
        """
        return self._rendered().size

    def as_bytes(self) -> bytes:
        """Return the message as RFC 5322 writes it: CRLF, no Bcc, all ASCII unless a local part is not.

        A missing Date or Message-ID is filled in, anew each time: see :meth:`completed`.

        Raises:
            MessageError: An attachment cannot be read.
        """
        return self._rendered().as_bytes()

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield what :meth:`as_bytes` returns, in blocks; files are read meanwhile.

        Raises:
            MessageError: An attachment cannot be read.
        """
        return self._rendered().iter_bytes()

    def to_email_message(self) -> email.message.EmailMessage:
        """Return the standard library's form of the message. It has no Bcc: see :class:`mailkit.Envelope`.

        Raises:
            MessageError: An attachment cannot be read.
        """
        import email
        import email.policy

        return email.message_from_bytes(self.as_bytes(), policy=email.policy.default)

    @classmethod
    def from_email_message(cls, message: email.message.Message[Any, Any]) -> Message:
        """Return the message that a standard library ``EmailMessage``, or its older ``Message``, holds.

        Args:
            message: A message, read or built.

        Raises:
            MessageError: It holds what cannot be sent again.
        """
        from mailkit.mime.reader import fields_of

        return cls(**fields_of(message))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, attachments included, as JSON; :meth:`from_dict` reads them.

        Raises:
            MessageError: An attachment cannot be read.
        """
        from mailkit import serialization

        return serialization.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Message:
        """Return the message that :meth:`to_dict` wrote.

        Args:
            data: The fields by name. They are checked as if a stranger had written them.

        Raises:
            MessageError: A field is unknown or wrong.
        """
        from mailkit import serialization

        return cls(**serialization.fields_from_dict(data, _NAMES))

    def to_json(self) -> str:
        """Return :meth:`to_dict` as a line of JSON, in ASCII.

        Raises:
            MessageError: An attachment cannot be read.
        """
        from mailkit import serialization

        return serialization.to_json(self)

    @classmethod
    def from_json(cls, data: str | bytes, *, limit: int = 100 << 20) -> Message:
        """Return the message that :meth:`to_json` wrote.

        Args:
            data: JSON, in UTF-8 if it is bytes.
            limit: How long it may be, in characters or bytes.

        Raises:
            MessageError: It is longer, it is no JSON, or a field is unknown or wrong.
        """
        from mailkit import serialization

        return cls(**serialization.fields_from_json(data, _NAMES, limit=limit))

    def _rendered(self) -> Rendered:
        from mailkit.mime import render

        # As bytes it may go anywhere; whether a server can take such an address is for its transport to say.
        return render(self, smtputf8=True)

    def __repr__(self) -> str:
        """Show enough to tell two messages apart in a log, and nothing of what they say."""
        shown: list[str] = []
        if self.from_ is not None:
            shown.append(f"from_={self.from_.email!r}")
        if self.to:
            first, *others = self.to
            shown.append(f"to={first.email!r}" + (f" and {len(others)} more" if others else ""))
        if self.subject is not None:
            subject = self.subject
            shown.append(f"subject={subject if len(subject) <= _SHOWN else subject[:_SHOWN] + '…'!r}")
        if self.attachments:
            shown.append(f"attachments={len(self.attachments)}")
        return f"Message({', '.join(shown)})"


# Copies of checked values need no checks, and a field is set past the frozen __setattr__ by its slot.
_NAMES: tuple[str, ...] = tuple([attribute.name for attribute in fields(Message)])
_FROM, _DATE, _MESSAGE_ID = map(_NAMES.index, ("from_", "date", "message_id"))
_values: Callable[[Message], tuple[Any, ...]] = attrgetter(*_NAMES)
_SETTERS: tuple[Callable[[Message, Any], None], ...] = tuple([vars(Message)[name].__set__ for name in _NAMES])


def _restore(values: list[Any]) -> Message:
    message = object.__new__(Message)
    for setter, value in zip(_SETTERS, values, strict=True):
        setter(message, value)
    return message


def _add_headers(mine: tuple[tuple[str, str], ...], more: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    names = {name.lower() for name, _ in mine}
    return (*mine, *[pair for pair in more if pair[0].lower() not in names])


def _add_tags(mine: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*mine, *more)))


def _add_mapping(mine: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    return FrozenDict({**more, **mine})


def _add_options(mine: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    return FrozenDict({**more, **{name: _add_mapping(own, more.get(name, EMPTY)) for name, own in mine.items()}})


_ADD: dict[int, Callable[[Any, Any], Any]] = {
    _NAMES.index("headers"): _add_headers,
    _NAMES.index("tags"): _add_tags,
    _NAMES.index("metadata"): _add_mapping,
    _NAMES.index("options"): _add_options,
}
_OPEN = (None, (), EMPTY)


def _fill(values: list[Any], defaults: Message) -> None:
    if defaults.message_id is not None or defaults.idempotency_key is not None:
        raise MessageError("defaults cannot set message_id or idempotency_key: each message needs its own")
    for index, value in enumerate(_values(defaults)):
        if value is None or value in _OPEN:
            continue
        mine = values[index]
        if mine is None or mine in _OPEN:
            values[index] = value
        elif index in _ADD:
            values[index] = _ADD[index](mine, value)
