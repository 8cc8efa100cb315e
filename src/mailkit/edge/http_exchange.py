"""One exchange: how far the request has come, and so what an end without an answer means for it.

The law: a server may act on a request only when it has all of it. So

- less than all of it written: **not sent**. The body is handed over in blocks, and a block is asked for only when the
  one before it has been taken by the kernel (by OpenSSL, record by record: see :mod:`mailkit.edge.tls`). A write of the
  last block that *fails* has left at least one byte or one TLS record behind. A write that is *interrupted*
  (cancellation, KeyboardInterrupt) may have been complete already, and then counts as written.
- written, and no answer came: **unknown**. That includes an end without one byte on a reused connection (RFC 9112
  §9.3.1: only whoever knows that the request changes nothing may repeat it), and it is never repeated here.
- HTTP/2: tasks write for each other, so a last block that was asked for counts as written. What the server itself says
  that it has not begun is not sent: REFUSED_STREAM, and GOAWAY below our stream (RFC 9113 §8.7, §6.8).
- a safe method (RFC 9110 §9.2.1) leaves nothing to doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.commit_point import announce_commit
from mailkit.edge.http import Response
from mailkit.edge.http_body import BoundedBody
from mailkit.errors import (
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    MailkitError,
    OutcomeUnknownError,
    ProtocolError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.edge.http import Request

__all__ = ["Exchange"]

_BLOCK: Final = 64 * 1024
_ATTEMPTS: Final = frozenset(
    {
        "connection.connect_tcp.started",
        "http11.send_request_headers.started",
        "http2.send_request_headers.started",
    }
)
"""With what httpcore begins to send a request; a second time only after a GOAWAY that does not cover the first."""


class Exchange:
    """One request on its way.

    Args:
        request: The request.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.stream_id: int | None = None  # HTTP/2 only
        self._blocks = _blocks(request.body or b"")
        self._begun = False
        self._last_asked = False
        self._all_taken = False
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._http_version = ""
        self._body: BoundedBody | None = None

    def begin_body(self) -> None:
        """The headers have been written.

        Raises:
            ConnectError: They have been before. HTTP libraries repeat what a server says it did not process; here that
                is for whoever retries to decide.
        """
        if self._begun:
            self._last_asked = self._all_taken = False
            raise self._not_processed()
        self._begun = True
        self._next = 0

    def next_block(self) -> bytes | None:
        """Return the next block of the body, or None when the last one has been taken."""
        if self._next >= len(self._blocks):
            self._last_asked = self._all_taken = True
            return None
        block = self._blocks[self._next]
        if self._next + 1 == len(self._blocks) and not self.request.is_safe:
            announce_commit()
        self._next += 1
        self._last_asked = self._next == len(self._blocks)
        return block

    def trace(self, name: str, info: dict[str, object]) -> None:
        """Note what httpcore says about the exchange (its ``trace`` extension)."""
        if self._begun and name in _ATTEMPTS:
            self._last_asked = self._all_taken = False
        if name == "http2.send_request_headers.started" and isinstance(stream_id := info.get("stream_id"), int):
            self.stream_id = stream_id

    def answered(self, status: int, headers: Iterable[tuple[bytes, bytes]], http_version: bytes) -> BoundedBody:
        """The status and the headers have come; return what collects the body."""
        self._status = status
        self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        self._http_version = http_version.decode("latin-1")
        codings = [value for name, value in self._headers if name.lower() == "content-encoding"]
        self._body = BoundedBody(self.request.max_body, ", ".join(codings))
        return self._body

    @property
    def has_answer(self) -> bool:
        """Whether the status and the headers have come."""
        return self._body is not None

    def response(self, incomplete: str | None = None) -> Response:
        """Return the answer, as far as it has come."""
        assert self._body is not None  # noqa: S101 - has_answer
        return Response(
            self._status,
            headers=self._headers,
            body=self._body.content,
            http_version=self._http_version,
            incomplete=self._body.incomplete or incomplete,
            request_written=self._all_taken,
        )

    def may_have_arrived(self, *, interrupted: bool = False) -> bool:
        """Whether the server may have the whole request, so that it may act on it."""
        if self.request.is_safe:
            return False
        return self._last_asked if interrupted or self.stream_id is not None else self._all_taken

    def failure(self, error: Exception) -> DeliveryError | MailkitError:
        """Return what to raise for an exchange that ended without an answer."""
        if isinstance(error, MailkitError) and not isinstance(error, DeliveryError):
            return error
        if self._is_refused(error):
            return self._not_processed()
        if self.may_have_arrived():
            return OutcomeUnknownError(
                f"{self._where} was sent the whole request and gave no answer ({_what(error)}): it may have acted on "
                "it, so find out before sending it again",
                phase="response",
            )
        if isinstance(error, DeliveryError):
            error.phase = error.phase or ("response" if self._all_taken else "request")
            return error
        return self._not_sent(error)

    def _not_processed(self) -> ConnectError:
        return ConnectError(f"{self._where} says that it did not process the request; try again", phase="request")

    def _not_sent(self, error: Exception) -> DeliveryError:
        import httpcore

        phase = "response" if self._all_taken else "request" if self._begun else "connect"
        if isinstance(error, httpcore.PoolTimeout):
            return DeliveryTimeout(
                f"no connection to {self._where} became free before the deadline; use fewer at once, or "
                "allow more time",
                phase="connect",
            )
        if isinstance(error, httpcore.RemoteProtocolError) and self._all_taken:
            return ProtocolError(f"{self._where} did not answer in HTTP ({_what(error)}); try again later", phase=phase)
        return ConnectError(
            f"the connection to {self._where} ended before the request was complete ({_what(error)}); try again",
            phase=phase,
        )

    def _is_refused(self, error: Exception) -> bool:
        """Whether the server says that it did not process our HTTP/2 stream. httpcore's errors carry h2's events."""
        if self.stream_id is None:
            return False
        from h2.errors import ErrorCodes
        from h2.events import ConnectionTerminated, StreamReset

        event = error.args[0] if error.args else None
        if isinstance(event, ConnectionTerminated):
            return event.last_stream_id is not None and event.last_stream_id < self.stream_id
        if not isinstance(event, StreamReset) or event.stream_id != self.stream_id:
            return False
        return event.remote_reset and event.error_code == ErrorCodes.REFUSED_STREAM

    @property
    def _where(self) -> str:
        return self.request.url.partition("://")[2].partition("/")[0].partition("?")[0]


def _blocks(body: bytes) -> list[bytes]:
    if len(body) <= _BLOCK:
        return [body] if body else []
    view = memoryview(body)
    return [bytes(view[start : start + _BLOCK]) for start in range(0, len(body), _BLOCK)]


def _what(error: Exception) -> str:
    if isinstance(error, DeliveryTimeout):
        return "the deadline passed"
    return type(error).__name__ if not isinstance(error, DeliveryError) else "the connection was lost"
