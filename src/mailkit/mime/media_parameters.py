"""Content-Type and Content-Disposition of others: a value and its parameters (RFC 2045 §5.1, RFC 2231)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from mailkit.errors import MessageError
from mailkit.mime.decoding import decode_charset, decode_words, is_encoded

__all__ = ["Parameterized", "parse_parameters"]

# Possessive: what has been read is never read again.
_SEGMENT = re.compile(r'[^;"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^;"]*+)*+')
_QUOTED_PAIR = re.compile(r"\\(.)")
_NAME = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?")


class Parameterized(NamedTuple):
    """A value, in lower case, and its parameters by their names in lower case."""

    value: str
    parameters: dict[str, str]


def parse_parameters(text: str, what: str) -> Parameterized:
    """Return a field's value and its parameters, put together from what RFC 2231 splits and encodes.

    Args:
        text: The field, unfolded and without control characters.
        what: The field's name, for errors.

    Raises:
        MessageError: It is malformed, or says the same twice.
    """
    value, *segments = _segments(text, what)
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for segment in segments:
        name, equals, written = segment.partition("=")
        found = _NAME.fullmatch(name.strip(" ").lower())
        if found is None or not equals:
            if segment.strip(" "):
                raise MessageError(f"{what} has a parameter without a name or a value: {segment[:40]!r}")
            continue  # a semicolon at the end
        content, base = _unquoted(written.strip(" ")), found[1]
        if found[2] is None and found[3] is None:
            if base in plain:
                raise MessageError(f"{what} has two parameters {base!r}: readers disagree on which one counts")
            plain[base] = content
            continue
        number = int(found[2] or 0)
        if number in sections.setdefault(base, {}):
            raise MessageError(f"{what} has two parameters {base!r}: readers disagree on which one counts")
        sections[base][number] = content, found[3] is not None
    parameters = {name: decode_words(text, what) if is_encoded(text) else text for name, text in plain.items()}
    for name, numbered in sections.items():
        parameters[name] = _joined(numbered, f"{what}'s {name!r}")
    return Parameterized(value.strip(" ").lower(), parameters)


def _segments(text: str, what: str) -> list[str]:
    segments: list[str] = []
    position = 0
    while True:
        found = _SEGMENT.match(text, position)
        end = position if found is None else found.end()
        segments.append(text[position:end])
        if end == len(text):
            return segments
        if text[end] == '"':
            raise MessageError(f"{what} has a quote that does not end")
        position = end + 1


def _unquoted(text: str) -> str:
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        return _QUOTED_PAIR.sub(r"\1", text[1:-1])
    return text


def _joined(numbered: dict[int, tuple[str, bool]], what: str) -> str:
    ordered = [numbered.get(number) for number in range(len(numbered))]
    octets: list[bytes] = []
    charset = "utf-8"
    for number, section in enumerate(ordered):
        if section is None:
            raise MessageError(f"{what} lacks a part of its value (RFC 2231 §3): it may be cut off")
        text, is_encoded_section = section
        if is_encoded_section and number == 0:
            named, first, rest = text.partition("'")
            _, second, text = rest.partition("'")
            if not first or not second:
                raise MessageError(f"{what} names no charset (RFC 2231 §4)")
            charset = named or "us-ascii"
        data = text.encode("utf-8", "surrogatepass")
        octets.append(unquote_to_bytes(data) if is_encoded_section else data)
    return decode_charset(b"".join(octets), charset, what)
