"""SMTPServer as an LMTP server: LHLO, a reply for each recipient, and unix sockets."""

from __future__ import annotations

import smtplib
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from mailkit.errors import ConfigurationError
from mailkit.testing import Disconnect, SMTPServer, Stall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testing.conftest import Connect, RawClient

ENVELOPE = b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test> NOTIFY=NEVER\r\nRCPT TO:<c@x.test>\r\n"


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    """Run an LMTP server."""
    with SMTPServer(lmtp=True) as running:
        yield running


@pytest.fixture
def client(server: SMTPServer, connect: Connect) -> RawClient:
    """Connect a client that has said LHLO."""
    raw = connect(server)
    assert raw.reply() == b"220 mx.test LMTP mailkit test server\r\n"
    assert raw.ask("LHLO client.example").startswith(b"250-mx.test")
    return raw


def test_the_verbs_are_those_of_lmtp(server: SMTPServer, client: RawClient) -> None:
    """EHLO and HELO are unknown (RFC 2033 §4.1), and the URL says lmtp."""
    assert client.ask("EHLO client.example").startswith(b"500")
    assert client.ask("HELO client.example").startswith(b"500")
    assert server.url == f"lmtp://127.0.0.1:{server.port}"


@pytest.mark.parametrize("content", [b"DATA\r\n", b"BDAT 4 LAST\r\nhi\r\n"])
def test_each_recipient_gets_a_reply(server: SMTPServer, client: RawClient, content: bytes) -> None:
    """After the content come as many replies as recipients were accepted, and only who got a 2xx has the message."""
    server.script("DOT", "452 4.2.2 mailbox full", match="b@x.test")
    client.send(ENVELOPE + content)
    assert client.codes(4) == [250, 250, 250, 250]
    if content.startswith(b"DATA"):
        assert client.code() == 354
        client.send(b"hi\r\n.\r\n")
    assert client.codes(3) == [250, 452, 250]
    (message,) = server.messages
    assert message.rcpt_to == ("a@x.test", "c@x.test")
    assert message.rcpt_parameters == ({}, {})
    assert server.committed[0].rcpt_to == ("a@x.test", "b@x.test", "c@x.test")
    assert server.accepted_count == 1


def test_replies_can_end_in_the_middle(server: SMTPServer, client: RawClient) -> None:
    """After k of n replies the connection ends: those recipients have the message, the others have not."""
    server.script("DOT", Disconnect(after_bytes=2), match="b@x.test")
    client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
    client.codes(4)
    assert client.code() == 250
    assert client.rest() == b"25"
    assert server.messages[0].rcpt_to == ("a@x.test",)


def test_a_stalled_reply_holds_back_the_later_ones(server: SMTPServer, client: RawClient) -> None:
    """While the second reply stalls the first recipient alone has the message; after release all have it."""
    server.script("DOT", Stall(), match="b@x.test")
    client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
    client.codes(5)
    assert server.wait_until(lambda s: s.held == 1)
    assert server.messages[0].rcpt_to == ("a@x.test",)
    server.release()
    assert client.codes(2) == [250, 250]
    assert len(server.messages[0].rcpt_to) == 3


def test_without_recipients_there_is_no_data_and_no_reply(server: SMTPServer, client: RawClient) -> None:
    """DATA gets 503 (RFC 2033 §4.2); a scripted 354 is followed by no reply, as nobody is owed one."""
    client.ask("MAIL FROM:<>")
    assert client.ask("DATA").startswith(b"503")
    server.script("DATA", "354 go on")
    assert client.ask("DATA").startswith(b"354")
    client.send(b".\r\n")
    assert client.ask("NOOP").startswith(b"250")


def test_oversized_content_is_refused_for_each_recipient(connect: Connect) -> None:
    """Each recipient gets its own 552."""
    with SMTPServer(lmtp=True, max_size=1) as server:
        client = connect(server)
        client.reply()
        client.ask("LHLO client.example")
        client.send(ENVELOPE + b"BDAT 2 LAST\r\nhi")
        assert client.codes(7) == [250, 250, 250, 250, 552, 552, 552]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no AF_UNIX in Python")
def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    """Smtplib's LMTP client delivers over the socket, which goes away with the server."""
    path = tmp_path / "lmtp.sock"
    with SMTPServer(lmtp=True, unix_path=path, users={"u": "p"}) as server:
        assert server.url == f"lmtp://{path}"
        assert server.url_for("u") == f"lmtp://u:p@{path}"
        with smtplib.LMTP(str(path)) as client:
            assert client.sendmail("a@x.test", ["b@x.test"], "Subject: x\r\n\r\n") == {}
        assert server.messages[0].peer == ""
        with pytest.raises(ConfigurationError, match="cannot listen on"):
            SMTPServer(lmtp=True, unix_path=str(path)).start()
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(path))
            assert raw.recv(4) == b"220 "
    assert not path.exists()
