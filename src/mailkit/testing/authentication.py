"""AUTH on the server's side: base64, challenges and verdicts around the mechanisms (RFC 4954)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from mailkit.testing import replies
from mailkit.testing.mechanisms import MECHANISMS, Accounts, Denied, MalformedResponse
from mailkit.testing.reader import BareLineFeed, LineTooLong

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.testing.certificates import ServerTLS
    from mailkit.testing.conversation import Conversation
    from mailkit.testing.mechanisms import Exchange

__all__ = ["Authentication"]

RESPONSE_LIMIT = 12_288
"""Octets of a line of a SASL exchange (RFC 4954 §4)."""


class Authentication:
    """The AUTH command of one session.

    Args:
        conversation: The session's conversation.
        tls: The server's certificate, for channel binding.
    """

    def __init__(self, conversation: Conversation, tls: ServerTLS | None) -> None:
        self._conversation = conversation
        self._tls = tls
        self._exchange: Exchange | None = None

    def auth(self, argument: bytes) -> None:
        """Run one exchange, from the command to its verdict."""
        conversation = self._conversation
        settings = conversation.settings
        encrypted = conversation.wire.encrypted
        name, _, initial = argument.decode().partition(" ")
        name = name.upper()
        mechanisms = settings.offered_mechanisms(encrypted=encrypted)
        if conversation.record.user is not None or not conversation.helo:
            conversation.say(replies.NO_AUTH_NOW)
        elif "AUTH" not in conversation.offered:
            encryptable = settings.tls == "starttls" and not encrypted
            conversation.say(replies.ENCRYPT_FIRST if encryptable else replies.NOT_IMPLEMENTED)
        elif name not in mechanisms:
            conversation.say(replies.UNKNOWN_MECHANISM)
        else:
            accounts = Accounts(
                settings.users,
                settings.tokens,
                self._tls.channel_binding if self._tls and encrypted else None,
                settings.hostname,
                "SCRAM-SHA-256-PLUS" in mechanisms,
            )
            conversation.reply("AUTH", lambda: self._begin(accounts, name, initial), name)
            while (exchange := self._exchange) is not None:
                self._exchange = None
                self._respond(exchange, name)

    def _begin(self, accounts: Accounts, name: str, initial: str) -> bytes:
        try:
            # RFC 4954 §4: a single equals sign is an empty initial response.
            response = (b"" if initial == "=" else _decode(initial.encode())) if initial else None
        except MalformedResponse:
            return replies.NOT_BASE64
        exchange = MECHANISMS[name](accounts, response)
        return self._step(exchange, lambda: next(exchange))

    def _respond(self, exchange: Exchange, name: str) -> None:
        conversation = self._conversation
        try:
            line = conversation.reader.line(RESPONSE_LIMIT)
        except BareLineFeed:
            conversation.violate("bare-lf-in-command")
            conversation.hang_up(replies.BARE_LINE_FEED)
        except LineTooLong:
            conversation.violate("command-too-long")
            conversation.hang_up(replies.LINE_TOO_LONG)
        conversation.heard(line, b"***")

        def perform() -> bytes:
            if line == b"*":
                return replies.CANCELLED
            return self._step(exchange, lambda: exchange.send(_decode(line)))

        conversation.reply("RESPONSE", perform, name)

    def _step(self, exchange: Exchange, advance: Callable[[], bytes]) -> bytes:
        try:
            challenge = advance()
        except StopIteration as done:
            self._conversation.record.user = str(done.value)
            return replies.AUTHENTICATED
        except Denied:
            return replies.BAD_CREDENTIALS
        except MalformedResponse:
            return replies.NOT_BASE64
        self._exchange = exchange
        return b"334 " + base64.b64encode(challenge) + b"\r\n"


def _decode(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise MalformedResponse from None
