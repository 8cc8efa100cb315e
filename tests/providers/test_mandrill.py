"""Mandrill."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.batching import ALONE, APART, OneContentContract
from tests.providers.kit import Row

from mailkit import Attachment, Message, Template
from mailkit.envelope import Envelope
from mailkit.errors import MessageError
from mailkit.providers import Mandrill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(status: int, name: str) -> Answer:
    return Answer(status, {"status": "error", "code": -1, "name": name, "message": "That went wrong."})


def _result(email: str, status: str, reason: str | None = None) -> dict[str, Any]:
    return {"email": email, "status": status, "_id": f"id-{email}", "reject_reason": reason, "queued_reason": None}


class TestMandrill(OneContentContract):
    """Mandrill is a provider."""

    transport_class = Mandrill
    apart: ClassVar[Sequence[Mapping[str, Any]]] = (
        *APART,
        {"tags": ["a"]},
        {"options": {"mandrill": {"ip_pool": "news"}}},
        {"options": {"mandrill": {"message": {"subaccount": "s"}}}},
    )
    alone: ClassVar[Sequence[Mapping[str, Any]]] = (
        *ALONE,
        {"bcc": "cleo@example.org"},
        {"options": {"mandrill": {"message": {"metadata": {"a": "b"}}}}},
    )
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(401, "Invalid_Key"), "AuthenticationError", cause="configuration"),
        Row(_error(500, "Invalid_Key"), "AuthenticationError", cause="configuration"),
        Row(_error(402, "PaymentRequired"), "AuthenticationError", cause="configuration"),
        Row(_error(500, "PaymentRequired"), "AuthenticationError", cause="configuration"),
        Row(_error(404, "Unknown_Subaccount"), "RejectedError", "rejected"),
        Row(_error(500, "Unknown_Template"), "RejectedError", "rejected"),
        Row(_error(500, "ValidationError"), "RejectedError", "rejected"),
        Row(_error(500, "GeneralError"), "OutcomeUnknownError", "unknown"),
        Row(_error(503, "ServiceUnavailable"), "OutcomeUnknownError", "unknown"),
        Row(_error(429, "ValidationError"), "RateLimitedError", cause="throttled"),
        Row(Answer(500, {"status": "error", "name": ["Invalid_Key"]}), "OutcomeUnknownError", "unknown"),
        Row(Answer(500, {"name": "Invalid_Key"}), "OutcomeUnknownError", "unknown"),
        Row(Answer(200, [_result("bob@example.org", "rejected", "hard-bounce")]), "RejectedError", "rejected"),
        Row(Answer(200, [_result("bob@example.org", "invalid")]), "RejectedError", "rejected"),
        Row(_error(200, "Invalid_Key"), "AuthenticationError", cause="configuration"),
        Row(_error(200, "GeneralError"), "OutcomeUnknownError", "unknown"),
        Row(Answer(200, [{"email": "bob@example.org", "status": "rejected"}]), "RejectedError", "rejected"),
    ]

    def success(self, request: Received) -> Answer:
        """Mandrill answers a result for each recipient."""
        return Answer(200, [_result(each, "sent") for each in self.recipients(request.json())])

    def messages(self, request: Received) -> Sequence[Any]:
        """Where recipients see only themselves, each gets a message."""
        payload = request.json()
        described = payload["message"]
        if described["preserve_recipients"]:
            return [payload]
        return [{**payload, "message": {**described, "to": [each]}} for each in described["to"]]

    def batched(self, number: int) -> Message:
        """Recipients differ, contents do not."""
        return self.make_message(to=f'"Number {number}." <user{number}@example.org>')

    def recipients(self, payload: Any) -> Sequence[str]:
        """Everybody is in one list, each with a type."""
        return [each["email"] for each in payload["message"]["to"]]

    def visible(self, payload: Any) -> bytes:
        """All but the key and the recipients whose type is bcc."""
        message = payload["message"]
        shown = {**message, "to": [each for each in message["to"] if each["type"] != "bcc"]}
        return json.dumps(shown, ensure_ascii=False).encode()

    def carries_key(self, request: Received) -> bool:
        """The key is in the JSON object."""
        return bool(request.json()["key"] == self.key)

    def only(self) -> Any:
        """Return the one payload that was sent."""
        (request,) = self._server.requests
        return request.json()

    def test_each_recipient_has_its_own_result(self) -> None:
        """Ids are the recipients' own; who was refused is told, whatever the case of the address in the answer."""
        bob, eve = _result("BOB@example.org", "queued"), _result("eve@example.net", "rejected", "spam")
        answer = Answer(200, [_result("nobody@example.com", "rejected"), bob, eve])
        receipt = self.sent(self.make_message(to=["bob@example.org", "eve@example.net"]), answer=answer)
        assert receipt.provider_id == "id-BOB@example.org"
        first, second = receipt.recipients
        assert (first.status, first.provider_id) == ("accepted", "id-BOB@example.org")
        assert (second.status, second.text) == ("rejected", "spam")

    def test_the_message(self) -> None:
        """What a message has is where Mandrill looks for it; merge tags are off, recipients see each other."""
        files = [
            Attachment.from_bytes(b"%PDF", "a.pdf"),
            Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
        ]
        self.sent(
            self.make_message(
                to="Bob <bob@example.org>",
                cc="cleo@example.org",
                bcc="archive@example.net",
                html="<p>*|Hi|*",
                reply_to=["help@example.com", "Sales <sales@example.com>"],
                headers={"X-Campaign": "q3"},
                tags=["a", "b"],
                metadata={"user": "7"},
                track_opens=True,
                track_clicks=False,
                send_at=datetime(2026, 12, 1, 10, tzinfo=timezone(timedelta(hours=-2))),
                attachments=files,
            )
        )
        assert self._server.requests[0].path == "/api/1.3/messages/send.json"
        assert self.only() == {
            "key": self.key,
            "send_at": "2026-12-01 12:00:00",
            "message": {
                "from_email": "ada@example.com",
                "from_name": "Ada Lovelace",
                "to": [
                    {"email": "bob@example.org", "type": "to", "name": "Bob"},
                    {"email": "cleo@example.org", "type": "cc"},
                    {"email": "archive@example.net", "type": "bcc"},
                ],
                "subject": "Hello",
                "text": "Hi Bob",
                "html": "<p>*|Hi|*",
                "headers": {"X-Campaign": "q3", "Reply-To": "help@example.com, Sales <sales@example.com>"},
                "tags": ["a", "b"],
                "metadata": {"user": "7"},
                "track_opens": True,
                "track_clicks": False,
                "attachments": [{"type": "application/pdf", "name": "a.pdf", "content": "JVBERg=="}],
                "images": [{"type": "image/png", "name": "logo", "content": "iVBORw=="}],
                "preserve_recipients": True,
                "merge": False,
            },
        }

    def test_a_template(self) -> None:
        """A stored template has an endpoint of its own, and its data are merge variables."""
        template = Template("welcome", {"name": "Bob", "count": 2})
        self.sent(self.make_message(template=template, subject=None, text=None))
        payload = self.only()
        assert self._server.requests[0].path == "/api/1.3/messages/send-template.json"
        assert (payload["template_name"], payload["template_content"]) == ("welcome", [])
        assert payload["message"]["merge"] is True
        assert payload["message"]["global_merge_vars"] == [
            {"name": "name", "content": "Bob"},
            {"name": "count", "content": "2"},
        ]

    @pytest.mark.parametrize(
        "fields",
        [
            {"template": Template("welcome"), "text": "Hi", "subject": None},
            {"template": Template("welcome"), "text": None, "html": "<p>"},
            {"template": Template("welcome", {"items": [1]}), "text": None},
            {"template": Template("welcome", {"is_new": True}), "text": None},
            {"attachments": [Attachment.from_bytes(b"a{}", "a.css", content_id="style")]},
        ],
    )
    def test_what_would_be_lost_is_refused(self, fields: dict[str, Any]) -> None:
        """Texts beside a template, nested data and inline files that are no images are MessageErrors."""
        with pytest.raises(MessageError):
            self.sent(self.make_message(**fields))
        assert not self._server.requests

    def test_the_key_is_only_in_the_authorized_request(self) -> None:
        """A request for nobody carries no key."""
        message = self.make_message()
        request = Mandrill(host="127.0.0.1").build_request(message, Envelope.from_message(message))
        assert Mandrill(host="127.0.0.1").authorize(request, None, datetime.now(UTC)) is request
        assert "key" not in json.loads(request.body or b"")

    def test_a_request_for_several_messages(self) -> None:
        """Each recipient has its own data and metadata, and sees nobody else."""
        template: dict[str, Any] = {"subject": None, "text": None}
        one = self.make_message(template=Template("welcome", {"name": "Bob"}), metadata={"user": "7"}, **template)
        two = self.make_message(to="Eve <eve@example.net>", template=Template("welcome", {"name": "Eve"}), **template)
        three = self.make_message(to="fay@example.net", template=Template("welcome"), **template)
        outcomes = self.outcomes(one, two, three)
        ids = [outcome.receipt.provider_id for outcome in outcomes]
        assert ids == ["id-bob@example.org", "id-eve@example.net", "id-fay@example.net"]
        assert self._server.requests[0].path == "/api/1.3/messages/send-template.json"
        assert self.only() == {
            "key": self.key,
            "template_name": "welcome",
            "template_content": [],
            "message": {
                "from_email": "ada@example.com",
                "from_name": "Ada Lovelace",
                "to": [
                    {"email": "bob@example.org", "type": "to"},
                    {"email": "eve@example.net", "type": "to", "name": "Eve"},
                    {"email": "fay@example.net", "type": "to"},
                ],
                "preserve_recipients": False,
                "merge": True,
                "merge_vars": [
                    {"rcpt": "bob@example.org", "vars": [{"name": "name", "content": "Bob"}]},
                    {"rcpt": "eve@example.net", "vars": [{"name": "name", "content": "Eve"}]},
                ],
                "recipient_metadata": [{"rcpt": "bob@example.org", "values": {"user": "7"}}],
            },
        }

    def test_each_message_has_its_result(self) -> None:
        """Results are the recipients', in any order and case; whom the answer does not name is in doubt."""
        messages = [self.batched(number) for number in range(4)]
        results = [
            _result("user2@example.org", "invalid"),
            _result("USER1@example.org", "rejected", "hard-bounce"),
            _result("user0@example.org", "queued"),
        ]
        outcomes = self.outcomes(*messages, answer=Answer(200, results))
        assert outcomes[0].receipt.provider_id == "id-user0@example.org"
        errors = [each.error for each in outcomes[1:]]
        assert [error.outcome for error in errors] == ["rejected", "rejected", "unknown"]
        assert [error.recipients[0].address for error in errors] == [
            f"user{number}@example.org" for number in (1, 2, 3)
        ]
        assert errors[0].recipients[0].text == "hard-bounce"
        assert [each.error.message_id for each in outcomes[1:]] == [each.message.message_id for each in outcomes[1:]]

    def test_a_request_that_is_refused_by_name(self) -> None:
        """Mandrill's errors have status 500: where the name says that nothing was sent, messages go again by halves."""

        def answer(request: Received) -> Answer:
            everybody = self.recipients(request.json())
            return _error(500, "ValidationError") if "user1@example.org" in everybody else self.success(request)

        self._server.answer = answer
        outcomes = self.outcomes(*[self.batched(number) for number in range(4)])
        assert [outcome.ok for outcome in outcomes] == [True, False, True, True]
        assert outcomes[1].error.outcome == "rejected"
        assert [len(self.recipients(request.json())) for request in self._server.requests] == [4, 2, 1, 1, 2]
