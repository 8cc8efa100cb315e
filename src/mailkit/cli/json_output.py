"""What ``--json`` prints of receipts and errors."""

from __future__ import annotations

from typing import Any

from mailkit.errors import DeliveryError
from mailkit.receipt import Receipt, RecipientResult

__all__ = ["as_json"]


def as_json(value: Receipt | Exception) -> dict[str, Any]:
    """Return what is known of a delivery, as JSON has it."""
    if isinstance(value, Receipt):
        return {
            "message_id": value.message_id,
            "transport": value.transport,
            "provider_id": value.provider_id,
            "attempts": value.attempts,
            "recipients": [_result(each) for each in value.recipients],
        }
    details: dict[str, Any] = {"error": type(value).__name__, "text": str(value)}
    if isinstance(value, DeliveryError):
        details |= {
            "outcome": value.outcome,
            "retryable": value.retryable,
            "retry_after": value.retry_after,
            "phase": value.phase,
            "message_id": value.message_id,
            "transport": value.transport,
            "attempts": value.attempts,
            "recipients": [_result(each) for each in value.recipients],
        }
    return details


def _result(result: RecipientResult) -> dict[str, Any]:
    return {
        "address": result.address,
        "status": result.status,
        "code": result.code,
        "enhanced_code": result.enhanced_code,
        "text": result.text,
        "provider_id": result.provider_id,
    }
