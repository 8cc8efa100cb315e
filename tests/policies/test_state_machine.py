"""Random policies, random faults, random streams of messages: what was told is what happened.

A machine draws a tree of policies with post offices at its leaves, and then lets offices fail, sends single messages,
prepared bytes and streams, leaves some of them early, and lets time pass. After each step the ledgers of all offices
are compared with what the sender was told. In the end everything is done again in a new world: it goes the same way.

``HYPOTHESIS_PROFILE=thorough`` looks at many more trees.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field, frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.policies.letters import Interrupted
from tests.policies.nesting import DEVELOPER, GONE, STRANGER
from tests.policies.post_office import FAILURES, PostOffice
from tests.policies.world import World, WorldEdge

from mailkit import Envelope, Hooks, Message
from mailkit.errors import DeliveryError, MailkitError
from mailkit.policies import (
    Breaker,
    CircuitBreaker,
    Concurrency,
    Deduplicate,
    Failover,
    MemorySuppressionList,
    RateLimit,
    Redirect,
    Retry,
    RetryBudget,
    RetryPolicy,
    RoundRobin,
    Route,
    Suppress,
    Weighted,
)
from mailkit.policies.wrapper import Wrapper, Wrapping
from mailkit.post import Post
from mailkit.receipt import Outcome, Receipt
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.transport import Channel, Transport

    Tree = tuple[Any, ...]

# What the machine draws from.

_PEOPLE: Final = ("ann@example.com", "bob@example.org", "eve@example.net", GONE, STRANGER)
_ALLOWED: Final = ("example.com", "example.net", "example.org")
_STATUSES: Final = ("accepted", "deferred", "rejected", "not_sent", "unknown")
_ACTS: Final = st.one_of(
    st.sampled_from([*FAILURES, "refused", "refused", "lost before", "lost after"]),
    st.lists(st.sampled_from(_STATUSES), min_size=2, max_size=3).map(tuple),
)
_RETRIES: Final = st.sampled_from(
    [
        RetryPolicy(),
        RetryPolicy(attempts=2),
        RetryPolicy(attempts=2, budget=RetryBudget(tokens=20)),
        RetryPolicy(on_unknown="retry"),
        RetryPolicy(on_unknown=lambda _: "unknown"),
    ]
)
_BREAKERS: Final = st.sampled_from([None, Breaker(), Breaker(failures=2, reset_after=10.0)])


def _inside(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.tuples(st.just("retry"), _RETRIES, inner),
        st.tuples(st.just("failover"), _BREAKERS, several),
        st.tuples(st.just("roundrobin"), _BREAKERS, several),
        st.tuples(st.just("weighted"), _BREAKERS, several),
        st.tuples(st.just("route"), inner, inner),
        st.tuples(st.just("breaker"), st.integers(1, 3), inner),
        st.tuples(st.just("ratelimit"), st.sampled_from([2.0, 50.0]), st.integers(1, 3), inner),
        st.tuples(st.just("concurrency"), st.integers(1, 2), inner),
        st.tuples(st.just("redirect"), inner),
        st.tuples(st.just("suppress"), inner),
        st.tuples(st.just("deduplicate"), st.sampled_from(["raise", "raise", "retry"]), inner),
    )


_OFFICES: Final[st.SearchStrategy[Tree]] = st.tuples(
    st.just("office"),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([0, 0, 1]),
    st.sampled_from([False, False, True]),
)
_TREES: Final = _inside(st.one_of(_OFFICES, _inside(st.one_of(_OFFICES, _inside(_OFFICES)))))


@frozen
class Draft:
    """A message to be: what is drawn of it."""

    to: tuple[str, ...]
    bcc: tuple[str, ...] = ()
    has_tag: bool = False
    key: int | None = None


_DRAFTS: Final = st.builds(
    Draft,
    to=st.lists(st.sampled_from(_PEOPLE), max_size=3, unique=True).map(tuple),
    bcc=st.lists(st.sampled_from(_PEOPLE[:2]), max_size=1).map(tuple),
    has_tag=st.booleans(),
    key=st.sampled_from([None, None, 1, 2]),
)

# What looks at the traffic between two policies.


@frozen(eq=False)
class Tap(Wrapping):
    """Looks at what passes."""

    scheme: ClassVar[str] = "tap"

    passed: Callable[[float, Sequence[str]], object] = field(default=lambda *_: None)
    entered: Callable[[int], object] = field(default=lambda _: None)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that looks."""
        return _TapChannel(self, edge)


class _TapChannel(Wrapper):
    def __init__(self, tap: Tap, edge: Edge) -> None:
        super().__init__(tap.transport.open(edge), edge, tap)
        self._tap = tap

    def see(self, paths: Sequence[str]) -> None:
        self._tap.passed(self._edge.now(), paths)

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        self.see([path.addr_spec for path in envelope.rcpt_to])
        self._tap.entered(1)
        try:
            return await self._channel.send(message, envelope)
        finally:
            self._tap.entered(-1)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        self.see([path.addr_spec for path in envelope.rcpt_to])
        self._tap.entered(1)
        try:
            return await self._channel.send_raw(data, envelope)
        finally:
            self._tap.entered(-1)

    def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        return self._channel.send_many(_Seen(messages, self), connections=connections, window=window)


class _Seen:
    """A stream of messages that is looked at."""

    def __init__(self, messages: AsyncIterator[Message | Outcome], channel: _TapChannel) -> None:
        self._messages = messages
        self._channel = channel

    def __aiter__(self) -> AsyncIterator[Message | Outcome]:
        return self

    async def __anext__(self) -> Message | Outcome:
        item = await anext(self._messages)
        if isinstance(item, Message):
            self._channel.see([each.addr_spec for each in (*item.to, *item.cc, *item.bcc)])
        return item


class Pace:
    """Checks that a rate is not exceeded, wherever one begins to count."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._times: list[float] = []

    def __call__(self, time: float, _: Sequence[str]) -> None:
        """Count one."""
        self._times.append(time)
        for number, since in enumerate(reversed(self._times), start=1):
            assert number <= self._burst + self._rate * (time - since) + 1e-6


class Bound:
    """Checks that not too much is under way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._now = 0

    def __call__(self, change: int) -> None:
        """Count one more, or one less."""
        self._now += change
        assert 0 <= self._now <= self._limit


def nobody_suppressed(_: float, paths: Sequence[str]) -> None:
    """Check that nobody is written to who is suppressed."""
    assert GONE not in paths


def nobody_outside(_: float, paths: Sequence[str]) -> None:
    """Check that nobody is written to who is redirected."""
    assert STRANGER not in paths


# What is built and what happens in it.


@define(eq=False)
class Scene:
    """A world with a mailer in it, and everything that was told there."""

    tree: Tree
    retry: RetryPolicy
    world: World = field(factory=World)
    offices: list[PostOffice] = field(factory=list[PostOffice])
    accepted: Counter[tuple[str, str]] = field(factory=Counter)
    """How often somebody was told that a message was accepted, by its token and the recipient."""
    doubtful: Counter[tuple[str, str]] = field(factory=Counter)
    told: list[str] = field(factory=list[str])
    """Everything that was told, in order."""
    may_duplicate: bool = False
    honours_keys: bool = False
    made: int = 0
    drafts: dict[int, int] = field(factory=dict)
    edge: WorldEdge = field(init=False)
    post: Post = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.may_duplicate = self.retry.on_unknown == "retry"
        transport = self._built(self.tree)
        self.edge = WorldEdge(self.world)
        self.post = Post(transport, self.edge, self.retry, defaults=None, hooks=Hooks(log="off"))

    def _built(self, tree: Tree) -> Transport:
        kind, *rest = tree
        return getattr(self, f"_{kind}")(*rest)

    def _office(self, lag: int, keys: bool, tags: int, is_whole: bool) -> Transport:
        capabilities = Capabilities.everything() if tags == 0 else Capabilities(tags=0, raw=True)
        self.honours_keys |= keys
        name = f"office-{len(self.offices)}"
        office = PostOffice(name, lag=lag, honours_keys=keys, capabilities=capabilities, is_all_or_nothing=is_whole)
        self.offices.append(office)
        return office

    def _retry(self, policy: RetryPolicy, inner: Tree) -> Transport:
        self.may_duplicate |= policy.on_unknown == "retry"
        return Retry(self._built(inner), policy)

    def _failover(self, breaker: Breaker | None, inner: Iterable[Tree]) -> Transport:
        return Failover(*map(self._built, inner), breaker=breaker)

    def _roundrobin(self, breaker: Breaker | None, inner: Iterable[Tree]) -> Transport:
        return RoundRobin(*map(self._built, inner), breaker=breaker)

    def _weighted(self, breaker: Breaker | None, inner: Iterable[Tree]) -> Transport:
        return Weighted([(self._built(each), weight) for weight, each in enumerate(inner, start=1)], breaker=breaker)

    def _route(self, first: Tree, default: Tree) -> Transport:
        return Route({"example.net": self._built(first)}, default=self._built(default))

    def _breaker(self, failures: int, inner: Tree) -> Transport:
        return CircuitBreaker(self._built(inner), failures=failures, reset_after=10.0)

    def _ratelimit(self, rate: float, burst: int, inner: Tree) -> Transport:
        return RateLimit(Tap(self._built(inner), passed=Pace(rate, burst)), messages=rate, burst=burst)

    def _concurrency(self, limit: int, inner: Tree) -> Transport:
        return Concurrency(Tap(self._built(inner), entered=Bound(limit)), limit)

    def _redirect(self, inner: Tree) -> Transport:
        return Redirect(Tap(self._built(inner), passed=nobody_outside), DEVELOPER, allow=_ALLOWED)

    def _suppress(self, inner: Tree) -> Transport:
        return Suppress(Tap(self._built(inner), passed=nobody_suppressed), MemorySuppressionList({GONE: "it bounced"}))

    def _deduplicate(self, on_unknown: Any, inner: Tree) -> Transport:
        self.may_duplicate |= on_unknown == "retry"
        return Deduplicate(self._built(inner), on_unknown=on_unknown)

    # Steps.

    def message(self, draft: Draft) -> Message:
        """Return a message with a token of its own, or the one that had this key."""
        self.made += 1
        number = self.made if draft.key is None else -draft.key
        to, bcc = draft.to, draft.bcc
        if draft.key is not None:
            to, bcc = (_PEOPLE[:3], _PEOPLE[3:])[:: 1 if draft.key == 1 else -1]  # the same for the same key
        return Message(
            from_="ada@example.com",
            to=to,
            bcc=[each for each in bcc if each not in to],
            subject=f"Number {number}",
            text="Hi",
            tags=["news"] if draft.has_tag and draft.key is None else [],
            idempotency_key=None if draft.key is None else f"key-{draft.key}",
        )

    async def attempt(self, message: Message) -> Any:
        """Send one message; return how it ended."""
        try:
            return await self.post.send(message)
        except MailkitError as error:
            return error
        except Interrupted as interruption:
            return interruption.__dict__["delivery"]

    def send(self, *drafts: Draft) -> None:
        """Send messages, all at once."""
        messages = [self.message(draft) for draft in drafts]
        ends: dict[int, Any] = {}

        async def job(place: int) -> None:
            ends[place] = await self.attempt(messages[place])

        with suppress(Interrupted):
            self.run(self.edge.run_all([partial(job, place) for place in range(len(messages))]))
        for place, message in enumerate(messages):
            if place in ends:  # else it had not begun when everything was interrupted
                self.tell(message, ends[place])
        self.check()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run something, which a step may be interrupted of."""
        try:
            return self.world.run(coroutine)
        finally:
            self.world.interrupts_at = None

    def send_raw(self, paths: Sequence[str]) -> None:
        """Send prepared bytes."""
        self.made += 1
        envelope = Envelope("ada@example.com", paths)
        message_id = f"raw-{self.made}@example.com"
        data = f"From: ada@example.com\r\nMessage-ID: <{message_id}>\r\n\r\nHi\r\n".encode()
        ended: Any
        before = Counter(self.copies)
        try:
            ended = self.run(self.post.send_raw(data, envelope))
        except MailkitError as error:
            ended = error
        except Interrupted as interruption:
            ended = interruption.__dict__["delivery"]
        stand_in = Message(from_="ada@example.com", to=paths, subject="raw")
        self.tell(stand_in, ended)
        self.check()
        assert sum((self.copies - before).values()) <= len(paths) or self.may_duplicate

    def send_many(self, drafts: Sequence[Draft], connections: int, most: int | None, *, breaks: bool) -> None:
        """Send a stream; leave it after some outcomes where `most` is given. Its source may break in the end."""
        given = [self.message(draft) for draft in drafts]
        taken: list[Message] = []
        outcomes: list[Outcome] = []

        async def source() -> AsyncGenerator[Message, None]:
            for message in given:
                taken.append(message)
                yield message
            if breaks:
                raise OSError("the file that the messages come from has gone")

        async def go() -> None:
            async with aclosing(self.post.send_many(source(), connections, None, None)) as stream:
                async for outcome in stream:
                    outcomes.append(outcome)
                    if len(outcomes) == most:
                        try:
                            await stream.athrow(Interrupted())
                        except Interrupted as interruption:
                            outcomes.extend(interruption.__dict__["outcomes"])
                        return
            assert not breaks  # what breaks the source off is not kept from who reads it

        try:
            self.run(go())
        except (Interrupted, OSError) as interruption:
            outcomes.extend(interruption.__dict__.get("outcomes", ()))
        assert [id(outcome.message) for outcome in outcomes] == [id(message) for message in taken]
        for outcome in outcomes:
            assert (outcome.receipt is None) is not (outcome.error is None)
            self.tell(outcome.message, outcome.receipt or outcome.error)
        self.check()

    # What was told, and what is so.

    def tell(self, message: Message, ended: Any) -> None:
        """Enter what the sender was told of a message."""
        token = message.subject or ""
        everybody = [each.addr_spec for each in (*message.to, *message.cc, *message.bcc)]
        results = ended.recipients if isinstance(ended, Receipt | DeliveryError) else ()
        told = {result.address: result for result in results}
        assert len(told) == len(results)
        assert set(told) <= set(everybody)
        if isinstance(ended, Receipt):
            assert list(told) == list(dict.fromkeys(everybody))
            assert ended.accepted
        for address in everybody:
            result = told.get(address)
            status = result.status if result else ended.outcome if isinstance(ended, DeliveryError) else "not_sent"
            self.told.append(f"{token} {address} {status}")
            if result is not None and result.phase == "duplicate":
                continue  # a result that was told before
            if status == "unknown":
                for real in {address, DEVELOPER if address == STRANGER else address}:
                    self.doubtful[token, real] += 1
            elif status == "accepted":
                assert result is not None
                self.accepted[token, DEVELOPER if result.phase == "redirect" else address] += 1

    @property
    def copies(self) -> Counter[tuple[str, str]]:
        """What all offices have."""
        return sum((office.copies for office in self.offices), Counter())

    def check(self) -> None:
        """Compare the ledgers with what was told."""
        copies = self.copies
        for place in {*copies, *self.accepted}:
            if self.accepted[place]:
                assert copies[place] >= 1, f"{place} was accepted, and is nowhere"
                if not self.honours_keys and place[1] != DEVELOPER:
                    assert copies[place] >= self.accepted[place]
            if not self.may_duplicate:
                assert copies[place] <= self.accepted[place] + self.doubtful[place], f"{place} has copies untold of"
        if self.tree[0] == "deduplicate" and not self.may_duplicate:
            keyed = [number for (token, path), number in copies.items() if "-" in token and path != DEVELOPER]
            assert not [number for number in keyed if number > 1]

    def close(self) -> None:
        """Close the mailer: each office is left, once, with nothing under way."""
        self.world.run(self.post.channel().close())
        assert {office.closed for office in self.offices} == {1}
        assert {(office.streams, office.under_way) for office in self.offices} == {(0, 0)}


def _interrupting(place: int) -> Callable[[int], BaseException | None]:
    left = [place]

    def interrupt(_: int) -> BaseException | None:
        left[0] -= 1
        return Interrupted() if left[0] == 0 else None

    return interrupt


class Machine(RuleBasedStateMachine):
    """Does things to a scene, and keeps what it did, to do it again."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[Callable[[Scene], object]] = []
        self.scene: Scene | None = None

    def do(self, step: Callable[[Scene], object]) -> None:
        """Take a step, and keep it."""
        self.done.append(step)
        assert self.scene is not None
        step(self.scene)

    @initialize(tree=_TREES, retry=st.one_of(st.just(RetryPolicy.none()), _RETRIES))
    def begin(self, tree: Tree, retry: RetryPolicy) -> None:
        """Draw the policies."""
        self.arguments = (tree, retry)
        self.scene = Scene(*self.arguments)

    @rule(place=st.integers(0, 26), acts=st.lists(_ACTS, min_size=1, max_size=4))
    def fail(self, place: int, acts: list[Any]) -> None:
        """Let an office play something."""
        self.do(lambda scene: scene.offices[place % len(scene.offices)].acts.extend(acts))

    @rule(place=st.integers(0, 26), number=st.integers(1, 3))
    def interrupt(self, place: int, number: int) -> None:
        """Let a delivery to an office be interrupted."""

        def step(scene: Scene) -> None:
            scene.offices[place % len(scene.offices)].interrupt = _interrupting(number)

        self.do(step)

    @rule(number=st.integers(2, 40))
    def interrupt_step(self, number: int) -> None:
        """Let what comes next be interrupted wherever it is then."""
        self.do(lambda scene: setattr(scene.world, "interrupts_at", number))

    @rule(seconds=st.sampled_from([0.5, 11.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.do(lambda scene: scene.world.run_until(scene.world.time + seconds))

    @rule(draft=_DRAFTS)
    def send(self, draft: Draft) -> None:
        """Send a message."""
        self.do(lambda scene: scene.send(draft))

    @rule(drafts=st.lists(_DRAFTS, min_size=2, max_size=5))
    def send_at_once(self, drafts: list[Draft]) -> None:
        """Send messages at the same time."""
        self.do(lambda scene: scene.send(*drafts))

    @rule(paths=st.lists(st.sampled_from(_PEOPLE), min_size=1, max_size=3, unique=True))
    def send_raw(self, paths: list[str]) -> None:
        """Send prepared bytes."""
        self.do(lambda scene: scene.send_raw(paths))

    @rule(
        drafts=st.lists(_DRAFTS, min_size=1, max_size=8),
        connections=st.integers(1, 2),
        most=st.sampled_from([None, None, 1, 3]),
        breaks=st.booleans(),
    )
    def send_many(self, drafts: list[Draft], connections: int, most: int | None, breaks: bool) -> None:
        """Send a stream."""
        self.do(lambda scene: scene.send_many(drafts, connections, most, breaks=breaks))

    def teardown(self) -> None:
        """Close, do everything again, and find the same."""
        if self.scene is None:
            return
        again = Scene(*self.arguments)
        for step in self.done:
            step(again)
        assert again.told == self.scene.told
        assert again.copies == self.scene.copies
        assert again.world.time == self.scene.world.time
        self.scene.post.channel()
        self.scene.close()


TestPolicies = Machine.TestCase
_THOROUGH: Final = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
TestPolicies.settings = settings(max_examples=5000 if _THOROUGH else 150, stateful_step_count=12)
