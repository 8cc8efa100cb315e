"""One SMTP or LMTP session of the test server: who is called for which command, and in which state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn

import attrs

from mailkit.testing import replies
from mailkit.testing.authentication import Authentication
from mailkit.testing.conversation import Conversation
from mailkit.testing.delivery import Delivery
from mailkit.testing.faults import encode_reply, plan
from mailkit.testing.reader import BareLineFeed, LineTooLong
from mailkit.testing.transaction import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.testing.certificates import ServerTLS
    from mailkit.testing.delivery import OnMessage
    from mailkit.testing.faults import Phase
    from mailkit.testing.received import ConnectionRecord, Ledger
    from mailkit.testing.script import Script
    from mailkit.testing.settings import Settings
    from mailkit.testing.wire import Wire

__all__ = ["Session"]

COMMAND_LIMIT = 2048
"""Octets of a command line: RFC 5321 §4.5.3.1.4 says 512, to which each extension adds its own."""

GROUP_ENDS: Final = frozenset(
    {b"EHLO", b"HELO", b"LHLO", b"STARTTLS", b"AUTH", b"DATA", b"VRFY", b"EXPN", b"NOOP", b"QUIT"}
)
"""Commands that may only come last in a group (RFC 2920 §3.1; STARTTLS: RFC 3207 §4; AUTH: RFC 4954 §4)."""

WITH_ADDRESS: Final = frozenset({b"MAIL", b"RCPT", b"VRFY", b"EXPN"})
"""Commands in which UTF-8 may stand (RFC 6531 §3.3, §3.7.4)."""

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


class Session:
    """A conversation on one connection.

    Args:
        wire: The connection.
        record: Where it is recorded.
        settings: What the server offers and demands.
        ledger: Where messages and violations go.
        script: What goes wrong where.
        tls: The server's certificate.
        on_message: Called with each complete message before it is answered.
    """

    def __init__(
        self,
        wire: Wire,
        record: ConnectionRecord,
        *,
        settings: Settings,
        ledger: Ledger,
        script: Script,
        tls: ServerTLS | None,
        on_message: OnMessage | None,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._wire = wire
        self._record = record
        self._conversation = conversation = Conversation(wire, record, settings=settings, ledger=ledger, script=script)
        self._transactions = transactions = Transactions(conversation)
        self._authentication = Authentication(conversation, tls)
        delivery = Delivery(conversation, transactions, on_message)
        self._handlers: dict[bytes, Callable[[bytes], None]] = {
            b"STARTTLS": self._starttls,
            b"AUTH": self._auth,
            b"MAIL": transactions.mail,
            b"RCPT": transactions.rcpt,
            b"DATA": delivery.data,
            b"BDAT": delivery.bdat,
            b"RSET": self._rset,
            b"NOOP": self._noop,
            b"VRFY": self._vrfy,
            b"EXPN": self._expn,
            b"HELP": self._help,
            b"QUIT": self._quit,
        }
        if settings.lmtp:  # RFC 2033 §4.1: LHLO instead of both
            self._handlers[b"LHLO"] = self._lhlo
        else:
            self._handlers |= {b"EHLO": self._ehlo, b"HELO": self._helo}

    def run(self) -> NoReturn:
        """Greet and serve until either side ends the connection.

        Raises:
            PeerGone: The connection is over.
        """
        conversation = self._conversation
        if self._tls is not None and self._settings.tls == "implicit":
            self._handshake(self._tls)
        protocol = "LMTP" if self._settings.lmtp else "ESMTP"
        greeting = f"220 {self._settings.hostname} {protocol} mailkit test server"
        conversation.reply("greeting", lambda: encode_reply(greeting))
        while True:
            try:
                line = conversation.reader.line(COMMAND_LIMIT)
            except BareLineFeed as error:
                conversation.violate("bare-lf-in-command", error.line)
                conversation.hang_up(replies.BARE_LINE_FEED)
            except LineTooLong as error:
                conversation.violate("command-too-long", error.line)
                conversation.hang_up(replies.LINE_TOO_LONG)
            self._command(line)

    def _command(self, line: bytes) -> None:
        conversation = self._conversation
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        shown = line
        if verb == b"AUTH" and b" " in argument:
            shown = b"AUTH " + argument.partition(b" ")[0] + b" ***"
        conversation.heard(line, shown)
        handler = self._handlers.get(verb)
        if handler is None:
            conversation.say(replies.UNKNOWN_COMMAND)
        elif not line.isascii() and verb not in WITH_ADDRESS:
            conversation.violate("non-ascii-command", line)
            conversation.say(replies.NOT_PRINTABLE)
        elif _CONTROL.search(line):
            conversation.violate("bad-command-syntax", line)
            conversation.say(replies.NOT_PRINTABLE)
        else:
            if conversation.reader.pending:
                self._check_group(verb, line)
            handler(argument)

    def _check_group(self, verb: bytes, line: bytes) -> None:
        """Note where more has arrived before this command could be answered."""
        if verb in GROUP_ENDS:
            self._conversation.violate("not-last-in-group", line)
        elif verb != b"BDAT" and "PIPELINING" not in self._conversation.offered:
            self._conversation.violate("pipelining-not-offered", line)

    # Hello, STARTTLS, AUTH

    def _greet(self, phase: Phase, argument: bytes, lines: tuple[str, ...]) -> None:
        conversation = self._conversation
        if not argument.strip():
            conversation.say(replies.ARGUMENT_MISSING)
            return
        name = argument.decode()

        def perform() -> bytes:
            conversation.helo = name
            conversation.offered = frozenset(line.partition(" ")[0].upper() for line in lines)
            self._transactions.current = None
            return encode_reply("250 " + "\n".join((self._settings.hostname, *lines)))

        conversation.reply(phase, perform, name)

    def _ehlo(self, argument: bytes) -> None:
        self._greet("EHLO", argument, self._settings.ehlo_lines(encrypted=self._wire.encrypted))

    def _lhlo(self, argument: bytes) -> None:
        self._greet("LHLO", argument, self._settings.ehlo_lines(encrypted=self._wire.encrypted))

    def _helo(self, argument: bytes) -> None:
        self._greet("HELO", argument, ())

    def _starttls(self, argument: bytes) -> None:
        conversation = self._conversation
        if argument:
            conversation.say(replies.NO_ARGUMENT)
        elif self._wire.encrypted:
            conversation.say(replies.TLS_ACTIVE)
        elif self._tls is None or "STARTTLS" not in conversation.offered:
            conversation.say(replies.NOT_IMPLEMENTED)
        elif conversation.reply("STARTTLS", lambda: replies.READY_FOR_TLS).startswith(b"2"):
            conversation.flush()
            if rest := conversation.reader.discard():
                conversation.violate("bytes-after-starttls", rest)
            self._handshake(self._tls)
            conversation.forget()
            self._transactions.current = None

    def _handshake(self, tls: ServerTLS) -> None:
        action = self._conversation.cue("TLS")
        if action is not None:
            self._wire.wait()  # for the ClientHello: the fault takes the place of its answer
            move = plan(action, lambda: b"")
            self._conversation.hold(move)
            if move.data or move.ending != "go on":  # nothing sensible follows what was no handshake
                self._wire.perform(attrs.evolve(move, ending="eof" if move.ending == "go on" else move.ending))
        self._wire.start_tls(tls.context)
        self._record.server_name = tls.server_name()

    def _auth(self, argument: bytes) -> None:
        if self._transactions.current is not None:  # RFC 4954 §4
            self._conversation.say(replies.NO_AUTH_NOW)
        else:
            self._authentication.auth(argument)

    # The rest

    def _rset(self, argument: bytes) -> None:
        if argument:
            self._conversation.say(replies.NO_ARGUMENT)
            return

        def perform() -> bytes:
            self._transactions.current = None
            return replies.OK

        self._conversation.reply("RSET", perform)

    def _noop(self, _argument: bytes) -> None:
        # RFC 5321 §4.1.1.9: the argument is ignored.
        self._conversation.reply("NOOP", lambda: replies.OK)

    def _vrfy(self, argument: bytes) -> None:
        self._conversation.reply("VRFY", lambda: replies.CANNOT_VERIFY if argument else replies.ARGUMENT_MISSING)

    def _expn(self, _argument: bytes) -> None:
        self._conversation.reply("EXPN", lambda: replies.NOT_IMPLEMENTED)

    def _help(self, _argument: bytes) -> None:
        self._conversation.reply("HELP", lambda: replies.HELP)

    def _quit(self, argument: bytes) -> None:
        if argument:
            self._conversation.say(replies.NO_ARGUMENT)
            return
        self._conversation.reply("QUIT", lambda: replies.BYE)
        self._conversation.hang_up()
