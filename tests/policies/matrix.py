"""Rows of the outcome tables, played against real servers on loopback, and what was observed in each.

A row is a fault that happens once, to the first delivery, on the server that is asked first; a second one is well. What
its cells say is never written down here: it is what the sender was told and what the two servers' ledgers hold.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal
from unittest.mock import patch

from attrs import evolve, field, frozen
from tests.http_server import Answer, HTTPServer
from tests.policies.faults import BIG, BOB, EVE, Fault

from mailkit import Envelope, Failover, Hooks, Message, Receipt, Retry, RetryPolicy
from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.errors import DeliveryError, MailkitError, UnsupportedFeatureError
from mailkit.post import Post
from mailkit.providers import Postmark, Resend
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer
from mailkit.testing.certificates import ServerTLS, make_certificate

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.http_server import Received
    from tests.policies.faults import Row

    from mailkit.providers.base import ApiTransport
    from mailkit.transport import Transport

__all__ = ["POLICIES", "SIDES", "Observed", "observe"]

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

_TLS: Final = make_certificate("valid", "localhost", "127.0.0.1")


class _Skipping(BlockingEdge):
    """The real edge, on a clock that skips what would be slept."""

    def __init__(self) -> None:
        super().__init__(5.0)
        self._skipped = 0.0

    def now(self) -> float:
        return super().now() + self._skipped

    async def sleep(self, seconds: float) -> None:
        self._skipped += seconds


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
    play = _SMTPPlay if side == "smtp" else _HTTPPlay
    with ExitStack() as stack:
        first, second = (stack.enter_context(play.server(each, side)) for each in (row.fault, Fault(takes=True)))
        stack.enter_context(_names(row.fault))
        transport = policies.wrap(first.transport(), second.transport())
        post = Post(transport, _Skipping(), policies.outside, defaults=None, hooks=Hooks(log="off"))
        try:
            if row.fault.is_second:
                _sent(post, evolve(row, message={}), is_smtp=True)
                first.let_go()
            told, attempts = _sent_in_stream(post, row) if in_stream else _sent(post, row, is_smtp=side == "smtp")
        finally:
            first.release()
            run_sync(post.close())
        return Observed(told, attempts, first.copies(), second.copies())


def _message(number: int, row: Row) -> Message:
    fields: dict[str, Any] = {"from_": "ada@example.com", "to": [BOB, EVE], "subject": f"Letter {number}", "text": "Hi"}
    return Message(**fields | row.message)


def _sent(post: Post, row: Row, *, is_smtp: bool) -> tuple[tuple[str, ...], int]:
    """Send the row's message; return what was told, and the number of attempts."""
    ended: Receipt | MailkitError
    try:
        if row.message is BIG and is_smtp:
            data = b"From: ada@example.com\r\nMessage-ID: <big@example.com>\r\n\r\n" + b"0123456789abcdef\r\n" * 900_000
            ended = run_sync(post.send_raw(data, Envelope("ada@example.com", [BOB, EVE])))
        elif row.in_batch:
            return _sent_in_batch(post, row)
        else:
            ended = run_sync(post.send(_message(1, row)))
    except MailkitError as error:
        ended = error
    return _told(ended)


def _sent_in_stream(post: Post, row: Row) -> tuple[tuple[str, ...], int]:
    """Send the row's message as the only one of a stream."""
    if row.in_batch:
        return _sent_in_batch(post, row)

    async def letters() -> Any:
        yield _message(1, row)

    async def go() -> Any:
        return [outcome async for outcome in post.send_many(letters(), 1, None, None)]

    (outcome,) = run_sync(go())
    return _told(outcome.receipt or outcome.error)


def _told(ended: Receipt | MailkitError) -> tuple[tuple[str, ...], int]:
    if isinstance(ended, Receipt | DeliveryError):
        told = {result.address: result.status for result in ended.recipients}
        return tuple(told[address] for address in (BOB, EVE)), ended.attempts
    assert isinstance(ended, UnsupportedFeatureError)
    return ("rejected", "rejected"), 0  # before any I/O, which is no attempt


def _sent_in_batch(post: Post, row: Row) -> tuple[tuple[str, ...], int]:
    """Send a message of its own to each, in one stream."""

    async def letters() -> Any:
        for address in (BOB, EVE):
            yield evolve(_message(1, row), to=[address])

    async def go() -> Any:
        return [outcome async for outcome in post.send_many(letters(), 1, None, None)]

    ends: list[Any] = [outcome.receipt or outcome.error for outcome in run_sync(go())]
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


@contextmanager
def _closed_port() -> Iterator[int]:
    """Give a port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


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
        with SMTPServer(**fault.server) as server, _closed_port() as closed:
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


class _Vendor(HTTPServer):
    """A vendor with a fault, which takes each recipient's copy, once for each idempotency key where it honours them."""

    def __init__(self, fault: Fault, *, honours_keys: bool, context: ssl.SSLContext | None) -> None:
        self.fault = fault
        self.honours_keys = honours_keys
        played = [] if fault.is_cut else [None, fault] if fault.is_second else [fault]
        self.faults = itertools.chain(played, itertools.repeat(None))
        self.copies: list[str] = []
        self.keys: set[str] = set()
        self.stalled = threading.Event()
        super().__init__(self._answered, context=context)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def _serve(self, conn: socket.socket, number: int) -> None:
        if self.fault.is_cut and number == 1:
            conn.recv(100)
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
            return
        super()._serve(conn, number)

    def _answered(self, request: Received) -> Answer:
        fault = next(self.faults)
        bodies = request.json() if isinstance(request.json(), list) else [request.json()]
        if fault is None or fault.takes:
            refused = () if fault is None else fault.refused_inside
            self._take(request, [address for body in bodies for address in _recipients(body) if address not in refused])
        if fault is not None and fault.is_stalled:
            self.stalled.wait(10)
        if fault is not None and fault.refused_inside:
            return Answer(200, [_said(_recipients(body)[0] in fault.refused_inside) for body in bodies])
        if fault is not None and fault.answer is not None:
            return fault.answer
        if isinstance(request.json(), list):
            return Answer(
                200, {"data": [{"id": "1"} for _ in bodies]} if self.honours_keys else [_said(False)] * len(bodies)
            )
        return Answer(200, {"id": "1"} if self.honours_keys else _said(False))

    def _take(self, request: Received, addresses: list[str]) -> None:
        key = request.headers.get("idempotency-key") if self.honours_keys else None
        if key is not None and key in self.keys:
            return
        if key is not None:
            self.keys.add(key)
        self.copies += addresses


def _said(is_refused: bool) -> dict[str, Any]:
    if is_refused:
        return {"ErrorCode": 406, "Message": "You tried to send to a recipient that has been marked as inactive."}
    return {"ErrorCode": 0, "Message": "OK", "MessageID": "1"}


def _recipients(body: Any) -> list[str]:
    given = body.get("to") or body["To"].split(", ")
    return [each.strip() for each in given]


@frozen
class _HTTPPlay:
    """A vendor's server with a fault."""

    fault: Fault
    side: Side
    vendor: _Vendor
    port: int
    before: list[int] = field(factory=list[int])

    @classmethod
    @contextmanager
    def server(cls, fault: Fault, side: Side) -> Iterator[_HTTPPlay]:
        context = ServerTLS(_TLS, maximum=None).context if fault.is_tls else None
        with (
            _Vendor(fault, honours_keys=side == "honoured", context=context) as vendor,
            _closed_port() as closed,
        ):
            yield cls(fault, side, vendor, closed if fault.is_refused else vendor.port)

    def transport(self) -> ApiTransport:
        kind = Resend if self.side == "honoured" else Postmark
        host = "nowhere.example" if self.fault.name_error else "127.0.0.1"
        return kind("KEY", host=host, port=self.port, **self.fault.client)

    def let_go(self) -> None:
        """Forget what came before."""
        self.before.append(len(self.vendor.copies))

    def release(self) -> None:
        self.vendor.stalled.set()

    def copies(self) -> tuple[int, ...]:
        taken = self.vendor.copies[sum(self.before) :]
        return tuple(taken.count(address) for address in (BOB, EVE))
