"""A message as JSON and back: checked as if a stranger had written it."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast

from attrs import fields

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.calendar import Calendar
from mailkit.errors import AddressError, MessageError
from mailkit.frozendict import FrozenDict
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.template import Template
from mailkit.validation import refuse_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailkit.message import Message

__all__ = ["VERSION", "fields_from_dict", "fields_from_json", "to_dict", "to_json"]

VERSION = 1
"""The version of the form. A higher one is refused, because something in it would be lost."""


def to_dict(message: Message) -> dict[str, Any]:
    """Return the fields that are set, as JSON has them."""
    data: dict[str, Any] = {"version": VERSION}
    for attribute in fields(type(message)):
        name = attribute.name
        value = getattr(message, name)
        if value != attribute.default:
            data[name] = _WRITERS[name](value) if name in _WRITERS else value
    return data


def to_json(message: Message) -> str:
    """Return :func:`to_dict` as a line of JSON, in ASCII."""
    return json.dumps(to_dict(message), allow_nan=False, separators=(",", ":"))


def fields_from_dict(data: object, known: Iterable[str]) -> dict[str, Any]:
    """Return the arguments for a message. The message's own checks follow, in its constructor.

    Args:
        data: What :func:`to_dict` wrote, or somebody else.
        known: The names of a message's fields.

    Raises:
        MessageError: A field is unknown, or of a wrong type.
    """
    checked = _object(data, "the message", {*known, "version"})
    version: object = checked.get("version", VERSION)
    if type(version) is not int or version != VERSION:
        raise MessageError(f"the message is of version {version!r}, and this mailkit reads {VERSION}: upgrade it")
    return {
        name: _READERS[name](value, name) if name in _READERS else value
        for name, value in checked.items()
        if name != "version" and value is not None
    }


def fields_from_json(data: object, known: Iterable[str], *, limit: int) -> dict[str, Any]:
    """Return the arguments for a message.

    Raises:
        MessageError: It is too long, no JSON, or no message.
    """
    if not isinstance(data, str | bytes):
        refuse_type(data, "a message's JSON", "a str or bytes")
    if len(data) > limit:
        raise MessageError(f"the message's JSON is longer than {limit}: raise limit=…, if you trust its source")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except MessageError:
        raise
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message's JSON cannot be read: {error}. Write it with to_json()") from None
    return fields_from_dict(value, known)


def _plain(value: Any) -> Any:
    """Return frozen JSON as json.loads would."""
    match value:
        case FrozenDict():
            return {key: _plain(item) for key, item in cast("FrozenDict[str, Any]", value).items()}
        case tuple():
            return [_plain(item) for item in cast("Iterable[object]", value)]
        case _:
            return value


def _write_address(address: Address | str) -> Any:
    if isinstance(address, str):  # the null reverse-path
        return address
    return {"email": address.email, "name": address.name} if address.name else {"email": address.email}


def _write_addresses(addresses: Iterable[Address]) -> list[Any]:
    return [_write_address(address) for address in addresses]


def _write_attachment(attachment: Attachment) -> dict[str, Any]:
    content = binascii.b2a_base64(attachment.read(), newline=False).decode("ascii")
    return {
        "filename": attachment.filename,
        "media_type": attachment.media_type,
        "content_id": attachment.content_id,
        "disposition": attachment.disposition,
        "content": content,
    }


def _write_calendar(calendar: Calendar) -> dict[str, Any]:
    return {"text": calendar.text, "method": calendar.method}


def _write_list_unsubscribe(value: ListUnsubscribe) -> dict[str, Any]:
    return {"targets": list(value.targets), "one_click": value.one_click}


def _write_template(template: Template) -> dict[str, Any]:
    return {"id": template.id, "data": _plain(template.data)}


def _write_attachments(attachments: Iterable[Attachment]) -> list[Any]:
    return [_write_attachment(attachment) for attachment in attachments]


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "from_": _write_address,
    "sender": _write_address,
    "to": _write_addresses,
    "cc": _write_addresses,
    "bcc": _write_addresses,
    "reply_to": _write_addresses,
    "calendar": _write_calendar,
    "attachments": _write_attachments,
    "headers": lambda pairs: [list(pair) for pair in pairs],
    "date": datetime.isoformat,
    "references": list,
    "return_path": _write_address,
    "list_unsubscribe": _write_list_unsubscribe,
    "tags": list,
    "metadata": dict,
    "send_at": datetime.isoformat,
    "template": _write_template,
    "options": _plain,
}


def _read_address(value: Any, field: str) -> Address | str:
    if isinstance(value, str):
        return value  # the message parses it
    parts = _object(value, field, {"email", "name"}, {"email"})
    try:
        return Address(parts["email"], name=parts.get("name"))
    except AddressError as error:
        raise AddressError(f"{field}: {error}", value=error.value, position=error.position) from None


def _read_addresses(value: Any, field: str) -> list[Address | str]:
    if isinstance(value, str | Mapping):
        return [_read_address(value, field)]
    return [_read_address(one, field) for one in _list(value, field)]


def _read_datetime(value: Any, field: str) -> datetime:
    if not isinstance(value, str):
        refuse_type(value, field, "a str such as '2026-01-31T12:00:00+00:00'")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise MessageError(f"{field} {value[:40]!r} is no time: write '2026-01-31T12:00:00+00:00'") from None


def _read_attachment(value: Any, field: str) -> Attachment:
    keys = {"filename", "media_type", "content_id", "disposition", "content"}
    parts = _object(value, field, keys, {"content"})
    content = parts.pop("content")
    if not isinstance(content, str):
        refuse_type(content, f"{field}.content", "a str of base64")
    try:
        data = binascii.a2b_base64(content.encode("ascii"), strict_mode=True)
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are
        raise MessageError(f"{field}.content is not base64 (RFC 4648 §4): {error}") from None
    return Attachment.from_bytes(data, **parts)


def _read_attachments(value: Any, field: str) -> list[Attachment]:
    return [_read_attachment(one, f"{field}[{index}]") for index, one in enumerate(_list(value, field))]


def _read_calendar(value: Any, field: str) -> Calendar | str:
    if isinstance(value, str):
        return value
    parts = _object(value, field, {"text", "method"}, {"text"})
    return Calendar(parts["text"], method=parts.get("method"))


def _read_list_unsubscribe(value: Any, field: str) -> Any:
    if isinstance(value, str | list):
        return cast("object", value)
    parts = _object(value, field, {"targets", "one_click"}, {"targets"})
    return ListUnsubscribe(_list(parts["targets"], f"{field}.targets"), one_click=parts.get("one_click", False))


def _read_template(value: Any, field: str) -> Template:
    parts = _object(value, field, {"id", "data"}, {"id"})
    return Template(parts["id"], parts.get("data", {}))


def _read_headers(value: Any, field: str) -> Any:
    return cast("object", value) if isinstance(value, Mapping) else _list(value, field)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "from_": _read_address,
    "sender": _read_address,
    "to": _read_addresses,
    "cc": _read_addresses,
    "bcc": _read_addresses,
    "reply_to": _read_addresses,
    "calendar": _read_calendar,
    "attachments": _read_attachments,
    "headers": _read_headers,
    "date": _read_datetime,
    "return_path": _read_address,
    "list_unsubscribe": _read_list_unsubscribe,
    "send_at": _read_datetime,
    "template": _read_template,
}


def _list(value: object, field: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        refuse_type(value, field, "a list")
    return list(cast("Iterable[Any]", value))


def _object(value: object, field: str, known: set[str], needed: Iterable[str] = ()) -> dict[str, Any]:
    """Return a JSON object's members, of which all must be known and some must be there."""
    if not isinstance(value, Mapping):
        refuse_type(value, field, f"an object with the keys {', '.join(sorted(known))}")
    members = dict(cast("Mapping[str, Any]", value))
    for key in members:
        if key not in known:
            raise MessageError(f"{field} has no key {str(key)[:60]!r}: use only {', '.join(sorted(known))}")
    for key in needed:
        if key not in members:
            raise MessageError(f"{field} lacks the key {key!r}: add it")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # readers differ on which of two counts (RFC 8259 §4)
        raise MessageError("the message's JSON names a key twice in one object: keep one of them")
    return found


def _no_constant(name: str) -> NoReturn:
    raise MessageError(f"the message's JSON holds {name}, which JSON does not have: use null")
