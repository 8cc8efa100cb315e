"""Not writing to those who do not want it, or who are not there any more, and saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from attrs import evolve, field, frozen

from mailkit.errors import ConfigurationError, DeliveryError, MailkitError, RejectedError
from mailkit.events import Suppressed
from mailkit.policies.policy import as_object, as_text
from mailkit.policies.relay import Later, Relay, left_unsent
from mailkit.policies.suppression_list import SuppressionList
from mailkit.policies.wrapper import Wrapper, Wrapping
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.redaction import printable
from mailkit.transport import name_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from attrs import Attribute

    from mailkit.address import Address
    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.transport import Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["Suppress"]


def _is_list(instance: object, attribute: Attribute[Any], value: object) -> None:  # noqa: ARG001 - attrs gives it
    if isinstance(value, type) or not isinstance(value, SuppressionList):
        msg = (
            f"Suppress takes a suppression list, not {type(value).__name__}: use MemorySuppressionList, "
            "FileSuppressionList or SQLiteSuppressionList of mailkit.policies, or write one with `blocks` and `reasons`"
        )
        raise ConfigurationError(msg)


@frozen
class Suppress(Wrapping):
    """Leaves out the recipients that are on a suppression list. They are results of their own, and not silence.

    A suppressed recipient is ``"rejected"`` in the phase ``"suppressed"``, with the reason as its text. The others get
    the message as it is, its header unchanged. Where nobody is left, a :class:`mailkit.RejectedError` is raised before
    any connection is made. Where one recipient's refusal keeps a message from everybody (SMTP's ``recipients="all"``),
    a suppressed one does so too.

    Example:
        >>> from mailkit import Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> from mailkit.policies import MemorySuppressionList
        >>> suppressed = MemorySuppressionList({"bob@example.org": "hard bounce on 2026-05-02"})
        >>> with Mailer(Suppress(MemoryTransport(), suppressed)) as mailer:
        ...     receipt = mailer.send(
        ...         Message(from_="ada@example.com", to=["bob@example.org", "eve@example.org"], text="Hi")
        ...     )
        >>> for result in receipt.recipients:
        ...     print(result)
        bob@example.org: rejected (hard bounce on 2026-05-02)
        eve@example.org: accepted

    Args:
        transport: What sends the messages.
        suppressed: Who is suppressed; it is asked about each message anew.

    Raises:
        ConfigurationError: `suppressed` is no suppression list.
    """

    scheme: ClassVar[str] = "suppress"

    suppressed: SuppressionList = field(validator=_is_list)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``suppress(URL)?file=/etc/suppressed.txt`` describes.

        Raises:
            ConfigurationError: There is not exactly one member, or a parameter is wrong or missing.
        """
        from mailkit.policies.members import only_member
        from mailkit.policies.suppression_database import SQLiteSuppressionList
        from mailkit.policies.suppression_file import FileSuppressionList

        lists = url.parameters(file=FileSuppressionList, database=SQLiteSuppressionList)
        if len(lists) != 1:
            raise ConfigurationError(f"{url.name} needs one list: write suppress(URL)?file=PATH or ?database=PATH")
        (suppressed,) = lists.values()
        return cls(only_member(cls.scheme, members), suppressed)

    def _parameters(self) -> Mapping[str, str | None]:
        from mailkit.policies.suppression_database import SQLiteSuppressionList
        from mailkit.policies.suppression_file import FileSuppressionList

        given = self.suppressed
        if type(given) is FileSuppressionList:
            return {"file": as_text(given.path)}
        if type(given) is SQLiteSuppressionList:
            return {"database": as_text(given.path)}
        return {"list": as_object(given)}

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        return _SuppressingChannel(self, edge)


class _SuppressingChannel(Wrapper):
    """A channel that leaves out some recipients.

    Args:
        suppress: Which ones.
        edge: Where a list that blocks is asked.
    """

    def __init__(self, suppress: Suppress, edge: Edge) -> None:
        super().__init__(suppress.transport.open(edge), edge, suppress)
        self._list = suppress.suppressed
        self._name = name_of(suppress)

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message to those who are not suppressed.

        Raises:
            RejectedError: All of them are: no connection was made.
        """
        results = await self._look_up(envelope, message.message_id)
        return await self._deliver(results, envelope, lambda rest: self._channel.send(message, rest))

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes to those who are not suppressed."""
        results = await self._look_up(envelope, None)
        return await self._deliver(results, envelope, lambda rest: self._channel.send_raw(data, rest))

    def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages.

        One with some recipients suppressed goes by itself, in its place, when those before it are answered.
        """
        return Relay(self._channel, messages, self._admit).outcomes(connections, window)

    async def _admit(self, message: Message) -> Message | Outcome | Later:
        from mailkit.envelope import Envelope

        try:
            envelope = Envelope.from_message(message)
            results = await self._look_up(envelope, message.message_id)
        except MailkitError as error:
            return Outcome(message=message, error=error)
        if not results:
            return message

        async def resume() -> Outcome:
            try:
                receipt = await self._deliver(results, envelope, lambda rest: self._channel.send(message, rest))
            except MailkitError as error:
                return Outcome(message=message, error=error)
            return Outcome(message=message, receipt=receipt)

        return Later(resume)

    async def _look_up(self, envelope: Envelope, message_id: str | None) -> dict[Address, RecipientResult]:
        """Return the results of those who are suppressed.

        Raises:
            RejectedError: Nobody is left.
            DeliveryError: The list cannot be asked.
        """
        paths = envelope.rcpt_to
        reasons = await self._ask(paths, message_id)
        results = {
            path: RecipientResult(
                path.addr_spec, status="rejected", phase="suppressed", text=printable(reason.encode(errors="replace"))
            )
            for path, reason in zip(paths, reasons, strict=True)
            if reason is not None
        }
        if results:
            remaining = len(paths) - len(results)
            self._edge.notify(
                Suppressed(message_id=message_id, transport=self._name, recipients=len(results), remaining=remaining)
            )
            if not remaining or self.is_all_or_nothing:
                raise self._refusal(paths, results, message_id)
        return results

    async def _ask(self, paths: tuple[Address, ...], message_id: str | None) -> list[str | None]:
        def ask() -> list[Any]:
            reasons: list[Any] = list(self._list.reasons(paths))
            if len(reasons) != len(paths):
                msg = f"it gave {len(reasons)} reasons for {len(paths)} addresses"
                raise ValueError(msg)
            for reason in reasons:
                if not isinstance(reason, str | None):
                    msg = f"it gave {type(reason).__name__} as a reason"
                    raise TypeError(msg)
            return reasons

        try:
            return await self._edge.in_thread(ask) if self._list.blocks else ask()
        except Exception as error:  # whatever holds the list may fail in any way
            if not isinstance(error, DeliveryError):
                failed = DeliveryError(
                    f"the suppression list of {self._name} cannot be asked ({type(error).__name__}): nothing was sent; "
                    "try again when it can be",
                    phase="suppressed",
                )
                failed.__cause__ = error
                error = failed
            error.transport, error.message_id = self._name, message_id
            error.recipients = _left_out(paths, {}, phase="suppressed")
            raise error from error.__cause__
        except BaseException as interruption:
            left_unsent(interruption, paths, message_id)
            raise

    def _refusal(
        self, paths: tuple[Address, ...], results: dict[Address, RecipientResult], message_id: str | None
    ) -> RejectedError:
        who = "every recipient is" if len(results) == len(paths) else "a recipient is"
        # The addresses are in the results, and not in the text, which may be logged.
        return RejectedError(
            f"{who} on the suppression list of {self._name}: the message was sent to nobody; leave out who is on it, "
            "or take them off it",
            phase="suppressed",
            recipients=_left_out(paths, results),
            transport=self._name,
            message_id=message_id,
        )

    async def _deliver(
        self,
        suppressed: dict[Address, RecipientResult],
        envelope: Envelope,
        deliver: Callable[[Envelope], Awaitable[Receipt]],
    ) -> Receipt:
        if not suppressed:
            return await deliver(envelope)
        rest = evolve(envelope, rcpt_to=[path for path in envelope.rcpt_to if path not in suppressed])

        def merged(results: Iterable[RecipientResult]) -> tuple[RecipientResult, ...]:
            by_address = {result.address: result for result in (*results, *suppressed.values())}
            paths = (path.addr_spec for path in envelope.rcpt_to)
            return tuple([by_address[path] for path in paths if path in by_address])

        try:
            receipt = await deliver(rest)
        except DeliveryError as error:
            error.recipients = merged(error.recipients)
            raise
        except BaseException as interruption:
            delivery: Receipt | DeliveryError | None = getattr(interruption, "delivery", None)
            if isinstance(delivery, Receipt):
                interruption.__dict__["delivery"] = evolve(delivery, recipients=merged(delivery.recipients))
            elif delivery is not None:
                delivery.recipients = merged(delivery.recipients)
            raise
        return evolve(receipt, recipients=merged(receipt.recipients))


def _left_out(
    paths: Iterable[Address], results: dict[Address, RecipientResult], phase: str | None = None
) -> tuple[RecipientResult, ...]:
    """Return a result for each: the one that it has, or that it was not sent to."""
    return tuple(
        [results.get(path) or RecipientResult(path.addr_spec, status="not_sent", phase=phase) for path in paths]
    )
