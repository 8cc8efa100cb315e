"""What each field of a message accepts, and what becomes of it: one converter for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.calendar import Calendar
from mailkit.errors import AddressError, MessageError
from mailkit.frozendict import EMPTY, FrozenDict, freeze_mapping
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.template import Template
from mailkit.validation import (
    aware_datetime,
    body_text,
    each_of,
    header_name,
    header_text,
    refuse_type,
    token_text,
)
from mailkit.validation import message_id as check_message_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

# Each of these has one place in a message, so that nothing is said twice (RFC 5322 §3.6).
_OWN_FIELDS = {
    "bcc": "use bcc=",
    "cc": "use cc=",
    "date": "use date=",
    "from": "use from_=",
    "in-reply-to": "use in_reply_to=",
    "list-unsubscribe": "use list_unsubscribe=",
    "list-unsubscribe-post": "use list_unsubscribe=ListUnsubscribe(…, one_click=True)",
    "message-id": "use message_id=",
    "mime-version": "leave it out, mailkit writes it",
    "references": "use references=",
    "reply-to": "use reply_to=",
    "resent-bcc": "use bcc=",
    "return-path": "use return_path=; the last server writes the field",
    "sender": "use sender=",
    "subject": "use subject=",
    "to": "use to=",
}
_CONTENT_FIELD = "mailkit writes it; an attachment has its media_type, content_id and disposition"


def from_(value: str | Address | None) -> Address | None:
    """From: one author (RFC 5322 §3.6.2)."""
    return _address(value, "from_")


def sender(value: str | Address | None) -> Address | None:
    """Sender."""
    return _address(value, "sender")


def to(values: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    """To."""
    return _addresses(values, "to")


def cc(values: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    """Cc."""
    return _addresses(values, "cc")


def bcc(values: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    """Bcc, which only the envelope ever reads."""
    return _addresses(values, "bcc")


def reply_to(values: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    """Reply-To."""
    return _addresses(values, "reply_to")


def return_path(value: str | Address | None) -> Address | Literal[""] | None:
    """Take the reverse-path; "" is the null one, for messages that must not bounce (RFC 5321 §4.5.5)."""
    return "" if isinstance(value, str) and value in {"", "<>"} else _address(value, "return_path")


def subject(value: str | None) -> str | None:
    """Subject."""
    return None if value is None else header_text(value, "subject")


def text(value: str | None) -> str | None:
    """Take the plain text."""
    return None if value is None else body_text(value, "text")


def html(value: str | None) -> str | None:
    """Take the HTML."""
    return None if value is None else body_text(value, "html")


def amp(value: str | None) -> str | None:
    """Take the AMP for Email."""
    return None if value is None else body_text(value, "amp")


def calendar(value: str | Calendar | None) -> Calendar | None:
    """Take the invitation."""
    return None if value is None else Calendar.coerce(value)


def attachments(values: Attachment | Iterable[Attachment]) -> tuple[Attachment, ...]:
    """Take the attachments: never a str, which might be a path or a URL."""
    if values == ():
        return ()
    if isinstance(values, Attachment):
        return (values,)
    wanted = "an iterable of Attachment (Attachment.from_path opens a file, from_bytes takes bytes)"
    found = [_attachment(one) for one in each_of(values, "attachments", wanted)]
    names: set[str] = set()
    for one in found:
        if one.content_id is not None:
            if one.content_id in names:
                raise MessageError(f"two attachments have the content_id {one.content_id!r}: rename one of them")
            names.add(one.content_id)
    return tuple(found)


def headers(values: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Take further header fields, in their order."""
    if values == ():
        return ()
    pairs: object = cast("Mapping[str, str]", values).items() if isinstance(values, Mapping) else values
    return tuple([_header(pair) for pair in each_of(pairs, "headers", "a mapping, or an iterable of pairs")])


def date(value: datetime | None) -> datetime | None:
    """Date."""
    return None if value is None else aware_datetime(value, "date")


def send_at(value: datetime | None) -> datetime | None:
    """When the provider sends it."""
    return None if value is None else aware_datetime(value, "send_at")


def message_id(value: str | None) -> str | None:
    """Message-ID."""
    return None if value is None else check_message_id(value, "message_id")


def in_reply_to(value: str | None) -> str | None:
    """In-Reply-To: the message that this one answers."""
    return None if value is None else check_message_id(value, "in_reply_to")


def references(values: str | Iterable[str]) -> tuple[str, ...]:
    """References: the thread, oldest first. A str is read as the field's text: identifiers between spaces."""
    if values == ():
        return ()
    if isinstance(values, str):
        values = [value for value in header_text(values, "references").split(" ") if value]
    found = each_of(values, "references", "a str or an iterable of str")
    return tuple([check_message_id(value, "references") for value in found])


def list_unsubscribe(value: str | Iterable[str] | ListUnsubscribe | None) -> ListUnsubscribe | None:
    """List-Unsubscribe."""
    return None if value is None else ListUnsubscribe.coerce(value)


def tags(values: str | Iterable[str]) -> tuple[str, ...]:
    """Take the tags, each once."""
    if values == ():
        return ()
    given = (values,) if isinstance(values, str) else each_of(values, "tags", "a str or an iterable of str")
    found = tuple(dict.fromkeys([header_text(value, "a tag") for value in given]))
    if "" in found:
        raise MessageError("a tag is empty: leave it out")
    return found


def metadata(values: Mapping[str, str]) -> Mapping[str, str]:
    """Take what comes back with the provider's events."""
    if values is EMPTY:
        return EMPTY
    found: dict[str, str] = {}
    for key, value in freeze_mapping(values, "metadata").items():
        if not header_text(key, "a key of metadata"):
            raise MessageError("a key of metadata is empty: name it")
        found[key] = header_text(value, f"metadata[{key!r}]")
    return FrozenDict(found)


def track_opens(value: bool | None) -> bool | None:  # noqa: FBT001 - a field
    """Whether the provider counts openings; None leaves it to the account's setting."""
    return _flag(value, "track_opens")


def track_clicks(value: bool | None) -> bool | None:  # noqa: FBT001 - a field
    """Whether the provider counts clicks; None leaves it to the account's setting."""
    return _flag(value, "track_clicks")


def template(value: Template | None) -> Template | None:
    """Take the provider's stored template."""
    return None if value is None else _template(value)


def idempotency_key(value: str | None) -> str | None:
    """Take what tells the provider that two requests are one."""
    return None if value is None else token_text(value, "idempotency_key")


def options(values: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Take one provider's raw fields, by the provider's name."""
    if values is EMPTY:
        return EMPTY
    found = freeze_mapping(values, "options")
    for provider, fields in found.items():
        if not isinstance(fields, Mapping):
            refuse_type(fields, f"options[{provider!r}]", "a mapping of the provider's field names")
    return found


def _address(value: str | Address | None, field: str) -> Address | None:
    if value is None or isinstance(value, Address):
        return value
    try:
        return Address.parse(value)
    except AddressError as error:
        raise AddressError(f"{field}: {error}", value=error.value, position=error.position) from None


def _addresses(values: str | Address | Iterable[str | Address], field: str) -> tuple[Address, ...]:
    if values == ():
        return ()
    try:
        return Address.parse_many(values)
    except AddressError as error:
        raise AddressError(f"{field}: {error}", value=error.value, position=error.position) from None


def _attachment(value: object) -> Attachment:
    if not isinstance(value, Attachment):
        wanted = "an Attachment (Attachment.from_path opens a file, from_bytes takes bytes)"
        refuse_type(value, "an attachment", wanted)
    return value


def _header(pair: object) -> tuple[str, str]:
    given = pair
    if not isinstance(pair, tuple | list) or len(cast("Sequence[object]", pair)) != 2:
        refuse_type(given, "a header", "a pair (name, value)")
    name, value = cast("Sequence[object]", pair)
    checked = header_name(name)
    key = checked.lower()
    advice = _CONTENT_FIELD if key.startswith("content-") else _OWN_FIELDS.get(key)
    if advice is not None:
        raise MessageError(f"headers cannot set {checked}: {advice}")
    return checked, header_text(value, f"the header {checked}")


def _flag(value: object, field: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        refuse_type(value, field, "True, False or None")
    return value


def _template(value: object) -> Template:
    if not isinstance(value, Template):
        refuse_type(value, "template", "a Template(id, data)")
    return value
