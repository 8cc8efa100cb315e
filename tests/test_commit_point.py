"""Where a delivery comes to its commit point: whoever is told may keep anything of the end from being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.http_server import Answer, HTTPServer

from mailkit import AsyncMailer, ConnectError, Mailer, MailkitError, Message, MessageError
from mailkit.commit_point import announce_commit, before_commit
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.edge.http import Request
from mailkit.local import NullTransport
from mailkit.policies import Failover
from mailkit.providers import Resend
from mailkit.providers.exchange import ApiExchange
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Callable

LETTER = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")


def refusing(error: Exception) -> Callable[[], None]:
    """Return what keeps a message from being committed."""

    def refuse() -> None:
        raise error

    return refuse


def test_nobody_has_to_listen() -> None:
    """Outside of a block nothing is called, and behind it nothing any more."""
    told: list[int] = []
    announce_commit()
    with before_commit(lambda: told.append(1)):
        announce_commit()
    announce_commit()
    assert told == [1]


@pytest.mark.parametrize("without", [("CHUNKING",), ("PIPELINING",), ()])
@pytest.mark.parametrize("text", ["Hi Bob", "Hi Bob, " * 20_000])
def test_a_server_gets_no_message_that_may_not_be_committed(without: tuple[str, ...], text: str) -> None:
    """Whichever way it goes, and however many pieces it has: it is told once, and the next one is not hurt."""
    told: list[int] = []
    with SMTPServer(without=without) as server, Mailer(server.url) as mailer:
        with before_commit(refusing(MessageError("not now"))), pytest.raises(MessageError, match="not now"):
            mailer.send(LETTER.evolve(text=text))
        assert server.committed == ()
        with before_commit(lambda: told.append(len(server.committed))):
            mailer.send(LETTER.evolve(text=text))
        assert (told, len(server.committed)) == ([0], 1)


def test_a_failure_to_make_a_note_is_one_of_the_delivery() -> None:
    """Nothing was sent, and the error says so."""
    with SMTPServer() as server, Mailer(server.url) as mailer:
        with before_commit(refusing(ConnectError("no journal"))), pytest.raises(ConnectError) as caught:
            mailer.send(LETTER)
        assert [each.status for each in caught.value.recipients] == ["not_sent"]
        assert server.committed == ()


@pytest.mark.parametrize("error", [MessageError("not now"), ConnectError("no journal")])
@pytest.mark.parametrize("size", [10, 200_000])
def test_a_provider_gets_no_request_that_may_not_be_committed(error: MailkitError, size: int) -> None:
    """The last block of its body stays here."""
    told: list[int] = []
    with HTTPServer(lambda _: Answer(200, {"id": "1"})) as server:
        resend = Resend("re_KEY", host="127.0.0.1", port=server.port)
        with Mailer(resend) as mailer:
            letter = LETTER.evolve(text="x" * size)
            with before_commit(refusing(error)), pytest.raises(type(error)) as caught:
                mailer.send(letter)
            assert getattr(caught.value, "outcome", "not_sent") == "not_sent"
            with before_commit(lambda: told.append(1)):
                mailer.send(letter)
            mailer.verify()
        complete = [each for each in server.requests if len(each.body) >= size]
    assert (told, len(complete)) == ([1], 1)


def test_what_has_no_body_is_committed_before_it_is_sent() -> None:
    """A request that changes something is complete with its headers then; one that changes nothing is no commit."""
    edge = BlockingEdge()
    with HTTPServer(lambda _: Answer(200, {})) as server:
        resend = Resend("re_KEY", host="127.0.0.1", port=server.port)
        base, exchange = resend.base_url, ApiExchange(resend, edge)
        with before_commit(refusing(MessageError("not now"))):
            with pytest.raises(MessageError):
                run_sync(exchange.fetch(Request("POST", f"{base}/send"), []))
            assert run_sync(exchange.fetch(Request("GET", f"{base}/domains"), [])).status == 200
        run_sync(edge.close())
        assert [each.method for each in server.requests] == ["GET"]


@pytest.mark.anyio
async def test_tasks_are_told_too() -> None:
    """The function holds in the task that sends."""
    told: list[int] = []
    with SMTPServer() as server:
        async with AsyncMailer(server.url) as mailer:
            with before_commit(lambda: told.append(1)):
                await mailer.send(LETTER)
    assert told == [1]


def test_a_channel_promises_it_only_if_all_of_it_does() -> None:
    """A policy as what it wraps, several transports if each of them does, and what says nothing does not."""
    edge, smtp, null = BlockingEdge(), SMTP("mail.example.com"), NullTransport()
    assert not null.open(edge).announces_commit
    assert Resend("re_KEY").open(edge).announces_commit
    assert Failover(smtp, SMTP("mx.example.com")).open(edge).announces_commit
    assert not Failover(smtp, null).open(edge).announces_commit
