"""A real SMTP or LMTP server on a loopback port, for tests and demonstrations.

One thread accepts, one thread serves each connection, every socket blocks, and `close` wakes all of them;
nothing sleeps. The parser is strict where servers are lenient: what a client must not send is kept in
`violations`.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, get_args
from urllib.parse import quote

from mailkit.errors import ConfigurationError
from mailkit.testing.arguments import check_hostname, check_known, check_loopback, check_reply
from mailkit.testing.certificates import Certificate, CertificateKind, ServerTLS, make_certificate
from mailkit.testing.connections import Connections
from mailkit.testing.faults import Disconnect, Fault, Phase, plan
from mailkit.testing.listener import Listener
from mailkit.testing.mechanisms import MECHANISMS
from mailkit.testing.received import ConnectionRecord, Ledger, ReceivedMessage, Violation
from mailkit.testing.script import Cue, Script
from mailkit.testing.settings import Settings, TLSMode, choose_extensions
from mailkit.testing.wire import Gates

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from mailkit.testing.delivery import OnMessage

__all__ = ["SMTPServer"]

PATIENCE = 10.0
"""Seconds that `wait_for`, `wait_until` and `close` wait for something that normally takes none."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_NO_LIMITS: Final[Mapping[str, int]] = MappingProxyType({})


class SMTPServer:
    r"""A server that keeps what it receives and misbehaves when told to.

    Args:
        host: A loopback address to listen on, IPv4 or IPv6.
        port: The port; 0 takes a free one.
        unix_path: Listen on this unix socket instead; LMTP only, as no URL means SMTP on one.
        hostname: What the server calls itself, and a name that its certificate is for.
        lmtp: Speak LMTP (RFC 2033): LHLO, and one reply for each recipient after the content.
        tls: `"starttls"` offers STARTTLS, `"implicit"` begins with TLS, `None` has none.
        certificate: A kind of certificate, or one of your own.
        maximum_tls: The newest TLS version to speak; also one that clients should refuse.
        users: Passwords by user name; they switch on the password mechanisms.
        tokens: Bearer tokens by user name; they switch on OAUTHBEARER and XOAUTH2.
        mechanisms: The SASL mechanisms to offer, in this order, instead of all that the accounts allow.
        require_auth: Refuse MAIL before AUTH with a 530.
        auth_before_tls: Offer AUTH although STARTTLS has not happened yet.
        extensions: EHLO lines beyond, or instead of, the usual ones, such as `"REQUIRETLS"` or `"SIZE 0"`.
        without: Keywords of usual extensions to leave out, such as `"CHUNKING"`.
        limits: RFC 9422 limits: `RCPTMAX`, `MAILMAX`, `RCPTDOMAINMAX`; enforced even `without=("LIMITS",)`.
        max_size: The largest message, in octets (RFC 1870).
        keeps_refused_bdat: Leave a transaction open when its last BDAT was refused, as RFC 3030 §2 allows: what
            comes next without a RSET becomes part of it.
        on_message: Called with each complete message before it is answered, in the connection's thread; a
            text that it returns is the reply.
        keep: `"counts"` keeps numbers only, no message and no transcript: for measurements.

    Raises:
        ConfigurationError: An argument does not fit.

    Example:
        >>> import smtplib
        >>> with SMTPServer() as server:
        ...     with smtplib.SMTP(server.host, server.port) as client:
        ...         _ = client.sendmail("ada@example.com", ["bob@example.org"], "Subject: Hi\r\n\r\nBob")
        ...     server.messages[0].rcpt_to
        ('bob@example.org',)
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        unix_path: Path | str | None = None,
        hostname: str = "mx.test",
        lmtp: bool = False,
        tls: TLSMode | None = None,
        certificate: CertificateKind | Certificate = "valid",
        maximum_tls: ssl.TLSVersion | None = None,
        users: Mapping[str, str] = _NOTHING,
        tokens: Mapping[str, str] = _NOTHING,
        mechanisms: Iterable[str] | None = None,
        require_auth: bool = False,
        auth_before_tls: bool = False,
        extensions: Iterable[str] = (),
        without: Iterable[str] = (),
        limits: Mapping[str, int] = _NO_LIMITS,
        max_size: int = 64 * 1024 * 1024,
        keeps_refused_bdat: bool = False,
        on_message: OnMessage | None = None,
        keep: Literal["everything", "counts"] = "everything",
    ) -> None:
        check_loopback(host)
        check_hostname(hostname)
        check_known("TLS mode", (tls,), (None, *get_args(TLSMode)))
        check_known("limit", limits, ("RCPTMAX", "MAILMAX", "RCPTDOMAINMAX"))
        chosen = None if mechanisms is None else tuple(name.upper() for name in mechanisms)
        check_known("mechanism", chosen or (), MECHANISMS)
        if not isinstance(certificate, Certificate):
            check_known("kind of certificate", (certificate,), get_args(CertificateKind))
        if unix_path is not None and not lmtp:
            msg = "SMTPServer serves a unix socket for LMTP only: pass lmtp=True with unix_path"
            raise ConfigurationError(msg)
        self._host = host
        self._port = port
        self._unix_path = None if unix_path is None else Path(unix_path)
        self._settings = Settings(
            hostname=hostname,
            lmtp=lmtp,
            tls=tls,
            extensions=choose_extensions(extensions, without),
            users=users,
            tokens=tokens,
            mechanisms=chosen,
            limits=limits,
            max_size=max_size,
            require_auth=require_auth,
            auth_before_tls=auth_before_tls,
            keeps_refused_bdat=keeps_refused_bdat,
        )
        self._certificate: Certificate | None = None
        self._tls: ServerTLS | None = None
        if tls is not None:
            names = dict.fromkeys((hostname, "localhost", "127.0.0.1", "::1", host))
            self._certificate = (
                certificate if isinstance(certificate, Certificate) else make_certificate(certificate, *names)
            )
            self._tls = ServerTLS(self._certificate, maximum=maximum_tls)
        self._ledger = Ledger(keep=keep)
        self._script = Script()
        self._gates = Gates(self._ledger)
        self._connections = Connections(
            self._settings,
            ledger=self._ledger,
            script=self._script,
            gates=self._gates,
            tls=self._tls,
            on_message=on_message,
        )
        self._cleanup = contextlib.ExitStack()
        self._ca_file: Path | None = None

    # Life

    def start(self) -> Self:
        """Listen, and serve until `close`.

        Raises:
            ConfigurationError: The address or the unix socket is taken.
        """
        try:
            listener = Listener(self._host, self._port, self._unix_path, self._connections.admit)
        except OSError as error:
            where = self._unix_path or f"{self._host} port {self._port}"
            raise ConfigurationError(
                f"SMTPServer cannot listen on {where} ({error.strerror}): choose another, or port=0 for any"
            ) from error
        self._cleanup.callback(listener.close)
        self._port = listener.port
        if self._certificate is not None:
            folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="mailkit-"))
            self._ca_file = Path(folder, "ca.pem")
            self._ca_file.write_bytes(self._certificate.authority)
        return self

    def close(self) -> None:
        """Stop listening, end every connection, and wait for the threads; doing so again is harmless."""
        self._gates.close()
        self._cleanup.close()
        self._connections.close(PATIENCE)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Show where it listens, and no credential."""
        return f"<SMTPServer {self.url}>"

    # Where it is

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._host

    @property
    def port(self) -> int:
        """The port that it listens on; known once started."""
        return self._port

    @property
    def url(self) -> str:
        """The URL of a mailer that sends here, without credentials."""
        return self._url("")

    def url_for(self, user: str) -> str:
        """Return the URL of a mailer that authenticates as this user, password or token included.

        Raises:
            ConfigurationError: The server does not know the user.
        """
        secret = self._settings.users.get(user, self._settings.tokens.get(user))
        if secret is None:
            known = [*self._settings.users, *self._settings.tokens]
            msg = f"SMTPServer has no user {user!r}: name one of {known}"
            raise ConfigurationError(msg)
        return self._url(f"{quote(user, safe='')}:{quote(secret, safe='')}@")

    @property
    def ca_file(self) -> Path:
        """A PEM file with the authority that a client must trust to accept this server's valid certificate.

        Raises:
            ConfigurationError: The server has no TLS, or has not started.
        """
        if self._ca_file is None:
            raise ConfigurationError(
                "SMTPServer has no ca_file without TLS or before it starts: pass tls=, and start it first"
            )
        return self._ca_file

    # What it received

    @property
    def messages(self) -> tuple[ReceivedMessage, ...]:
        """The messages that were answered with a positive reply, in the order of arrival."""
        with self._ledger.changed:
            return tuple(message for _, message in sorted(self._ledger.messages.items()))

    @property
    def committed(self) -> tuple[ReceivedMessage, ...]:
        """The messages that arrived in full; where `messages` lacks one, it was refused or its reply lost."""
        with self._ledger.changed:
            return tuple(self._ledger.committed)

    @property
    def accepted_count(self) -> int:
        """How many messages were accepted; counted with `keep="counts"` too."""
        return self._ledger.accepted_count

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What clients sent and must not send."""
        with self._ledger.changed:
            return tuple(self._ledger.violations)

    @property
    def connections(self) -> tuple[ConnectionRecord, ...]:
        """A live record of each connection, in the order of arrival."""
        with self._ledger.changed:
            return tuple(self._ledger.connections)

    @property
    def transcript(self) -> str:
        """All conversations, content and credentials left out."""
        return "\n".join(f"-- connection {record.number}\n{record.transcript}" for record in self.connections)

    @property
    def held(self) -> int:
        """How many connections a `Stall` or `StopReading` holds right now."""
        return self._ledger.held

    def wait_until(self, condition: Callable[[SMTPServer], object], timeout: float = PATIENCE) -> bool:
        """Wait until a condition on this server holds; it is tried whenever something has happened.

        Args:
            condition: Called with the server.
            timeout: Seconds.

        Returns:
            Whether it came to hold in time.
        """
        with self._ledger.changed:
            return bool(self._ledger.changed.wait_for(lambda: condition(self), timeout))

    def wait_for(self, count: int = 1, timeout: float = PATIENCE) -> tuple[ReceivedMessage, ...]:
        """Wait until this many messages have been accepted, and return them.

        Raises:
            TimeoutError: They did not come in time (seconds).
        """
        if not self.wait_until(lambda server: server.accepted_count >= count, timeout):
            raise TimeoutError(
                f"SMTPServer accepted {self.accepted_count} of {count} messages within {timeout} s:\n{self.transcript}"
            )
        return self.messages

    # What it does wrong

    def script(
        self,
        phase: Phase,
        action: Fault | str,
        *,
        times: int | None = 1,
        match: str | None = None,
        skip: int = 0,
        after: int = 0,
    ) -> Self:
        """Answer otherwise at a phase; the first scripted action that applies is taken.

        Args:
            phase: Where: a verb, or `greeting`, `TLS` (the handshake), `RESPONSE` (to a SASL challenge),
                `body` (while content arrives), `DOT` (the final reply, under DATA as under BDAT).
            action: The text of a reply such as `"550 5.1.1 no such user"`, or a fault.
            times: On how many occasions; `None` for all.
            match: Only for this recipient (`RCPT`, `DOT`), sender (`MAIL`), mechanism (`AUTH`) or name
                (`EHLO`).
            skip: How many occasions to let pass first.
            after: In phase `body`: after how many octets of content.

        Returns:
            The server, so that calls can be chained.

        Raises:
            ConfigurationError: There is no such phase, or the text is no reply.
        """
        check_known("phase", (phase,), get_args(Phase))
        if isinstance(action, str):
            check_reply(action)
        self._script.add(Cue(phase=phase, action=action, times=times, match=match, skip=skip, after=after))
        return self

    def clear_script(self) -> None:
        """Behave well from now on."""
        self._script.clear()

    @property
    def unplayed(self) -> tuple[Cue, ...]:
        """What was scripted for a number of times and has not been played that often."""
        return self._script.unplayed

    def release(self) -> None:
        """Let every connection that a `Stall` or `StopReading` holds go on."""
        self._gates.release()

    def kick(self, fault: Fault | str = Disconnect(), *, timeout: float = PATIENCE) -> int:  # noqa: B008 (a frozen value)
        """Do something unasked on every open connection as soon as it waits for input, such as ending it.

        Args:
            fault: `Disconnect()`, `CloseAfter("421 4.3.2 shutting down")`, `RawReply(b"…")` or the text of a
                reply.
            timeout: Seconds to wait for a connection that is busy.

        Returns:
            How many connections it was done on.
        """
        return self._connections.visit(plan(fault, lambda: b""), timeout)

    def _url(self, credentials: str) -> str:
        if self._unix_path is not None:
            return f"lmtp://{credentials}{quote(str(self._unix_path.absolute()))}"
        scheme = "lmtp" if self._settings.lmtp else "smtps" if self._settings.tls == "implicit" else "smtp"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{credentials}{host}:{self._port}"
