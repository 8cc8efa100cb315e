"""SMTPServer in a conversation that goes well."""

from __future__ import annotations

import re
import smtplib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

import mailkit.testing
from mailkit.errors import ConfigurationError
from mailkit.testing import Certificate, SMTPServer

if TYPE_CHECKING:
    from tests.testing.conftest import Connect

    from mailkit.testing import ReceivedMessage

SIMPLE = b"Subject: Hello\r\n\r\nHi Bob\r\n"


def test_smtplib_can_deliver_and_the_message_arrives_with_its_envelope() -> None:
    """A message that smtplib sends is kept with sender, recipients, parameters and exact bytes."""
    with SMTPServer() as server:
        with smtplib.SMTP(server.host, server.port, local_hostname="client.example") as client:
            refused = client.sendmail(
                "ada@example.com", ["bob@example.org", "eve@example.net"], SIMPLE, rcpt_options=["NOTIFY=NEVER"]
            )
        (message,) = server.wait_for(1)
        assert refused == {}
        assert message.mail_from == "ada@example.com"
        assert message.rcpt_to == ("bob@example.org", "eve@example.net")
        assert message.data == SIMPLE
        assert message.mail_parameters == {"SIZE": str(len(SIMPLE))}
        assert message.rcpt_parameters == ({"NOTIFY": "NEVER"}, {"NOTIFY": "NEVER"})
        assert (message.via, message.helo, message.user, message.tls) == ("DATA", "client.example", None, None)
        assert (message.peer, message.connection, message.number) == ("127.0.0.1", 1, 1)
        assert message.parse()["Subject"] == "Hello"
        assert server.committed == server.messages
        assert server.violations == ()


def test_a_pipelined_envelope_is_answered_in_one_write(connect: Connect) -> None:
    """Replies to a group of commands leave together, in order, when the group has been read."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n")
        assert client.codes(4) == [250, 250, 250, 354]
        client.send(b"one\r\n.\r\nMAIL FROM:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n")
        assert client.codes(4) == [250, 250, 250, 354]
        client.send(b"two\r\n.\r\nQUIT\r\n")
        assert client.codes(2) == [250, 221]
        assert client.rest() == b""
        assert [message.data for message in server.messages] == [b"one\r\n", b"two\r\n"]
        assert server.violations == ()


def test_round_trips_are_counted_where_the_server_had_to_wait(connect: Connect) -> None:
    """Greeting, EHLO, envelope, content and QUIT cost five waits, whatever the number of commands in a group."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        (record,) = server.connections
        assert server.wait_until(lambda _: record.round_trips == 1)
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n")
        client.codes(4)
        client.send(b"one\r\n.\r\n")
        client.code()
        client.send(b"QUIT\r\n")
        client.code()
        client.close()
        assert server.wait_until(lambda _: record.closed)
        assert record.round_trips == 4
        assert record.writes == 5
        assert record.verbs == ("EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT")


def test_waits_in_the_middle_of_a_chunk_are_no_round_trips(connect: Connect) -> None:
    """A chunk that arrives in pieces costs the same one round trip as a chunk in one piece."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 6 LAST\r\nab")
        assert client.codes(2) == [250, 250]  # the server needs more, so it has said what it can
        client.send(b"cd\r\n")
        assert client.code() == 250
        assert server.connections[0].round_trips == 2
        assert server.messages[0].data == b"abcd\r\n"
        assert server.messages[0].via == "BDAT"


def test_chunks_are_joined(connect: Connect) -> None:
    """Several BDAT commands make one message, and an empty last chunk is a chunk."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@x.test>\r\n")
        client.send(b"BDAT 3\r\na\n\0BDAT 2\r\n\r\xffBDAT 0 LAST\r\n")
        assert client.codes(5) == [250] * 5
        assert server.messages[0].data == b"a\n\0\r\xff"
        assert server.violations == ()


def test_dots_are_unstuffed_however_the_bytes_arrive(connect: Connect) -> None:
    """Content is cut at the lone dot and unstuffed, also when every byte comes in a write of its own."""
    wire = b"..\r\n...\r\na.\r\n.b\r\n\r\n.\r\n"
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        for number in range(2):
            client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
            client.codes(3)
            for piece in [wire] if number == 0 else [wire[at : at + 1] for at in range(len(wire))]:
                client.send(piece)
            assert client.code() == 250
        assert [message.data for message in server.messages] == [b".\r\n..\r\na.\r\nb\r\n\r\n"] * 2
        assert [violation.rule for violation in server.violations] == ["unstuffed-dot"] * 2


def test_an_empty_message_is_a_message(connect: Connect) -> None:
    """A dot right after the 354 ends content of no bytes."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
        client.codes(3)
        client.send(b".\r\n")
        assert client.code() == 250
        assert server.messages[0].data == b""


def test_only_crlf_dot_crlf_ends_content(connect: Connect) -> None:
    """None of the sequences that smuggle a second message past other servers ends content here."""
    sequences = [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n"]
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        for sequence in sequences:
            client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
            client.codes(3)
            client.send(b"x" + sequence + b"y\r\n.\r\n")
            assert client.code() == 250
        assert len(server.messages) == len(sequences)
        assert client.ask("NOOP").startswith(b"250")


def test_large_messages_are_read_away_and_refused(connect: Connect) -> None:
    """Content beyond max_size gets 552, under DATA as under BDAT, and the connection goes on."""
    with SMTPServer(max_size=1000) as server:
        client = connect(server)
        assert b"SIZE 1000\r\n" in client.hello()
        assert client.ask("MAIL FROM:<> SIZE=1001").startswith(b"552 5.3.4")
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
        client.codes(3)
        client.send(b"0123456789abcde\r\n" * 20000 + b".\r\n")
        assert client.code() == 552
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 600\r\n" + b"x" * 600)
        assert client.codes(3) == [250, 250, 250]
        client.send(b"BDAT 600\r\n" + b"y" * 600 + b"BDAT 1 LAST\r\nz")
        assert client.codes(2) == [552, 503]
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 1200 LAST\r\n" + b"y" * 1200)
        assert client.codes(3) == [250, 250, 552]
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
        client.codes(3)
        client.send(b"x" * 998 + b"\r\n.\r\n")
        assert client.code() == 250
        assert [len(message.data) for message in server.committed] == [1000]


def test_commands_out_of_sequence_get_503(connect: Connect) -> None:
    """The order of RFC 5321 §4.1.4 is enforced."""
    with SMTPServer(users={"ada": "secret"}) as server:
        client = connect(server)
        client.reply()
        for command, code in [
            ("MAIL FROM:<a@x.test>", b"503"),
            ("AUTH PLAIN", b"503"),
            ("RCPT TO:<a@x.test>", b"503"),
            ("DATA", b"503"),
            ("EHLO", b"501"),
            ("HELO client.example", b"250 mx.test\r\n"),
            ("MAIL FROM:<a@x.test> SIZE=3", b"555"),
            ("EHLO client.example", b"250-mx.test\r\n"),
            ("RCPT TO:<a@x.test>", b"503 5.5.1"),
            ("DATA", b"503"),
            ("BDAT 0 LAST", b"503"),
            ("MAIL FROM:<a@x.test>", b"250 2.1.0"),
            ("MAIL FROM:<a@x.test>", b"503"),
            ("AUTH PLAIN", b"503"),
            ("DATA", b"554 5.5.1"),
            ("DATA now", b"501"),
            ("RSET now", b"501"),
            ("RSET", b"250"),
            ("RCPT TO:<a@x.test>", b"503"),
            ("MAIL FROM:<a@x.test>", b"250"),
            ("RCPT TO:<a@x.test>", b"250 2.1.5"),
            ("BDAT 0", b"250"),
            ("RCPT TO:<a@x.test>", b"503"),
            ("DATA", b"503"),
            ("EHLO again.example", b"250"),
            ("DATA", b"503"),
            ("MAIL FROM:<> BODY=BINARYMIME", b"250"),
            ("RCPT TO:<a@x.test>", b"250"),
            ("DATA", b"503"),
            ("VRFY bob", b"252"),
            ("VRFY", b"501"),
            ("EXPN list", b"502"),
            ("HELP", b"214"),
            ("NOOP whatever", b"250"),
            ("LHLO client.example", b"500"),
            ("TURN", b"500"),
            ("STARTTLS", b"502"),
            ("QUIT now", b"501"),
            ("QUIT", b"221"),
        ]:
            assert client.ask(command).startswith(code), command


def test_a_chunk_without_valid_recipient_ends_its_transaction(connect: Connect) -> None:
    """As with Postfix, a refused BDAT LAST gets 554 and the next MAIL in the pipeline is welcome."""
    with SMTPServer() as server:
        server.script("RCPT", "550 5.1.1 no such user", match="nobody@x.test")
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<nobody@x.test>\r\nBDAT 2 LAST\r\nhi")
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<bob@x.test>\r\nBDAT 4 LAST\r\nhi\r\n")
        assert client.codes(6) == [250, 550, 554, 250, 250, 250]
        client.send(b"MAIL FROM:<>\r\nBDAT 2\r\nhi")
        assert client.codes(2) == [250, 554]
        client.send(b"RCPT TO:<bob@x.test>\r\nBDAT 0 LAST\r\n")
        assert client.codes(2) == [503, 503]
        assert [message.data for message in server.messages] == [b"hi\r\n"]


def test_limits_are_announced_and_enforced(connect: Connect) -> None:
    """RCPTMAX and RCPTDOMAINMAX give 452 4.5.3, and a MAIL beyond MAILMAX ends the connection with 421."""
    with SMTPServer(limits={"RCPTMAX": 2, "RCPTDOMAINMAX": 1, "MAILMAX": 2}) as server:
        client = connect(server)
        assert b"LIMITS RCPTMAX=2 RCPTDOMAINMAX=1 MAILMAX=2\r\n" in client.hello()
        client.ask("MAIL FROM:<>")
        assert client.ask("RCPT TO:<a@x.test>").startswith(b"250")
        assert client.ask("RCPT TO:<a@y.test>").startswith(b"452 4.5.3")
        assert client.ask("RCPT TO:<b@X.test>").startswith(b"250")
        assert client.ask("RCPT TO:<c@x.test>").startswith(b"452 4.5.3")
        client.ask("RSET")
        client.ask("MAIL FROM:<>")
        client.ask("RSET")
        assert client.ask("MAIL FROM:<>").startswith(b"421 4.7.0")
        assert client.rest() == b""
    with SMTPServer(limits={"RCPTDOMAINMAX": 1}, without=["limits"]) as server:
        client = connect(server)
        assert b"LIMITS" not in client.hello()
        client.ask("MAIL FROM:<>")
        assert client.ask("RCPT TO:<postmaster>").startswith(b"250")


def test_extensions_can_be_added_changed_and_left_out(connect: Connect) -> None:
    """EHLO offers what the server was told to offer, and enhanced codes go only where they were offered."""
    with SMTPServer(extensions=["REQUIRETLS", "SIZE 0"], without=["CHUNKING", "ENHANCEDSTATUSCODES"]) as server:
        client = connect(server)
        offered = client.hello().split(b"\r\n")
        assert b"250 REQUIRETLS" in offered
        assert b"250-SIZE 0" in offered
        assert not any(b"CHUNKING" in line or b"ENHANCED" in line for line in offered)
        assert client.ask("MAIL FROM:<>") == b"250 OK\r\n"
        client.send(b"BDAT 2 LAST\r\nhi")
        assert client.reply() == b"502 Not implemented\r\n"
        assert client.ask("MAIL FROM:<> REQUIRETLS").startswith(b"530")
        assert [violation.rule for violation in server.violations] == ["bdat-not-offered"]


def test_addresses_beyond_ascii_need_smtputf8(connect: Connect) -> None:
    """A UTF-8 address is refused without SMTPUTF8 in MAIL, and kept as text with it."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        assert client.ask("MAIL FROM:<jörg@x.test>").startswith(b"553 5.6.7")
        client.ask("MAIL FROM:<>")
        assert client.ask("RCPT TO:<jörg@x.test>").startswith(b"553 5.6.7")
        client.ask("RSET")
        client.ask("MAIL FROM:<jörg@x.test> SMTPUTF8")
        client.send("RCPT TO:<jörg@höhe.test>\r\nBDAT 4 LAST\r\nö\r\n".encode())
        assert client.codes(2) == [250, 250]
        assert (server.messages[0].mail_from, server.messages[0].rcpt_to) == ("jörg@x.test", ("jörg@höhe.test",))
        assert server.violations == ()


def test_on_message_sees_each_message_and_may_decide(connect: Connect) -> None:
    """What the hook returns is the reply, and a refusal keeps the message out of `messages`."""
    seen: list[str] = []

    def decide(message: ReceivedMessage) -> str | None:
        seen.append(message.mail_from)
        return None if message.mail_from else "554 5.7.1 no bounces\nplease"

    with SMTPServer(on_message=decide) as server:
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 0 LAST\r\n")
        assert client.codes(2) == [250, 250]
        assert client.reply() == b"554-5.7.1 no bounces\r\n554 please\r\n"
        client.send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<a@x.test>\r\nBDAT 0 LAST\r\n")
        assert client.codes(3) == [250, 250, 250]
        assert seen == ["", "a@x.test"]
        assert [message.number for message in server.committed] == [1, 2]
        assert [message.number for message in server.messages] == [2]


def test_counts_only_keeps_numbers(connect: Connect) -> None:
    """With keep="counts" neither messages nor conversations are kept, and wait_for still counts."""
    with SMTPServer(keep="counts") as server:
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 0 LAST\r\n")
        client.codes(3)
        assert server.wait_for(1) == ()
        assert server.accepted_count == 1
        assert server.kick("250 unasked") == 1
        assert (server.committed, server.connections[0].commands, server.connections[0].transcript) == ((), [], "")


def test_waiting_in_vain_says_what_happened() -> None:
    """wait_for raises TimeoutError with the counts, and wait_until returns False."""
    with SMTPServer() as server:
        with pytest.raises(TimeoutError, match="accepted 0 of 1 messages within 0"):
            server.wait_for(1, timeout=0.0)
        assert not server.wait_until(lambda _: False, timeout=0.0)


def test_the_transcript_shows_the_conversation_without_content(connect: Connect) -> None:
    """The transcript has each line of both sides in wire order, and no content."""
    with SMTPServer() as server:
        client = connect(server)
        client.reply()
        client.ask("HELO client.example")
        client.ask("MAIL FROM:<>")
        client.ask("RCPT TO:<a@x.test>")
        client.ask("DATA")
        client.send(b"private\r\n.\r\n")
        client.reply()
        assert server.transcript.splitlines() == [
            "-- connection 1",
            "S: 220 mx.test ESMTP mailkit test server",
            "C: HELO client.example",
            "S: 250 mx.test",
            "C: MAIL FROM:<>",
            "S: 250 OK",
            "C: RCPT TO:<a@x.test>",
            "S: 250 OK",
            "C: DATA",
            "S: 354 End data with <CR><LF>.<CR><LF>",
            "S: 250 OK: queued as 00000001",
        ]


def test_closing_ends_connections_and_threads(connect: Connect) -> None:
    """After close no thread of the server is left, clients see the end, and the port is free again."""
    before = {*threading.enumerate()}
    server = SMTPServer().start()
    client = connect(server)
    client.hello()
    repr(server)
    server.close()
    server.close()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.line()
    assert {*threading.enumerate()} <= before  # one of other tests may have ended as well
    with SMTPServer(port=server.port) as again:
        assert again.port == server.port
        assert repr(again) == f"<SMTPServer smtp://127.0.0.1:{server.port}>"
        assert again.host == "127.0.0.1"


def test_closing_from_the_hook_does_not_wait_for_itself(connect: Connect) -> None:
    """close() inside on_message ends the server without a deadlock."""
    server = SMTPServer(on_message=lambda _: server.close())
    server.start()
    client = connect(server)
    client.hello()
    client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 0 LAST\r\n")
    with pytest.raises((EOFError, ConnectionResetError)):
        client.codes(3)


def test_it_listens_on_ipv6() -> None:
    """An IPv6 loopback address works and its URL has brackets."""
    with SMTPServer(host="::1") as server, smtplib.SMTP("::1", server.port) as client:
        assert client.noop()[0] == 250
        assert server.url == f"smtp://[::1]:{server.port}"
        assert server.connections[0].peer == "::1"


def test_urls_carry_credentials_only_when_asked() -> None:
    """Url never holds a secret, and url_for percent-encodes user and password or token."""
    with SMTPServer(users={"a@b": "p:/%"}, tokens={"t": "tok"}) as server:
        assert server.url == f"smtp://127.0.0.1:{server.port}"
        assert server.url_for("a@b") == f"smtp://a%40b:p%3A%2F%25@127.0.0.1:{server.port}"
        assert server.url_for("t") == f"smtp://t:tok@127.0.0.1:{server.port}"
        with pytest.raises(ConfigurationError, match="no user 'x': name one of"):
            server.url_for("x")
        with pytest.raises(ConfigurationError, match="no ca_file"):
            _ = server.ca_file


def test_arguments_that_do_not_fit_are_refused() -> None:
    """Unix sockets without LMTP and ports that are taken raise ConfigurationError."""
    with pytest.raises(ConfigurationError, match="lmtp=True"):
        SMTPServer(unix_path="/nowhere")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {port}"):
            SMTPServer(port=port).start()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"host": "192.0.2.1"}, "loopback addresses only, not on '192.0.2.1'"),
        ({"host": "localhost"}, "use 127.0.0.1 or ::1"),
        ({"hostname": "höhe.test"}, "cannot call itself 'höhe.test'"),
        ({"hostname": ""}, "cannot call itself ''"),
        ({"hostname": "a\nb"}, "ASCII form"),
        ({"hostname": "a b"}, "ASCII form"),
        ({"tls": "STARTTLS"}, "no TLS mode 'STARTTLS': use one of None, starttls, implicit"),
        ({"tls": "implicit", "certificate": "outdated"}, "no kind of certificate 'outdated'"),
        ({"tls": "implicit", "certificate": Certificate(chain=b"", key=b"", authority=b"")}, "in PEM form"),
        ({"mechanisms": ["GSSAPI"]}, "no mechanism 'GSSAPI': use one of SCRAM-SHA-256-PLUS"),
        ({"limits": {"RCPT": 1}}, "no limit 'RCPT': use one of RCPTMAX"),
    ],
)
def test_slips_in_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    """A value that would be ignored or misread raises ConfigurationError, which says what can be used."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        SMTPServer(**arguments)


def test_slips_in_the_script_are_refused() -> None:
    """An unknown phase, or a text without a code, raises ConfigurationError instead of never being played."""
    server = SMTPServer()
    with pytest.raises(ConfigurationError, match="no phase 'rcpt': use one of greeting, EHLO"):
        server.script("rcpt", "550 no")  # type: ignore[arg-type]
    for text in ("no such user", "99 x", "650 x", "250-x", "2505"):
        with pytest.raises(ConfigurationError, match="is no reply"):
            server.script("RCPT", text)
    assert server.unplayed == ()


def test_every_public_name_of_the_package_exists() -> None:
    """__all__ of mailkit.testing is sorted, complete and importable, and nothing else answers."""
    assert list(mailkit.testing.__all__) == sorted(mailkit.testing.__all__)
    for name in mailkit.testing.__all__:
        assert getattr(mailkit.testing, name) is not None
    assert set(mailkit.testing.__all__) <= set(dir(mailkit.testing))
    with pytest.raises(AttributeError, match="no attribute 'SMTPserver'"):
        _ = mailkit.testing.SMTPserver
