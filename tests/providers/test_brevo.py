"""Brevo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, Mailer, Message, MessageError, RetryPolicy, Template
from mailkit.envelope import Envelope
from mailkit.providers import Brevo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(status: int, code: str) -> Answer:
    return Answer(status, {"code": code, "message": "That went wrong."})


class TestBrevo(ProviderContract):
    """Brevo is a provider."""

    transport_class = Brevo
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "template": {"template": Template(7, {"name": "Bob"}), "subject": None, "text": None}
    }
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, "invalid_parameter"), "RejectedError", "rejected"),
        Row(_error(400, "account_under_validation"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "not_enough_credits"), "RateLimitedError", cause="configuration"),
        Row(_error(400, "duplicate_request"), "OutcomeUnknownError", "unknown"),
        Row(_error(401, "unauthorized"), "AuthenticationError", cause="configuration"),
        Row(_error(402, "not_enough_credits"), "RateLimitedError", cause="configuration"),
        Row(_error(403, "permission_denied"), "AuthenticationError", cause="configuration"),
        Row(_error(429, "too_many_requests"), "RateLimitedError", cause="throttled"),
        Row(_error(500, "unauthorized"), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Brevo answers an id, or one for each version."""
        if request.method == "GET":
            return Answer(200, {"email": "ada@example.com"})
        versions = request.json().get("messageVersions")
        if versions is None:
            return Answer(201, {"messageId": "<1@smtp-relay.mailin.fr>"})
        return Answer(201, {"messageIds": [f"<{number}@smtp-relay.mailin.fr>" for number in range(len(versions))]})

    def messages(self, request: Received) -> Sequence[Any]:
        """Each version is a message, with what the request says of all."""
        if request.method == "GET":
            return []
        payload = request.json()
        versions = payload.pop("messageVersions", [{}])
        return [{**payload, **version} for version in versions]

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are in objects."""
        return [each["email"] for name in ("to", "cc", "bcc") for each in payload.get(name, ())]

    def _batch(self, *messages: Message) -> Any:
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            return list(mailer.send_many(messages))

    def test_the_id(self) -> None:
        """The receipt has Brevo's id, from a batch each message's own."""
        assert self.sent().provider_id == "<1@smtp-relay.mailin.fr>"
        outcomes = self._batch(self.make_message(), self.make_message())
        assert [each.receipt.provider_id for each in outcomes] == [
            "<0@smtp-relay.mailin.fr>",
            "<1@smtp-relay.mailin.fr>",
        ]

    def test_the_key_is_in_a_header_of_its_own(self) -> None:
        """The key is in api-key, and there is no Authorization."""
        self.sent()
        headers = self._server.requests[0].headers
        assert headers["api-key"] == self.key
        assert "authorization" not in headers

    def test_a_rate_limit_says_how_long(self) -> None:
        """Brevo's own header counts seconds."""
        assert self.failed(Answer(429, b"", {"x-sib-ratelimit-reset": "7"})).retry_after == 7

    def test_text_alone_is_html_too(self) -> None:
        """A text without html goes as both, escaped; html that is there stays as it is."""
        self.sent(self.make_message(text="1 < 2\n"))
        self.sent(self.make_message(text="1", html="<p>1"))
        escaped, given = (request.json() for request in self._server.requests)
        assert escaped["textContent"] == "1 < 2\n"
        assert escaped["htmlContent"] == '<div style="white-space: pre-wrap">1 &lt; 2\n</div>'
        assert given["htmlContent"] == "<p>1"

    def test_a_name_that_brevo_would_drop_is_encoded(self) -> None:
        """A name beyond ASCII that would want quotes is an encoded word; every other is as it is."""
        self.sent(
            self.make_message(
                from_='"Müller, Jürgen" <ada@example.com>',
                to=["Jürgen Müller <bob@example.org>", '"Doe, Jane" <eve@example.net>'],
            )
        )
        payload = self._server.requests[0].json()
        assert payload["sender"] == {"email": "ada@example.com", "name": "=?utf-8?b?TcO8bGxlciwgSsO8cmdlbg==?="}
        assert [each["name"] for each in payload["to"]] == ["Jürgen Müller", "Doe, Jane"]

    def test_an_attachment_without_a_name_says_what_it_is(self) -> None:
        """Brevo goes by the ending of a file's name."""
        self.sent(self.make_message(attachments=[Attachment.from_bytes(b"x", media_type="text/csv")]))
        assert self._server.requests[0].json()["attachment"] == [{"name": "attachment.csv", "content": "eA=="}]

    def test_what_differs_is_a_version(self) -> None:
        """Messages to different people are one request, in which each has its own recipients and contents."""
        first = self.make_message(subject="One", bcc="eve@example.net", reply_to="help@example.com")
        second = self.make_message(to="Cleo <cleo@example.org>", subject="Two", text=None, html="<p>Two")
        assert all(outcome.ok for outcome in self._batch(first, second))
        (payload,) = [request.json() for request in self._server.requests]
        assert payload == {
            "sender": {"email": "ada@example.com", "name": "Ada Lovelace"},
            "subject": "One",
            "htmlContent": '<div style="white-space: pre-wrap">Hi Bob</div>',
            "messageVersions": [
                {
                    "to": [{"email": "bob@example.org"}],
                    "bcc": [{"email": "eve@example.net"}],
                    "replyTo": {"email": "help@example.com"},
                    "subject": "One",
                    "htmlContent": '<div style="white-space: pre-wrap">Hi Bob</div>',
                    "textContent": "Hi Bob",
                },
                {"to": [{"email": "cleo@example.org", "name": "Cleo"}], "subject": "Two", "htmlContent": "<p>Two"},
            ],
        }

    @pytest.mark.parametrize(
        "fields",
        [
            {"from_": "eve@example.com"},
            {"tags": ["a"]},
            {"headers": {"X-A": "1"}},
            {"metadata": {"k": "v"}},
            {"subject": None},
            {"text": None},
            {"template": Template(7), "text": None},
            {"attachments": [Attachment.from_bytes(b"x", "a.txt")]},
            {"options": {"brevo": {"batchId": "5c6cfa04-eed9-42c2-8b5c-6d470d978e9d"}}},
            {"options": {"brevo": {"messageVersions": [{"to": [{"email": "bob@example.org"}]}]}}},
        ],
    )
    def test_what_a_request_shares_keeps_messages_apart(self, fields: dict[str, Any]) -> None:
        """Messages that differ in what a request has once, or in what a version would inherit, are two requests."""
        self._batch(self.make_message(), self.make_message(**fields))
        assert len(self._server.requests) == 2

    def test_a_batch_with_too_few_ids_is_in_doubt(self) -> None:
        """Where Brevo does not name an id for each version, nobody knows which it took."""
        self.answer = Answer(201, {"messageIds": ["<0@smtp-relay.mailin.fr>"]})
        outcomes = self._batch(self.make_message(), self.make_message())
        assert [type(outcome.error).__name__ for outcome in outcomes] == ["OutcomeUnknownError"] * 2

    def test_templates_have_numbers(self) -> None:
        """A number goes to Brevo, as a text too; a name, and content beside a template, are refused."""
        given = self.make_message(template=Template("12", {"name": "Bob"}), subject=None, text=None)
        self.sent(given)
        payload = self._server.requests[0].json()
        assert (payload["templateId"], payload["params"]) == (12, {"name": "Bob"})
        assert not {"htmlContent", "textContent", "subject"} & set(payload)
        for refused in (given.evolve(template=Template("welcome")), given.evolve(text="Hi")):
            with pytest.raises(MessageError):
                self.sent(refused)

    def test_metadata_are_a_header_field(self) -> None:
        """Metadata are JSON; a field of that name, more than fits a line and what is not ASCII are refused."""
        self.sent(self.make_message(metadata={"k": "v"}))
        assert self._server.requests[0].json()["headers"] == {"X-Mailin-custom": '{"k": "v"}'}
        for fields in (
            {"metadata": {"k": "v"}, "headers": {"x-mailin-CUSTOM": "1"}},
            {"metadata": {"k": "v" * 1000}},
            {"metadata": {"k": "ä"}},
            {"headers": {"X-A": "ä"}},
        ):
            with pytest.raises(MessageError):
                self.sent(self.make_message(**fields))
        assert len(self._server.requests) == 1

    def test_the_sandbox_is_a_header_field(self) -> None:
        """In the sandbox each message says so, beside its own header fields."""
        self.sent(self.make_message(headers={"X-A": "1"}), sandbox=True)
        assert self._server.requests[0].json()["headers"] == {"X-A": "1", "X-Sib-Sandbox": "drop"}

    def test_a_request_without_a_key_has_none(self) -> None:
        """What has no key is sent without one."""
        message = self.make_message()
        transport = Brevo(host="127.0.0.1")
        request = transport.build_request(message, Envelope.from_message(message))
        assert transport.authorize(request, None, message.date) is request  # type: ignore[arg-type]
