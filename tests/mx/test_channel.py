"""Messages to several domains, from their names to one receipt, in three colours."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.colours import run_in
from tests.mx.world import BOB, EVE, IDA, World, letter, statuses

from mailkit import (
    ConnectError,
    Envelope,
    Mailer,
    MessageError,
    OutcomeUnknownError,
    Receipt,
    RejectedError,
    RetryPolicy,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.attachment import Attachment
from mailkit.mx import DirectMX
from mailkit.testing import Disconnect, Stall

if TYPE_CHECKING:
    from pathlib import Path

RAW = b"From: ada@example.com\r\nSubject: Raw\r\nMessage-ID: <raw@example.com>\r\n\r\nHi\r\n"


def test_each_domain_gets_its_message_from_its_own_exchanger(world: World) -> None:
    """Recipients of three domains are three deliveries and one receipt, in the order of the envelope."""
    for domain in ("example.org", "example.net", "example.edu"):
        world.server(f"mx.{domain}")
        world.domain(domain, f"mx.{domain}")
    to = (BOB, EVE, IDA, "sue@example.org")
    receipt = world.send(*to)
    assert [each.address for each in receipt.recipients] == list(to)
    assert statuses(receipt) == ["accepted"] * 4
    assert [server.messages[0].rcpt_to for server in world.servers] == [
        (BOB, "sue@example.org"),
        (EVE,),
        (IDA,),
    ]
    assert [server.messages[0].helo for server in world.servers] == ["client.example.com"] * 3
    assert receipt.transport == "mx://client.example.com"
    assert receipt.provider_id is None
    assert all(each.provider_id for each in receipt.recipients)
    assert len({server.messages[0].data for server in world.servers}) == 1
    assert not any(server.violations for server in world.servers)


def test_one_domain_s_receipt_has_the_server_s_own_id(world: World) -> None:
    """Where one server took the message, its queue id is the receipt's."""
    world.server("mx.example.org")
    world.domain("example.org", "mx.example.org")
    receipt = world.send(BOB)
    assert receipt.provider_id is not None
    assert receipt.provider_id == receipt.recipients[0].provider_id


def test_domains_are_delivered_to_at_the_same_time(world: World) -> None:
    """While one domain's server keeps silent, the other's has the message."""
    slow, fast = world.server("mx.example.org"), world.server("mx.example.net")
    world.domain("example.org", "mx.example.org")
    world.domain("example.net", "mx.example.net")
    slow.script("greeting", Stall())

    def release() -> None:
        fast.wait_for(1)
        slow.wait_until(lambda server: server.held)
        slow.release()

    released = threading.Thread(target=release)
    released.start()
    assert statuses(world.send(BOB, EVE)) == ["accepted", "accepted"]
    released.join()


def test_fewer_at_once_than_domains(world: World) -> None:
    """One domain at a time delivers all of them, too."""
    for domain in ("example.org", "example.net", "example.edu"):
        world.server(f"mx.{domain}")
        world.domain(domain, f"mx.{domain}")
    world.open(domains_at_once=1)
    assert statuses(world.send(BOB, EVE, IDA)) == ["accepted"] * 3


def test_what_becomes_of_one_domain_is_nothing_to_the_others(world: World) -> None:
    """One receipt says of each recipient what its own domain did."""
    good, bad, busy = (world.server(f"mx{number}.test") for number in (1, 2, 3))
    world.domain("good.test", "mx1.test")
    world.domain("bad.test", "mx2.test")
    world.domain("busy.test", "mx3.test")
    world.domain("down.test", "mx4.test")
    world.dns.add("mx4.test", "A", "127.0.0.99")
    world.dns.add("null.test", "MX", "0 .")
    bad.script("RCPT", "550 5.1.1 nobody here", times=None)
    busy.script("RCPT", "451 4.7.1 greylisted", times=None)
    receipt = world.send("a@good.test", "b@bad.test", "c@busy.test", "d@down.test", "e@null.test", "f@gone.test")
    assert statuses(receipt) == ["accepted", "rejected", "deferred", "not_sent", "rejected", "rejected"]
    assert [each.code for each in receipt.recipients] == [250, 550, 451, None, None, None]
    assert [each.enhanced_code for each in receipt.recipients[3:]] == [None, "5.1.10", "5.1.2"]
    assert "mx4.test" in receipt.recipients[3].text
    assert receipt.recipients[2].retry_after == 300.0
    assert good.accepted_count == 1


@pytest.mark.parametrize(
    ("to", "kind", "outcome", "cause"),
    [
        (["b@bad.test", "c@busy.test"], RejectedError, "rejected", None),
        (["c@busy.test", "d@down.test"], TransientError, "deferred", "transient"),
        (["d@down.test"], ConnectError, "not_sent", "transient"),
        (["f@gone.test"], RejectedError, "rejected", "configuration"),
        (["f@gone.test", "e@null.test"], RejectedError, "rejected", "configuration"),
        (["u@lost.test", "b@bad.test"], OutcomeUnknownError, "unknown", None),
    ],
)
def test_without_anybody_accepted_the_error_says_the_worst(
    to: list[str], kind: type[Exception], outcome: str, cause: str | None
) -> None:
    """Unknown before rejected before deferred before not sent; and who may try again follows from it."""
    with World() as world:
        bad, busy, lost = (world.server(f"mx{number}.test") for number in (1, 2, 3))
        world.domain("bad.test", "mx1.test")
        world.domain("busy.test", "mx2.test")
        world.domain("lost.test", "mx3.test")
        world.domain("down.test", "mx4.test")
        world.dns.add("mx4.test", "A", "127.0.0.99")
        world.dns.add("null.test", "MX", "0 .")
        bad.script("RCPT", "550 5.1.1 nobody here", times=None)
        busy.script("RCPT", "451 4.3.0 later", times=None)
        lost.script("DOT", Disconnect(), times=None)
        error = world.attempt(*to)
        assert type(error) is kind
        assert (error.outcome, error.cause) == (outcome, cause)
        assert [each.address for each in error.recipients] == to
        assert error.transport == "mx://client.example.com"
        assert error.message_id
        assert len(lost.committed) == ("u@lost.test" in to)


def test_the_error_leaves_hope_where_there_is_some(world: World) -> None:
    """Of two domains that were not reached, the one that is down today decides that trying again makes sense."""
    world.server("mx.safe.test", tls="starttls", certificate="self-signed")
    world.domain("safe.test", "mx.safe.test")
    world.policy("safe.test", "mx.safe.test")
    world.domain("down.test", "mx.down.test")
    world.dns.add("mx.down.test", "A", "127.0.0.99")
    world.open(ca_file=world.servers[0].ca_file)
    assert not world.attempt("a@safe.test").retryable
    error = world.attempt("a@safe.test", "b@down.test")
    assert error.retryable
    assert statuses(error) == ["not_sent", "not_sent"]


def test_retrying_goes_on_with_those_who_are_undecided() -> None:
    """The second attempt is for the deferred recipient alone."""
    with World() as world:
        good, busy = world.server("mx1.test"), world.server("mx2.test")
        world.domain("good.test", "mx1.test")
        world.domain("busy.test", "mx2.test")
        busy.script("RCPT", "451 4.3.0 later")
        transport = world.open().transport
        with Mailer(transport, retry=RetryPolicy(wait=lambda _: 0.0)) as mailer:
            receipt = mailer.send(letter("a@good.test", "b@busy.test"))
        assert statuses(receipt) == ["accepted", "accepted"]
        assert receipt.attempts == 2
        assert (good.accepted_count, busy.accepted_count) == (1, 1)


def test_more_recipients_than_one_transaction_may_have(world: World) -> None:
    """A hundred recipients go into one transaction, the rest into a second one over the same connection."""
    server = world.server("mx.example.org")
    world.domain("example.org", "mx.example.org")
    to = [f"user{number}@example.org" for number in range(130)]
    assert statuses(world.send(*to)) == ["accepted"] * 130
    assert [len(message.rcpt_to) for message in server.messages] == [100, 30]
    assert len(server.connections) == 1


def test_prepared_bytes_arrive_unchanged(world: World) -> None:
    """``send_raw`` delivers the same bytes to every domain."""
    for domain in ("example.org", "example.net"):
        world.server(f"mx.{domain}")
        world.domain(domain, f"mx.{domain}")
    receipt = run_in(world.colour, world.open().send_raw, RAW, Envelope("ada@example.com", [BOB, EVE]))
    assert receipt.message_id == "raw@example.com"
    assert all(RAW in server.messages[0].data for server in world.servers)


def test_a_connection_is_used_again(world: World) -> None:
    """The second message to a domain goes over the first one's connection."""
    server = world.server("mx.example.org")
    world.domain("example.org", "mx.example.org")
    world.send(BOB)
    world.send(BOB)
    assert (server.accepted_count, len(server.connections)) == (2, 1)


def test_a_connection_that_died_in_the_pool_is_replaced_unseen(world: World) -> None:
    """A message whose pooled connection has gone is sent over a fresh one to the same host."""
    server = world.server("mx.example.org", without=("CHUNKING", "PIPELINING"))
    world.domain("example.org", "mx.example.org")
    world.send(BOB)
    server.script("MAIL", Disconnect())
    assert statuses(world.send(BOB)) == ["accepted"]
    assert (server.accepted_count, len(server.connections)) == (2, 2)


def test_verifying_connects_nowhere(world: World) -> None:
    """Without a recipient there is nobody to connect to: ``verify`` says how we greet, and asks no name server."""
    info = run_in(world.colour, world.open().verify)
    assert (info.transport, info.host) == ("mx://client.example.com", "client.example.com")
    assert not world.dns.asked


def test_a_message_that_cannot_be_read_any_more_is_an_error_of_the_message(world: World, tmp_path: Path) -> None:
    """An attachment that has gone ends the delivery to every domain, and no server takes half a message."""
    for domain in ("example.org", "example.net"):
        world.server(f"mx.{domain}")
        world.domain(domain, f"mx.{domain}")
    path = tmp_path / "gone.txt"
    path.write_bytes(b"x")
    message = letter(BOB, EVE, attachments=[Attachment.from_path(path)])
    path.unlink()
    error = world.attempt(message=message)
    assert isinstance(error, MessageError)
    assert not isinstance(error, UnsupportedFeatureError)
    assert world.received() == [0, 0]


def test_a_message_that_no_host_can_take_is_an_error_of_the_message(world: World) -> None:
    """Where every domain's host lacks SMTPUTF8, the error names the feature and nothing was written."""
    for domain in ("example.org", "example.net"):
        world.server(f"mx.{domain}", without=("SMTPUTF8",))
        world.domain(domain, f"mx.{domain}")
    message = letter(BOB, EVE, from_="jürgen@example.com")
    error = world.attempt(message=message)
    assert isinstance(error, UnsupportedFeatureError)
    assert error.feature == "smtputf8"
    assert "MAIL" not in world.servers[0].transcript


def test_a_message_that_some_host_can_take_is_rejected_for_the_others(world: World) -> None:
    """Beside an accepted recipient, one whose host lacks SMTPUTF8 is rejected with the code for it."""
    able, old = world.server("mx1.test"), world.server("mx2.test", without=("SMTPUTF8",))
    world.domain("able.test", "mx1.test")
    world.domain("old.test", "mx2.test")
    receipt = world.send(message=letter("a@able.test", "b@old.test", from_="jürgen@example.com"))
    assert statuses(receipt) == ["accepted", "rejected"]
    assert receipt.recipients[1].enhanced_code == "5.6.7"
    assert (able.accepted_count, old.accepted_count) == (1, 0)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_message_says_what_became_of_it(world: World) -> None:
    """Cancelled while the second domain is silent, the interruption says that the first one has accepted."""
    slow, fast = world.server("mx.example.org"), world.server("mx.example.net")
    world.domain("example.org", "mx.example.org")
    world.domain("example.net", "mx.example.net")
    world.open(domains_at_once=1)
    slow.script("EHLO", Stall())
    interruptions: list[BaseException] = []

    async def send() -> None:
        channel, message = world.open(), letter(EVE, BOB, IDA)
        try:
            await channel.send(message, Envelope.from_message(message))
        except BaseException as interruption:
            interruptions.append(interruption)
            raise

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.to_thread.run_sync(slow.wait_until, lambda server: server.held)
            group.cancel_scope.cancel()

    run_in(world.colour, main)
    delivery = interruptions[0].delivery  # type: ignore[attr-defined]
    assert isinstance(delivery, Receipt)
    assert statuses(delivery) == ["accepted", "not_sent", "not_sent"]
    assert fast.accepted_count == 1


def test_the_mailer_reads_the_url() -> None:
    """``mx://`` URLs reach the transport, with a name server and a port of the tests' own."""
    with World() as world:
        server = world.server("mx.example.org")
        world.domain("example.org", "mx.example.org")
        ((host, port),) = world.dns.servers.endpoints
        url = f"mx://client.example.com?port={world.port}&name_servers={host}:{port}&private_networks=on&timeout=5"
        with Mailer(url) as mailer:
            assert isinstance(mailer.transport, DirectMX)
            assert statuses(mailer.send(letter())) == ["accepted"]
        assert server.accepted_count == 1
