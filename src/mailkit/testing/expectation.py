"""What a test expects of a message that was sent, and how the difference is told when none is like that."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from attrs import frozen

from mailkit.address import Address
from mailkit.errors import MessageError
from mailkit.message import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailkit.local import Sent

__all__ = ["Addresses", "Expectation", "Text", "Words", "listed"]

Addresses: TypeAlias = str | Address | Iterable[str | Address]
"""One address, or several of which each has to be there. A display name counts if it is given."""
Text: TypeAlias = str | re.Pattern[str]
"""The whole text, whatever its line ends, or a pattern that is searched for in it."""
Words: TypeAlias = str | Iterable[str]
"""One word, or several of which each has to be there."""

_BRIEF: Final = 60


@frozen
class Expectation:
    """Some of the properties of a message, each under the name that a test gives it.

    Args:
        wanted: What is expected, by name.
    """

    wanted: Mapping[str, Any]

    @classmethod
    def of(cls, **given: object) -> Expectation:
        """Return what is expected, without what is None.

        Raises:
            AddressError: An address is not valid, so that no message could have it.
        """
        return cls({name: _ASPECTS[name].prepare(value) for name, value in given.items() if value is not None})

    def differences(self, sent: Sent) -> list[str]:
        """Return one explanation for each property that the message does not have."""
        found: list[str] = []
        for name, wanted in self.wanted.items():
            aspect = _ASPECTS[name]
            try:
                actual = aspect.get(sent)
            except MessageError as error:  # octets that were given to send_raw, and are no Message
                found.append(f"{name}: {error}")
            else:
                if not aspect.fits(wanted, actual):
                    found.append(_difference(name, wanted, actual))
        return found

    def explain(self, outbox: Sequence[Sent]) -> str:
        """Return how the nearest of the messages differs, and which others there are."""
        if not outbox:
            return "No message was sent at all."
        differences = [self.differences(sent) for sent in outbox]
        nearest = min(range(len(outbox)), key=lambda index: len(differences[index]))
        lines = [f"The nearest is outbox[{nearest}], which differs in", *_indented(differences[nearest])]
        others = [(index, sent) for index, sent in enumerate(outbox) if index != nearest]
        if others:
            lines += ["There are also", *_indented([_line(index, sent) for index, sent in others])]
        return "\n".join(lines)

    def __str__(self) -> str:
        return ", ".join([f"{name}={_brief(_shown(value))}" for name, value in self.wanted.items()])


def listed(outbox: Sequence[Sent]) -> str:
    """Return a line for each message."""
    return "\n".join(_indented([_line(index, sent) for index, sent in enumerate(outbox)]))


def _line(index: int, sent: Sent) -> str:
    recipients = ", ".join([address.email for address in sent.envelope.rcpt_to])
    try:
        subject = repr(sent.subject)
    except MessageError:
        subject = "unreadable"
    return f"outbox[{index}]: to {recipients}, subject {subject}"


def _indented(blocks: Iterable[str]) -> list[str]:
    return ["    " + line for block in blocks for line in block.split("\n")]


@frozen
class _Aspect:
    """One property: how a test gives it, where it is in a message, and when the two fit."""

    prepare: Callable[[Any], Any]
    get: Callable[[Sent], Any]
    fits: Callable[[Any, Any], bool]


def _one_or_many(value: Words) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _text(value: Text) -> Text:
    return _lines(value) if isinstance(value, str) else value


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def _lower_names(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _as_given(value: object) -> object:
    return value


def _has_addresses(wanted: tuple[Address, ...], actual: tuple[Address, ...]) -> bool:
    return all(any(_is_address(one, other) for other in actual) for one in wanted)


def _is_address(wanted: Address, actual: Address) -> bool:
    return wanted.addr_spec == actual.addr_spec and wanted.name in {"", actual.name}


def _has_text(wanted: Text, actual: str | None) -> bool:
    if actual is None:
        return False
    return _lines(actual) == wanted if isinstance(wanted, str) else wanted.search(actual) is not None


def _has_words(wanted: tuple[str, ...], actual: Iterable[str]) -> bool:
    return set(wanted) <= set(actual)


def _has_items(wanted: Mapping[str, str], actual: Iterable[tuple[str, str]]) -> bool:
    return set(wanted.items()) <= set(actual)


def _has_template(wanted: Template | str | int, actual: Template | None) -> bool:
    return actual == wanted if isinstance(wanted, Template) else actual is not None and actual.id == wanted


def _holds(wanted: Callable[[Sent], object], actual: Sent) -> bool:
    return bool(wanted(actual))


_ASPECTS: Mapping[str, _Aspect] = {
    "from_": _Aspect(Address.parse_many, lambda sent: () if sent.from_ is None else (sent.from_,), _has_addresses),
    "to": _Aspect(Address.parse_many, lambda sent: sent.to, _has_addresses),
    "cc": _Aspect(Address.parse_many, lambda sent: sent.cc, _has_addresses),
    "bcc": _Aspect(Address.parse_many, lambda sent: sent.bcc, _has_addresses),
    "reply_to": _Aspect(Address.parse_many, lambda sent: sent.reply_to, _has_addresses),
    "recipient": _Aspect(Address.parse_many, lambda sent: sent.envelope.rcpt_to, _has_addresses),
    "subject": _Aspect(_text, lambda sent: sent.subject, _has_text),
    "text": _Aspect(_text, lambda sent: sent.text, _has_text),
    "html": _Aspect(_text, lambda sent: sent.html, _has_text),
    "tags": _Aspect(_one_or_many, lambda sent: sent.tags, _has_words),
    "metadata": _Aspect(dict, lambda sent: tuple(sent.metadata.items()), _has_items),
    "headers": _Aspect(
        _lower_names, lambda sent: tuple([(name.lower(), value) for name, value in sent.headers]), _has_items
    ),
    "attachments": _Aspect(
        _one_or_many, lambda sent: tuple([each.filename or "" for each in sent.attachments]), _has_words
    ),
    "template": _Aspect(_as_given, lambda sent: sent.template, _has_template),
    "where": _Aspect(_as_given, lambda sent: sent, _holds),
}


def _difference(name: str, wanted: object, actual: object) -> str:
    if name == "where":
        return f"where: {_shown(wanted)} says no"
    if isinstance(wanted, str) and isinstance(actual, str) and "\n" in wanted + _lines(actual):
        lines = difflib.unified_diff(
            wanted.split("\n"), _lines(actual).split("\n"), "expected", "sent", lineterm="", n=2
        )
        return "\n".join([f"{name}:", *_indented(lines)])
    return f"{name}: expected {_shown(wanted)}\n{' ' * len(name)}      found {_shown(actual)}"


def _brief(text: str) -> str:
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"


def _shown(value: object) -> str:
    match value:
        case re.Pattern():
            return f"/{cast('re.Pattern[str]', value).pattern}/"
        case tuple():
            items = cast("tuple[object, ...]", value)
            return ", ".join([str(item) if isinstance(item, Address) else repr(item) for item in items]) or "none"
        case _ if callable(value):
            return str(getattr(value, "__qualname__", value))
        case _:
            return repr(value)
