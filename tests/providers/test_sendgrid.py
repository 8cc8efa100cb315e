"""SendGrid."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, Mailer, MessageError, RetryPolicy, Template
from mailkit.providers import SendGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received


def _error(status: int) -> Answer:
    return Answer(status, {"errors": [{"message": "That went wrong.", "field": "from", "help": None}]})


class TestSendGrid(ProviderContract):
    """SendGrid is a provider."""

    transport_class = SendGrid
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400), "RejectedError", "rejected"),
        Row(_error(401), "AuthenticationError", cause="configuration"),
        Row(_error(403), "AuthenticationError", cause="configuration"),
        Row(_error(413), "RejectedError", "rejected"),
        Row(_error(429), "RateLimitedError", cause="throttled"),
        Row(_error(500), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """SendGrid answers an empty body, with the id in a header."""
        if request.method == "GET":
            return Answer(200, {"scopes": ["mail.send"]})
        return Answer(202, b"", {"X-Message-Id": "sg-1"})

    def messages(self, request: Received) -> Sequence[Any]:
        """Each personalization is a message, with what the request says of all."""
        if request.method == "GET":
            return []
        shared = request.json()
        return [{**shared, **own, "personalizations": [own]} for own in shared["personalizations"]]

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are in objects."""
        return [each["email"] for name in ("to", "cc", "bcc") for each in payload.get(name, ())]

    def visible(self, payload: Any) -> bytes:
        """Return all but Bcc."""
        shown = {name: value for name, value in payload.items() if name not in {"bcc", "personalizations"}}
        return json.dumps(shown, ensure_ascii=False).encode()

    def test_the_id(self) -> None:
        """The receipt has the request's id; without one it has none."""
        assert self.sent().provider_id == "sg-1"
        assert self.sent(answer=Answer(202)).provider_id is None

    def test_the_rate_limits_end_is_a_time(self) -> None:
        """X-RateLimit-Reset is in Unix time."""
        end = int(datetime.now(UTC).timestamp()) + 30
        wait = self.failed(Answer(429, b"", {"X-RateLimit-Reset": str(end)})).retry_after
        assert wait is not None
        assert 20 < wait <= 30

    def test_what_differs_is_a_personalization(self) -> None:
        """Messages with one content are one request, in which each has its own recipients, subject, fields and data."""
        later = datetime.now(UTC) + timedelta(hours=1)
        first = self.make_message(subject="One", headers={"X-A": "1"}, bcc="eve@example.net")
        second = self.make_message(to="Cleo <cleo@example.org>", subject="Two", metadata={"k": "v"}, send_at=later)
        other = self.make_message(text="Another text")
        with Mailer(self.make_transport()) as mailer:
            outcomes = list(mailer.send_many([first, second, other]))
        assert [each.receipt and each.receipt.provider_id for each in outcomes] == ["sg-1"] * 3
        batch = self._server.requests[0].json()
        assert batch["personalizations"] == [
            {
                "to": [{"email": "bob@example.org"}],
                "bcc": [{"email": "eve@example.net"}],
                "subject": "One",
                "headers": {"X-A": "1"},
            },
            {
                "to": [{"email": "cleo@example.org", "name": "Cleo"}],
                "subject": "Two",
                "custom_args": {"k": "v"},
                "send_at": int(later.timestamp()),
            },
        ]
        assert not {"subject", "headers", "custom_args", "send_at"} & set(batch)
        assert len(self._server.requests) == 2

    @pytest.mark.parametrize(
        "fields",
        [
            {"from_": "eve@example.com"},
            {"html": "<p>Hi"},
            {"tags": ["a"]},
            {"track_opens": False},
            {"reply_to": "help@example.com"},
            {"attachments": [Attachment.from_bytes(b"x", "a.txt")]},
            {"options": {"sendgrid": {"ip_pool_name": "news"}}},
            {"options": {"sendgrid": {"personalizations": [{"to": [{"email": "bob@example.org"}]}]}}},
        ],
    )
    def test_what_a_request_shares_keeps_messages_apart(self, fields: dict[str, Any]) -> None:
        """Messages that differ in what a request has once are never put into one."""
        with Mailer(self.make_transport()) as mailer:
            outcomes = list(mailer.send_many([self.make_message(), self.make_message(**fields)]))
        assert all(outcome.ok for outcome in outcomes)
        assert len(self._server.requests) == 2

    def test_a_batch_has_a_thousand_recipients_at_most(self) -> None:
        """Recipients are counted over all messages of a request."""
        many = [f"user{number}@example.org" for number in range(600)]
        with Mailer(self.make_transport()) as mailer:
            assert all(outcome.ok for outcome in mailer.send_many([self.make_message(to=many) for _ in range(2)]))
        assert len(self._server.requests) == 2

    def test_a_refused_batch_is_refused_for_each(self) -> None:
        """SendGrid refuses a request as a whole, and every message of it is rejected."""
        self.answer = _error(400)
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many([self.make_message(), self.make_message()]))
        assert [type(outcome.error).__name__ for outcome in outcomes] == ["RejectedError"] * 2

    def test_templates(self) -> None:
        """A template's data are dynamic_template_data; a legacy template, and content beside one, are refused."""
        given = self.make_message(template=Template("d-1", {"items": [{"a": 1}]}), subject=None, text=None)
        self.sent(given)
        (payload,) = [request.json() for request in self._server.requests]
        assert payload["template_id"] == "d-1"
        assert payload["personalizations"][0]["dynamic_template_data"] == {"items": [{"a": 1}]}
        legacy = given.evolve(template=Template("13b8f94f-bcae-4ec6-b752-70d6cb59f932"))
        for refused in (legacy, given.evolve(text="Hi")):
            with pytest.raises(MessageError):
                self.sent(refused)
        assert len(self._server.requests) == 1

    def test_the_sandbox_is_a_setting(self) -> None:
        """In the sandbox each request says so, beside other mail_settings."""
        options = {"sendgrid": {"mail_settings": {"footer": {"enable": False}}}}
        self.sent(self.make_message(options=options), answer=Answer(200), sandbox=True)
        assert self._server.requests[0].json()["mail_settings"] == {
            "sandbox_mode": {"enable": True},
            "footer": {"enable": False},
        }

    def test_tracking(self) -> None:
        """False is a choice and goes to the vendor; no choice does not."""
        self.sent(self.make_message(track_opens=False, track_clicks=False))
        self.sent()
        off, unsaid = (request.json() for request in self._server.requests)
        assert off["tracking_settings"] == {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
        }
        assert "tracking_settings" not in unsaid

    def test_tags_and_metadata_have_limits(self) -> None:
        """What SendGrid would refuse is refused here; a tag that is there twice goes once."""
        self.sent(self.make_message(tags=["a", "b", "a"]))
        assert self._server.requests[0].json()["categories"] == ["a", "b"]
        for fields in ({"tags": ["a" * 256]}, {"metadata": {"k": "v" * 10_000}}):
            with pytest.raises(MessageError):
                self.sent(self.make_message(**fields))
        assert len(self._server.requests) == 1

    def test_several_addresses_for_replies(self) -> None:
        """One is reply_to, several are reply_to_list."""
        self.sent(self.make_message(reply_to="help@example.com"))
        self.sent(self.make_message(reply_to=["help@example.com", "Eve <eve@example.com>"]))
        one, several = (request.json() for request in self._server.requests)
        assert one["reply_to"] == {"email": "help@example.com"}
        assert several["reply_to_list"] == [{"email": "help@example.com"}, {"email": "eve@example.com", "name": "Eve"}]
        assert "reply_to" not in several
