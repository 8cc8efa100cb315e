"""What a part of a message is: type, subtype and parameters (RFC 2045 §5), checked and in one spelling."""

from __future__ import annotations

import codecs
import re
from typing import NoReturn

from mailkit.errors import MessageError
from mailkit.validation import header_text

__all__ = ["charset_of", "check_charset", "guess_media_type", "normalize_media_type"]

DEFAULT = "application/octet-stream"

_MAX_LENGTH = 255
_WORD = r"[A-Za-z0-9!#$&\-^_.+%'*`{|}~]+"  # RFC 2045 §5.1: no space, no control, no tspecial
# Without "*", "%" and "'", which RFC 2231 has for continuations and extended values.
_ATTRIBUTE = r"[A-Za-z0-9!#$&\-^_.+`{|}~]+"
_TYPE = re.compile(rf"({_WORD})/({_WORD})")
_PARAMETER = re.compile(rf"\s*;\s*({_ATTRIBUTE})=(?:({_WORD})|\"((?:[ !#-\[\]-~]|\\[ -~])*)\")")
_ESCAPED = re.compile(r"\\(.)")
_IS_WORD = re.compile(_WORD)

_COMPRESSED = {
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",  # RFC 6713
    "xz": "application/x-xz",
}

# Python calls these text encodings. Some hide ASCII from filters (utf-7), some are no charset of MIME at all.
_NO_CHARSETS = frozenset(
    {"idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)


def normalize_media_type(value: str) -> str:
    """Return ``type/subtype`` in lower case, parameters in one spelling: ``text/plain; charset=utf-8``.

    Raises:
        MessageError: It is no media type; it is ``multipart/…``, which only mailkit writes; a parameter has
            another place (``name``, ``boundary``); or its charset is unknown or unsafe.
    """
    header_text(value, "media_type")
    found = _TYPE.match(value)
    if found is None or len(value) > _MAX_LENGTH:
        _refuse(value)
    kind = found[0].lower()
    if kind.startswith("multipart/"):
        raise MessageError(
            f"media_type {value!r} cannot be given to an attachment: mailkit writes the multiparts itself;"
            " attach the parts one by one, or a whole message with Attachment.from_message"
        )
    parameters: dict[str, str] = {}
    position = found.end()
    while position < len(value):
        part = _PARAMETER.match(value, position)
        if part is None or part[1].lower() in parameters:
            _refuse(value)
        parameters[part[1].lower()] = part[2] if part[2] is not None else _ESCAPED.sub(r"\1", part[3])
        position = part.end()
    return "; ".join([kind, *(f"{name}={_spell(name, text)}" for name, text in parameters.items())])


def charset_of(media_type: str) -> str | None:
    """Return the charset parameter of a normalized media type, in lower case."""
    _, separator, rest = media_type.partition("; charset=")
    return rest.partition(";")[0].strip('"').lower() if separator else None


def check_charset(value: str) -> str:
    """Return the charset in lower case.

    Raises:
        MessageError: Python does not know it, or mail must not have it (``utf-7``, ``idna``, ``base64``).
    """
    header_text(value, "charset")
    try:
        codec = codecs.lookup(value)
    except (LookupError, ValueError):  # ValueError: a NUL or a non-ASCII character in the name
        raise MessageError(f"charset {value!r} is not known: use 'utf-8'") from None
    if codec.name.replace("_", "-") in _NO_CHARSETS or not _is_text(codec):
        raise MessageError(f"charset {value!r} cannot be sent in mail: use 'utf-8'")
    return value.lower()


def guess_media_type(filename: str | None) -> str:
    """Return the media type that the file name's ending stands for, else ``application/octet-stream``."""
    _, dot, ending = (filename or "").rpartition(".")
    if not dot:
        return DEFAULT
    import mimetypes  # reads the system's tables: only for who needs them

    # Only the ending: mimetypes would read a name such as "data:…" as a URL.
    kind, encoding = mimetypes.guess_type(f"x.{ending}", strict=False)
    if encoding is not None:  # the web says this apart from the type; mail has only the type
        return _COMPRESSED.get(encoding, DEFAULT)
    return DEFAULT if kind is None or kind.startswith("multipart/") else kind


def _is_text(codec: codecs.CodecInfo) -> bool:
    return bool(getattr(codec, "_is_text_encoding", True))


def _spell(name: str, text: str) -> str:
    if name in {"name", "boundary"}:
        place = "filename" if name == "name" else "none: mailkit draws the boundaries"
        raise MessageError(f"media_type cannot have the parameter {name!r}; its place is {place}")
    if name == "charset":
        return check_charset(text)
    if _IS_WORD.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _refuse(value: str) -> NoReturn:
    raise MessageError(
        f"media_type {value[:60]!r} is not valid: write 'type/subtype' and parameters after it,"
        " such as 'application/pdf' or 'text/plain; charset=utf-8'"
    )
