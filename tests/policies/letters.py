"""What the tests of policies send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailkit import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from mailkit.receipt import Outcome

__all__ = ["Interrupted", "each", "letter"]


class Interrupted(BaseException):
    """Such as KeyboardInterrupt."""


def letter(number: int = 0, **fields: Any) -> Message:
    """Return one of many messages, complete as a mailer makes it."""
    given = {"from_": "ada@example.com", "to": "bob@example.org", "subject": f"Number {number}", **fields}
    return Message(**given).completed()


class each:  # noqa: N801 - used as a function
    """Yields what is given, as a mailer does; may be left at any time, as there is nothing to close."""

    def __init__(self, messages: Iterable[Message | Outcome]) -> None:
        self._messages = iter(messages)

    def __aiter__(self) -> AsyncIterator[Message | Outcome]:
        return self

    async def __anext__(self) -> Message | Outcome:
        for message in self._messages:
            return message
        raise StopAsyncIteration
