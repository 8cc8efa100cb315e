from __future__ import annotations

import pickle

import pytest
from attrs.exceptions import FrozenInstanceError

from mailkit.reply import Reply


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (199, None), (200, "is_positive"), (250, "is_positive"), (299, "is_positive"),
        (300, "is_intermediate"), (354, "is_intermediate"), (399, "is_intermediate"),
        (400, "is_transient"), (421, "is_transient"), (499, "is_transient"),
        (500, "is_permanent"), (550, "is_permanent"), (599, "is_permanent"), (600, None),
    ],
)  # fmt: skip
def test_a_code_is_of_one_kind_at_most(code: int, kind: str | None) -> None:
    """The first digit says what kind of answer it is, to the very edges of each range."""
    reply = Reply(code)
    kinds = [
        name for name in ("is_positive", "is_intermediate", "is_transient", "is_permanent") if getattr(reply, name)
    ]
    assert kinds == ([] if kind is None else [kind])


def test_the_code_decides_and_not_the_enhanced_code() -> None:
    """A 550 that says 4.7.1 is permanent (RFC 3463 §2)."""
    assert Reply(550, "try later", enhanced_code="4.7.1").is_permanent


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (Reply(250), "250"),
        (Reply(250, "ok"), "250 ok"),
        (Reply(550, "no such user", enhanced_code="5.1.1"), "550 5.1.1 no such user"),
        (Reply(550, enhanced_code="5.1.1"), "550 5.1.1"),
    ],
)
def test_a_reply_shows_what_was_said(reply: Reply, shown: str) -> None:
    """As text it is the server's line, without gaps for what is missing."""
    assert str(reply) == shown


def test_a_reply_is_a_value() -> None:
    """Equal parts make equal replies, which hash, pickle and never change."""
    reply = Reply(550, "no", enhanced_code="5.1.1")
    assert reply == pickle.loads(pickle.dumps(reply)) == Reply(550, "no", enhanced_code="5.1.1")
    assert len({reply, Reply(550, "no", enhanced_code="5.1.1")}) == 1
    with pytest.raises(FrozenInstanceError):
        reply.code = 250  # type: ignore[misc]
