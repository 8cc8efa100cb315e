from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.colours import COLOURS, Colour
from tests.sending import send, send_many, send_raw

from mailkit import Mailer, __version__
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, ConnectError, DeliveryError, MessageError, RejectedError, TransientError
from mailkit.events import AfterSend, BreakerChanged, FailedOver, Suppressed
from mailkit.hooks import Hooks
from mailkit.integrations.opentelemetry import Telemetry
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.testing import FakeTransport
from mailkit.transport import Channel

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from mailkit.edge import Edge

NOW = RetryPolicy(wait=lambda state: 0.0)
MESSAGE = Message(from_="ada@example.com", to=["bob@example.org", "eve@example.net"], subject="Top secret", text="Hi")
PERSONAL = ("ada@", "bob@", "eve@", "secret")

in_all_colours = pytest.mark.parametrize("colour", COLOURS)


class Watched:
    """A telemetry whose spans and numbers stay in memory."""

    def __init__(self, **how: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.telemetry = Telemetry(
            tracer_provider=self.tracers, meter_provider=MeterProvider(metric_readers=[self.reader]), **how
        )
        self.hooks = Hooks(on_event=self.telemetry)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order of their ends."""
        return list(self.exporter.get_finished_spans())

    def points(self, name: str) -> dict[tuple[Any, ...], Any]:
        """What an instrument has measured, by the values of its own attributes."""
        found: dict[tuple[Any, ...], Any] = {}
        data = self.reader.get_metrics_data()
        for metric in [each for scope in data.resource_metrics[0].scope_metrics for each in scope.metrics]:
            if metric.name == name:
                for point in metric.data.data_points:
                    own = {key: value for key, value in point.attributes.items() if not key.startswith("messaging.")}
                    found[tuple(own[key] for key in sorted(own))] = point
        return found


@pytest.fixture
def watched() -> Watched:
    """With facts alone."""
    return Watched()


def _facts(span: ReadableSpan) -> dict[str, Any]:
    assert span.attributes is not None
    return dict(span.attributes)


# -- spans -------------------------------------------------------------------------------------------------------------


@in_all_colours
def test_a_message_is_a_span(watched: Watched, colour: Colour) -> None:
    """It is called and described as the conventions for messaging want it, and its status is left alone."""
    receipt = send(colour, FakeTransport(), MESSAGE, hooks=watched.hooks)
    (span,) = watched.spans
    assert (span.name, span.kind, span.status.status_code) == ("send fake://", SpanKind.CLIENT, StatusCode.UNSET)
    facts = _facts(span)
    assert facts.pop("mailkit.duration") >= 0
    assert facts == {
        "messaging.system": "email", "messaging.operation.name": "send", "messaging.operation.type": "send",
        "messaging.message.id": receipt.message_id, "mailkit.message_id": receipt.message_id,
        "mailkit.transport": "fake://", "mailkit.recipients": 2, "mailkit.accepted": 2, "mailkit.attempts": 1,
        "mailkit.outcome": "accepted",
    }  # fmt: skip
    assert span.instrumentation_scope is not None
    assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == ("mailkit", __version__)


@in_all_colours
def test_an_error_is_the_span_s_status(watched: Watched, colour: Colour) -> None:
    """With its type, outcome, cause and phase, and without its words."""
    fake = FakeTransport()
    fake.fail_next(ConnectError("refused for bob@example.org", phase="connect"))
    with pytest.raises(ConnectError):
        send(colour, fake, MESSAGE, retry=RetryPolicy.none(), hooks=watched.hooks)
    (span,) = watched.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    facts = _facts(span)
    assert {name: facts[name] for name in ("error.type", "mailkit.outcome", "mailkit.cause", "mailkit.phase")} == {
        "error.type": "ConnectError", "mailkit.outcome": "not_sent", "mailkit.cause": "transient",
        "mailkit.phase": "connect",
    }  # fmt: skip
    assert not [event for event in span.events if event.name == "exception"]


@in_all_colours
def test_retries_are_events_of_the_span(watched: Watched, colour: Colour) -> None:
    """In ``send`` and in ``send_many``, each with the message that it is about."""
    for number in range(2):
        fake = FakeTransport()
        fake.fail_next(TransientError("busy"), match=lambda message: message.subject == "Top secret")
        if number:
            send_many(colour, fake, [MESSAGE.evolve(subject="0"), MESSAGE], retry=NOW, hooks=watched.hooks)
        else:
            send(colour, fake, MESSAGE, retry=NOW, hooks=watched.hooks)
    assert [[event.name for event in span.events] for span in watched.spans] == [
        ["mailkit.retry"], [], ["mailkit.retry"],
    ]  # fmt: skip
    facts = dict(watched.spans[2].events[0].attributes or {})
    assert (facts["mailkit.attempt"], facts["mailkit.wait"], facts["mailkit.cause"]) == (1, 0.0, "transient")


@in_all_colours
def test_attempts_that_others_hear_of_are_no_events_of_the_span(watched: Watched, colour: Colour) -> None:
    """Beside a hook that follows every step the span is what it is without."""
    heard: list[Any] = []
    send(colour, FakeTransport(), MESSAGE, hooks=Hooks(on_event=[watched.telemetry, heard.append]))
    assert len(heard) == 4
    assert not watched.spans[0].events


class Instrumented(FakeTransport):
    """A transport whose library makes spans of its own."""

    def open(self, edge: Edge) -> Channel:
        """Return a channel that makes a span for each message."""
        fake = super().open(edge)
        channel = Channel(self)

        async def deliver(message: Message, envelope: Envelope) -> Any:
            with tracers[0].get_tracer("http").start_as_current_span("POST"):
                return await fake.send(message, envelope)

        channel.send = deliver  # type: ignore[method-assign]
        return channel


tracers: list[TracerProvider] = []


@in_all_colours
def test_spans_nest(watched: Watched, colour: Colour) -> None:
    """The application's is the parent of the message's, which is that of what sends it; afterwards all is as before."""
    tracers[:] = [watched.tracers]
    with watched.tracers.get_tracer("app").start_as_current_span("signup") as signup:
        send(colour, Instrumented(), MESSAGE, hooks=watched.hooks)
        assert trace.get_current_span() is signup
    http, message, _ = watched.spans
    assert message.parent is not None
    assert http.parent is not None
    assert message.parent.span_id == signup.get_span_context().span_id
    assert http.parent.span_id == message.context.span_id  # type: ignore[union-attr]


@in_all_colours
def test_the_messages_of_a_stream_are_beside_each_other(watched: Watched, colour: Colour) -> None:
    """All of them are children of the span in which they are sent, none of another message."""
    with watched.tracers.get_tracer("app").start_as_current_span("newsletter") as newsletter:
        outcomes = send_many(colour, FakeTransport(), [MESSAGE] * 3, hooks=watched.hooks)
        assert trace.get_current_span() is newsletter
    *messages, _ = watched.spans
    assert [span.parent.span_id for span in messages if span.parent] == [newsletter.get_span_context().span_id] * 3
    assert [_facts(span)["messaging.message.id"] for span in messages] == [
        outcome.receipt.message_id for outcome in outcomes if outcome.receipt
    ]


@in_all_colours
def test_every_message_of_a_stream_has_a_span(watched: Watched, colour: Colour) -> None:
    """Refused by a hook, by us, by the other side, or left behind: each has one, and none stays open."""

    def guard(event: Any) -> None:
        if event.message.subject == "1":
            raise MessageError("no")

    fake = FakeTransport()
    fake.fail_next(RejectedError("550"), match=lambda message: message.subject == "2")
    messages = [MESSAGE.evolve(subject=str(number)) for number in range(4)]
    messages.append(Message(text="from nobody"))
    send_many(colour, fake, messages, hooks=Hooks(on_event=watched.telemetry, before_send=guard))
    assert [_facts(span)["mailkit.outcome"] for span in watched.spans] == [
        "accepted", "rejected", "rejected", "accepted", "rejected",
    ]  # fmt: skip
    send_many(colour, fake, (MESSAGE for _ in range(50)), 2, hooks=watched.hooks)
    spans = watched.telemetry._spans
    assert (spans._begun, spans._by_message_id) == ({}, {})


def test_threads_have_spans_of_their_own(watched: Watched) -> None:
    """Messages that threads send at once through one mailer are children of their own thread's span."""
    tracer = watched.tracers.get_tracer("app")
    fake = FakeTransport()
    parents: list[int] = []
    together = threading.Barrier(4)

    def work() -> None:
        with tracer.start_as_current_span("job") as job:
            together.wait(30)
            for _ in range(5):
                mailer.send(MESSAGE)
            parents.extend([job.get_span_context().span_id] * 5)

    with Mailer(fake, hooks=watched.hooks) as mailer:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    messages = [span for span in watched.spans if span.name != "job"]
    assert sorted(span.parent.span_id for span in messages if span.parent) == sorted(parents)
    assert watched.telemetry._spans._begun == {}


@in_all_colours
def test_prepared_bytes_are_a_span(watched: Watched, colour: Colour) -> None:
    """Its Message-ID is known at its end."""
    data = b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"
    send_raw(colour, FakeTransport(), data, Envelope(None, "bob@example.org"), hooks=watched.hooks)
    (span,) = watched.spans
    assert _facts(span)["mailkit.message_id"] == "1@example.com"


@pytest.mark.parametrize(
    ("transport", "server"),
    [
        ("smtp://mail.example.com:587", {"server.address": "mail.example.com", "server.port": 587}),
        ("smtp://[2001:db8::1]:25", {"server.address": "2001:db8::1", "server.port": 25}),
        ("https+api://api.example.com", {"server.address": "api.example.com"}),
        ("postmark://default", {}),
        ("failover(smtp://a:1 smtp://b:2)", {}),
        ("mail server [:", {}),
        ("odd://[", {}),
    ],
)
def test_a_span_names_the_server_where_there_is_one(watched: Watched, transport: str, server: dict[str, Any]) -> None:
    """What is no address is not made one."""
    watched.telemetry(
        AfterSend(transport=transport, message=None, envelope=None, duration=1.0, error=RejectedError("no"))
    )
    facts = _facts(watched.spans[0])
    assert {name: value for name, value in facts.items() if name.startswith("server.")} == server


# -- personal data -----------------------------------------------------------------------------------------------------


def _everything(watched: Watched) -> str:
    spans = "".join(span.to_json() for span in watched.spans)
    return spans + watched.reader.get_metrics_data().to_json()


@in_all_colours
@pytest.mark.parametrize("data", ["facts", "personal"])
def test_personal_data_is_in_spans_only_where_that_is_asked_for(colour: Colour, data: Any) -> None:
    """Neither in names, attributes and events nor in metrics; with ``"personal"``, in the spans' attributes."""
    watched = Watched(data=data)
    fake = FakeTransport()
    fake.fail_next(TransientError("busy, bob@example.org"))
    fake.refuse("eve@example.net")
    send(colour, fake, MESSAGE, retry=NOW, hooks=watched.hooks)
    fake = FakeTransport()
    fake.fail_next(RejectedError("no bob@example.org here"))
    with pytest.raises(DeliveryError):
        send(colour, fake, MESSAGE, retry=NOW, hooks=watched.hooks)
    shown = [word for word in PERSONAL if word in _everything(watched)]
    assert shown == (list(PERSONAL) if data == "personal" else [])
    assert not [word for word in PERSONAL if word in watched.reader.get_metrics_data().to_json()]  # type: ignore[union-attr]
    if data == "personal":
        facts = _facts(watched.spans[0])
        assert (facts["mailkit.mail_from"], facts["mailkit.rcpt_to"], facts["mailkit.subject"]) == (
            "ada@example.com", "bob@example.org,eve@example.net", "Top secret",
        )  # fmt: skip
        assert _facts(watched.spans[1])["mailkit.text"] == "no bob@example.org here"


# -- metrics -----------------------------------------------------------------------------------------------------------


@in_all_colours
def test_messages_are_counted_and_measured(watched: Watched, colour: Colour) -> None:
    """By transport and outcome, and by the type of the error, with the bounds that the conventions ask for."""
    fake = FakeTransport()
    fake.fail_next(RejectedError("550"), match=lambda message: message.subject == "1")
    send_many(colour, fake, [MESSAGE.evolve(subject=str(number)) for number in range(3)], hooks=watched.hooks)
    counted = watched.points("messaging.client.sent.messages")
    assert {key: point.value for key, point in counted.items()} == {
        ("accepted", "fake://"): 2, ("RejectedError", "rejected", "fake://"): 1,
    }  # fmt: skip
    measured = watched.points("messaging.client.operation.duration")
    assert {key: point.count for key, point in measured.items()} == {
        ("accepted", "fake://"): 2, ("RejectedError", "rejected", "fake://"): 1,
    }  # fmt: skip
    assert measured["accepted", "fake://"].explicit_bounds[0] == 0.005


@in_all_colours
def test_retries_are_counted_by_cause(watched: Watched, colour: Colour) -> None:
    """Of a partial receipt there is no cause."""
    fake = FakeTransport()
    fake.fail_next(ConnectError("refused"), times=2)
    send(colour, fake, MESSAGE, retry=NOW, hooks=watched.hooks)
    fake.fail_next(TransientError("busy"), recipient="eve@example.net")
    send(colour, fake, MESSAGE, retry=NOW, hooks=watched.hooks)
    retries = watched.points("mailkit.client.retries")
    assert {key: point.value for key, point in retries.items()} == {("transient", "fake://"): 2, ("fake://",): 1}


def test_failovers_and_breakers_are_counted(watched: Watched) -> None:
    """A breaker is open from when it opens until it closes, however often it looks in between."""
    watched.telemetry(FailedOver(transport="a://", to="b://"))
    for before, after in [("closed", "open"), ("open", "half-open"), ("half-open", "open")]:
        watched.telemetry(BreakerChanged(transport="a://", before=before, after=after))  # type: ignore[arg-type]
    watched.telemetry(Suppressed(transport="a://"))
    assert {key: point.value for key, point in watched.points("mailkit.client.failovers").items()} == {
        ("b://", "a://"): 1
    }
    assert watched.points("mailkit.client.breakers.open")["a://",].value == 1
    watched.telemetry(BreakerChanged(transport="a://", before="half-open", after="closed"))
    assert watched.points("mailkit.client.breakers.open")["a://",].value == 0
    assert not watched.spans


# -- set up or not -----------------------------------------------------------------------------------------------------


@in_all_colours
def test_without_an_sdk_nothing_happens(colour: Colour) -> None:
    """The API alone makes spans that nobody records; the message is sent."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"))
    assert send(colour, fake, MESSAGE, retry=NOW, hooks=Hooks(on_event=Telemetry())).attempts == 2
    assert len(fake.outbox) == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mailkit-sdk\[otel\]'"):
        Telemetry()


def test_unknown_data_is_refused() -> None:
    """There are facts, and there is personal data."""
    with pytest.raises(ConfigurationError, match="everything"):
        Telemetry(data="everything")  # type: ignore[arg-type]


def test_an_event_outside_of_any_message_has_no_span(watched: Watched) -> None:
    """It is counted where it counts, and otherwise nothing."""
    edge = BlockingEdge()
    edge.listener = watched.telemetry
    edge.notify(Suppressed(transport="a://", message_id="1@example.com"))
    assert not watched.spans
