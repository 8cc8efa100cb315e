from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

from mailkit.local import MemoryTransport
from mailkit.mailer import AsyncMailer, Mailer
from mailkit.message import Message
from mailkit.override import Override, overriding

MESSAGE = Message(from_="ada@example.com", to="bob@example.org")


def test_without_one_nothing_is_overridden() -> None:
    """Also after one has ended."""
    assert overriding() is None
    with Override(MemoryTransport()):
        pass
    assert overriding() is None


def test_the_inner_one_holds_until_it_ends() -> None:
    """Then the outer one does."""
    outer, inner = MemoryTransport(), MemoryTransport()
    with Override(outer):
        with Override(inner):
            assert overriding() is inner
        assert overriding() is outer


def test_they_may_end_in_any_order() -> None:
    """What is still in force holds."""
    outer, inner = Override(MemoryTransport()), Override(MemoryTransport())
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert overriding() is inner.transport
    inner.__exit__(None, None, None)
    assert overriding() is None


def test_it_may_end_in_another_context() -> None:
    """As fixtures of event loops do: what is older than the context is passed over."""
    outer = MemoryTransport()
    with Override(outer):
        override, context = Override(MemoryTransport()), contextvars.copy_context()
        context.run(override.__enter__)
        assert context.run(overriding) is override.transport
        override.__exit__(None, None, None)
        assert context.run(overriding) is outer


def test_a_context_that_is_older_than_an_override_finds_it() -> None:
    """An event loop that serves many tests keeps the context of the first."""
    first, second = MemoryTransport(), MemoryTransport()
    with Override(first):
        old = contextvars.copy_context()
    assert old.run(overriding) is None
    with Override(second):
        assert old.run(overriding) is second


def test_threads_that_run_tests_at_the_same_time_see_their_own() -> None:
    """Through one mailer that they share; and what they send in ``asyncio`` and in threads of its pool as well."""
    shared = Mailer("smtp://mail.invalid")
    meeting = threading.Barrier(6)

    def test(number: int) -> list[str | None]:
        memory = MemoryTransport()
        message = MESSAGE.evolve(subject=str(number))

        async def main() -> None:
            async with AsyncMailer("smtp://mail.invalid") as mailer, asyncio.TaskGroup() as group:
                group.create_task(mailer.send(message))
                group.create_task(asyncio.to_thread(shared.send, message))

        with Override(memory):
            meeting.wait(10)
            shared.send(message)
            asyncio.run(main())
            meeting.wait(10)
        return [sent.subject for sent in memory.outbox]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(test, range(6))) == [[str(number)] * 3 for number in range(6)]


def test_a_thread_of_the_application_finds_the_newest() -> None:
    """Its context is empty; in a copy of the test's context it finds the test's."""
    first, second = MemoryTransport(), MemoryTransport()
    mailer = Mailer("smtp://mail.invalid")

    def in_thread(context: contextvars.Context) -> None:
        thread = threading.Thread(target=lambda: context.run(mailer.send, MESSAGE))
        thread.start()
        thread.join(10)

    with Override(first):
        copy = contextvars.copy_context()
        with Override(second):
            in_thread(contextvars.Context())
            in_thread(copy)
    assert (len(first.outbox), len(second.outbox)) == (1, 1)


def test_a_mailer_without_a_url_needs_none() -> None:
    """While an override is in force."""
    memory = MemoryTransport()
    with Override(memory):
        Mailer("").send(MESSAGE)
    assert len(memory.outbox) == 1
