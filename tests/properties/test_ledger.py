"""The ledger of a stream of messages, kept on both sides, while connections end at any byte and servers say anything.

Three books are kept and must agree: what mailkit said of each recipient, what the bytes on the wire say (read by a
reader of the tests' own), and what the server has taken responsibility for. Nothing twice, nothing lost, nothing wrong.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.colours import COLOURS, Colour, make_edge, run_in
from tests.integration.cutting_proxy import Cut, CuttingProxy
from tests.properties.records import Line, RecordingEdge, Transaction

from mailkit import DeliveryError, Message, Outcome, RetryPolicy
from mailkit.policies.retry_channel import RetryChannel
from mailkit.smtp import SMTP, PoolLimits, Timeouts
from mailkit.testing import (
    CloseAfter,
    Disconnect,
    Fault,
    Garbage,
    ReceivedMessage,
    SMTPServer,
    Stall,
    StopReading,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from mailkit import Receipt
    from mailkit.testing.faults import Phase

pytestmark = pytest.mark.slow

WITHOUT: Final = {
    "chunking": (),
    "pipelining": ("CHUNKING", "BINARYMIME"),
    "neither": ("CHUNKING", "BINARYMIME", "PIPELINING"),
}

#: Short: whoever stalls is given up after this. Too short on a busy machine only makes for more lost connections.
PATIENCE: Final = 0.15

LOSSES: Final[tuple[Fault, ...]] = (
    Disconnect(),
    Disconnect(after_bytes=2),
    Disconnect(after_bytes=9),
    Disconnect(rst=True),
    Garbage(),
    Stall(),
    StopReading(),
)

#: What may happen instead of the usual reply, but for the answer to the content.
MISHAPS: Final[tuple[Fault | str, ...]] = (
    "421 4.3.2 closing",
    "450 4.2.0 later",
    "451 4.7.1 greylisted",
    "550 5.1.1 never",
    "552 5.2.2 full",
    CloseAfter("421 4.3.2 closing"),
    CloseAfter("550 5.7.1 go away"),
    *LOSSES,
)

#: What becomes of a complete message: a reply, or an acceptance whose reply gets lost.
VERDICTS: Final[tuple[Fault | str, ...]] = (
    "450 4.2.0 later",
    "451 4.7.1 greylisted",
    "554 5.6.0 never",
    "421 4.3.2 closing",
    CloseAfter("421 4.3.2 closing"),
    CloseAfter("554 5.6.0 never"),
    CloseAfter("250 2.0.0 taken, and bye"),
    *LOSSES,
)


@frozen(kw_only=True)
class Mail:
    """One message of the stream.

    Args:
        recipients: How many it has.
        size: Octets of text.
        mail: What happens at its MAIL, the first time.
        rcpt: What happens at the RCPT of one of its recipients.
        verdict: What becomes of it once it is complete.
        times: How often these happen.
    """

    recipients: int = 1
    size: int = 20
    mail: Fault | str | None = None
    rcpt: tuple[int, Fault | str] | None = None
    verdict: Fault | str | None = None
    times: int = 1


@frozen(kw_only=True)
class Scenario:
    """A stream of messages, and everything that goes wrong with it.

    Args:
        mails: The messages.
        colour: How they are sent.
        offers: What the server offers.
        lmtp: Whether it speaks LMTP.
        keeps_refused: Whether a transaction stays open when its last BDAT is refused.
        mail_max: After how many messages it hangs up; told beforehand where `announced`.
        rcpt_max: How many recipients it takes in one transaction.
        announced: Whether it announces these limits.
        elsewhere: What happens at a DATA, a RSET or an EHLO, and how many of them pass before.
        cuts: Where connections end, the first one first.
        connections: How many there may be.
        window: How many messages may be unanswered.
        max_messages: How many a connection may carry.
        attempts: How often each message is tried.
        on_unknown: What the retry policy does about unknown outcomes.
        patience: Seconds after which a silent server is given up.
    """

    mails: tuple[Mail, ...]
    colour: Colour = "blocking"
    offers: str = "chunking"
    lmtp: bool = False
    keeps_refused: bool = False
    mail_max: int | None = None
    rcpt_max: int | None = None
    announced: bool = False
    elsewhere: tuple[tuple[Phase, Fault | str, int], ...] = ()
    cuts: tuple[Cut | None, ...] = ()
    connections: int = 1
    window: int | None = None
    max_messages: int | None = None
    attempts: int = 1
    on_unknown: str = "raise"
    patience: float = PATIENCE


def sender(number: int) -> str:
    """The sender that tells a message from the others."""
    return f"m{number}@example.com"


def address(number: int, index: int) -> str:
    """A recipient that only this message has."""
    return f"r{index}-m{number}@example.org"


def message(number: int, mail: Mail) -> Message:
    """The message with this number."""
    return Message(
        from_=sender(number),
        to=[address(number, index) for index in range(mail.recipients)],
        subject=f"Message {number}",
        text=("All work and no play. " * (mail.size // 22 + 1))[: mail.size],
        date=datetime(2026, 1, 1, 12, tzinfo=UTC),
        message_id=f"{number}@ledger.example.com",
    )


class Books:
    """What the server takes responsibility for, in a book of the tests' own.

    Args:
        scenario: What is going to happen.
    """

    def __init__(self, scenario: Scenario) -> None:
        limits = {"MAILMAX": scenario.mail_max, "RCPTMAX": scenario.rcpt_max}
        self.server = SMTPServer(
            lmtp=scenario.lmtp,
            without=(*WITHOUT[scenario.offers], *(() if scenario.announced else ("LIMITS",))),
            limits={name: limit for name, limit in limits.items() if limit is not None},
            keeps_refused_bdat=scenario.keeps_refused,
            on_message=self._judge,
        )
        self.taken: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()
        self._verdicts = {
            number: [mail.verdict] * mail.times
            for number, mail in enumerate(scenario.mails)
            if mail.verdict is not None
        }
        for number, mail in enumerate(scenario.mails):
            if mail.mail is not None:
                self.server.script("MAIL", mail.mail, match=sender(number), times=mail.times)
            if mail.rcpt is not None:
                index, fault = mail.rcpt
                self.server.script("RCPT", fault, match=address(number, index), times=mail.times)
        for phase, fault, skip in scenario.elsewhere:
            self.server.script(phase, fault, skip=skip)

    def _judge(self, received: ReceivedMessage) -> str | None:
        number = int(received.mail_from[1:].partition("@")[0])
        with self._lock:
            planned = self._verdicts.get(number)
            verdict = planned.pop() if planned else None
            reply = verdict.reply if isinstance(verdict, CloseAfter) else verdict
            if not isinstance(reply, str) or reply.startswith("2"):
                # From here on it is the server's business, whether or not its answer arrives.
                self.taken.update((number, recipient) for recipient in received.rcpt_to)
        if isinstance(verdict, str):
            return verdict
        if verdict is not None:
            self.server.script("DOT", verdict, match=received.rcpt_to[0])
        return None


@frozen
class Account:
    """What came of a scenario."""

    outcomes: list[Outcome]
    lines: list[Line]
    server: SMTPServer
    taken: Counter[tuple[int, str]]
    messages: list[Message]


def carry_out(scenario: Scenario) -> Account:
    """Send the messages, and return what all sides have noted."""
    edge = RecordingEdge(make_edge(scenario.colour, 10.0))
    messages = [message(number, mail) for number, mail in enumerate(scenario.mails)]
    books, patience = Books(scenario), scenario.patience
    with ExitStack() as stack:
        server = stack.enter_context(books.server)
        proxy = stack.enter_context(CuttingProxy(server.port, scenario.cuts))
        transport = SMTP(
            "127.0.0.1",
            port=proxy.port,
            tls="insecure",
            protocol="lmtp" if scenario.lmtp else "smtp",
            ehlo_name="client.example.com",
            timeouts=Timeouts(greeting=patience, command=patience, data_block=patience, data_end=patience),
            pool=PoolLimits(max_messages=scenario.max_messages),
        )
        outcomes = run_in(scenario.colour, _send_all, transport, edge, messages, scenario)
    return Account(outcomes, edge.lines, server, books.taken, messages)


async def _send_all(transport: SMTP, edge: Any, messages: list[Message], scenario: Scenario) -> list[Outcome]:
    channel: Any = transport.open(edge)
    if scenario.attempts > 1:
        policy = RetryPolicy(attempts=scenario.attempts, wait=lambda _: 0.0, on_unknown=scenario.on_unknown)
        channel = RetryChannel(channel, policy, edge)

    async def each() -> AsyncGenerator[Message, None]:
        for one in messages:
            yield one

    outcomes = channel.send_many(each(), connections=scenario.connections, window=scenario.window)
    try:
        async with aclosing(outcomes):
            return [outcome async for outcome in outcomes]
    finally:
        await channel.close()


def decided(outcome: Outcome) -> dict[str, str]:
    """What the outcome says of each recipient."""
    said: Receipt | DeliveryError | None = outcome.receipt
    if said is None:
        assert isinstance(outcome.error, DeliveryError)
        said = outcome.error
    return {result.address: result.status for result in said.recipients}


def check(scenario: Scenario, account: Account) -> None:
    """Compare the books."""
    assert [outcome.message for outcome in account.outcomes] == account.messages  # one for each, in order
    assert account.server.violations == ()
    for received in account.server.committed:  # nothing arrived under another message's envelope
        number = int(received.mail_from[1:].partition("@")[0])
        assert f"Message-ID: <{number}@ledger.example.com>".encode() in received.data
        assert set(received.rcpt_to) <= {address(number, index) for index in range(scenario.mails[number].recipients)}
    carried: dict[str, list[Transaction]] = {}
    transactions = [each for line in account.lines for each in list(line.transactions(lmtp=scenario.lmtp))]
    for transaction in sorted(transactions, key=lambda each: each.moment):
        carried.setdefault(transaction.sender, []).append(transaction)
    for number, (mail, outcome) in enumerate(zip(scenario.mails, account.outcomes, strict=True)):
        statuses = decided(outcome)
        recipients = [address(number, index) for index in range(mail.recipients)]
        assert list(statuses) == recipients or (not statuses and sender(number) not in carried)
        for recipient in recipients:
            status = statuses.get(recipient, "not_sent")
            fates = [each.fate(recipient) for each in carried.get(sender(number), ()) if recipient in each.rcpt]
            taken = account.taken[number, recipient]
            _compare(status, fates, taken, scenario)


def _compare(status: str, fates: Sequence[str], taken: int, scenario: Scenario) -> None:
    if scenario.attempts == 1:
        assert "refused" not in fates[:-1]  # what was answered stays as answered
    if scenario.attempts == 1 or scenario.on_unknown == "raise":
        assert taken <= 1
        assert not {"accepted", "doubtful"} & set(fates[:-1])  # after either it is not sent again
    assert "accepted" not in fates[:-1]
    if "accepted" in fates:
        assert (status, taken >= 1) == ("accepted", True)
    elif "doubtful" in fates:
        assert status == "unknown"
    else:
        assert (status in {"not_sent", "deferred", "rejected"}, taken) == (True, 0)


# -- what may happen -------------------------------------------------------------------------------------------------


def _mails(*, faults: st.SearchStrategy[Fault | str], verdicts: st.SearchStrategy[Fault | str]) -> Any:
    """Messages, most of them small, as one in a mass mailing is; some of them meet with something."""
    usual = st.builds(
        Mail,
        recipients=st.sampled_from([1, 1, 1, 1, 2, 3]),
        size=st.sampled_from([20, 20, 20, 900, 9_000]),
    )
    unusual = st.builds(Mail, recipients=st.sampled_from([1, 2, 101]), size=st.sampled_from([20, 70_000]))
    times = st.sampled_from([1, 1, 2, 5])
    refused = st.one_of(
        st.builds(Mail, mail=faults, times=times),
        st.builds(Mail, recipients=st.integers(1, 2), rcpt=st.tuples(st.just(0), faults), times=times),
        st.builds(Mail, recipients=st.integers(1, 2), verdict=verdicts, times=times),
    )
    return st.lists(st.one_of(usual, usual, refused, refused, unusual), min_size=3, max_size=12)


CUTS = st.builds(
    Cut,
    direction=st.sampled_from(["to_server", "to_client"]),
    after=st.integers(0, 1_500) | st.integers(0, 6_000) | st.integers(0, 80_000),
    by=st.sampled_from(["eof", "eof", "reset", "reset", "stall"]),
    moment=st.sampled_from(["at_once", "at_next"]),
)
PHASES: Final[tuple[Phase, ...]] = ("greeting", "EHLO", "LHLO", "DATA", "BDAT", "RSET")
REPLIES = tuple(fault for fault in MISHAPS if isinstance(fault, str))
VERDICT_REPLIES = tuple(fault for fault in VERDICTS if isinstance(fault, str))
QUICK = tuple(fault for fault in MISHAPS if not isinstance(fault, Stall | StopReading))
QUICK_VERDICTS = tuple(fault for fault in VERDICTS if not isinstance(fault, Stall | StopReading))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Anything; but most of it about one kind of trouble, so that streams live long enough to get into it."""
    trouble = draw(st.sampled_from(["cuts", "replies", "losses", "limits", "stalls", "everything"]))
    everything = trouble == "everything"
    slow = everything or trouble == "stalls"
    faults = REPLIES if trouble in {"replies", "cuts", "limits"} else MISHAPS if slow else QUICK
    verdicts = VERDICT_REPLIES if trouble in {"replies", "cuts", "limits"} else VERDICTS if slow else QUICK_VERDICTS
    limits = st.none() | st.integers(1, 4) if everything or trouble == "limits" else st.none()
    cuts = st.lists(st.none() | CUTS, min_size=trouble == "cuts", max_size=4)
    keeps_refused = draw(st.booleans())
    # A server that leaves a transaction open *and* refuses RSET, and still goes on, leaves a client no way out.
    phases = PHASES if not keeps_refused else [phase for phase in PHASES if phase != "RSET"]
    elsewhere = st.lists(st.tuples(st.sampled_from(phases), st.sampled_from(faults), st.integers(0, 6)), max_size=2)
    return Scenario(
        mails=tuple(draw(_mails(faults=st.sampled_from(faults), verdicts=st.sampled_from(verdicts)))),
        colour=draw(st.sampled_from(COLOURS)),
        offers=draw(st.sampled_from(["chunking", "chunking", "pipelining", "neither"])),
        lmtp=draw(st.sampled_from([False, False, False, True])),
        keeps_refused=keeps_refused,
        mail_max=draw(limits),
        rcpt_max=draw(limits),
        announced=draw(st.booleans()),
        elsewhere=tuple(draw(elsewhere)) if everything or trouble in {"replies", "losses"} else (),
        cuts=tuple(draw(cuts)) if everything or trouble == "cuts" else (),
        connections=draw(st.sampled_from([1, 1, 1, 2, 3])),
        window=draw(st.sampled_from([None, None, None, 1, 2, 5])),
        max_messages=draw(limits),
        attempts=draw(st.sampled_from([1, 3])),
        on_unknown=draw(st.sampled_from(["raise", "raise", "retry"])),
    )


@given(scenario=scenarios())
@settings(max_examples=int(os.environ.get("LEDGER_EXAMPLES", "0")) or max(100, settings.default.max_examples))
def test_the_books_agree(scenario: Scenario) -> None:
    """Whatever the server says and wherever connections end, the three books agree on every recipient."""
    check(scenario, carry_out(scenario))


# -- every byte ------------------------------------------------------------------------------------------------------

#: Small ones that share a window, a refused one, one for several, and a large one that goes alone.
EVERY_KIND: Final = (
    *[Mail()] * 4,
    Mail(rcpt=(0, "550 5.1.1 never"), times=9),
    Mail(recipients=3, rcpt=(1, "450 4.2.0 later"), times=9),
    Mail(size=70_000),
    *[Mail()] * 2,
)


def positions(length: int) -> Iterator[int]:
    """Bytes at which to cut: all over the conversation, another set for each run of a thorough profile."""
    step = max(1, length // (600 if settings.default.max_examples > 100 else 25))
    return iter(range(length % step, length + 1, step))


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("offers", [*WITHOUT])
def test_a_cut_at_any_byte(offers: str, direction: Any) -> None:
    """Where one connection ends and the next ones do not, every message arrives, but for those that are in doubt."""
    whole = Scenario(mails=EVERY_KIND, offers=offers, patience=10.0)
    account = carry_out(whole)
    check(whole, account)
    (line,) = account.lines
    length = len(line.written if direction == "to_server" else line.received)
    for number, after in enumerate(positions(length)):
        by: Any = ("eof", "reset")[number % 2]
        moment: Any = ("at_once", "at_next")[number // 2 % 2]
        cut = Scenario(
            mails=EVERY_KIND,
            offers=offers,
            colour=COLOURS[number % 3],
            cuts=(Cut(direction, after, by, moment),),
            keeps_refused=number % 5 == 0,
            patience=10.0,
        )
        account = carry_out(cut)
        check(cut, account)
        # Of a connection that ends in its greeting, or before it is made, the first message hears; the next one asks
        # for another.
        spoilt = len(account.lines) == 1 or b"MAIL" not in account.lines[0].written
        for place, (mail, outcome) in enumerate(zip(EVERY_KIND, account.outcomes, strict=True)):
            found = set(decided(outcome).values()) - ({"deferred", "rejected"} if mail.rcpt else set())
            allowed = {"accepted", "unknown", "not_sent"} if spoilt and place == 0 else {"accepted", "unknown"}
            assert found <= allowed, (after, by, moment)
