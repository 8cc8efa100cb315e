"""Retry-After in all its forms, and those that are none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.edge.http import Response
from mailkit.providers.retry_after import ResetHeader, retry_after, seconds_in

_NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("99999999999", 99_999_999_999.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Monday, 23-Nov-26 12:00:30 GMT", 30.0),
        ("Mon Nov 23 12:00:30 2026", None),  # asctime names no zone, and no vendor sends it
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 2_300_815_680.0),
        ("nan", None),
        ("inf", None),
        ("Infinity", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("1_000", None),
        ("0x10", None),
        ("\u0661", None),
        ("\u00b2", None),
        (".", None),
        ("", None),
        ("soon", None),
        ("9" * 400, None),
        ("Mon, 99 Nov 2026 12:00:30 GMT", None),
        ("Mon, 23 Nov 99999 12:00:30 GMT", None),
    ],
)
def test_values(text: str, seconds: float | None) -> None:
    """A finite number that is not negative, or a date, is a wait; a date that has passed is none to speak of."""
    assert seconds_in(text, _NOW) == seconds


@given(st.text())
def test_anything_is_a_wait_or_nothing(text: str) -> None:
    """No text raises, and none is a negative or endless wait."""
    seconds = seconds_in(text, _NOW)
    assert seconds is None or 0 <= seconds < float("inf")


def _response(**headers: str) -> Response:
    return Response(429, headers=[(name.replace("_", "-"), value) for name, value in headers.items()])


def test_vendors_headers() -> None:
    """They count where Retry-After says nothing, in their own units."""
    unix = ResetHeader("x-ratelimit-reset", "unix")
    soon = str(int(_NOW.timestamp()) + 9)
    assert retry_after(_response(ratelimit_reset="3"), _NOW) == 3
    assert retry_after(_response(retry_after="5", ratelimit_reset="3"), _NOW) == 5
    assert retry_after(_response(retry_after="nan", ratelimit_reset="3"), _NOW) == 3
    assert retry_after(_response(x_ratelimit_reset=soon), _NOW, [unix]) == 9
    assert retry_after(_response(x_ratelimit_reset="1"), _NOW, [unix]) == 0
    assert retry_after(_response(x_ratelimit_reset="never"), _NOW, [unix]) is None
    assert retry_after(_response(), _NOW) is None
