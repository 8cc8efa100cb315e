"""The rows of docs/explanation/outcome-matrix.md: what goes wrong, as the tables of outcomes name it.

Only the causes are here. What becomes of a message is observed, in ``tests/policies/matrix.py``.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen
from h2.errors import ErrorCodes
from tests.http2_server import GoAway, Reset
from tests.http_server import Answer

from mailkit.smtp.timeouts import Timeouts
from mailkit.testing import CloseAfter, Disconnect, Garbage, InjectAfter, RawReply, Stall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["BIG", "BOB", "EVE", "HTTP_ROWS", "SMTP_ROWS", "SOON", "Fault", "Row"]

BOB: Final = "bob@example.org"
EVE: Final = "eve@example.net"
BIG: Final[Mapping[str, Any]] = {"text": "0123456789abcdef\r\n" * 400_000}
"""More than all socket buffers between client and server hold."""
SOON: Final = 0.2
"""Seconds: the timeout of whoever waits for a server that says nothing, where nothing else is going on."""
_ANY: Final[Mapping[str, Any]] = {}
_TAKEN: Final = ((", taken", True), (", not taken", False))


@frozen(kw_only=True)
class Fault:
    """What the first server does once.

    Args:
        server: How an SMTP server is made.
        client: Options of the transport.
        script: Phase, action and options of what an SMTP server does.
        kick: What it does unasked on an idle connection.
        answer: What a vendor answers, or does instead.
        takes: Whether the server has taken the message although it does not say so.
        refused_inside: Whom it refuses inside an answer of 200.
        is_stalled: Whether it answers too late.
        is_cut: Whether its connection is reset while the request is written.
        is_tls: Whether the vendor has TLS, with a certificate that nobody trusts.
        is_refused: Whether nobody listens.
        is_second: Whether the fault strikes the second message on the same connection.
        name_error: What looking the name up ends in.
    """

    server: Mapping[str, Any] = field(factory=dict)
    client: Mapping[str, Any] = field(factory=dict)
    script: tuple[tuple[Any, Any, Mapping[str, Any]], ...] = ()
    kick: Any = None
    answer: Answer | Reset | GoAway | None = None
    takes: bool = False
    refused_inside: tuple[str, ...] = ()
    is_stalled: bool = False
    is_cut: bool = False
    is_tls: bool = False
    is_refused: bool = False
    is_second: bool = False
    name_error: int | None = None

    @property
    def is_http2(self) -> bool:
        """Whether it can happen over HTTP/2 only."""
        return isinstance(self.answer, Reset | GoAway)


@frozen(kw_only=True)
class Row:
    """A row.

    Args:
        name: What happens, in words.
        fault: What that is.
        message: Fields of the message, where they matter.
        only: The only side where it can happen; everywhere if None.
        in_batch: Whether each recipient has a message of his own, in one stream.
        group: What rows are called together that fare the same; the name if None.
    """

    name: str
    fault: Fault
    message: Mapping[str, Any] = field(factory=dict)
    only: str | None = None
    in_batch: bool = False
    group: str | None = None

    @property
    def is_patient(self) -> bool:
        """Whether nobody waits for a timeout in it."""
        return not {"timeout", "timeouts"} & {*self.fault.client}

    def waiting(self, seconds: float) -> Row:
        """Return the same, with other timeouts than :data:`SOON`."""
        client = dict(self.fault.client)
        if (timeouts := client.get("timeouts")) is not None:
            names = [name for name in ("command", "data_end") if getattr(timeouts, name) == SOON]
            client["timeouts"] = evolve(timeouts, **dict.fromkeys(names, seconds))
        if "timeout" in client:
            client["timeout"] = 2 * seconds
        return evolve(self, fault=evolve(self.fault, client=client))


_PLAIN: Final[Mapping[str, Any]] = {"without": ("CHUNKING", "BINARYMIME")}
_LOGIN: Final[Mapping[str, Any]] = {"users": {"ada": "secret"}, "mechanisms": ["PLAIN"]}
_STARTTLS: Final[Mapping[str, Any]] = {
    "server": {"tls": "starttls"},
    "client": {"tls": "starttls", "ca_file": "trusted"},
}
_IMPATIENT: Final[Mapping[str, Any]] = {"timeouts": Timeouts(command=SOON, data_end=SOON)}
_ALL: Final[Mapping[str, Any]] = {"recipients": "all"}


def _smtp(name: str, *script: tuple[Any, ...], message: Mapping[str, Any] = _ANY, **fault: Any) -> Row:
    played = tuple((phase, action, options[0] if options else {}) for phase, action, *options in script)
    return Row(name=name, fault=Fault(script=played, **fault), message=message)


def _smtp_rows_before() -> Iterable[Row]:
    """What can go wrong before the content."""
    everybody, bob, eve = {"times": 2}, {"match": BOB}, {"match": EVE}
    yield _smtp("DNS: no such name", name_error=socket.EAI_NONAME)
    yield _smtp("DNS: no answer now", name_error=socket.EAI_AGAIN)
    yield _smtp("TCP: connection refused", is_refused=True)
    yield _smtp("greeting 421", ("greeting", CloseAfter("421 4.3.2 too busy")))
    yield _smtp("greeting: closed without one", ("greeting", Disconnect()))
    yield _smtp("greeting 554", ("greeting", "554 5.7.0 no service here"))
    yield _smtp("TLS: lost in the handshake", ("TLS", Disconnect()), **_STARTTLS)
    yield _smtp("TLS: a certificate that nobody trusts", server={"tls": "starttls"}, client={"tls": "starttls"})
    yield _smtp("STARTTLS missing, and required", client={"tls": "starttls"})
    yield _smtp("STARTTLS 454", ("STARTTLS", "454 4.7.0 not now"), **_STARTTLS)
    yield _smtp("bytes after the 220 to STARTTLS", ("STARTTLS", InjectAfter()), **_STARTTLS)
    yield _smtp("EHLO 502, HELO works", ("EHLO", "502 5.5.1 what?"))
    yield _smtp("AUTH 535", ("AUTH", "535 5.7.8 bad credentials"), server=_LOGIN)
    yield _smtp("AUTH 454", ("AUTH", "454 4.7.0 not now"), server=_LOGIN)
    yield _smtp("SIZE: over the limit", server={"max_size": 1000}, message={"text": "0123456789abcdef\r\n" * 100})
    utf8 = {"from_": "ådå@example.com"}
    yield _smtp("SMTPUTF8: needed, and not offered", server={"without": ("SMTPUTF8",)}, message=utf8)
    yield _smtp("MAIL: a reply that cannot be parsed", ("MAIL", Garbage()), server=_PLAIN)
    yield _smtp("MAIL: no reply in time", ("MAIL", Stall()), server=_PLAIN, client=_IMPATIENT)
    yield _smtp("MAIL 451", ("MAIL", "451 4.3.0 later"))
    yield _smtp("MAIL 550", ("MAIL", "550 5.7.1 no"))
    yield _smtp("RCPT: one of two 550", ("RCPT", "550 5.1.1 no such user", eve))
    yield _smtp("RCPT: one of two 451", ("RCPT", "451 4.2.1 later", eve))
    yield _smtp('RCPT: one of two 550, `recipients="all"`', ("RCPT", "550 5.1.1 no such user", eve), client=_ALL)
    yield _smtp("RCPT: all 550", ("RCPT", "550 5.1.1 no such user", everybody))
    yield _smtp("RCPT: all 451", ("RCPT", "451 4.2.1 later", everybody))
    yield _smtp("RCPT 452 4.5.3 after an accepted one", ("RCPT", "452 4.5.3 too many recipients", eve))
    yield _smtp("RCPT: all 451 4.7.1 (greylisting)", ("RCPT", "451 4.7.1 greylisted", everybody))
    yield _smtp("RCPT 421", ("RCPT", CloseAfter("421 4.3.2 shutting down"), bob), server=_PLAIN)


def _smtp_rows_after() -> Iterable[Row]:
    """What can go wrong with the content and after it."""
    everybody, eve = {"times": 2}, {"match": EVE}
    long: Any = {"server": _PLAIN, "message": BIG}
    yield _smtp("DATA 451", ("DATA", "451 4.3.0 later"), server=_PLAIN)
    yield _smtp("DATA 554", ("DATA", "554 5.3.0 no"), server=_PLAIN)
    yield _smtp("DATA: connection lost", ("DATA", Disconnect()), server=_PLAIN)
    yield _smtp("DATA 250", ("DATA", RawReply(b"250 fine\r\n")), server=_PLAIN)
    yield _smtp(
        "body: lost before its end", ("body", Disconnect(rst=True), {"after": 100_000}), server=_PLAIN, message=BIG
    )
    yield _smtp("body: 451 before its end", ("body", "451 4.3.0 later", {"after": 100_000}), **long)
    none_left = ("RCPT", "550 5.1.1 no such user", everybody), ("DATA", RawReply(b"354 go on\r\n"))
    yield _smtp("354, although all RCPT had 550", *none_left, server=_PLAIN)
    yield _smtp("BDAT, not the last: 451", ("BDAT", "451 4.3.0 later"), message=BIG)
    yield _smtp("BDAT, not the last: connection lost", ("BDAT", Disconnect()), message=BIG)
    yield _smtp("after the last byte: connection lost, taken", ("DOT", Disconnect()), takes=True)
    yield _smtp("after the last byte: connection lost, not taken", ("DOT", CloseAfter("3")))
    yield _smtp("after the last byte: half a reply, taken", ("DOT", Disconnect(after_bytes=3)), takes=True)
    yield _smtp("after the last byte: garbage, not taken", ("DOT", Garbage()))
    yield _smtp(
        "after the last byte: no reply in time, taken",
        ("DOT", Stall()),
        client={"timeouts": Timeouts(data_end=SOON)},
        takes=True,
    )
    yield _smtp("after the last byte: 451", ("DOT", "451 4.3.0 later"))
    yield _smtp("after the last byte: 554", ("DOT", "554 5.6.0 no"))
    yield _smtp(
        "after the last byte: 250, and RSET or QUIT is lost",
        ("QUIT", Disconnect()),
        ("RSET", Disconnect(), {"times": None}),
    )
    yield _smtp(
        "LMTP: one of two replies, then lost, taken",
        ("DOT", Disconnect(), eve),
        server={"lmtp": True},
        client={"protocol": "lmtp"},
        takes=True,
    )
    yield _smtp("idle connection: closed", is_second=True, kick=Disconnect())
    yield _smtp("idle connection: 421", is_second=True, kick=CloseAfter("421 4.4.2 idle for too long"))


def _http(
    name: str,
    answer: Answer | Reset | GoAway | None = None,
    *,
    message: Mapping[str, Any] = _ANY,
    only: str | None = None,
    group: str | None = None,
    **fault: Any,
) -> Row:
    return Row(name=name, fault=Fault(answer=answer, **fault), message=message, only=only, group=group)


def _statuses(rest: str, *statuses: int, **fault: Any) -> Iterable[Row]:
    """One row for each status: they fare the same."""
    headers = fault.pop("headers", {})
    together = " ".join(map(str, statuses)) + rest
    for status in statuses:
        yield _http(f"{status}{rest}", Answer(status, b"", headers), group=together, **fault)


def _http_rows() -> Iterable[Row]:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    yield _http("DNS: no such name", name_error=socket.EAI_NONAME)
    yield _http("DNS: no answer now", name_error=socket.EAI_AGAIN)
    yield _http("TCP: connection refused", is_refused=True)
    yield _http("TLS: a certificate that nobody trusts", is_tls=True, client={"tls": "required"})
    yield _http("lost before the request was written", is_cut=True, message=BIG)
    for taken, takes in _TAKEN:
        yield _http(f"written, then closed{taken}", Answer(raw=b""), takes=takes)
        yield _http(f"written, then half a status line{taken}", Answer(raw=b"HTTP/1.1 2"), takes=takes)
    yield _http("written, then no answer in time, taken", is_stalled=True, takes=True, client={"timeout": 2 * SOON})
    yield _http("HTTP/2: REFUSED_STREAM", Reset(ErrorCodes.REFUSED_STREAM))
    yield _http("HTTP/2: GOAWAY below our stream", GoAway(covers=False))
    for taken, takes in _TAKEN:
        yield _http(f"HTTP/2: RST_STREAM for another reason{taken}", Reset(ErrorCodes.INTERNAL_ERROR), takes=takes)
        yield _http(f"HTTP/2: GOAWAY that covers our stream{taken}", GoAway(covers=True), takes=takes)
    yield _http("on a reused connection: closed without a byte, taken", Answer(raw=b""), takes=True, is_second=True)
    yield from _statuses(", no JSON", 200, 201, 202, takes=True)
    yield _http("200, no id", Answer(200, {}), takes=True)
    yield _http("200, cut short", Answer(raw=cut), takes=True)
    one_inside = Fault(refused_inside=(EVE,), takes=True)
    yield Row(name="200, an error inside for one of two", fault=one_inside, only="ignored", in_batch=True)
    yield from _statuses("", 301, 302, 307, 308, headers={"Location": "http://127.0.0.1:1/"})
    yield from _statuses("", 400, 404, 405, 410, 413, 414, 415, 422, 451, 501, 505)
    yield from _statuses("", 401, 402, 403)
    yield from _statuses(", after the whole request", 408)
    same_key, other_message = {"name": "concurrent_idempotent_requests"}, {"name": "invalid_idempotent_request"}
    yield _http("409, the same key is under way", Answer(409, same_key), only="honoured")
    yield _http("409, another message had the key", Answer(409, other_message), only="honoured")
    yield from _statuses(", Retry-After: 2", 420, 429, headers={"Retry-After": "2"})
    yield from _statuses(", Retry-After: 600", 420, 429, headers={"Retry-After": "600"})
    yield _http("429, the daily quota", Answer(429, {"name": "daily_quota_exceeded"}), only="honoured")
    yield from _statuses("", 421, 425)
    for taken, takes in _TAKEN:
        yield from _statuses(f", Retry-After: 2{taken}", 503, takes=takes, headers={"Retry-After": "2"})
        yield from _statuses(taken, 500, 502, 503, 504, 520, 521, 522, 523, 524, takes=takes)


SMTP_ROWS: Final = (*_smtp_rows_before(), *_smtp_rows_after())
"""What can go wrong with SMTP."""
HTTP_ROWS: Final = tuple(_http_rows())
"""What can go wrong with HTTP."""
