"""Mailtrap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import ConfigurationError, Mailer, MessageError, RejectedError, RetryPolicy, Template
from mailkit.envelope import Envelope
from mailkit.providers import Mailtrap
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received

_UUID = "b81aabcd-1a1e-41cf-91b6-eca0254b3d96"


def _error(status: int, *texts: str) -> Answer:
    return Answer(status, {"success": False, "errors": texts or ["That went wrong."]})


class TestMailtrap(ProviderContract):
    """Mailtrap is a provider."""

    transport_class = Mailtrap
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(200), "RejectedError", "rejected"),
        *[
            Row(Answer(200, {"success": False, "errors": errors}), "RejectedError", "rejected")
            for errors in (None, 7, "no", {"from": ["is invalid"]})
        ],
        Row(_error(400), "RejectedError", "rejected"),
        Row(_error(401), "AuthenticationError", cause="configuration"),
        Row(_error(403), "AuthenticationError", cause="configuration"),
        Row(_error(429), "RateLimitedError", cause="throttled"),
        Row(_error(500), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Mailtrap answers ids, one for each recipient, for each message of a batch."""
        answers = [
            {"success": True, "message_ids": [f"id-of-{each}" for each in self.recipients(payload)]}
            for payload in self.messages(request)
        ]
        return Answer(200, {"success": True, "responses": answers} if "batch" in request.path else answers[0])

    def messages(self, request: Received) -> Sequence[Any]:
        """A batch is an object that holds the array."""
        payload = request.json()
        messages: Sequence[Any] = payload["requests"] if "batch" in request.path else [payload]
        return messages

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are in objects."""
        return [each["email"] for name in ("to", "cc", "bcc") for each in payload.get(name, ())]

    def test_each_recipient_has_an_id(self) -> None:
        """The ids come in the order of To, Cc and Bcc, whatever the envelope's; too few are no one's."""
        message = self.make_message(
            to=["bob@example.org", "eve@example.net"], cc="cleo@example.org", bcc="a@example.net"
        )
        receipt = self.sent(message)
        assert receipt.provider_id == "id-of-bob@example.org"
        assert {each.address: each.provider_id for each in receipt.recipients} == {
            address: f"id-of-{address}"
            for address in ("bob@example.org", "eve@example.net", "cleo@example.org", "a@example.net")
        }
        receipt = self.sent(message, answer=Answer(200, {"success": True, "message_ids": ["only"]}))
        assert receipt.provider_id == "only"
        assert [each.provider_id for each in receipt.recipients] == [None] * 4

    def test_reply_to(self) -> None:
        """One address has a field of its own, several are a header field."""
        self.sent(self.make_message(reply_to="Help <help@example.com>"))
        self.sent(self.make_message(reply_to=["Help <help@example.com>", "sales@example.com"], headers={"X-A": "1"}))
        one, several = (request.json() for request in self._server.requests)
        assert one["reply_to"] == {"email": "help@example.com", "name": "Help"}
        assert "headers" not in one
        assert several["headers"] == {"X-A": "1", "Reply-To": "Help <help@example.com>, sales@example.com"}
        assert "reply_to" not in several

    def test_an_error_inside_a_success_says_why(self) -> None:
        """What Mailtrap says beside success: false is in the error, the key is not."""
        error = self.failed(_error(200, "'from' is invalid", f"so is {self.key}"))
        assert "'from' is invalid" in str(error)
        self.check_no_secret(f"{error} {error.recipients}")

    def test_each_message_of_a_batch_has_its_own_result(self) -> None:
        """Inside an HTTP 200 each message has its own success, and its own errors."""
        good = {"success": True, "message_ids": ["id-1"]}
        bad = {"success": False, "errors": ["'to' is invalid"]}
        self.answer = Answer(200, {"success": True, "responses": [good, bad, good]})
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            first, second, third = mailer.send_many([self.make_message() for _ in range(3)])
        assert first.ok
        assert third.ok
        assert isinstance(second.error, RejectedError)
        assert "'to' is invalid" in str(second.error)
        (request,) = self._server.requests
        assert request.path == "/api/batch"

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"success": False, "errors": ["no"]}, "RejectedError"),
            ({"success": True}, "OutcomeUnknownError"),
            ({"success": True, "responses": [{"success": None}] * 2}, "OutcomeUnknownError"),
            ({"success": True, "responses": [{"success": True, "message_ids": ["id-1"]}]}, "OutcomeUnknownError"),
            ({"success": True, "responses": [{"success": True}, {}]}, "OutcomeUnknownError"),
        ],
    )
    def test_a_batch_without_results(self, answer: Any, error: str) -> None:
        """A general error refuses all messages; an answer that does not name each leaves all in doubt."""
        self.answer = Answer(200, answer)
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many([self.make_message(), self.make_message()]))
        assert [type(outcome.error).__name__ for outcome in outcomes] == [error] * 2

    def test_the_sandbox_has_a_host_and_inboxes(self) -> None:
        """In the sandbox requests go to its host, for an inbox, one by one and many at once."""
        transport = Mailtrap(self.key, sandbox=True, inbox=4015)
        assert transport == transport_from_url(f"mailtrap://{self.key}@default?sandbox=on&inbox=4015")
        message = self.make_message()
        request = transport.build_request(message, Envelope.from_message(message))
        assert request.url == "https://sandbox.api.mailtrap.io/api/send/4015"
        with Mailer(self.make_transport(sandbox=True, inbox=4015)) as mailer:
            assert all(outcome.ok for outcome in mailer.send_many([self.make_message(), self.make_message()]))
        assert [each.path for each in self._server.requests] == ["/api/batch/4015"]

    def test_the_bulk_stream_has_a_host(self) -> None:
        """The stream decides which host gets the key."""
        message = self.make_message()
        transport = transport_from_url(f"mailtrap://{self.key}@default?region=bulk")
        assert isinstance(transport, Mailtrap)
        request = transport.build_request(message, Envelope.from_message(message))
        assert request.url == "https://bulk.api.mailtrap.io/api/send"

    @pytest.mark.parametrize(
        "fields",
        [
            {"sandbox": True},
            {"inbox": 1},
            {"sandbox": True, "inbox": 0},
            {"sandbox": True, "inbox": 1, "region": "bulk"},
        ],
    )
    def test_a_sandbox_without_an_inbox_is_refused(self, fields: dict[str, Any]) -> None:
        """Sandbox and inbox go together, and have no stream."""
        with pytest.raises(ConfigurationError):
            Mailtrap(self.key, **fields)

    def test_templates(self) -> None:
        """A template's data are template_variables; content or a tag beside one is refused."""
        given = self.make_message(template=Template(_UUID, {"items": [{"a": 1}]}), subject=None, text=None)
        self.sent(given)
        payload = self._server.requests[0].json()
        assert (payload["template_uuid"], payload["template_variables"]) == (_UUID, {"items": [{"a": 1}]})
        for refused in (given.evolve(text="Hi"), given.evolve(tags=["a"])):
            with pytest.raises(MessageError):
                self.sent(refused)
        assert len(self._server.requests) == 1

    def test_tags_and_metadata(self) -> None:
        """The tag is the category, metadata are custom_variables; what is too long is refused."""
        self.sent(self.make_message(tags=["a"], metadata={"k": "v"}))
        payload = json.loads(self._server.requests[0].body)
        assert (payload["category"], payload["custom_variables"]) == ("a", {"k": "v"})
        for fields in ({"tags": ["a" * 256]}, {"metadata": {"k": "v" * 1000}}):
            with pytest.raises(MessageError):
                self.sent(self.make_message(**fields))
        assert len(self._server.requests) == 1
