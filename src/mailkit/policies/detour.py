"""Where a message goes instead, and what that means for those it was sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve, frozen

from mailkit.errors import DeliveryError
from mailkit.receipt import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.policies.redirect import Redirect
    from mailkit.receipt import RecipientResult, Status

__all__ = ["Detour"]

Ended = TypeVar("Ended", Receipt, DeliveryError)

# Somebody has the message if anybody has it; only what none of them got may go again, to all of them.
_BEST_FIRST: Final[tuple[Status, ...]] = ("accepted", "unknown", "not_sent", "deferred", "rejected")


@frozen
class Detour:
    """The recipients of one delivery.

    Args:
        asked: Who was to get it.
        kept: Who of them gets it.
        to: Who gets it instead of the others.
    """

    asked: tuple[Address, ...]
    kept: tuple[Address, ...]
    to: tuple[Address, ...]

    @classmethod
    def of(cls, recipients: tuple[Address, ...], redirect: Redirect) -> Detour:
        """Return the way of a message to these recipients."""
        return cls(recipients, tuple([each for each in recipients if redirect.allows(each)]), redirect.to)

    @property
    def redirected(self) -> tuple[Address, ...]:
        """Who does not get it."""
        return tuple([each for each in self.asked if each not in self.kept])

    @property
    def has_others(self) -> bool:
        """Whether somebody gets it beside those to whom it is redirected."""
        ours = {each.addr_spec for each in self.to}
        return any(each.addr_spec not in ours for each in self.kept)

    def turned(self, envelope: Envelope) -> Envelope:
        """Return the envelope with the recipients replaced."""
        if not self.redirected:
            return envelope
        kept = {each.addr_spec for each in self.kept}
        exceptions = {address: asked for address, asked in envelope.exceptions.items() if address in kept}
        return evolve(envelope, rcpt_to=(*self.kept, *self.to), exceptions=exceptions)

    def told(self, ended: Ended) -> Ended:
        """Return how a delivery ended, in terms of those who were to get it."""
        results = tuple(self._results({result.address: result for result in ended.recipients}))
        if isinstance(ended, Receipt):
            return evolve(ended, recipients=results)
        ended.recipients = results
        return ended

    def tell(self, raised: BaseException) -> None:
        """Let an error, or what an interruption carries, speak in terms of those who were to get it."""
        if isinstance(raised, DeliveryError):
            self.told(raised)
            return
        delivery: Receipt | DeliveryError | None = getattr(raised, "delivery", None)
        if isinstance(delivery, Receipt):
            raised.__dict__["delivery"] = self.told(delivery)
        elif delivery is not None:
            self.told(delivery)

    def _results(self, results: dict[str, RecipientResult]) -> Iterator[RecipientResult]:
        copies = [results[each.addr_spec] for each in self.to if each.addr_spec in results]
        for path in self.asked:
            if path in self.kept:
                if path.addr_spec in results:
                    yield results[path.addr_spec]
            elif copies:
                best = min(copies, key=lambda copy: _BEST_FIRST.index(copy.status))
                yield evolve(best, address=path.addr_spec, phase="redirect", text=_text(copies))


def _text(copies: Sequence[RecipientResult]) -> str:
    if len(copies) == 1:
        (only,) = copies
        return f"redirected to {only.address}" + (f": {only.text}" if only.text else "")
    return "redirected to " + "; ".join(map(str, copies))
