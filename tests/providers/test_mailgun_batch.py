"""What messages have in common for Mailgun, and what one form makes of them."""

from __future__ import annotations

from string import printable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import Message, Template
from mailkit.envelope import Envelope
from mailkit.providers import Mailgun
from mailkit.providers.batch import Item
from mailkit.providers.mailgun_batch import batch, in_common

_MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi")


def _in_common(message: Message, **options: Any) -> Any:
    return in_common(message, Envelope.from_message(message), options)


def _form(*messages: Message) -> dict[str, Any]:
    transport = Mailgun("KEY", domain="mg.example.com", recipient_variables=True)
    pairs = [(message.completed(), Envelope.from_message(message)) for message in messages]
    return batch([Item(*pair, payload=transport.complete_payload(*pair)) for pair in pairs])


@given(st.text(printable + "äж👋", max_size=12))
def test_values_that_need_no_escape_are_variables(value: str) -> None:
    """A value is a variable only if it stands in JSON, HTML and a header field for itself."""
    try:
        message = _MESSAGE.evolve(metadata={"user": value})
    except ValueError:
        return
    plain = bool(value) and value.isascii() and value.isprintable() and not set(value) & set('"%&<>[\\]`{}')
    assert (_in_common(message) is not None) == plain
    if plain:
        form = _form(message)
        assert form["recipient-variables"] == {"bob@example.org": {"r0": value}}
        assert form["v:user"] == "%recipient.r0%"


def test_nobody_sees_another() -> None:
    """Every recipient has variables, even if there is nothing to fill in: they are what parts the copies."""
    form = _form(_MESSAGE, _MESSAGE.evolve(to="Eve <eve@example.net>"))
    assert form["recipient-variables"] == {"bob@example.org": {}, "eve@example.net": {}}
    assert form["to"] == ["bob@example.org", "Eve <eve@example.net>"]
    assert "h:Message-Id" not in form


@pytest.mark.parametrize("name", ["to", "CC", "bcc", "recipient-variables", "t:variables", "v:user", "h:message-id"])
def test_options_that_only_one_message_can_have(name: str) -> None:
    """Options about recipients, variables or the Message-ID are one message's; others part messages by their values."""
    assert _in_common(_MESSAGE, **{name: "x"}) is None
    assert _in_common(_MESSAGE, **{"o:dkim": "no"}) == _in_common(_MESSAGE, **{"o:dkim": "no"})
    assert _in_common(_MESSAGE, **{"o:dkim": "no"}) != _in_common(_MESSAGE, **{"o:dkim": "yes"})


def test_data_of_both_kinds_do_not_mix() -> None:
    """Data that are variables share no request with others of the same names, and the order of names parts nobody."""
    fields: dict[str, Any] = {"subject": None, "text": None}
    plain = _MESSAGE.evolve(**fields, template=Template("welcome", {"a": "x", "b": "y"}))
    turned = _MESSAGE.evolve(**fields, template=Template("welcome", {"b": "v", "a": "w"}))
    null = _MESSAGE.evolve(**fields, template=Template("welcome", {"a": None, "b": None}))
    assert _in_common(plain) == _in_common(turned) is not None
    assert _in_common(plain) != _in_common(null) is not None
