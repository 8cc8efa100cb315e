"""What several deliveries of one message add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policies.cast import ANN, BOB, CAT

from mailkit.envelope import Envelope
from mailkit.errors import ConnectError, DeliveryError, MessageError, OutcomeUnknownError, RejectedError, TransientError
from mailkit.policies.tally import Tally
from mailkit.receipt import Receipt, RecipientResult, error_for_recipients

if TYPE_CHECKING:
    from mailkit.receipt import Status

EVERYBODY = Envelope("ada@example.com", [ANN, BOB, CAT])


def _ended(statuses: dict[str, Status], transport: str = "a://", **facts: Any) -> Receipt | DeliveryError:
    results = [RecipientResult(address, status=status) for address, status in statuses.items()]
    if "accepted" in statuses.values():
        return Receipt(message_id="1", transport=transport, recipients=results, **facts)
    return error_for_recipients(results, "nobody", transport=transport, **facts)


def _told(ended: Receipt | DeliveryError) -> list[tuple[str, str, str | None]]:
    return [(result.address, result.status, result.transport) for result in ended.recipients]


def test_one_delivery_is_what_it_was() -> None:
    """A receipt stays the same, and so does an error."""
    receipt = _ended({ANN: "accepted", BOB: "deferred"})
    tally = Tally(EVERYBODY)
    assert tally.is_nowhere
    tally.enter(receipt)
    assert tally.conclude() is receipt
    assert (tally.is_received, tally.is_nowhere, tally.is_all_unsent) == (True, False, False)


def test_deliveries_add_up_by_recipient() -> None:
    """Each recipient has the latest result, the first receipt's names, and the name of who decided about him."""
    tally = Tally(EVERYBODY)
    tally.enter(_ended({ANN: "accepted", BOB: "not_sent", CAT: "deferred"}))
    rest = tally.ask(tally.left_in({"not_sent"}))
    assert [path.addr_spec for path in rest.rcpt_to] == [BOB]
    tally.enter(_ended({BOB: "rejected"}, "b://", attempts=4))
    receipt = tally.conclude()
    assert _told(receipt) == [(ANN, "accepted", None), (BOB, "rejected", "b://"), (CAT, "deferred", None)]
    assert (receipt.attempts, tally.deliveries) == (5, 2)
    assert isinstance(tally.error, RejectedError)


def test_a_result_that_names_its_transport_keeps_the_name() -> None:
    """What was merged once is merged again: each recipient keeps the name of who decided about him."""
    tally = Tally(EVERYBODY)
    inner = RecipientResult(BOB, status="accepted", transport="c://")
    tally.enter(Receipt(message_id="1", transport="a://", recipients=[inner]))
    tally.ask((EVERYBODY.rcpt_to[0],))
    tally.enter(_ended({ANN: "accepted"}, "a://"))
    assert _told(tally.conclude()) == [(ANN, "accepted", None), (BOB, "accepted", "c://")]


def test_asking_everybody_is_asking_with_the_same_envelope() -> None:
    """So that whoever compares finds out that nobody is left out."""
    assert Tally(EVERYBODY).ask(EVERYBODY.rcpt_to) is EVERYBODY


def test_a_later_error_does_not_make_an_earlier_rejection_retryable() -> None:
    """The error says the worst, and has the latest one as its cause."""
    tally = Tally(EVERYBODY)
    tally.enter(_ended({ANN: "rejected", BOB: "deferred", CAT: "deferred"}))
    tally.ask(tally.left_in({"deferred"}))
    latest = ConnectError("refused", transport="b://")
    tally.enter(latest)
    with pytest.raises(RejectedError) as caught:
        tally.conclude()
    assert caught.value.__cause__ is latest
    assert _told(caught.value) == [(ANN, "rejected", "a://"), (BOB, "not_sent", None), (CAT, "not_sent", None)]


def test_a_doubt_stays_until_a_success() -> None:
    """A copy that was refused later says nothing of the one before."""
    tally = Tally(EVERYBODY)
    tally.enter(OutcomeUnknownError("lost", idempotent=True))
    tally.enter(TransientError("busy"))
    error = tally.verdict()
    assert isinstance(error, OutcomeUnknownError)
    assert error.idempotent
    assert (tally.is_nowhere, tally.is_all_unsent) == (False, False)
    tally.enter(OutcomeUnknownError("lost"))
    assert not tally.worst("what", "a://").idempotent
    tally.enter(_ended({ANN: "accepted", BOB: "accepted", CAT: "rejected"}))
    assert [result.status for result in tally.conclude().recipients] == ["accepted", "accepted", "unknown"]


def test_a_message_that_became_unfit_is_told_where_nobody_has_it() -> None:
    """Else what became of it before is."""
    unfit = MessageError("the file has gone")
    tally = Tally(EVERYBODY)
    tally.enter(_ended({ANN: "not_sent", BOB: "not_sent", CAT: "not_sent"}))
    assert tally.is_all_unsent
    with pytest.raises(MessageError):
        tally.broken_off(unfit)
    tally.enter(_ended({ANN: "unknown", BOB: "not_sent", CAT: "not_sent"}))
    with pytest.raises(OutcomeUnknownError):
        tally.broken_off(unfit)
    tally.enter(_ended({ANN: "accepted", BOB: "not_sent", CAT: "not_sent"}))
    assert tally.broken_off(unfit).accepted


def test_it_may_be_known_better_when_to_try_again() -> None:
    """Another transport may do earlier what the last one would do later."""
    tally = Tally(EVERYBODY)
    later = [RecipientResult(path.addr_spec, status="not_sent", retry_after=300.0) for path in EVERYBODY.rcpt_to]
    tally.enter(ConnectError("", recipients=later))
    tally.postpone(EVERYBODY.rcpt_to[:1], 3.0)
    assert [tally.result_of(path).retry_after for path in EVERYBODY.rcpt_to] == [3.0, 300.0, 300.0]


def test_an_interruption_before_anything_is_left_alone() -> None:
    """There is nothing to tell."""
    interruption = KeyboardInterrupt()
    tally = Tally(EVERYBODY)
    tally.annotate(interruption)
    assert "delivery" not in interruption.__dict__
    interruption.__dict__["delivery"] = _ended({ANN: "accepted"})
    tally.annotate(interruption)
    assert interruption.__dict__["delivery"].accepted


@pytest.mark.parametrize(("all_or_nothing", "splits"), [(True, True), (False, False)])
def test_all_or_nothing_is_not_split(*, all_or_nothing: bool, splits: bool) -> None:
    """Unless the others have got it all the same."""
    tally = Tally(EVERYBODY, all_or_nothing=all_or_nothing)
    tally.enter(_ended({ANN: "not_sent", BOB: "rejected", CAT: "not_sent"}))
    assert tally.splits(tally.left_in({"not_sent"})) is splits
    tally.enter(_ended({ANN: "not_sent", BOB: "accepted", CAT: "accepted"}))
    assert not tally.splits(tally.left_in({"not_sent"}))


statuses = st.sampled_from(["accepted", "deferred", "rejected", "not_sent", "unknown"])


@given(st.lists(st.tuples(statuses, statuses, statuses), min_size=1, max_size=5))
def test_no_copy_is_forgotten(deliveries: list[tuple[Status, Status, Status]]) -> None:
    """Who is still undecided is asked again; accepted stays accepted, and a doubt a doubt unless it was accepted."""
    tally = Tally(EVERYBODY)
    history: dict[str, list[Status]] = {path.addr_spec: [] for path in EVERYBODY.rcpt_to}
    left = EVERYBODY.rcpt_to
    for each in deliveries:
        if not left:
            break
        tally.ask(left)
        ended = {path.addr_spec: status for path, status in zip(left, each, strict=False)}
        tally.enter(_ended(ended))
        for address, status in ended.items():
            history[address].append(status)
        left = tally.left_in({"deferred", "not_sent", "unknown"})
    verdict = tally.verdict()
    for result in verdict.recipients:
        past = history[result.address]
        expected = past[-1] if past[-1] == "accepted" or "unknown" not in past else "unknown"
        assert result.status == expected
    assert isinstance(verdict, Receipt) is any("accepted" in past for past in history.values())
