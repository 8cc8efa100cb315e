"""Parts of a message in the forms that JSON APIs want."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from mailkit.address_parser import is_phrase
from mailkit.address_parser import quote as quoted_string
from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.media_type import guess_media_type
from mailkit.mime.encoded_words import encoded_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.message import Message
    from mailkit.providers.base import ApiTransport

__all__ = [
    "attached",
    "base64_of",
    "dump",
    "encoded_mailbox",
    "encoded_name",
    "header_mapping",
    "header_pairs",
    "headers_with_metadata",
    "joined",
    "mailbox",
    "mailboxes",
    "merged",
    "named",
    "path_part",
    "refuse_beside_template",
    "typed_name",
]

_LONGEST_LINE: Final = 998  # RFC 5322 §2.1.1


def dump(payload: Any) -> bytes:
    """Return a payload as JSON in UTF-8.

    Raises:
        MessageError: It holds what is no JSON, from ``options`` or the template's data.
    """
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:  # ValueError: NaN, and lone surrogates (UnicodeEncodeError)
        raise MessageError(f"the message cannot be written as JSON: {error}; check options and the template") from None


def header_pairs(message: Message) -> list[tuple[str, str]]:
    """Return what a provider has only a list of header fields for: threading, unsubscribing, and custom fields.

    Values are as people read them, in one line: encoding them is for the provider.
    """
    pairs: list[tuple[str, str]] = []
    if message.in_reply_to is not None:
        pairs.append(("In-Reply-To", f"<{message.in_reply_to}>"))
    if message.references:
        pairs.append(("References", " ".join([f"<{each}>" for each in message.references])))
    unsubscribe = message.list_unsubscribe
    if unsubscribe is not None:
        pairs.append(("List-Unsubscribe", ", ".join([f"<{target}>" for target in unsubscribe.targets])))
        if unsubscribe.one_click:  # RFC 8058 §3.1
            pairs.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return [*pairs, *message.headers]


def header_mapping(message: Message, transport: ApiTransport) -> dict[str, str]:
    """Return :func:`header_pairs` for a provider that takes one field of each name.

    Raises:
        UnsupportedFeatureError: The message has two of one name.
    """
    pairs = header_pairs(message)
    found = {name.lower(): (name, value) for name, value in pairs}
    if len(found) != len(pairs):
        raise UnsupportedFeatureError(
            f"{transport} takes one header field of each name, and the message has two of one: leave one out",
            feature="headers",
            transport=str(transport),
        )
    return dict(found.values())


def headers_with_metadata(message: Message, transport: ApiTransport, name: str) -> dict[str, str]:
    """Return :func:`header_mapping` for a provider whose events carry back a header field: metadata go there, as JSON.

    Args:
        message: The message.
        transport: The provider.
        name: The field.

    Raises:
        MessageError: The message has that field itself, or its metadata are too long for one (RFC 5322 §2.1.1).
    """
    headers = header_mapping(message, transport)
    if message.metadata:
        if name.lower() in map(str.lower, headers):
            raise MessageError(f"{transport} puts metadata into {name}: set that field or metadata, not both")
        headers[name] = json.dumps(dict(message.metadata))
        if len(headers[name]) > _LONGEST_LINE - len(name) - 2:
            raise MessageError(f"the metadata are longer than the header field {name} may be: leave some out")
    return headers


def refuse_beside_template(message: Message, transport: ApiTransport, *names: str) -> None:
    """Refuse what a stored template brings along itself, and what the provider would drop.

    Args:
        message: The message.
        transport: The provider.
        names: Fields that go with no template, such as ``"subject"``.

    Raises:
        MessageError: The message has a template and one of them.
    """
    beside = [name for name in names if message.template is not None and getattr(message, name) is not None]
    if beside:
        raise MessageError(
            f"{transport} takes a template or {' and '.join(beside)}, not both: leave one of them out, or put the text "
            "into the template's data"
        )


def mailbox(address: Address) -> str:
    """Return ``Name <user@host>`` with the host as DNS knows it; a name that needs quotes has them.

    Example:
        >>> from mailkit.address import Address
        >>> mailbox(Address("jane@faß.test", name="Doe, Jane"))
        '"Doe, Jane" <jane@xn--fa-hia.test>'
    """
    name = address.name
    if not name:
        return address.addr_spec
    return f"{name if is_phrase(name) else quoted_string(name)} <{address.addr_spec}>"


def encoded_name(name: str) -> str:
    """Return a name, or any other text of a header field, as encoded words (RFC 2047)."""
    return " ".join(encoded_words(name))


def encoded_mailbox(address: Address) -> str:
    """Return :func:`mailbox` in ASCII, for a provider that may or may not encode names itself.

    Example:
        >>> from mailkit.address import Address
        >>> encoded_mailbox(Address("li@example.com", name="李"))
        '=?utf-8?b?5p2O?= <li@example.com>'
    """
    name = address.name or ""
    return mailbox(address) if name.isascii() else f"{encoded_name(name)} <{address.addr_spec}>"


def named(address: Address) -> dict[str, str]:
    """Return an address as ``{"email": …, "name": …}``, the host as DNS knows it; without a name where there is none.

    Example:
        >>> from mailkit.address import Address
        >>> named(Address("jane@faß.test", name="Doe, Jane"))
        {'email': 'jane@xn--fa-hia.test', 'name': 'Doe, Jane'}
    """
    described = {"email": address.addr_spec}
    if address.name:
        described["name"] = address.name
    return described


def mailboxes(addresses: Iterable[Address]) -> str:
    """Return several mailboxes in one text, with commas."""
    return ", ".join([mailbox(each) for each in addresses])


def joined(addresses: Iterable[Address], separator: str) -> str:
    """Return several addresses without names in one text, for a provider that splits it at a character.

    Raises:
        MessageError: An address has that character in its quoted local part, so that it would be taken for two.
    """
    texts = [each.addr_spec for each in addresses]
    for text in texts:
        if separator in text:
            raise MessageError(f"the provider ends an address at {separator!r}, so it cannot be sent {text!r}")
    return separator.join(texts)


def base64_of(attachment: Attachment) -> str:
    """Return an attachment's bytes in base64, in one line.

    Raises:
        MessageError: Its file cannot be read.
    """
    return b2a_base64(attachment.read(), newline=False).decode("ascii")


def attached(attachment: Attachment, type_field: str, *, disposition: bool = False) -> dict[str, str]:
    """Return an attachment as many providers describe it: filename, content, media type and content_id.

    Args:
        attachment: The attachment.
        type_field: What the provider calls the media type.
        disposition: Whether it wants to be told how the file is shown.
    """
    described = {
        "filename": typed_name(attachment),
        "content": base64_of(attachment),
        type_field: attachment.media_type,
    }
    if disposition:
        described["disposition"] = attachment.disposition
    if attachment.content_id is not None:
        described["content_id"] = attachment.content_id
    return described


def typed_name(attachment: Attachment) -> str:
    """Return an attachment's name; of one that has none, a name that ends as its media type wants.

    Some providers have no other way to the media type than the name's ending.

    Example:
        >>> from mailkit.attachment import Attachment
        >>> typed_name(Attachment.from_bytes(b"GIF89a", media_type="image/gif", content_id="logo"))
        'logo.gif'
    """
    name = attachment.filename or attachment.content_id or "attachment"
    kind = attachment.media_type.partition(";")[0]
    if attachment.filename is not None or guess_media_type(name) == kind:
        return name
    from mimetypes import MimeTypes

    # Not the system's tables: the same message is the same request everywhere.
    return name + (MimeTypes().guess_extension(kind) or "")


def path_part(text: str) -> str:
    """Return a text as one segment of a path, whatever it holds (RFC 3986 §3.3).

    Example:
        >>> path_part("../a b")
        '..%2Fa%20b'
    """
    part = quote(text, safe="")
    # A segment of dots alone would be resolved against its neighbours (RFC 3986 §5.2.4), and cannot be escaped.
    if not part.strip("."):
        raise MessageError(f"{text!r} cannot be a part of a URL's path: give a name or an id")
    return part


def merged(payload: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload with a provider's raw fields laid over it; mappings are merged, all else is replaced.

    Example:
        >>> merged({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}, "c": 4})
        {'a': {'b': 1, 'd': 3}, 'c': 4}
    """
    result = dict(payload)
    for name, value in options.items():
        mine = result.get(name)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        result[name] = merged(cast("Mapping[str, Any]", mine), cast("Mapping[str, Any]", value)) if both else value
    return result
