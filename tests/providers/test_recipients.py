"""Who is named to whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import Envelope, Message, MessageError
from mailkit.providers.recipients import addressed

_NAMES = [f"user{number}@example.org" for number in range(6)]
_SOMEBODY = st.sampled_from(_NAMES)


def _sorted(message: Message, *wanted: str) -> tuple[list[str], list[str], list[str]]:
    found = addressed(message, Envelope("ada@example.com", wanted) if wanted else Envelope.from_message(message))
    return [each.email for each in found.to], [each.email for each in found.cc], [each.email for each in found.bcc]


def _message(**fields: object) -> Message:
    return Message(from_="ada@example.com", **fields)  # type: ignore[arg-type]


def test_everybody_has_the_place_that_the_message_names() -> None:
    """To, Cc and Bcc stay what they are, each person once."""
    message = _message(to=_NAMES[:2], cc=[_NAMES[2], _NAMES[0]], bcc=[_NAMES[3], _NAMES[2]])
    assert _sorted(message) == (_NAMES[:2], [_NAMES[2]], [_NAMES[3]])


def test_who_is_not_in_the_envelope_is_not_named() -> None:
    """A provider delivers to whom it names, so after a partial failure only the rest is."""
    message = _message(to=_NAMES[:2], cc=_NAMES[2], bcc=_NAMES[3])
    assert _sorted(message, _NAMES[1], _NAMES[3]) == ([_NAMES[1]], [], [_NAMES[3]])
    assert _sorted(message, _NAMES[2], _NAMES[3]) == ([_NAMES[2]], [], [_NAMES[3]])
    assert _sorted(message, _NAMES[3]) == ([_NAMES[3]], [], [])
    assert _sorted(message, _NAMES[5]) == ([_NAMES[5]], [], [])


def test_several_hidden_recipients_are_not_shown_to_each_other() -> None:
    """Where nobody else is left, there is no one to name."""
    with pytest.raises(MessageError, match="hidden"):
        _sorted(_message(bcc=_NAMES[:2]))


@given(
    st.lists(st.sampled_from(_NAMES)), st.lists(st.sampled_from(_NAMES)), st.sets(st.sampled_from(_NAMES), min_size=1)
)
def test_everybody_gets_one_copy_and_nobody_hidden_is_shown(to: list[str], cc: list[str], wanted: set[str]) -> None:
    """Whatever the message names: the envelope's recipients once each, and beside others only in bcc if not named."""
    message = _message(to=to, cc=cc)
    try:
        shown, copied, hidden = _sorted(message, *sorted(wanted))
    except MessageError:
        assert not wanted & {*to, *cc}
        return
    assert sorted([*shown, *copied, *hidden]) == sorted(wanted)
    assert shown
    assert len(wanted) == 1 or {*shown, *copied} <= {*to, *cc}
