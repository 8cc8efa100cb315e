"""What others have encoded, decoded strictly: charsets, encoded words, transfer encodings."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp

from mailkit.errors import MessageError
from mailkit.media_type import check_charset

__all__ = ["decode_charset", "decode_transfer", "decode_words", "is_encoded"]

# RFC 2047 §2, with the language of RFC 2231 §5. No "?" within a piece, so that each is looked at a few times
# at most.
_WORD = r"=\?([!-)+->@-~]+)(?:\*[!->@-~]*)?\?([BbQq])\?([!->@-~]*)\?="
_ENCODED_WORD = re.compile(_WORD)
_ONLY_ENCODED_WORDS = re.compile(rf"{_WORD}(?: +{_WORD})*")
_IN_Q = re.compile(r"=([0-9A-Fa-f]{2})")
_UNESCAPED = re.compile(r"=(?![0-9A-Fa-f]{2})")


def decode_charset(data: bytes, charset: str, what: str) -> str:
    """Return octets as text.

    Raises:
        MessageError: The charset is unknown or unsafe, or it is not what the octets are in.
    """
    check_charset(charset)
    try:
        return data.decode(charset)
    except UnicodeError:
        raise MessageError(f"{what} is not in the charset {charset} that it names: decode it by hand") from None


def decode_words(text: str, what: str) -> str:
    """Return a text with its encoded words decoded; what only looks like one stays as it is (RFC 2047 §6.3).

    Raises:
        MessageError: A word's charset is unknown or unsafe, or not what its octets are in.
    """
    if "=?" not in text:
        return text
    pieces: list[str] = []
    octets, charset = b"", ""  # the words that have not been decoded yet
    position = 0
    for word in _ENCODED_WORD.finditer(text):
        between = text[position : word.start()]
        data = _octets(word[2], word[3])
        if data is None:
            continue
        # Some writers split a character between two words, so words of one charset are decoded together.
        follows = bool(octets or charset) and between.strip(" ") == ""
        if not follows or word[1].lower() != charset:
            pieces.append(decode_charset(octets, charset, what) if charset else "")
            octets, charset = b"", word[1].lower()
            if not follows:
                pieces.append(between)
        octets += data
        position = word.end()
    pieces.append(decode_charset(octets, charset, what) if charset else "")
    pieces.append(text[position:])
    return "".join(pieces)


def is_encoded(text: str) -> bool:
    """Return whether a text consists of encoded words and nothing else."""
    return _ONLY_ENCODED_WORDS.fullmatch(text) is not None


def decode_transfer(data: bytes, encoding: str, what: str) -> bytes:
    """Return what stands in a part.

    Args:
        data: The part's octets.
        encoding: Its Content-Transfer-Encoding, in lower case; "" is the default, 7bit.
        what: How to name it in an error.

    Raises:
        MessageError: The encoding is unknown, or the octets are not in it.
    """
    if encoding in {"", "7bit", "8bit", "binary"}:
        return data
    if encoding == "quoted-printable":
        return a2b_qp(data)
    if encoding == "base64":
        try:
            return a2b_base64(data)
        except Base64Error:
            raise MessageError(f"{what} is in broken base64: get the message once more, it may be cut off") from None
    raise MessageError(f"{what} is in the unknown encoding {encoding[:40]!r}: decode it by hand")


def _octets(encoding: str, text: str) -> bytes | None:
    if encoding in "Qq":
        if _UNESCAPED.search(text) is not None:
            return None
        return a2b_qp(text, header=True)
    try:
        return a2b_base64(text, strict_mode=True)
    except Base64Error:
        return None
