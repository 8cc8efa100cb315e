"""Spans and metrics of what is sent, for OpenTelemetry: ``pip install 'mailkit-sdk[otel]'``.

Names follow OpenTelemetry's conventions for messaging (https://opentelemetry.io/docs/specs/semconv/messaging/), for
which a mail server is an intermediary; what they have no word for is called ``mailkit.…``. Without a configured SDK
OpenTelemetry's API does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from mailkit import __version__
from mailkit.errors import ConfigurationError
from mailkit.event_log import facts_of, personal_facts_of
from mailkit.events import AfterAttempt, AfterSend, BeforeAttempt, BeforeSend, BreakerChanged, FailedOver, Retrying

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from mailkit.events import Event

__all__ = ["Telemetry"]

_OPERATION: Final = {
    "messaging.system": "email",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
}
# The bounds that the conventions ask for, in seconds.
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_SPAN: Final = "mailkit.span"


class Telemetry:
    """A hook for all events of a mailer, which makes spans and metrics of them. Several mailers may share it.

    Each message is a span of kind CLIENT, called ``send`` and the transport's name: a child of the span in which it is
    sent, with an event for each retry, failover and so on. ``send`` makes it the current span, so that what is
    instrumented below it nests inside; the messages of ``send_many``, of which many are on their way at once, it does
    not.

    Example:
        >>> from mailkit import Hooks, Mailer, Message
        >>> with Mailer("null://", hooks=Hooks(on_event=Telemetry())) as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))

    Args:
        tracer_provider: Where spans go; the global one where None.
        meter_provider: Where metrics go; the global one where None.
        data: What spans have: ``"facts"``: what happened, with the Message-ID and counts. ``"personal"``: addresses,
            the subject and the errors' texts as well. Metrics have neither.

    Raises:
        ConfigurationError: `data` is not known, or OpenTelemetry's API not installed.
    """

    follows_closely: Final = False
    """A retry says as much as the end of an attempt, so that mailers need not make events of attempts."""

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        data: Literal["facts", "personal"] = "facts",
    ) -> None:
        if data not in {"facts", "personal"}:
            msg = f'data={data!r} is not known: use "facts", or "personal" (addresses and subjects too)'
            raise ConfigurationError(msg)
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            msg = "OpenTelemetry's API is not installed: pip install 'mailkit-sdk[otel]'"
            raise ConfigurationError(msg) from error
        self._spans = _Spans(trace.get_tracer("mailkit", __version__, tracer_provider), is_personal=data == "personal")
        self._metrics = _Metrics(metrics.get_meter("mailkit", __version__, meter_provider))

    def __call__(self, event: Event) -> None:
        """Make of an event what it is: a span's begin or end, an event in it, a number."""
        self._metrics.count(event)
        if isinstance(event, BeforeSend):
            self._spans.begin(event)
        elif isinstance(event, AfterSend):
            self._spans.end(event)
        elif not isinstance(event, BeforeAttempt | AfterAttempt):  # which others may have asked for
            self._spans.add(event)


class _Spans:
    """The spans of the messages that are on their way.

    Args:
        tracer: Makes them.
        is_personal: Whether they have personal data.
    """

    def __init__(self, tracer: Tracer, *, is_personal: bool) -> None:
        self._tracer = tracer
        self._is_personal = is_personal
        # By the envelope, which is the same before and after and lives in between; and for events in between, by the
        # Message-ID, which those have too.
        self._begun: dict[int, tuple[Span, Token[Context] | None]] = {}
        self._by_message_id: dict[str, Span] = {}

    def begin(self, event: BeforeSend) -> None:
        from opentelemetry import context, trace

        span = self._start(event)
        token = None
        if not event.in_stream:  # a generator runs in whatever context asks for its next value
            token = context.attach(context.set_value(_SPAN, span, trace.set_span_in_context(span)))
        else:
            self._by_message_id[event.message_id or ""] = span
        self._begun[id(event.envelope)] = span, token

    def add(self, event: Event) -> None:
        span = self._span_of(event)
        if span is not None and span.is_recording():
            span.add_event(event.title, _named(self._facts(event)))

    def end(self, event: AfterSend) -> None:
        from opentelemetry import context
        from opentelemetry.trace import StatusCode

        span, token = self._begun.pop(id(event.envelope), (None, None))
        if token is not None:
            context.detach(token)
        else:
            self._by_message_id.pop(event.message_id or "", None)
        if span is None:  # refused before it was complete: the span says that there was such a message
            span = self._start(event)
        if span.is_recording():
            span.set_attributes(_named(self._facts(event)))
            span.set_attribute("mailkit.outcome", event.outcome)
            if event.error is not None:
                span.set_attribute("error.type", type(event.error).__name__)
                span.set_status(StatusCode.ERROR)
        span.end()

    def _start(self, event: BeforeSend | AfterSend) -> Span:
        from opentelemetry.trace import SpanKind

        attributes: dict[str, Any] = {**_OPERATION, **_server(event.transport)}
        if event.message_id is not None:
            attributes["messaging.message.id"] = event.message_id
        return self._tracer.start_span(f"send {event.transport}", kind=SpanKind.CLIENT, attributes=attributes)

    def _span_of(self, event: Event) -> Span | None:
        from opentelemetry import context

        current: Any = context.get_value(_SPAN)
        span: Span | None = self._by_message_id.get(event.message_id or "", current)
        return span

    def _facts(self, event: Event) -> Mapping[str, Any]:
        facts = facts_of(event)
        return facts | personal_facts_of(event) if self._is_personal else facts


class _Metrics:
    """What is counted and measured; nothing in it is personal, nor has it more values than there are transports.

    Args:
        meter: Makes the instruments.
    """

    def __init__(self, meter: Meter) -> None:
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Messages that were sent, or were not"
        )
        self._duration = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "How long messages took, all attempts and waits included",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._retries = meter.create_counter("mailkit.client.retries", "{retry}", "Attempts after the first")
        self._failovers = meter.create_counter(
            "mailkit.client.failovers", "{failover}", "Changes to the next transport"
        )
        self._open_breakers = meter.create_up_down_counter(
            "mailkit.client.breakers.open", "{breaker}", "Circuit breakers that let no message through, or only one"
        )

    def count(self, event: Event) -> None:
        at = {"mailkit.transport": event.transport}
        if isinstance(event, AfterSend):
            how = {**_OPERATION, **_server(event.transport), **at, "mailkit.outcome": event.outcome}
            if event.error is not None:
                how["error.type"] = type(event.error).__name__
            self._sent.add(1, how)
            self._duration.record(event.duration, how)
        elif isinstance(event, Retrying):
            self._retries.add(1, at if event.cause is None else {**at, "mailkit.cause": event.cause})
        elif isinstance(event, FailedOver):
            self._failovers.add(1, {**at, "mailkit.to": event.to})
        elif isinstance(event, BreakerChanged) and "closed" in {event.before, event.after}:
            self._open_breakers.add(1 if event.before == "closed" else -1, at)


def _named(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"mailkit.{name}": value for name, value in facts.items()}


def _server(transport: str) -> dict[str, Any]:
    """Return the server's address and port, where a transport's name has them."""
    try:
        parts = urlsplit(transport)
        host, port = parts.hostname, parts.port
    except ValueError:  # several transports in brackets
        return {}
    if host in {None, "", "default"}:  # the host of a provider's own
        return {}
    return {"server.address": host} if port is None else {"server.address": host, "server.port": port}
