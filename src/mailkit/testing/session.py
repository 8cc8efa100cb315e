"""One SMTP or LMTP session of the test server: commands in, replies out, and faults where the script wants them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import attrs

from mailkit.testing import replies
from mailkit.testing.certificates import ServerTLS
from mailkit.testing.content import broken_rules
from mailkit.testing.faults import Move, Phase, encode_reply, plan
from mailkit.testing.grammar import BadArgument, parse_bdat, parse_path
from mailkit.testing.mechanisms import MECHANISMS, Accounts, Denied, Exchange, MalformedResponse
from mailkit.testing.reader import BareLineFeed, Content, LineTooLong, Reader
from mailkit.testing.received import ConnectionRecord, Ledger, ReceivedMessage, Rule, Violation
from mailkit.testing.script import Script
from mailkit.testing.settings import Settings
from mailkit.testing.wire import PeerGone, Wire

__all__ = ["OnMessage", "Session"]

OnMessage: TypeAlias = Callable[[ReceivedMessage], str | None]

COMMAND_LIMIT = 2048
"""Octets of a command line: RFC 5321 §4.5.3.1.4 says 512, to which each extension adds its own."""

RESPONSE_LIMIT = 12_288
"""Octets of a line of a SASL exchange (RFC 4954 §4)."""

GROUP_ENDS: Final = frozenset(
    {b"EHLO", b"HELO", b"LHLO", b"STARTTLS", b"AUTH", b"DATA", b"VRFY", b"EXPN", b"NOOP", b"QUIT"}
)
"""Commands that may only come last in a group (RFC 2920 §3.1; STARTTLS: RFC 3207 §4; AUTH: RFC 4954 §4)."""


@attrs.define(kw_only=True)
class Transaction:
    """A mail transaction that MAIL has opened."""

    mail_from: str
    parameters: Mapping[str, str | None]
    rcpt_to: list[str] = attrs.field(factory=list[str])
    rcpt_parameters: list[Mapping[str, str | None]] = attrs.field(factory=list[Mapping[str, str | None]])
    chunks: list[bytes] = attrs.field(factory=list[bytes])
    size: int = 0
    broken: bool = False

    @property
    def body(self) -> str:
        """The BODY parameter, in upper case."""
        return (self.parameters.get("BODY") or "7BIT").upper()

    @property
    def utf8(self) -> bool:
        """Whether the envelope announced SMTPUTF8."""
        return "SMTPUTF8" in self.parameters


class Session:
    """A conversation on one connection; `run` returns when it is over."""

    def __init__(
        self,
        wire: Wire,
        record: ConnectionRecord,
        settings: Settings,
        *,
        ledger: Ledger,
        script: Script,
        tls: ServerTLS | None,
        on_message: OnMessage | None,
    ) -> None:
        """Prepare a session; nothing is sent before `run`."""
        self._wire = wire
        self._record = record
        self._settings = settings
        self._ledger = ledger
        self._script = script
        self._tls = tls
        self._on_message = on_message
        self._reader = Reader(self._fill, self._watch_body)
        self._out = bytearray()
        self._answered = False
        self._muted = False
        self._helo = ""
        self._offered: frozenset[str] = frozenset()
        self._transaction: Transaction | None = None
        self._exchange: Exchange | None = None
        self._mails = 0
        hello = {b"LHLO": self._lhlo} if settings.lmtp else {b"EHLO": self._ehlo, b"HELO": self._helo_command}
        self._handlers: dict[bytes, Callable[[bytes], None]] = hello | {
            b"STARTTLS": self._starttls,
            b"AUTH": self._auth,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"BDAT": self._bdat,
            b"RSET": self._rset,
            b"NOOP": self._noop,
            b"VRFY": self._vrfy,
            b"EXPN": self._expn,
            b"HELP": self._help,
            b"QUIT": self._quit,
        }

    def run(self) -> None:
        """Greet and serve until either side ends the connection.

        Raises:
            PeerGone: The connection is over.
        """
        if self._settings.tls == "implicit":
            self._handshake()
        self._reply(
            "greeting",
            lambda: f"220 {self._settings.hostname} {self._protocol} mailkit test server\r\n".encode(),
        )
        while True:
            try:
                line = self._reader.line(COMMAND_LIMIT)
            except BareLineFeed as error:
                self._violate("bare-lf-in-command", error.args[0])
                self._out += replies.BARE_LINE_FEED
                self._hang_up()
            except LineTooLong as error:
                self._violate("command-too-long", error.args[0])
                self._out += replies.LINE_TOO_LONG
                self._hang_up()
            self._command(line)

    @property
    def _protocol(self) -> str:
        return "LMTP" if self._settings.lmtp else "ESMTP"

    # Input and output

    def _fill(self, between_commands: bool) -> bytes:  # noqa: FBT001 (the reader's callback)
        self._flush()
        block = self._wire.receive()
        if between_commands and self._answered:
            self._record.round_trips += 1
            self._answered = False
        return block

    def _flush(self) -> None:
        if not self._out:
            return
        out = bytes(self._out)
        self._out.clear()
        self._answered = True
        self._note("S", out)
        self._wire.send(out)

    def _note(self, who: Literal["C", "S"], block: bytes) -> None:
        if self._ledger.keeps:
            self._record.exchange.append((who, block))

    def _hang_up(self) -> None:
        self._flush()
        self._wire.finish()
        raise PeerGone

    def _violate(self, rule: Rule, detail: bytes) -> None:
        self._ledger.violate(Violation(rule, detail=detail[:200], connection=self._record.number))

    def _say(self, reply: bytes) -> None:
        self._out += reply if "ENHANCEDSTATUSCODES" in self._offered else replies.without_enhanced_code(reply)

    def _reply(self, phase: Phase, perform: Callable[[], bytes], *subjects: str) -> bytes:
        """Answer, as the server or as the script wants; return the answer if the client can read it."""
        action = self._script.take(phase, subjects) if self._script.active else None
        if action is None:
            reply = perform()
            self._say(reply)
            return reply
        move = plan(action, perform)
        self._hold(move)
        self._carry_out(move)
        return move.data if move.whole else b""

    def _hold(self, move: Move) -> None:
        if move.hold is not False:
            self._flush()
            self._wire.hold(move)

    def _carry_out(self, move: Move) -> None:
        if move.interval or move.repeat or move.ending != "go on":
            self._flush()
            self._note("S", move.data)
            self._answered = True
            self._wire.perform(move)
        else:
            self._out += move.data

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        if self._ledger.keeps:
            self._record.commands.append(line)
            shown = line
            if verb == b"AUTH" and b" " in argument:
                shown = b"AUTH " + argument.partition(b" ")[0] + b" ***"
            self._record.exchange.append(("C", shown))
        handler = self._handlers.get(verb)
        if handler is None:
            self._say(replies.UNKNOWN_COMMAND)
        elif not line.isascii() and verb not in {b"MAIL", b"RCPT", b"VRFY", b"EXPN"}:
            self._violate("non-ascii-command", line)
            self._say(replies.NOT_PRINTABLE)
        elif any(octet < 0x20 or octet == 0x7F for octet in line):  # noqa: PLR2004 (C0 and DEL)
            self._violate("bad-command-syntax", line)
            self._say(replies.NOT_PRINTABLE)
        else:
            if self._reader.pending:
                self._check_group(verb, line)
            handler(argument)

    def _check_group(self, verb: bytes, line: bytes) -> None:
        if verb in GROUP_ENDS:
            self._violate("not-last-in-group", line)
        elif verb != b"BDAT" and "PIPELINING" not in self._offered:
            self._violate("pipelining-not-offered", line)

    def _syntax_error(self, error: BadArgument, argument: bytes) -> None:
        reply = str(error)
        self._violate("parameter-not-offered" if reply.startswith("555") else "bad-command-syntax", argument)
        self._say(encode_reply(reply))

    # Hello, STARTTLS, AUTH

    def _greet(self, phase: Phase, argument: bytes, lines: tuple[str, ...]) -> None:
        if not argument.strip():
            self._say(replies.ARGUMENT_MISSING)
            return
        name = argument.decode()

        def perform() -> bytes:
            self._helo = name
            self._transaction = None
            self._offered = frozenset(line.partition(" ")[0].upper() for line in lines)
            return encode_reply("250 " + "\n".join((self._settings.hostname, *lines)))

        self._reply(phase, perform, name)

    def _ehlo(self, argument: bytes) -> None:
        self._greet("EHLO", argument, self._settings.ehlo_lines(encrypted=self._wire.encrypted))

    def _lhlo(self, argument: bytes) -> None:
        self._greet("LHLO", argument, self._settings.ehlo_lines(encrypted=self._wire.encrypted))

    def _helo_command(self, argument: bytes) -> None:
        self._greet("HELO", argument, ())

    def _handshake(self) -> None:
        if self._tls is None:  # pragma: no cover (settings with TLS come with a certificate)
            raise PeerGone
        action = self._script.take("TLS") if self._script.active else None
        if action is not None:
            move = plan(action, lambda: b"")
            self._hold(move)
            if move.data or move.ending != "go on":
                self._wire.perform(
                    attrs.evolve(move, ending="eof" if move.ending == "go on" else move.ending)
                )
        self._wire.start_tls(self._tls.context)
        self._record.server_name = self._tls.server_name()

    def _starttls(self, argument: bytes) -> None:
        if argument:
            self._say(replies.NO_ARGUMENT)
        elif self._wire.encrypted:
            self._say(replies.TLS_ACTIVE)
        elif "STARTTLS" not in self._offered:
            self._say(replies.NOT_IMPLEMENTED)
        elif self._reply("STARTTLS", lambda: replies.READY_FOR_TLS).startswith(b"2"):
            self._flush()
            if rest := self._reader.discard():
                self._violate("bytes-after-starttls", rest)
            self._handshake()
            # RFC 3207 §4.2: what was said before TLS is forgotten.
            self._helo, self._offered, self._transaction = "", frozenset(), None

    def _auth(self, argument: bytes) -> None:
        name, _, initial = argument.decode().partition(" ")
        name = name.upper()
        mechanisms = self._settings.offered_mechanisms(encrypted=self._wire.encrypted)
        if self._transaction or self._record.user is not None or not self._helo:
            self._say(replies.NO_AUTH_NOW)
        elif "AUTH" not in self._offered:
            encryptable = self._settings.tls == "starttls" and not self._wire.encrypted
            self._say(replies.ENCRYPT_FIRST if encryptable else replies.NOT_IMPLEMENTED)
        elif name not in mechanisms:
            self._say(replies.UNKNOWN_MECHANISM)
        else:
            accounts = Accounts(
                self._settings.users,
                self._settings.tokens,
                self._tls.channel_binding if self._tls and self._wire.encrypted else None,
                self._settings.hostname,
                "SCRAM-SHA-256-PLUS" in mechanisms,
            )
            self._reply("AUTH", lambda: self._begin_exchange(accounts, name, initial), name)
            while (exchange := self._exchange) is not None:
                self._exchange = None
                self._respond(exchange, name)

    def _begin_exchange(self, accounts: Accounts, name: str, initial: str) -> bytes:
        try:
            # RFC 4954 §4: a single equals sign is an empty initial response.
            response = (b"" if initial == "=" else _decode(initial.encode())) if initial else None
        except MalformedResponse:
            return replies.NOT_BASE64
        exchange = MECHANISMS[name](accounts, response)
        return self._step(exchange, lambda: next(exchange))

    def _respond(self, exchange: Exchange, name: str) -> None:
        try:
            line = self._reader.line(RESPONSE_LIMIT)
        except (BareLineFeed, LineTooLong) as error:
            self._violate(
                "bare-lf-in-command" if isinstance(error, BareLineFeed) else "command-too-long", b""
            )
            self._out += replies.NOT_BASE64
            self._hang_up()
        if self._ledger.keeps:
            self._record.commands.append(line)
            self._record.exchange.append(("C", b"***"))

        def perform() -> bytes:
            if line == b"*":
                return replies.CANCELLED
            return self._step(exchange, lambda: exchange.send(_decode(line)))

        self._reply("RESPONSE", perform, name)

    def _step(self, exchange: Exchange, advance: Callable[[], bytes]) -> bytes:
        try:
            challenge = advance()
        except StopIteration as done:
            self._record.user = str(done.value)
            return replies.AUTHENTICATED
        except Denied:
            return replies.BAD_CREDENTIALS
        except MalformedResponse:
            return replies.NOT_BASE64
        self._exchange = exchange
        return b"334 " + base64.b64encode(challenge) + b"\r\n"

    # The envelope

    def _mail(self, argument: bytes) -> None:
        settings = self._settings
        limit = settings.limits.get("MAILMAX")
        if not self._helo:
            self._say(replies.GREET_FIRST)
        elif self._transaction is not None:
            self._say(replies.NESTED_MAIL)
        elif settings.require_auth and self._record.user is None:
            self._say(replies.AUTH_REQUIRED)
        elif limit is not None and self._mails >= limit:
            self._say(replies.TOO_MANY_MESSAGES)
            self._hang_up()
        else:
            try:
                path = parse_path("MAIL", argument, self._offered)
            except BadArgument as error:
                self._syntax_error(error, argument)
                return
            self._reply("MAIL", lambda: self._open(path.address, path.parameters), path.address)

    def _open(self, address: str, parameters: Mapping[str, str | None]) -> bytes:
        if int(parameters.get("SIZE") or 0) > self._settings.max_size:
            return replies.TOO_LARGE
        if "REQUIRETLS" in parameters and not self._wire.encrypted:
            return replies.TLS_REQUIRED
        if "SMTPUTF8" not in parameters and not address.isascii():
            return replies.NOT_ASCII
        self._mails += 1
        self._transaction = Transaction(mail_from=address, parameters=parameters)
        return replies.SENDER_OK

    def _rcpt(self, argument: bytes) -> None:
        transaction = self._transaction
        if transaction is None:
            self._say(replies.MAIL_FIRST)
            return
        if transaction.chunks or transaction.broken:
            self._say(replies.BDAT_OPEN)
            return
        try:
            path = parse_path("RCPT", argument, self._offered)
        except BadArgument as error:
            self._syntax_error(error, argument)
            return

        def perform() -> bytes:
            if not transaction.utf8 and not path.address.isascii():
                return replies.NOT_ASCII
            if self._exceeds_limits(transaction, path.address):
                return replies.TOO_MANY_RECIPIENTS
            transaction.rcpt_to.append(path.address)
            transaction.rcpt_parameters.append(path.parameters)
            return replies.RECIPIENT_OK

        self._reply("RCPT", perform, path.address)

    def _exceeds_limits(self, transaction: Transaction, address: str) -> bool:
        limits = self._settings.limits
        if not limits:
            return False
        domains = {known.rpartition("@")[2].lower() for known in (*transaction.rcpt_to, address)}
        return len(transaction.rcpt_to) >= limits.get("RCPTMAX", 1 << 62) or len(domains) > limits.get(
            "RCPTDOMAINMAX", 1 << 62
        )

    # Content

    def _data(self, argument: bytes) -> None:
        transaction = self._transaction
        if argument:
            self._say(replies.NO_ARGUMENT)
            return
        if transaction is None:
            self._say(replies.MAIL_FIRST)
            return
        if transaction.chunks or transaction.broken:
            self._say(replies.BDAT_OPEN)
            return
        if transaction.body == "BINARYMIME":
            self._say(replies.BINARY_NEEDS_BDAT)
            return
        refusal = replies.NO_RECIPIENTS_LMTP if self._settings.lmtp else replies.NO_RECIPIENTS
        answer = self._reply("DATA", lambda: replies.START_INPUT if transaction.rcpt_to else refusal)
        # A scripted 354 opens the input whatever the recipients were: servers do that under pipelining.
        if not answer.startswith(b"3"):
            return
        if not self._reader.pending:
            self._reader.wait()
        self._muted = False
        content = self._reader.until_dot(self._settings.max_size)
        self._transaction = None
        if content.unstuffed_dot:
            self._violate("unstuffed-dot", b"")
        self._finish(transaction, content, "DATA")

    def _bdat(self, argument: bytes) -> None:
        try:
            size, last = parse_bdat(argument)
        except BadArgument as error:
            self._syntax_error(error, argument)
            self._hang_up()
            return
        if "CHUNKING" not in self._offered:
            self._violate("bdat-not-offered", argument)
        transaction = self._transaction
        room = self._settings.max_size - transaction.size if transaction else 0
        self._muted = False
        content = self._reader.exactly(size, room)
        if self._muted:
            return
        refusal = self._refusal(transaction)
        if last:
            self._transaction = None
        if transaction is None or refusal:
            self._reply("DOT" if last else "BDAT", lambda: refusal)
            if transaction is not None:
                transaction.broken = True
            return
        transaction.chunks.append(content.data)
        transaction.size += size
        if last:
            joined = transaction.chunks[0] if len(transaction.chunks) == 1 else b"".join(transaction.chunks)
            self._finish(transaction, Content(joined, transaction.size), "BDAT")
        elif not self._reply("BDAT", lambda: self._chunk_reply(transaction, size)).startswith(b"2"):
            transaction.broken = True

    def _refusal(self, transaction: Transaction | None) -> bytes:
        if "CHUNKING" not in self._offered:
            return replies.NOT_IMPLEMENTED
        if transaction is None:
            return replies.MAIL_FIRST
        if transaction.broken:
            return replies.BDAT_BROKEN
        return b"" if transaction.rcpt_to else replies.NO_RECIPIENTS

    def _chunk_reply(self, transaction: Transaction, size: int) -> bytes:
        if transaction.size > self._settings.max_size:
            return replies.TOO_LARGE
        return b"250 2.0.0 %d octets received\r\n" % size

    def _watch_body(self, received: int) -> None:
        """Play what the script wants while content arrives."""
        if not self._script.active:
            return
        action = self._script.take("body", received=received)
        if action is not None:
            move = plan(action, lambda: b"")
            # A reply in the middle of content is the only one: none follows its end.
            self._muted = self._muted or move.whole
            self._hold(move)
            self._carry_out(move)
            self._flush()

    def _finish(self, transaction: Transaction, content: Content, via: Literal["DATA", "BDAT"]) -> None:
        """Take a complete message and answer for it: once, or under LMTP once for each recipient (RFC 2033 §4.2)."""
        recipients = transaction.rcpt_to
        if content.size > self._settings.max_size:
            if not self._muted:
                for recipient in recipients if self._settings.lmtp else ("",):
                    self._reply("DOT", lambda: replies.TOO_LARGE, recipient)
            return
        binary = transaction.body == "BINARYMIME"
        eight_bit = transaction.body != "7BIT" or transaction.utf8
        for rule, detail in broken_rules(content.data, eight_bit=eight_bit, binary=binary):
            self._violate(rule, detail)
        message = self._ledger.commit(
            lambda number: ReceivedMessage(
                number=number,
                mail_from=transaction.mail_from,
                rcpt_to=tuple(recipients),
                data=content.data,
                mail_parameters=transaction.parameters,
                rcpt_parameters=tuple(transaction.rcpt_parameters),
                via=via,
                helo=self._helo,
                user=self._record.user,
                tls=self._record.tls,
                peer=self._record.peer,
                connection=self._record.number,
            )
        )
        if self._muted:
            return
        verdict = self._on_message(message) if self._on_message else None
        reply = encode_reply(verdict) if verdict else b"250 2.0.0 OK: queued as %08X\r\n" % message.number
        if self._settings.lmtp:
            self._settle_each(message, reply)
        else:
            self._settle(message, reply, recipients)

    def _settle_each(self, message: ReceivedMessage, reply: bytes) -> None:
        accepted: list[int] = []
        for position, recipient in enumerate(message.rcpt_to):
            chosen = [*accepted, position]
            part = attrs.evolve(
                message,
                rcpt_to=tuple(message.rcpt_to[index] for index in chosen),
                rcpt_parameters=tuple(message.rcpt_parameters[index] for index in chosen),
            )
            if self._settle(part, reply, [recipient]):
                accepted = chosen

    def _settle(self, message: ReceivedMessage, reply: bytes, subjects: list[str]) -> bool:
        """Answer for a message; it counts as accepted before a positive reply can be seen, and only then."""
        action = self._script.take("DOT", subjects) if self._script.active else None
        if action is None:
            if accepted := reply[:1] == b"2":
                self._ledger.accept(message)
            self._say(reply)
            return accepted
        move = plan(action, lambda: reply)
        self._hold(move)
        if move.accepts:
            self._ledger.accept(message)
        self._carry_out(move)
        return move.accepts

    # The rest

    def _rset(self, argument: bytes) -> None:
        if argument:
            self._say(replies.NO_ARGUMENT)
            return

        def perform() -> bytes:
            self._transaction = None
            return replies.OK

        self._reply("RSET", perform)

    def _noop(self, argument: bytes) -> None:
        del argument  # RFC 5321 §4.1.1.9: ignored
        self._reply("NOOP", lambda: replies.OK)

    def _vrfy(self, argument: bytes) -> None:
        self._reply("VRFY", lambda: replies.CANNOT_VERIFY if argument else replies.ARGUMENT_MISSING)

    def _expn(self, argument: bytes) -> None:
        del argument
        self._reply("EXPN", lambda: replies.NOT_IMPLEMENTED)

    def _help(self, argument: bytes) -> None:
        del argument
        self._reply("HELP", lambda: replies.HELP)

    def _quit(self, argument: bytes) -> None:
        if argument:
            self._say(replies.NO_ARGUMENT)
            return
        self._reply("QUIT", lambda: replies.BYE)
        self._hang_up()


def _decode(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise MalformedResponse from None
