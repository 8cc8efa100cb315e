"""The waist of the hourglass: what every transport is, and what it can do."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import fields, frozen

from mailkit.errors import DeliveryError, MailkitError, OutcomeUnknownError, UnsupportedFeatureError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Outcome, Receipt
    from mailkit.server_info import PeerCertificate, ServerInfo

__all__ = ["Capabilities", "Channel", "PeerCertificate", "ServerInfo", "Transport", "name_of"]


@frozen(kw_only=True, cache_hash=True)
class Capabilities:
    """What a transport can express, so that nothing is ever dropped in silence.

    Numbers are the most that one message may carry; 0 is none.

    Example:
        >>> Capabilities(attachments=True, tags=1).tags
        1

    Args:
        html: An HTML body.
        cc: Recipients in Cc.
        bcc: Recipients in Bcc.
        reply_to: Addresses in Reply-To.
        headers: Header fields of one's own.
        threading: In-Reply-To and References.
        sender: A Sender apart from From.
        return_path: A reverse-path apart from From.
        list_unsubscribe: List-Unsubscribe, also with one click (RFC 8058).
        attachments: Attached files.
        inline: Files shown inside the HTML body (``cid:``).
        amp: An AMP body.
        calendar: A calendar invitation.
        smtputf8: Addresses whose local part is not ASCII (RFC 6531).
        raw: Prepared RFC 5322 bytes through ``send_raw``.
        tags: Tags or categories.
        metadata: Entries of metadata that events carry back.
        track_opens: Choosing for one message whether opens are tracked.
        track_clicks: Choosing for one message whether clicks are tracked.
        send_at: Delivery at a later time.
        template: Templates stored at the provider.
    """

    html: bool = True
    cc: bool = True
    bcc: bool = True
    reply_to: int = 1
    headers: bool = True
    threading: bool = True
    sender: bool = False
    return_path: bool = False
    list_unsubscribe: bool = True
    attachments: bool = False
    inline: bool = False
    amp: bool = False
    calendar: bool = False
    smtputf8: bool = False
    raw: bool = False
    tags: int = 0
    metadata: int = 0
    track_opens: bool = False
    track_clicks: bool = False
    send_at: bool = False
    template: bool = False

    @classmethod
    def everything(cls) -> Capabilities:
        """Return the capabilities of a transport that keeps messages as they are."""
        many = 1_000_000_000
        most: dict[str, Any] = {each.name: many if each.type == "int" else True for each in fields(cls)}
        return cls(**most)

    @classmethod
    def rfc5322(cls, *, smtputf8: bool = True) -> Capabilities:
        """Return the capabilities of a transport that carries RFC 5322 bytes and nothing beside them."""
        return cls(
            reply_to=1_000_000_000,
            sender=True,
            return_path=True,
            attachments=True,
            inline=True,
            amp=True,
            calendar=True,
            smtputf8=smtputf8,
            raw=True,
        )

    def check(self, message: Message, envelope: Envelope, *, transport: str) -> None:
        """Refuse what this transport cannot express, before any I/O.

        Raises:
            UnsupportedFeatureError: The first such feature.
        """
        for feature, used, limit in _limits(self):
            wanted = used(message)
            if wanted > limit:
                raise _unsupported(feature, wanted, limit, transport)
        if self.smtputf8:
            return
        named = (message.from_, message.sender, *message.reply_to)  # in the header, whoever the envelope names
        if envelope.needs_smtputf8 or any(each and each.needs_smtputf8 for each in named):
            raise _unsupported("smtputf8", 1, 0, transport)


_USES: Mapping[str, Callable[[Message], int]] = {
    "html": lambda message: message.html is not None,
    "cc": lambda message: bool(message.cc),
    "bcc": lambda message: bool(message.bcc),
    "reply_to": lambda message: len(message.reply_to),
    "headers": lambda message: bool(message.headers),
    "threading": lambda message: message.in_reply_to is not None or bool(message.references),
    "sender": lambda message: message.sender is not None,
    "return_path": lambda message: message.return_path is not None,
    "list_unsubscribe": lambda message: message.list_unsubscribe is not None,
    "attachments": lambda message: any(each.disposition == "attachment" for each in message.attachments),
    "inline": lambda message: any(each.disposition == "inline" for each in message.attachments),
    "amp": lambda message: message.amp is not None,
    "calendar": lambda message: message.calendar is not None,
    "tags": lambda message: len(message.tags),
    "metadata": lambda message: len(message.metadata),
    "track_opens": lambda message: message.track_opens is not None,
    "track_clicks": lambda message: message.track_clicks is not None,
    "send_at": lambda message: message.send_at is not None,
    "template": lambda message: message.template is not None,
}


@lru_cache(maxsize=64)
def _limits(capabilities: Capabilities) -> tuple[tuple[str, Callable[[Message], int], int], ...]:
    """Return what has to be looked at in each message: what there is no limit to has not."""
    limits = ((feature, used, getattr(capabilities, feature)) for feature, used in _USES.items())
    return tuple([limit for limit in limits if limit[2] is not True])


def _unsupported(feature: str, wanted: int, limit: int, transport: str) -> UnsupportedFeatureError:
    most = f"at most {limit} of them, not {wanted}" if limit else "none"
    return UnsupportedFeatureError(
        f"{transport} cannot express {feature!r} ({most}): leave it out, or send through a transport that can",
        feature=feature,
        transport=transport,
    )


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
        raise _unsupported("raw", 1, 0, name_of(self.transport))

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


if not TYPE_CHECKING:  # a type checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Import what only `verify` returns when it is first asked for, then keep it (PEP 562)."""
        if name not in {"PeerCertificate", "ServerInfo"}:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from mailkit import server_info

        value = globals()[name] = getattr(server_info, name)
        return value
