"""Seeing one message through: attempts, the waits between them, what pays for them, and looking into doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from attrs import frozen

from mailkit.errors import DeliveryError, MailkitError
from mailkit.policies.budget import Bucket
from mailkit.transport import name_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.attempts import Attempts
    from mailkit.policies.doubt import Doubt, FindsOut
    from mailkit.policies.retry import RetryPolicy
    from mailkit.policies.step import Step
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel

__all__ = ["Errand", "Persistence", "is_complete"]


@frozen
class Errand:
    """What is to be delivered.

    Args:
        message: The message; None for prepared bytes.
        envelope: Who gets it.
        deliver: Tries once, for those whom it is given.
    """

    message: Message | None
    envelope: Envelope
    deliver: Callable[[Envelope], Awaitable[Receipt]]


def is_complete(ended: Receipt | DeliveryError) -> TypeGuard[Receipt]:
    """Whether every recipient was accepted."""
    if isinstance(ended, DeliveryError):
        return False
    for result in ended.recipients:  # noqa: SIM110 - each message comes past here, and a generator costs more
        if result.status != "accepted":
            return False
    return True


class Persistence:
    """How a retry policy treats the messages of one channel.

    Args:
        channel: What is tried.
        policy: How often.
        edge: Whose clock, sleep and random numbers are used.
    """

    def __init__(self, channel: Channel, policy: RetryPolicy, edge: Edge) -> None:
        self._channel = channel
        self._policy = policy
        self._edge = edge
        self._bucket = None if policy.budget is None else Bucket(policy.budget, edge)
        self._finds_out: FindsOut | None = policy.on_unknown if callable(policy.on_unknown) else None

    async def earn(self) -> None:
        """Enter a message that was accepted at the first attempt."""
        if self._bucket is not None and not self._bucket.is_full:
            await self._bucket.give()

    def begin(self, message: Message | None, envelope: Envelope, number: int = 1) -> Step:
        """Tell that an attempt begins, and return what tells its end."""
        from mailkit.policies.step import Step

        return Step(self._edge, name_of(self._channel.transport), message, envelope, number=number)

    async def attempt(self, errand: Errand, envelope: Envelope, number: int = 1) -> Receipt | DeliveryError:
        """Try once; return how it ended, a DeliveryError included."""
        step = self.begin(errand.message, envelope, number) if self._edge.is_followed_closely else None
        ended: Receipt | DeliveryError
        try:
            ended = await errand.deliver(envelope)
        except DeliveryError as error:
            ended = error
        except BaseException as other:
            if step is not None:
                step.end(other)
            raise
        if step is not None:
            step.end(ended)
        return ended

    def goes_on_after(self, ended: Receipt | DeliveryError, message: Message, envelope: Envelope) -> bool:
        """Whether there is more to do about a message than to say how its first attempt has ended."""
        if self._doubt(ended, message, envelope) is not None:
            return True
        now = self._edge.now()
        attempts = self._attempts(envelope, now)
        rest = attempts.next_after(ended, now)
        if rest is None:
            return False
        if self._bucket is None or self._bucket.affords(ended):
            return True
        self._tell_withheld(ended, message, rest, attempts.deliveries)
        return False

    async def see_through(self, errand: Errand, ended: Receipt | DeliveryError, started: float) -> Receipt:
        """Try again until nobody is undecided or the policy is exhausted.

        Args:
            errand: What is to be delivered.
            ended: How the first attempt has ended.
            started: When it began, on the edge's clock.

        Raises:
            DeliveryError: Nobody was accepted.
        """
        attempts = self._attempts(errand.envelope, started)
        asked = errand.envelope
        while True:
            try:
                ended = await self._find_out(ended, errand.message, asked)
            except BaseException as interruption:
                attempts.enter(ended)
                attempts.annotate(interruption)
                raise
            rest = attempts.next_after(ended, self._edge.now())
            if rest is None:
                return attempts.conclude()
            cost = 0 if self._bucket is None else await self._bucket.take(ended)
            if cost is None:
                self._tell_withheld(ended, errand.message, rest, attempts.deliveries)
                return attempts.conclude()
            self._tell_retry(ended, errand.message, rest, attempts)
            try:
                await self._edge.sleep(attempts.pause)
                ended = await self.attempt(errand, rest, attempts.deliveries + 1)
            except MailkitError as error:
                # The message has become unfit meanwhile, a file of it has gone: what was reached before still stands.
                return attempts.broken_off(error)
            except BaseException as interruption:
                attempts.annotate(interruption)
                raise
            asked = rest
            if self._bucket is not None and not isinstance(ended, DeliveryError):
                await self._bucket.give(cost)

    def _attempts(self, envelope: Envelope, started: float) -> Attempts:
        from mailkit.policies.attempts import Attempts

        return Attempts(
            envelope, self._policy, started, self._edge.random, all_or_nothing=self._channel.is_all_or_nothing
        )

    def _doubt(self, ended: Receipt | DeliveryError, message: Message | None, envelope: Envelope) -> Doubt | None:
        if self._finds_out is None:
            return None
        from mailkit.policies.doubt import Doubt

        return Doubt.about(ended, message, envelope)

    async def _find_out(
        self, ended: Receipt | DeliveryError, message: Message | None, envelope: Envelope
    ) -> Receipt | DeliveryError:
        """Return how an attempt really ended, where that was unknown and somebody can find out."""
        finds_out, doubt = self._finds_out, self._doubt(ended, message, envelope)
        if finds_out is None or doubt is None:
            return ended
        try:
            return doubt.resolved(await self._edge.in_thread(lambda: finds_out(doubt)), envelope)
        except Exception:  # noqa: BLE001 - the doubt stands; that it could not be looked into is not in silence
            from mailkit.event_log import log_failed_hook

            log_failed_hook(finds_out, "on_unknown")
            return ended

    def _tell_retry(
        self, ended: Receipt | DeliveryError, message: Message | None, rest: Envelope, attempts: Attempts
    ) -> None:
        from mailkit.events import Retrying

        error = ended if isinstance(ended, DeliveryError) else None
        self._edge.notify(
            Retrying(
                message_id=_message_id(ended, message),
                transport=ended.transport or name_of(self._channel.transport),
                recipients=len(rest.rcpt_to),
                attempt=attempts.deliveries,
                wait=attempts.pause,
                outcome="accepted" if error is None else error.outcome,
                cause=None if error is None else error.cause,
                error=error,
            )
        )

    def _tell_withheld(
        self, ended: Receipt | DeliveryError, message: Message | None, rest: Envelope, number: int
    ) -> None:
        from mailkit.events import RetryWithheld

        error = ended if isinstance(ended, DeliveryError) else None
        self._edge.notify(
            RetryWithheld(
                message_id=_message_id(ended, message),
                transport=ended.transport or name_of(self._channel.transport),
                recipients=len(rest.rcpt_to),
                attempt=number,
                outcome="accepted" if error is None else error.outcome,
                cause=None if error is None else error.cause,
                error=error,
            )
        )


def _message_id(ended: Receipt | DeliveryError, message: Message | None) -> str | None:
    return ended.message_id if message is None else message.message_id
