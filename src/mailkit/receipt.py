"""What became of a message: for each recipient, for the message, and in a stream of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self

from attrs import field, frozen

from mailkit.errors import (
    DeliveryError,
    DeliveryOutcome,
    MailkitError,
    OutcomeUnknownError,
    RejectedError,
    TransientError,
)
from mailkit.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mailkit.message import Message

__all__ = ["Outcome", "Progress", "Receipt", "RecipientResult", "Status"]

Status = Literal["accepted", "deferred", "rejected", "not_sent", "unknown"]
"""What became of a message for one recipient; see ``mailkit.errors.DeliveryOutcome``."""

_TOLD: Final = 10
"""How many recipients an error's text names: a message may have ten thousand, and a line of a log may not."""

_WORST_FIRST: Final[tuple[Status, ...]] = ("unknown", "rejected", "deferred", "not_sent", "accepted")


@frozen
class RecipientResult:
    """What became of a message for one recipient.

    Example:
        >>> print(RecipientResult("bob@example.org", status="rejected", code=550, text="no such user"))
        bob@example.org: rejected (550 no such user)

    Args:
        address: The recipient's address as it went over the wire.
        status: What became of it.
        code: The reply code (SMTP) or status (HTTP) that decided, where there was one.
        enhanced_code: The enhanced status code (RFC 3463), where there was one.
        phase: Where in the delivery it was decided, such as ``"rcpt"`` or ``"content"``.
        text: What the other side said: untrusted, printable.
        retry_after: Seconds to wait at least before trying this recipient again, where the other side wants that.
        provider_id: The provider's own id for this recipient's copy, where it gives one.
        transport: Who decided it, without secrets, where that is another one than the receipt's (or the error's): with
            ``Failover`` and ``Route`` the recipients of one message may have been taken by several.
    """

    address: str
    status: Status = field(kw_only=True)
    code: int | None = field(default=None, kw_only=True)
    enhanced_code: str | None = field(default=None, kw_only=True)
    phase: str | None = field(default=None, kw_only=True)
    text: str = field(default="", kw_only=True)
    retry_after: float | None = field(default=None, kw_only=True)
    provider_id: str | None = field(default=None, kw_only=True)
    transport: str | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        said = " ".join(str(part) for part in (self.code, self.enhanced_code, self.text) if part)
        return f"{self.address}: {self.status}" + (f" ({said})" if said else "")


def told(results: Sequence[RecipientResult]) -> str:
    """Return what became of recipients in words, of the first ones where there are many."""
    more = len(results) - _TOLD
    first = "; ".join(map(str, results[:_TOLD]))
    return first if more <= 0 else f"{first}; and {more:,} more, each in .recipients"


# tuple itself, as a converter, leaves type checkers with an unsolved type variable.
def _results(recipients: Iterable[RecipientResult]) -> tuple[RecipientResult, ...]:
    return tuple(recipients)


@frozen(kw_only=True)
class Receipt:
    """The proof that at least one recipient was accepted.

    Example:
        >>> from mailkit import Mailer, Message
        >>> with Mailer("null://") as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> len(receipt.accepted), receipt.refused, receipt.transport
        (1, (), 'null://')

    Args:
        message_id: RFC 5322 Message-ID, without angle brackets.
        transport: The transport's name, such as ``"smtp://mail.example.com:587"``: never a secret.
        recipients: One result for each recipient, in the envelope's order.
        provider_id: The server's queue id or the provider's message id, where one is known.
        attempts: How many times delivery was tried.
    """

    message_id: str
    transport: str
    recipients: tuple[RecipientResult, ...] = field(converter=_results)
    provider_id: str | None = None
    attempts: int = 1

    @property
    def accepted(self) -> tuple[RecipientResult, ...]:
        """The recipients that the other side took responsibility for."""
        return tuple(result for result in self.recipients if result.status == "accepted")

    @property
    def refused(self) -> tuple[RecipientResult, ...]:
        """The recipients that were not accepted: rejected for good, deferred, or not sent to; see ``status``."""
        return tuple(result for result in self.recipients if result.status in {"rejected", "deferred", "not_sent"})

    @property
    def unknown(self) -> tuple[RecipientResult, ...]:
        """The recipients whose answer was lost after the commit point (LMTP answers for each recipient)."""
        return tuple(result for result in self.recipients if result.status == "unknown")

    def raise_for_refused(self) -> Self:
        """Return the receipt if every recipient was accepted.

        Raises:
            OutcomeUnknownError: For a recipient the outcome is unknown.
            RejectedError: A recipient was rejected for good (and nothing worse happened).
            TransientError: A recipient was deferred or not sent to (and nothing worse happened).
        """
        missed = [result for result in self.recipients if result.status != "accepted"]
        if not missed:
            return self
        raise error_for_recipients(
            missed,
            f"{len(missed)} of {len(self.recipients)} recipients were not accepted",
            transport=self.transport,
            attempts=self.attempts,
            message_id=self.message_id,
        )


_ERRORS: Final[Mapping[Status, type[DeliveryError]]] = {"unknown": OutcomeUnknownError, "rejected": RejectedError}


def error_for_recipients(
    missed: Iterable[RecipientResult],
    what: str,
    *,
    transport: str,
    attempts: int = 1,
    message_id: str | None = None,
) -> DeliveryError:
    """Return the error that says the worst of what became of `missed`, at least one recipient."""
    results = tuple(missed)
    statuses = {result.status for result in results}
    # "unknown" before "rejected": who sends again after this must know first that a copy may be on its way.
    worst = min(results, key=lambda result: _WORST_FIRST.index(result.status))
    message = f"{what}: {told(results)}"
    kind = _ERRORS.get(worst.status, TransientError)
    outcome: DeliveryOutcome | None = "not_sent" if statuses == {"not_sent"} else None
    return kind(
        message,
        outcome=outcome,
        phase=worst.phase,
        retry_after=max((each.retry_after for each in results if each.retry_after is not None), default=None),
        recipients=results,
        reply=None if worst.code is None else Reply(worst.code, worst.text, enhanced_code=worst.enhanced_code),
        transport=transport,
        attempts=attempts,
        message_id=message_id,
    )


@frozen(kw_only=True)
class Outcome:
    """What became of one message of ``send_many``: a receipt or an error, never both.

    Example:
        >>> from mailkit import Mailer, Message
        >>> letters = [Message(from_="ada@example.com", to=f"user{n}@example.org", text="Hi") for n in range(2)]
        >>> with Mailer("null://") as mailer:
        ...     [outcome.ok for outcome in mailer.send_many(letters)]
        [True, True]

    Args:
        message: The message as it was given.
        receipt: The receipt, where at least one recipient was accepted.
        error: The error, where none was.
    """

    message: Message
    receipt: Receipt | None = None
    error: MailkitError | None = None

    @property
    def ok(self) -> bool:
        """Whether at least one recipient was accepted."""
        return self.receipt is not None


@frozen(kw_only=True)
class Progress:
    """How far ``send_many`` has come.

    Args:
        done: Messages with an outcome.
        failed: How many of them no recipient was accepted for.
        latest: The outcome of the latest one.
    """

    done: int
    failed: int
    latest: Outcome
