"""The errors of HTTP transports: what happened, for each recipient, and no secret, even if the provider echoes one."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from attrs import fields

from mailkit.errors import RateLimitedError
from mailkit.providers.explanation import LONGEST
from mailkit.providers.retry_after import retry_after
from mailkit.receipt import RecipientResult
from mailkit.redaction import Redactor, printable
from mailkit.reply import Reply
from mailkit.secret import Secret

if TYPE_CHECKING:
    from mailkit.edge.http import Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.providers.base import ApiTransport
    from mailkit.providers.batch import Item
    from mailkit.providers.status import Verdict
    from mailkit.receipt import Status

__all__ = ["failure", "fresh", "results", "safe"]


fresh: Final[ContextVar[Secret | None]] = ContextVar("fresh", default=None)
"""The key that the request under way has, where a function returned it: no field of the transport holds that one."""


def results(
    envelope: Envelope,
    status: Status,
    *,
    phase: str | None,
    code: int | None = None,
    text: str = "",
    wait: float | None = None,
) -> tuple[RecipientResult, ...]:
    """Return the same result for every recipient."""
    return tuple(
        [
            RecipientResult(path.addr_spec, status=status, phase=phase, code=code, text=text, retry_after=wait)
            for path in envelope.rcpt_to
        ]
    )


def safe(transport: ApiTransport, text: str) -> str:
    """Return what a provider says, printable, short, and without our secrets."""
    values = [getattr(transport, each.name) for each in fields(type(transport))]
    key = fresh.get()
    # A key may have come with others.
    secrets = [each for each in (*values, key, *getattr(key, "companions", ())) if isinstance(each, Secret)]
    shown = printable(text.encode("utf-8", "replace")[: 4 * LONGEST])
    return Redactor(secrets)(shown)[:LONGEST]


def failure(
    transport: ApiTransport,
    verdict: Verdict,
    response: Response,
    item: Item,
    *,
    text: str,
) -> DeliveryError:
    """Return the error that an answer means for one message."""
    said = safe(transport, text)
    # Vendors send the headers about their limits with every answer; only here do they ask for patience.
    headers = transport.reset_headers if issubclass(verdict.error, RateLimitedError) else ()
    wait = None if verdict.outcome == "rejected" else retry_after(response, datetime.now(UTC), headers)
    answered = f"{response.status} {said}".rstrip()
    return verdict.error(
        f"{transport} answered {answered}; {verdict.advice}",
        outcome=verdict.outcome,
        cause=verdict.cause,
        phase="response",
        retry_after=wait,
        recipients=results(
            item.envelope, verdict.outcome, phase="response", code=response.status, text=said, wait=wait
        ),
        reply=Reply(response.status, said),
        transport=str(transport),
        message_id=item.message.message_id,
    )
