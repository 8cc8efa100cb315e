"""One ``repr`` for several classes says what attrs would say of each."""

from __future__ import annotations

import pytest
from attrs import field, frozen

from mailkit import Hooks
from mailkit.policies import RetryBudget
from mailkit.representation import shown
from mailkit.smtp import SMTP, PoolLimits, Timeouts
from mailkit.transport_url import TransportURL


def test_it_says_what_attrs_says() -> None:
    """The class's qualified name aside, of which attrs leaves out the function, the two are equal."""

    @frozen
    class Theirs:
        one: str
        two: int | None = None
        hidden: str = field(default="secret", repr=False)

    @frozen
    class Ours(Theirs):
        __repr__ = shown

    assert repr(Ours("a")).rpartition(".Ours")[2] == repr(Theirs("a")).removeprefix("Theirs") == "(one='a', two=None)"


@pytest.mark.parametrize("kind", [Hooks, PoolLimits, RetryBudget, SMTP, Timeouts, TransportURL])
def test_what_every_mailer_is_made_of_has_it(kind: type) -> None:
    """None of them has a ``repr`` of its own to be compiled."""
    assert kind.__repr__ is shown
