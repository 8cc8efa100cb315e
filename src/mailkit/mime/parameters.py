"""Content-Type and Content-Disposition: media types, file names and their parameters (RFC 2045 §5, RFC 2231)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from mailkit.errors import MessageError
from mailkit.mime.headers import field, refuse_controls

__all__ = ["attachment_headers", "multipart_type"]

_WORD = r"[A-Za-z0-9!#$&\-^_.+%'*`{|}~]+"  # a token of RFC 2045 §5.1
_PARAMETER = re.compile(rf"; ({_WORD}=(?:{_WORD}|\"(?:[^\"\\]|\\.)*\"))")
_MEDIA_TYPE = re.compile(rf"(?!multipart/)({_WORD}/{_WORD})((?:{_PARAMETER.pattern})*)", re.IGNORECASE)

# What may stand in a quoted file name as it is. Not '"' and "\\", which readers unescape once, twice or
# never; not ";", which some take for the end even there; not "%", "'" and "*", which RFC 2231 gives a
# meaning; not "?", without which nothing looks like an encoded word; nor what no file system has in a name.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$&()+,\-.=@\[\]^_`{}~]+(?: [A-Za-z0-9!#$&()+,\-.=@\[\]^_`{}~]+)*")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9!#$&()+,\-.=@\[\]^_`{}~]+")
_MAX_PLAIN = 60

# RFC 2231 §7, attribute-char, and of those only what no reader takes for anything else.
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PERCENT = [chr(code) if code in _SAFE else f"%{code:02X}" for code in range(256)]
_CONTINUATION = ("%8", "%9", "%A", "%B")  # what is no character's first octet in UTF-8
_SECTION = 54  # characters in one line after 'filename*99*=' and "UTF-8''"


@lru_cache(maxsize=256)
def attachment_headers(media_type: str, filename: str | None, disposition: str) -> str:
    """Return Content-Type and Content-Disposition of an attachment.

    The name stands where RFC 2183 wants it, in Content-Disposition; if it is more than plain ASCII in the form of RFC
    2231, which Gmail, Apple Mail, Thunderbird and any Outlook of the last decade read. Older ones look into
    Content-Type, and find an ASCII form of it there. That form does not stand beside the real one as ``filename=``,
    because half of the readers then take it for the name; and it is no encoded word, which RFC 2047 §5 forbids in a
    parameter.

    Args:
        media_type: ``type/subtype``, parameters after it.
        filename: The base name, or None.
        disposition: ``attachment`` or ``inline``.

    Raises:
        MessageError: One of them cannot stand there.
    """
    found = _MEDIA_TYPE.fullmatch(media_type)
    if found is None:
        raise MessageError(f"media_type {media_type[:60]!r} cannot be sent: write 'type/subtype', parameters after it")
    if disposition not in {"attachment", "inline"}:
        raise MessageError(f"disposition {disposition[:60]!r} cannot be sent: use 'attachment' or 'inline'")
    content_type = [found[1], *_PARAMETER.findall(found[2])]
    content_disposition = [disposition]
    if filename is not None:
        refuse_controls("filename", filename)
        content_type.append(f'name="{_plain_name(filename)}"')
        content_disposition += _file_name(filename)
    return _parameterized("Content-Type", content_type) + _parameterized("Content-Disposition", content_disposition)


def multipart_type(subtype: str, boundary: str, root_type: str | None = None) -> str:
    """Return the Content-Type of a multipart.

    Args:
        subtype: ``mixed``, ``alternative`` or ``related``.
        boundary: What separates its parts, checked. It is always quoted: most boundaries are no tokens.
        root_type: The media type of the first part, which RFC 2387 §3.1 wants of a related one.
    """
    return f'{_up_to_boundary(subtype, root_type, len(boundary))}{boundary}"\r\n'


@lru_cache(maxsize=64)
def _up_to_boundary(subtype: str, root_type: str | None, length: int) -> str:
    # Folded and checked with another boundary of the same length, because one of 128 random bits comes only once.
    values = [f"multipart/{subtype}", f'boundary="{"0" * length}"']
    if root_type is not None:
        values.insert(1, f'type="{root_type}"')
    return _parameterized("Content-Type", values)[: -length - len('"\r\n')]


def _parameterized(name: str, values: list[str]) -> str:
    return field(name, [*[f"{value};" for value in values[:-1]], values[-1]])


def _file_name(filename: str) -> list[str]:
    if len(filename) <= _MAX_PLAIN and _PLAIN_NAME.fullmatch(filename) is not None:
        return [f'filename="{filename}"']
    try:
        encoded = filename.encode().decode("latin-1").translate(_PERCENT)
    except UnicodeEncodeError as error:
        raise MessageError(f"filename holds half a character at index {error.start}: give it as whole text") from None
    if len(encoded) <= _SECTION:
        return [f"filename*=UTF-8''{encoded}"]
    first, *rest = _sections(encoded)
    return [
        f"filename*0*=UTF-8''{first}",
        *[f"filename*{number}*={section}" for number, section in enumerate(rest, start=1)],
    ]


def _sections(encoded: str) -> list[str]:
    # RFC 2231 §3. Each section holds whole characters, because some readers decode each for itself.
    sections: list[str] = []
    start = 0
    while len(encoded) - start > _SECTION:
        end = start + _SECTION
        if encoded[end - 1] == "%":
            end -= 1
        elif encoded[end - 2] == "%":
            end -= 2
        while encoded.startswith(_CONTINUATION, end):
            end -= 3
        sections.append(encoded[start:end])
        start = end
    sections.append(encoded[start:])
    return sections


def _plain_name(filename: str) -> str:
    if len(filename) <= _MAX_PLAIN and _PLAIN_NAME.fullmatch(filename) is not None:
        return filename
    # "Résumé d'été.pdf" → "Resume_d_ete.pdf": accents go, and what else is not plain; the ending stays.
    decomposed = unicodedata.normalize("NFKD", filename)
    bare = "".join([character for character in decomposed if not unicodedata.combining(character)])
    plain = _NOT_PLAIN.sub("_", bare) or "_"
    if len(plain) <= _MAX_PLAIN:
        return plain
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > _MAX_PLAIN // 2:
        return plain[:_MAX_PLAIN]
    return f"{stem[: _MAX_PLAIN - 1 - len(ending)]}.{ending}"
