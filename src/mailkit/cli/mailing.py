"""A mailing: a message of its own to each row of a CSV file, and a ledger by which a broken-off run can be taken up."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mailkit.cli.recipients import InvalidRow, Recipient, Recipients
from mailkit.errors import ConfigurationError, DeliveryError, MailkitError, MessageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from mailkit.cli.composition import Composition
    from mailkit.cli.interruption import StopRequest
    from mailkit.cli.ledger import Case, CaseStatus, Ledger
    from mailkit.mailer import Mailer
    from mailkit.message import Message
    from mailkit.receipt import Outcome, RecipientResult

__all__ = ["Choices", "Mailing", "check_fingerprint"]

HOPELESS_AFTER: Final = 5
"""Messages in a row that nobody could be reached for, after which the run ends: the rest would fare no better."""

_SETTLED: Final[frozenset[CaseStatus]] = frozenset({"accepted", "rejected"})
_IN_DOUBT: Final[frozenset[CaseStatus]] = frozenset({"begun", "unknown"})


@frozen(kw_only=True)
class Choices:
    """What the command line chose.

    Args:
        connections: How many connections to use at once.
        retry_unknown: Send to those in doubt once more.
        allow_duplicates: Send to an address again that an earlier row had.
    """

    connections: int = 1
    retry_unknown: bool = False
    allow_duplicates: bool = False


class Mailing:
    """One run.

    Args:
        composition: The message, with fields.
        recipients: Who gets it.
        ledger: What became of them, in earlier runs and in this one.
        choices: What the command line chose.
        stop: Whether somebody wants it to end.
    """

    def __init__(
        self,
        composition: Composition,
        recipients: Recipients,
        ledger: Ledger,
        *,
        choices: Choices,
        stop: StopRequest,
    ) -> None:
        self._composition = composition
        self._recipients = recipients
        self.ledger = ledger
        self._choices = choices
        self._stop = stop
        self._pending: dict[str, Recipient] = {}
        self._unreached = 0
        self.done: Counter[CaseStatus] = Counter()
        """What became of the rows of this run."""
        self.already: Counter[CaseStatus] = Counter()
        """What earlier runs left, of the rows that this one leaves alone."""
        self.invalid: list[InvalidRow] = []
        self.duplicates: list[InvalidRow] = []

    @property
    def in_doubt(self) -> list[Case]:
        """Whose message may or may not have arrived."""
        return [case for case in self.ledger.cases.values() if case.is_in_doubt]

    @property
    def failed(self) -> list[Case]:
        """Who has not got it."""
        return [case for case in self.ledger.cases.values() if not case.is_in_doubt]

    def send(self, mailer: Mailer, on_progress: Callable[[int, int], object]) -> None:
        """Send to everybody to whom nothing was sent yet, and write down what becomes of it.

        Args:
            mailer: What it goes through.
            on_progress: Is told after each message how many are done, and how many of them in vain.

        Raises:
            MailkitError: The rest would fare no better: the settings are wrong, nobody can be reached, or the ledger
                cannot be written.
            Terminated: Somebody wanted it to end; what was under way has its answer.
        """
        outcomes = mailer.send_many(self._messages(), connections=self._choices.connections)
        for outcome in outcomes:
            self._note(outcome)
            on_progress(self.done.total(), self.done.total() - self.done["accepted"])
            try:
                self._go_on_after(outcome.error)
            except MailkitError as error:
                self._break_off(outcomes, error)
                raise
        self._stop.check()

    def _messages(self) -> Iterator[Message]:
        seen: set[str] = set()
        for row in self._recipients:
            if self._stop.number is not None:
                return
            if isinstance(row, InvalidRow):
                self.invalid.append(row)
                continue
            address = row.address.addr_spec
            if address in seen and not self._choices.allow_duplicates:
                self.duplicates.append(InvalidRow(line=row.line, reason=f"{address} is in an earlier row"))
                continue
            seen.add(address)
            known = self.ledger.status(row)
            if known is not None and (known in _SETTLED or (known in _IN_DOUBT and not self._choices.retry_unknown)):
                self.already.update([known])
                continue
            try:
                message = self._message(row)
            except MessageError as error:
                self.invalid.append(InvalidRow(line=row.line, reason=str(error)))
                continue
            self.ledger.note_begun(row)
            self._pending[message.message_id or ""] = row
            yield message

    def _message(self, row: Recipient) -> Message:
        from_ = self._composition.fixed.from_
        domain = "" if from_ is None else from_.ascii_domain
        message_id = f"{self.ledger.message_id_of(row)}@{domain}"
        return self._composition.message_for(row.address, row.values, message_id=message_id)

    def _note(self, outcome: Outcome) -> None:
        row = self._pending.pop(outcome.message.message_id or "")
        error, receipt = outcome.error, outcome.receipt
        status: CaseStatus = "not_sent"  # also where the message was refused before any I/O
        if receipt is not None:
            result = receipt.accepted[0]
            status = "accepted"
            self.ledger.note(
                row, status, _said(result), message_id=receipt.message_id,
                provider_id=result.provider_id or receipt.provider_id,
            )  # fmt: skip
        elif isinstance(error, DeliveryError):
            status = error.outcome
            said = next((_said(result) for result in error.recipients if result.text), str(error))
            self.ledger.note(row, status, said, message_id=outcome.message.message_id)
        else:
            self.ledger.note(row, status, str(error), message_id=outcome.message.message_id)
        self.done[status] += 1

    def _go_on_after(self, error: MailkitError | None) -> None:
        """Raise an error that every further message would meet as well."""
        if not isinstance(error, DeliveryError) or error.outcome != "not_sent":
            self._unreached = 0
            return
        self._unreached += 1
        if error.cause in {"configuration", "security"} or self._unreached >= HOPELESS_AFTER:
            raise error

    def _break_off(self, outcomes: Generator[Outcome, None, None], error: MailkitError) -> None:
        """Leave what is not written yet unsent, and write down what is left of the rest."""
        with contextlib.suppress(MailkitError):
            outcomes.throw(error)
        left: tuple[Outcome, ...] = getattr(error, "outcomes", ())
        for outcome in left:
            if outcome.message.message_id in self._pending:
                self._note(outcome)


def _said(result: RecipientResult) -> str:
    return " ".join(str(part) for part in (result.code, result.enhanced_code, result.text) if part)


def check_fingerprint(ledger: Ledger, fingerprint: str) -> None:
    """Check that a ledger was begun with this message.

    Raises:
        ConfigurationError: It was begun with another.
    """
    if ledger.fingerprint != fingerprint:
        raise ConfigurationError(
            f"the message is not the one with which {ledger.path} was begun: give the same options and files, begin a "
            "ledger of its own with --ledger, or say --allow-changes if the rest are to get the new one"
        )
