"""What several deliveries of one message add up to, whoever made them: for each recipient, and as a whole.

No copy is forgotten. Who was accepted once has the message, whatever came after; who may have been accepted once stays
in doubt unless a later delivery was accepted; everybody else is where the last delivery to him left him.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mailkit.errors import DeliveryError
from mailkit.receipt import Receipt, RecipientResult, error_for_recipients

if TYPE_CHECKING:
    from collections.abc import Container

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.errors import MailkitError
    from mailkit.receipt import Status

__all__ = ["Tally"]


class Tally:
    """The deliveries of one message so far.

    Args:
        envelope: Who gets the message.
        all_or_nothing: Whether it goes to all of its recipients or to none.
    """

    def __init__(self, envelope: Envelope, *, all_or_nothing: bool = False) -> None:
        self._envelope = envelope
        self._all_or_nothing = all_or_nothing
        self._asked = envelope.rcpt_to
        self._results: dict[str, RecipientResult] = {}
        self._owners: dict[str, str | None] = {}
        self._doubtful: set[str] = set()
        self._may_duplicate = False
        self._receipt: Receipt | None = None
        self._attempts = 0
        self.error: DeliveryError | None = None
        """How the last delivery failed; None where somebody was accepted."""
        self.deliveries: int = 0
        """How many were entered."""

    @property
    def is_received(self) -> bool:
        """Whether somebody was accepted in any delivery."""
        return self._receipt is not None

    @property
    def is_nowhere(self) -> bool:
        """Whether nobody was accepted in any delivery, and that is certain."""
        return self._receipt is None and not self._doubtful

    @property
    def is_all_unsent(self) -> bool:
        """Whether nothing was sent to anybody, as far as was said."""
        return all(result.status == "not_sent" for result in self._results.values()) and not self._doubtful

    def ask(self, paths: tuple[Address, ...]) -> Envelope:
        """Return the envelope of the next delivery, which is for these recipients alone."""
        if paths == self._envelope.rcpt_to:
            self._asked = paths
            return self._envelope
        self._asked = paths
        return evolve(self._envelope, rcpt_to=paths)

    def enter(self, latest: Receipt | DeliveryError) -> None:
        """Enter how a delivery ended."""
        self.deliveries += 1
        self._attempts += latest.attempts
        asked = {path.addr_spec for path in self._asked}
        results = [result for result in latest.recipients if result.address in asked]
        if isinstance(latest, Receipt):
            # The first receipt names the message; a later one only adds recipients to it.
            self._receipt, self.error = self._receipt or latest, None
        else:
            self.error = latest
            named = {result.address for result in results}
            results += [
                RecipientResult(address, status=latest.outcome, phase=latest.phase) for address in asked - named
            ]
        for result in results:
            self._results[result.address] = result
            self._owners[result.address] = result.transport or latest.transport
            if result.status == "unknown":
                self._doubtful.add(result.address)
                self._may_duplicate |= not (isinstance(latest, DeliveryError) and latest.idempotent)

    def result_of(self, path: Address) -> RecipientResult:
        """Return where the last delivery to a recipient left him."""
        return self._results[path.addr_spec]

    def left_in(self, statuses: Container[Status]) -> tuple[Address, ...]:
        """Return whom the last delivery left in one of these; nobody whom it said nothing of."""
        return tuple(
            path
            for path in self._asked
            if (result := self._results.get(path.addr_spec)) is not None and result.status in statuses
        )

    def postpone(self, paths: tuple[Address, ...], seconds: float | None) -> None:
        """Say when these may be tried again, where that is known better than from the last delivery."""
        for path in paths:
            self._results[path.addr_spec] = evolve(self._results[path.addr_spec], retry_after=seconds)

    def splits(self, paths: tuple[Address, ...]) -> bool:
        """Whether a delivery to these alone would give some what is to be given to all or to nobody."""
        if not self._all_or_nothing:
            return False
        others = (path for path in self._envelope.rcpt_to if path not in paths)
        return any(self._results[path.addr_spec].status != "accepted" for path in others)

    def conclude(self) -> Receipt:
        """Merge the deliveries: a receipt if anybody was accepted, else the error that says the worst.

        Raises:
            DeliveryError: Nobody was accepted.
        """
        verdict = self.verdict()
        if isinstance(verdict, DeliveryError):
            raise verdict
        return verdict

    def broken_off(self, error: MailkitError) -> Receipt:
        """Conclude without the last delivery, which was none: the message could not be sent as it is any more.

        Raises:
            DeliveryError: An earlier delivery may have been accepted, and nobody knows.
            MailkitError: Nobody was accepted: `error`.
        """
        if self.is_nowhere:
            raise error
        return self.conclude()

    def annotate(self, interruption: BaseException) -> None:
        """Let an interruption say what became of the message in all deliveries, not only in the one that it ended."""
        below = getattr(interruption, "delivery", None)
        if isinstance(below, Receipt | DeliveryError):
            self.enter(below)
        if self.deliveries:
            interruption.__dict__["delivery"] = self.verdict()

    def verdict(self) -> Receipt | DeliveryError:
        """Merge the deliveries, at least one: a receipt if anybody was accepted, else the error that says the worst."""
        if self._receipt is not None:
            if self.deliveries == 1:
                return self._receipt
            results = self._merged_results(self._receipt.transport)
            return evolve(self._receipt, recipients=results, attempts=self._attempts)
        assert self.error is not None  # noqa: S101 - each delivery ends in one of the two
        return self._merged_error(self.error)

    def telling(self, error: DeliveryError) -> DeliveryError:
        """Let an error say what became of each recipient, and return it."""
        error.recipients = self._merged_results(error.transport)
        error.attempts = self._attempts
        return error

    def worst(self, what: str, transport: str, *, message_id: str | None = None) -> DeliveryError:
        """Return a new error that says the worst of what became of the recipients, none of whom was accepted."""
        worst = error_for_recipients(
            self._merged_results(transport), what, transport=transport, attempts=self._attempts, message_id=message_id
        )
        worst.idempotent = bool(self._doubtful) and not self._may_duplicate
        return worst

    def _merged_error(self, latest: DeliveryError) -> DeliveryError:
        merged = self._merged_results(latest.transport)
        statuses = {result.status for result in merged}
        if statuses in ({latest.outcome}, {result.status for result in latest.recipients}):
            return self.telling(latest)
        # Earlier deliveries decided some recipients, or left some in doubt, which the last error does not know of.
        worst = self.worst(str(latest), latest.transport or "", message_id=latest.message_id)
        worst.__cause__ = latest
        return worst

    def _merged_results(self, transport: str | None) -> tuple[RecipientResult, ...]:
        """Return what became of each recipient; who took him is said where it is not `transport`."""
        paths = (path.addr_spec for path in self._envelope.rcpt_to)
        return tuple(self._settled(self._results[path], transport) for path in paths if path in self._results)

    def _settled(self, result: RecipientResult, transport: str | None) -> RecipientResult:
        owner = self._owners[result.address]
        named = None if owner == transport else owner
        # What may have been accepted once stays in doubt, whatever became of the copies that were sent after it.
        doubtful = result.address in self._doubtful and result.status != "accepted"
        if named == result.transport and not (doubtful and result.status != "unknown"):
            return result
        return evolve(result, transport=named, status="unknown" if doubtful else result.status)
