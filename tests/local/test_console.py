from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.local.conftest import ENVELOPE, RAW

from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, DeliveryError, MessageError
from mailkit.local import ConsoleTransport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Send, SendRaw

    from mailkit.edge import Edge
    from mailkit.message import Message


def test_a_message_is_printed(edge: Edge, run: Any, message: Message, capsys: pytest.CaptureFixture[str]) -> None:
    """The message appears on standard output, its envelope above it with every recipient."""
    receipt = run(ConsoleTransport().open(edge).send, message, Envelope.from_message(message))
    printed = capsys.readouterr()
    assert "bytes from ada@example.com to bob@example.org, archive@example.net" in printed.out
    assert "Subject: Hello\n" in printed.out
    assert not printed.err
    assert receipt.transport == "console://"


def test_no_bcc_field_is_printed(send: Send, message: Message, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the envelope, the message is shown as its receivers see it: without Bcc."""
    send(ConsoleTransport(), message)
    assert "archive@example.net" not in capsys.readouterr().out.partition("\n")[2]


def test_prepared_bytes_are_printed(edge: Edge, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What is sent raw is printed as text."""
    run(ConsoleTransport().open(edge).send_raw, RAW, ENVELOPE)
    assert "Subject: Raw\n\nAs it is.\n" in capsys.readouterr().out


def test_standard_error_will_do(send: Send, message: Message, capsys: pytest.CaptureFixture[str]) -> None:
    """``?stream=stderr`` prints there."""
    transport = transport_from_url("console://?stream=stderr")
    send(transport, message)
    assert "Hello" in capsys.readouterr().err


def test_a_stream_of_one_s_own_is_written_to(send: Send, message: Message) -> None:
    """A text stream that is given receives the message, in one piece."""

    class Pieces(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    pieces: list[str] = []
    send(ConsoleTransport(Pieces()), message)
    assert len(pieces) == 1


def test_a_narrow_encoding_gets_escapes(send: Send, message: Message) -> None:
    """A character that the stream's encoding does not have is printed as an escape."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    send(ConsoleTransport(stream), message.evolve(subject="Grüße"))
    assert b"Subject: Gr\\xfc\\xdfe\n" in written.getvalue().replace(b"\r\n", b"\n")


def test_a_closed_stream_is_a_matter_of_configuration(edge: Edge, run: Any, message: Message) -> None:
    """A stream that was closed takes no message: not sent, and no use in trying again."""
    stream = io.StringIO()
    stream.close()
    with pytest.raises(DeliveryError, match="cannot be printed") as caught:
        run(ConsoleTransport(stream).open(edge).send, message, ENVELOPE)
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", False)


def test_a_process_without_a_console_is_told_so(send: Send, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no standard output, as under pythonw, the message is not sent."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(DeliveryError, match="has no stdout"):
        send(ConsoleTransport(), message)


def test_a_broken_attachment_is_noticed(send: Send, message: Message, tmp_path: Path) -> None:
    """Nothing is printed of a message whose attachment has gone."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    broken = message.evolve(attachments=[Attachment.from_path(path)])
    path.unlink()
    stream = io.StringIO()
    with pytest.raises(MessageError):
        send(ConsoleTransport(stream), broken)
    assert not stream.getvalue()


def test_a_text_cannot_command_the_terminal(
    send_raw: SendRaw, send: Send, message: Message, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences of a message are printed as text, raw or not."""
    send(ConsoleTransport(), message.evolve(text="\x1b]0;owned\x07"))
    send_raw(ConsoleTransport(), RAW + b"\x1b[2J")
    assert "\x1b" not in capsys.readouterr().out


def test_its_url() -> None:
    """``console://`` is its URL, and its name."""
    assert transport_from_url("console://") == ConsoleTransport()
    assert str(transport_from_url("console://?stream=stdout")) == "console://"
    with pytest.raises(ConfigurationError, match="'stdout', 'stderr'"):
        transport_from_url("console://?stream=printer")


@pytest.mark.parametrize("stream", ["printer", None, 7])
def test_what_is_no_stream_is_refused(stream: Any) -> None:
    """A stream is one of two names or can be written to."""
    with pytest.raises(ConfigurationError, match="stream"):
        ConsoleTransport(stream)
