"""A client and a server that misbehaves, with short deadlines, and what they may show of each other."""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any, Self

import pytest
from attrs import frozen
from tests.patience import patiently

from mailkit.errors import DeliveryError, MailkitError, OutcomeUnknownError, TLSError
from mailkit.mailer import Mailer
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.receipt import Receipt
from mailkit.smtp import SMTP, Timeouts
from mailkit.testing import SMTPServer
from mailkit.testing.faults import Move

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.smtp import TranscriptLine

__all__ = ["OUTCOMES", "PASSWORD", "SOON", "SUCCESSES", "USER", "Bytes", "Encounter", "Flood", "quickly"]

SOON = 0.4  # seconds that each phase may take here, where nothing else is going on
USER, PASSWORD = "alice", "hunter2"

# What the outcomes of the file mean in attributes of an error.
OUTCOMES: dict[str, Callable[[DeliveryError], bool]] = {
    "not_sent_retryable": lambda error: error.outcome in {"not_sent", "deferred"} and error.retryable,
    "not_sent_protocol_error": lambda error: error.outcome == "not_sent",
    "not_sent_security": lambda error: error.outcome == "not_sent" and isinstance(error, TLSError),
    "rejected_permanent": lambda error: error.outcome in {"rejected", "not_sent"} and not error.retryable,
    "ambiguous": lambda error: error.outcome == "unknown" and isinstance(error, OutcomeUnknownError),
}
SUCCESSES = {"continues", "accepted", "partial", "transparent_reconnect"}


@frozen
class Bytes:
    """These bytes in place of the reply, and then silence, or the end of the connection."""

    data: bytes
    ends: bool

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it; a command is carried out where the bytes begin like a yes."""
        if self.data[:1] in {b"2", b"3"}:
            reply()
        return Move(data=self.data, whole=self.data.endswith(b"\n"), ending="eof" if self.ends else "go on")


@frozen
class Flood:
    """These bytes over and over, until the client goes away."""

    data: bytes

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it; the command is not carried out."""
        del reply
        return Move(data=self.data, repeat=True)


class Encounter:
    """A client and a server, and one message between them."""

    seconds = SOON

    def __init__(self, phase: str, **options: Any) -> None:
        server: dict[str, Any] = {}
        client: dict[str, Any] = {}
        if phase == "starttls":
            server, client = {"tls": "starttls"}, {"tls": "starttls"}
        elif phase == "auth":
            server, client = {"users": {USER: PASSWORD}}, {"username": USER, "password": PASSWORD}
        elif phase == "data":
            server = {"without": ("CHUNKING",)}
        self.server = SMTPServer(**{**server, **options.pop("server", {})})
        self.lines: list[TranscriptLine] = []
        self._client = {**client, **options}

    def __enter__(self) -> Self:
        self.server.start()
        given = {"timeouts": _timeouts(self.seconds), "transcript": self.lines.append, **self._client}
        if given.get("tls") in {"starttls", "implicit"}:
            given.setdefault("ca_file", self.server._ca_file)
        transport = SMTP(self.server.host, port=self.server.port, **given)
        self.mailer = Mailer(transport, retry=RetryPolicy.none(), timeout=self.seconds)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.mailer.close()
        self.server.close()

    def send(self, *to: str, **fields: Any) -> Receipt:
        """Send one message."""
        given = {"from_": "ada@x.test", "to": to or ["bob@x.test"], "subject": "Hi", "text": "Hi", **fields}
        return self.mailer.send(Message(**given))

    def end(self, *to: str, **fields: Any) -> Receipt | DeliveryError:
        """Send one message, and return what became of it, an error as well."""
        try:
            return self.send(*to, **fields)
        except DeliveryError as error:
            return error

    def assert_all_closed(self) -> None:
        """No connection is left for another message."""
        assert self.server.wait_until(lambda server: all(record.closed for record in server.connections))

    def assert_nothing_shows(self, ended: object) -> None:
        """Neither the transcript nor an error holds a control character or the password in any form."""
        shown = [str(line) for line in self.lines]
        if isinstance(ended, MailkitError):
            shown += str(ended).splitlines()
        else:
            assert isinstance(ended, Receipt)
            shown += [str(result) for result in ended.recipients]
        assert all(line.isprintable() for line in shown)
        for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("=")):
            assert not [line for line in shown if secret in line]


def quickly(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test with phases that may take :data:`SOON`, and with longer ones where the machine needs them."""

    @functools.wraps(test)
    def tried(**given: Any) -> None:
        def attempt(wait: float) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Encounter, "seconds", wait)
                test(**given)

        patiently(attempt, first=SOON)

    return tried


def _timeouts(seconds: float) -> Timeouts:
    return Timeouts(**dict.fromkeys(("connect", "tls", "greeting", "command", "data_block", "data_end"), seconds))
