"""The parts of a standard library message → text in its forms, and attachments."""

from __future__ import annotations

import re
from email.message import Message as ForeignMessage
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, cast

from mailkit.attachment import Attachment
from mailkit.calendar import Calendar
from mailkit.errors import MessageError
from mailkit.media_type import check_charset
from mailkit.mime.decoding import decode_charset, decode_transfer
from mailkit.mime.foreign_fields import fields_in, parse_identifiers
from mailkit.mime.media_parameters import Parameterized, parse_parameters

if TYPE_CHECKING:
    from mailkit.mime.foreign_fields import ForeignField

__all__ = ["PartReader", "read_attachment"]

_MAX_DEPTH = 50
_SURROGATE = re.compile("[\ud800-\udfff]")
_FORMS = {"text/plain": "text", "text/html": "html", "text/x-amp-html": "amp", "text/calendar": "calendar"}
# Parameters of a text that say how it was written down, and nothing about what it says.
_LAYOUT = frozenset({"charset", "format", "delsp", "reply-type"})
# Fields and parameters that only describe what is there anyway.
_DESCRIPTIONS = frozenset({"content-description", "x-attachment-id", "mime-version"})
_DISPOSITION_PARAMETERS = frozenset({"filename", "size", "creation-date", "modification-date", "read-date"})
_PARSED = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "content-id"})


class _Part(NamedTuple):
    message: ForeignMessage[Any, Any]
    what: str
    content_type: Parameterized
    encoding: str
    disposition: Parameterized
    content_id: str | None

    @property
    def filename(self) -> str | None:
        return self.disposition.parameters.get("filename") or self.content_type.parameters.get("name") or None

    @property
    def is_form(self) -> bool:
        return self.content_type.value in _FORMS and self.disposition.value != "attachment" and not self.filename


class PartReader:
    """Reads a tree of parts into the fields of a Message.

    Attributes:
        fields: ``text``, ``html``, ``amp`` and ``calendar``, where there are some.
        attachments: The other parts, in their order.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.attachments: list[Attachment] = []

    def read(self, message: ForeignMessage[Any, Any]) -> None:
        """Read a whole message.

        Raises:
            MessageError: It holds something that a Message cannot express.
        """
        root = _describe(message, "the message", is_root=True)
        if not _is_multipart(root) and root.is_form:
            if _payload(root) is not None:
                # The line end of its last line belongs to the message: the writer adds it if the text has
                # none.
                is_lines = root.encoding != "base64"
                self._form(root, _text(root).removesuffix("\n") if is_lines else _text(root))
            return
        self._read(root, depth=0, takes_text=True)

    def _read(self, part: _Part, *, depth: int, takes_text: bool) -> None:
        if not _is_multipart(part):
            if takes_text and part.is_form:
                self._form(part, _text(part))
            else:
                self._attach(part, is_inline=None)
            return
        if depth == _MAX_DEPTH:
            raise MessageError(f"the message is nested more than {_MAX_DEPTH} parts deep: flatten it")
        parts = [_describe(inner, f"part {number}") for number, inner in enumerate(_children(part), start=1)]
        match part.content_type.value:
            case "multipart/mixed":
                self._read_mixed(parts, depth=depth, takes_text=takes_text)
            case "multipart/alternative" if takes_text:
                self._read_alternative(parts, depth=depth)
            case "multipart/related" if takes_text:
                self._read_related(part, parts, depth=depth)
            case kind:
                raise MessageError(
                    f"a part is {kind[:60]!r}, which a Message cannot express there: attach it as a file"
                )

    def _read_mixed(self, parts: list[_Part], *, depth: int, takes_text: bool) -> None:
        for part in parts:
            # The text is the first part that can be one; what follows is shown after it.
            is_text = takes_text and not self.fields
            if _is_multipart(part):
                self._read(part, depth=depth + 1, takes_text=is_text)
            elif is_text and part.is_form:
                self._form(part, _text(part))
            else:
                self._attach(part, is_inline=True if part.is_form else None)

    def _read_alternative(self, parts: list[_Part], *, depth: int) -> None:
        for part in parts:
            if _is_multipart(part):
                self._read_alternative_multipart(part, depth=depth)
            elif part.is_form:
                self._form(part, _text(part))
            else:
                kind = part.content_type.value
                raise MessageError(f"the text has a form of the type {kind[:60]!r}, which a Message cannot express")

    def _read_alternative_multipart(self, part: _Part, *, depth: int) -> None:
        before = dict(self.fields)
        self.fields = {}
        self._read(part, depth=depth + 1, takes_text=True)
        twice = before.keys() & self.fields.keys()
        if twice:
            raise MessageError(f"the message has two texts of the form {min(twice)!r}: keep one of them")
        self.fields = before | self.fields

    def _read_related(self, whole: _Part, parts: list[_Part], *, depth: int) -> None:
        if not parts:
            raise MessageError("a multipart/related has no parts: the message may be cut off")
        start = whole.content_type.parameters.get("start", "").strip("<> ")
        root = next((part for part in parts if start and part.content_id == start), parts[0])
        self._read(root, depth=depth + 1, takes_text=True)
        for part in parts:
            if part is not root:
                self._attach(part, is_inline=True)

    def _form(self, part: _Part, text: str) -> None:
        form = _FORMS[part.content_type.value]
        if form in self.fields:
            raise MessageError(f"the message has two texts of the form {form!r}: keep one of them")
        parameters = part.content_type.parameters
        known = _LAYOUT | {"method"} if form == "calendar" else _LAYOUT
        _refuse_others(parameters, known, f"{part.what}'s Content-Type")
        self.fields[form] = Calendar(text, method=parameters.get("method")) if form == "calendar" else text

    def _attach(self, part: _Part, *, is_inline: bool | None) -> None:
        self.attachments.append(_attachment(part, is_inline=is_inline))


def _attachment(part: _Part, *, is_inline: bool | None) -> Attachment:
    disposition: Any = part.disposition.value or ("inline" if is_inline else None)
    data = _message_bytes(part) if part.content_type.value.startswith("message/") else _bytes(part)
    if part.content_type.value == "message/rfc822" and part.content_id is None:
        return Attachment.from_message(data, part.filename, disposition=disposition)
    return Attachment.from_bytes(
        data, part.filename, _media_type(part), content_id=part.content_id, disposition=disposition
    )


def read_attachment(part: ForeignMessage[Any, Any]) -> Attachment:
    """Return one part of a standard library message as an attachment, whatever is in it.

    Raises:
        MessageError: It has parts of its own, or something that an Attachment cannot express.
    """
    described = _describe(part, "the attached part")
    if _is_multipart(described):
        raise MessageError(f"an attached part is {described.content_type.value[:60]!r}: attach its parts one by one")
    return _attachment(described, is_inline=None)


def _describe(message: object, what: str, *, is_root: bool = False) -> _Part:
    if not _is_message(message):
        raise MessageError(f"{what} is of type {type(message).__name__}: it has to be an email.message.Message")
    found: dict[str, ForeignField] = {}
    for field in fields_in(message):
        key = field.name.lower()
        if key in _PARSED:
            if key in found:
                raise MessageError(f"{what} has two fields {field.name}: readers disagree on which one counts")
            found[key] = field
        elif not (key in _DESCRIPTIONS or is_root):
            raise MessageError(
                f"{what} has the field {field.name[:60]!r}, which an Attachment cannot express: remove it"
            )
    content_type = _parameterized(found.get("content-type"), "text/plain", f"{what}'s Content-Type")
    disposition = _parameterized(found.get("content-disposition"), "", f"{what}'s Content-Disposition")
    if disposition.value not in {"", "attachment", "inline"}:
        raise MessageError(f"{what} has the disposition {disposition.value[:40]!r}: use 'attachment' or 'inline'")
    _refuse_others(disposition.parameters, _DISPOSITION_PARAMETERS, f"{what}'s Content-Disposition")
    encoding = found.get("content-transfer-encoding")
    content_id = found.get("content-id")
    identifiers = parse_identifiers(content_id.text, f"{what}'s Content-ID") if content_id and content_id.text else []
    if len(identifiers) > 1:
        raise MessageError(f"{what} has {len(identifiers)} identifiers in its Content-ID: keep one of them")
    return _Part(
        message,
        what,
        content_type,
        encoding.text.lower() if encoding else "",
        disposition,
        identifiers[0] if identifiers else None,
    )


def _parameterized(field: ForeignField | None, default: str, what: str) -> Parameterized:
    if field is None or not field.text:
        return Parameterized(default, {})
    if field.parameters is None:
        return parse_parameters(field.text, what)
    # A field that a program has set: the library has taken it apart, and its text may no longer show where.
    parameters = {str(name).lower(): str(value) for name, value in field.parameters.items()}
    return Parameterized(field.text.partition(";")[0].strip(" ").lower(), parameters)


def _refuse_others(parameters: dict[str, str], known: frozenset[str] | set[str], what: str) -> None:
    for name in parameters:
        if name not in known:
            raise MessageError(f"{what} has the parameter {name[:40]!r}, which cannot be expressed: remove it")


def _is_multipart(part: _Part) -> bool:
    return part.content_type.value.startswith("multipart/")


def _is_message(value: object) -> TypeGuard[ForeignMessage[Any, Any]]:
    return isinstance(value, ForeignMessage)


def _payload(part: _Part) -> Any:
    # Not through get_payload: it decodes by whatever stands where the charset should, and replaces what it
    # cannot decode.
    return vars(part.message).get("_payload")


def _children(part: _Part) -> list[object]:
    payload = _payload(part)
    if not isinstance(payload, list):
        raise MessageError(f"{part.what} is a multipart without parts: its boundary is missing, or it was cut off")
    return cast("list[object]", payload)


def _bytes(part: _Part) -> bytes:
    payload = _payload(part)
    if payload is None:
        payload = ""
    if not isinstance(payload, str):
        raise MessageError(
            f"{part.what} ({part.content_type.value[:60]}) holds a {type(payload).__name__} instead of its content"
        )
    # What was read from octets is ASCII, with the other octets as surrogates; what a program has set may be
    # any text.
    was_read = payload.isascii() or _SURROGATE.search(payload) is not None
    try:
        data = payload.encode("ascii", "surrogateescape") if was_read else payload.encode(_charset(part))
    except UnicodeError:
        raise MessageError(f"{part.what} holds characters that its charset does not have: use UTF-8") from None
    return decode_transfer(data, part.encoding, part.what)


def _charset(part: _Part) -> str:
    # Without one it is US-ASCII (RFC 2045 §5.2), of which UTF-8 is the superset that people mean.
    return check_charset(part.content_type.parameters.get("charset", "utf-8"))


def _text(part: _Part) -> str:
    return decode_charset(_bytes(part), _charset(part), part.what).replace("\r\n", "\n")


def _message_bytes(part: _Part) -> bytes:
    payload = _payload(part)
    if isinstance(payload, list):
        inner = cast("list[object]", payload)
        if len(inner) == 1 and _is_message(inner[0]):
            # RFC 2046 §5.2.1 forbids to encode it. Where that was done all the same, only base64 comes out of
            # the library's parser as it went in.
            if part.encoding == "quoted-printable":
                raise MessageError(
                    f"{part.what} is a message in quoted-printable, which RFC 2046 forbids: decode it by hand"
                )
            return decode_transfer(_serialized(inner[0], part.what), part.encoding, part.what)
    return _bytes(part)


def _serialized(message: ForeignMessage[Any, Any], what: str) -> bytes:
    settings: dict[str, Any] = {"linesep": "\r\n", "cte_type": "8bit", "max_line_length": None}
    if hasattr(message.policy, "refold_source"):
        settings["refold_source"] = "none"
    try:
        return message.as_bytes(policy=message.policy.clone(**settings))
    except Exception as error:  # the library promises nothing for what it has read without complaint
        raise MessageError(f"{what} is a message that cannot be written again: {error}") from error


def _media_type(part: _Part) -> str:
    kind, parameters = part.content_type
    pieces = [kind]
    for name, value in parameters.items():
        if name not in {"name", "boundary"}:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            pieces.append(f'{name}="{escaped}"')
    return "; ".join(pieces)
