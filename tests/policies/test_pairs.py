"""Every policy alone, and every pair of them nested both ways: what is promised of one holds of both together."""

from __future__ import annotations

import time
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.colours import run_in
from tests.policies.clock import simulated
from tests.policies.letters import Interrupted, each, letter
from tests.policies.nesting import GONE, POLICIES, STRANGER, nested
from tests.policies.post_office import FAILURES, PostOffice
from tests.policies.scene import (
    NAMES,
    PAIRS,
    SINGLES,
    Scene,
    Source,
    attempt,
    check_left,
    check_usable,
    every_colour,
    every_nesting,
    keyed,
    waiting_colours,
    watch,
)

from mailkit import Envelope, Hooks, Message, RetryPolicy
from mailkit.edge.base import run_sync
from mailkit.errors import DeliveryError, MessageError
from mailkit.policies import RateLimit, Retry
from mailkit.post import Post
from mailkit.providers import Postmark
from mailkit.receipt import Outcome, Receipt
from mailkit.transport import Capabilities, Transport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from tests.colours import Colour


_RAW = b"From: ada@example.com\r\nTo: bob@example.org\r\nSubject: raw\r\nMessage-ID: <raw@example.com>\r\n\r\nHi\r\n"


@pytest.fixture
def scene(names: tuple[str, ...], colour: Colour) -> Scene:
    """The policies in a colour."""
    return Scene(names, colour)


def test_every_policy_is_in_the_table() -> None:
    """There are as many policies in the table as the package exports, each nested with each."""
    import mailkit.policies

    exported = {name.lower() for name in mailkit.policies.__all__ if hasattr(getattr(mailkit.policies, name), "open")}
    assert exported == {"circuitbreaker" if name == "breaker" else name for name in POLICIES}
    assert len(NAMES) == len(POLICIES) + len(POLICIES) ** 2


@every_nesting
def test_what_a_nesting_is(names: tuple[str, ...]) -> None:
    """It is a transport with the capabilities of what it wraps, named from outside to inside, and tells no secret."""
    scene = Scene(names, "blocking")
    some = Capabilities(tags=3, inline=True)
    transport = scene.make(capabilities=some)
    assert isinstance(transport, Transport)
    assert transport.capabilities == some
    assert {transport: 1}[transport] == 1
    secret = nested(names, Postmark("SECRET-TOKEN"), PostOffice)
    shown = str(secret)
    assert shown.isprintable()
    places = [shown.index(f"{name}(") for name in dict.fromkeys(names)]
    assert places == sorted(places)
    assert "postmark://default" in shown
    assert "SECRET-TOKEN" not in f"{secret} {secret!r}"


_URLS = {
    "failover": "failover({} null://)",
    "roundrobin": "roundrobin({} null://)",
    "weighted": "weighted(2*{} 1*null://)",
    "route": "route(example.net=null:// *={})",
    "breaker": "breaker({})",
}


@pytest.mark.parametrize("inner", _URLS)
@pytest.mark.parametrize("outer", _URLS)
def test_a_nesting_can_be_written_as_a_url(outer: str, inner: str) -> None:
    """It is read back from what it is called; a rate and retries may be added to it, outside and inside."""
    url = _URLS[outer].format(_URLS[inner].format("memory://"))
    assert str(transport_from_url(url)) == url
    with_both = _URLS[outer].format(_URLS[inner].format("memory://?retries=5") + "?rate=10/s") + "?rate=5/s&retries=4"
    transport = transport_from_url(with_both)
    assert isinstance(transport, Retry)
    assert transport.policy.attempts == 5
    assert isinstance(transport.transport, RateLimit)
    assert str(transport).count("retry(") == str(transport).count("ratelimit(") == 2
    receipt = run_sync(transport.open(simulated("blocking")).send(message := keyed(1), Envelope.from_message(message)))
    assert receipt.transport == "memory://"


@every_nesting
@pytest.mark.parametrize("is_whole", [False, True], ids=["each", "all-or-nothing"])
def test_what_a_channel_is(names: tuple[str, ...], is_whole: bool) -> None:
    """It says whether the message is for all or nobody, and whether somebody retries in it, as the inside does."""
    channel = Scene(names, "blocking").make(is_all_or_nothing=is_whole).open(simulated("blocking"))
    if names != ("route",) and "route" not in names:
        assert channel.is_all_or_nothing is is_whole
    assert channel.retries_by_itself is ("retry" in names)


@every_nesting
@every_colour
def test_a_message_arrives_once(scene: Scene) -> None:
    """Each recipient has one copy and one result in order; prepared bytes and ``verify`` reach the inside as well."""

    async def go() -> None:
        async with scene.opened() as channel:
            message = keyed(1, to=["bob@example.org", "eve@example.net"], bcc="archive@example.com", tags=["news"])
            receipt = await channel.send(message, Envelope.from_message(message))
            everybody = ["bob@example.org", "eve@example.net", "archive@example.com"]
            assert [(result.address, result.status) for result in receipt.recipients] == [
                (address, "accepted") for address in everybody
            ]
            assert receipt.message_id == message.message_id
            assert receipt.transport in {str(office) for office in scene.offices}
            assert [scene.copies("Number 1", address) for address in everybody] == [1, 1, 1]
            raw = await channel.send_raw(_RAW, Envelope("ada@example.com", everybody[:2]))
            assert [result.status for result in raw.recipients] == ["accepted", "accepted"]
            assert [scene.copies("raw", address) for address in everybody] == [1, 1, 0]
            info = await channel.verify()
            assert info.transport in {str(office) for office in scene.offices}
            assert {office.verified for office in scene.offices} == {1}

    run_in(scene.colour, go)


@every_nesting
@every_colour
def test_a_stream_has_its_outcomes_in_order(scene: Scene) -> None:
    """Whatever is wrong with one message, each has its own outcome in its place, and the others arrive once."""
    earlier = Outcome(message=letter(99), error=MessageError("wrong before"))
    nobody = Message(from_="ada@example.com", subject="Nobody", text="Hi").completed()
    given: list[Message | Outcome] = [
        keyed(0),
        keyed(1, to=["bob@example.org", STRANGER]),
        nobody,
        keyed(2, to="eve@example.net"),
        earlier,
        keyed(3, to=["bob@example.org", GONE]),
        keyed(4, to=["bob@example.org", "eve@example.net"], cc="ann@example.com"),
        keyed(5, to=GONE),
        keyed(6),
    ]

    async def go() -> list[Outcome]:
        async with scene.opened() as channel:
            return [outcome async for outcome in channel.send_many(each(given), connections=2, window=4)]

    outcomes = run_in(scene.colour, go)
    assert [outcome.message for outcome in outcomes] == [
        item.message if isinstance(item, Outcome) else item for item in given
    ]
    assert outcomes[4].error is earlier.error
    assert isinstance(outcomes[2].error, MessageError)
    is_suppressed = scene.is_in("suppress")
    # Who would have got nothing gets nothing in his place either; where it is the other way round, he is redirected.
    assert [outcome.ok for outcome in outcomes] == [True, True, False, True, False, True, True, not is_suppressed, True]
    for outcome in outcomes:
        scene.check(outcome.message, outcome.receipt or outcome.error)
    if is_suppressed:
        assert not any(address == GONE for office in scene.offices for _, address in office.copies)
    if scene.is_in("redirect"):
        assert not any(address == STRANGER for office in scene.offices for _, address in office.copies)
    # A message whose recipients go different ways is delivered once for each way.
    others = ["Number 4", "Number 4"] if scene.is_in("route") else ["Number 4"]
    expected = ["Number 0", "Number 1", "Number 2", "Number 3", *others, "Number 6"]
    assert sorted(set(scene.arrived)) == sorted({*expected, *([] if is_suppressed else ["Number 5"])})


@every_nesting
@every_colour
def test_what_is_told_is_true(scene: Scene) -> None:
    """Whatever happens to a message: who is told accepted has it once, who is told that he has not has it not."""
    acts = [*FAILURES, ("accepted", "not_sent"), ("deferred", "accepted", "rejected"), ("unknown", "accepted")]

    async def go() -> None:
        for number, act in enumerate(acts):
            alone = Scene(scene.names, scene.colour)
            async with alone.opened() as channel:
                alone.first.acts.append(act)
                message = keyed(number, to=["bob@example.org", STRANGER, "eve@example.net"])
                alone.check(message, await attempt(channel, message))
            streamed = Scene(scene.names, scene.colour)
            async with streamed.opened() as channel:
                streamed.first.acts.extend(["ok", act])
                given = [keyed(place, to=["bob@example.org", "eve@example.net"]) for place in range(4)]
                outcomes = [outcome async for outcome in channel.send_many(each(given))]
                assert [outcome.message for outcome in outcomes] == given
                for outcome in outcomes:
                    streamed.check(outcome.message, outcome.receipt or outcome.error)

    run_in(scene.colour, go)


@every_nesting
@every_colour
def test_what_was_not_sent_goes_on_where_somebody_carries_on(scene: Scene) -> None:
    """Whoever tries again or asks another makes up for a refused connection, which costs no other message anything."""

    async def go() -> None:
        async with scene.opened() as channel:
            scene.first.acts.extend(["refused"])
            given = [keyed(number) for number in range(6)]
            outcomes = [outcome async for outcome in channel.send_many(each(given))]
            carries_on = scene.is_in("retry", "failover", "roundrobin", "weighted")
            assert sum(outcome.ok for outcome in outcomes) == (6 if carries_on else 5)
            for outcome in outcomes:
                scene.check(outcome.message, outcome.receipt or outcome.error)
                if not outcome.ok:
                    assert isinstance(outcome.error, DeliveryError)
                    assert outcome.error.retryable

    run_in(scene.colour, go)


@every_nesting
@every_colour
def test_messages_sent_at_once_all_arrive(scene: Scene) -> None:
    """Threads and tasks may use one channel at the same time; one of them fails by itself."""

    async def go() -> None:
        async with scene.opened() as channel:
            scene.edge.time = time.monotonic()  # who waits for a slot really waits
            scene.first.acts.append("no")
            messages = [keyed(number, to=["bob@example.org", "eve@example.net"]) for number in range(6)]
            jobs = [partial(attempt, channel, message) for message in messages]
            ends = await scene.edge.run_all(jobs)
            for message, ended in zip(messages, ends, strict=True):
                scene.check(message, ended)
            refused = [ended for ended in ends if not isinstance(ended, Receipt) or ended.refused]
            assert len(refused) == 1

    run_in(scene.colour, go)


@every_nesting
def test_a_mailer_does_not_multiply_retries(names: tuple[str, ...]) -> None:
    """A mailer tries three times of its own accord, and once round whatever retries by itself."""
    scene = Scene(names, "blocking")
    busy = partial(PostOffice, acts=["busy"] * 100)
    transport = nested(names, busy(), busy)
    post = Post(transport, simulated("blocking"), RetryPolicy(), defaults=None, hooks=Hooks(log="off"))
    with pytest.raises(DeliveryError) as caught:
        run_sync(post.send(keyed(1)))
    assert caught.value.outcome == "deferred"
    assert caught.value.attempts == (2 ** names.count("retry") if scene.is_in("retry") else 3)


@every_nesting
@every_colour
def test_a_stream_may_be_left_early(scene: Scene) -> None:
    """Who leaves a stream is told what became of each message that was taken, and the channel goes on."""

    async def go() -> None:
        async with scene.opened() as channel:
            source, seen = Source(40), list[Outcome]()
            with pytest.raises(Interrupted) as caught:
                await watch(channel, source, seen, most=2)
            check_left(scene, source, seen, caught.value)
            assert len(seen) == 2
            async with aclosing(channel.send_many(Source(40))) as outcomes:
                assert (await anext(outcomes)).ok
            await check_usable(scene, channel)

    run_in(scene.colour, go)


@every_nesting
@every_colour
def test_an_interrupted_delivery_says_what_it_leaves(scene: Scene) -> None:
    """An interruption in the middle of a delivery leaves that one in doubt, no other, and the channel goes on."""

    async def go() -> None:
        async with scene.opened() as channel:
            scene.first.interrupt = lambda number: Interrupted() if number in {1, 4} else None
            message = keyed(50)
            with pytest.raises(Interrupted) as caught:
                await channel.send(message, Envelope.from_message(message))
            delivery = caught.value.delivery  # type: ignore[attr-defined]
            assert isinstance(delivery, DeliveryError)
            assert delivery.outcome == "unknown"
            source, seen = Source(40), list[Outcome]()
            with pytest.raises(Interrupted) as caught:
                await watch(channel, source, seen)
            check_left(scene, source, seen, caught.value)
            scene.first.interrupt = lambda _: None
            await check_usable(scene, channel)

    run_in(scene.colour, go)


@every_nesting
@waiting_colours
def test_a_cancelled_delivery_says_what_it_leaves(scene: Scene) -> None:
    """Cancellation is such an interruption, alone and in a stream, and the channel goes on."""

    async def go() -> None:
        async with scene.opened() as channel:
            seen: list[Outcome] = []
            source = Source(40)
            caught: list[BaseException] = []
            with anyio.CancelScope() as alone:
                scene.first.interrupt = lambda _: alone.cancel()
                message = keyed(50)
                await channel.send(message, Envelope.from_message(message))
            assert alone.cancelled_caught
            count = iter(range(100))
            with anyio.CancelScope() as scope:
                scene.first.interrupt = lambda _: scope.cancel() if next(count) == 2 else None
                try:
                    await watch(channel, source, seen)
                except BaseException as cancelled:
                    caught.append(cancelled)
                    raise
            assert scope.cancelled_caught
            check_left(scene, source, seen, caught[0])
            scene.first.interrupt = lambda _: None
            await check_usable(scene, channel)

    run_in(scene.colour, go)


@every_nesting
def test_a_stream_stays_a_stream(names: tuple[str, ...]) -> None:
    """Where nothing goes wrong each office has its share as one stream, with its pipelining and its batches."""
    scene = Scene(names, "asyncio")

    async def go() -> None:
        async with scene.opened() as channel:
            outcomes = channel.send_many(each([keyed(number) for number in range(40)]))
            assert [outcome.ok async for outcome in outcomes] == [True] * 40

    run_in("asyncio", go)
    assert sum(sum(office.streamed) for office in scene.offices) == 40
    # A pace that is set outside leaves the waves inside no time to become long.
    if not (scene.is_in("ratelimit") and scene.is_in("roundrobin", "weighted", "route")):
        assert all(len(office.streamed) <= 1 for office in scene.offices)


@pytest.mark.slow
@pytest.mark.parametrize("names", [*SINGLES, *PAIRS], ids="-".join)
def test_a_long_stream_is_not_kept_in_memory(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one wave at most are taken and not answered, only a few where there are no waves."""
    monkeypatch.setattr("mailkit.policies.waves.SHARE", 10)
    scene = Scene(names, "asyncio")
    source = Source(100)

    async def go() -> None:
        async with scene.opened() as channel:
            scene.first.acts.extend(["ok", "refused", ("accepted", "not_sent"), "throttled"] * 2)
            async for outcome in channel.send_many(source):
                assert outcome.message is source.taken[source.yielded]
                scene.check(outcome.message, outcome.receipt or outcome.error)
                source.yielded += 1

    run_in("asyncio", go)
    assert source.yielded == 100
    has_waves = scene.is_in("roundrobin", "weighted", "route")
    assert source.deepest <= (2 * 10 if has_waves else scene.first.lag + 2)
