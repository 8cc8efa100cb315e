"""How long a provider wants to be left alone: Retry-After, and vendors' headers about their rate limits."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mailkit.edge.http import Response

__all__ = ["RESET_HEADERS", "ResetHeader", "retry_after", "seconds_in"]


@frozen
class ResetHeader:
    """A header that says when a rate limit ends.

    Args:
        name: The header's name.
        unit: ``"seconds"`` from now, or ``"unix"`` time.
    """

    name: str
    unit: Literal["seconds", "unix"]


RESET_HEADERS: Final = (ResetHeader("ratelimit-reset", "seconds"),)
"""What is understood of every provider: the IETF draft's header."""


def retry_after(response: Response, now: datetime, headers: Iterable[ResetHeader] = RESET_HEADERS) -> float | None:
    """Return the seconds to wait at least before the next try, None where the answer does not say.

    Example:
        >>> from datetime import UTC, datetime
        >>> from mailkit.edge.http import Response
        >>> retry_after(Response(429, headers=[("Retry-After", "5")]), datetime.now(UTC))
        5.0
    """
    wait = seconds_in(response.header("retry-after"), now)
    for header in headers:
        if wait is not None:
            return wait
        wait = _until(response.header(header.name), header.unit, now)
    return wait


def seconds_in(text: str | None, now: datetime) -> float | None:
    """Read a Retry-After value (RFC 9110 §10.2.3): seconds or an HTTP date; None for anything else."""
    if text is None:
        return None
    number = _number(text)
    if number is not None:
        return number
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000": RFC 9110 §5.6.7 knows GMT only
        return None
    return max(0.0, (date - now).total_seconds())


def _until(text: str | None, unit: Literal["seconds", "unix"], now: datetime) -> float | None:
    number = None if text is None else _number(text)
    if number is None or unit == "seconds":
        return number
    return max(0.0, number - now.timestamp())


def _number(text: str) -> float | None:
    """Read a finite number that is not negative; not "nan", "inf", "1_000" or other digits than ASCII."""
    digits = text.strip()
    if not digits.replace(".", "", 1).isdigit() or not digits.isascii():
        return None
    value = float(digits)
    return value if math.isfinite(value) else None
