"""Secrets taken out of what a server says: some repeat the password, or the line that carried it."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailkit.secret import Secret

__all__ = ["Redactor", "printable", "redact"]

_MASK: Final = "***"

# Shorter ones stand in ordinary words: they are masked only where they stand alone.
_LONG_ENOUGH: Final = 4

_ALONE: Final = r"(?<![A-Za-z0-9]){}(?![A-Za-z0-9])"
_BASE64_WORD = re.compile(r"[A-Za-z0-9+/_=-]+")


class Redactor:
    """Masks secrets in text: as they are, percent-encoded, and in base64, alone or within a longer message.

    Example:
        >>> from mailkit.secret import Secret
        >>> Redactor([Secret("hunter2")])("535 no such pass=hunter2, line AGFubgBodW50ZXIy")
        '535 no such pass=***, line ***'

    Args:
        secrets: What must not be seen; empty ones are ignored.
    """

    __slots__ = ("_literals", "_words")

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = [secret.reveal() for secret in secrets if secret]
        literals = {form for value in values for form in _literal_forms(value)}
        # The longest first: where one form is a part of another, the whole goes.
        patterns = [_pattern(form) for form in sorted(literals, key=len, reverse=True)]
        self._literals = re.compile("|".join(patterns)) if patterns else None
        words = {word for value in values for word in _within_base64(value)}
        self._words = re.compile("|".join(map(re.escape, sorted(words)))) if words else None

    def __repr__(self) -> str:
        return "Redactor(***)"

    def __call__(self, text: str) -> str:
        """Return `text` with every secret as ``***``."""
        words = self._words
        if words is not None and words.search(text):
            # What surrounds the secret in base64 goes as well: its neighbours share bits with it.
            text = _BASE64_WORD.sub(lambda match: _MASK if words.search(match[0]) else match[0], text)
        return text if self._literals is None else self._literals.sub(_MASK, text)


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """Return `text` with every secret as ``***``: a :class:`Redactor` for one use."""
    return Redactor(secrets)(text)


def _literal_forms(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield printable(data)  # how a reply's text shows it
    yield printable(value.encode("latin-1", "backslashreplace"))  # and that of a server that knows no UTF-8
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        yield encoded.decode("ascii")
        yield encoded.decode("ascii").rstrip("=")


def _within_base64(value: str) -> Iterator[str]:
    # Wherever a message holds the secret, base64 cuts it at one of three alignments; of each, only the characters
    # that the secret alone decides are known: those that share no bit with what stands before or after.
    data = value.encode("utf-8", "surrogatepass")
    for lead, skipped in enumerate((0, 2, 3)):
        decided = (lead + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(bytes(lead) + data).decode("ascii")[skipped:decided]
            if len(core) >= _LONG_ENOUGH:
                yield core


def _pattern(form: str) -> str:
    return re.escape(form) if len(form) >= _LONG_ENOUGH else _ALONE.format(re.escape(form))


def printable(data: bytes) -> str:
    r"""Return foreign bytes as text that is safe in a log, a terminal and an exception.

    UTF-8 reads as itself (RFC 6531 §3.7.4.3 lets servers answer so), other bytes and every character that is
    not printable (controls, ESC, bidirectional overrides, line separators) as a backslash escape.

    Example:
        >>> printable(b"caf\xc3\xa9 \xff \x1b[2J")
        'café \\xff \\x1b[2J'
    """
    text = data.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
