"""The table of statuses is the law of outcomes, row by row."""

from __future__ import annotations

import pytest

from mailkit.edge.http import Response
from mailkit.providers.status import verdict_for

_REJECTED = (400, 404, 405, 409, 410, 413, 414, 415, 422, 451, 501, 505)
_UNKNOWN = (100, 408, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 599, 600)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207, 299])
def test_2xx_is_no_failure(status: int) -> None:
    """A success has no verdict."""
    assert verdict_for(Response(status)) is None


@pytest.mark.parametrize(
    ("statuses", "error", "outcome", "cause"),
    [
        (_REJECTED, "RejectedError", "rejected", None),
        (_UNKNOWN, "OutcomeUnknownError", "unknown", None),
        ((401, 402, 403), "AuthenticationError", "not_sent", "configuration"),
        ((420, 429), "RateLimitedError", "not_sent", "throttled"),
        ((421, 425), "TransientError", "not_sent", "transient"),
        ((300, 301, 302, 303, 307, 308), "ProtocolError", "not_sent", "security"),
    ],
)
def test_each_status_has_its_verdict(statuses: tuple[int, ...], error: str, outcome: str, cause: str | None) -> None:
    """The error, the outcome and the cause are those of the table."""
    for status in statuses:
        verdict = verdict_for(Response(status))
        assert verdict is not None
        assert (verdict.error.__name__, verdict.outcome, verdict.cause) == (error, outcome, cause), status


@pytest.mark.parametrize("status", _UNKNOWN)
def test_half_a_request_is_acted_on_by_nobody(status: int) -> None:
    """What would be unknown is not sent where the request had not been written to its end."""
    verdict = verdict_for(Response(status, request_written=False))
    assert verdict is not None
    assert (verdict.outcome, verdict.cause) == ("not_sent", "transient")


def test_no_status_but_2xx_is_a_success() -> None:
    """Every other number that a server may send has a verdict."""
    assert all(verdict_for(Response(status)) for status in [*range(200), *range(300, 1000)])
