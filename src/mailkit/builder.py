"""MessageBuilder: a message, said step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mailkit.attachment import Attachment
from mailkit.errors import MessageError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.message import Message
from mailkit.template import Template

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.calendar import Calendar

__all__ = ["MessageBuilder"]

_CONTENT = ("subject", "text", "html", "amp", "calendar", "attachments", "template")


class MessageBuilder:
    """Collects the fields of a message; :meth:`build` checks them and makes the message.

    What can be there several times (recipients, attachments, header fields, tags, references) is added by
    each call; all else is replaced. Each method returns the builder itself.

    Example:
        >>> builder = MessageBuilder().from_("ada@example.com").to("bob@example.org")
        >>> builder.subject("Hello").text("Hi Bob").tag("greeting").build()
        Message(from_='ada@example.com', to='bob@example.org', subject='Hello')
    """

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}

    def build(self) -> Message:
        """Return the message. The builder can be used on, for the next one.

        ``from_`` may be open, for a mailer's defaults to fill in.

        Raises:
            MessageError: A value is wrong, there is no recipient, or there is nothing to say at all.
            AddressError: An address is not valid.
        """
        if not any(self._fields.get(name) for name in ("to", "cc", "bcc")):
            raise MessageError("the message has no recipient: call to(), cc() or bcc()")
        if not any(name in self._fields for name in _CONTENT):
            raise MessageError("the message is empty: call at least one of subject(), text(), html() and attach()")
        return Message(**self._fields)

    def from_(self, address: str | Address) -> Self:
        """Set the author."""
        return self._set("from_", address)

    def sender(self, address: str | Address) -> Self:
        """Set who sent it on the author's behalf."""
        return self._set("sender", address)

    def to(self, *addresses: str | Address) -> Self:
        """Add recipients."""
        return self._add("to", addresses)

    def cc(self, *addresses: str | Address) -> Self:
        """Add who gets a copy."""
        return self._add("cc", addresses)

    def bcc(self, *addresses: str | Address) -> Self:
        """Add who gets a copy that nobody sees."""
        return self._add("bcc", addresses)

    def reply_to(self, *addresses: str | Address) -> Self:
        """Add where answers go."""
        return self._add("reply_to", addresses)

    def subject(self, subject: str) -> Self:
        """Set the subject."""
        return self._set("subject", subject)

    def text(self, text: str) -> Self:
        """Set the plain text."""
        return self._set("text", text)

    def html(self, html: str) -> Self:
        """Set the HTML."""
        return self._set("html", html)

    def amp(self, amp: str) -> Self:
        """Set the AMP for Email."""
        return self._set("amp", amp)

    def calendar(self, calendar: str | Calendar) -> Self:
        """Set the invitation."""
        return self._set("calendar", calendar)

    def attach(
        self,
        source: str | os.PathLike[str] | Attachment,
        *,
        filename: str | None = None,
        media_type: str | None = None,
    ) -> Self:
        """Add a file to the list of attachments.

        Args:
            source: The path of a file, which is read while the message is sent; or an attachment.
            filename: The name that the receiver sees; by default the path's or the attachment's own.
            media_type: By default guessed from the name's ending, or the attachment's own.

        Raises:
            MessageError: The file cannot be read, or a value is wrong.
        """
        return self._add("attachments", (_attachment(source, filename, media_type),))

    def embed(
        self,
        source: str | os.PathLike[str] | Attachment,
        *,
        content_id: str,
        filename: str | None = None,
        media_type: str | None = None,
    ) -> Self:
        """Add an image that the HTML shows with ``<img src="cid:…">``.

        Args:
            source: The path of a file, which is read while the message is sent; or an attachment.
            content_id: Its name in the HTML after ``cid:``.
            filename: The name that the receiver sees; by default the path's or the attachment's own.
            media_type: By default guessed from the name's ending, or the attachment's own.

        Raises:
            MessageError: The file cannot be read, or a value is wrong.
        """
        image = _attachment(source, filename, media_type)
        return self._add("attachments", (image.evolve(content_id=content_id, disposition="inline"),))

    def header(self, name: str, value: str) -> Self:
        """Add a header field that has no method of its own here."""
        return self._add("headers", ((name, value),))

    def date(self, date: datetime) -> Self:
        """Set the Date: an aware datetime."""
        return self._set("date", date)

    def message_id(self, message_id: str) -> Self:
        """Set the Message-ID."""
        return self._set("message_id", message_id)

    def in_reply_to(self, message_id: str) -> Self:
        """Set the Message-ID of the message that this one answers."""
        return self._set("in_reply_to", message_id)

    def references(self, *message_ids: str) -> Self:
        """Add the Message-IDs of the thread, oldest first."""
        return self._add("references", message_ids)

    def return_path(self, address: str | Address) -> Self:
        """Set where bounces go; ``""`` is the null reverse-path."""
        return self._set("return_path", address)

    def list_unsubscribe(self, *targets: str, one_click: bool = False) -> Self:
        """Set where the "unsubscribe" button leads.

        Args:
            targets: ``https:`` and ``mailto:`` URLs, in the order of preference.
            one_click: Whether a POST to the https target alone unsubscribes (RFC 8058).

        Raises:
            MessageError: A target is something else, or one-click is promised without an https target.
        """
        return self._set("list_unsubscribe", ListUnsubscribe(targets, one_click=one_click))

    def tag(self, *tags: str) -> Self:
        """Add tags."""
        return self._add("tags", tags)

    def metadata(self, **metadata: str) -> Self:
        """Add what comes back with the provider's events."""
        return self._set("metadata", {**self._fields.get("metadata", {}), **metadata})

    def track_opens(self, track: bool = True) -> Self:  # noqa: FBT001, FBT002 - track_opens(False) is clear
        """Say whether the provider counts openings."""
        return self._set("track_opens", track)

    def track_clicks(self, track: bool = True) -> Self:  # noqa: FBT001, FBT002 - as above
        """Say whether the provider counts clicks."""
        return self._set("track_clicks", track)

    def send_at(self, when: datetime) -> Self:
        """Set when the provider is to send it: an aware datetime."""
        return self._set("send_at", when)

    def template(self, id: str | int, data: Mapping[str, Any] | None = None) -> Self:  # noqa: A002 - as Template
        """Set the provider's stored template.

        Raises:
            MessageError: The id is no identifier, or the data are no JSON.
        """
        return self._set("template", Template(id, {} if data is None else data))

    def idempotency_key(self, key: str) -> Self:
        """Set what tells the provider that two requests are one; whoever knows no keys goes without."""
        return self._set("idempotency_key", key)

    def options(self, provider: str, **fields: Any) -> Self:
        """Add raw fields of one provider."""
        known = self._fields.get("options", {})
        return self._set("options", {**known, provider: {**known.get(provider, {}), **fields}})

    def __repr__(self) -> str:
        return f"MessageBuilder({', '.join(self._fields)})"

    def _set(self, name: str, value: Any) -> Self:
        self._fields[name] = value
        return self

    def _add(self, name: str, values: tuple[Any, ...]) -> Self:
        self._fields[name] = (*self._fields.get(name, ()), *values)
        return self


def _attachment(
    source: str | os.PathLike[str] | Attachment, filename: str | None, media_type: str | None
) -> Attachment:
    if not isinstance(source, Attachment):
        return Attachment.from_path(source, filename=filename, media_type=media_type)
    changes = {"filename": filename, "media_type": media_type}
    return source.evolve(**{name: value for name, value in changes.items() if value is not None})
