from __future__ import annotations

import asyncio

from mailkit.mailer import AsyncMailer, Mailer
from mailkit.message import Message
from mailkit.testing import Mailbox, catch_mail

MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello")


def test_what_is_sent_in_the_block_is_caught() -> None:
    """By mailers that were made before it as well; each block has a mailbox of its own."""
    before = Mailer("smtp://mail.invalid")
    with catch_mail() as first:
        before.send(MESSAGE)
    with catch_mail() as second:
        Mailer().send(MESSAGE.evolve(subject="Second"))
    assert isinstance(first, Mailbox)
    assert first.one().subject == "Hello"
    assert second.one().subject == "Second"


def test_tasks_that_catch_at_the_same_time_catch_their_own() -> None:
    """A test runner may run async tests side by side."""

    async def test(number: int) -> list[str | None]:
        async with AsyncMailer("smtp://mail.invalid") as mailer:
            with catch_mail() as mailbox:
                for _ in range(3):
                    await mailer.send(MESSAGE.evolve(subject=str(number)))
                    await asyncio.sleep(0)
                return [sent.subject for sent in mailbox]

    async def main() -> list[list[str | None]]:
        return await asyncio.gather(*[test(number) for number in range(5)])

    assert asyncio.run(main()) == [[str(number)] * 3 for number in range(5)]


def test_it_can_decorate_a_function() -> None:
    """Whoever does not look at the mailbox still sends nothing."""

    @catch_mail()
    def send() -> str:
        return Mailer("smtp://mail.invalid").send(MESSAGE).transport

    assert send() == send() == "mailbox://"
