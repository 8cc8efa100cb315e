"""A stream of messages on its way through a policy: each is let in, changed, answered here, or held back for a moment.

What is let in goes through the wrapped channel's own stream, so pipelining, batches and connections stay. What is held
back ends that stream first: everything before it has its outcome then, and the connections are free.
"""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from attrs import frozen

from mailkit.errors import ConnectError
from mailkit.interruption import matched
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.transport import carrying_on, doubt_about

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable

    from mailkit.address import Address
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.transport import Channel

__all__ = ["Later", "Relay", "left_unsent"]


@frozen
class Later:
    """What a message is held back for.

    Args:
        resume: Is awaited when all messages before have their outcomes. It returns the message that is let in after
            all, or its outcome.
    """

    resume: Callable[[], Awaitable[Message | Outcome]]


async def _as_it_is(outcome: Outcome) -> Outcome:
    return outcome


class Relay:
    """One stream of messages. The outcomes name the messages as they were given, whatever was let in instead.

    Args:
        channel: Where they go.
        messages: The messages.
        admit: Says what becomes of a message when it is taken.
        settle: Is told each outcome of a message that `admit` was asked about, those that an interruption leaves
            included, and returns what others are to hear. It may be told one twice, if it was interrupted itself.
    """

    def __init__(
        self,
        channel: Channel,
        messages: AsyncIterator[Message | Outcome],
        admit: Callable[[Message], Awaitable[Message | Outcome | Later]],
        settle: Callable[[Outcome], Awaitable[Outcome]] = _as_it_is,
    ) -> None:
        self._channel = channel
        self._messages = messages
        self._admit = admit
        self._settle = settle
        self._given: deque[Message | Outcome] = deque()  # what was taken and has not been answered
        self._answered: list[Outcome] = []  # what was answered and not yielded
        self._is_asking = False  # whether the last that was taken is being admitted
        self._held: Later | None = None
        self._resumed: Message | None = None
        self._goes_on = True

    async def outcomes(self, connections: int, window: int | None) -> AsyncGenerator[Outcome, None]:
        """Yield one outcome for each message, in order.

        Whatever interrupts it carries what became of the messages that were taken and not yet yielded, as ``outcomes``.
        """
        try:
            while self._goes_on:
                async with (
                    aclosing(self._segment()) as segment,
                    carrying_on(self._channel.send_many(segment, connections=connections, window=window)) as outcomes,
                ):
                    async for outcome in outcomes:
                        yield await self._answer(outcome)
                if self._held is not None and (answer := await self._resume(self._held)) is not None:
                    yield await self._answer(answer)
        except BaseException as interruption:
            await self._leave(interruption)
            raise

    async def _segment(self) -> AsyncGenerator[Message | Outcome, None]:
        if self._resumed is not None:
            resumed, self._resumed = self._resumed, None
            yield resumed
        async for item in self._messages:
            self._given.append(item)
            if isinstance(item, Outcome):
                yield item
                continue
            self._is_asking = True
            admitted = await self._admit(item)
            self._is_asking = False
            if isinstance(admitted, Later):
                self._held = admitted
                return
            yield admitted
        self._goes_on = False

    async def _resume(self, held: Later) -> Outcome | None:
        """Go on with the message that was held back; return its outcome, if it is not let in."""
        resumed = await held.resume()
        self._held = None
        if isinstance(resumed, Outcome):
            return resumed
        self._resumed = resumed
        return None

    async def _answer(self, outcome: Outcome) -> Outcome:
        given = self._given.popleft()
        mine = _named(given, outcome)
        if not isinstance(given, Outcome):
            self._answered.append(mine)
            mine = await self._settle(mine)
            self._answered.pop()
        return mine

    async def _leave(self, interruption: BaseException) -> None:
        """Say what an interruption leaves of the messages, and settle them."""
        below: tuple[Outcome, ...] | None = getattr(interruption, "outcomes", None)
        given = [*self._given]
        if below is None:
            sent = given[: len(given) - self._is_asking]
            below = tuple([_left_by(interruption, each, alone=len(sent) == 1) for each in sent])
        left = [await self._settle(outcome) for outcome in self._answered]
        for place, (each, outcome) in enumerate(zip(given, matched(given, below), strict=True), start=1):
            if isinstance(each, Outcome):
                left.append(each)
                continue
            # Of one that was let in and is not told of, the answer was lost. The last one may not have been let in yet.
            was_let_in = place < len(given) or not (self._is_asking or self._held is not None)
            known = outcome or (_left_by(interruption, each, alone=False) if was_let_in else None)
            left.append(await self._settle(_named(each, known)))
        interruption.__dict__["outcomes"] = tuple(left)


def _named(given: Message | Outcome, outcome: Outcome | None) -> Outcome:
    if isinstance(given, Outcome):
        return given
    if outcome is None:  # it had not got as far as the channel
        error = ConnectError(
            "the stream of messages was interrupted before this one was sent; send it again",
            recipients=_unsent(given),
            message_id=given.message_id,
        )
        return Outcome(message=given, error=error)
    return Outcome(message=given, receipt=outcome.receipt, error=outcome.error)


def _left_by(interruption: BaseException, given: Message | Outcome, *, alone: bool) -> Outcome:
    """Return what became of a message of which only the interruption itself may know."""
    if isinstance(given, Outcome):
        return given
    delivery: Receipt | DeliveryError | None = getattr(interruption, "delivery", None)
    if delivery is not None and not alone and delivery.message_id != given.message_id:
        delivery = None  # it is about another one
    if isinstance(delivery, Receipt):
        return Outcome(message=given, receipt=delivery)
    return Outcome(message=given, error=delivery or doubt_about(given))


def _unsent(message: Message) -> tuple[RecipientResult, ...]:
    paths = dict.fromkeys(address.addr_spec for address in (*message.to, *message.cc, *message.bcc))
    return tuple([RecipientResult(path, status="not_sent") for path in paths])


def left_unsent(interruption: BaseException, recipients: Iterable[Address], message_id: str | None) -> None:
    """Let an interruption say that the message which it kept waiting was not sent, as its ``delivery``."""
    interruption.__dict__["delivery"] = ConnectError(
        "the delivery was interrupted before it began; send the message again",
        recipients=[RecipientResult(each.addr_spec, status="not_sent") for each in recipients],
        message_id=message_id,
    )
