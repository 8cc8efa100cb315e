"""Connections that end at a chosen byte in front of a real Postfix: what mailkit says is what Postfix did.

Never "not sent" if it was delivered, never "accepted" if it was not, "unknown" only in between, and nothing twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from mailkit import DeliveryError, DeliveryTimeout, Mailer, OutcomeUnknownError, RetryPolicy
from mailkit.smtp import SMTP, Timeouts

from .cutting_proxy import Cut, CuttingProxy
from .letters import note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailkit import Message

    from .colours import Post
    from .postfix import Postfix

PORTS = ["smtp", "no_chunking", "no_pipelining"]

IMPATIENT = Timeouts(greeting=0.3, command=0.3, data_end=0.3)

#: Complete replies that the client has read when the content leaves (greeting, EHLO; MAIL, RCPT, DATA), and in all.
REPLIES_BEFORE_CONTENT = {"smtp": 2, "no_chunking": 5, "no_pipelining": 5}
REPLIES_WITH_CONTENT = {"smtp": 5, "no_chunking": 6, "no_pipelining": 6}

_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n")


def through(proxy: CuttingProxy, **options: Any) -> SMTP:
    """The server behind the proxy, in clear."""
    return SMTP("127.0.0.1", port=proxy.port, tls="insecure", ehlo_name="client.example.test", **options)


def cut_send(postfix: Postfix, port: str, cut: Cut | None, recipient: str) -> tuple[str, int, bytes]:
    """Send over one connection: the outcome, how many complete replies the client saw, and what it wrote."""
    with CuttingProxy(getattr(postfix.ports, port), [cut]) as proxy:
        try:
            with Mailer(through(proxy), retry=RetryPolicy.none()) as mailer:
                mailer.send(note(recipient))
            outcome = "accepted"
        except DeliveryError as error:
            outcome = error.outcome
        assert proxy.exchanges[0].ended.wait(10)
        assert len(proxy.exchanges) == 1
        exchange = proxy.exchanges[0]
        return outcome, len(_REPLY.findall(bytes(exchange.to_client))), bytes(exchange.to_server)


def settled(postfix: Postfix, domain: str) -> set[str]:
    """Who got the message, once everything that was under way has arrived; nobody has it twice."""
    with Mailer(f"smtp://127.0.0.1:{postfix.ports.smtp}") as mailer:
        mailer.send(note(f"last@{domain}"))
    postfix.mailboxes.one(f"last@{domain}")
    postfix.wait_for_empty_queue()
    delivered = [each.recipient for each in postfix.mailboxes.of(f"@{domain}")]
    assert len(delivered) == len(set(delivered))
    return set(delivered) - {f"last@{domain}"}


def positions(length: int) -> Iterable[int]:
    """Every eleventh byte, and each of the last forty."""
    return sorted({*range(0, length, 11), *range(max(0, length - 40), length + 1)})


@pytest.mark.parametrize("port", PORTS)
def test_cut_at_the_servers_bytes(postfix: Postfix, domain: str, port: str) -> None:
    """Wherever the replies end, the outcome is the one that those before the end allow, and Postfix agrees."""
    with CuttingProxy(getattr(postfix.ports, port)) as proxy:
        with Mailer(through(proxy)) as mailer:
            mailer.send(note(f"whole@{domain}"))
        assert proxy.exchanges[0].ended.wait(10)
        length = len(proxy.exchanges[0].to_client)
    outcomes: dict[str, str] = {f"whole@{domain}": "accepted"}
    for after in positions(length):
        recipient = f"u{after:04}@{domain}"
        cut = Cut("to_client", after, by="reset" if after % 2 else "eof", moment="at_next")
        outcomes[recipient], replies, _ = cut_send(postfix, port, cut, recipient)
        if replies < REPLIES_BEFORE_CONTENT[port]:
            assert outcomes[recipient] == "not_sent"
        elif replies < REPLIES_WITH_CONTENT[port]:
            assert outcomes[recipient] == "unknown"
        else:
            assert outcomes[recipient] == "accepted"
    delivered = settled(postfix, domain)
    assert {recipient for recipient, outcome in outcomes.items() if outcome == "accepted"} <= delivered
    assert not {recipient for recipient, outcome in outcomes.items() if outcome == "not_sent"} & delivered


@pytest.mark.parametrize("port", PORTS)
def test_cut_at_the_clients_bytes(postfix: Postfix, domain: str, port: str) -> None:
    """Wherever the client's bytes end, it claims neither too much nor too little."""
    outcome, _, written = cut_send(postfix, port, None, f"whole@{domain}")
    assert outcome == "accepted"
    outcomes: dict[str, str] = {f"whole@{domain}": "accepted"}
    for after in positions(len(written)):
        recipient = f"u{after:04}@{domain}"
        cut = Cut("to_server", after, by="reset" if after % 2 else "eof")
        outcomes[recipient], replies, _ = cut_send(postfix, port, cut, recipient)
        if replies < REPLIES_BEFORE_CONTENT[port]:
            assert outcomes[recipient] == "not_sent"
    delivered = settled(postfix, domain)
    assert {recipient for recipient, outcome in outcomes.items() if outcome == "accepted"} <= delivered
    assert not {recipient for recipient, outcome in outcomes.items() if outcome == "not_sent"} & delivered


@pytest.mark.parametrize("port", PORTS)
def test_lost_reply_is_not_sent_again(postfix: Postfix, post: Post, domain: str, port: str) -> None:
    """When the answer to the content is lost the default policy raises at once, and the message arrives once."""
    with CuttingProxy(getattr(postfix.ports, port)) as proxy:
        post.send(through(proxy), note(f"bob1@{domain}"))
        assert proxy.exchanges[0].ended.wait(10)
        replies = bytes(proxy.exchanges[0].to_client)
    answer = [match.start() for match in _REPLY.finditer(replies)][-2]  # the last one answers QUIT
    cut = Cut("to_client", answer, moment="at_next")
    with CuttingProxy(getattr(postfix.ports, port), [cut]) as proxy:
        with pytest.raises(OutcomeUnknownError) as caught:
            post.send(through(proxy), note(f"bob2@{domain}"), retry=RetryPolicy())
        assert len(proxy.exchanges) == 1
    assert (caught.value.outcome, caught.value.retryable, caught.value.attempts) == ("unknown", False, 1)
    delivered = postfix.mailboxes.one(f"bob2@{domain}")
    assert delivered.message["Message-ID"] == f"<{caught.value.message_id}>"


@pytest.mark.parametrize("port", PORTS)
def test_lost_before_the_content_is_sent_again(postfix: Postfix, post: Post, domain: str, port: str) -> None:
    """When the connection is lost during the greeting the policy tries again, and the message arrives once."""
    with CuttingProxy(getattr(postfix.ports, port), [Cut("to_client", 10), Cut("to_client", 60, "reset")]) as proxy:
        [receipt] = post.send(through(proxy), note(f"bob@{domain}"), retry=RetryPolicy(wait=lambda _: 0.0))
        assert len(proxy.exchanges) == 3
    assert receipt.attempts == 3
    postfix.mailboxes.one(f"bob@{domain}")


@pytest.mark.parametrize("after", [0, 10, 60])
def test_silence_before_the_content(postfix: Postfix, post: Post, domain: str, after: int) -> None:
    """A server that says nothing, or stops in its greeting or its EHLO reply, times out, and nothing was sent."""
    silent = Cut("to_client", after, "stall", "at_next")
    with CuttingProxy(postfix.ports.smtp, [silent]) as proxy, pytest.raises(DeliveryTimeout) as caught:
        post.send(through(proxy, timeouts=IMPATIENT), note(f"bob@{domain}"))
    assert caught.value.outcome == "not_sent"


def test_silence_after_data(postfix: Postfix, post: Post, domain: str) -> None:
    """A server that does not answer DATA never gets the content: not sent."""
    _, _, written = cut_send(postfix, "no_chunking", None, f"bob1@{domain}")
    before_content = written.index(b"DATA\r\n") + len(b"DATA\r\n")
    silent = Cut("to_server", before_content, "stall")
    with CuttingProxy(postfix.ports.no_chunking, [silent]) as proxy, pytest.raises(DeliveryTimeout) as caught:
        post.send(through(proxy, timeouts=IMPATIENT), note(f"bob2@{domain}"))
    assert caught.value.outcome == "not_sent"
    assert settled(postfix, domain) == {f"bob1@{domain}"}


def test_silence_after_the_content(postfix: Postfix, post: Post, domain: str) -> None:
    """A server that does not answer the content leaves the outcome unknown."""
    with CuttingProxy(postfix.ports.smtp) as proxy:
        post.send(through(proxy), note(f"bob1@{domain}"))
        assert proxy.exchanges[0].ended.wait(10)
        replies = bytes(proxy.exchanges[0].to_client)
    answer = [match.start() for match in _REPLY.finditer(replies)][-2]
    silent = Cut("to_client", answer, "stall", "at_next")
    with CuttingProxy(postfix.ports.smtp, [silent]) as proxy, pytest.raises(OutcomeUnknownError):
        post.send(through(proxy, timeouts=IMPATIENT), note(f"bob2@{domain}"))
    assert settled(postfix, domain) == {f"bob1@{domain}", f"bob2@{domain}"}


@pytest.mark.parametrize("port", PORTS)
def test_connection_that_died_in_the_pool(postfix: Postfix, post: Post, domain: str, port: str) -> None:
    """A pooled connection that was closed meanwhile is noticed before a byte is written: a fresh one takes over."""
    with CuttingProxy(getattr(postfix.ports, port)) as proxy:

        def messages() -> Iterator[Message]:
            yield note(f"bob@{domain}")
            proxy.end(0)
            yield note(f"eve@{domain}")

        receipts = post.send_each(through(proxy), messages())
        assert len(proxy.exchanges) == 2
    assert [receipt.attempts for receipt in receipts] == [1, 1]
    assert settled(postfix, domain) == {f"bob@{domain}", f"eve@{domain}"}
