"""Every phase of SMTP meets every fault: the right error, the right outcome, the right connection, and nothing twice.

The tables are the specification. Their rows are the phases and their columns the faults, each once; a cell says what
the sender hears. Whether that is true is asked of the server's own ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from attrs import evolve, frozen
from tenacity import wait_none
from tests.patience import patiently
from tests.smtp.letters import BOB, EVE, Post, big, letter, transport_to

from mailkit import (
    AuthenticationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    Envelope,
    Mailer,
    OutcomeUnknownError,
    ProtocolError,
    Receipt,
    RejectedError,
    RetryPolicy,
    TLSError,
    TransientError,
)
from mailkit.smtp.timeouts import Timeouts
from mailkit.testing import CloseAfter, Disconnect, Endless, Garbage, RawReply, SMTPServer, Stall, StopReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.colours import Colour

    from mailkit.errors import Cause, DeliveryOutcome
    from mailkit.testing import Fault, Phase

pytestmark = pytest.mark.slow

# What is done to the client, by column.
FAULTS: dict[str, Fault | str] = {
    "4xx": "451 4.3.0 later",
    "5xx": "554 5.3.0 no",
    "421": CloseAfter("421 4.3.2 shutting down"),
    "eof": Disconnect(),
    "rst": Disconnect(rst=True),
    "cut": Disconnect(after_bytes=3),
    "stall": Stall(),
    "junk": Garbage(),
    "endless": Endless(),
}


@frozen
class Heard:
    """What the sender hears: an error of this type with this outcome and cause, or a receipt."""

    kind: type[DeliveryError] | None
    outcome: DeliveryOutcome | Literal["accepted"]
    cause: Cause | None = None


# What the letters in the cells mean.
HEARD = {
    "ok": Heard(None, "accepted"),  # at least one recipient was accepted
    "ok2": Heard(None, "accepted"),  # over a fresh connection, and nobody hears of it
    "T": Heard(TransientError, "deferred", "transient"),
    "t": Heard(TransientError, "not_sent", "transient"),
    "R": Heard(RejectedError, "rejected"),
    "r": Heard(RejectedError, "not_sent", "configuration"),
    "A": Heard(AuthenticationError, "not_sent", "configuration"),
    "S": Heard(TLSError, "not_sent", "security"),
    "s": Heard(TLSError, "not_sent", "transient"),
    "C": Heard(ConnectError, "not_sent", "transient"),
    "D": Heard(DeliveryTimeout, "not_sent", "transient"),
    "P": Heard(ProtocolError, "not_sent", "transient"),
    "U": Heard(OutcomeUnknownError, "unknown"),
}

# Before the first message. A star: the connection is kept, and carries the next message.
HANDSHAKE = """
                4xx  5xx  421  eof  rst  cut  stall  junk  endless
    greeting    t    r    t    C    C    C    D      P     P
    EHLO        t    ok*  t    C    C    C    D      P     P
    STARTTLS    s    S    s    C    C    C    D      P     P
    TLS         S    S    S    s    s    s    D      S     S
    AUTH        t    A    t    C    C    C    D      P     P
"""

# What nobody can read before the commit point ends the connection, and the message goes out once more over a fresh one.
# One reply, or one group of replies, is awaited before the content is written. In the middle of content no reply is due
# that could be cut.
WITHOUT_CHUNKING = """
                4xx  5xx  421  eof  rst  cut  stall  junk  endless
    MAIL        T*   R*   t    C    C    C    D      ok2   ok2
    RCPT bob    ok*  ok*  t    C    C    C    D      ok2   ok2
    RCPT eve    ok*  ok*  t    C    C    C    D      ok2   ok2
    DATA        t*   R*   t    C    C    C    D      ok2   ok2
    body        T    R    t    C    C    -    D      ok2   ok2
    DOT         T*   R*   T    U    U    U    U      U     U
"""

# Everything is in one write, so whatever leaves it unanswered leaves the outcome unknown; but a 421 to MAIL says that
# nothing was taken. Content that is too long for one write (BDAT) waits for its envelope's answers.
WITH_CHUNKING = """
                4xx  5xx  421  eof  rst  cut  stall  junk  endless
    MAIL        T*   R*   t    U    U    U    U      U     U
    RCPT bob    ok*  ok*  U    U    U    U    U      U     U
    RCPT eve    ok*  ok*  U    U    U    U    U      U     U
    BDAT        T    R    t    C    C    C    D      ok2   ok2
    DOT         T*   R*   T    U    U    U    U      U     U
"""

# The phase that an error names, where it is not the one in which the fault was.
NAMED: dict[str, str] = {"body": "content", "DOT": "content", "BDAT": "content"}

MODES: dict[str, dict[str, Any]] = {
    "chunking": {},
    "pipelining": {"without": ("CHUNKING", "BINARYMIME")},
    "neither": {"without": ("CHUNKING", "BINARYMIME", "PIPELINING")},
}
TOO_MUCH = 16 * 1024 * 1024  # octets: more than all socket buffers between client and server hold
SOON = 0.15  # seconds: the timeout of whoever waits for a stalled server, where nothing else is going on


@frozen
class Case:
    """One cell of a table."""

    row: str
    column: str
    cell: str
    mode: str
    soon: float = SOON

    @property
    def phase(self) -> Phase:
        """Where the fault is."""
        return self.row.partition(" ")[0]  # type: ignore[return-value]

    @property
    def match(self) -> str | None:
        """Whom it is about."""
        return {"bob": BOB, "eve": EVE}.get(self.row.partition(" ")[2])

    @property
    def heard(self) -> Heard:
        """What the sender hears."""
        return HEARD[self.cell.rstrip("*")]

    @property
    def is_kept(self) -> bool:
        """Whether the connection carries the next message."""
        return self.cell.endswith("*")

    @property
    def fault(self) -> Fault | str:
        """What the server does."""
        if self.phase == "body" and self.column == "stall":
            return StopReading()  # a server that reads on has not stalled yet
        return FAULTS[self.column]

    @property
    def timeouts(self) -> Timeouts:
        """Short ones, where somebody waits for them; where nobody does, a busy machine may take its time."""
        if self.column == "endless" and self.phase in {"body", "BDAT"}:
            return Timeouts(data_block=self.soon)  # a server that only writes takes nothing
        if self.column != "stall":
            return Timeouts()
        return {
            "greeting": Timeouts(greeting=self.soon),
            "TLS": Timeouts(tls=self.soon),
            "body": Timeouts(data_block=self.soon),
            "BDAT": Timeouts(command=self.soon),
        }.get(self.phase, Timeouts(command=self.soon, data_end=self.soon))

    @property
    def named_phase(self) -> str:
        """The phase that the error names."""
        if self.cell == "U":
            return "content"
        if self.phase == "BDAT" and self.column in {"4xx", "5xx", "421"}:
            return "bdat"
        return NAMED.get(self.phase, self.phase.lower())


def cases(table: str, *modes: str) -> Iterator[Any]:
    """Read a table."""
    head, *rows = table.strip().splitlines()
    for line in rows:
        name, cells = line[:16].strip(), line[16:].split()
        for column, cell in zip(head.split(), cells, strict=True):
            for mode in modes:
                case = Case(name, column, cell, mode)
                # A stall costs its timeout: once is enough where both ways wait for the same reply.
                if cell != "-" and (column != "stall" or mode != "neither"):
                    yield pytest.param(case, id=f"{name}-{column}-{mode}")


EVERY_CASE = [
    *cases(HANDSHAKE, "chunking"),
    *cases(WITHOUT_CHUNKING, "pipelining", "neither"),
    *cases(WITH_CHUNKING, "chunking"),
]


def server_for(case: Case) -> SMTPServer:
    """Return a server that misbehaves as the case says, once."""
    extra: dict[str, Any] = dict(MODES[case.mode])
    if case.phase in {"STARTTLS", "TLS"}:
        extra["tls"] = "starttls"
    if case.phase == "AUTH":
        extra |= {"users": {"ada": "secret"}, "mechanisms": ["PLAIN"]}
    server = SMTPServer(**extra)
    return server.script(case.phase, case.fault, match=case.match, after=100_000 if case.phase == "body" else 0)


def options_for(case: Case, server: SMTPServer) -> dict[str, Any]:
    """Return the client's options."""
    options: dict[str, Any] = {"timeouts": case.timeouts}
    if case.phase in {"STARTTLS", "TLS"}:
        options |= {"tls": "starttls", "ca_file": server.ca_file}
    if case.phase == "AUTH":
        options |= {"username": "ada", "password": "secret"}
    return options


def played(case: Case, play: Callable[[Case], None]) -> None:
    """Play a case; where somebody waits for a timeout, again with a longer one if the machine was too busy for it."""
    if case.timeouts == Timeouts():
        play(case)
    else:
        patiently(lambda wait: play(evolve(case, soon=wait)), first=SOON)


def test_the_tables_are_complete() -> None:
    """Each table has all faults as its columns, and there are as many cases as cells."""
    for table in (HANDSHAKE, WITHOUT_CHUNKING, WITH_CHUNKING):
        assert table.strip().splitlines()[0].split() == list(FAULTS)
    assert len(EVERY_CASE) == 5 * 9 + (6 * 9 - 1) + (6 * 8 - 1) + 5 * 9
    assert {case.values[0].cell.rstrip("*") for case in EVERY_CASE} == set(HEARD)


@pytest.mark.parametrize("case", EVERY_CASE)
def test_every_fault_in_every_phase(case: Case, colour: Colour) -> None:
    """The error, the outcome, the phase, the connection's fate and the server's ledger are what the table says."""
    played(case, lambda case: check_case(case, colour))


def check_case(case: Case, colour: Colour) -> None:
    """Play a case and compare with the table."""
    is_long = case.phase in {"body", "BDAT"}
    with server_for(case) as server, Post.to(server, colour, **options_for(case, server)) as post:
        heard = post.attempt(big(TOO_MUCH) if is_long else letter())

        assert server.unplayed == ()
        check_what_was_heard(case, heard)
        check_the_truth(server, heard)

        # The next message goes through, over the same connection where nothing is wrong with it.
        accepted = len(server.messages)
        assert len(post.send(letter(2)).accepted) == 2
        assert len(server.messages) == accepted + 1
        assert server.messages[-1].connection == len(server.connections)
        assert len(server.connections) == (1 if case.is_kept else 2)
        assert server.violations == ()


def check_what_was_heard(case: Case, heard: Receipt | DeliveryError) -> None:
    """Compare a receipt or an error with the cell."""
    expected = case.heard
    if isinstance(heard, Receipt):
        assert expected.kind is None
        return
    assert type(heard) is expected.kind
    assert (heard.outcome, heard.cause) == (expected.outcome, expected.cause)
    # A reset can be quicker than the end of connecting.
    assert heard.phase == case.named_phase or (case.row, case.column, heard.phase) == ("greeting", "rst", "connect")
    assert heard.message_id == "letter-1@example.com"
    assert heard.transport is not None
    assert [result.address for result in heard.recipients] == [BOB, EVE]
    assert heard.retryable is (expected.outcome in {"not_sent", "deferred"} and expected.cause == "transient")
    said = {"4xx": 451, "5xx": 554, "421": 421}.get(case.column)
    if said is not None and case.phase != "TLS":
        assert said in {heard.reply and heard.reply.code, *(result.code for result in heard.recipients)}


def check_the_truth(server: SMTPServer, heard: Receipt | DeliveryError) -> None:
    """Compare what the sender was told of each recipient with what the server did."""
    got: dict[str, int] = {BOB: 0, EVE: 0}
    for message in server.messages:
        for address in message.rcpt_to:
            got[address] += 1
    assert max(got.values()) <= 1
    for result in heard.recipients:
        if result.status == "accepted":
            assert got[result.address] == 1
        elif result.status != "unknown":
            assert got[result.address] == 0


@pytest.mark.parametrize("case", [case for case in EVERY_CASE if case.values[0].column != "stall"])
def test_trying_again_never_sends_twice(case: Case) -> None:
    """With retries each recipient gets the message at most once, and whoever is told "accepted" exactly once."""
    played(case, check_case_with_retries)


def check_case_with_retries(case: Case) -> None:
    """Play a case and compare with what the server did."""
    is_long = case.phase in {"body", "BDAT"}
    policy = RetryPolicy(attempts=2, wait=wait_none())
    with (
        server_for(case) as server,
        Mailer(transport_to(server, **options_for(case, server)), retry=policy, timeout=5.0) as mailer,
    ):
        try:
            envelope = Envelope("ada@example.com", [BOB, EVE])
            heard: Receipt | DeliveryError = (
                mailer.send_raw(big(TOO_MUCH), envelope) if is_long else mailer.send(letter())
            )
        except DeliveryError as error:
            heard = error
        check_the_truth(server, heard)
        # What may be tried again was; a refusal of credentials, of TLS or for good, and the unknown, were not. A 421 to
        # one recipient says of that one that it got nothing.
        tried_again = case.heard.cause == "transient" or (case.phase == "RCPT" and case.column in {"4xx", "421"})
        assert heard.attempts == (2 if tried_again else 1)
        assert isinstance(heard, Receipt) is (case.heard.kind is None or tried_again)


# Between messages, a fault is nobody's business.

IDLE: dict[str, Fault | str] = {
    "421": CloseAfter("421 4.4.2 idle for too long"),
    "421 without a close": RawReply(b"421 4.4.2 idle for too long\r\n"),
    "eof": Disconnect(),
    "rst": Disconnect(rst=True),
    "4xx": "451 4.3.0 unasked",
    "2xx": "250 2.0.0 unasked",
    "junk": Garbage(),
    "cut": RawReply(b"25"),
    "endless": RawReply(b"250-and another thing\r\n" * 1000),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", IDLE)
def test_an_idle_connection_that_went_bad_is_replaced_unseen(fault: str, mode: str, colour: Colour) -> None:
    """Whatever arrives on a pooled connection while it lies idle, the next message goes over a fresh one, once."""
    with SMTPServer(**MODES[mode]) as server, Post.to(server, colour) as post:
        post.send(letter(1))
        assert server.kick(IDLE[fault]) == 1
        if fault == "rst":
            assert server.wait_until(lambda s: s.connections[0].closed)
        receipt = post.send(letter(2))
        assert len(receipt.accepted) == 2
        assert [(message.number, message.connection) for message in server.messages] == [(1, 1), (2, 2)]
        assert len(server.committed) == 2


@pytest.mark.parametrize("column", FAULTS)
def test_a_connection_that_cannot_be_reset_is_not_used_again(column: str, colour: Colour) -> None:
    """Where RSET gets no clean yes, the connection is closed and the message goes over a fresh one."""
    case = Case("RSET", column, "-", "chunking")
    played(case, lambda case: check_reset(column, case.timeouts, colour))


def check_reset(column: str, timeouts: Timeouts, colour: Colour) -> None:
    """Let a reset fail, and see where the next message goes."""
    with SMTPServer() as server, Post.to(server, colour, timeouts=timeouts) as post:
        server.script("RCPT", "550 5.1.1 no such user", times=2)
        assert isinstance(post.attempt(letter(1)), RejectedError)
        server.script("RSET", FAULTS[column])
        assert len(post.send(letter(2)).accepted) == 2
        assert server.unplayed == ()
        assert [message.connection for message in server.messages] == [2]
        assert server.connections[0].verbs[-1] == "RSET"
        assert "RSET" not in server.connections[1].verbs


@pytest.mark.parametrize("column", FAULTS)
def test_nothing_depends_on_the_answer_to_quit(column: str, colour: Colour) -> None:
    """Closing says QUIT and does not wait: the message stays accepted whatever the server does then."""
    with SMTPServer() as server:
        server.script("QUIT", FAULTS[column])
        post = Post.to(server, colour)
        receipt = post.send()
        post.close()
        assert len(receipt.accepted) == 2
        assert len(server.messages) == 1
        assert server.wait_until(lambda s: "QUIT" in s.connections[0].verbs)
