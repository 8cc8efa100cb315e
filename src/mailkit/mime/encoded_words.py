"""Encoded words: text beyond ASCII in a header field (RFC 2047)."""

from __future__ import annotations

from binascii import b2a_base64

from mailkit.errors import MessageError

__all__ = ["MIN_ROOM", "encoded_words"]

_MAX_WORD = 75  # RFC 2047 §2, "=?utf-8?q?" and "?=" included
_FRAME = 12
_LONGEST_CHARACTER = 12  # four octets of UTF-8, three characters each

MIN_ROOM = _FRAME + _LONGEST_CHARACTER
"""A word of fewer characters than this may not hold even one character of text."""

# RFC 2047 §5 (3): the characters that stand for themselves in a phrase, which is the strictest of the places.
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q = ["_" if code == 32 else chr(code) if code in _SAFE else f"={code:02X}" for code in range(256)]
_CONTINUATION = ("=8", "=9", "=A", "=B")  # what is no character's first octet in UTF-8


def encoded_words(text: str, *, room: int = _MAX_WORD) -> list[str]:
    """Return the words that stand for a text, in the shorter of the two encodings.

    A reader drops the white space between two encoded words, so the spaces of the text are inside of them. No
    character is ever split (RFC 2047 §5).

    Args:
        text: Any text without lone surrogates, not empty.
        room: How many characters the first word may have: at least `MIN_ROOM`.

    Raises:
        MessageError: The text holds a lone surrogate.
    """
    try:
        octets = text.encode()
    except UnicodeEncodeError as error:
        raise MessageError(
            f"a header field holds half a character at index {error.start}: decode it with the right encoding first"
        ) from None
    quoted = octets.decode("latin-1").translate(_Q)
    room = min(room, _MAX_WORD) - _FRAME
    if len(quoted) <= -(-len(octets) // 3) * 4:
        return [f"=?utf-8?q?{piece}?=" for piece in _quoted_pieces(quoted, room)]
    return [f"=?utf-8?b?{b2a_base64(piece, newline=False).decode()}?=" for piece in _pieces(octets, room)]


def _quoted_pieces(quoted: str, room: int) -> list[str]:
    pieces: list[str] = []
    start = 0
    while len(quoted) - start > room:
        end = start + room
        # Not within an escape "=C3", of which "=" can only be the first character …
        if quoted[end - 1] == "=":
            end -= 1
        elif quoted[end - 2] == "=":
            end -= 2
        # … nor before one that goes on with the same character.
        while quoted.startswith(_CONTINUATION, end):
            end -= 3
        pieces.append(quoted[start:end])
        start = end
        room = _MAX_WORD - _FRAME
    pieces.append(quoted[start:])
    return pieces


def _pieces(octets: bytes, room: int) -> list[bytes]:
    pieces: list[bytes] = []
    start = 0
    while len(octets) - start > (most := room // 4 * 3):
        end = start + most
        while octets[end] & 0b1100_0000 == 0b1000_0000:  # a continuation octet of UTF-8
            end -= 1
        pieces.append(octets[start:end])
        start = end
        room = _MAX_WORD - _FRAME
    pieces.append(octets[start:])
    return pieces
