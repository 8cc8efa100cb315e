from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import colour, run
from tests.policies.letters import Interrupted, each, letter

from mailkit import ConnectError, Message, MessageError, OutcomeUnknownError, RejectedError
from mailkit.local import MemoryTransport
from mailkit.policies.relay import Later, Relay
from mailkit.receipt import Outcome, Receipt
from mailkit.transport import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tests.colours import Colour


__all__ = ["colour", "run"]


class Windowed(Channel):
    """Takes so many messages before it answers the first, and says what an interruption leaves."""

    def __init__(self, window: int, memory: MemoryTransport) -> None:
        super().__init__(memory)
        self.window = window
        self.taken: list[list[str]] = []

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        unanswered: list[Outcome] = []
        self.taken.append([])
        try:
            async for item in messages:
                unanswered.append(item if isinstance(item, Outcome) else self.accepted(item))
                self.taken[-1].append(str(unanswered[-1].message.subject))
                if len(unanswered) >= self.window:
                    yield unanswered.pop(0)
            while unanswered:
                yield unanswered.pop(0)
        except BaseException as interruption:
            interruption.__dict__["outcomes"] = tuple(unanswered)
            raise

    @staticmethod
    def accepted(message: Message) -> Outcome:
        """Return what a message that was accepted becomes."""
        return Outcome(
            message=message,
            receipt=Receipt(message_id=message.message_id or "", transport="windowed://", recipients=()),
        )


def number(outcome: Outcome) -> int:
    """Return which message it is."""
    return int((outcome.message.subject or "")[-1])


def numbers(outcomes: Any) -> list[int]:
    """Return which messages they are."""
    return [number(outcome) for outcome in outcomes]


async def let_in(message: Message) -> Message:
    """Let a message in under another subject."""
    return message.evolve(subject=f"Changed {(message.subject or '')[-1]}")


def test_outcomes_name_the_messages_as_they_were_given(colour: Colour, run: Any) -> None:
    """What was changed on the way in is unchanged on the way out; what came as an outcome is not asked about."""
    channel = Windowed(3, MemoryTransport())
    earlier = Outcome(message=letter(1), error=MessageError("no From"))
    given = [letter(0), earlier, letter(2), letter(3)]
    settled: list[Outcome] = []

    async def settle(outcome: Outcome) -> Outcome:
        settled.append(outcome)
        return outcome

    async def send() -> list[Outcome]:
        relay = Relay(channel, each(given), let_in, settle)
        return [outcome async for outcome in relay.outcomes(1, None)]

    outcomes = run(send)
    assert [outcome.message for outcome in outcomes] == [letter_of(item) for item in given]
    assert [outcome.ok for outcome in outcomes] == [True, False, True, True]
    assert channel.taken == [["Changed 0", "Number 1", "Changed 2", "Changed 3"]]
    assert numbers(settled) == [0, 2, 3]


def letter_of(item: Message | Outcome) -> Message:
    """Return the message of either."""
    return item.message if isinstance(item, Outcome) else item


def test_what_is_held_back_ends_the_segment(colour: Colour, run: Any) -> None:
    """Everything before has its outcome when a held one is resumed; it may be answered there, or let in after all."""
    channel = Windowed(9, MemoryTransport())
    settled: list[Outcome] = []
    at_resume: list[list[int]] = []

    async def admit(message: Message) -> Message | Outcome | Later:
        which = int((message.subject or "")[-1])

        async def answer() -> Outcome:
            at_resume.append(numbers(settled))
            return Outcome(message=message, error=RejectedError("no"))

        async def enter() -> Message:
            at_resume.append(numbers(settled))
            return message

        refused = Outcome(message=message, error=RejectedError("never"))
        return {1: Later(answer), 2: Later(enter), 4: refused, 5: Later(answer)}.get(which, message)

    async def settle(outcome: Outcome) -> Outcome:
        settled.append(outcome)
        return outcome

    async def send() -> list[Outcome]:
        relay = Relay(channel, each([letter(which) for which in range(6)]), admit, settle)
        return [outcome async for outcome in relay.outcomes(1, None)]

    outcomes = run(send)
    assert numbers(outcomes) == [0, 1, 2, 3, 4, 5]
    assert [outcome.ok for outcome in outcomes] == [True, False, True, True, False, False]
    assert at_resume == [[0], [0, 1], [0, 1, 2, 3, 4]]
    assert [taken for taken in channel.taken if taken] == [["Number 0"], ["Number 2", "Number 3", "Number 4"]]


class Striking:
    """A policy that is interrupted once, at a place of the test's choice."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.settled: list[Outcome] = []

    async def admit(self, message: Message) -> Message | Later:
        """Be interrupted by the third message, or hold it back."""
        if message.subject == "Number 2" and self.at == "admit":
            raise Interrupted
        return Later(self.resume) if message.subject == "Number 2" and self.at.startswith("resume") else message

    async def resume(self) -> Message:
        """Be interrupted, with or without a word on what became of the message."""
        interruption = Interrupted()
        if self.at == "resume annotated":
            interruption.__dict__["delivery"] = ConnectError("interrupted")
        if self.at == "resume accepted":
            interruption.__dict__["delivery"] = Windowed.accepted(letter(2)).receipt
        raise interruption

    async def settle(self, outcome: Outcome) -> Outcome:
        """Be interrupted by the second outcome."""
        if self.at == "settle" and number(outcome) == 1:
            self.at = ""
            raise Interrupted
        self.settled.append(outcome)
        return outcome


async def take(outcomes: AsyncGenerator[Outcome, None], seen: list[Outcome], *, at: str) -> None:
    """Go through a stream, or break it off at the second outcome."""
    async with aclosing(outcomes):
        while True:
            seen.append(await anext(outcomes))
            if at == "yield" and len(seen) == 2:
                await outcomes.athrow(Interrupted())


@pytest.mark.parametrize("at", ["admit", "settle", "yield", "resume", "resume annotated", "resume accepted"])
def test_an_interruption_leaves_an_outcome_for_each_message(colour: Colour, run: Any, at: str) -> None:
    """Wherever it strikes, ``outcomes`` has one for each message that was taken and not yielded, each settled."""
    policy, seen = Striking(at), list[Outcome]()

    async def send() -> None:
        channel = Windowed(2, MemoryTransport())
        relay = Relay(channel, each([letter(which) for which in range(5)]), policy.admit, policy.settle)
        await take(relay.outcomes(1, None), seen, at=at)

    with pytest.raises(Interrupted) as caught:
        run(send)
    left = caught.value.outcomes  # type: ignore[attr-defined]
    assert numbers([*seen, *left]) == [0, 1, 2]
    assert sorted(numbers(policy.settled)) == [0, 1, 2]
    if at == "admit":
        assert left[-1].error.outcome == "not_sent"
    elif at == "resume":
        assert isinstance(left[-1].error, OutcomeUnknownError)
        assert left[-1].error.message_id == left[-1].message.message_id
    elif at == "resume annotated":
        assert isinstance(left[-1].error, ConnectError)
    else:
        assert left[-1].ok


@pytest.mark.parametrize("said", ["nothing", "of it", "of another", "of one of two"])
def test_a_channel_that_says_nothing_leaves_a_doubt(colour: Colour, run: Any, said: str) -> None:
    """Of messages on their way through such a channel only the interruption itself may know more, and of which."""
    earlier, message, other = Outcome(message=letter(1), error=MessageError("no From")), letter(2), letter(3)
    lost = {
        "nothing": None,
        "of it": ConnectError("interrupted"),
        "of another": ConnectError("interrupted", message_id="1@example.com"),
        "of one of two": ConnectError("interrupted", message_id=other.message_id),
    }[said]

    class Silent(Channel):
        async def send_many(
            self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
        ) -> AsyncGenerator[Outcome, None]:
            first, *_ = [each async for each in messages]
            assert isinstance(first, Outcome)
            yield first
            interruption = Interrupted()
            if lost is not None:
                interruption.__dict__["delivery"] = lost
            raise interruption

    async def admit(message: Message) -> Message:
        return message

    async def send() -> Interrupted:
        given = [earlier, message] if said == "of it" else [earlier, message, earlier, other]
        relay = Relay(Silent(MemoryTransport()), each(given), admit)
        async with aclosing(relay.outcomes(1, None)) as outcomes:
            assert await anext(outcomes) is earlier
            with pytest.raises(Interrupted) as caught:
                await anext(outcomes)
        return caught.value

    left = run(send).outcomes  # type: ignore[attr-defined]
    assert left[0].message is message
    assert isinstance(left[0].error, ConnectError if said == "of it" else OutcomeUnknownError)
    if said != "of it":
        assert left[1] is earlier
        assert left[2].message is other
        assert isinstance(left[2].error, ConnectError if said == "of one of two" else OutcomeUnknownError)
