"""Whatever goes wrong while retrying: what the caller is told is what the ledger says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.policies.cast import ANN, BOB, CAT, WHOLE, Player, collect, letter
from tests.policies.clock import SimulatedBlocking

from mailkit.edge import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import DeliveryError, MailkitError
from mailkit.policies.budget import RetryBudget
from mailkit.policies.retry import Retry, RetryPolicy
from mailkit.receipt import Outcome, Receipt, RecipientResult

if TYPE_CHECKING:
    from mailkit.policies.doubt import Doubt, Finding

statuses = st.sampled_from(["accepted", "deferred", "rejected", "not_sent", "unknown"])
acts = st.one_of(st.just("ok"), st.sampled_from(sorted(WHOLE)), st.tuples(statuses, statuses, statuses))
players = st.builds(
    Player, acts=st.lists(acts, min_size=1, max_size=8), lag=st.integers(0, 3), is_all_or_nothing=st.booleans()
)
recipients = st.lists(st.sampled_from([ANN, BOB, CAT]), min_size=1, max_size=3, unique=True)
budgets = st.one_of(st.none(), st.builds(RetryBudget, tokens=st.integers(1, 60)))
attempts = st.integers(1, 4)

CERTAIN = {"deferred", "rejected", "not_sent"}
sometimes = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _results(ended: Receipt | DeliveryError) -> dict[str, RecipientResult]:
    return {result.address: result for result in ended.recipients}


def _told(player: Player, message_id: str, to: list[str], ended: object, *, most: int) -> None:
    """Check what the caller was told of one message against what the other side has of it."""
    copies = Counter(address for sent, address in player.took if sent == message_id)
    if not isinstance(ended, Receipt | DeliveryError):
        assert isinstance(ended, MailkitError)
        # The message could not be sent as it is: nobody was accepted, and nobody may have been.
        assert not copies
        return
    results = _results(ended)
    for address in to:
        status = results[address].status if address in results else None
        assert copies[address] <= most, "nobody gets a second copy"
        if status == "accepted":
            assert copies[address] >= 1, "who was accepted has it"
        elif status in CERTAIN:
            assert copies[address] == 0, "who certainly has it not, has it not"
    if isinstance(ended, Receipt):
        assert ended.accepted
    else:
        assert not any(result.status == "accepted" for result in results.values())


def _ended(outcome: Outcome) -> object:
    return outcome.receipt or outcome.error


def _single(player: Player, policy: RetryPolicy, to: list[str]) -> object:
    message = letter(*to)
    try:
        return run_sync(Retry(player, policy).open(SimulatedBlocking()).send(message, Envelope.from_message(message)))
    except MailkitError as error:
        return error


@sometimes
@given(players, recipients, budgets, attempts)
def test_at_most_one_copy_of_a_single_message(
    player: Player, to: list[str], budget: RetryBudget | None, most: int
) -> None:
    """By default nobody gets two, and "accepted" and "not sent" are true of every recipient."""
    ended = _single(player, RetryPolicy(attempts=most, budget=budget), to)
    _told(player, "1@example.com", to, ended, most=1)
    assert 1 <= len(player.asked) <= most


@sometimes
@given(players, st.lists(recipients, min_size=1, max_size=8), budgets, attempts)
def test_at_most_one_copy_of_each_message_of_a_stream(
    player: Player, stream: list[list[str]], budget: RetryBudget | None, most: int
) -> None:
    """The same of each message in its place, whatever happens to those before and after it."""
    edge = SimulatedBlocking()
    channel = Retry(player, RetryPolicy(attempts=most, budget=budget)).open(edge)
    letters = [letter(*to, number=number) for number, to in enumerate(stream)]
    outcomes = collect(channel, letters)
    assert [outcome.message for outcome in outcomes] == letters
    for number, (to, outcome) in enumerate(zip(stream, outcomes, strict=True)):
        _told(player, f"{number}@example.com", to, _ended(outcome), most=1)


@sometimes
@given(players, recipients, attempts)
def test_at_least_once_leaves_nobody_out_who_could_be_reached(player: Player, to: list[str], most: int) -> None:
    """With ``on_unknown="retry"`` there may be as many copies as attempts, and what is told is still true."""
    ended = _single(player, RetryPolicy(attempts=most, on_unknown="retry", budget=None), to)
    _told(player, "1@example.com", to, ended, most=most)


class Honest(Player):
    """A player who tells what he has, to whoever asks for a message."""

    def find_out(self, doubt: Doubt) -> Finding:
        """Look into the ledger, for everybody in doubt."""
        has = [path.addr_spec for path in doubt.envelope.rcpt_to if (doubt.message_id, path.addr_spec) in self.took]
        if not has:
            return "not_sent"
        statuses: dict[str, Literal["accepted", "not_sent"]] = {
            path.addr_spec: "accepted" if path.addr_spec in has else "not_sent" for path in doubt.envelope.rcpt_to
        }
        results = [RecipientResult(address, status=status) for address, status in statuses.items()]
        return Receipt(message_id=doubt.message_id or "", transport=doubt.transport, recipients=results)


honest = st.builds(
    Honest, acts=st.lists(acts, min_size=1, max_size=8), lag=st.integers(0, 3), is_all_or_nothing=st.booleans()
)


@sometimes
@given(honest, st.lists(recipients, min_size=1, max_size=6), budgets, attempts)
def test_whoever_can_find_out_is_left_in_no_doubt(
    player: Any, stream: list[list[str]], budget: RetryBudget | None, most: int
) -> None:
    """Asked after each lost answer, the other side's ledger leaves neither second copies nor unknown outcomes."""
    policy = RetryPolicy(attempts=most, on_unknown=player.find_out, budget=budget)
    channel = Retry(player, policy).open(SimulatedBlocking())
    outcomes = collect(channel, [letter(*to, number=number) for number, to in enumerate(stream)])
    for number, (to, outcome) in enumerate(zip(stream, outcomes, strict=True)):
        ended = _ended(outcome)
        _told(player, f"{number}@example.com", to, ended, most=1)
        if isinstance(ended, Receipt | DeliveryError) and not getattr(ended, "idempotent", False):
            assert "unknown" not in {result.status for result in ended.recipients}
