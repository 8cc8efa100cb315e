"""From what became of each recipient to a receipt, or to the one error that says it best."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mailkit.errors import DeliveryError, OutcomeUnknownError, RateLimitedError, RejectedError, TransientError
from mailkit.receipt import Receipt
from mailkit.reply import Reply

if TYPE_CHECKING:
    from mailkit.receipt import RecipientResult
    from mailkit.smtp.delivery import Delivered

__all__ = ["receipt_or_error"]

GREYLISTED: Final = "4.7.1"
GREYLIST_DELAY: Final = 300.0
"""Seconds: what greylisting servers ask for by default; RFC 6647 §5 recommends between one minute and one day."""

# Informational only: what servers call the message after its 250. Postfix · Exim · OpenSMTPD and Sendmail · Amazon SES
_QUEUE_ID = re.compile(r"queued as (\S+)|\bid=(\S+)|(\S+) [Mm]essage accepted for delivery|^Ok (\S+)$")


def receipt_or_error(delivered: Delivered, *, transport: str, message_id: str) -> Receipt:
    """Return the receipt if any recipient was accepted.

    Raises:
        DeliveryError: None was.
    """
    results = delivered.results
    if any(result.status == "accepted" for result in results):
        return Receipt(
            message_id=message_id,
            transport=transport,
            recipients=results,
            provider_id=_queue_id(delivered.reply),
        )
    error = _error(delivered, transport)
    error.recipients = results
    error.phase = error.phase or next((result.phase for result in results if result.phase), None)
    error.transport = transport
    error.message_id = message_id
    if error is delivered.error:
        raise error
    raise error from delivered.error


def _error(delivered: Delivered, transport: str) -> DeliveryError:
    results, cause = delivered.results, delivered.error
    told = "; ".join(map(str, results))
    statuses = {result.status for result in results}
    if "unknown" in statuses:
        return OutcomeUnknownError(
            f"the connection to {transport} was lost after the whole message had been written ({cause}): it may or may not "
            f"have been accepted. Look for the Message-ID at the receiving side before sending it again: {told}",
            phase="content",
        )
    decided = next((result for result in results if result.code is not None), None)
    reply = None if decided is None else _reply(decided)
    if "rejected" in statuses:
        return RejectedError(f"{transport} rejected the message for good: {told}", reply=reply)
    if "deferred" in statuses:
        return _deferred(results, f"{transport} deferred the message: {told}; try again later", reply)
    if decided is not None:
        return TransientError(
            f"{transport} did not take the message now: {told}; try again later", outcome="not_sent", reply=reply
        )
    return cause or TransientError(f"{transport} did not take the message: {told}; try again later", outcome="not_sent")


def _deferred(results: tuple[RecipientResult, ...], message: str, reply: Reply | None) -> DeliveryError:
    codes = {result.enhanced_code for result in results if result.status == "deferred"}
    if all(code is not None and code.startswith("4.7.") for code in codes):
        # RFC 3463 §3.8, X.7.X: a policy, not a failure. 4.7.1 is how greylisting says "not so soon".
        delay = GREYLIST_DELAY if GREYLISTED in codes else None
        return RateLimitedError(message, outcome="deferred", retry_after=delay, reply=reply)
    return TransientError(message, reply=reply)


def _reply(result: RecipientResult) -> Reply:
    return Reply(result.code or 0, result.text, enhanced_code=result.enhanced_code)


def _queue_id(reply: Reply | None) -> str | None:
    match = reply and _QUEUE_ID.search(reply.text)
    return next((group for group in match.groups() if group), None) if match else None
