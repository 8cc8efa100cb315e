"""One delivery of a message that may have been delivered before: for whom it is still to be sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from mailkit.errors import DeliveryError, OutcomeUnknownError
from mailkit.policies.deduplication_store import Found
from mailkit.policies.tally import Tally
from mailkit.receipt import Receipt, RecipientResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.errors import MailkitError
    from mailkit.policies.deduplication_store import Claim, Settlement
    from mailkit.receipt import Status

__all__ = ["Delivery"]


@frozen
class Delivery:
    """A message, its recipients, and what a store has found of each.

    Args:
        claim: What was asked.
        envelope: Who the message is for.
        found: What is known, of each recipient in order.
        message_id: The Message-ID of this sending.
    """

    claim: Claim
    envelope: Envelope
    found: tuple[Found, ...]
    message_id: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if len(self.found) != len(self.envelope.rcpt_to):
            msg = f"the store gave {len(self.found)} answers for {len(self.envelope.rcpt_to)} recipients"
            raise ValueError(msg)

    def _paths(self, *standings: str) -> tuple[Address, ...]:
        pairs = zip(self.envelope.rcpt_to, self.found, strict=True)
        return tuple([path for path, found in pairs if found.standing in standings])

    @property
    def is_busy(self) -> bool:
        """Whether somebody else is sending it to some of them: nothing is claimed then."""
        return bool(self._paths("busy"))

    @property
    def is_other_message(self) -> bool:
        """Whether the key is another message's."""
        return bool(self._paths("different"))

    @property
    def is_fresh(self) -> bool:
        """Whether nothing is known of it: it can go as it is."""
        return len(self.mine) == len(self.found)

    @property
    def mine(self) -> tuple[Address, ...]:
        """Whom it is to be sent to now."""
        return self._paths("new")

    @property
    def earlier(self) -> tuple[Address, ...]:
        """Whom it was sent to, or may have been sent to, before."""
        return self._paths("accepted", "unknown")

    @property
    def original_message_id(self) -> str | None:
        """The Message-ID of the message that was accepted before."""
        return next((_read(each)["message_id"] for each in self.found if each.standing == "accepted"), None)

    @staticmethod
    def results(envelope: Envelope, status: Status) -> tuple[RecipientResult, ...]:
        """Return one status for every recipient."""
        return tuple([RecipientResult(path.addr_spec, status=status, phase="duplicate") for path in envelope.rcpt_to])

    def all_in(self, status: Status) -> tuple[RecipientResult, ...]:
        """Return one status for every recipient."""
        return self.results(self.envelope, status)

    def still_busy(self, seconds: float, transport: str) -> OutcomeUnknownError:
        """Return what to raise when somebody else has not ended."""
        standings: dict[str, Status] = {"new": "not_sent", "accepted": "accepted"}
        return OutcomeUnknownError(
            f"somebody else has been sending a message with the same idempotency key for {seconds:g} s: it may or may "
            "not be accepted. Ask again later, with the same key",
            phase="duplicate",
            recipients=[
                RecipientResult(path.addr_spec, status=standings.get(found.standing, "unknown"), phase="duplicate")
                for path, found in zip(self.envelope.rcpt_to, self.found, strict=True)
            ],
            transport=transport,
            attempts=0,
            message_id=self.message_id,
        )

    def tally(self) -> Tally:
        """Return a tally in which what happened before is entered."""
        tally = Tally(self.envelope)
        doubtful = self._paths("unknown")
        if doubtful:
            tally.ask(doubtful)
            tally.enter(
                OutcomeUnknownError(
                    "a message with the same idempotency key may or may not have been accepted before, so it was not "
                    "sent again. Look for it at the receiving side",
                    phase="duplicate",
                    recipients=[
                        RecipientResult(path.addr_spec, status="unknown", phase="duplicate") for path in doubtful
                    ],
                    attempts=0,
                    message_id=self.message_id,
                )
            )
        accepted = self._paths("accepted")
        if accepted:
            tally.ask(accepted)
            tally.enter(self._first_receipt())
        return tally

    def _first_receipt(self) -> Receipt:
        pairs = zip(self.envelope.rcpt_to, self.found, strict=True)
        known = [(path, _read(found)) for path, found in pairs if found.standing == "accepted"]
        _, first = known[0]
        return Receipt(
            message_id=first["message_id"],
            transport=first["transport"],
            provider_id=first["provider_id"],
            attempts=0,
            recipients=[
                RecipientResult(path.addr_spec, status="accepted", phase="duplicate", **evidence["result"])
                for path, evidence in known
            ],
        )

    def settlements(self, ended: Receipt | MailkitError | None) -> Mapping[str, Settlement]:
        """Return what is to be kept of those whom it was sent to now.

        Args:
            ended: How that ended; None where nobody knows.
        """
        by_address = {result.address: result for result in getattr(ended, "recipients", ())}
        digests = dict(zip(self.envelope.rcpt_to, self.claim.recipients, strict=True))
        return {digests[path]: _settlement(ended, by_address.get(path.addr_spec)) for path in self.mine}


def _settlement(ended: Receipt | MailkitError | None, result: RecipientResult | None) -> Settlement:
    if ended is not None and not isinstance(ended, Receipt | DeliveryError):
        return None  # refused before anything was sent
    if isinstance(ended, DeliveryError) and ended.idempotent and ended.outcome == "unknown":
        return None  # the key went along: the other side itself sees to it that there is no second copy
    if isinstance(ended, Receipt) and result is not None and result.status == "accepted":
        return Found("accepted", _evidence(ended, result))
    status = result.status if result is not None else ended.outcome if isinstance(ended, DeliveryError) else "unknown"
    return None if status in {"not_sent", "deferred", "rejected"} else Found("unknown")


def _evidence(receipt: Receipt, result: RecipientResult) -> str:
    """Return what is kept: nothing that was said by the server, which may repeat addresses."""
    return json.dumps(
        {
            "message_id": receipt.message_id,
            "transport": result.transport or receipt.transport,
            "provider_id": receipt.provider_id,
            "result": {
                "code": result.code,
                "enhanced_code": result.enhanced_code,
                "provider_id": result.provider_id,
            },
        }
    )


def _read(found: Found) -> dict[str, Any]:
    evidence: dict[str, Any] = json.loads(found.evidence)
    return evidence
