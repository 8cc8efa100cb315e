"""Rows of the outcome tables, played against real servers on loopback, and what was observed in each.

A row is a fault that happens once, to the first delivery, on the server that is asked first; a second one is well. What
its cells say is never written down here: it is what the sender was told and what the two servers' ledgers hold.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from unittest.mock import patch

from anyio.from_thread import start_blocking_portal
from attrs import evolve, field, frozen
from tests.policies.faults import BIG, BOB, EVE, Fault
from tests.policies.vendor import HTTPPlay, closed_port

from mailkit import Envelope, Failover, Hooks, Message, Receipt, Retry, RetryPolicy
from mailkit.edge.anyio import AnyioEdge
from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.errors import DeliveryError, MailkitError, UnsupportedFeatureError
from mailkit.post import Post
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.policies.faults import Row

    from mailkit.transport import Transport

__all__ = ["POLICIES", "SIDES", "Observed", "observe"]

_Run: TypeAlias = "Callable[[Coroutine[Any, Any, Any]], Any]"
Side = Literal["smtp", "honoured", "ignored"]
SIDES: Final[dict[Side, str]] = {
    "smtp": "SMTP",
    "honoured": "HTTP, and the vendor honours an idempotency key (Resend)",
    "ignored": "HTTP, and the vendor knows no idempotency key (Postmark)",
}
"""What is sent through."""


@frozen
class Policies:
    """What there is between the sender and the servers.

    Args:
        retry: What is tried again.
        has_second: Whether there is a second server.
        is_inside: Whether each server has retries of its own, inside of the failover.
    """

    retry: RetryPolicy
    has_second: bool = False
    is_inside: bool = False

    def wrap(self, first: Transport, second: Transport) -> Transport:
        """Return what the mailer sends through."""
        if self.is_inside:
            first, second = Retry(first, self.retry), Retry(second, self.retry)
        return Failover(first, second) if self.has_second else first

    @property
    def outside(self) -> RetryPolicy:
        """The mailer's own retries."""
        return RetryPolicy.none() if self.is_inside else self.retry


POLICIES: Final[dict[str, Policies]] = {
    "no policy": Policies(RetryPolicy.none()),
    "retry": Policies(RetryPolicy()),
    "failover": Policies(RetryPolicy.none(), has_second=True),
    "both": Policies(RetryPolicy(), has_second=True),
    "both, retries inside": Policies(RetryPolicy(), has_second=True, is_inside=True),
    'retry, `on_unknown="retry"`': Policies(RetryPolicy(on_unknown="retry")),
}
"""By column."""


class _Skipping(BlockingEdge):
    """The real edge, on a clock that skips what would be slept."""

    def __init__(self) -> None:
        super().__init__(5.0)
        self._skipped = 0.0

    def now(self) -> float:
        return super().now() + self._skipped

    async def sleep(self, seconds: float) -> None:
        self._skipped += seconds


class _SkippingTasks(AnyioEdge):
    """The same for an event loop, which is where HTTP/2 is spoken. It skips nothing on its way to a server."""

    async def sleep(self, seconds: float) -> None:
        pass


@contextmanager
def _event_loop() -> Iterator[_Run]:
    """Run coroutines one after the other in one event loop."""
    with start_blocking_portal("asyncio") as portal:

        def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
            async def ended() -> Any:
                return await coroutine

            return portal.call(ended)

        yield run


@frozen
class Observed:
    """A cell.

    Args:
        told: What became of each recipient, as the sender was told.
        attempts: How many attempts he was told of.
        first: How many copies each recipient has from the server that is asked first.
        second: How many he has from the other one.
    """

    told: tuple[str, ...]
    attempts: int
    first: tuple[int, ...]
    second: tuple[int, ...]

    @property
    def copies(self) -> tuple[int, ...]:
        """How many copies each recipient has."""
        return tuple(map(sum, zip(self.first, self.second, strict=True)))

    def check(self, *, at_most: int) -> None:
        """Nothing twice but what was asked for, nothing lost in silence, and nothing claimed that is not so."""
        for told, copies in zip(self.told, self.copies, strict=True):
            assert copies <= at_most
            if told == "accepted":
                assert copies >= 1
            elif told != "unknown":
                assert copies == 0

    def as_cell(self) -> str:
        """Return it as a cell of a table."""
        told = [each.replace("_", " ") for each in self.told]
        copies = [f"{first} + {second}" for first, second in zip(self.first, self.second, strict=True)]
        attempts = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        both = told[0] if told[0] == told[1] else f"Bob {told[0]}, Eve {told[1]}"
        held = f"{copies[0]}" if copies[0] == copies[1] else f"Bob {copies[0]}, Eve {copies[1]}"
        return f"{both}<br>{attempts}<br>copies {held}"


def observe(row: Row, side: Side, column: str, *, in_stream: bool = False) -> Observed:
    """Play a row with a policy and return what was seen; in a stream of that one message if asked to."""
    policies = POLICIES[column]
    play = _SMTPPlay if side == "smtp" else HTTPPlay
    with ExitStack() as stack:
        first, second = (stack.enter_context(play.server(each, side)) for each in (row.fault, Fault(takes=True)))
        stack.enter_context(_names(row.fault))
        transport = policies.wrap(first.transport(), second.transport())
        is_http2 = row.fault.is_http2
        run = stack.enter_context(_event_loop()) if is_http2 else run_sync
        edge = _SkippingTasks(5.0) if is_http2 else _Skipping()
        post = Post(transport, edge, policies.outside, defaults=None, hooks=Hooks(log="off"))
        try:
            if row.fault.is_second:
                _sent(run, post, evolve(row, message={}), is_smtp=True)
                first.let_go()
            is_smtp = side == "smtp"
            told, attempts = _sent_in_stream(run, post, row) if in_stream else _sent(run, post, row, is_smtp=is_smtp)
        finally:
            first.release()
            run(post.close())
        return Observed(told, attempts, first.copies(), second.copies())


def _message(number: int, row: Row) -> Message:
    fields: dict[str, Any] = {"from_": "ada@example.com", "to": [BOB, EVE], "subject": f"Letter {number}", "text": "Hi"}
    return Message(**fields | row.message)


def _sent(run: _Run, post: Post, row: Row, *, is_smtp: bool) -> tuple[tuple[str, ...], int]:
    """Send the row's message; return what was told, and the number of attempts."""
    ended: Receipt | MailkitError
    try:
        if row.message is BIG and is_smtp:
            data = b"From: ada@example.com\r\nMessage-ID: <big@example.com>\r\n\r\n" + b"0123456789abcdef\r\n" * 900_000
            ended = run(post.send_raw(data, Envelope("ada@example.com", [BOB, EVE])))
        elif row.in_batch:
            return _sent_in_batch(run, post, row)
        else:
            ended = run(post.send(_message(1, row)))
    except MailkitError as error:
        ended = error
    return _told(ended)


def _sent_in_stream(run: _Run, post: Post, row: Row) -> tuple[tuple[str, ...], int]:
    """Send the row's message as the only one of a stream."""
    if row.in_batch:
        return _sent_in_batch(run, post, row)

    async def letters() -> Any:
        yield _message(1, row)

    async def go() -> Any:
        return [outcome async for outcome in post.send_many(letters(), 1, None, None)]

    (outcome,) = run(go())
    return _told(outcome.receipt or outcome.error)


def _told(ended: Receipt | MailkitError) -> tuple[tuple[str, ...], int]:
    if isinstance(ended, Receipt | DeliveryError):
        told = {result.address: result.status for result in ended.recipients}
        return tuple(told[address] for address in (BOB, EVE)), ended.attempts
    assert isinstance(ended, UnsupportedFeatureError)
    return ("rejected", "rejected"), 0  # before any I/O, which is no attempt


def _sent_in_batch(run: _Run, post: Post, row: Row) -> tuple[tuple[str, ...], int]:
    """Send a message of its own to each, in one stream."""

    async def letters() -> Any:
        for address in (BOB, EVE):
            yield evolve(_message(1, row), to=[address])

    async def go() -> Any:
        return [outcome async for outcome in post.send_many(letters(), 1, None, None)]

    ends: list[Any] = [outcome.receipt or outcome.error for outcome in run(go())]
    return tuple(end.recipients[0].status for end in ends), max(end.attempts for end in ends)


@contextmanager
def _names(fault: Fault) -> Iterator[None]:
    """Let a name of the fault's not be found, or not be found now."""
    if fault.name_error is None:
        yield
        return
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if b"nowhere" in (host if isinstance(host, bytes) else str(host).encode()):
            raise socket.gaierror(fault.name_error, "no")
        return real(host, *args, **options)

    with patch.object(socket, "getaddrinfo", getaddrinfo):
        yield


@frozen
class _SMTPPlay:
    """An SMTP server with a fault."""

    fault: Fault
    smtp: SMTPServer
    port: int
    before: list[int] = field(factory=list[int])

    @classmethod
    @contextmanager
    def server(cls, fault: Fault, side: Side) -> Iterator[_SMTPPlay]:
        del side
        with SMTPServer(**fault.server) as server, closed_port() as closed:
            if not fault.is_second:
                for phase, action, options in fault.script:
                    server.script(phase, action, **options)
            yield cls(fault, server, closed if fault.is_refused else server.port)

    def transport(self) -> SMTP:
        fault = self.fault
        options = dict(fault.client)
        if options.get("ca_file") == "trusted":
            options["ca_file"] = self.smtp.ca_file
        if "users" in fault.server:
            options |= {"username": "ada", "password": "secret"}
        if fault.name_error is not None:
            options["tls"] = "insecure"
        return SMTP("nowhere.example" if fault.name_error else self.smtp.host, port=self.port, **options)

    def let_go(self) -> None:
        """Play the fault on the connection that has been used, and forget what came before."""
        self.before.append(len(self.smtp.messages))
        for phase, action, options in self.fault.script:
            self.smtp.script(phase, action, **options)
        if self.fault.kick is not None:
            assert self.smtp.kick(self.fault.kick) == 1

    def release(self) -> None:
        self.smtp.release()

    def copies(self) -> tuple[int, ...]:
        # What has arrived and was not answered is a matter of what the server does: it keeps it or it does not.
        kept = self.smtp.committed if self.fault.takes else self.smtp.messages
        taken = kept[sum(self.before) :]
        return tuple(sum(message.rcpt_to.count(address) for message in taken) for address in (BOB, EVE))
