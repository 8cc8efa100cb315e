from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.integrations.notebook import BEGUN, Notebook

from mailkit import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeliveryError,
    Message,
    MessageError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.integrations.queue_courier import Again, Courier, Done
from mailkit.integrations.queue_job import MailJob
from mailkit.integrations.queue_mailers import from_mapping
from mailkit.integrations.queue_retry import QueueRetry
from mailkit.smtp import SMTP
from mailkit.testing import Disconnect, FakeTransport, SMTPServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.policies.doubt import Doubt

BOTH = Message(from_="ada@example.com", to="bob@example.org", bcc="eve@example.net", subject="Hello", text="Hi")


class Office:
    """A courier, what it sends through, and what it notes."""

    def __init__(self, *, journal: bool = True, **retry: Any) -> None:
        self.fake = FakeTransport()
        self.notebook = Notebook()
        known = self.notebook if journal else None
        self.courier = Courier(lambda _name: self.fake, retry=QueueRetry(**retry), journal=lambda: known)
        self.job = MailJob.of(BOTH)
        self.payload = self.job.payload()

    def deliver(self, job: MailJob | None = None, *, redelivered: bool = False) -> Done | Again:
        """Run one attempt, as a queue does: from JSON."""
        payload = json.loads(json.dumps((job or self.job).payload()))
        return self.courier.deliver(payload, redelivered=redelivered)

    @property
    def recipients(self) -> list[list[str]]:
        """Who each copy went to."""
        return [[result.address for result in sent.receipt.accepted] for sent in self.fake.outbox]


def again(done: Done | Again) -> Again:
    """Return the same, of which it is known that there is to be another attempt."""
    assert isinstance(done, Again)
    return done


def test_a_job_that_everybody_accepts_is_done() -> None:
    """The summary has the Message-ID that the message was given when it was enqueued."""
    office = Office()
    done = office.deliver()
    assert isinstance(done, Done)
    assert done.summary["message_id"] == office.job.message.message_id == office.fake.outbox[0].receipt.message_id
    assert office.recipients == [["bob@example.org", "eve@example.net"]]


def test_only_those_who_are_left_are_tried_again() -> None:
    """One of two is deferred: the next attempt is for him alone, with the same bytes."""
    office = Office()
    office.fake.fail_next(TransientError("busy"), recipient="eve@example.net")
    rest = again(office.deliver()).job
    assert (rest.left, rest.attempt) == (("eve@example.net",), 2)
    assert isinstance(office.deliver(rest), Done)
    assert office.recipients == [["bob@example.org"], ["eve@example.net"]]
    assert office.fake.outbox[0].raw == office.fake.outbox[1].raw


@pytest.mark.parametrize("error", [TransientError("busy"), ConnectError("refused"), RateLimitedError("slower")])
def test_what_may_pass_is_tried_again_for_everybody(error: DeliveryError) -> None:
    """A whole message that was deferred, throttled or never got there is left for all of its recipients."""
    office = Office()
    office.fake.fail_next(error)
    later = again(office.deliver())
    assert later.job.left == office.job.left
    assert type(later.error) is type(error)


def test_what_the_server_asks_for_is_the_least_that_is_waited() -> None:
    """Retry-After is a floor under the jitter."""
    office = Office()
    office.fake.fail_next(RateLimitedError("slower", retry_after=5000.0))
    assert again(office.deliver()).seconds >= 5000.0


def test_without_a_wish_the_wait_is_drawn_below_a_bound_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the largest draw the waits are 15, 30 and 60 seconds."""
    monkeypatch.setattr("mailkit.integrations.queue_courier._random", lambda: 1.0)
    office = Office()
    office.fake.fail_next(TransientError("busy"), times=3)
    job, waits = office.job, list[float]()
    for _ in range(3):
        later = again(office.deliver(job))
        waits.append(later.seconds)
        job = later.job
    assert waits == [15.0, 30.0, 60.0]


@pytest.mark.parametrize(
    "error",
    [RejectedError("no such user"), AuthenticationError("wrong password"), UnsupportedFeatureError("no", feature="x")],
)
def test_what_will_not_pass_fails_at_once_and_may_be_put_back_by_hand(error: Exception) -> None:
    """The error is raised as it is; the same job, put back when its cause was removed, is sent."""
    office = Office()
    office.fake.fail_next(error)  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        office.deliver()
    assert isinstance(office.deliver(), Done)


def test_who_was_rejected_is_not_forgotten_while_others_are_tried_again() -> None:
    """Bob is rejected, Eve deferred and then accepted: the job fails in the end, and says whom it is about."""
    office = Office()
    office.fake.refuse("bob@example.org")
    office.fake.fail_next(TransientError("busy"), recipient="eve@example.net")
    rest = again(office.deliver()).job
    with pytest.raises(RejectedError) as caught:
        office.deliver(rest)
    assert [result.address for result in caught.value.recipients] == ["bob@example.org"]
    assert caught.value.attempts == 2
    assert office.recipients[-1] == ["eve@example.net"]


def test_the_last_attempt_fails_with_its_own_error() -> None:
    """After as many attempts as there may be the job fails, with what the last one said."""
    office = Office(attempts=2)
    office.fake.fail_next(TransientError("busy"), times=2)
    rest = again(office.deliver()).job
    with pytest.raises(TransientError) as caught:
        office.deliver(rest)
    assert caught.value.attempts == 2


def test_an_unknown_outcome_fails_the_job() -> None:
    """By default nobody gets a second copy: not from another attempt, and not from putting the job back."""
    office = Office()
    office.fake.fail_next(OutcomeUnknownError("lost"))
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            office.deliver()
    assert office.fake.outbox == []


def test_an_unknown_outcome_is_tried_again_where_that_was_asked_for() -> None:
    """The next attempt is for those in doubt; once they are accepted there is none."""
    office = Office(on_unknown="retry")
    office.fake.fail_next(OutcomeUnknownError("lost"))
    rest = again(office.deliver()).job
    assert rest.doubtful == office.job.left
    assert isinstance(office.deliver(rest), Done)


def test_who_may_have_been_accepted_stays_in_doubt() -> None:
    """A second copy that is rejected says nothing of the first."""
    office = Office(on_unknown="retry")
    office.fake.fail_next(OutcomeUnknownError("lost"))
    rest = again(office.deliver()).job
    office.fake.fail_next(RejectedError("no"))
    with pytest.raises(OutcomeUnknownError):
        office.deliver(rest)


def test_an_unknown_outcome_is_tried_again_where_the_provider_honours_keys() -> None:
    """An error that is idempotent may be repeated whatever the policy says."""
    office = Office()
    office.fake.fail_next(OutcomeUnknownError("lost", idempotent=True))
    assert again(office.deliver()).job.left == office.job.left


@pytest.mark.parametrize(("finding", "expected"), [("not_sent", Again), ("unknown", OutcomeUnknownError)])
def test_a_function_finds_out_about_a_doubt(finding: str, expected: type[Any]) -> None:
    """What it found to be not sent is tried again; what it cannot tell fails."""
    doubts: list[Doubt] = []

    def finds_out(doubt: Doubt) -> Any:
        doubts.append(doubt)
        return finding

    office = Office(on_unknown=finds_out)
    office.fake.fail_next(OutcomeUnknownError("lost"))
    if expected is Again:
        assert isinstance(office.deliver(), Again)
    else:
        with pytest.raises(expected):
            office.deliver()
    assert len(doubts) == 1


def test_a_job_whose_worker_was_killed_is_one_of_unknown_outcome() -> None:
    """The attempt is noted as begun, and nothing more: the job fails, and nothing is sent."""
    office = Office()
    office.notebook.claim(f"{office.job.id}:1", BEGUN)
    with pytest.raises(OutcomeUnknownError, match="was killed"):
        office.deliver()
    assert office.fake.outbox == []


def test_a_job_whose_worker_was_killed_is_sent_again_where_that_was_asked_for() -> None:
    """The attempt of the killed worker counts: this is the second, of two."""
    office = Office(on_unknown="retry", attempts=2)
    office.notebook.claim(f"{office.job.id}:1", BEGUN)
    assert isinstance(office.deliver(), Done)
    assert len(office.fake.outbox) == 1


def test_a_job_that_another_worker_may_still_be_at_waits_for_it() -> None:
    """A queue may deliver it twice while the first worker sends it: the second one looks again when that is lost."""
    office = Office(on_unknown="retry", lost_after=100.0)
    office.notebook.claim(f"{office.job.id}:1", json.dumps({"begun": time.time()}))
    later = again(office.deliver())
    assert later.job == office.job
    assert 90.0 < later.seconds <= 100.0
    assert office.fake.outbox == []


def test_a_job_that_kills_its_workers_is_not_run_for_ever() -> None:
    """As many killed workers as there may be attempts, and the job fails."""
    office = Office(on_unknown="retry", attempts=3)
    for attempt in (1, 2, 3):
        office.notebook.claim(f"{office.job.id}:{attempt}", BEGUN)
    with pytest.raises(OutcomeUnknownError):
        office.deliver()


def test_a_job_whose_worker_was_killed_is_sent_again_to_a_provider_that_honours_keys() -> None:
    """A copy that comes twice with one key is one message there."""
    office = Office()

    class Keyed(FakeTransport):
        idempotency_header = "Idempotency-Key"

    office.fake = Keyed()
    office.notebook.claim(f"{office.job.id}:1", BEGUN)
    assert isinstance(office.deliver(), Done)


def test_a_job_that_is_done_is_not_done_twice() -> None:
    """A worker that was killed before the queue was told that it is done leaves nothing to do."""
    office = Office()
    first, second = office.deliver(), office.deliver()
    assert first == second
    assert len(office.fake.outbox) == 1


def test_a_next_attempt_that_the_queue_was_not_told_of_is_asked_for_again() -> None:
    """A worker that was killed between an attempt and its successor: the successor is the same, sent to the same."""
    office = Office()
    office.fake.fail_next(TransientError("busy"), recipient="eve@example.net")
    first, second = again(office.deliver()), again(office.deliver())
    assert (second.job, second.seconds) == (first.job, first.seconds)
    assert len(office.fake.outbox) == 1


def test_a_next_attempt_that_has_begun_is_not_asked_for_again() -> None:
    """A worker that was killed after it had told the queue: its own job, delivered again, is over."""
    office = Office()
    office.fake.fail_next(TransientError("busy"), recipient="eve@example.net")
    office.deliver(again(office.deliver()).job)
    assert isinstance(office.deliver(), Done)
    assert office.recipients == [["bob@example.org"], ["eve@example.net"]]


def test_without_a_journal_a_redelivered_job_is_one_of_unknown_outcome() -> None:
    """The queue's own word counts then."""
    office = Office(journal=False)
    with pytest.raises(OutcomeUnknownError):
        office.deliver(redelivered=True)
    assert isinstance(office.deliver(), Done)


def test_without_a_journal_a_redelivered_job_is_sent_where_that_was_asked_for() -> None:
    """Once, as the attempt after the one that nobody saw the end of."""
    office = Office(journal=False, on_unknown="retry")
    assert isinstance(office.deliver(redelivered=True), Done)
    assert len(office.fake.outbox) == 1


def test_a_journal_that_cannot_be_asked_postpones_the_same_attempt() -> None:
    """Nothing is sent without it, and it does not count as an attempt; after too many the job fails."""
    office = Office(attempts=2)
    office.notebook.lost = 3
    first = again(office.deliver())
    assert first.job.attempt == 1
    second = again(office.deliver(first.job))
    with pytest.raises(ConnectError):
        office.deliver(second.job)
    assert office.fake.outbox == []
    assert isinstance(office.deliver(second.job), Done)


def test_a_journal_that_cannot_be_told_does_not_undo_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    """The message was accepted, and so the job is done; the log says what may come of it."""
    office = Office()
    really_claim = office.notebook.claim

    def claim(key: str, note: str) -> str | None:
        found = really_claim(key, note)
        office.notebook.lost = 1
        return found

    office.notebook.claim = claim  # type: ignore[method-assign]
    assert isinstance(office.deliver(), Done)
    assert "the journal could not be told" in caplog.text


@pytest.mark.parametrize(("outcome", "notes"), [("not_sent", 0), ("unknown", 1)])
def test_an_interruption_leaves_a_note_only_where_the_message_may_have_been_sent(
    outcome: Any, notes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time limit of the queue is raised into the middle of a send; it says how far that had come."""

    class TimeLimit(Exception):
        delivery = DeliveryError("interrupted", outcome=outcome)

    async def send(*_: Any) -> None:
        raise TimeLimit

    office = Office()
    monkeypatch.setattr("mailkit.post.Post.send", send)
    with pytest.raises(TimeLimit):
        office.deliver()
    assert len(office.notebook.notes) == notes


def test_all_or_nothing_is_not_split_by_another_attempt() -> None:
    """One is rejected, so nobody gets it: the other one, who was not sent to, is not tried alone."""
    with SMTPServer() as server:
        server.script("RCPT", "550 5.1.1 no", match="bob@example.org").script("RCPT", "450 4.2.1 later")
        transport = SMTP(server.host, port=server.port, recipients="all")
        courier = Courier(lambda _name: transport, retry=QueueRetry(), journal=Notebook)
        with pytest.raises(RejectedError):
            courier.deliver(MailJob.of(BOTH).payload())
        assert server.committed == ()
        courier.close()


def test_the_same_connection_serves_the_jobs_of_a_process() -> None:
    """Two jobs, one mailer, one connection; a lost one is replaced."""
    with SMTPServer() as server:
        notebook = Notebook()
        courier = Courier(from_mapping({"default": server.url}), retry=QueueRetry(), journal=lambda: notebook)
        for _ in range(2):
            courier.deliver(MailJob.of(BOTH).payload())
        assert len(server.connections) == 1
        courier.close()


def test_an_answer_that_is_lost_on_the_wire_is_unknown() -> None:
    """The server takes the message and hangs up before it says so."""
    with SMTPServer() as server:
        server.script("DOT", Disconnect())
        courier = Courier(from_mapping({"default": server.url}), retry=QueueRetry(), journal=Notebook)
        with pytest.raises(OutcomeUnknownError):
            courier.deliver(MailJob.of(BOTH).payload())
        assert len(server.committed) == 1
        courier.close()


def test_a_mailer_is_found_by_its_name_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAILKIT_URL is the default one's where it is not said; a name that nobody knows is an error that lists them."""
    monkeypatch.setenv("MAILKIT_URL", "null://")
    courier = Courier(from_mapping({"bulk": "null://"}), retry=QueueRetry(), journal=Notebook)
    for name in ("default", "bulk"):
        assert isinstance(courier.deliver(MailJob.of(BOTH, mailer=name).payload()), Done)
    with pytest.raises(ConfigurationError, match="bulk, default"):
        courier.deliver(MailJob.of(BOTH, mailer="other").payload())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: QueueRetry(attempts=0),
        lambda: QueueRetry(lost_after=-1),
        lambda: QueueRetry(on_unknown="perhaps"),  # type: ignore[arg-type]
        lambda: Courier(from_mapping(None), retry=QueueRetry(), journal=Notebook, timeout=0),
        lambda: MailJob.of(BOTH, mailer="smtp://ada:secret@mail.example.com"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(wrong: Callable[[], object]) -> None:
    """So is a URL in place of a name, and its secret is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        wrong()
    assert "secret@" not in str(caught.value)


def test_a_job_is_as_long_as_it_may_be() -> None:
    """A longer one is refused when it is put into the queue, and the error says how long it is."""
    job = MailJob.of(BOTH.evolve(text="x" * 1000))
    size = len(json.dumps(job.payload(), separators=(",", ":")))
    assert job.payload(max_size=size)
    with pytest.raises(MessageError, match=str(size)):
        job.payload(max_size=size - 1)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"message": None},
        {"left": None},
        {"settled": [{}]},
        {"attempt": "1"},
        {"attempt": True},
        {"postponed": 0.5},
        {"id": None},
        {"mailer": 5},
    ],
)
def test_what_is_no_job_is_refused(change: dict[str, Any]) -> None:
    """What comes out of a queue is checked: a MessageError says what to do."""
    with pytest.raises(MessageError):
        MailJob.from_payload({**MailJob.of(BOTH).payload(), **change})


def test_a_job_shows_nothing_of_what_the_message_says() -> None:
    """Queues log and display their jobs."""
    job = MailJob.of(BOTH)
    assert repr(job) == f"MailJob({job.message.message_id!r}, mailer='default', attempt=1)"


NOTED = '{"begun": 0, "notes_commit": true}'
"""The note of an attempt that was begun long ago by a worker that would have noted its commit point."""


class Line:
    """A courier in front of a server, which it can tell when it comes to the commit point."""

    def __init__(self, server: SMTPServer, **retry: Any) -> None:
        self.notebook = Notebook()
        self.courier = Courier(
            from_mapping({"default": server.url}), retry=QueueRetry(**retry), journal=lambda: self.notebook
        )
        self.job = MailJob.of(BOTH)

    def note(self, attempt: int, *what: str) -> None:
        """Let a worker have begun an attempt, and noted this beside."""
        self.notebook.claim(f"{self.job.id}:{attempt}", NOTED)
        for each in what:
            self.notebook.claim(f"{self.job.id}:{attempt}:commit", json.dumps({each: 0}))

    def before(self, method: str, key: str, do: Callable[[], object]) -> None:
        """Have something happen before the journal is next asked for a key."""
        really = getattr(self.notebook, method)

        def then(asked: str, *note: str) -> Any:
            if asked.endswith(key):
                setattr(self.notebook, method, really)
                do()
            return really(asked, *note)

        setattr(self.notebook, method, then)

    def deliver(self) -> Done | Again:
        """Run one attempt, and give up the connection."""
        try:
            return self.courier.deliver(self.job.payload())
        finally:
            self.courier.close()


@pytest.mark.parametrize("notes", [(), ("given up",)])
def test_a_worker_that_was_killed_before_the_commit_point_leaves_no_doubt(notes: tuple[str, ...]) -> None:
    """Nothing can have been accepted: the message is sent, whatever is done about doubts."""
    with SMTPServer() as server:
        line = Line(server)
        line.note(1, *notes)
        done = line.deliver()
        assert isinstance(done, Done)
        assert done.summary["attempts"] == 2
        assert len(server.committed) == 1


def test_a_worker_that_was_killed_after_the_commit_point_leaves_one() -> None:
    """It is one of unknown outcome, as before."""
    with SMTPServer() as server:
        line = Line(server)
        line.note(1, "committed")
        with pytest.raises(OutcomeUnknownError, match="was killed"):
            line.deliver()
        assert server.committed == ()


def test_workers_that_are_killed_before_the_commit_point_are_counted() -> None:
    """A message that kills its workers is not tried for ever, and it was certainly not sent."""
    with SMTPServer() as server:
        line = Line(server, attempts=3)
        for attempt in (1, 2, 3):
            line.note(attempt)
        for _ in range(2):
            with pytest.raises(TransientError) as caught:
                line.deliver()
            assert (caught.value.outcome, caught.value.phase, caught.value.attempts) == ("not_sent", "worker", 3)
        assert len(caught.value.recipients) == 2
        assert server.connections == ()


def test_a_doubt_of_an_earlier_attempt_stays_one() -> None:
    """The first attempt may have been accepted, the second was certainly not, and there is no third."""
    with SMTPServer() as server:
        line = Line(server, attempts=2, on_unknown="retry")
        line.note(1, "committed")
        line.note(2)
        with pytest.raises(OutcomeUnknownError):
            line.deliver()


def test_the_note_is_made_before_the_server_can_have_the_message() -> None:
    """When it is asked for, nothing is committed; when it is not made, nothing ever is."""
    with SMTPServer() as server:
        line = Line(server)
        seen: list[int] = []
        line.before("claim", ":commit", lambda: seen.append(len(server.committed)))
        assert isinstance(line.deliver(), Done)
        assert (seen, len(server.committed)) == ([0], 1)
        assert f"{line.job.id}:1:commit" in line.notebook.notes


def test_a_worker_that_wakes_up_too_late_sends_nothing() -> None:
    """Another one has taken it for lost just before its commit point: its job looks again later what became of that."""
    with SMTPServer() as server:
        slow = Line(server, lost_after=100.0)
        fast = Line(server, lost_after=0)
        fast.job, fast.notebook = slow.job, slow.notebook
        slow.before("claim", ":commit", fast.deliver)
        later = again(slow.deliver())
        assert (later.job, later.seconds) == (slow.job, 100.0)
        assert len(server.committed) == 1
        fast.courier.close()
        assert isinstance(fast.deliver(), Done)  # that later attempt, which finds what was done
        assert len(server.committed) == 1


def test_a_commit_point_that_cannot_be_noted_postpones_the_same_attempt() -> None:
    """Nothing is sent, nothing is left behind, and the attempt does not count."""
    with SMTPServer() as server:
        line = Line(server)
        line.before("claim", ":commit", lambda: setattr(line.notebook, "lost", 1))
        later = again(line.deliver())
        assert (later.job.attempt, later.job.postponed) == (1, 1)
        assert server.committed == ()
        assert line.notebook.notes == {}
        line.job = later.job
        assert isinstance(line.deliver(), Done)


def test_a_lost_worker_that_cannot_be_judged_is_judged_later() -> None:
    """The journal is lost between two questions."""
    with SMTPServer() as server:
        line = Line(server)
        line.note(1)
        line.before("claim", ":commit", lambda: setattr(line.notebook, "lost", 1))
        assert again(line.deliver()).job.attempt == 1
        assert isinstance(line.deliver(), Done)


def test_a_job_that_was_refused_may_be_put_back_by_hand() -> None:
    """Nobody was accepted after the commit point: neither note stays, and the same job is sent once more."""
    with SMTPServer() as server:
        server.script("DOT", "550 5.7.1 not this one")
        line = Line(server)
        with pytest.raises(RejectedError):
            line.deliver()
        assert line.notebook.notes == {}
        assert isinstance(line.deliver(), Done)


def test_a_message_that_cannot_be_written_leaves_no_note() -> None:
    """It is refused before anything of it leaves."""
    office = Office()
    office.fake.fail_next(MessageError("not like this"))
    with pytest.raises(MessageError):
        office.deliver()
    assert office.notebook.notes == {}
