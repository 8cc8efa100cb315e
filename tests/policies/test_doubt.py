from __future__ import annotations

import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import COLOURS, Colour, run_in
from tests.policies.cast import ANN, BOB, CAT, Player, letter, mixed, stream
from tests.policies.clock import simulated

from mailkit.envelope import Envelope
from mailkit.errors import (
    ConfigurationError,
    DeliveryError,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    TransientError,
)
from mailkit.policies.doubt import Doubt
from mailkit.policies.retry import RetryPolicy
from mailkit.policies.retry_channel import RetryChannel
from mailkit.receipt import Outcome, Receipt, RecipientResult

if TYPE_CHECKING:
    from mailkit.receipt import Status

pytestmark = pytest.mark.parametrize("colour", COLOURS)

LOST = "taken and lost"


def _found(*statuses: Status, to: tuple[str, ...] = (ANN, BOB, CAT), **facts: Any) -> Receipt:
    results = [RecipientResult(address, status=status, code=250) for address, status in zip(to, statuses, strict=False)]
    return Receipt(**{"message_id": "1@example.com", "transport": "api://", "recipients": results, **facts})


class Asked:
    """Finds out what a test says, and notes what it was asked."""

    def __init__(self, *findings: Any) -> None:
        self.findings = list(findings)
        self.doubts: list[Doubt] = []
        self.threads: list[int] = []

    def __call__(self, doubt: Doubt) -> Any:
        """Return, or raise, the next finding; the last one for ever."""
        self.doubts.append(doubt)
        self.threads.append(threading.get_ident())
        finding = self.findings.pop(0) if len(self.findings) > 1 else self.findings[0]
        if isinstance(finding, BaseException):
            raise finding
        return finding


def _channel(colour: Colour, player: Player, asked: Any, **policy: Any) -> RetryChannel:
    edge = simulated(colour)
    return RetryChannel(
        player.open(edge), RetryPolicy(**{"on_unknown": asked, "wait": lambda state: 1.0, **policy}), edge
    )


def _send(colour: Colour, player: Player, asked: Any, *to: str, **policy: Any) -> Receipt | DeliveryError:
    message = letter(*to)

    async def go() -> Receipt | DeliveryError:
        channel = _channel(colour, player, asked, **policy)
        try:
            return await channel.send(message, Envelope.from_message(message))
        except DeliveryError as error:
            return error

    return run_in(colour, go)


def _stream(colour: Colour, player: Player, asked: Any, messages: list[Any]) -> list[Outcome]:
    async def go() -> list[Outcome]:
        channel = _channel(colour, player, asked)
        async with aclosing(stream(messages)) as source, aclosing(channel.send_many(source)) as outcomes:
            return [outcome async for outcome in outcomes]

    return run_in(colour, go)


def _statuses(ended: Receipt | DeliveryError) -> dict[str, str]:
    return {result.address: result.status for result in ended.recipients}


# -- one message -------------------------------------------------------------------------------------------------------


def test_a_message_that_was_accepted_after_all_has_a_receipt(colour: Colour) -> None:
    """It is sent once, and the receipt is what was found."""
    player, asked = Player("a", [LOST]), Asked(_found("accepted", provider_id="77"))
    receipt = _send(colour, player, asked)
    assert isinstance(receipt, Receipt)
    assert (receipt.provider_id, receipt.transport, receipt.attempts) == ("77", "api://", 1)
    assert player.took == [("1@example.com", ANN)]


def test_a_message_that_was_not_sent_is_tried_again(colour: Colour) -> None:
    """What is certain now is as good as what was certain at once."""
    player, asked = Player("a", [LOST, "ok"]), Asked("not_sent")
    player.took = []
    receipt = _send(colour, player, asked)
    assert isinstance(receipt, Receipt)
    assert (receipt.attempts, len(player.asked), len(asked.doubts)) == (2, 2, 1)
    assert _statuses(receipt) == {ANN: "accepted"}


@pytest.mark.parametrize("finding", ["unknown", None])
def test_what_cannot_be_told_stays_in_doubt(colour: Colour, finding: Any) -> None:
    """It is not sent again, and the error is the transport's."""
    player = Player("a", [LOST])
    error = _send(colour, player, Asked(finding))
    assert isinstance(error, OutcomeUnknownError)
    assert (error.attempts, len(player.asked)) == (1, 1)


def test_the_function_is_told_what_is_in_doubt(colour: Colour) -> None:
    """The Message-ID, the transport, the message, and for whom."""
    asked = Asked("unknown")
    _send(colour, Player("a", [mixed("accepted", "unknown", "deferred")]), asked, ANN, BOB, CAT, attempts=1)
    (doubt,) = asked.doubts
    assert (doubt.message_id, doubt.transport) == ("1@example.com", "a://")
    assert [path.addr_spec for path in doubt.envelope.rcpt_to] == [BOB]
    assert doubt.message is not None
    assert doubt.message.text == "Hi"
    assert isinstance(doubt.ended, Receipt)
    assert repr(doubt) == "Doubt(message_id='1@example.com', transport='a://')"


def test_only_those_in_doubt_are_looked_into(colour: Colour) -> None:
    """Who was answered for stays as he was, whatever the finding says of him."""
    player = Player("a", [mixed("accepted", "unknown", "rejected")])
    receipt = _send(colour, player, Asked(_found("rejected", "accepted", "accepted")), ANN, BOB, CAT)
    assert _statuses(receipt) == {ANN: "accepted", BOB: "accepted", CAT: "rejected"}
    assert isinstance(receipt, Receipt)
    assert receipt.transport == "a://"
    assert len(player.asked) == 1


def test_the_rest_is_tried_again_beside_what_was_found(colour: Colour) -> None:
    """One was accepted after all, the other was deferred and gets another attempt, alone."""
    player = Player("a", [mixed("unknown", "deferred"), "ok"])
    receipt = _send(colour, player, Asked(_found("accepted", provider_id="77")), ANN, BOB)
    assert _statuses(receipt) == {ANN: "accepted", BOB: "accepted"}
    assert player.asked == [(ANN, BOB), (BOB,)]


def test_a_finding_that_leaves_somebody_out_leaves_him_in_doubt(colour: Colour) -> None:
    """Nobody is believed to have a message, or not to have it, because nothing was said of him."""
    receipt = _send(colour, Player("a", [LOST]), Asked(_found("accepted", to=(ANN,))), ANN, BOB)
    assert _statuses(receipt) == {ANN: "accepted", BOB: "unknown"}


def test_a_finding_that_nobody_was_accepted_is_an_error(colour: Colour) -> None:
    """Rejected for good: it is neither tried again nor in doubt any more."""
    player = Player("a", [LOST])
    error = _send(colour, player, Asked(_found("rejected")))
    assert isinstance(error, RejectedError)
    assert (error.transport, error.message_id, len(player.asked)) == ("a://", "1@example.com", 1)


def test_a_finding_after_the_last_attempt_tells_that_nothing_was_sent(colour: Colour) -> None:
    """A policy of one attempt still looks into its doubt, and the error may be retried by whoever gets it."""
    player = Player("a", [LOST])
    error = _send(colour, player, Asked("not_sent"), attempts=1)
    assert isinstance(error, TransientError)
    assert (error.outcome, error.retryable, len(player.asked)) == ("not_sent", True, 1)


def test_what_is_safe_to_repeat_is_not_looked_into(colour: Colour) -> None:
    """Where an idempotency key went along, another attempt finds out by itself."""
    asked = Asked("unknown")
    receipt = _send(colour, Player("a", ["lost", "ok"]), asked)
    assert isinstance(receipt, Receipt)
    assert (receipt.attempts, asked.doubts) == (2, [])


def test_each_new_doubt_is_looked_into(colour: Colour) -> None:
    """Three attempts, each of which is lost and found not to have arrived; then the policy is exhausted."""
    player, asked = Player("a", [LOST]), Asked("not_sent")
    error = _send(colour, player, asked)
    assert isinstance(error, DeliveryError)
    assert (error.outcome, error.attempts, len(asked.doubts)) == ("not_sent", 3, 3)


@pytest.mark.parametrize("finding", [KeyError("id"), MessageError("no"), TransientError("api down")], ids=repr)
def test_a_function_that_fails_leaves_the_doubt(
    colour: Colour, finding: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback, and the caller gets the error that he would have got without it."""
    player = Player("a", [LOST])
    error = _send(colour, player, Asked(finding))
    assert isinstance(error, OutcomeUnknownError)
    assert len(player.asked) == 1
    (record,) = [record for record in caplog.records if record.name == "mailkit.hooks"]
    assert record.exc_info
    assert record.exc_info[1] is finding
    assert "event=on_unknown" in record.getMessage()


@pytest.mark.parametrize("finding", [True, "accepted", 250], ids=repr)
def test_an_answer_that_is_no_finding_leaves_the_doubt(
    colour: Colour, finding: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """"Accepted" without a receipt is a misunderstanding, and not guessed at."""  # fmt: skip
    error = _send(colour, Player("a", [LOST]), Asked(finding))
    assert isinstance(error, OutcomeUnknownError)
    assert "return a Receipt, 'not_sent', 'unknown' or None" in caplog.text


def test_an_interruption_of_the_search_says_that_it_is_unknown(colour: Colour) -> None:
    """Whoever cancels it knows what is known."""
    interruption = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        _send(colour, Player("a", [LOST]), Asked(interruption))
    delivery: Any = caught.value.__dict__["delivery"]
    assert isinstance(delivery, OutcomeUnknownError)
    assert _statuses(delivery) == {ANN: "unknown"}


def test_the_search_does_not_hold_up_an_event_loop(colour: Colour) -> None:
    """It runs in a thread, but where the caller blocks anyway."""
    asked = Asked("unknown")
    _send(colour, Player("a", [LOST]), asked)
    assert (asked.threads[0] == threading.get_ident()) is (colour == "blocking")


# -- prepared bytes and streams ----------------------------------------------------------------------------------------


def test_prepared_bytes_are_looked_into_by_what_the_error_knows(colour: Colour) -> None:
    """There is no message to show; the Message-ID is the error's."""
    asked = Asked(_found("accepted"))

    async def go() -> Receipt:
        return await _channel(colour, Player("a", [LOST]), asked).send_raw(b"", Envelope(None, ANN))

    assert run_in(colour, go).accepted
    assert (asked.doubts[0].message, asked.doubts[0].message_id) == (None, "raw")


def test_a_stream_looks_into_doubts_in_their_places(colour: Colour) -> None:
    """Between the segments of the stream; the others are not touched."""
    player = Player("a", ["ok", LOST, LOST, "ok"], lag=1)
    asked = Asked(_found("accepted", provider_id="77"), "unknown")
    outcomes = _stream(colour, player, asked, [letter(number=number) for number in range(5)])
    assert [outcome.ok for outcome in outcomes] == [True, True, False, True, True]
    assert isinstance(outcomes[2].error, OutcomeUnknownError)
    assert outcomes[1].receipt is not None
    assert outcomes[1].receipt.provider_id == "77"
    assert len(player.asked) == 5
    assert [doubt.message_id for doubt in asked.doubts] == ["1@example.com", "2@example.com"]


# -- the value ---------------------------------------------------------------------------------------------------------


def test_an_error_that_names_some_is_about_all_of_them(colour: Colour) -> None:
    """An unknown outcome is that of everybody whom the error says nothing of."""
    message = letter(ANN, BOB)
    error = OutcomeUnknownError("lost", recipients=[RecipientResult(BOB, status="unknown")], message_id="2@example.com")
    doubt = Doubt.about(error, None, Envelope.from_message(message))
    assert doubt is not None
    assert [path.addr_spec for path in doubt.envelope.rcpt_to] == [ANN, BOB]
    assert (doubt.message_id, doubt.transport) == ("2@example.com", "")


@pytest.mark.parametrize(
    "ended", [TransientError("busy"), OutcomeUnknownError("lost", idempotent=True), _found("accepted", "rejected")]
)
def test_what_is_certain_is_no_doubt(colour: Colour, ended: Receipt | DeliveryError) -> None:
    """Nor what can be repeated safely."""
    assert Doubt.about(ended, letter(ANN, BOB), Envelope.from_message(letter(ANN, BOB))) is None


def test_a_policy_takes_a_function_or_one_of_two_words(colour: Colour) -> None:
    """Whoever gives a function wants to be asked, also where nothing is tried again."""
    assert RetryPolicy(attempts=1, on_unknown=print).is_needed  # type: ignore[arg-type]
    assert not RetryPolicy.none().is_needed
    with pytest.raises(ConfigurationError, match="a function that finds out"):
        RetryPolicy(on_unknown="ask")  # type: ignore[arg-type]


def test_an_outcome_of_a_stream_without_doubt_is_passed_on(colour: Colour) -> None:
    """What was found wrong before it came here is nobody's doubt."""
    given = Outcome(message=letter(), error=MessageError("broken"))
    assert _stream(colour, Player(), Asked("unknown"), [given]) == [given]
