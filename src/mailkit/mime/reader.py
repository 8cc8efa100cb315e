"""Standard library message → the keyword arguments of a Message, with nothing dropped in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailkit.errors import MessageError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.mime.address_list import parse_address_list
from mailkit.mime.decoding import decode_words
from mailkit.mime.foreign_fields import fields_in, parse_date, parse_identifiers
from mailkit.mime.foreign_parts import PartReader
from mailkit.mime.headers import is_structured

if TYPE_CHECKING:
    import email.message
    from collections.abc import Callable, Iterable

    from mailkit.address import Address
    from mailkit.mime.foreign_fields import ForeignField

__all__ = ["fields_of", "fields_of_header"]

_PART_FIELDS = frozenset(
    {
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-id",
        "mime-version",
        "content-description",
    }
)
_ONE_CLICK = "List-Unsubscribe=One-Click"


def fields_of(message: email.message.Message[Any, Any]) -> dict[str, Any]:
    """Return the keyword arguments that make a Message of a standard library message.

    What only describes a part (Content-Description, dates and size in Content-Disposition) or how a text was laid out
    (``format=flowed``) is left out, as are preambles; everything else is in the result, or is an error.

    Args:
        message: Read from octets or built by a program, with any policy.

    Raises:
        MessageError: It is malformed, or holds something that a Message cannot express; the error names it.
        AddressError: One of its addresses is not valid.
    """
    parts = PartReader()
    parts.read(message)
    found = dict(parts.fields)
    if parts.attachments:
        found["attachments"] = tuple(parts.attachments)
    return fields_of_header(fields_in(message)) | found


def fields_of_header(fields: Iterable[ForeignField]) -> dict[str, Any]:
    """Return the keyword arguments that make a Message of header fields alone.

    Raises:
        MessageError: One of them is malformed; the error names it.
        AddressError: An address is not valid.
    """
    header = _Header()
    for field in fields:
        header.read(field)
    return header.complete()


class _Header:
    """Reads the fields of the header one after the other."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._headers: list[tuple[str, str]] = []
        self._one_click = False

    def read(self, field: ForeignField) -> None:
        key = field.name.lower()
        if key in _READERS:
            _READERS[key](self, field)
        elif key not in _PART_FIELDS:
            self._headers.append((field.name, field.text if is_structured(field.name) else _text(field)))

    def read_many(self, field: ForeignField) -> None:
        # RFC 5322 §3.6 allows one of each; several are one list in pieces.
        name = _name(field)
        self._found[name] = (*self._found.get(name, ()), *_addresses(field))

    def read_one(self, field: ForeignField) -> None:
        addresses = _addresses(field)
        if len(addresses) != 1:
            raise MessageError(f"{field.name} holds {len(addresses)} addresses: keep one of them")
        self._set(field, addresses[0])

    def read_return_path(self, field: ForeignField) -> None:
        if field.text == "<>":
            self._set(field, "")
        else:
            self.read_one(field)

    def read_subject(self, field: ForeignField) -> None:
        self._set(field, _text(field))

    def read_date(self, field: ForeignField) -> None:
        self._set(field, parse_date(field.text))

    def read_identifier(self, field: ForeignField) -> None:
        identifiers = parse_identifiers(field.text, field.name)
        if len(identifiers) != 1:
            raise MessageError(f"{field.name} holds {len(identifiers)} identifiers: keep one of them")
        self._set(field, identifiers[0])

    def read_references(self, field: ForeignField) -> None:
        self._set(field, tuple(parse_identifiers(field.text, field.name)))

    def read_targets(self, field: ForeignField) -> None:
        # RFC 2369 §2: URLs in angle brackets, commas between them. A comma inside of the brackets belongs to
        # the URL.
        self._set(field, parse_identifiers(field.text.replace(">,", "> ").rstrip(", "), field.name))

    def read_one_click(self, field: ForeignField) -> None:
        if field.text.replace(" ", "") != _ONE_CLICK:
            raise MessageError(f"{field.name} {field.text[:60]!r} is not {_ONE_CLICK!r} (RFC 8058 §3.1)")
        self._one_click = True

    def complete(self) -> dict[str, Any]:
        """Return all that has been found."""
        found = {name: value for name, value in self._found.items() if value != ()}
        if self._headers:
            found["headers"] = tuple(self._headers)
        if "list_unsubscribe" in found:
            found["list_unsubscribe"] = ListUnsubscribe(found["list_unsubscribe"], one_click=self._one_click)
        elif self._one_click:
            raise MessageError("List-Unsubscribe-Post stands there without List-Unsubscribe: remove it (RFC 8058 §3.1)")
        return found

    def _set(self, field: ForeignField, value: object) -> None:
        name = _name(field)
        if name in self._found:
            raise MessageError(f"the message has two fields {field.name}: keep one of them (RFC 5322 §3.6)")
        self._found[name] = value


_READERS: dict[str, Callable[[_Header, ForeignField], None]] = {
    "bcc": _Header.read_many,
    "cc": _Header.read_many,
    "date": _Header.read_date,
    "from": _Header.read_one,
    "in-reply-to": _Header.read_identifier,
    "list-unsubscribe": _Header.read_targets,
    "list-unsubscribe-post": _Header.read_one_click,
    "message-id": _Header.read_identifier,
    "references": _Header.read_references,
    "reply-to": _Header.read_many,
    "return-path": _Header.read_return_path,
    "sender": _Header.read_one,
    "subject": _Header.read_subject,
    "to": _Header.read_many,
}


def _name(field: ForeignField) -> str:
    name = field.name.lower().replace("-", "_")
    return "from_" if name == "from" else name


def _addresses(field: ForeignField) -> list[Address]:
    return parse_address_list(field.text, field.name, encoded=field.is_encoded)


def _text(field: ForeignField) -> str:
    return decode_words(field.text, field.name) if field.is_encoded else field.text
