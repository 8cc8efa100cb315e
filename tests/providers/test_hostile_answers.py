"""Answers that no vendor gives: whatever is in them, an outcome comes out, and never one that they do not prove."""

from __future__ import annotations

import inspect
import json
import math
import re
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.vendors import VENDORS

from mailkit import Envelope, Message
from mailkit.edge.blocking import BlockingEdge
from mailkit.edge.http import Response
from mailkit.errors import DeliveryError
from mailkit.providers.batch import Item
from mailkit.providers.exchange import ApiExchange
from mailkit.providers.status import STATUSES
from mailkit.receipt import Receipt

_BOB: Final = "bob@example.org"
_PLAIN: Final = Message(from_="ada@example.com", to=_BOB, subject="Hello there", text="Hi Bob, how are you?")
_NAMES: Final = sorted(VENDORS)
_HEADERS: Final = ("Retry-After", "x-ratelimit-reset", "ratelimit-reset", "x-sib-ratelimit-reset", "x-amzn-errortype")
_ATOMS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 600),
    st.just(2**70),
    st.floats(),
    st.sampled_from(["", "200", "40005", "success", "error", "\ud800", "\0\r\nX: y", "x" * 3000, _BOB, _BOB.upper()]),
)
_BROKEN: Final = {
    "empty": b"",
    "HTML": b"<html>",
    "no UTF-8": b"\xff\xfe",
    "deep array": b"[" * 50_000,
    "deep object": b'{"a":' * 50_000,
    "infinite": b'{"a":1e999}',
    "long number": b"1" * 5000,
    "NaN": b"NaN",
    "NUL": b"\0",
}
_WORDLESS: Final = {
    **_BROKEN,
    "object": b"{}",
    "array": b"[]",
    "null": b"null",
    "text": b'"ok"',
    "unheard of": b'{"unheard_of": ["\\ud800", {}]}',
}
_STATUSES: Final = st.sampled_from([202, 207, 302, 400, 401, 409, 422, 500, 503, 599])
_WAITS: Final = st.sampled_from(["nan", "-1", "1e400", "9" * 400, "²", "\xff", "5"])


def _words(name: str) -> list[str]:
    """What stands in quotes in the provider's modules: the names and codes that it looks for."""
    kind = type(VENDORS[name].transport)
    found = re.findall(r'"([A-Za-z_][\w.:-]{0,40})"', inspect.getsource(inspect.getmodule(kind) or kind))
    return sorted({*found, "message", "errors", "error", "code", "id", "data", "name", "type"})


def _bodies(name: str) -> st.SearchStrategy[bytes]:
    words = st.sampled_from(_words(name))
    values = st.recursive(
        words | _ATOMS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
        max_leaves=12,
    )
    texts = values.map(lambda value: json.dumps(value).encode())
    twice = st.builds(lambda text, word: text.replace(b"{", b'{"%b":1,' % word.encode(), 1), texts, words)
    return st.one_of(texts, texts, twice, st.sampled_from([*_BROKEN.values()]))


def _outcome(name: str, response: Response) -> Receipt | DeliveryError:
    vendor = VENDORS[name]
    message = (vendor.plain or _PLAIN).completed()
    exchange = ApiExchange(vendor.transport, BlockingEdge())
    try:
        return exchange.receipt(response, Item(message, Envelope.from_message(message)))
    except DeliveryError as error:
        return error


@pytest.mark.parametrize("name", _NAMES)
def test_any_answer_has_an_outcome(name: str) -> None:
    """Nothing but a DeliveryError is raised, only 2xx is accepted, and what is told can be printed and waited for."""

    @settings(max_examples=80, deadline=None)
    @given(
        st.one_of(st.just(200), _STATUSES, st.integers(100, 999)),
        st.dictionaries(st.sampled_from(_HEADERS), _WAITS),
        _bodies(name),
        st.booleans(),
    )
    def check(status: int, headers: dict[str, str], body: bytes, written: bool) -> None:
        ended = _outcome(name, Response(status, headers=[*headers.items()], body=body, request_written=written))
        if isinstance(ended, Receipt):
            assert 200 <= status <= 299
            assert ended.accepted
            return
        assert ended.outcome in {"not_sent", "rejected", "unknown"}
        assert {each.status for each in ended.recipients} == {ended.outcome}
        assert ended.retry_after is None or (math.isfinite(ended.retry_after) and ended.retry_after >= 0)
        assert all(character.isprintable() for character in str(ended))

    check()


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("body", _WORDLESS.values(), ids=_WORDLESS)
def test_a_success_without_a_word_about_it_refuses_nothing(name: str, body: bytes) -> None:
    """Where 2xx decides it is accepted, where it does not, nobody knows: nothing in it says that it was not sent."""
    ended = _outcome(name, Response(200, body=body))
    if VENDORS[name].transport.accepts_in_body:
        assert isinstance(ended, DeliveryError)
        assert ended.outcome == "unknown"
    else:
        assert isinstance(ended, Receipt)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("cloudflare", {"result": {"permanent_bounces": [_BOB], "suppressed_recipients": 7}}),
        ("cloudflare", {"result": {"suppressed_recipients": [_BOB.upper(), None], "permanent_bounces": _BOB}}),
        ("mailersend", {"warnings": [{"recipients": [{"email": _BOB}]}]}),
        ("mailersend", {"warnings": [{"recipients": [{"email": _BOB, "reasons": [7, None]}]}]}),
        ("mailersend", {"warnings": [{"recipients": [{"email": _BOB.upper(), "reason": "blocklisted"}]}]}),
        ("mailtrap", {"success": False}),
        ("mandrill", [{"email": _BOB.upper(), "status": "rejected"}]),
        ("mandrill", [{"email": _BOB, "status": "invalid", "_id": None}]),
        ("postmark", {"ErrorCode": 406}),
        ("postmark", {"ErrorCode": 0, "Message": f"will not deliver to {_BOB}."}),
        ("scaleway", {"emails": [{"mail_rcpt": _BOB, "status": "failed"}]}),
        ("scaleway", {"emails": [{"mail_rcpt": _BOB.upper(), "status": "canceled", "id": 7, "message_id": 7}]}),
        ("sparkpost", {"results": {"total_rejected_recipients": 1, "total_accepted_recipients": 0}}),
    ],
)
def test_a_refusal_inside_a_success_needs_nothing_else(name: str, answer: Any) -> None:
    """What says that nobody gets the message is believed, whatever is missing around it."""
    ended = _outcome(name, Response(200, body=json.dumps(answer).encode()))
    assert isinstance(ended, DeliveryError)
    assert ended.outcome == "rejected"


@pytest.mark.parametrize("name", _NAMES)
def test_no_row_of_a_provider_makes_a_failure_a_success(name: str) -> None:
    """Statuses that a provider knows more about have an outcome for it, and it is never accepted."""
    transport = VENDORS[name].transport
    for status in {*STATUSES, *transport.statuses, 500, 503}:
        assert isinstance(_outcome(name, Response(status, body=b'{"success": true, "id": "1"}')), DeliveryError)
