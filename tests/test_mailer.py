"""Both mailers, beside each other: what one does in a thread the other does in a task, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import re
import threading
import tracemalloc
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import define
from tests.colours import COLOURS, Colour, run_in

from mailkit.envelope import Envelope
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryTimeout,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.hooks import Hooks
from mailkit.local import MemoryTransport
from mailkit.mailer import AsyncMailer, Mailer
from mailkit.message import Message
from mailkit.override import Override
from mailkit.policies.retry import RetryPolicy
from mailkit.receipt import Outcome, Progress, Receipt, RecipientResult
from mailkit.smtp import SMTP, PoolLimits
from mailkit.testing import SMTPServer, Stall
from mailkit.transport import Capabilities, Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from mailkit.edge import Edge
    from mailkit.events import BeforeSend


def _message(number: int = 1, **fields: Any) -> Message:
    return Message(
        **{"from_": "ada@example.com", "to": "bob@example.org", "subject": str(number), "text": "Hi", **fields}
    )


class _Recorder:
    """A transport that notes what is opened, sent and closed; subjects choose what becomes of a message."""

    capabilities = Capabilities.everything()

    def __init__(self) -> None:
        self.channels: list[_RecorderChannel] = []
        self.sent: list[Message] = []

    def open(self, edge: Edge) -> Channel:
        self.channels.append(_RecorderChannel(self, edge))
        return self.channels[-1]

    def __str__(self) -> str:
        return "recorder://"


class _RecorderChannel(Channel):
    def __init__(self, transport: _Recorder, edge: Edge) -> None:
        super().__init__(transport)
        self.recorder = transport
        self.edge = edge
        self.is_closed = False

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        if message.subject == "rejected":
            raise RejectedError("no such user")
        self.recorder.sent.append(message)
        results = [RecipientResult(path.addr_spec, status="accepted") for path in envelope.rcpt_to]
        return Receipt(message_id=message.message_id or "", transport="recorder://", recipients=results)

    async def close(self) -> None:
        self.is_closed = True


class _Both:
    """One way to write a test for both mailers: what it awaits is awaited, or called."""

    def __init__(self, colour: Colour) -> None:
        self.colour = colour
        self.made: list[Any] = []

    def mailer(self, *args: Any, **kwargs: Any) -> Any:
        """Make a mailer of the colour; it is closed when the test ends."""
        self.made.append((Mailer if self.colour == "blocking" else AsyncMailer)(*args, **kwargs))
        return self.made[-1]

    async def close(self) -> None:
        """Close every mailer."""
        for mailer in self.made:
            await self.call(mailer.close())

    async def call(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    async def collect(self, outcomes: Any, most: int | None = None) -> list[Outcome]:
        """Take outcomes, and leave early after `most` of them."""
        taken: list[Outcome] = []
        if self.colour == "blocking":
            with closing(outcomes):
                for outcome in outcomes:
                    taken.append(outcome)
                    if len(taken) == most:
                        break
        else:
            async with aclosing(outcomes):
                async for outcome in outcomes:
                    taken.append(outcome)
                    if len(taken) == most:
                        break
        return taken


@pytest.fixture(params=COLOURS)
def both(request: pytest.FixtureRequest) -> Iterator[_Both]:
    """One colour after the other."""
    made = _Both(request.param)
    yield made
    run_in(made.colour, made.close)


@pytest.fixture
def run(both: _Both) -> Callable[..., Any]:
    """Run a coroutine function in the colour: stepped for Mailer, in an event loop for AsyncMailer."""

    def start(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return run_in(both.colour, function)

    return start


# -- two colours, one interface ----------------------------------------------------------------------------------------


def _members(kind: type) -> dict[str, Any]:
    renamed = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
    return {
        renamed.get(name, name): value
        for name, value in vars(kind).items()
        if callable(value) or isinstance(value, property)
        if not name.startswith("_") or name in {"__init__", "__repr__", "__enter__", "__exit__", *renamed}
    }


def test_both_mailers_have_the_same_members() -> None:
    """What one offers, the other offers under the same name."""
    assert _members(Mailer).keys() == _members(AsyncMailer).keys()
    assert {"send", "send_many", "send_raw", "verify", "close", "transport"} <= _members(Mailer).keys()


@pytest.mark.parametrize("name", sorted(_members(Mailer)))
def test_both_mailers_take_the_same_and_say_the_same(name: str) -> None:
    """Parameters, defaults, kinds and docstrings are equal; annotations but for the words that make it async."""
    mine, theirs = _members(Mailer)[name], _members(AsyncMailer)[name]
    assert inspect.getdoc(mine) == inspect.getdoc(theirs)
    if isinstance(mine, property):
        mine, theirs = mine.fget, theirs.fget
    signatures = inspect.signature(mine), inspect.signature(theirs)
    (left, right) = (
        [(each.name, each.kind, each.default) for each in signature.parameters.values()] for signature in signatures
    )
    assert left == right

    def plain(annotation: Any) -> str:
        text = str(annotation).replace(" | AsyncIterable[Message]", "").replace(", None, None]", ", None]")
        return text.replace("AsyncGenerator", "Generator").replace("AsyncIterator", "Iterator")

    assert [plain(each.annotation) for each in signatures[0].parameters.values()] == [
        plain(each.annotation) for each in signatures[1].parameters.values()
    ]
    assert plain(signatures[0].return_annotation) == plain(signatures[1].return_annotation)


def test_the_class_docstrings_differ_only_where_the_colours_do() -> None:
    """The arguments and errors of both classes are described in the same words."""
    mine, theirs = ((inspect.getdoc(kind) or "").partition("Args:")[2] for kind in (Mailer, AsyncMailer))
    assert mine == theirs != ""


# -- which transport ---------------------------------------------------------------------------------------------------


def test_a_mailer_takes_a_url_or_a_transport(both: _Both) -> None:
    """A URL becomes a transport, a transport stays what it is; both show in ``repr`` without secrets."""
    recorder = _Recorder()
    assert both.mailer(recorder).transport is recorder
    mailer = both.mailer("smtp://ada:hunter2@mail.example.com")
    assert str(mailer.transport) == "smtp://mail.example.com:587"
    assert repr(mailer) == f"{type(mailer).__name__}('smtp://mail.example.com:587')"


def test_the_environment_names_the_transport(both: _Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument MAILKIT_URL is used, and an argument wins over it."""
    monkeypatch.setenv("MAILKIT_URL", "null://")
    assert str(both.mailer().transport) == "null://"
    assert str(both.mailer("memory://").transport) == "memory://"


@pytest.mark.parametrize("environment", [None, ""])
def test_without_any_transport_there_is_no_mailer(
    both: _Both, environment: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says both ways to name one."""
    if environment is not None:
        monkeypatch.setenv("MAILKIT_URL", environment)
    with pytest.raises(ConfigurationError, match=r'such as "smtp://.*", or set MAILKIT_URL'):
        both.mailer()


def test_a_wrong_url_in_the_environment_is_not_repeated(both: _Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold a secret."""
    monkeypatch.setenv("MAILKIT_URL", "smtp://ada:hunter2@mail.example.com:x")
    with pytest.raises(ConfigurationError) as caught:
        both.mailer()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("wrong", [7, b"null://", ["null://"], object(), SMTP])
def test_what_is_neither_is_refused(both: _Both, wrong: object) -> None:
    """The error names the type; a class of transports is none, before it is called."""
    with pytest.raises(ConfigurationError, match=f"not {type(wrong).__name__}$"):
        both.mailer(wrong)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "30", None])
def test_a_timeout_is_a_positive_number_of_seconds(both: _Both, timeout: object) -> None:
    """Nothing may hang for ever, and nothing can take no time."""
    with pytest.raises(ConfigurationError, match="positive, finite number of seconds"):
        both.mailer("null://", timeout=timeout)


def test_the_timeout_reaches_the_edge(both: _Both, run: Callable[..., Any]) -> None:
    """What a phase may take is what the mailer was told; 30 s where it was told nothing."""
    for given, seconds in (({}, 30.0), ({"timeout": 2.5}, 2.5)):
        recorder = _Recorder()
        mailer = both.mailer(recorder, **given)
        run(lambda mailer=mailer: both.call(mailer.send(_message())))
        assert recorder.channels[0].edge.timeout == seconds


def test_the_timeout_ends_a_stalled_answer(both: _Both, run: Callable[..., Any]) -> None:
    """A server that says nothing is given up after the mailer's timeout, not after the default."""
    with SMTPServer() as server:
        server.script("greeting", Stall())
        mailer = both.mailer(server.url, timeout=0.1, retry=RetryPolicy.none())
        with pytest.raises(DeliveryTimeout):
            run(lambda: both.call(mailer.send(_message())))


# -- sending -----------------------------------------------------------------------------------------------------------


def test_a_message_is_completed_once(both: _Both, run: Callable[..., Any]) -> None:
    """Date and Message-ID are filled in before the transport sees it, and the receipt names the latter."""
    recorder = _Recorder()
    receipt = run(lambda: both.call(both.mailer(recorder).send(_message())))
    (sent,) = recorder.sent
    assert sent.message_id == receipt.message_id
    assert re.fullmatch(r"[0-9a-f]{32}@example\.com", receipt.message_id)
    assert sent.date is not None
    assert sent.date.tzinfo is not None


def test_defaults_fill_in_what_is_open(both: _Both, run: Callable[..., Any]) -> None:
    """The message's own fields win, and header fields and tags are added."""
    recorder = _Recorder()
    defaults = Message(from_="office@example.com", reply_to="help@example.com", headers={"X-A": "1"}, tags=["all"])
    mailer = both.mailer(recorder, defaults=defaults)
    given = Message(to="bob@example.org", text="Hi", headers={"X-B": "2"}, reply_to="me@example.com", tags=["one"])
    run(lambda: both.call(mailer.send(given)))
    (sent,) = recorder.sent
    assert (str(sent.from_), [str(each) for each in sent.reply_to]) == ("office@example.com", ["me@example.com"])
    assert (sent.headers, sent.tags) == ((("X-B", "2"), ("X-A", "1")), ("one", "all"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (Message(to="bob@example.org"), "no From address"),
        (Message(from_="ada@example.com"), "no recipient"),
        ("Subject: Hi", "send takes a Message, not str"),
        (None, "send takes a Message, not NoneType"),
    ],
)
def test_a_message_that_cannot_be_sent_is_an_error_before_any_io(
    both: _Both, wrong: Any, told: str, run: Callable[..., Any]
) -> None:
    """Nothing reaches the transport."""
    recorder = _Recorder()
    with pytest.raises(MessageError, match=told):
        run(lambda: both.call(both.mailer(recorder).send(wrong)))
    assert recorder.sent == []


def test_raw_bytes_and_verifying_reach_the_channel(both: _Both, run: Callable[..., Any]) -> None:
    """Prepared bytes go out unchanged where the transport can, and are refused where it cannot."""
    memory = MemoryTransport()
    data, envelope = b"Subject: x\r\n\r\nHi\r\n", Envelope("ada@example.com", "bob@example.org")
    run(lambda: both.call(both.mailer(memory).send_raw(data, envelope)))
    assert memory.outbox[0].raw == data
    with pytest.raises(UnsupportedFeatureError):
        run(lambda: both.call(both.mailer(_Recorder()).send_raw(data, envelope)))
    assert run(lambda: both.call(both.mailer(memory).verify())).transport == "memory://"


def test_retrying_is_the_mailer_s(both: _Both, run: Callable[..., Any]) -> None:
    """A 4xx is tried again by a mailer with the default policy, and raised by one without."""
    with SMTPServer() as server:
        server.script("MAIL", "451 4.3.0 later")
        mailer = both.mailer(server.url, retry=RetryPolicy(wait=lambda _: 0.0))
        assert run(lambda: both.call(mailer.send(_message()))).attempts == 2
        server.script("MAIL", "451 4.3.0 later")
        with pytest.raises(TransientError):
            run(lambda: both.call(both.mailer(server.url, retry=RetryPolicy.none()).send(_message())))


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_yields_one_outcome_for_each_in_order(both: _Both, run: Callable[..., Any]) -> None:
    """Whatever is wrong with one of them, the rest goes out; each outcome holds the message as it was given."""
    recorder = _Recorder()
    given: list[Any] = [
        _message(1), _message(2, to=()), "no message", _message(subject="rejected"), None, Message(to="b@example.org"),
        _message(7),
    ]  # fmt: skip
    outcomes = run(lambda: both.collect(both.mailer(recorder).send_many(given)))
    assert [outcome.message for outcome in outcomes] == given
    assert all(outcome.message is each for outcome, each in zip(outcomes, given, strict=True))
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None), MessageError, MessageError, RejectedError, MessageError, MessageError, type(None),
    ]  # fmt: skip
    assert [sent.subject for sent in recorder.sent] == ["1", "7"]


def test_progress_is_told_after_each_message(both: _Both, run: Callable[..., Any]) -> None:
    """Done, failed, and the latest outcome, before it is handed out."""
    told: list[Progress] = []
    given = [_message(1), _message(subject="rejected"), _message(3)]
    outcomes = run(lambda: both.collect(both.mailer(_Recorder()).send_many(given, on_progress=told.append)))
    assert [(each.done, each.failed) for each in told] == [(1, 0), (2, 1), (3, 1)]
    assert [each.latest for each in told] == outcomes


def test_a_stream_takes_any_iterable(both: _Both, run: Callable[..., Any]) -> None:
    """A tuple, a generator and nothing at all."""
    for given in ((_message(1), _message(2)), (_message(number) for number in range(2)), iter(())):
        count = 0 if not isinstance(given, tuple) and inspect.isgenerator(given) is False else 2
        assert len(run(lambda given=given: both.collect(both.mailer("null://").send_many(given)))) == count


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_mailer_takes_async_iterables(backend: str) -> None:
    """An async generator, and an object that is only iterable."""

    @define
    class Iterable_:  # noqa: N801 - the name is taken
        last: int

        async def __aiter__(self) -> AsyncIterator[Message]:
            for number in range(self.last):
                await anyio.lowlevel.checkpoint()
                yield _message(number)

    async def conversation() -> None:
        for given in (Iterable_(3), Iterable_(3).__aiter__()):
            async with AsyncMailer("null://") as mailer, aclosing(mailer.send_many(given)) as outcomes:
                assert [outcome.message.subject async for outcome in outcomes] == ["0", "1", "2"]

    anyio.run(conversation, backend=backend)


@pytest.mark.parametrize("wrong", [_message(), None, 7])
def test_what_cannot_be_iterated_over_is_refused_at_once(both: _Both, wrong: Any) -> None:
    """One message is for `send`; the error comes from the call, not from the first step."""
    with pytest.raises(ConfigurationError, match=f"not one {type(wrong).__name__}: use send for one"):
        both.mailer("null://").send_many(wrong)


@pytest.mark.parametrize(
    "wrong", [{"connections": 0}, {"connections": None}, {"connections": 1.5}, {"window": 0}, {"window": "8"}]
)
def test_connections_and_window_are_positive_whole_numbers(both: _Both, wrong: dict[str, Any]) -> None:
    """They are checked by the call, not by the first step."""
    with pytest.raises(ConfigurationError, match="is not a whole number of at least 1"):
        both.mailer("null://").send_many([], **wrong)


@pytest.mark.parametrize("transport", ["memory", "smtp"])
def test_a_source_that_raises_raises_through_the_stream(both: _Both, transport: str, run: Callable[..., Any]) -> None:
    """Its own exception comes out; what it gave before is sent, not forgotten."""

    def source() -> Iterator[Message]:
        yield _message(1)
        yield _message(2)
        raise LookupError("the database has gone")

    with SMTPServer() as server:
        chosen = MemoryTransport() if transport == "memory" else server.url
        mailer = both.mailer(chosen)
        with pytest.raises(LookupError, match="the database has gone"):
            run(lambda: both.collect(mailer.send_many(source(), window=1)))
        sent = chosen.outbox if isinstance(chosen, MemoryTransport) else server.messages
        assert len(sent) == 2


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("transport", ["memory", "smtp"])
def test_leaving_early_closes_everything(
    both: _Both, transport: str, connections: int, run: Callable[..., Any]
) -> None:
    """The source is closed, nothing is left for the garbage collector to complain about, and the mailer still works."""
    closed: list[str] = []

    def source() -> Iterator[Message]:
        try:
            for number in range(1000):
                yield _message(number)
        finally:
            closed.append("source")

    async def async_source() -> AsyncIterator[Message]:
        try:
            for number in range(1000):
                yield _message(number)
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append("source")

    with SMTPServer() as server:
        mailer = both.mailer("memory://" if transport == "memory" else server.url)

        async def conversation() -> None:
            given = source() if both.colour == "blocking" else async_source()
            outcomes = await both.collect(mailer.send_many(given, connections=connections, window=2), most=3)
            assert [outcome.message.subject for outcome in outcomes] == ["0", "1", "2"]
            del given
            gc.collect()
            assert closed == ["source"]
            assert (await both.call(mailer.send(_message()))).accepted
            await both.call(mailer.close())

        run(conversation)


def _breaking_off(telling: Callable[[list[Message]], tuple[Outcome, ...]], taking: int) -> Any:
    """Return a transport whose stream takes some messages, and is interrupted with these outcomes left."""

    class Interrupted(_Recorder):
        def open(self, edge: Edge) -> Channel:
            return InterruptedChannel(self, edge)

    class InterruptedChannel(_RecorderChannel):
        async def send_many(self, messages: Any, *, connections: int = 1, window: int | None = None) -> Any:
            del connections, window
            taken = [await anext(messages) for _ in range(taking)]
            interruption = KeyboardInterrupt()
            interruption.__dict__["outcomes"] = telling(taken)
            raise interruption
            yield

    return Interrupted()


def _unsent(message: Message) -> Outcome:
    return Outcome(message=message, error=ConnectError("lost"))


@pytest.mark.parametrize(
    ("telling", "kinds"),
    [
        (lambda _: (), [OutcomeUnknownError] * 3),
        (lambda taken: tuple(map(_unsent, taken)), [ConnectError] * 3),
        (lambda taken: tuple(map(_unsent, taken[1:])), [OutcomeUnknownError, ConnectError, ConnectError]),
        (lambda taken: (_unsent(taken[2]),), [OutcomeUnknownError, OutcomeUnknownError, ConnectError]),
        (lambda taken: (_unsent(taken[0]),), [ConnectError, OutcomeUnknownError, OutcomeUnknownError]),
    ],
    ids=["nothing", "all", "the first one's answer is lost", "two answers are lost", "only the first one"],
)
def test_what_an_interruption_does_not_tell_of_is_in_doubt(
    both: _Both, run: Callable[..., Any], telling: Callable[[list[Message]], tuple[Outcome, ...]], kinds: list[type]
) -> None:
    """Each message that was taken is named; an answer that was lost between two layers is nobody else's."""
    given = [_message() for _ in kinds]
    mailer = both.mailer(_breaking_off(telling, len(kinds)), retry=RetryPolicy.none())
    with pytest.raises(KeyboardInterrupt) as caught:
        run(lambda: both.collect(mailer.send_many(given)))
    outcomes = caught.value.__dict__["outcomes"]
    assert [outcome.message for outcome in outcomes] == given
    assert [type(outcome.error) for outcome in outcomes] == kinds


def test_a_message_that_had_not_reached_the_transport_was_not_sent(both: _Both, run: Callable[..., Any]) -> None:
    """An interruption while a hook looks at it: what was sent before is told, and the rest is certain."""

    def interrupt(event: BeforeSend) -> None:
        if event.message.subject == "2":
            raise KeyboardInterrupt

    given = [_message(), _message().evolve(subject="2")]
    mailer = both.mailer(_Recorder(), hooks=Hooks(before_send=interrupt))
    with pytest.raises(KeyboardInterrupt) as caught:
        run(lambda: both.collect(mailer.send_many(given)))
    (outcome,) = caught.value.__dict__["outcomes"]
    assert outcome.message is given[1]
    assert isinstance(outcome.error, ConnectError)


def test_an_endless_stream_needs_constant_memory(
    both: _Both, run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """After thousands of messages no more is held than after hundreds."""
    caplog.set_level(logging.WARNING, "mailkit.events")  # pytest keeps what is logged

    def endless() -> Iterator[Message]:
        number = 0
        while True:
            number += 1
            yield _message(number, text="x" * 2000)

    async def conversation() -> list[int]:
        peaks: list[int] = []
        outcomes = both.mailer("null://").send_many(endless())
        for _ in range(3):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(500):
                await anext(outcomes) if both.colour != "blocking" else next(outcomes)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        await both.call(outcomes.aclose() if both.colour != "blocking" else outcomes.close())
        return peaks[1:]  # the first messages load modules

    tracemalloc.start()
    try:
        assert max(run(conversation)) < 500_000
    finally:
        tracemalloc.stop()


def test_a_stream_retries_beside_its_own_connection(both: _Both, run: Callable[..., Any]) -> None:
    """A pool of one connection is enough to retry a message in the middle of a stream, in its place."""
    with SMTPServer() as server:
        server.script("RCPT", "450 4.2.1 busy", match="b2@example.org")
        transport = SMTP(server.host, port=server.port, pool=PoolLimits(max_connections=1))
        mailer = both.mailer(transport, retry=RetryPolicy(wait=lambda _: 0.0), timeout=20.0)
        given = [_message(number, to=f"b{number}@example.org") for number in range(6)]
        outcomes = run(lambda: both.collect(mailer.send_many(given)))
        assert [(outcome.ok, str(outcome.error or "")) for outcome in outcomes] == [(True, "")] * 6
        assert [outcome.message for outcome in outcomes] == given
        assert [outcome.receipt.attempts for outcome in outcomes if outcome.receipt] == [1, 1, 2, 1, 1, 1]
        assert len(server.messages) == 6


def test_an_error_of_the_progress_function_ends_the_stream(both: _Both, run: Callable[..., Any]) -> None:
    """What one's own function raises comes out as it is."""

    def fail(progress: Progress) -> None:
        raise ZeroDivisionError(progress.done)

    with pytest.raises(ZeroDivisionError):
        run(lambda: both.collect(both.mailer("null://").send_many([_message()], on_progress=fail)))


# -- life --------------------------------------------------------------------------------------------------------------


def test_a_mailer_opens_when_it_sends_and_closes_what_it_opened(both: _Both, run: Callable[..., Any]) -> None:
    """Making one connects to nothing; the block's end closes the one channel that all messages shared."""
    recorder = _Recorder()

    async def conversation() -> None:
        mailer = both.mailer(recorder)
        assert recorder.channels == []
        for _ in range(3):
            await both.call(mailer.send(_message()))
        (channel,) = recorder.channels
        assert not channel.is_closed
        await both.call(mailer.close())
        assert channel.is_closed
        await both.call(mailer.close())

    run(conversation)


def test_the_context_managers_close(both: _Both, run: Callable[..., Any]) -> None:
    """Also when the block ends in an exception, which is not swallowed."""
    recorder = _Recorder()

    async def conversation() -> None:
        if both.colour == "blocking":
            with Mailer(recorder) as mailer:
                mailer.send(_message())
                raise LookupError
        async with AsyncMailer(recorder) as mailer_:
            await mailer_.send(_message())
            raise LookupError

    with pytest.raises(LookupError):
        run(conversation)
    assert [channel.is_closed for channel in recorder.channels] == [True]


@pytest.mark.parametrize("what", ["send", "send_many", "send_raw", "verify"])
def test_a_closed_mailer_says_so(both: _Both, what: str, run: Callable[..., Any]) -> None:
    """Nothing is reopened behind one's back."""
    mailer = both.mailer("null://")

    async def conversation() -> None:
        await both.call(mailer.close())
        match what:
            case "send":
                await both.call(mailer.send(_message()))
            case "send_many":
                await both.collect(mailer.send_many([_message()]))
            case "send_raw":
                await both.call(mailer.send_raw(b"Subject: x\r\n\r\n", Envelope(None, "bob@example.org")))
            case _:
                await both.call(mailer.verify())

    with pytest.raises(ConfigurationError, match="this mailer is closed"):
        run(conversation)


def test_a_mailer_closed_while_another_thread_opens_sends_nothing(both: _Both, run: Callable[..., Any]) -> None:
    """The channel that came too late to be closed is not used either."""

    class Slow(_Recorder):
        def open(self, edge: Edge) -> Channel:
            mailer._post._closed = True  # as another thread's close does meanwhile
            return super().open(edge)

    recorder = Slow()
    mailer = both.mailer(recorder)
    with pytest.raises(ConfigurationError, match="this mailer is closed"):
        run(lambda: both.call(mailer.send(_message())))
    assert recorder.sent == []


def test_an_override_takes_everything(both: _Both, run: Callable[..., Any]) -> None:
    """While it is in force every mailer sends into it, those made before included; afterwards nothing of it is left."""
    mailer, memory, other = both.mailer(_Recorder()), MemoryTransport(), MemoryTransport()
    own = mailer.transport

    async def send() -> None:
        await both.call(mailer.send(_message()))

    async def conversation() -> None:
        await send()
        with Override(memory):
            await send()
            await both.call(both.mailer("smtp://mail.example.com").send(_message()))
            with Override(other):
                await send()
        await send()
        assert mailer.transport is own

    run(conversation)
    assert (len(own.sent), len(memory.outbox), len(other.outbox)) == (2, 2, 1)


def test_threads_share_one_channel() -> None:
    """Of many threads that come first at once, all send through the one channel that is kept, and all of it closes."""
    threads, barrier = 16, threading.Barrier(16)
    recorder = _Recorder()
    used: list[Channel] = []

    class Meeting(_Recorder):
        def open(self, edge: Edge) -> Channel:
            barrier.wait(timeout=30)  # all of them find no channel, and open one each
            return recorder.open(edge)

    with Mailer(Meeting(), retry=RetryPolicy.none()) as mailer:

        def work() -> None:
            mailer.send(_message())
            used.append(mailer._post.channel())

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=30)
    assert len(recorder.sent) == len(used) == len(recorder.channels) == threads
    assert len(set(map(id, used))) == 1
    assert sum(channel.is_closed for channel in recorder.channels) == 1
    assert used[0] in recorder.channels


def test_threads_send_over_one_mailer() -> None:
    """Eight threads, a pool of three connections, forty messages: each arrives once."""
    with SMTPServer() as server, Mailer(f"{server.url}?max_connections=3") as mailer:

        def work(first: int) -> None:
            for number in range(first, first + 5):
                mailer.send(_message(number))

        workers = [threading.Thread(target=work, args=(first,)) for first in range(0, 40, 5)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=60)
        subjects = sorted(int(message.parse()["Subject"]) for message in server.messages)
        assert subjects == list(range(40))
        assert len(server.connections) <= 3


def test_a_mailer_works_inside_a_running_event_loop() -> None:
    """In a notebook or a legacy view of an async application the blocking mailer blocks, and works."""

    async def notebook() -> None:
        with SMTPServer() as server, Mailer(server.url) as mailer:
            assert mailer.send(_message()).accepted
            with closing(mailer.send_many(_message(number) for number in range(50))) as outcomes:
                assert [next(outcomes).ok for _ in range(10)] == [True] * 10
            assert mailer.verify().extensions

    asyncio.run(notebook())
    anyio.run(notebook, backend="trio")


def test_an_async_mailer_outlives_its_event_loop() -> None:
    """One made at import serves two loops one after the other, each of its kind."""
    with SMTPServer() as server:
        mailer = AsyncMailer(server.url)

        async def send() -> None:
            assert (await mailer.send(_message())).accepted
            outcomes = mailer.send_many([_message(2), _message(3)])
            async with aclosing(outcomes):
                assert all([outcome.ok async for outcome in outcomes])

        asyncio.run(send())
        asyncio.run(send())
        anyio.run(send, backend="trio")
        asyncio.run(mailer.close())
        assert len(server.messages) == 9


def test_a_forked_child_has_connections_of_its_own() -> None:
    """A mailer used before and after the fork: parent and child speak on different connections."""
    with SMTPServer() as server, Mailer(server.url) as mailer:
        mailer.send(_message(1))
        child = os.fork()
        if child == 0:  # pragma: no cover - in the child
            code = 1
            try:
                mailer.send(_message(2))
                mailer.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        mailer.send(_message(3))
        by_subject = {message.parse()["Subject"]: message.connection for message in server.messages}
        assert by_subject == {"1": 1, "2": 2, "3": 1}


def test_an_unreachable_server_is_an_error_of_ours(both: _Both, run: Callable[..., Any]) -> None:
    """A port where nobody listens ends in a ConnectError, which names the place."""
    with SMTPServer() as server:
        url = server.url
    mailer = both.mailer(url, retry=RetryPolicy.none())
    with pytest.raises(ConnectError, match=str(server.port)):
        run(lambda: both.call(mailer.send(_message())))


@pytest.mark.parametrize("kind", [Mailer, AsyncMailer])
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("retry", 3, "RetryPolicy.none()"),
        ("defaults", {"from_": "ada@example.com"}, "not dict"),
        ("hooks", print, "Hooks"),
    ],
)
def test_an_option_of_a_wrong_type_is_refused_at_once(kind: Any, option: str, value: object, words: str) -> None:
    """Where the mailer is made, and not with the first message; what a message would say stays unsaid."""
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        kind("null://", **{option: value})
    assert "ada@" not in str(caught.value)
