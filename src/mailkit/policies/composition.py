"""URLs inside policies, taken apart: ``failover(smtp://a roundrobin(smtp://b smtp://c))?failures=3``.

::

    url     = policy / transport's own URL
    policy  = name "(" member *(space member) ")" ["?" query]
    member  = [label] url
    label   = number "*" / route "="

No message repeats any part of a URL, since any part may hold a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import parse_qsl

from attrs import frozen

from mailkit.errors import ConfigurationError
from mailkit.transport_url import TransportURL, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["Composition", "PolicyURL", "parse_composition"]

MAX_DEPTH: Final = 16

_OPENING = re.compile(r"([A-Za-z][A-Za-z0-9]*)\(")
_LABEL = re.compile(r"[0-9]+\*|[^\s()=/:?]*=")
_PLAIN = re.compile(r"[^\s()]+")
_QUERY = re.compile(r"\?([^\s()]*)")
_SPACE = re.compile(r"\s*")

_ENCODE = 'inside of it, percent-encode "(" as "%28" and ")" as "%29"'


@frozen(kw_only=True)
class PolicyURL(TransportURL):
    """What stands beside the members of a policy: its name and its parameters."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.scheme}(…)"


@frozen
class Composition:
    """A policy and its members.

    Args:
        url: The policy's name and parameters.
        members: The label and the URL of each, or what it is composed of in turn.
    """

    url: PolicyURL
    members: Sequence[tuple[str, Composition | str]]


def parse_composition(text: str, known: Collection[str]) -> Composition | str:
    """Return what a URL is composed of; the URL itself where it is a transport's own.

    Args:
        text: The URL.
        known: The names of policies.

    Raises:
        ConfigurationError: A policy is not known or has no members, or a parenthesis is missing or in the wrong place.
    """
    text = text.strip()
    if _OPENING.match(text) is None:
        return text
    parser = _Parser(text, known)
    composition = parser.policy(0)
    if parser.place < len(text):
        raise ConfigurationError(
            f"{composition.url.name} has something behind its last parenthesis: only ?parameters may stand there"
        )
    return composition


class _Parser:
    """Reads a composition from left to right.

    Args:
        text: All of it.
        known: The names of policies.
    """

    def __init__(self, text: str, known: Collection[str]) -> None:
        self._text = text
        self._known = known
        self.place = 0

    def policy(self, depth: int) -> Composition:
        """Read a policy, which is known to begin here."""
        name = (self._take(_OPENING) or "").removesuffix("(").lower()
        if name not in self._known:  # and may be part of something secret
            forms = {each: f"{each}(…)" for each in sorted(self._known)}
            names = ", ".join(forms.values())
            msg = f"there is a parenthesis behind what is no policy{nearest(name, forms)}; known are: {names}"
            raise ConfigurationError(msg)
        if depth >= MAX_DEPTH:
            raise ConfigurationError(f"policies may be in one another {MAX_DEPTH} deep: use fewer of them")
        members: list[tuple[str, Composition | str]] = []
        self._take(_SPACE)
        while not self._text.startswith(")", self.place):
            members.append(self._member(name, len(members) + 1, depth))
            if not self._take(_SPACE) and not self._text.startswith(")", self.place):
                self._fail(name, len(members))
        self.place += 1
        if not members:
            raise ConfigurationError(f"{name}(…) has no URL inside: write {name}(URL URL)")
        return Composition(PolicyURL(scheme=name, query=self._query(name)), members)

    def _member(self, policy: str, number: int, depth: int) -> tuple[str, Composition | str]:
        label = self._take(_LABEL) or ""
        if _OPENING.match(self._text, self.place):
            return label, self.policy(depth + 1)
        url = self._take(_PLAIN)
        if url is None:
            self._fail(policy, number)
        return label, url

    def _query(self, name: str) -> tuple[tuple[str, str], ...]:
        query = self._take(_QUERY)
        if query is None:
            return ()
        try:
            return tuple(parse_qsl(query[1:], keep_blank_values=True, strict_parsing=True, errors="strict"))
        except ValueError:
            msg = f"the parameters of {name}(…) are malformed: write them as ?name=value&name=value"
            raise ConfigurationError(msg) from None

    def _fail(self, policy: str, number: int) -> NoReturn:
        raise ConfigurationError(
            f"{policy}(…) is malformed at URL {number}: write {policy}(URL URL), with a space between two URLs and a "
            f"parenthesis at the end; {_ENCODE}"
        )

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self.place)
        if found is None:
            return None
        self.place = found.end()
        return found[0]
