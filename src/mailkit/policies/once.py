"""Deduplication at work: who has had a message is not sent it, and who is just being sent it is waited for."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import DeliveryError, MailkitError, MessageError, RejectedError
from mailkit.events import Deduplicated
from mailkit.policies.deduplication import Delivery
from mailkit.policies.deduplication_store import Claim, MemoryDeduplicationStore
from mailkit.policies.fingerprint import digest, fingerprint
from mailkit.policies.relay import Later, Relay, left_unsent
from mailkit.policies.wrapper import Wrapper
from mailkit.receipt import Outcome, Receipt
from mailkit.transport import name_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.deduplicate import Deduplicate

__all__ = ["OnceChannel"]

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two looks at whether somebody else has ended."""

_Open = dict[int, Delivery]
"""The deliveries of a stream that are under way, by the identity of their messages."""


def _checked(key: object) -> str | None:
    if not isinstance(key, str | None):
        msg = f"it returned {type(key).__name__}, which is neither a str nor None"
        raise TypeError(msg)
    return key


class OnceChannel(Wrapper):
    """A channel that sends each message once.

    Args:
        policy: What counts as the same message, and for how long.
        edge: Whose clock and sleep are used.
    """

    def __init__(self, policy: Deduplicate, edge: Edge) -> None:
        super().__init__(policy.transport.open(edge), edge, policy)
        self._policy = policy
        self._name = name_of(policy)
        self._store = MemoryDeduplicationStore() if policy.store is None else policy.store

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message to those who have not had it.

        Raises:
            OutcomeUnknownError: It may have been accepted before.
            RejectedError: Its key is another message's.
            MessageError: The function that makes keys failed.
        """
        key = self._key(message)
        if key is None:
            return await self._channel.send(message, envelope)
        try:
            delivery = await self._wait_for(message, envelope, key)
        except MailkitError:
            raise
        except BaseException as interruption:
            left_unsent(interruption, envelope.rcpt_to, message.message_id)
            raise
        return await self._deliver(message, delivery)

    def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages, those that have not been delivered.

        A duplicate of a message that is still under way waits in its place until that is answered.
        """
        under_way: _Open = {}
        admit, settle = partial(self._admit, under_way), partial(self._settle, under_way)
        return Relay(self._channel, messages, admit, settle).outcomes(connections, window)

    def _key(self, message: Message) -> str | None:
        """Return the message's key.

        Raises:
            MessageError: The function that makes it failed.
        """
        try:
            return _checked(self._policy.key(message))
        except MailkitError:
            raise
        except Exception as error:
            msg = f"the function that makes idempotency keys failed ({type(error).__name__}): nothing was sent"
            raise MessageError(msg) from error

    async def _admit(self, under_way: _Open, message: Message) -> Message | Outcome | Later:
        from mailkit.envelope import Envelope

        try:
            key = self._key(message)
            if key is None:
                return message
            envelope = Envelope.from_message(message)
            delivery = await self._look_up(await self._claim(message, envelope, key), envelope, message.message_id)
            if delivery.is_busy:
                return Later(lambda: self._outcome(message, lambda: self.send(message, envelope)))
            if delivery.is_fresh:
                under_way[id(message)] = delivery
                return message
            if not delivery.mine:
                return await self._outcome(message, lambda: self._deliver(message, delivery))
        except MailkitError as error:
            return Outcome(message=message, error=error)
        under_way[id(message)] = delivery  # until it is its turn; an interruption before releases it

        async def resume() -> Outcome:
            del under_way[id(message)]
            return await self._outcome(message, lambda: self._deliver(message, delivery))

        return Later(resume)

    async def _outcome(self, message: Message, send: Callable[[], Any]) -> Outcome:
        try:
            return Outcome(message=message, receipt=await send())
        except MailkitError as error:
            return Outcome(message=message, error=error)

    async def _settle(self, under_way: _Open, outcome: Outcome) -> Outcome:
        delivery = under_way.get(id(outcome.message))
        if delivery is not None:
            await self._keep(delivery, outcome.receipt or outcome.error)
            del under_way[id(outcome.message)]
        return outcome

    async def _wait_for(self, message: Message, envelope: Envelope, key: str) -> Delivery:
        """Return a delivery that nobody else is busy with.

        Raises:
            OutcomeUnknownError: Somebody else is, for too long.
        """
        patience = self._edge.timeout if self._policy.max_wait is None else self._policy.max_wait
        deadline = self._edge.now() + patience
        pause = _FIRST_PAUSE
        claim = await self._claim(message, envelope, key)
        while (delivery := await self._look_up(claim, envelope, message.message_id)).is_busy:
            left = deadline - self._edge.now()
            if left <= 0:
                raise delivery.still_busy(patience, self._name)
            await self._edge.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
        return delivery

    async def _claim(self, message: Message, envelope: Envelope, key: str) -> Claim:
        """Return what is asked of the store.

        Raises:
            MessageError: An attachment cannot be read.
        """
        reads_files = bool(message.attachments)
        content = await self._edge.in_thread(partial(fingerprint, message)) if reads_files else fingerprint(message)
        return Claim(
            key=digest(key),
            recipients=tuple([digest(key, path.addr_spec) for path in envelope.rcpt_to]),
            content=content,
            owner=os.urandom(16).hex(),
            window=self._policy.window,
            sends_doubtful=self._policy.on_unknown == "retry",
        )

    async def _look_up(self, claim: Claim, envelope: Envelope, message_id: str | None) -> Delivery:
        """Ask the store, which claims what is new.

        Raises:
            RejectedError: The key is another message's.
            DeliveryError: The store cannot be asked.
        """
        try:
            found = await self._ask(partial(self._store.claim, claim))
            delivery = Delivery(claim, envelope, tuple(found), message_id=message_id)
        except DeliveryError as error:
            raise self._about(error, envelope, message_id)  # noqa: B904 - it is the same error
        except Exception as error:  # whatever holds the store may fail in any way
            failed = DeliveryError(
                f"the store of {self._name} cannot be asked ({type(error).__name__}): nothing was sent; try again when "
                "it can be",
                phase="duplicate",
            )
            raise self._about(failed, envelope, message_id) from error
        if delivery.is_other_message:
            raise RejectedError(
                "the idempotency key has been used for another message, so this one was not sent: give each message a "
                "key of its own, and the same message the same key",
                phase="duplicate",
                recipients=delivery.all_in("rejected"),
                transport=self._name,
                message_id=message_id,
            )
        return delivery

    async def _ask(self, function: Callable[[], Any]) -> Any:
        return await self._edge.in_thread(function) if self._store.blocks else function()

    def _about(self, error: DeliveryError, envelope: Envelope, message_id: str | None) -> DeliveryError:
        error.transport, error.message_id = self._name, message_id
        error.recipients = Delivery.results(envelope, "not_sent")
        return error

    async def _deliver(self, message: Message, delivery: Delivery) -> Receipt:
        """Deliver what is claimed, and add what is known of the others."""
        tally = delivery.tally()
        if delivery.earlier:
            self._edge.notify(
                Deduplicated(
                    message_id=message.message_id,
                    transport=self._name,
                    recipients=len(delivery.earlier),
                    original_message_id=delivery.original_message_id,
                )
            )
        if not delivery.mine:
            return tally.conclude()
        try:
            receipt = await self._channel.send(message, tally.ask(delivery.mine))
        except DeliveryError as error:
            await self._keep(delivery, error)
            if not delivery.earlier:
                raise
            tally.enter(error)
        except MailkitError as error:
            await self._keep(delivery, error)
            raise
        except BaseException as interruption:
            await self._keep(delivery, getattr(interruption, "delivery", None))
            if delivery.earlier:
                tally.annotate(interruption)
            raise
        else:
            await self._keep(delivery, receipt)
            if not delivery.earlier:
                return receipt
            tally.enter(receipt)
        return tally.conclude()

    async def _keep(self, delivery: Delivery, ended: Receipt | MailkitError | None) -> None:
        """Keep how a delivery ended. If that fails, it stays in doubt: nothing more is sent with that key."""
        settlements = delivery.settlements(ended)
        async with self._edge.shield():
            try:
                await self._ask(partial(self._store.settle, delivery.claim, settlements))
            except Exception as error:  # noqa: BLE001 - what became of the message is what the caller has to hear
                import logging

                logging.getLogger("mailkit.deduplicate").warning(
                    "mailkit.deduplicate.unsettled: %s cannot keep how a delivery ended (%s); until the window is "
                    "over, its idempotency key has an unknown outcome",
                    self._name,
                    type(error).__name__,
                )
