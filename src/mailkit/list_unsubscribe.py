"""ListUnsubscribe: how the receiver leaves the list (RFC 2369 §3.2, RFC 8058)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.validation import each_of, header_text, refuse_type

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ListUnsubscribe"]

_MAX_TARGET = 900  # a URL cannot be folded, and no line may have more than 998 octets
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986 §2.2 and §2.3
_HTTPS = re.compile(r"https://[^/?#@:][^/?#@]*(?:[/?#].*)?", re.IGNORECASE)  # a host; no user, no password
_MAILTO = re.compile(r"mailto:[^/?#@,]+@[^/?#@,]+(?:\?.*)?", re.IGNORECASE)
_ESCAPED_CONTROL = re.compile(r"%(?:[01][0-9a-f]|7f)", re.IGNORECASE)
_BRACKETED = re.compile(r"<([^<>]*)>(?:\s*,\s*|\s*$)")


def _target(value: object) -> str:
    url = header_text(value, "list_unsubscribe").strip(" ")
    if url[:1] == "<" and url[-1:] == ">":
        url = url[1:-1].strip(" ")
    if len(url) > _MAX_TARGET:
        raise MessageError(f"a list_unsubscribe URL has {len(url)} characters: shorten it to {_MAX_TARGET} at most")
    if _URL.fullmatch(url) is None:
        raise MessageError(f"list_unsubscribe {url!r} is no URL: percent-encode what is not ASCII, and spaces")
    if _HTTPS.fullmatch(url) is None:
        if _MAILTO.fullmatch(url) is None:
            raise MessageError(f"list_unsubscribe {url!r} has to be 'https://host/…' or 'mailto:user@host'")
        if _ESCAPED_CONTROL.search(url) is not None:
            raise MessageError(f"list_unsubscribe {url!r} holds an escaped control character: remove it")
    return url


def _targets(value: str | Iterable[str]) -> tuple[str, ...]:
    wanted = "a str, an iterable of str, or a ListUnsubscribe"
    given = (value,) if isinstance(value, str) else each_of(value, "list_unsubscribe", wanted)
    targets = tuple([_target(one) for one in given])
    if not targets:
        raise MessageError("list_unsubscribe names no URL: give 'https://…' or 'mailto:…', or leave it out")
    return targets


def _one_click(value: bool) -> bool:  # noqa: FBT001 - a field
    return _flag(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        refuse_type(value, "one_click", "a bool")
    return value


@final
@frozen
class ListUnsubscribe:
    """Where a mail program's "unsubscribe" button leads.

    Example:
        >>> ListUnsubscribe("https://example.com/u/1", one_click=True).targets
        ('https://example.com/u/1',)

    Args:
        targets: One URL or several, in the order of preference: ``https:`` or ``mailto:``.
        one_click: Whether a POST to the https target alone unsubscribes (RFC 8058): Gmail and Yahoo ask it of
            bulk senders.

    Raises:
        MessageError: A target is something else, or one-click is promised without an https target.
    """

    targets: tuple[str, ...] = field(converter=_targets)
    one_click: bool = field(default=False, converter=_one_click, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.one_click and not any(_HTTPS.fullmatch(target) for target in self.targets):
            raise MessageError("one_click needs an https target, to which mail programs can POST (RFC 8058 §3.1)")

    @classmethod
    def coerce(cls, value: str | Iterable[str] | ListUnsubscribe) -> ListUnsubscribe:
        """Return it as it is, or made of one URL, several, or a field's text: ``<https://…>, <mailto:…>``."""
        if isinstance(value, ListUnsubscribe):
            return value
        if isinstance(value, str):
            found = _BRACKETED.findall(value)
            if found and _BRACKETED.sub("", value).strip() == "":
                return cls(found)
        return cls(value)
