"""Sending through a mailer of each colour, in one call, for tests that look at what happens besides."""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from tests.colours import Colour, run_in

from mailkit.mailer import AsyncMailer, Mailer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.message import Message
    from mailkit.receipt import Outcome, Receipt

__all__ = ["send", "send_many", "send_raw"]


def send(colour: Colour, transport: Any, message: Message, **options: Any) -> Receipt:
    """Send one message through a mailer of the colour, which is closed afterwards."""
    if colour == "blocking":
        with Mailer(transport, **options) as mailer:
            return mailer.send(message)

    async def main() -> Receipt:
        async with AsyncMailer(transport, **options) as mailer:
            return await mailer.send(message)

    return run_in(colour, main)


def send_raw(colour: Colour, transport: Any, *args: Any, **options: Any) -> Receipt:
    """Send prepared bytes."""
    if colour == "blocking":
        with Mailer(transport, **options) as mailer:
            return mailer.send_raw(*args)

    async def main() -> Receipt:
        async with AsyncMailer(transport, **options) as mailer:
            return await mailer.send_raw(*args)

    return run_in(colour, main)


def send_many(
    colour: Colour,
    transport: Any,
    messages: Iterable[Message],
    most: int | None = None,
    on_progress: Any = None,
    **options: Any,
) -> list[Outcome]:
    """Send a stream of messages, and leave it after `most` outcomes."""
    taken: list[Outcome] = []
    given: dict[str, Any] = {"messages": messages, "on_progress": on_progress}
    if colour == "blocking":
        with Mailer(transport, **options) as mailer, closing(mailer.send_many(**given)) as outcomes:
            for outcome in outcomes:
                taken.append(outcome)
                if len(taken) == most:
                    break
        return taken

    async def main() -> None:
        async with AsyncMailer(transport, **options) as mailer, aclosing(mailer.send_many(**given)) as outcomes:
            async for outcome in outcomes:
                taken.append(outcome)
                if len(taken) == most:
                    break

    run_in(colour, main)
    return taken
