"""The ledger of one mail transaction: who was asked for, what was answered, and so what became of each recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.receipt import RecipientResult
from mailkit.smtp.engine import SERVICE_CLOSING, TOO_MANY, TOO_MANY_ENHANCED, Answer, Awaited, ends_connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.address import Address
    from mailkit.receipt import Status
    from mailkit.reply import Reply

__all__ = ["Transaction"]

NOT_HERE: Final = frozenset({None, SERVICE_CLOSING, TOO_MANY})
"""The codes with which a recipient is ``"not_sent"`` only because this connection has come to its end."""

NOT_LOGGED_IN: Final = 530
"""RFC 4954 §6 and RFC 3207 §4: to MAIL it is a word on the session, which lacks a login, or TLS before that."""

_TOO_MANY_RECIPIENTS = frozenset({TOO_MANY, 552})  # RFC 5321 §4.5.3.1.10 says 452, and that old servers say 552
_TOO_MANY_RECIPIENTS_ENHANCED = frozenset({None, TOO_MANY_ENHANCED, "5.5.3"})  # RFC 3463 §3.6; 5.2.2 is a full mailbox

GREYLISTED: Final = "4.7.1"
GREYLIST_DELAY: Final = 300.0
"""Seconds: what greylisting servers ask for by default; RFC 6647 §5 recommends between one minute and one day."""


class Transaction:
    """One MAIL, its RCPTs and their content, with every answer to them.

    The commit point is a position in the stream of bytes sent: the last byte of what permits delivery (the final dot,
    or the last byte of ``BDAT … LAST``). Whoever knows how many bytes may have left knows on which side of it the
    message is.

    Args:
        recipients: The forward-paths, in the order of their RCPTs.
        chunked: Whether the content goes by BDAT.
        lmtp: Whether the content is answered once for each accepted recipient (RFC 2033 §4.2).
    """

    def __init__(self, recipients: Sequence[Address], *, chunked: bool = False, lmtp: bool = False) -> None:
        self.recipients: tuple[Address, ...] = tuple(recipients)
        self.chunked = chunked
        self.commit_at: int | None = None
        self._lmtp = lmtp
        self._rcpt: list[Reply | None] = [None] * len(self.recipients)
        self._refusal: tuple[Awaited, Reply] | None = None
        self._content: list[Reply] = []
        self._mail_accepted = False
        self._closing = False
        self._data_accepted = chunked  # BDAT asks for no permission

    def record(self, answer: Answer) -> None:
        """Enter an answer to one of this transaction's commands."""
        what = answer.expected.what
        if answer.verdict == "negative" and answer.ends_connection:
            self._closing = True
        if what is Awaited.RCPT:
            self._rcpt[answer.expected.index] = answer.reply
        elif what is Awaited.CONTENT:
            self._content.append(answer.reply)
        elif not answer.is_positive:
            # The first refusal is the reason; what follows it in a pipelined group only repeats it (503, 554).
            self._refusal = self._refusal or (what, answer.reply)
        elif what is Awaited.MAIL:
            self._mail_accepted = True
        elif what is Awaited.DATA:
            self._data_accepted = True

    @property
    def is_refused(self) -> bool:
        """Whether MAIL, DATA or content was answered with no: nothing more of this transaction needs to be written."""
        return self._refusal is not None or self.is_closing or any(not reply.is_positive for reply in self._content)

    @property
    def is_open(self) -> bool:
        """Whether the server may still hold this transaction open, so that only RSET clears it.

        A refused BDAT leaves an indeterminate state (RFC 3030 §2). The final dot should end a transaction whatever its
        answer (RFC 5321 §4.1.1.4), but Postfix keeps one open whose content a policy refused.
        """
        return self._mail_accepted and not any(reply.is_positive for reply in self._content)

    @property
    def awaits_content(self) -> bool:
        """Whether the server said 354 and nothing was written: whatever is said next would be content to it."""
        return self._data_accepted and not self.chunked and self.commit_at is None

    @property
    def accepted_recipients(self) -> int:
        """How many RCPTs were answered with yes."""
        return sum(reply is not None and reply.is_positive for reply in self._rcpt)

    @property
    def refused_recipients(self) -> int:
        """How many RCPTs were answered with no."""
        return sum(reply is not None and not reply.is_positive for reply in self._rcpt)

    @property
    def is_closing(self) -> bool:
        """Whether the server takes no more on this connection: it said 421, or that this was one message too many."""
        return self._closing

    def more_answers(self) -> bool:
        """Whether the content will be answered once more after the answer now at hand."""
        return self._lmtp and len(self._content) + 1 < self.accepted_recipients

    @property
    def is_complete(self) -> bool:
        """Whether the content was answered as often as it will be."""
        return len(self._content) >= (max(1, self.accepted_recipients) if self._lmtp else 1)

    @property
    def content_reply(self) -> Reply | None:
        """The last answer to the content, where there was one."""
        return self._content[-1] if self._content else None

    def overflow(self) -> tuple[Address, ...]:
        """Return the recipients that were too many for this transaction and belong into a next one."""
        if not self.accepted_recipients:
            return ()
        return tuple(
            recipient
            for recipient, reply in zip(self.recipients, self._rcpt, strict=True)
            if reply is not None
            and reply.code in _TOO_MANY_RECIPIENTS
            and reply.enhanced_code in _TOO_MANY_RECIPIENTS_ENHANCED
        )

    def results(self, bytes_sent: int) -> tuple[RecipientResult, ...]:
        """Return what became of each recipient, given how many bytes may have left this machine."""
        committed = self.commit_at is not None and bytes_sent >= self.commit_at
        unanswered: Status = "unknown" if committed else "not_sent"
        answers = iter(self._content)
        answer: Reply | None = None
        results: list[RecipientResult] = []
        for recipient, rcpt in zip(self.recipients, self._rcpt, strict=True):
            what, reply = self._decided_before_content(rcpt)
            if rcpt is not None and rcpt.is_positive:
                # Only an accepted RCPT has a share in the content's answer, or in its absence. A yes outweighs every
                # refusal before it: the server has the message, whatever it made of the command.
                answer = next(answers, None) or (None if self._lmtp else answer)
                if reply is None or (answer is not None and answer.is_positive):
                    what, reply = Awaited.CONTENT, answer
            if reply is None:
                phase = Awaited.CONTENT if committed else self._awaited()
                results.append(RecipientResult(recipient.addr_spec, status=unanswered, phase=phase.value))
            else:
                results.append(_result(recipient.addr_spec, _status(what, reply, committed=committed), what, reply))
        return tuple(results)

    def _decided_before_content(self, rcpt: Reply | None) -> tuple[Awaited, Reply | None]:
        if self._refusal is not None and self._refusal[0] is Awaited.MAIL:
            return self._refusal
        if rcpt is not None and not rcpt.is_positive:
            return Awaited.RCPT, rcpt
        return self._refusal or (Awaited.CONTENT, None)

    def _awaited(self) -> Awaited:
        """Return the first thing that has no answer."""
        if not self._mail_accepted:
            return Awaited.MAIL
        if None in self._rcpt:
            return Awaited.RCPT
        return Awaited.CONTENT if self._data_accepted else Awaited.DATA


def _status(what: Awaited, reply: Reply, *, committed: bool) -> Status:
    # RFC 3463 §2: where the enhanced code contradicts the reply code, the reply code decides.
    if what is Awaited.CONTENT and reply.is_positive:
        return "accepted"
    # Neither "I am closing" nor "log in" nor "no content now" is about the message; nothing of it was taken, unless the
    # server had all of it and says so of the message itself.
    closing = ends_connection(what, reply) and not (what is Awaited.CONTENT and committed)
    no_session = what is Awaited.MAIL and reply.code == NOT_LOGGED_IN
    if closing or no_session or (what is Awaited.DATA and reply.is_transient):
        return "not_sent"
    return "deferred" if reply.is_transient else "rejected"


def _result(address: str, status: Status, what: Awaited, reply: Reply) -> RecipientResult:
    return RecipientResult(
        address,
        status=status,
        code=reply.code,
        enhanced_code=reply.enhanced_code,
        phase=what.value,
        text=reply.text,
        retry_after=GREYLIST_DELAY if status == "deferred" and reply.enhanced_code == GREYLISTED else None,
    )
