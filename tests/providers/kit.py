"""What every provider is held to. A provider's test module is mostly data for this class."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import frozen
from tests.http_server import Answer, HTTPServer

from mailkit import Mailer, Message, RetryPolicy
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, DeliveryError, MessageError, OutcomeUnknownError
from mailkit.providers.status import REJECTED, STATUSES, UNKNOWN
from mailkit.testing import Delivered, TransportContract
from mailkit.testing.colours import Colour
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.http_server import Received

    from mailkit.providers.base import ApiTransport
    from mailkit.receipt import Receipt

__all__ = ["PairContract", "ProviderContract", "Row"]

_BLOCKING = Colour("blocking")


@frozen
class Row:
    """A row of the vendor's own error table.

    Args:
        answer: What the vendor answers.
        error: The name of the error's class, or ``"accepted"``.
        outcome: Its outcome.
        cause: Its cause.
    """

    answer: Answer
    error: str
    outcome: str = "not_sent"
    cause: str | None = None


class ProviderContract(TransportContract):
    """The conformance suite of transports, and what is true of every provider besides.

    A provider's class sets `transport_class` and says in :meth:`success` what the vendor answers.
    """

    transport_class: ClassVar[type[ApiTransport]]
    """The provider."""
    fields: ClassVar[Mapping[str, Any]] = {}
    """What else it is made with, such as ``{"secret": "SECRET-2", "domain": "mg.example.com"}``."""
    url: ClassVar[str] = "{name}://KEY-dE4db33f@{host}"
    """Its URL, with ``{host}`` for a host and port."""
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """By feature: fields that need it in a form that the vendor takes, such as a template with a number."""
    rows: ClassVar[Sequence[Row]] = ()
    """The vendor's error table, as far as it says more than the status does."""
    batch_fields: ClassVar[Mapping[str, Any]] = {}
    """What else it is made with to send batches, where that is a choice."""
    secrets: ClassVar[Sequence[str]] = ("KEY-dE4db33f",)
    key: ClassVar[str] = "KEY-dE4db33f"

    def success(self, request: Received) -> Answer:
        """Return what the vendor answers when all is well, to any request that the transport makes."""
        raise NotImplementedError

    def messages(self, request: Received) -> Sequence[Any]:
        """Return the messages in a request: the elements of an array, or the object."""
        if request.method == "GET":
            return []
        payload = request.json()
        return payload if isinstance(payload, list) else [payload]

    def recipients(self, payload: Any) -> Sequence[str]:
        """Return everybody whom the vendor would deliver one of the messages to."""
        raise NotImplementedError

    def visible(self, payload: Any) -> bytes:
        """Return what recipients get to see of a message: all but Bcc."""
        shown = {name: value for name, value in payload.items() if name.lower() != "bcc"}
        return json.dumps(shown, ensure_ascii=False).encode()

    def batched(self, number: int) -> Message:
        """Return a message that may share a request, and says ``Number N.`` somewhere: in its subject by default."""
        return self.make_message(subject=f"Number {number}.")

    def fields_that_need(self, feature: str, count: int = 1) -> dict[str, Any]:
        """Return the fields of a message that needs a feature: `needs` where the vendor wants them otherwise."""
        return dict(self.needs.get(feature) or super().fields_that_need(feature, count))

    def carries_key(self, request: Received) -> bool:
        """Whether a request has the credentials."""
        return any(self.key in value for value in request.headers.values())

    def decides(self, request: Received) -> bool:
        """Whether a message's fate depends on a request: on all but those that prepare for it, where there are any."""
        return True

    # How the conformance suite sees it.

    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[HTTPServer]:
        """A server in the vendor's place."""
        self.answer: Answer | None = None
        self.is_verifying = False
        with HTTPServer(self._answered) as server:
            self._server = server
            yield server

    def _answered(self, request: Received) -> Answer:
        is_meant = self.is_verifying or self.decides(request)
        return self.answer if self.answer is not None and is_meant else self.success(request)

    @property
    def deciding(self) -> Sequence[Received]:
        """The requests that messages' fates depend on."""
        return [request for request in self._server.requests if self.decides(request)]

    def make_transport(self, **changes: Any) -> ApiTransport:
        """Return the provider, talking to the server."""
        where = {"host": "127.0.0.1", "port": self._server.port}
        return self.transport_class(self.key, **{**where, **self.fields, **changes})

    def delivered(self) -> Sequence[Delivered]:
        """Return what the server has taken."""
        return [
            Delivered(content=self.visible(payload), recipients=tuple(self.recipients(payload)))
            for request in self._server.requests
            for payload in self.messages(request)
        ]

    # What is true of every provider.

    def sent(self, message: Message | None = None, answer: Answer | None = None, **fields: Any) -> Receipt:
        """Send a message once."""
        self.answer = answer
        with Mailer(self.make_transport(**fields), retry=RetryPolicy.none()) as mailer:
            return mailer.send(message or self.make_message())

    def failed(self, answer: Answer) -> DeliveryError:
        """Return the error that an answer leads to."""
        with pytest.raises(DeliveryError) as caught:
            self.sent(answer=answer)
        error = caught.value
        assert [each.address for each in error.recipients] == ["bob@example.org"]
        assert {each.status for each in error.recipients} == {error.outcome}
        assert error.transport == str(self.make_transport())
        assert error.message_id
        assert len(self.deciding) == 1, "a transport never repeats a request by itself"
        return error

    def test_its_url_makes_it(self) -> None:
        """The registry's scheme makes an equal transport; every request carries the key."""
        host = f"127.0.0.1:{self._server.port}"
        transport = transport_from_url(self.url.format(name=self.transport_class.name, host=host))
        assert transport == self.make_transport()
        with Mailer(transport) as mailer:
            mailer.send(self.make_message())
        assert all(self.carries_key(request) for request in self._server.requests)

    def test_its_own_host_is_https(self) -> None:
        """Where no host is given, requests go to the vendor, over TLS; where only a user knows it, it has to be."""
        if self.transport_class.needs_host:
            with pytest.raises(ConfigurationError, match="host"):
                self.transport_class(self.key, **self.fields)
            transport = self.transport_class(self.key, host="mail.example.com", **self.fields)
            assert transport.base_url.startswith("https://mail.example.com")
            return
        transport = self.transport_class(self.key, **self.fields)
        message = self.make_message()
        request = transport.build_request(message, Envelope.from_message(message))
        assert request.url.startswith(transport.endpoint + "/")
        assert transport.endpoint.startswith("https://")
        for region in filter(None, transport.endpoints):
            regional = self.transport_class(self.key, region=region, **self.fields)
            assert regional.endpoint == transport.endpoints[region]

    @pytest.mark.parametrize("bad", ["tok\r\nX: y", "tok\n", " tok", "tok\0", ""])
    def test_a_key_that_would_break_a_header_is_refused(self, bad: str) -> None:
        """A key with a line end, an outer space or a NUL never gets near a request."""
        with pytest.raises(ConfigurationError) as caught:
            self.transport_class(bad, **self.fields)
        assert "X: y" not in str(caught.value)
        assert ("the key is empty" in str(caught.value)) is (not bad)

    def test_the_vendors_errors(self, subtests: pytest.Subtests) -> None:
        """Each row of the vendor's error table leads to the error, outcome and cause that it should."""
        for row in self.rows:
            self._server.requests.clear()
            with subtests.test(str(row.answer)[:100]):
                error = self.failed(row.answer)
                assert (type(error).__name__, error.outcome, error.cause) == (row.error, row.outcome, row.cause)

    @pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 413, 422, 429, 500, 502, 504, 520])
    def test_a_bare_status(self, status: int) -> None:
        """A status without an explanation says what the table for all providers says."""
        verdict = self.transport_class.statuses.get(status) or STATUSES.get(status)
        error = self.failed(Answer(status, b"<html>no</html>", {"Location": "http://127.0.0.1:1/"}))
        if verdict is not None:
            assert error.outcome == verdict.outcome
        elif status >= 500:
            assert error.outcome == UNKNOWN.outcome
            assert error.retryable == (self.transport_class.idempotency_header is not None)
        else:
            assert error.outcome == ("not_sent" if status < 400 else REJECTED.outcome)
            assert not error.retryable

    def test_an_echoed_key_is_masked(self) -> None:
        """A vendor that repeats the key in its answer gives it away to nobody."""
        text = f"bad token {self.key}, really: {self.key}"
        error = self.failed(Answer(400, {"message": text, "Message": text, "errors": [{"message": text}]}))
        self.check_no_secret(f"{error} {error!r} {error.recipients} {error.reply}")

    @pytest.mark.parametrize("body", [b"", b"<html>ok</html>", b"[" * 100_000, b"{}", b"[]", b"null", b'{"id": {}}'])
    def test_a_success_that_cannot_be_read(self, body: bytes) -> None:
        """2xx is accepted, whatever its body; where errors come with 200, what cannot be read is unknown."""
        answer = Answer(200, body)
        if self.transport_class.accepts_in_body:
            assert isinstance(self.failed(answer), OutcomeUnknownError)
        else:
            assert self.sent(answer=answer).accepted

    def test_no_answer_is_unknown(self) -> None:
        """A request that was written and not answered is unknown, and not repeated by the transport."""
        error = self.failed(Answer(raw=b""))
        assert isinstance(error, OutcomeUnknownError)
        assert error.retryable == (self.transport_class.idempotency_header is not None)

    def test_idempotency(self) -> None:
        """Where the vendor honours a key, each message carries one: the same for each attempt, or its own."""
        header = self.transport_class.idempotency_header
        message, other = self.make_message(), self.make_message(idempotency_key="mine")
        for each in (message, message, other):
            self.sent(each)
        keys = [request.headers.get((header or "Idempotency-Key").lower()) for request in self.deciding]
        if header is None:
            assert keys == [None] * 3
        else:
            assert keys == [keys[0], keys[0], "mine"]
            assert keys[0]

    def test_too_many_recipients_are_refused(self) -> None:
        """More recipients than the vendor takes are refused before any request; where it sets no limit, none is."""
        most = self.transport_class.max_recipients
        crowd = self.make_message(to=[f"user{number}@example.org" for number in range((most or 2000) + 1)])
        if most is None:
            assert len(self.sent(crowd).accepted) == 2001
            return
        with pytest.raises(MessageError):
            self.sent(crowd)
        assert not self._server.requests

    def test_a_batch_is_as_few_requests_as_can_be(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Messages go out in ⌈n / cap⌉ requests, each once, each with its own outcome, in order."""
        monkeypatch.setattr("mailkit.providers.batch.PATIENCE", 60.0)  # a busy machine is no slow source
        size = self.transport_class.batch_size
        count = min(2 * size + 1, 1201)
        given = [self.batched(number) for number in range(count)]
        with Mailer(self.make_transport(**self.batch_fields)) as mailer:
            outcomes = list(mailer.send_many(given, connections=2))
        assert [outcome.message for outcome in outcomes] == given
        assert all(outcome.ok for outcome in outcomes)
        assert len(self.deciding) == -(-count // size)
        self.check_arrived(*[f"Number {number}." for number in range(count)], in_order=False)

    def test_a_batch_without_an_answer_is_unknown(self) -> None:
        """Every message of a request that was not answered is in doubt, each with an error of its own."""
        has_batches = self.transport_class.batch_size > 1
        self.answer = Answer(raw=b"")
        with Mailer(self.make_transport(**self.batch_fields), retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many([self.batched(number) for number in range(3)]))
        assert len(self.deciding) == (1 if has_batches else 3)
        for outcome in outcomes:
            assert isinstance(outcome.error, OutcomeUnknownError)
            assert outcome.error.message_id == outcome.message.message_id
            assert not (has_batches and outcome.error.retryable), "its key was the whole batch's"

    def test_options_reach_the_vendor(self) -> None:
        """What ``options`` say under the provider's name is in the payload, also in place of what is there."""
        self.sent(self.make_message(options={self.transport_class.name: {"x_probe": {"a": 1}}, "other": {"x_else": 1}}))
        (payload,) = self.messages(self.deciding[0])
        assert payload["x_probe"] == {"a": 1}
        assert "x_else" not in payload

    def test_verifying_asks_for_nothing_but_the_keys_standing(self) -> None:
        """A good key verifies; a refused one raises, where the vendor can be asked."""
        with Mailer(self.make_transport()) as mailer:
            assert mailer.verify().transport == str(self.make_transport())
            if self.transport_class.verify_path is None:
                return
            self.answer, self.is_verifying = Answer(401, {"message": f"no such key {self.key}"}), True
            with pytest.raises(DeliveryError) as caught:
                mailer.verify()
        assert caught.value.outcome == "not_sent"
        self.check_no_secret(str(caught.value))


class PairContract(ProviderContract):
    """A provider whose key has two halves."""

    fields: ClassVar[Mapping[str, Any]] = {"secret": "SECRET-9x"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f:SECRET-9x@{host}"
    secrets: ClassVar[Sequence[str]] = ("KEY-dE4db33f", "SECRET-9x")
