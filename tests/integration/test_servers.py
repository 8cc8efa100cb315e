"""The servers do what the other tests rely on: seen through smtplib, so that mailkit has no part in it."""

from __future__ import annotations

import smtplib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .cutting_proxy import Cut, CuttingProxy
from .dovecot import ACCOUNTS
from .postfix import (
    CONTENT_REPLIES,
    ERROR_LIMIT,
    RECIPIENT_LIMIT,
    RECIPIENT_REPLIES,
    SENDER_REPLIES,
    SIZE_LIMIT,
)
from .stdlib_client import CONTENT, HOST, SENDER, encrypted, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from .dovecot import Dovecot
    from .opensmtpd import OpenSMTPD
    from .postfix import Postfix
    from .smtp_sink import SmtpSink


def code_and_text(reply: str) -> tuple[int, str]:
    """The parts of a line such as "450 4.2.0 not now"."""
    code, _, text = reply.partition(" ")
    return int(code), text


class TestPostfix:
    """Delivery, refusals and the ports."""

    def test_delivers_what_it_was_sent(self, postfix: Postfix, domain: str) -> None:
        """What arrives in the maildir is what was sent, with nothing but trace fields added on top."""
        with session(postfix.ports.smtp) as client:
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        delivered = postfix.mailboxes.one(f"bob@{domain}")
        assert delivered.content == CONTENT
        assert delivered.return_path == SENDER
        assert postfix.mailboxes.of(f"eve@{domain}") == []

    def test_each_recipient_has_a_copy(self, postfix: Postfix, domain: str) -> None:
        """Five recipients at once become five messages, one for each."""
        names = [f"user{number}@{domain}" for number in range(5)]
        with session(postfix.ports.smtp) as client:
            client.sendmail(SENDER, names, CONTENT)
        delivered = postfix.mailboxes.wait(f"@{domain}", count=5)
        assert sorted(each.recipient for each in delivered) == names

    @pytest.mark.parametrize("local", ["refused", "gone", "deferred", "greylisted", "full", "overfull"])
    def test_answers_for_one_recipient(self, postfix: Postfix, domain: str, local: str) -> None:
        """One recipient is refused with the code that its name asks for; the others get the message."""
        code, text = code_and_text(RECIPIENT_REPLIES[local])
        with session(postfix.ports.smtp) as client:
            refused = client.sendmail(SENDER, [f"bob@{domain}", f"{local}@{domain}"], CONTENT)
        [(address, (answered, answer))] = refused.items()
        assert (address, answered) == (f"{local}@{domain}", code)
        assert answer.decode().startswith(text.split()[0])
        assert answer.decode().endswith(text.split(" ", 1)[1])
        postfix.mailboxes.one(f"bob@{domain}")
        assert postfix.mailboxes.of(f"{local}@{domain}") == []

    def test_hangs_up_at_a_recipient(self, postfix: Postfix, domain: str) -> None:
        """The recipient "closing" is answered with a 421 and the end of the connection."""
        with session(postfix.ports.smtp) as client:
            client.mail(SENDER)
            assert client.rcpt(f"closing@{domain}")[0] == 421
            with pytest.raises(smtplib.SMTPServerDisconnected):
                client.noop()

    @pytest.mark.parametrize("local", ["refused-sender", "deferred-sender", "closing-sender"])
    def test_answers_for_a_sender(self, postfix: Postfix, local: str) -> None:
        """Senders are refused at MAIL, before any recipient."""
        code, _ = code_and_text(SENDER_REPLIES[local])
        client = session(postfix.ports.smtp)
        assert client.mail(f"{local}@example.test")[0] == code
        client.close()

    @pytest.mark.parametrize("local", sorted(CONTENT_REPLIES))
    def test_answers_after_the_data(self, postfix: Postfix, domain: str, local: str) -> None:
        """A message can be refused or deferred after its final dot."""
        code, _ = code_and_text(CONTENT_REPLIES[local])
        with session(postfix.ports.smtp) as client, pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail(f"{local}@example.test", [f"bob@{domain}"], CONTENT)
        assert caught.value.smtp_code == code
        assert postfix.mailboxes.of(f"bob@{domain}") == []

    def test_refused_data_leaves_the_transaction_open(self, postfix: Postfix, domain: str) -> None:
        """Refused by smtpd_end_of_data_restrictions, a message that came by DATA is not forgotten before RSET."""
        with session(postfix.ports.smtp) as client:
            client.mail("refused-content@example.test")
            client.rcpt(f"bob@{domain}")
            assert client.data(CONTENT)[0] == 554
            assert client.mail(SENDER)[0] == 503  # although RFC 5321 §4.1.1.4 has the dot clear the buffers
            client.rset()
            assert client.mail(SENDER)[0] == 250

    def test_relays_nowhere(self, postfix: Postfix) -> None:
        """A recipient elsewhere is refused: no test can reach a stranger."""
        with session(postfix.ports.smtp) as client:
            client.mail(SENDER)
            assert client.rcpt("bob@example.org")[0] == 554

    @pytest.mark.parametrize(
        ("port", "missing"),
        [
            ("smtp", set[str]()),
            ("no_chunking", {"chunking"}),
            ("no_pipelining", {"chunking", "pipelining"}),
            ("seven_bit", {"8bitmime", "smtputf8"}),
            ("no_smtputf8", {"smtputf8"}),
            ("no_starttls", {"starttls"}),
            (
                "bare",
                {"chunking", "pipelining", "8bitmime", "smtputf8", "starttls", "size", "dsn"}
                | {"enhancedstatuscodes", "vrfy", "etrn"},
            ),
        ],
    )
    def test_ports_offer_what_they_say(self, postfix: Postfix, port: str, missing: set[str]) -> None:
        """Each port leaves out the extensions that it is named after, and takes mail."""
        everything = {"pipelining", "size", "vrfy", "etrn", "starttls", "enhancedstatuscodes", "8bitmime"}
        everything |= {"dsn", "smtputf8", "chunking"}
        with session(getattr(postfix.ports, port)) as client:
            assert set(client.esmtp_features) == everything - missing

    def test_size_is_limited(self, postfix: Postfix, domain: str) -> None:
        """The small port announces its limit and refuses more, said beforehand or not."""
        large = CONTENT + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * (SIZE_LIMIT // 72)
        with session(postfix.ports.small) as client:
            assert client.esmtp_features["size"] == str(SIZE_LIMIT)
            assert client.mail(SENDER, [f"SIZE={len(large)}"])[0] == 552
            client.rset()  # Postfix 3.7 holds the size against the next MAIL too, if that names none
            client.mail(SENDER)
            assert client.rcpt(f"bob@{domain}")[0] == 250
            assert client.data(large)[0] == 552
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        assert postfix.mailboxes.one(f"bob@{domain}").content == CONTENT

    def test_recipients_are_limited(self, postfix: Postfix, domain: str) -> None:
        """After ten recipients the next is told to come in another transaction."""
        with session(postfix.ports.few_recipients) as client:
            client.mail(SENDER)
            codes = [client.rcpt(f"u{number}@{domain}") for number in range(RECIPIENT_LIMIT + 1)]
        assert [code for code, _ in codes] == [250] * RECIPIENT_LIMIT + [452]
        assert codes[-1][1].startswith(b"4.5.3")

    def test_patience_is_limited(self, postfix: Postfix, domain: str) -> None:
        """The impatient port hangs up with a 421 when a session makes too many errors."""
        with session(postfix.ports.impatient) as client:
            client.mail(SENDER)
            codes = [client.rcpt(f"refused@{domain}")[0] for _ in range(ERROR_LIMIT + 1)]
            assert codes == [550] * ERROR_LIMIT + [421]
            with pytest.raises(smtplib.SMTPServerDisconnected):
                client.noop()

    def test_smtputf8_reaches_its_mailbox(self, postfix: Postfix, domain: str) -> None:
        """Addresses in UTF-8 are delivered, local part and domain."""
        recipient = f"jürgen@{domain.removesuffix('example.test')}bücher.test"
        with session(postfix.ports.smtp) as client:
            client.sendmail("søren@example.test", [recipient], CONTENT, mail_options=["SMTPUTF8"])
        delivered = postfix.mailboxes.one(recipient)
        assert delivered.content == CONTENT
        assert "søren@example.test" in delivered.data.decode()

    def test_binary_chunks_are_taken(self, postfix: Postfix, domain: str) -> None:
        """A message in two BDAT chunks arrives whole."""
        with session(postfix.ports.smtp) as client:
            client.mail(SENDER)
            client.rcpt(f"bob@{domain}")
            client.send(b"BDAT 10\r\n" + CONTENT[:10])
            assert client.getreply()[0] == 250
            client.send(b"BDAT %d LAST\r\n" % (len(CONTENT) - 10) + CONTENT[10:])
            assert client.getreply()[0] == 250
        assert postfix.mailboxes.one(f"bob@{domain}").content == CONTENT

    def test_delivers_a_thousand_quickly(self, postfix: Postfix, domain: str) -> None:
        """A thousand messages to a thousand recipients arrive, each once, and leave the queue empty."""
        with session(postfix.ports.smtp) as client:
            for first in range(0, 1000, 50):
                client.sendmail(SENDER, [f"u{number}@{domain}" for number in range(first, first + 50)], CONTENT)
        delivered = postfix.mailboxes.wait(f"@{domain}", count=1000, seconds=30)
        assert {each.recipient for each in delivered} == {f"u{number}@{domain}" for number in range(1000)}


class TestDovecot:
    """LMTP and submission."""

    @pytest.mark.parametrize("over", ["tcp", "unix"])
    def test_lmtp_answers_for_each_recipient(self, dovecot: Dovecot, domain: str, over: str) -> None:
        """RCPT is refused for some, and after the dot there is a reply for each of the others, in order."""
        client = smtplib.LMTP(HOST, dovecot.ports.lmtp) if over == "tcp" else smtplib.LMTP(str(dovecot.lmtp_socket))
        with client:
            client.ehlo()
            assert "pipelining" in client.esmtp_features
            assert "chunking" in client.esmtp_features
            client.mail(SENDER)
            users = ("bob", "refused", "deferred", "broken", "full", "eve+tag")
            at_rcpt = [client.rcpt(f"{user}@{domain}")[0] for user in users]
            after_dot = [client.data(CONTENT)[0], *(client.getreply()[0] for _ in range(3))]
        assert at_rcpt == [250, 550, 451, 250, 250, 250]
        assert after_dot == [250, 451, 552, 250]
        delivered = dovecot.mailboxes.wait(f"@{domain}", count=2)
        assert {each.recipient for each in delivered} == {f"bob@{domain}", f"eve+tag@{domain}"}
        assert {each.content for each in delivered} == {CONTENT}

    @pytest.mark.parametrize("port", ["submission", "submissions"])
    def test_submission_relays_to_postfix(self, dovecot: Dovecot, postfix: Postfix, domain: str, port: str) -> None:
        """A message that is submitted with a login arrives in Postfix's maildir; a refusal is passed on."""
        context = postfix.certificates.client_context()
        client: Any = (
            encrypted(dovecot.ports.submission, context)
            if port == "submission"
            else smtplib.SMTP_SSL(HOST, dovecot.ports.submissions, context=context)
        )
        with client:
            assert client.mail(SENDER)[0] == 530
            client.login(ACCOUNTS["any"].username, ACCOUNTS["any"].password)
            refused = client.sendmail(SENDER, [f"bob@{domain}", f"refused@{domain}"], CONTENT)
        assert {address: code for address, (code, _) in refused.items()} == {f"refused@{domain}": 550}
        assert postfix.mailboxes.one(f"bob@{domain}").content == CONTENT


class TestOpenSMTPD:
    """Plain SMTP with few extensions."""

    def test_delivers_refuses_and_defers(self, opensmtpd: OpenSMTPD, domain: str) -> None:
        """The good recipient gets the message, the others the replies that their names ask for."""
        with session(opensmtpd.port) as client:
            assert set(client.esmtp_features) == {"8bitmime", "enhancedstatuscodes", "size", "dsn", "help"}
            users = ("bob", "refused", "deferred")
            refused = client.sendmail(SENDER, [f"{user}@{domain}" for user in users], CONTENT)
            assert client.mail("refused-sender@example.test")[0] == 550
        assert {address: code for address, (code, _) in refused.items()} == {
            f"refused@{domain}": 550,
            f"deferred@{domain}": 450,
        }
        delivered = opensmtpd.mailboxes.one(f"bob@{domain}")
        assert delivered.message["Subject"] == "hello"
        assert delivered.content.endswith(b"\r\n\r\nFirst line\r\n.a dot\r\n")

    def test_hangs_up_at_a_recipient(self, opensmtpd: OpenSMTPD, domain: str) -> None:
        """The recipient "closing" is answered with a 421 and the end of the connection."""
        with session(opensmtpd.port) as client:
            client.mail(SENDER)
            assert client.rcpt(f"closing@{domain}")[0] == 421
            with pytest.raises(smtplib.SMTPServerDisconnected):
                client.noop()

    def test_messages_of_a_session_are_limited(self, opensmtpd: OpenSMTPD, domain: str) -> None:
        """After a hundred messages the next MAIL is told to come in another session."""
        with session(opensmtpd.port) as client:
            for _ in range(opensmtpd.messages_a_session):
                client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
            assert client.mail(SENDER)[0] == 452
        opensmtpd.mailboxes.wait(f"bob@{domain}", count=opensmtpd.messages_a_session, seconds=30)


class TestSmtpSink:
    """Faults on demand."""

    def test_takes_a_message(self, smtp_sink: Callable[..., SmtpSink]) -> None:
        """A sink that dumps keeps what it was sent."""
        sink = smtp_sink(dump=True)
        with session(sink.port) as client:
            client.sendmail(SENDER, ["bob@example.test"], CONTENT)
        [message] = sink.messages()
        assert message.endswith(CONTENT.replace(b"\r\n", b"\n") + b"\n")

    def test_hangs_up_on_demand(self, smtp_sink: Callable[..., SmtpSink]) -> None:
        """With -q the sink is gone at DATA; with -Q it says 421 first."""
        for option, error in (("-q", smtplib.SMTPServerDisconnected), ("-Q", smtplib.SMTPDataError)):
            sink = smtp_sink(option, "DATA")
            with session(sink.port) as client, pytest.raises(error):
                client.sendmail(SENDER, ["bob@example.test"], CONTENT)

    def test_refuses_on_demand(self, smtp_sink: Callable[..., SmtpSink]) -> None:
        """With -r a command is answered with a 4xx, with -f with a 5xx."""
        for option, code in (("-r", 450), ("-f", 500)):
            sink = smtp_sink(option, "MAIL")
            with session(sink.port) as client:
                assert client.mail(SENDER)[0] == code

    def test_speaks_lmtp(self, smtp_sink: Callable[..., SmtpSink]) -> None:
        """With -L the sink wants LHLO."""
        sink = smtp_sink("-L")
        with smtplib.LMTP(HOST, sink.port) as client:
            client.sendmail(SENDER, ["bob@example.test"], CONTENT)


class TestCutBeforeAServer:
    """The proxy in front of a real server."""

    def test_reply_lost_after_the_commit_point(self, postfix: Postfix, domain: str) -> None:
        """Cut before the reply to the final dot, the client knows nothing and the message is delivered."""
        with CuttingProxy(postfix.ports.smtp) as proxy, session(proxy.port) as client:
            client.sendmail(SENDER, [f"alice@{domain}"], CONTENT)
            client.quit()
            replies = bytes(proxy.exchanges[0].to_client)
        start_of_last = replies.index(b"250 2.0.0 Ok: queued as")
        lost_reply = Cut("to_client", start_of_last, moment="at_next")
        gone = pytest.raises(smtplib.SMTPServerDisconnected)
        with CuttingProxy(postfix.ports.smtp, [lost_reply]) as proxy, session(proxy.port) as client, gone:
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        assert postfix.mailboxes.one(f"bob@{domain}").content == CONTENT

    def test_nothing_is_delivered_without_the_last_byte(self, postfix: Postfix, domain: str) -> None:
        """Cut one byte before the message is complete, nothing arrives, also not before the next message."""
        with CuttingProxy(postfix.ports.smtp) as proxy, session(proxy.port) as client:
            client.sendmail(SENDER, [f"alice@{domain}"], CONTENT)
            client.quit()
            commands = bytes(proxy.exchanges[0].to_server)
        complete = commands.index(b"\r\n.\r\n") + len(b"\r\n.\r\n") - len("alice") + len("bob")
        lost_byte = Cut("to_server", complete - 1, "reset")
        gone = pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError))
        with CuttingProxy(postfix.ports.smtp, [lost_byte]) as proxy, session(proxy.port) as client, gone:
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        with session(postfix.ports.smtp) as client:
            client.sendmail(SENDER, [f"carol@{domain}"], CONTENT)
        postfix.mailboxes.one(f"carol@{domain}")
        assert postfix.mailboxes.of(f"bob@{domain}") == []


def test_every_port_is_on_loopback_only(postfix: Postfix, dovecot: Dovecot, opensmtpd: OpenSMTPD) -> None:
    """No server can be reached from another machine: its ports are bound to 127.0.0.1."""
    ports = {postfix.ports.smtp, postfix.ports.submission, dovecot.ports.lmtp, opensmtpd.port}
    table = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    bound = [line.split()[1].split(":") for line in table]
    addresses = {int(port, 16): address for address, port in bound if int(port, 16) in ports}
    assert addresses == dict.fromkeys(ports, socket.inet_aton(HOST)[::-1].hex().upper())
