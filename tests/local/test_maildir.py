from __future__ import annotations

import mailbox
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.local.conftest import ENVELOPE, RAW

from mailkit.envelope import Envelope
from mailkit.errors import DeliveryError
from mailkit.local import MaildirTransport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from tests.local.conftest import Send

    from mailkit.edge import Edge
    from mailkit.message import Message


def test_a_mail_program_finds_the_message(edge: Edge, run: Any, message: Message, tmp_path: Path) -> None:
    """The standard library's maildir has the message as a new one, under the name on the receipt."""
    receipt = run(MaildirTransport(tmp_path / "box").open(edge).send, message, Envelope.from_message(message))
    box = mailbox.Maildir(tmp_path / "box", create=False)
    ((key, found),) = box.items()
    assert (key, found["Subject"], found.get_subdir()) == (receipt.provider_id, "Hello", "new")
    assert found.get_payload() == "Hi Bob\n"


def test_it_has_the_three_folders_and_leaves_no_other_file(send: Send, message: Message, tmp_path: Path) -> None:
    """After a delivery ``tmp`` and ``cur`` are empty and ``new`` has one private file, with LF line ends."""
    send(MaildirTransport(tmp_path), message)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cur", "new", "tmp"]
    assert [path.parent.name for path in files] == ["new"]
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert b"\r" not in files[0].read_bytes()


def test_prepared_bytes_get_local_line_ends(edge: Edge, run: Any, tmp_path: Path) -> None:
    """What is sent raw is delivered with LF line ends and otherwise as it is."""
    run(MaildirTransport(tmp_path).open(edge).send_raw, RAW, ENVELOPE)
    (path,) = (tmp_path / "new").iterdir()
    assert path.read_bytes() == RAW.replace(b"\r\n", b"\n")


def test_names_are_unique_and_sort_by_time(send: Send, message: Message, tmp_path: Path) -> None:
    """Names have the form of the specification, and in their order the messages are in theirs."""
    names = [
        send(MaildirTransport(tmp_path), message.evolve(subject=str(number))).provider_id or "" for number in range(20)
    ]
    assert len(set(names)) == 20
    assert names == sorted(names)
    pattern = re.compile(r"[0-9]{10}\.M[0-9]{6}P[0-9]+Q[0-9]+R[0-9a-f]{8}\.[^/:]+")
    assert all(pattern.fullmatch(name) for name in names)


@pytest.mark.parametrize(("host", "written"), [("a/b:c", r"a\057b\072c"), ("", "localhost")])
def test_a_host_name_is_escaped(
    *, host: str, written: str, send: Send, message: Message, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a host's name neither a folder nor flags are made (https://cr.yp.to/proto/maildir.html)."""
    monkeypatch.delattr(os, "uname")
    monkeypatch.setenv("COMPUTERNAME", host)
    assert (send(MaildirTransport(tmp_path), message).provider_id or "").endswith(f".{written}")


def test_a_maildir_that_cannot_be_made_is_reported(edge: Edge, run: Any, tmp_path: Path) -> None:
    """``verify`` makes the folders, or says why it cannot."""
    run(MaildirTransport(tmp_path / "box").open(edge).verify)
    assert len(list((tmp_path / "box").iterdir())) == 3
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DeliveryError):
        run(MaildirTransport(tmp_path / "file").open(edge).verify)


def test_its_url() -> None:
    """``maildir://`` and a path is its URL, and its name."""
    transport = transport_from_url("maildir:///var/mail/out")
    assert transport == MaildirTransport(Path("/var/mail/out"))
    assert str(transport) == "maildir:///var/mail/out"
