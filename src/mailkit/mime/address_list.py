"""The text of an address field → addresses (RFC 5322 §3.4), in one pass from left to right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailkit.address import Address
from mailkit.errors import AddressError, MessageError
from mailkit.mime.decoding import decode_words

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse_address_list"]

# Possessive throughout: what has been read is never read again. A quote that does not end matches as a lone
# quote.
_TOKEN = re.compile(r'( ++)|("[^"\\]*+(?:\\.[^"\\]*+)*+")|([^ "(),:;<>]++)|(["(),:;<>])')
_IN_COMMENT = re.compile(r"\\.|[()]")
_QUOTED_PAIR = re.compile(r"\\(.)")


def parse_address_list(text: str, what: str, *, encoded: bool) -> list[Address]:
    """Return the mailboxes of a field.

    An empty group (``undisclosed-recipients:;``) has none. A comment after a bare address is its name, as it was in
    the days before display names.

    Args:
        text: The field, unfolded and without control characters.
        what: The field's name, for errors.
        encoded: Whether encoded words in it are encoded words.

    Raises:
        MessageError: It is no list of mailboxes, or holds a group with members or a comment somewhere else.
        AddressError: One of the mailboxes is not valid.
    """
    addresses: list[Address] = []
    entry = _Entry(what, encoded=encoded)
    in_group = False
    for kind, written in _tokens(text, what):
        if kind == "special" and written in ",;:":
            address = entry.take(is_group=written == ":")
            if address is not None and in_group:
                raise MessageError(f"{what} holds a group: list its members as addresses of their own")
            if (written == ":" and in_group) or (written == ";" and not in_group):
                raise MessageError(f"{what} has a {written!r} out of place: put names that hold one in double quotes")
            in_group = written == ":" or (in_group and written == ",")
            if address is not None:
                addresses.append(address)
        else:
            entry.add(kind, written)
    address = entry.take(is_group=False)
    if in_group:
        raise MessageError(f"{what} holds a group that does not end: list its members as addresses of their own")
    if address is not None:
        addresses.append(address)
    return addresses


class _Entry:
    """One element of the list, as far as it has been read."""

    def __init__(self, what: str, *, encoded: bool) -> None:
        self._what = what
        self._encoded = encoded
        self._clear()

    def _clear(self) -> None:
        self._words: list[tuple[str, str]] = []
        self._angle: list[str] | None = None
        self._is_open = False
        self._comment: str | None = None

    def add(self, kind: str, written: str) -> None:
        if kind == "comment":
            if self._comment is not None or self._is_open or self._angle is not None:
                self._refuse("a comment")
            self._comment = written
        elif written == "<" and kind == "special" and self._angle is None:
            self._angle, self._is_open = [], True
        elif written == ">" and kind == "special" and self._is_open:
            self._is_open = False
        elif kind == "special":
            self._refuse(f"a {written!r} out of place")
        elif self._is_open and self._angle is not None:
            self._angle.append(written)
        elif self._angle is not None:
            if kind != "space":
                self._refuse("text after an address")
        else:
            self._words.append((kind, written))

    def take(self, *, is_group: bool) -> Address | None:
        """Return the element's address, None if it is empty or the name of a group, and begin a new element."""
        if self._is_open:
            self._refuse("a '<' without '>'")
        words, angle, comment = self._words, self._angle, self._comment
        self._clear()
        if is_group:
            if angle is not None or not words:
                self._refuse("a ':' out of place")
            return None
        if angle is not None:
            if comment is not None:
                self._refuse("a comment")
            return self._address("".join(angle).strip(" "), self._phrase(words))
        bare = "".join([written for _, written in words]).strip(" ")
        if not bare and comment is None:
            return None
        return self._address(bare, comment or "")

    def _phrase(self, words: list[tuple[str, str]]) -> str:
        while words and words[-1][0] == "space":
            words.pop()
        pieces: list[str] = []
        run: list[str] = []
        for kind, written in words:
            if kind == "quoted":
                pieces += [self._decoded("".join(run)), _QUOTED_PAIR.sub(r"\1", written[1:-1])]
                run.clear()
            elif kind != "space" or run or pieces:
                run.append(written)
        pieces.append(self._decoded("".join(run)))
        return "".join(pieces)

    def _decoded(self, text: str) -> str:
        return decode_words(text, self._what) if self._encoded else text

    def _address(self, addr_spec: str, name: str) -> Address:
        try:
            return Address(addr_spec, name=name)
        except AddressError as error:
            raise AddressError(f"{self._what}: {error}", value=error.value, position=error.position) from None

    def _refuse(self, found: str) -> None:
        raise MessageError(f"{self._what} holds {found}: write each mailbox as Name <user@host>")


def _tokens(text: str, what: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found[0] in {'"', ")"}:
            raise MessageError(f"{what} holds quotes or brackets that are not in pairs: write Name <user@host>")
        if found[0] == "(":
            position, comment = _comment(text, position, what)
            yield "comment", comment
            continue
        position = found.end()
        yield ("space", "quoted", "atom", "special")[(found.lastindex or 1) - 1], found[0]


def _comment(text: str, start: int, what: str) -> tuple[int, str]:
    depth = 0
    for found in _IN_COMMENT.finditer(text, start):
        depth += (found[0] == "(") - (found[0] == ")")
        if not depth:
            return found.end(), _QUOTED_PAIR.sub(r"\1", text[start + 1 : found.start()])
    raise MessageError(f"{what} holds a comment that does not end: write Name <user@host>")
