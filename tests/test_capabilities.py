"""What a transport can express, and what each message asks of it."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve, fields

from mailkit.attachment import Attachment
from mailkit.calendar import Calendar
from mailkit.capabilities import Capabilities
from mailkit.envelope import Envelope
from mailkit.errors import UnsupportedFeatureError
from mailkit.message import Message
from mailkit.template import Template

INVITATION = Calendar("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n")

# What in a message asks for each feature. A number is how many of them these fields are.
ASKING: dict[str, tuple[int, dict[str, Any]]] = {
    "html": (1, {"html": "<p>Hi"}),
    "cc": (1, {"cc": "cc@example.org"}),
    "bcc": (1, {"bcc": "bcc@example.org"}),
    "reply_to": (2, {"reply_to": ["a@example.com", "b@example.com"]}),
    "headers": (1, {"headers": {"X-Campaign": "q3"}}),
    "threading": (1, {"references": ["0@example.com"]}),
    "sender": (1, {"sender": "office@example.com"}),
    "return_path": (1, {"return_path": ""}),
    "list_unsubscribe": (1, {"list_unsubscribe": "https://example.com/u"}),
    "attachments": (1, {"attachments": Attachment.from_bytes(b"x", "x.txt")}),
    "inline": (1, {"attachments": Attachment.from_bytes(b"x", "x.png", content_id="x")}),
    "amp": (1, {"amp": "<html ⚡4email></html>"}),
    "calendar": (1, {"calendar": INVITATION}),
    "smtputf8": (1, {"to": "zoë@example.org"}),
    "tags": (2, {"tags": ["a", "b"]}),
    "metadata": (2, {"metadata": {"a": "1", "b": "2"}}),
    "track_opens": (1, {"track_opens": False}),
    "track_clicks": (1, {"track_clicks": False}),
    "send_at": (1, {"send_at": datetime(2030, 1, 1, tzinfo=UTC)}),
    "template": (1, {"template": Template("welcome", {})}),
}
NOT_ASKED_BY_A_FIELD = {"raw"}  # send_raw asks for it
# Fields that every transport can express in some way, or that are for one provider alone.
FOR_EVERYBODY = {"from_", "to", "subject", "text", "date", "message_id", "idempotency_key", "options"}

FEATURES = [each.name for each in fields(Capabilities)]


def _message(**given: Any) -> Message:
    return Message(**{"from_": "ada@example.com", "to": "bob@example.org", "text": "Hi", **given})


def _check(capabilities: Capabilities, asked: Message) -> None:
    capabilities.check(asked, Envelope.from_message(asked), transport="acme://")


def test_every_feature_is_asked_for_by_something() -> None:
    """A feature that Capabilities names and no message can ask for would promise a check that is never made."""
    assert set(FEATURES) == set(ASKING) | NOT_ASKED_BY_A_FIELD


def test_every_field_of_a_message_is_a_feature_or_for_everybody() -> None:
    """A field that is neither would be dropped in silence by transports that do not know it."""
    asked = {name for _, given in ASKING.values() for name in given} | {"in_reply_to"}
    assert {each.name for each in fields(Message)} == asked | FOR_EVERYBODY


@pytest.mark.parametrize("feature", sorted(ASKING))
def test_a_missing_feature_is_refused_by_name(feature: str) -> None:
    """A transport that can do everything else refuses it, naming the feature and itself, and sends nothing."""
    count, given = ASKING[feature]
    able = Capabilities.everything()
    _check(able, _message(**given))
    lacking = evolve(able, **{feature: type(getattr(able, feature))(0)})
    with pytest.raises(UnsupportedFeatureError) as caught:
        _check(lacking, _message(**given))
    assert (caught.value.feature, caught.value.transport) == (feature, "acme://")
    assert str(caught.value) == (
        f"acme:// cannot express {feature!r} (none): leave it out, or send through a transport that can"
    )
    assert count >= 1


@pytest.mark.parametrize("feature", [name for name in ASKING if ASKING[name][0] == 2])
def test_a_number_is_a_limit(feature: str) -> None:
    """Two are refused where one is the most, with both numbers; two are fine where two are."""
    _, given = ASKING[feature]
    _check(evolve(Capabilities.everything(), **{feature: 2}), _message(**given))
    with pytest.raises(UnsupportedFeatureError, match=r"\(at most 1 of them, not 2\)"):
        _check(evolve(Capabilities.everything(), **{feature: 1}), _message(**given))


@pytest.mark.parametrize("given", [{"in_reply_to": "0@example.com"}, {"references": ["0@example.com"]}])
def test_either_threading_field_asks_for_threading(given: dict[str, Any]) -> None:
    """In-Reply-To alone is a thread as well."""
    with pytest.raises(UnsupportedFeatureError, match="threading"):
        _check(evolve(Capabilities.everything(), threading=False), _message(**given))


@pytest.mark.parametrize("field", ["from_", "sender", "to", "cc", "bcc", "reply_to", "return_path"])
def test_a_local_part_that_is_not_ascii_asks_for_smtputf8_wherever_it_stands(field: str) -> None:
    """In the header as in the envelope: an author of that kind with an ASCII return path is refused too."""
    given = {"return_path": "bounces@example.com", field: "zoë@example.com"}
    with pytest.raises(UnsupportedFeatureError, match="smtputf8"):
        _check(evolve(Capabilities.everything(), smtputf8=False), _message(**given))


def test_a_plain_message_asks_for_nothing() -> None:
    """The poorest transport takes a text from one to one."""
    nothing = Capabilities(
        **{each.name: 0 if each.type == "int" else False for each in fields(Capabilities)}  # type: ignore[arg-type]
    )
    _check(nothing, _message())


def test_rfc_5322_can_say_what_its_bytes_can_say() -> None:
    """Everything but what only a provider could do, and SMTPUTF8 where it is asked for."""
    can = Capabilities.rfc5322()
    missing = {name for name in FEATURES if not getattr(can, name)}
    assert missing == {"tags", "metadata", "track_opens", "track_clicks", "send_at", "template"}
    assert not Capabilities.rfc5322(smtputf8=False).smtputf8


def test_everything_is_everything() -> None:
    """No feature is missing, and numbers are as good as unlimited."""
    can = Capabilities.everything()
    assert all(getattr(can, name) for name in FEATURES)
    assert can.tags == can.metadata == can.reply_to >= 1_000_000


def test_the_features_are_explained() -> None:
    """Each has a line of its own in the docstring, in the order of the fields."""
    lines = [line.strip() for line in (inspect.getdoc(Capabilities) or "").partition("Args:")[2].splitlines()]
    assert [line.partition(":")[0] for line in lines if line] == FEATURES
