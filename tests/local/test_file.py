from __future__ import annotations

import email
import email.policy
import os
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.local.conftest import ENVELOPE, RAW

from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, DeliveryError, MessageError
from mailkit.local import FileTransport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from tests.local.conftest import Send, SendRaw

    from mailkit.edge import Edge
    from mailkit.message import Message


def test_a_message_becomes_one_file(edge: Edge, run: Any, message: Message, tmp_path: Path) -> None:
    """Each message is one .eml file, named by the receipt, which the standard library reads."""
    receipt = run(FileTransport(tmp_path / "out").open(edge).send, message, Envelope.from_message(message))
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == receipt.provider_id
    assert path.suffix == ".eml"
    parsed = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert parsed["Subject"] == "Hello"
    assert parsed["X-Mailkit-Blind-Recipients"] == "1"
    assert receipt.transport == f"file://{tmp_path}/out"


def test_a_file_holds_the_message_s_own_octets(send: Send, message: Message, tmp_path: Path) -> None:
    """Where the header says everything, the file is ``as_bytes()``."""
    message = message.evolve(bcc=()).completed()
    send(FileTransport(tmp_path), message)
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == message.as_bytes()


def test_prepared_bytes_are_written_unchanged(edge: Edge, run: Any, tmp_path: Path) -> None:
    """What is sent raw is the file's content."""
    run(FileTransport(tmp_path).open(edge).send_raw, RAW, ENVELOPE)
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == RAW


def test_a_file_can_be_sent_again_from_its_path(
    send_raw: SendRaw, send: Send, message: Message, tmp_path: Path
) -> None:
    """A stored message is fit to be sent raw: it names no Bcc recipient."""
    send(FileTransport(tmp_path / "a"), message)
    (path,) = (tmp_path / "a").iterdir()
    send_raw(FileTransport(tmp_path / "b"), path)
    (again,) = (tmp_path / "b").iterdir()
    assert again.read_bytes() == path.read_bytes()


def test_names_sort_by_time(send: Send, message: Message, tmp_path: Path) -> None:
    """Files in the order of their names are messages in the order in which they were sent."""
    for number in range(20):
        send(FileTransport(tmp_path), message.evolve(subject=f"{number:02}"))
    subjects = [email.message_from_bytes(path.read_bytes())["Subject"] for path in sorted(tmp_path.iterdir())]
    assert subjects == [f"{number:02}" for number in range(20)]


def test_threads_do_not_meet(send: Send, message: Message, tmp_path: Path) -> None:
    """Many threads that write at once lose nothing."""
    transport = FileTransport(tmp_path)
    threads = [threading.Thread(target=lambda: [send(transport, message) for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.glob("*.eml"))) == len(list(tmp_path.iterdir())) == 40


def test_a_large_attachment_is_streamed(send: Send, message: Message, tmp_path: Path) -> None:
    """A 24 MiB attachment goes from its file to the message's in far less memory than it has."""
    source = tmp_path / "large.bin"
    source.write_bytes(os.urandom(1 << 20) * 24)
    large = message.evolve(attachments=[Attachment.from_path(source)])
    transport = FileTransport(tmp_path / "out")
    send(transport, message)
    tracemalloc.start()
    try:
        send(transport, large)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_message_that_breaks_off_leaves_no_file(send: Send, message: Message, tmp_path: Path) -> None:
    """A message whose attachment has gone is an error, and nothing of it is left behind."""
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100)
    broken = message.evolve(attachments=[Attachment.from_path(source)])
    source.unlink()
    with pytest.raises(MessageError):
        send(FileTransport(tmp_path / "out"), broken)
    assert not list(tmp_path.rglob("*.*"))


def test_a_folder_that_cannot_be_made_is_a_matter_of_configuration(
    edge: Edge, run: Any, message: Message, tmp_path: Path
) -> None:
    """Where no folder can be, the message is not sent, every recipient is told so, and ``verify`` says it before."""
    (tmp_path / "out").write_bytes(b"")
    channel = FileTransport(tmp_path / "out").open(edge)
    with pytest.raises(DeliveryError) as caught:
        run(channel.send, message, ENVELOPE)
    assert (caught.value.outcome, caught.value.cause) == ("not_sent", "configuration")
    assert [each.status for each in caught.value.recipients] == ["not_sent"]
    with pytest.raises(DeliveryError, match="folder"):
        run(channel.verify)


def test_verify_makes_the_folder(edge: Edge, run: Any, tmp_path: Path) -> None:
    """``verify`` finds or makes the folder, and writes nothing into it."""
    run(FileTransport(tmp_path / "a" / "b").open(edge).verify)
    assert not list((tmp_path / "a" / "b").iterdir())


def test_its_url(tmp_path: Path) -> None:
    """``file://`` and a path is its URL, and its name."""
    transport = transport_from_url("file:///var/mail/two%20words")
    assert transport == FileTransport(Path("/var/mail/two words"))
    assert str(transport) == "file:///var/mail/two%20words"
    with pytest.raises(ConfigurationError):
        transport_from_url("file://out")
