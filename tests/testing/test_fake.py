from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.errors import (
    AddressError,
    ConfigurationError,
    DeliveryError,
    MessageError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.local import NullTransport
from mailkit.mailer import AsyncMailer, Mailer
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.testing import FakeTransport
from mailkit.testing.colours import ASYNC_COLOURS, Colour
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from mailkit.receipt import Receipt

MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")
ONCE = RetryPolicy.none()


def _send(fake: FakeTransport, message: Message = MESSAGE) -> Receipt:
    return Mailer(fake, retry=ONCE).send(message)


def test_what_was_sent_is_in_the_outbox() -> None:
    """The outbox has the message, its envelope, its receipt and its octets."""
    fake = FakeTransport()
    receipt = _send(fake, MESSAGE.evolve(bcc="archive@example.net"))
    (sent,) = fake.outbox
    assert (sent.subject, sent.receipt) == ("Hello", receipt)
    assert [each.email for each in sent.envelope.rcpt_to] == ["bob@example.org", "archive@example.net"]
    assert b"\r\n\r\nHi Bob\r\n" in sent.raw
    assert b"archive" not in sent.raw


@pytest.mark.parametrize("colour", ASYNC_COLOURS)
def test_an_async_mailer_sends_into_it_as_well(colour: Colour) -> None:
    """On each event loop, single messages, streams and prepared bytes arrive, and fail as scripted."""
    fake = FakeTransport()
    fake.fail_next(RejectedError("no"))

    async def main() -> list[bool]:
        async with AsyncMailer(fake, retry=ONCE) as mailer:
            with pytest.raises(RejectedError):
                await mailer.send(MESSAGE)
            await mailer.send(MESSAGE)
            await mailer.send_raw(b"Subject: Raw\r\n\r\n", Envelope("", "bob@example.org"))
            return [outcome.ok async for outcome in mailer.send_many([MESSAGE, MESSAGE])]

    assert colour.run(main) == [True, True]
    assert [sent.subject for sent in fake.outbox] == ["Hello", "Raw", "Hello", "Hello"]


def test_the_next_attempts_fail_and_a_retry_gets_through() -> None:
    """Scripted failures are attempts: the mailer tries again and its receipt counts them."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy", retry_after=0.01), times=2)
    receipt = Mailer(fake, retry=RetryPolicy(wait=lambda _: 0.0)).send(MESSAGE)
    assert receipt.attempts == 3
    assert len(fake.outbox) == 1


def test_a_failure_names_everyone_and_is_a_new_one_each_time() -> None:
    """The raised error is a copy of the scripted one, with each recipient's result; nothing is in the outbox."""
    fake = FakeTransport()
    error = RateLimitedError("slow down", retry_after=60.0)
    fake.fail_next(error, times=2)
    raised: list[RateLimitedError] = []
    for _ in range(2):
        with pytest.raises(RateLimitedError) as caught:
            _send(fake)
        raised.append(caught.value)
    assert len({id(each) for each in (*raised, error)}) == 3
    assert [(each.address, each.status) for each in raised[0].recipients] == [("bob@example.org", "not_sent")]
    assert (raised[0].transport, raised[0].retry_after) == ("fake://", 60.0)
    fake.assert_nothing_sent()


def test_one_recipient_fails_once() -> None:
    """A failure by recipient leaves the others accepted, and the next message whole."""
    fake = FakeTransport()
    message = MESSAGE.evolve(to=["bob@example.org", "eve@example.net"])
    fake.fail_next(TransientError("mailbox full"), recipient="eve@EXAMPLE.net")
    receipt = _send(fake, message)
    assert [each.address for each in receipt.accepted] == ["bob@example.org"]
    assert [(each.address, each.status, each.text) for each in receipt.refused] == [
        ("eve@example.net", "deferred", "mailbox full")
    ]
    assert fake.outbox[0].receipt == receipt
    assert not _send(fake, message).refused


def test_a_refused_recipient_stays_refused() -> None:
    """``refuse`` holds for every message; alone, the recipient's refusal is the message's error."""
    fake = FakeTransport()
    fake.refuse("bob@example.org")
    for _ in range(2):
        with pytest.raises(RejectedError) as caught:
            _send(fake)
        assert caught.value.recipients[0].code == 550
    receipt = _send(fake, MESSAGE.evolve(cc="eve@example.net"))
    assert [(each.address, each.enhanced_code) for each in receipt.refused] == [("bob@example.org", "5.1.1")]


def test_a_refusal_may_be_any_delivery_error() -> None:
    """``refuse`` takes the error that the recipient is refused with, and raises that very kind."""
    fake = FakeTransport()
    fake.refuse("bob@example.org", OutcomeUnknownError("lost"))
    with pytest.raises(OutcomeUnknownError):
        _send(fake)


def test_when_all_are_refused_the_error_says_the_worst() -> None:
    """Several refused recipients and none accepted: one error with all results, and nothing in the outbox."""
    fake = FakeTransport()
    fake.refuse("bob@example.org")
    fake.refuse("eve@example.net", TransientError("later"))
    with pytest.raises(RejectedError) as caught:
        _send(fake, MESSAGE.evolve(cc="eve@example.net"))
    assert [each.status for each in caught.value.recipients] == ["rejected", "deferred"]
    fake.assert_nothing_sent()


def test_only_messages_that_match_fail() -> None:
    """With ``match``, the failure waits for a message that is meant, prepared ones included."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), times=2, match=lambda message: message.subject == "Unlucky")
    _send(fake)
    with pytest.raises(TransientError):
        _send(fake, MESSAGE.evolve(subject="Unlucky"))
    with pytest.raises(TransientError):
        Mailer(fake, retry=ONCE).send_raw(
            b"From: ada@example.com\r\nSubject: Unlucky\r\n\r\n", Envelope("", "bob@example.org")
        )
    assert len(fake.outbox) == 1


def test_an_error_of_the_message_can_be_scripted_too() -> None:
    """Not only delivery errors: whatever a transport may raise."""
    fake = FakeTransport()
    fake.fail_next(MessageError("too large for this provider"))
    with pytest.raises(MessageError, match="too large"):
        _send(fake)


@pytest.mark.parametrize(
    "script",
    [
        lambda fake: fake.fail_next(TransientError("busy"), times=0),
        lambda fake: fake.fail_next(ValueError("no")),
        lambda fake: fake.fail_next(TransientError),
        lambda fake: fake.fail_next(MessageError("no"), recipient="bob@example.org"),
        lambda fake: fake.refuse("bob@example.org", MessageError("no")),
        lambda fake: fake.assert_sent(to="bob@example.org", count=0),
    ],
)
def test_a_script_that_means_nothing_is_refused(script: Any) -> None:
    """What could never happen in a transport, or would check nothing, is an error in the test."""
    with pytest.raises(ConfigurationError):
        script(FakeTransport())


@pytest.mark.parametrize("name", ["fail_next", "refuse"])
def test_a_recipient_is_an_address(name: str) -> None:
    """A typing error in an address is not waited for."""
    fake = FakeTransport()
    with pytest.raises(AddressError):
        fake.refuse("bob") if name == "refuse" else fake.fail_next(TransientError("x"), recipient="bob")


def test_broken_messages_fail_as_they_would_for_real(tmp_path: Any) -> None:
    """A message is rendered, so that an attachment that has gone is noticed in tests."""
    path = tmp_path / "report.pdf"
    path.write_bytes(b"x")
    broken = MESSAGE.evolve(attachments=[Attachment.from_path(path)])
    path.unlink()
    fake = FakeTransport()
    with pytest.raises(MessageError):
        _send(fake, broken)
    fake.assert_nothing_sent()


def test_it_can_have_the_limits_of_another_transport() -> None:
    """With given capabilities it refuses what that transport would refuse."""
    fake = FakeTransport(capabilities=Capabilities.rfc5322())
    with pytest.raises(UnsupportedFeatureError):
        _send(fake, MESSAGE.evolve(tags=["x"]))
    assert FakeTransport().capabilities == NullTransport().capabilities


def test_reset_starts_anew() -> None:
    """After ``reset`` nothing was sent and nothing will fail."""
    fake = FakeTransport()
    _send(fake)
    fake.refuse("bob@example.org")
    fake.fail_next(TransientError("busy"))
    fake.reset()
    fake.assert_nothing_sent()
    _send(fake)
    fake.one()


def test_assert_sent_returns_what_it_found() -> None:
    """The first message that has all of the properties is returned."""
    fake = FakeTransport()
    _send(fake)
    _send(fake, MESSAGE.evolve(subject="Bye"))
    _send(fake, MESSAGE.evolve(subject="Bye", text="2"))
    assert fake.assert_sent(to="bob@example.org", subject="Bye") is fake.outbox[1]
    assert fake.assert_sent() is fake.outbox[0]
    fake.assert_sent(subject="Bye", count=2)


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (
            lambda fake: fake.assert_sent(to="bob@example.org", subject="Hallo"),
            """\
a message with to=bob@example.org, subject='Hallo' was expected, and none was sent.
The nearest is outbox[0], which differs in
    subject: expected 'Hallo'
                 found 'Hello'""",
        ),
        (
            lambda fake: fake.assert_sent(subject="Hello", count=2),
            """\
a message with subject='Hello' was expected 2 times, and sent once:
    outbox[0]: to bob@example.org, subject 'Hello'""",
        ),
        (
            lambda fake: fake.assert_nothing_sent(),
            "expected no message, but 1 was sent:\n    outbox[0]: to bob@example.org, subject 'Hello'",
        ),
        (
            lambda fake: fake.wait_for(2, timeout=0.01),
            "expected 2 messages within 0.01 s, but 1 was sent:\n    outbox[0]: to bob@example.org, subject 'Hello'",
        ),
    ],
)
def test_what_is_not_so_is_told_readably(check: Any, told: str) -> None:
    """A failing check says what was expected and what there is instead."""
    fake = FakeTransport()
    _send(fake)
    with pytest.raises(AssertionError) as caught:
        check(fake)
    assert str(caught.value) == told


def test_an_empty_outbox_is_told_as_such() -> None:
    """Checks on an empty outbox say that nothing was sent."""
    fake = FakeTransport()
    with pytest.raises(
        AssertionError, match=r"^a message was expected, and none was sent\.\nNo message was sent at all\.$"
    ):
        fake.assert_sent()
    with pytest.raises(AssertionError, match=r"^expected 1 message, but none was sent$"):
        fake.one()


def test_one_is_the_only_one() -> None:
    """``one`` returns the message, unless there are several."""
    fake = FakeTransport()
    _send(fake)
    assert fake.one() is fake.outbox[0]
    _send(fake)
    with pytest.raises(AssertionError, match="expected 1 message, but 2 were sent"):
        fake.one()


def test_other_threads_can_be_waited_for() -> None:
    """``wait_for`` returns when enough messages were sent, by whomever."""
    fake = FakeTransport()
    threads = [threading.Thread(target=_send, args=(fake,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert len(fake.wait_for(4)) == 4
    for thread in threads:
        thread.join()


def test_threads_share_a_script_fairly() -> None:
    """Of many threads exactly as many fail as was scripted."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), times=10)
    failed: list[DeliveryError] = []

    def send() -> None:
        for _ in range(5):
            try:
                _send(fake)
            except DeliveryError as error:
                failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(failed), len(fake.outbox)) == (10, 30)


def test_its_repr_shows_the_outbox() -> None:
    """The repr names what was sent, and no lock."""
    fake = FakeTransport()
    assert repr(fake) == "FakeTransport(outbox=[])"
    assert str(fake) == "fake://"


@pytest.mark.parametrize("colour", ASYNC_COLOURS)
def test_an_async_test_can_wait_for_its_tasks(colour: Colour) -> None:
    """Waiting does not stand in the way of what is waited for; nor is it for ever."""
    fake = FakeTransport()

    async def main() -> None:
        async with AsyncMailer(fake) as mailer, anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(mailer.send, Message(from_="ada@example.com", to=f"user{number}@example.org"))
            assert len(await fake.wait_for_async(3)) == 3
            with pytest.raises(AssertionError, match=r"expected 4 messages within 0\.01 s, but 3 were"):
                await fake.wait_for_async(4, timeout=0.01)

    colour.run(main)
