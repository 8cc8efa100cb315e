from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import make_edge, run_in
from tests.local.conftest import ENVELOPE, RAW
from tests.patience import given_time

from mailkit.address import Address
from mailkit.envelope import Envelope
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.local import SendmailTransport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.local.conftest import Send, SendRaw

    from mailkit.edge import Edge
    from mailkit.message import Message

    Program = Callable[..., Path]

pytestmark = pytest.mark.slow

_READ = "data = sys.stdin.buffer.read()"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Write a program to be called as sendmail; it notes its arguments and what it reads."""

    def write(*steps: str) -> Path:
        path = tmp_path / "sendmail"
        script = f"""\
            #!{sys.executable} -I
            import json, os, signal, sys, time
            folder = {os.fspath(tmp_path)!r}
            def note(name, data):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(data)
            note("argv", json.dumps(sys.argv).encode())
            """
        path.write_text(textwrap.dedent(script) + "\n".join(steps) + "\n", encoding="utf-8")
        path.chmod(0o700)
        return path

    return write


@pytest.fixture
def sendmail(program: Program) -> SendmailTransport:
    """A sendmail that takes everything."""
    return SendmailTransport(program(_READ, 'note("stdin", data)'))


def _argv(folder: Path) -> list[str]:
    argv: list[str] = json.loads((folder / "argv").read_bytes())
    return argv


def test_the_command_and_its_input(
    *, edge: Edge, run: Any, message: Message, tmp_path: Path, sendmail: SendmailTransport
) -> None:
    """The program gets sender and recipients as arguments, the message with LF line ends, and no Bcc."""
    message = message.completed()
    receipt = run(sendmail.open(edge).send, message, Envelope.from_message(message))
    assert _argv(tmp_path)[1:] == ["-i", "-f", "ada@example.com", "--", "bob@example.org", "archive@example.net"]
    assert (tmp_path / "stdin").read_bytes() == message.as_bytes().replace(b"\r\n", b"\n")
    assert [each.address for each in receipt.accepted] == ["bob@example.org", "archive@example.net"]
    assert receipt.transport == f"sendmail://{tmp_path}/sendmail"


def test_the_null_reverse_path(send: Send, message: Message, tmp_path: Path, sendmail: SendmailTransport) -> None:
    """A message that must not bounce has ``<>`` as its sender."""
    send(sendmail, message.evolve(return_path=""))
    assert _argv(tmp_path)[2:4] == ["-f", "<>"]


def test_prepared_bytes(edge: Edge, run: Any, tmp_path: Path, sendmail: SendmailTransport) -> None:
    """What is sent raw reaches the program with LF line ends and otherwise as it is."""
    run(sendmail.open(edge).send_raw, RAW, ENVELOPE)
    assert (tmp_path / "stdin").read_bytes() == RAW.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope("-oQ/tmp@x.test", "bob@example.org"),
        Envelope("ada@example.com", ["bob@example.org", "-X/tmp/shell.php@x.test"]),
        Envelope("ada@example.com", '"-t"@x.test'),
    ],
)
def test_no_address_becomes_an_option(
    *, envelope: Envelope, edge: Edge, run: Any, message: Message, tmp_path: Path, sendmail: SendmailTransport
) -> None:
    """An address that starts with a dash is refused, quoted or not, and no program is started."""
    with pytest.raises(MessageError, match="starts with '-'"):
        run(sendmail.open(edge).send, message, envelope)
    assert not (tmp_path / "argv").exists()


@pytest.mark.parametrize("local_part", ["$(touch${IFS}owned)", "`id`", "a|b", "&&", '"; touch owned #"', "*"])
def test_no_shell_reads_an_address(
    *, local_part: str, send: Send, message: Message, tmp_path: Path, sendmail: SendmailTransport
) -> None:
    """What a shell would run arrives as an argument, as it is."""
    address = Address(f"{local_part}@x.test") if local_part[0] == '"' else Address(f'"{local_part}"@x.test')
    send(sendmail, message.evolve(to=address, bcc=()))
    assert _argv(tmp_path)[-2:] == ["--", address.addr_spec]
    assert not list(tmp_path.glob("owned*"))


def test_a_line_too_long_for_the_system_is_refused(
    edge: Edge, run: Any, message: Message, sendmail: SendmailTransport
) -> None:
    """More recipients than every system's command line takes are refused before the program is started."""
    envelope = Envelope("ada@example.com", [f"{number:060}@example.org" for number in range(4000)])
    with pytest.raises(MessageError, match="4000 recipients do not fit"):
        run(sendmail.open(edge).send, message, envelope)


def test_what_a_command_cannot_say_is_refused(send: Send, message: Message, sendmail: SendmailTransport) -> None:
    """Tags and the like have no place in RFC 5322: refused, not dropped."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        send(sendmail, message.evolve(tags=["x"]))
    assert caught.value.feature == "tags"


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (67, RejectedError, "rejected"),
        (75, TransientError, "deferred"),
        (78, DeliveryError, "not_sent"),
        (1, DeliveryError, "not_sent"),
    ],
)
def test_the_exit_status_is_the_answer(
    *, status: int, kind: type[DeliveryError], outcome: str, edge: Edge, run: Any, message: Message, program: Program
) -> None:
    """The exit status decides the outcome of every recipient; what the program says is quoted."""
    transport = SendmailTransport(program(_READ, 'print("mail queue: sorry", file=sys.stderr)', f"sys.exit({status})"))
    with pytest.raises(kind, match="mail queue: sorry") as caught:
        run(transport.open(edge).send, message, ENVELOPE)
    error = caught.value
    assert (error.outcome, [each.status for each in error.recipients]) == (outcome, [outcome])
    assert error.transport == str(transport)


def test_success_without_reading_the_message_is_none(edge: Edge, run: Any, message: Message, program: Program) -> None:
    """A program that ends well without having read a long message has not sent it."""
    transport = SendmailTransport(program("os.close(0)"))
    with pytest.raises(DeliveryError, match="before it had the whole message") as caught:
        run(transport.open(edge).send, message.evolve(text="x" * 60 + "\n" + "line\n" * 200_000), ENVELOPE)
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)


def test_a_program_that_dies_with_the_message_leaves_the_outcome_open(
    edge: Edge, run: Any, message: Message, program: Program
) -> None:
    """A program killed after it read everything may have queued the message."""
    transport = SendmailTransport(program(_READ, "os.kill(os.getpid(), signal.SIGKILL)"))
    with pytest.raises(OutcomeUnknownError, match="signal 9") as caught:
        run(transport.open(edge).send, message, ENVELOPE)
    assert [each.status for each in caught.value.recipients] == ["unknown"]


@given_time(first=1.0)
def test_a_timeout_after_the_message_was_written_leaves_the_outcome_open(
    edge: Edge, run: Any, message: Message, program: Program, *, wait: float
) -> None:
    """A program that has everything and does not end in time may have queued the message."""
    transport = SendmailTransport(program(_READ, "time.sleep(60)"), timeout=wait)
    with pytest.raises(OutcomeUnknownError, match="timeout="):
        run(transport.open(edge).send, message, ENVELOPE)


def test_a_timeout_while_the_message_is_written_is_not_sent(
    edge: Edge, run: Any, message: Message, program: Program
) -> None:
    """A program that stops reading is killed before it sees the end: the message was not sent."""
    transport = SendmailTransport(program("time.sleep(60)"), timeout=1.0)
    with pytest.raises(DeliveryTimeout) as caught:
        run(transport.open(edge).send, message.evolve(text="line\n" * 200_000), ENVELOPE)
    assert (caught.value.outcome, [each.status for each in caught.value.recipients]) == ("not_sent", ["not_sent"])


def test_no_helper_of_the_program_takes_a_cut_message(
    edge: Edge, run: Any, message: Message, tmp_path: Path, program: Program
) -> None:
    """When the program is a script that is killed, what it has started is killed too, before its input ends."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    real = program(
        "sys.stdin.buffer.read(10)",
        f"out = os.open({os.fspath(fifo)!r}, os.O_WRONLY)",
        "time.sleep(20)",
        "sys.stdin.buffer.read()",
        'os.write(out, b"taken for a whole message")',
    )
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\ncat | {real} "$@"\nexit 0\n', encoding="utf-8")
    script.chmod(0o700)
    transport = SendmailTransport(script, timeout=1.0)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(DeliveryTimeout) as caught:
            run(transport.open(edge).send, message.evolve(text="line\n" * 200_000), ENVELOPE)
        assert caught.value.outcome == "not_sent"
        os.set_blocking(reader, True)
        assert not os.read(reader, 100)  # the end of the pipe: whoever could write is dead
    finally:
        os.close(reader)


def test_the_mailer_s_timeout_is_the_default(message: Message, program: Program) -> None:
    """Without a timeout of its own, the edge's holds."""
    channel = SendmailTransport(program("time.sleep(60)")).open(make_edge("blocking", timeout=0.2))
    with pytest.raises(DeliveryError, match="timeout="):
        run_in("blocking", channel.send, message, ENVELOPE)


def test_a_program_that_is_missing_is_a_matter_of_configuration(
    edge: Edge, run: Any, message: Message, tmp_path: Path
) -> None:
    """Without the program nothing is sent, trying again is of no use, and ``verify`` says it before."""
    channel = SendmailTransport(tmp_path / "missing").open(edge)
    for call in (lambda: channel.send(message, ENVELOPE), channel.verify):
        with pytest.raises(ConnectError, match="missing") as caught:
            run(call)
        assert (caught.value.outcome, caught.value.cause) == ("not_sent", "configuration")


def test_verify_starts_no_program(edge: Edge, run: Any, tmp_path: Path, sendmail: SendmailTransport) -> None:
    """``verify`` looks for the program and does not run it."""
    assert run(sendmail.open(edge).verify).transport == str(sendmail)
    assert not (tmp_path / "argv").exists()


def test_a_large_message_is_streamed(send_raw: SendRaw, tmp_path: Path, program: Program) -> None:
    """A message of many blocks arrives whole, whatever the pipe takes at once."""
    path = tmp_path / "raw.eml"
    path.write_bytes(RAW + b"line\r\n" * 300_000)
    send_raw(SendmailTransport(program(_READ, 'note("stdin", data)')), path)
    assert (tmp_path / "stdin").read_bytes() == path.read_bytes().replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("sendmail://", SendmailTransport()),
        ("sendmail:///opt/bin/msmtp", SendmailTransport(Path("/opt/bin/msmtp"))),
        ("sendmail:///opt/bin/msmtp?timeout=2.5", SendmailTransport("/opt/bin/msmtp", timeout=2.5)),
        ("sendmail://?timeout=60", SendmailTransport(timeout=60)),
    ],
)
def test_its_url(url: str, transport: SendmailTransport) -> None:
    """The URL may name the program's path and a timeout."""
    assert transport_from_url(url) == transport


def test_its_name() -> None:
    """It is named by its URL."""
    assert str(SendmailTransport("/opt/my mail/sendmail")) == "sendmail:///opt/my%20mail/sendmail"


@pytest.mark.parametrize(
    "url",
    [
        "sendmail://localhost/usr/sbin/sendmail",
        "sendmail://u:p@",
        "sendmail:///bin/sh?args=-c",
        "sendmail://?timeout=0",
    ],
)
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    """There is no host, no user and no way to hand the program options."""
    with pytest.raises(ConfigurationError):
        transport_from_url(url)


@pytest.mark.parametrize("path", ["sendmail", "./sendmail", "", b"/usr/sbin/sendmail", None])
def test_only_an_absolute_path_is_a_program(path: Any) -> None:
    """A program is never looked up in PATH."""
    with pytest.raises(ConfigurationError):
        SendmailTransport(path)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_positive(timeout: float) -> None:
    """A timeout that never or always holds is refused."""
    with pytest.raises(ConfigurationError, match="timeout"):
        SendmailTransport(timeout=timeout)
