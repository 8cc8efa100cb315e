"""The waist of the hourglass: what every transport is."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mailkit.errors import DeliveryError, MailkitError, OutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from mailkit.capabilities import Capabilities
    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Outcome, Receipt
    from mailkit.server_info import PeerCertificate, ServerInfo

__all__ = ["Capabilities", "Channel", "PeerCertificate", "ServerInfo", "Transport", "name_of"]


@asynccontextmanager
async def carrying_on(outcomes: AsyncGenerator[Outcome, None]) -> AsyncGenerator[AsyncGenerator[Outcome, None], None]:
    """Go through a stream of outcomes in this block: whatever breaks off the block breaks off the stream by itself.

    So a stream that says what it leaves behind says it of that interruption (a closed generator's GeneratorExit, a
    cancellation, KeyboardInterrupt), as its ``outcomes``.
    """
    try:
        yield outcomes
    except BaseException as interruption:
        try:
            await outcomes.athrow(interruption)
        except BaseException as raised:
            if raised is not interruption and not isinstance(raised, StopAsyncIteration):
                raise
        raise
    finally:
        await outcomes.aclose()


class Channel:
    """A transport at work on one edge: it holds the connections, and `close` gives them up.

    Whoever writes a transport overrides `send`; the rest has defaults.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether one refused recipient keeps a message from everybody, so that no part of them is tried again."""
        return False

    @property
    def announces_commit(self) -> bool:
        """Whether `send` calls :func:`mailkit.commit_point.announce_commit` before it writes the end of a message."""
        return False

    @property
    def retries_by_itself(self) -> bool:
        """Whether a delivery is tried again in here already, so that a mailer adds no retries of its own accord."""
        return False

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message, once.

        Raises:
            UnsupportedFeatureError: The transport cannot express it.
            DeliveryError: No recipient was accepted.
        """
        raise NotImplementedError

    async def send_many(
        self,
        messages: AsyncIterator[Message | Outcome],
        *,
        connections: int = 1,  # noqa: ARG002 - for transports that can use them
        window: int | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; yield one outcome for each, in order.

        What was found wrong with a message before it came here comes as its outcome, and is passed on in its place.
        Whatever interrupts it carries what became of the message that was being sent, as ``outcomes``.
        """
        from mailkit.envelope import Envelope
        from mailkit.receipt import Outcome

        async for message in messages:
            if isinstance(message, Outcome):
                yield message
                continue
            try:
                receipt = await self.send(message, Envelope.from_message(message))
            except MailkitError as error:
                yield Outcome(message=message, error=error)
            except BaseException as interruption:
                interruption.__dict__["outcomes"] = (_left_by(interruption, message),)
                raise
            else:
                yield Outcome(message=message, receipt=receipt)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:  # noqa: ARG002
        """Deliver prepared RFC 5322 bytes unchanged."""
        from mailkit.capabilities import unsupported

        raise unsupported("raw", 1, 0, name_of(self.transport))

    async def verify(self) -> ServerInfo:
        """Connect and authenticate without sending, where there is something to connect to."""
        from mailkit.server_info import ServerInfo

        return ServerInfo(transport=str(self.transport))

    async def close(self) -> None:
        """Give up every connection."""


def _left_by(interruption: BaseException, message: Message) -> Outcome:
    """Return what an interruption has left of the message that was being sent."""
    from mailkit.receipt import Outcome, Receipt

    delivery: Receipt | DeliveryError | None = getattr(interruption, "delivery", None)
    if isinstance(delivery, Receipt):
        return Outcome(message=message, receipt=delivery)
    return Outcome(message=message, error=delivery or doubt_about(message))


def doubt_about(message: Message) -> OutcomeUnknownError:
    """Return the error for a message that was on its way when an interruption came which says nothing of it."""
    from mailkit.receipt import RecipientResult

    paths = dict.fromkeys(path.addr_spec for path in (*message.to, *message.cc, *message.bcc))
    return OutcomeUnknownError(
        "sending was interrupted, and the message may or may not have been accepted. Look for the Message-ID at the "
        "receiving side before sending again",
        recipients=[RecipientResult(path, status="unknown") for path in paths],
        message_id=message.message_id,
    )


@runtime_checkable
class Transport(Protocol):
    """A way to send mail: a value that says how, and opens channels that do.

    Example:
        >>> from mailkit.local import NullTransport
        >>> isinstance(NullTransport(), Transport)
        True

    ``str(transport)`` names it without its secrets.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can express."""
        ...

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        ...


def name_of(transport: Transport) -> str:
    """Return what a transport is called in logs and metrics: ``str``, or its ``log_name`` where that names people.

    Example:
        >>> from mailkit import Redirect
        >>> from mailkit.local import NullTransport
        >>> str(Redirect(NullTransport(), "dev@example.com")), name_of(Redirect(NullTransport(), "dev@example.com"))
        ('redirect(null://)?to=dev@example.com', 'redirect(null://)')
    """
    name: str | None = getattr(transport, "log_name", None)
    return str(transport) if name is None else name


_HOMES = {
    "Capabilities": "mailkit.capabilities",
    "PeerCertificate": "mailkit.server_info",
    "ServerInfo": "mailkit.server_info",
}


if not TYPE_CHECKING:  # a type checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Import what only sending needs when it is first asked for, then keep it (PEP 562)."""
        from importlib import import_module

        if name not in _HOMES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
