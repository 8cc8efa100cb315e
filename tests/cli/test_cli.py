"""The command line as a user calls it, against a real server."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mailkit import cli
from mailkit._version import __version__
from mailkit.cli.arguments import parser
from mailkit.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    TLSError,
    TransientError,
)
from mailkit.testing import SMTPServer, Stall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = ("send", "verify", "demo")
ADDRESSES = ("--from", "ada@example.com", "--to", "bob@example.org")


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    """A server in clear, which a mailer on this machine takes as it is."""
    with SMTPServer(hostname="mx.example.test") as running:
        yield running


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow at once."""

    async def sleep(self: object, seconds: float) -> None:
        del self, seconds

    monkeypatch.setattr("mailkit.edge.blocking.BlockingEdge.sleep", sleep)


def _shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mailkit", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks for help sees a line to copy, which calls this command."""
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    help_text = capsys.readouterr().out
    example = help_text.partition("example:\n")[2].strip()
    assert f"mailkit {command}" in example


def test_the_examples_can_be_parsed() -> None:
    """What the help tells people to type is understood."""
    for command in COMMANDS:
        example = next(
            action.choices[command].epilog
            for action in parser()._actions
            if action.dest == "command" and action.choices is not None
        )
        words = example.partition(f"mailkit {command}")[2].partition("\n")[0].replace("'Hi Bob'", "Hi").split()
        assert parser().parse_args([command, *words]).command == command


def test_the_program_s_own_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a line that says what it does."""
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """As ``mailkit X.Y.Z``."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"mailkit {__version__}\n")


@pytest.mark.parametrize("words", [[], ["sned"], ["send"], ["verify", "a", "b"]])
def test_words_that_make_no_sense_end_in_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and the usage, as for every program that is built on argparse."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "usage: mailkit" in capsys.readouterr().err


def test_send_sends_what_it_is_told(server: SMTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every option ends up in its place in the message, and each recipient's fate is shown."""
    report = tmp_path / "Bericht.csv"
    report.write_text("a;b\n")
    status = cli.main([
        "send", "--url", server.url, "--from", "Ada Lovelace <ada@example.com>", "--to", "bob@example.org",
        "--to", "eve@example.net", "--cc", "team@example.org", "--bcc", "archive@example.org",
        "--reply-to", "help@example.com", "--subject", "Grüße", "--text", "Hi Bob", "--html", "<p>Hi",
        "--attach", str(report),
    ])  # fmt: skip
    assert status == 0
    (received,) = server.messages
    message = received.parse()
    assert received.rcpt_to == ("bob@example.org", "eve@example.net", "team@example.org", "archive@example.org")
    assert (message["From"], message["To"], message["Cc"], message["Bcc"]) == (
        "Ada Lovelace <ada@example.com>", "bob@example.org, eve@example.net", "team@example.org", None,
    )  # fmt: skip
    assert (message["Subject"], message["Reply-To"]) == ("Grüße", "help@example.com")
    assert [part.get_content().strip() for part in message.walk() if part.get_content_maintype() == "text"] == [
        "Hi Bob", "<p>Hi", "a;b",
    ]  # fmt: skip
    assert [part.get_filename() for part in message.iter_attachments()] == ["Bericht.csv"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in lines] == [f"{address}: accepted" for address in received.rcpt_to]


def test_send_takes_the_url_from_the_environment(server: SMTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other users of the machine cannot read it."""
    monkeypatch.setenv("MAILKIT_URL", server.url)
    assert cli.main(["send", *ADDRESSES, "--text", "Hi"]) == 0
    assert server.accepted_count == 1


def test_send_reads_the_text_from_standard_input(server: SMTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--text -`` makes it a filter."""
    monkeypatch.setattr("sys.stdin", io.StringIO("Zeile 1\nZeile 2 — ende\n"))
    assert cli.main(["send", "--url", server.url, *ADDRESSES, "--text", "-"]) == 0
    assert server.messages[0].parse().get_content().splitlines() == ["Zeile 1", "Zeile 2 — ende"]


def test_standard_input_that_is_no_text_is_an_error(
    server: SMTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes of another encoding end in a message, not in a traceback."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Gr\xfc\xdfe"), encoding="utf-8"))
    assert cli.main(["send", "--url", server.url, *ADDRESSES, "--text", "-"]) == 65
    assert "standard input is not utf-8 text: convert it" in capsys.readouterr().err
    assert server.messages == ()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("x"), 78),
        (MessageError("x"), 65),
        (ConnectError("x"), 75),
        (ConnectError("x", cause="configuration"), 78),
        (AuthenticationError("x"), 78),
        (TransientError("x"), 75),
        (TLSError("x"), 69),
        (RejectedError("x"), 69),
        (OutcomeUnknownError("x"), 69),
    ],
)
def test_an_error_has_a_status_that_scripts_can_tell(
    error: MailkitError, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By sysexits.h: wrong settings, a wrong message, try again later, or never."""

    def fail(parsed: object) -> None:
        raise error

    monkeypatch.setattr("mailkit.cli.verify.run", fail)
    assert cli.main(["verify"]) == status
    assert capsys.readouterr().err == "mailkit: x\n"


@pytest.mark.parametrize(
    ("scripted", "status"),
    [(("RCPT", "550 5.1.1 no such user"), 69), (("RCPT", "450 4.2.1 busy"), 75), (("MAIL", "550 5.7.1 no"), 69)],
)
def test_a_refusal_of_the_server_is_told(
    scripted: tuple[str, str], status: int, server: SMTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the server said is shown, and the status says whether to come back."""
    phase, reply = scripted
    server.script(phase, reply, times=None)  # type: ignore[arg-type]
    assert cli.main(["send", "--url", server.url, *ADDRESSES, "--text", "Hi"]) == status
    assert reply in capsys.readouterr().err


def test_a_partial_refusal_is_no_success(server: SMTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Who got it and who did not is shown, and the status is that of the refusal."""
    server.script("RCPT", "550 5.1.1 no such user", match="eve@example.net")
    assert cli.main(["send", "--url", server.url, *ADDRESSES, "--to", "eve@example.net", "--text", "Hi"]) == 69
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1] == "eve@example.net: rejected (550 5.1.1 no such user)"
    assert shown.out.startswith("bob@example.org: accepted")
    assert "1 of 2 recipients were not accepted" in shown.err


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["send", *ADDRESSES], 78, "set MAILKIT_URL"),
        (["verify"], 78, "set MAILKIT_URL"),
        (["verify", "smpt://mx.test"], 78, "no transport serves smpt://"),
        (["send", "--url", "null://", "--from", "ada", "--to", "bob@example.org"], 65, "from_: "),
        (["send", "--url", "null://", "--from", "ada@example.com"], 65, "no recipient"),
        (["send", "--url", "null://", *ADDRESSES, "--subject", "a\nBcc: x@evil.test"], 65, "line break"),
        (["send", "--url", "null://", *ADDRESSES, "--attach", "/nowhere/report.pdf"], 65, "/nowhere/report.pdf"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    words: list[str], status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and one line."""
    assert cli.main(words) == status
    shown = capsys.readouterr().err
    assert shown.startswith("mailkit: ")
    assert told in shown
    assert shown.count("\n") == 1


def test_verify_shows_what_it_learned(capsys: pytest.CaptureFixture[str]) -> None:
    """Host, TLS, mechanism and extensions of a server with TLS and AUTH, and not the password."""
    with SMTPServer(tls="starttls", users={"ada": "hunter2"}, hostname="mx.example.test") as server:
        assert cli.main(["verify", f"{server.url_for('ada')}?tls=starttls&ca_file={server.ca_file}"]) == 0
        assert server.messages == ()
    shown = capsys.readouterr().out
    rows = dict(line.split(maxsplit=1) for line in shown.splitlines() if not line.startswith("authenticated"))
    assert rows["transport"] == f"smtp://127.0.0.1:{server.port}"
    assert rows["host"] == "mx.example.test"
    assert rows["tls"].startswith("TLSv1.3, TLS_")
    assert "authenticated by  SCRAM-SHA-256" in shown
    assert "PLAIN" in rows["mechanisms"]
    assert "PIPELINING" in rows["extensions"]
    assert "hunter2" not in shown
    assert base64.b64encode(b"hunter2").decode() not in shown


def test_verify_says_what_there_is_not(server: SMTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A server in clear without credentials, and a transport that knows nothing of itself."""
    assert cli.main(["verify", server.url]) == 0
    shown = capsys.readouterr().out
    assert "tls               none: in clear" in shown
    assert "authenticated by  nothing: no credentials were given" in shown
    assert "mechanisms        -" in shown
    assert cli.main(["verify", "null://"]) == 0
    assert "host              -" in capsys.readouterr().out


def test_verify_tries_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever verifies wants to know how things are now; a port where nobody listens is "later"."""
    with SMTPServer() as server:
        server.script("greeting", "421 4.3.2 shutting down", times=None)
        assert cli.main(["verify", server.url]) == 75
        assert len(server.connections) == 1
    assert cli.main(["verify", server.url]) == 75
    assert str(server.port) in capsys.readouterr().err


def test_characters_that_the_terminal_lacks_are_escaped(server: SMTPServer) -> None:
    """A terminal of another encoding shows a stand-in, and nothing fails after the message has gone out."""
    server.script("RCPT", "250 2.1.5 Empfänger ok", times=None)
    server.script("DOT", "250 2.0.0 queued — gut", times=None)
    done = _shell(
        "send", "--url", server.url, "--from", "zoë@example.com", "--to", "bøb@example.org", "--text", "Hi",
        PYTHONIOENCODING="ascii", PYTHONUTF8="0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(r"b\xf8b@example.org: accepted")


def test_any_text_stream_will_do_for_output(server: SMTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls `main` from Python may have put something else into ``sys.stdout``."""
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    assert cli.main(["send", "--url", server.url, *ADDRESSES, "--text", "Hi"]) == 0
    assert output.getvalue().startswith("bob@example.org: accepted")


def test_the_command_starts_quickly_and_loads_little() -> None:
    """``--version`` imports no transport, no HTTP client and no TLS."""
    code = (
        "import sys\nfrom mailkit.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'httpx', 'ssl', 'anyio', 'attr', 'mailkit.mailer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [f"mailkit {__version__}", "[]"]


def test_a_reader_that_has_had_enough_is_no_traceback() -> None:
    """When nobody reads the output any more, the command ends with status 74 and says nothing."""
    code = "import sys; from mailkit.cli import main; sys.exit(main(['verify', 'null://']))"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (74, b"")


def test_demo_shows_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    """The command calls the demo, of which test_demo.py tells more."""
    assert cli.main(["demo"]) == 0
    assert "and returned the receipt:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["smtp://ada:hunter2@mail.example.com"],
        ["verify", "null://", "postmark://hunter2@default"],
        ["verify", "null://", "hunter2"],
        ["send", *ADDRESSES, "--text", "Hi", "--password", "hunter2"],
        ["send", *ADDRESSES, "--text", "Hi", "--password=hunter2"],
        ["send", *ADDRESSES, "--connections", "smtp://ada:hunter2@mail.example.com"],
    ],
)
def test_what_is_wrong_with_the_words_shows_no_secret(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Errors end up in logs and in cron's mails."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert "error: " in told
    assert "hunter2" not in told


def test_an_unknown_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Without what follows it."""
    with pytest.raises(SystemExit):
        cli.main(["send", *ADDRESSES, "--text", "Hi", "--passwrod=x"])
    assert capsys.readouterr().err.endswith("unrecognized arguments: --passwrod\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk to write to")  # noqa: PTH110
def test_output_that_cannot_be_written_is_told(server: SMTPServer) -> None:
    """The message has gone out; the status says that its receipt has not."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "mailkit", "send", "--url", server.url, *ADDRESSES, "--text", "Hi"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 74
    assert done.stderr.startswith("mailkit: input or output failed: ")
    assert server.accepted_count == 1


def test_streams_that_are_closed_keep_nothing_from_being_done(
    server: SMTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some supervisors start their programs; but what is to be read has to be there."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    send = ["send", "--url", server.url, *ADDRESSES]
    assert [cli.main([*send, *more]) for more in (["--text", "Hi"], ["--text", "-"], ["--message", "-"])] == [0, 65, 65]
    assert server.accepted_count == 1
    sys.stdout.close()
    sys.stderr.close()


def test_standard_input_is_no_text_in_whatever_locale(server: SMTPServer) -> None:
    """Python lets every byte pass where none is set; a byte order mark is left out."""
    command = [sys.executable, "-m", "mailkit", "send", "--url", server.url, *ADDRESSES, "--text", "-"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))
    }
    done = [
        subprocess.run(command, input=text, capture_output=True, check=False, timeout=60, env=environment)
        for text in (b"Gr\xfc\xdfe", b"\xef\xbb\xbfHi\n")
    ]
    assert [each.returncode for each in done] == [65, 0]
    assert b"standard input is not utf-8 text" in done[0].stderr
    assert server.messages[0].parse().get_content().splitlines() == ["Hi"]


@pytest.mark.parametrize(("verb", "left"), [("EHLO", "not_sent"), ("DOT", "unknown")])
def test_ctrl_c_tells_what_has_become_of_the_message(verb: Any, left: str, server: SMTPServer) -> None:
    """Status 130, and for each recipient whether it may have arrived."""
    server.script(verb, Stall())
    command = [sys.executable, "-m", "mailkit", "send", "--url", server.url, *ADDRESSES, "--text", "Hi"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert server.wait_until(lambda server: server.held == 1, 60)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.startswith(f"mailkit: interrupted\nmailkit: bob@example.org: {left}")
