"""What a provider says in words, wherever it puts it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.edge.http import Response
from mailkit.providers.explanation import LONGEST, explanation


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "no"}, "no"),
        ({"ErrorCode": 300, "Message": "no"}, "no"),
        ({"errors": [{"message": "one", "field": "a"}, {"message": "two"}]}, "one; two"),
        ({"error": {"code": 1, "message": "no"}}, "no"),
        ({"error": "no"}, "no"),
        ({"message": "all", "errors": ["one"]}, "all; one"),
        ({"errors": {"to": ["bad"]}}, ""),
        ({"message": 7}, ""),
        ("no", "no"),
        (7, ""),
        ({"message": "a\x1b[2Jb\r\nc"}, "a\\x1b[2Jb\\r\\nc"),
        ({"message": "\ud800"}, "?"),
    ],
)
def test_texts_are_found(body: Any, text: str) -> None:
    """The usual places are looked into; what is found is printable."""
    assert explanation(Response(400, body=json.dumps(body).encode())) == text


@given(
    st.recursive(
        st.none() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "errors", "message"]), inner),
    )
)
def test_anything_has_a_short_printable_text(body: Any) -> None:
    """Whatever the answer, its text is bounded and fit for a log."""
    text = explanation(Response(400, body=json.dumps(body).encode()))
    assert len(text) <= LONGEST
    assert text.isprintable()


def test_html_is_not_looked_into() -> None:
    """It says nothing that is worth its length."""
    assert not explanation(Response(400, body=b"<html>no"))
