"""``mailkit send --csv`` in this process; what a killed process leaves is in test_killed_mailing.py."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from mailkit import cli
from mailkit.cli import mailing as module
from mailkit.cli.ledger_file import LedgerFile
from mailkit.testing import Disconnect, SMTPServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GUESTS = 'name,email,table\nBob,bob@example.org,1\nEve <b>,eve@example.net,2\n"Lovelace, Ada",ada@example.com,3\n'
LETTER = ("--from", "host@example.com", "--subject", "Dear {name}", "--text", "Your table: {table}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SMTPServer]:
    """A server, to which the environment's URL leads."""
    with SMTPServer() as running:
        monkeypatch.setenv("MAILKIT_URL", running.url)
        yield running


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow at once."""

    async def sleep(self: object, seconds: float) -> None:
        del self, seconds

    monkeypatch.setattr("mailkit.edge.blocking.BlockingEdge.sleep", sleep)


class Mailing:
    """A CSV file, and the command that sends to it.

    Args:
        path: The file.
        capsys: What the command prints.
    """

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys
        self.err = ""
        self.write(GUESTS)

    def write(self, content: str) -> None:
        """Write the recipients."""
        self.path.write_text(content, encoding="utf-8")

    def text(self, *words: str) -> tuple[int, str]:
        """Run the command; return its status and what it printed."""
        status = cli.main(["send", "--csv", str(self.path), *(words if "--from" in words else (*LETTER, *words))])
        shown = self._capsys.readouterr()
        self.err = shown.err
        return status, shown.out

    def __call__(self, *words: str) -> tuple[int, Any]:
        """Run the command; return its status and its report."""
        status, shown = self.text(*words, "--json")
        return status, json.loads(shown)


@pytest.fixture
def send(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Mailing:
    """The command."""
    return Mailing(tmp_path / "guests.csv", capsys)


def _copies(server: SMTPServer) -> Counter[str]:
    """Count what arrived in full for each address, whether or not the client was told."""
    return Counter(address for each in server.committed for address in each.rcpt_to)


def test_each_row_gets_a_message_of_its_own(server: SMTPServer, send: Mailing) -> None:
    """Fields are filled in everywhere, escaped in HTML and URLs; a name is a display name whatever it holds."""
    status, report = send(
        *LETTER, "--html", "<p>{name}, {{name}} p {color: red}", "--header", "X-Table: no. {table}",
        "--list-unsubscribe", "https://example.com/u?who={name}", "--one-click",
    )  # fmt: skip
    assert (status, report["done"], report["is_complete"]) == (0, {"accepted": 3}, True)
    eve = next(each.parse() for each in server.messages if each.rcpt_to == ("eve@example.net",))
    assert (eve["To"], eve["Subject"], eve["X-Table"]) == ('"Eve <b>" <eve@example.net>', "Dear Eve <b>", "no. 2")
    assert eve["List-Unsubscribe"] == "<https://example.com/u?who=Eve%20%3Cb%3E>"
    text, html = (part.get_content().strip() for part in eve.iter_parts())
    assert text == "Your table: 2"
    assert html == "<p>Eve &lt;b&gt;, {name} p {color: red}"
    assert _copies(server) == Counter(["bob@example.org", "eve@example.net", "ada@example.com"])


def test_resuming_sends_to_nobody_twice(server: SMTPServer, send: Mailing) -> None:
    """A second run finds everybody done; rows that were added get theirs."""
    assert send()[0] == 0
    assert send.text()[0] == 78
    assert "take that run up again with --resume" in send.err
    status, report = send("--resume")
    assert (status, report["done"], report["already"]) == (0, {}, {"accepted": 3})
    send.write(GUESTS + "Zoë,zoe@example.com,4\n")
    assert send("--resume")[1]["done"] == {"accepted": 1}
    assert set(_copies(server).values()) == {1}


def test_who_was_deferred_is_tried_again_and_who_was_rejected_is_not(server: SMTPServer, send: Mailing) -> None:
    """The status says that it is worth coming back, and after that that somebody cannot be reached."""
    server.script("RCPT", "450 4.2.1 busy", match="bob@example.org", times=3)
    server.script("RCPT", "550 5.1.1 no such user", match="eve@example.net", times=None)
    status, shown = send.text()
    assert status == 75
    assert re.search(r"^line 2: bob@example.org: deferred: .*450 4.2.1 busy", shown, re.MULTILINE)
    assert re.search(r"^line 3: eve@example.net: rejected: .*550 5.1.1 no such user", shown, re.MULTILINE)
    assert "--resume" in shown
    status, report = send("--resume")
    assert (status, report["done"], report["already"]) == (69, {"accepted": 1}, {"accepted": 1, "rejected": 1})
    assert [(each["line"], each["status"]) for each in report["failed"]] == [(3, "rejected")]
    assert _copies(server) == Counter(["bob@example.org", "ada@example.com"])


def test_who_is_in_doubt_is_listed_and_left_out(server: SMTPServer, send: Mailing) -> None:
    """Unless --retry-unknown says otherwise: then a second copy has the same Message-ID as the first."""
    server.script("DOT", Disconnect(), skip=1)
    status, shown = send.text()
    lines = [int(line) for line in re.findall(r"^line (\d): .*: in doubt: it may have arrived$", shown, re.MULTILINE)]
    assert (status, lines[0]) == (69, 3)
    status, report = send("--resume")
    assert (status, [each["line"] for each in report["in_doubt"]]) == (69, lines)
    assert set(_copies(server).values()) == {1}
    status, report = send("--resume", "--retry-unknown")
    assert (status, report["done"], report["in_doubt"]) == (0, {"accepted": len(lines)}, [])
    twice = [address for address, copies in _copies(server).items() if copies == 2]
    assert twice[0] == "eve@example.net"
    assert len({each.parse()["Message-ID"] for each in server.committed if each.rcpt_to == (twice[0],)}) == 1
    assert len({each.parse()["Message-ID"] for each in server.committed}) == 3


def test_rows_that_are_wrong_and_duplicates_are_told(server: SMTPServer, send: Mailing) -> None:
    """They stop nobody else; once they are right, they get theirs."""
    send.write(
        'name,email,table\n"a\nb",x@example.org,1\nBob,nobody,2\nBob,bob@example.org,3\nBo,BOB@EXAMPLE.ORG,4\nB,bob@Example.org,5\n'
    )
    status, shown = send.text()
    assert status == 65
    assert "line 3: " in shown
    assert "line 4: 'nobody' is not valid" in shown
    assert "line 7: bob@example.org is in an earlier row" in shown
    assert re.search(r"^accepted +2\ninvalid rows +2\nduplicates +1$", shown, re.MULTILINE)
    send.write(
        'name,email,table\n"a\nb",x@example.org,1\nBob,carl@example.org,2\nBob,bob@example.org,3\nBo,BOB@EXAMPLE.ORG,4\nB,bob@Example.org,5\n'
    )
    assert send("--resume")[1]["done"] == {"accepted": 1}
    assert send("--resume", "--allow-duplicates")[1]["done"] == {"accepted": 1}
    assert _copies(server)["bob@example.org"] == 2


def test_long_lists_are_cut_and_json_has_all(server: SMTPServer, send: Mailing) -> None:
    """Twenty are shown of each kind."""
    send.write("name,email,table\n" + "".join(f"x,nobody{n},1\n" for n in range(25)))
    status, shown = send.text("--dry-run")
    assert (status, shown.count("is not valid")) == (65, 20)
    assert "and 5 more invalid\n" in shown
    assert len(send()[1]["invalid"]) == 25


def test_another_message_is_not_sent_to_the_rest(server: SMTPServer, send: Mailing, tmp_path: Path) -> None:
    """Unless somebody says so. An attached file is a part of the message."""
    picture = tmp_path / "plan.txt"
    picture.write_text("table 1: window")
    server.script("RCPT", "450 4.2.1 busy", match="bob@example.org", times=3)
    words = (*LETTER, "--attach", str(picture))
    assert send(*words)[0] == 75
    picture.write_text("table 1: door..")
    assert send.text(*words, "--resume")[0] == 78
    assert "the message is not the one with which" in send.err
    status, report = send(*words, "--resume", "--allow-changes")
    assert (status, report["done"]) == (0, {"accepted": 1})


def test_a_field_without_a_column_is_noticed_before_the_first_message(server: SMTPServer, send: Mailing) -> None:
    """In any part of the message; and no ledger is made."""
    for words in (["--subject", "{nmae}"], ["--html", "{nmae}"], ["--header", "X: {nmae}"], ["--metadata", "x={nmae}"]):
        assert send.text("--from", "host@example.com", *words)[0] == 65
        assert "{nmae} is in the message, and" in send.err
    assert not send.path.with_name("guests.csv.ledger").exists()
    assert server.connections == ()


def test_another_ledger_is_another_mailing(server: SMTPServer, send: Mailing, tmp_path: Path) -> None:
    """--ledger names it."""
    for name in ("one", "two"):
        assert send("--ledger", str(tmp_path / name))[1]["ledger"] == str(tmp_path / name)
    assert set(_copies(server).values()) == {2}


def test_a_dry_run_sends_nothing_and_writes_no_ledger(server: SMTPServer, send: Mailing) -> None:
    """It shows the first message, and checks them all, by what the transport can express."""
    send.write(GUESTS + "x,nobody,4\n")
    status, shown = send.text("--dry-run")
    assert status == 65
    assert "Subject: Dear Bob\n" in shown
    assert "Dear Eve" not in shown
    assert "line 5: 'nobody' is not valid" in shown
    assert re.search(r"^would be sent +3\ninvalid rows +1$", shown, re.MULTILINE)
    status, report = send("--dry-run", "--tag", "autumn")  # SMTP has no tags
    assert (status, report["messages"], len(report["invalid"])) == (65, 0, 4)
    assert server.connections == ()
    assert list(send.path.parent.glob("*.ledger")) == []


def test_a_row_whose_message_cannot_be_made_is_invalid_in_a_dry_run_too(send: Mailing) -> None:
    """A value with a line break makes no subject."""
    send.write('name,email,note\nBob,bob@example.org,"a\nb"\n')
    status, report = send("--from", "host@example.com", "--subject", "{note}", "--dry-run")
    assert (status, report["invalid"][0]["line"]) == (65, 3)


def test_a_row_whose_message_cannot_be_made_or_sent_stops_no_other(server: SMTPServer, send: Mailing) -> None:
    """A value with a line break is no subject, and SMTP has no tags; nothing was handed over, so nobody is in doubt."""
    send.write('email,note\nbob@example.org,"a\nb"\neve@example.net,Hi\n')
    status, report = send("--from", "host@example.com", "--subject", "{note}", "--tag", "autumn")
    assert (status, [each["line"] for each in report["invalid"]]) == (75, [3])
    assert [(each["line"], each["status"]) for each in report["failed"]] == [(4, "not_sent")]
    assert "'tags'" in report["failed"][0]["text"]
    assert server.committed == ()


def test_wrong_settings_end_the_run_at_the_first_message(send: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest would fare no better; once they are right, everybody gets theirs."""
    with SMTPServer(tls="starttls", users={"ada": "secret"}, require_auth=True) as server:
        url = f"{server.url_for('ada')}?tls=starttls&ca_file={server.ca_file}"
        monkeypatch.setenv("MAILKIT_URL", url.replace("secret", "hunter2"))
        status, report = send()
        assert (status, report["error"]["error"]) == (78, "AuthenticationError")
        assert report["is_complete"] is False
        assert report["in_doubt"] == []
        assert "127.0.0.1 refused the credentials of 'ada'" in send.err
        assert "hunter2" not in send.err + json.dumps(report)
        monkeypatch.setenv("MAILKIT_URL", url)
        assert send("--resume")[1]["done"] == {"accepted": 3}
        assert set(_copies(server).values()) == {1}


def test_a_server_that_cannot_be_reached_ends_the_run(send: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few messages, of which none is in doubt."""
    with SMTPServer() as server:
        url = server.url
    monkeypatch.setenv("MAILKIT_URL", url)
    send.write("email\n" + "".join(f"user{n}@example.org\n" for n in range(20)))
    words = ("--from", "host@example.com", "--text", "Hi")
    status, report = send(*words)
    assert (status, report["in_doubt"], report["error"]["retryable"]) == (75, [], True)
    assert len(report["failed"]) < 20
    with SMTPServer() as server:
        monkeypatch.setenv("MAILKIT_URL", server.url)
        assert send(*words, "--resume")[1]["done"] == {"accepted": 20}


def test_a_ledger_that_cannot_be_written_ends_the_run(
    server: SMTPServer, send: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed over before is accounted for; nobody is lost and nobody gets it twice."""
    write, left = LedgerFile.write, [6]

    def full(self: Any, *args: Any, **kwargs: Any) -> None:
        if not left[0]:
            raise self._not_written(OSError(28, "No space left on device"))
        left[0] -= 1
        write(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(LedgerFile, "write", full)
        status, report = send()
    assert (status, report["error"]["error"]) == (74, "LedgerError")
    status, report = send("--resume")
    reached = _copies(server)
    assert set(reached.values()) == {1}
    assert set(reached) | {each["address"] for each in report["in_doubt"]} == {
        "bob@example.org", "eve@example.net", "ada@example.com",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_run_that_is_asked_to_end_answers_for_what_it_has_begun(
    name: str, status: int, server: SMTPServer, send: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new is begun, nobody is in doubt, and the rest is sent when the run is taken up again."""
    send.write("email\n" + "".join(f"user{n}@example.org\n" for n in range(300)))
    words = ("--from", "host@example.com", "--text", "Hi")
    note, seen = module.Mailing._note, []

    def interrupt(self: Any, outcome: Any) -> None:
        note(self, outcome)
        if not seen:
            seen.append(outcome)
            signal.raise_signal(getattr(signal, name))

    handler = signal.getsignal(getattr(signal, name))
    with monkeypatch.context() as patched:
        patched.setattr(module.Mailing, "_note", interrupt)
        ended, report = send(*words)
    assert signal.getsignal(getattr(signal, name)) is handler
    assert (ended, report["is_complete"], report["in_doubt"], report["failed"]) == (status, False, [], [])
    assert 1 <= report["done"]["accepted"] < 300
    assert send.err == "mailkit: interrupted\n"
    assert send(*words, "--resume")[1]["already"] == report["done"]
    assert set(_copies(server).values()) == {1}
    assert len(_copies(server)) == 300


def test_several_connections_may_be_used(server: SMTPServer, send: Mailing) -> None:
    """--connections says how many."""
    send.write("email\n" + "".join(f"user{n}@example.org\n" for n in range(40)))
    status, report = send("--from", "host@example.com", "--text", "Hi", "--connections", "2")
    assert (status, report["done"]) == (0, {"accepted": 40})
    assert len(server.connections) <= 2
