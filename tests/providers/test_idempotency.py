"""Idempotency keys: the same for each attempt, another for another request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import Envelope, Message, MessageError
from mailkit.errors import MailkitError
from mailkit.providers.batch import Item
from mailkit.providers.idempotency import batch_key, message_key

_MESSAGE = Message(from_="ada@example.com", to=["bob@example.org", "eve@example.net"], message_id="1@example.com")


def _key(message: Message = _MESSAGE, *recipients: str, longest: int = 255) -> str:
    envelope = Envelope("ada@example.com", recipients) if recipients else Envelope.from_message(message)
    return message_key(message, envelope, longest)


def test_a_message_has_one_key() -> None:
    """Its own, else its Message-ID, which every attempt has."""
    assert _key() == "1@example.com" == _key()
    assert _key(_MESSAGE.evolve(idempotency_key="mine")) == "mine"


def test_an_attempt_for_the_rest_is_another_request() -> None:
    """One key with two contents is refused by providers; the same rest has the same key."""
    rest = _key(_MESSAGE, "eve@example.net")
    assert rest not in {_key(), _key(_MESSAGE, "bob@example.org")}
    assert rest == _key(_MESSAGE, "eve@example.net")
    assert _key(_MESSAGE.evolve(idempotency_key="mine"), "eve@example.net") != "mine"


@pytest.mark.parametrize("given_key", ["x" * 41, "schlüssel"])
def test_a_key_of_ones_own_that_cannot_be_sent_is_refused(given_key: str) -> None:
    """It is not cut, or hashed, in silence."""
    with pytest.raises(MessageError):
        _key(_MESSAGE.evolve(idempotency_key=given_key), longest=40)


def test_a_long_message_id_is_hashed() -> None:
    """Nobody has chosen it as a key, so any text that stands for it will do."""
    message = _MESSAGE.evolve(message_id=f"{'x' * 300}@example.com")
    assert len(_key(message)) == 64
    assert _key(message) == _key(message)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_any_message_id_makes_a_key_that_can_be_sent(left: str) -> None:
    """It is printable ASCII and no longer than the provider takes."""
    try:
        message = _MESSAGE.evolve(message_id=f"{left}@example.com")
    except MailkitError:
        return
    key = _key(message, longest=64)
    assert key.isascii()
    assert key.isprintable()
    assert len(key) <= 64


def test_a_batch_has_the_key_of_its_messages_in_their_order() -> None:
    """The same batch has the same key, and no other has."""
    one, two = (
        Item(each, Envelope.from_message(each)) for each in (_MESSAGE, _MESSAGE.evolve(message_id="2@example.com"))
    )
    keys = {batch_key(items, 255) for items in ([one], [two], [one, two], [two, one])}
    assert len(keys) == 4
    assert batch_key([one, two], 255) in keys
