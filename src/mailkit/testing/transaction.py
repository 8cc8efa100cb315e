"""Mail transactions on the server's side: MAIL opens one, RCPT adds to it (RFC 5321 §3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from mailkit.testing import replies
from mailkit.testing.grammar import BadArgument, parse_path

if TYPE_CHECKING:
    from mailkit.testing.conversation import Conversation

__all__ = ["Transaction", "Transactions"]


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


class Transactions:
    """The mail transactions of one session, one after the other.

    Args:
        conversation: The session's conversation.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.current: Transaction | None = None
        self._conversation = conversation
        self._mails = 0

    def mail(self, argument: bytes) -> None:
        """Open a transaction (RFC 5321 §4.1.1.2)."""
        settings = self._conversation.settings
        limit = settings.limits.get("MAILMAX")
        if not self._conversation.helo:
            self._conversation.say(replies.GREET_FIRST)
        elif self.current is not None:
            self._conversation.say(replies.NESTED_MAIL)
        elif settings.require_auth and self._conversation.record.user is None:
            self._conversation.say(replies.AUTH_REQUIRED)
        elif limit is not None and self._mails >= limit:
            self._conversation.hang_up(replies.TOO_MANY_MESSAGES)
        else:
            try:
                path = parse_path("MAIL", argument, self._conversation.offered)
            except BadArgument as error:
                self._conversation.refuse_argument(error, argument)
                return
            self._conversation.reply("MAIL", lambda: self._open(path.address, path.parameters), path.address)

    def _open(self, address: str, parameters: Mapping[str, str | None]) -> bytes:
        if int(parameters.get("SIZE") or 0) > self._conversation.settings.max_size:
            return replies.TOO_LARGE
        if "REQUIRETLS" in parameters and not self._conversation.wire.encrypted:
            return replies.TLS_REQUIRED
        if "SMTPUTF8" not in parameters and not address.isascii():
            return replies.NOT_ASCII
        self._mails += 1
        self.current = Transaction(mail_from=address, parameters=parameters)
        return replies.SENDER_OK

    def rcpt(self, argument: bytes) -> None:
        """Add a recipient (RFC 5321 §4.1.1.3)."""
        transaction = self.current
        if transaction is None:
            self._conversation.say(replies.MAIL_FIRST)
            return
        if transaction.chunks or transaction.broken:
            self._conversation.say(replies.BDAT_OPEN)
            return
        try:
            path = parse_path("RCPT", argument, self._conversation.offered)
        except BadArgument as error:
            self._conversation.refuse_argument(error, argument)
            return

        def perform() -> bytes:
            if not transaction.utf8 and not path.address.isascii():
                return replies.NOT_ASCII
            if self._exceeds_limits(transaction, path.address):
                return replies.TOO_MANY_RECIPIENTS
            transaction.rcpt_to.append(path.address)
            transaction.rcpt_parameters.append(path.parameters)
            return replies.RECIPIENT_OK

        self._conversation.reply("RCPT", perform, path.address)

    def _exceeds_limits(self, transaction: Transaction, address: str) -> bool:
        limits = self._conversation.settings.limits
        if not limits:
            return False
        domains = {known.rpartition("@")[2].lower() for known in (*transaction.rcpt_to, address)}
        recipients = len(transaction.rcpt_to) + 1
        return recipients > limits.get("RCPTMAX", recipients) or len(domains) > limits.get("RCPTDOMAINMAX", recipients)
