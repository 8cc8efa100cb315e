from __future__ import annotations

import pytest
from attrs import fields

from mailkit.envelope import Envelope
from mailkit.errors import UnsupportedFeatureError
from mailkit.message import Message
from mailkit.testing.features import FEATURES, fields_that_need
from mailkit.transport import Capabilities


def test_every_capability_has_a_message() -> None:
    """No feature is forgotten: what a Capabilities names is here, but for prepared bytes, which are no message."""
    assert {*FEATURES, "raw"} == {each.name for each in fields(Capabilities)}


@pytest.mark.parametrize("feature", FEATURES)
def test_each_message_needs_its_feature_alone(feature: str) -> None:
    """A transport that has everything but the feature refuses the message because of it."""
    most = {each.name: 1_000 if each.type == "int" else True for each in fields(Capabilities)}
    message = Message(from_="ada@example.com", to="bob@example.org", text="Hi").evolve(**fields_that_need(feature))
    envelope = Envelope.from_message(message)
    Capabilities(**most).check(message, envelope, transport="everything://")
    with pytest.raises(UnsupportedFeatureError) as caught:
        Capabilities(**most | {feature: 0}).check(message, envelope, transport="nothing://")
    assert caught.value.feature == feature


@pytest.mark.parametrize("feature", ["tags", "metadata", "reply_to"])
def test_what_can_be_counted_is(feature: str) -> None:
    """A message has as many of the feature as are asked for."""
    assert len(getattr(Message(**fields_that_need(feature, 3)), feature)) == 3
