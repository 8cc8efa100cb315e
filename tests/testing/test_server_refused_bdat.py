"""What a server makes of a transaction whose last BDAT it has refused: RFC 3030 §2 leaves that open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from tests.testing.conftest import Connect

LETTER = b"Subject: Hi\r\n\r\nHi\r\n"
CHUNK = b"BDAT %d LAST\r\n%b" % (len(LETTER), LETTER)


@pytest.mark.parametrize("refusal", ["554 5.7.1 no", "452 4.3.1 later"])
def test_it_ends_unless_told_otherwise(connect: Connect, refusal: str) -> None:
    """Usually a refused BDAT LAST ends the transaction: what follows needs a MAIL."""
    with SMTPServer() as server:
        server.script("DOT", refusal)
        client = connect(server)
        client.code()
        client.ask("EHLO client.test")
        client.send(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n" + CHUNK)
        assert client.codes(3) == [250, 250, int(refusal[:3])]
        client.send(b"RCPT TO:<c@example.org>\r\n" + CHUNK)
        assert client.codes(2) == [503, 503]
        assert server.messages == ()


@pytest.mark.parametrize("refusal", ["554 5.7.1 no", "452 4.3.1 later"])
def test_it_stays_open_where_that_was_asked_for(connect: Connect, refusal: str) -> None:
    """Then another MAIL is out of place, recipients add up, and the next content goes to all of them."""
    with SMTPServer(keeps_refused_bdat=True) as server:
        server.script("DOT", refusal)
        client = connect(server)
        client.code()
        client.ask("EHLO client.test")
        client.send(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n" + CHUNK)
        assert client.codes(3) == [250, 250, int(refusal[:3])]
        client.send(b"MAIL FROM:<x@example.com>\r\nRCPT TO:<c@example.org>\r\n" + CHUNK)
        assert client.codes(3) == [503, 250, 250]
        (received,) = server.messages
        assert (received.mail_from, received.rcpt_to) == ("a@example.com", ("b@example.org", "c@example.org"))
        assert received.data == LETTER


def test_without_recipients_it_stays_open_as_well(connect: Connect) -> None:
    """A BDAT LAST that was refused for want of recipients leaves the sender in place; RSET clears it."""
    with SMTPServer(keeps_refused_bdat=True) as server:
        server.script("RCPT", "550 5.1.1 no")
        client = connect(server)
        client.code()
        client.ask("EHLO client.test")
        client.send(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n" + CHUNK)
        assert client.codes(3) == [250, 550, 554]
        client.send(b"RCPT TO:<c@example.org>\r\n" + CHUNK)
        assert client.codes(2) == [250, 250]
        assert [received.mail_from for received in server.messages] == ["a@example.com"]
        client.send(b"RSET\r\nMAIL FROM:<x@example.com>\r\n")
        assert client.codes(2) == [250, 250]


def test_over_lmtp_it_stays_open_when_nobody_got_it(connect: Connect) -> None:
    """With several answers it is refused only if all of them are."""
    with SMTPServer(lmtp=True, keeps_refused_bdat=True) as server:
        server.script("DOT", "452 4.2.2 full", match="b@example.org")
        client = connect(server)
        client.code()
        client.ask("LHLO client.test")
        client.send(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n" + CHUNK)
        assert client.codes(3) == [250, 250, 452]
        client.send(b"RCPT TO:<c@example.org>\r\n" + CHUNK)
        assert client.codes(3) == [250, 250, 250]
        assert [received.rcpt_to for received in server.messages] == [("b@example.org", "c@example.org")]
