"""Forms, for the providers that want no JSON: a payload's fields, and ``multipart/form-data`` (RFC 7578)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

from attrs import field, frozen

from mailkit.providers.content import dump

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["File", "form_fields", "multipart", "with_fields"]

# What browsers do (HTML, "Multipart form data"), and what servers undo: RFC 7578 §2 leaves the escapes open.
_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


@frozen
class File:
    """A file in a form.

    Example:
        >>> File("a.csv", b"1;2", "text/csv")
        File(filename='a.csv', media_type='text/csv')

    Args:
        filename: Its name.
        content: Its bytes.
        media_type: What they are.
    """

    filename: str
    content: bytes = field(repr=False)
    media_type: str = "application/octet-stream"


def form_fields(payload: Mapping[str, Any]) -> list[tuple[str, str | File]]:
    """Return a payload as a form knows it: several values of one name in a row, mappings as JSON.

    Example:
        >>> form_fields({"to": ["a@example.com", "b@example.com"], "t:variables": {"n": 1}, "n": 2, "is_on": True})
        [('to', 'a@example.com'), ('to', 'b@example.com'), ('t:variables', '{"n":1}'), ('n', '2'), ('is_on', 'true')]

    Raises:
        MessageError: A value is no JSON.
    """
    fields: list[tuple[str, str | File]] = []
    for name, value in payload.items():
        several = cast("Iterable[Any]", value) if isinstance(value, list | tuple) else (value,)
        fields += [(name, each if isinstance(each, str | File) else dump(each).decode()) for each in several]
    return fields


def multipart(fields: Iterable[tuple[str, str | File]]) -> tuple[bytes, str]:
    """Return a form's octets, and its media type with the boundary (RFC 7578 §4).

    Example:
        >>> body, media_type = multipart([("subject", "Hello")])
        >>> media_type.partition("=")[0]
        'multipart/form-data; boundary'
        >>> body.count(b"Hello")
        1

    Args:
        fields: Names and values, in order. Text goes out in UTF-8.
    """
    parts = [_part(name, value) for name, value in fields]
    # A hash of all parts stands in none of them, and the same form gives the same octets.
    whole = sha256()
    for part in parts:
        whole.update(part)
    boundary = whole.hexdigest()[:48]
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join([delimiter + part + b"\r\n" for part in parts]) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def with_fields(body: bytes, media_type: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """Return a form's octets with more fields before the others: for keys, which come last of all.

    Example:
        >>> with_fields(b"subject=Hello", "application/x-www-form-urlencoded", [("key", "a&b")])
        b'key=a%26b&subject=Hello'

    Args:
        body: What :func:`multipart` returned, or a form of ``application/x-www-form-urlencoded``.
        media_type: Its media type, with the boundary.
        fields: Names and values; none of them a file.
    """
    _, is_multipart, boundary = media_type.partition("; boundary=")
    if not is_multipart:
        return b"&".join(filter(None, (urlencode(list(fields)).encode("ascii"), body)))
    return b"".join([b"--%b\r\n%b\r\n" % (boundary.encode(), _part(*each)) for each in fields]) + body


def _part(name: str, value: str | File) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name.translate(_ESCAPES)}"'
    if isinstance(value, str):
        return f"{disposition}\r\n\r\n{value}".encode()
    filename = value.filename.translate(_ESCAPES)
    head = f'{disposition}; filename="{filename}"\r\nContent-Type: {value.media_type}\r\n\r\n'
    return head.encode() + value.content
