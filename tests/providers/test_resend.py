"""Resend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, Mailer, MessageError, RetryPolicy, UnsupportedFeatureError
from mailkit.providers import Resend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received


def _error(status: int, name: str) -> Answer:
    return Answer(status, {"statusCode": status, "name": name, "message": "That went wrong."})


class TestResend(ProviderContract):
    """Resend is a provider."""

    transport_class = Resend
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(401, "missing_api_key"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "invalid_api_key"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "email_above_quota"), "RateLimitedError", cause="configuration"),
        Row(_error(403, "validation_error"), "RejectedError", "rejected"),
        Row(_error(409, "invalid_idempotent_request"), "RejectedError", "rejected"),
        Row(_error(409, "concurrent_idempotent_requests"), "TransientError", cause="transient"),
        Row(_error(422, "invalid_attachment"), "RejectedError", "rejected"),
        Row(_error(429, "rate_limit_exceeded"), "RateLimitedError", cause="throttled"),
        Row(_error(429, "daily_quota_exceeded"), "RateLimitedError", cause="configuration"),
        Row(_error(429, "monthly_quota_exceeded"), "RateLimitedError", cause="configuration"),
        Row(_error(500, "application_error"), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Resend answers an id, or one for each message of a batch."""
        if request.path == "/emails/batch":
            return Answer(200, {"data": [{"id": f"id-{number}"} for number in range(len(request.json()))]})
        return Answer(200, {"id": "id-1"} if request.method == "POST" else {"data": []})

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are in arrays."""
        each = [address for name in ("to", "cc", "bcc") for address in payload.get(name, ())]
        return [address.partition("<")[2].rstrip(">") or address for address in each]

    def test_the_id(self) -> None:
        """The receipt has Resend's id, from a batch too."""
        assert self.sent().provider_id == "id-1"
        with Mailer(self.make_transport()) as mailer:
            outcomes = list(mailer.send_many([self.make_message(), self.make_message()]))
        assert [each.receipt and each.receipt.provider_id for each in outcomes] == ["id-0", "id-1"]

    def test_a_rate_limit_says_how_long(self) -> None:
        """Retry-After goes before Resend's own header."""
        body = {"name": "rate_limit_exceeded"}
        assert self.failed(Answer(429, body, {"ratelimit-reset": "7", "Retry-After": "3"})).retry_after == 3
        self._server.requests.clear()
        assert self.failed(Answer(429, body, {"ratelimit-reset": "7"})).retry_after == 7

    def test_an_unknown_outcome_is_tried_again_with_the_same_key(self) -> None:
        """After an answer that never came, the policy sends the same request with the same key, and says accepted."""
        lost = [Answer(raw=b"")]
        self._server.answer = lambda request: lost.pop() if lost else self.success(request)
        with Mailer(self.make_transport(), retry=RetryPolicy(attempts=2, wait=lambda _state: 0.0)) as mailer:
            receipt = mailer.send(self.make_message())
        first, second = self._server.requests
        assert receipt.attempts == 2
        assert (first.headers["idempotency-key"], first.body) == (second.headers["idempotency-key"], second.body)

    def test_a_key_that_may_only_send_is_good(self) -> None:
        """Resend tells such a key that it may not look; who has it may send, and more is not asked for."""
        self.answer = _error(401, "restricted_api_key")
        with Mailer(self.make_transport()) as mailer:
            assert mailer.verify().host == f"127.0.0.1:{self._server.port}"

    def test_what_a_batch_cannot_hold_goes_alone(self) -> None:
        """Attachments and times go to /emails, around them the rest is one batch, and the order stays."""
        attached = self.make_message(attachments=[Attachment.from_bytes(b"x", "a.txt")])
        timed = self.make_message(send_at=datetime.now(UTC) + timedelta(hours=1))
        given = [self.make_message(), attached, self.make_message(), timed]
        with Mailer(self.make_transport()) as mailer:
            outcomes = list(mailer.send_many(given, connections=3))
        assert [outcome.message for outcome in outcomes] == given
        assert sorted(request.path for request in self._server.requests) == ["/emails", "/emails", "/emails/batch"]

    def test_tags_and_metadata(self) -> None:
        """Tags are numbered names, metadata names of their own; what Resend would refuse is refused here."""
        self.sent(self.make_message(tags=["a", "b"], metadata={"plan": "pro"}))
        assert self.messages(self._server.requests[0])[0]["tags"] == [
            {"name": "tag", "value": "a"},
            {"name": "tag-2", "value": "b"},
            {"name": "plan", "value": "pro"},
        ]
        with pytest.raises(MessageError, match="spring sale"):
            self.sent(self.make_message(tags=["spring sale"]))

    def test_names_in_quotes(self) -> None:
        """Resend takes quotes in From alone; a name that wants them is an encoded word elsewhere."""
        self.sent(
            self.make_message(
                from_='"Lovelace, Ada" <ada@example.com>',
                to=['"Doe, Jane" <bob@example.org>', "Jürgen Müller <eve@example.net>"],
                reply_to='"Help, Inc." <help@example.com>',
            )
        )
        payload = self._server.requests[0].json()
        assert payload["from"] == '"Lovelace, Ada" <ada@example.com>'
        assert payload["to"] == ["=?utf-8?q?Doe=2C_Jane?= <bob@example.org>", "Jürgen Müller <eve@example.net>"]
        assert payload["reply_to"] == ["=?utf-8?q?Help=2C_Inc=2E?= <help@example.com>"]

    @pytest.mark.parametrize("name", ["tag", "tag-2"])
    def test_metadata_do_not_replace_a_tag(self, name: str) -> None:
        """Metadata under a name that a tag has are refused: one of them would be lost."""
        with pytest.raises(MessageError, match="rename the metadata"):
            self.sent(self.make_message(tags=["a", "b"], metadata={name: "x"}))
        assert not self._server.requests

    def test_too_many_recipients_are_refused(self) -> None:
        """Resend's limit is one of To alone: fifty and copies to others are taken, fifty-one are not."""
        crowd = [f"user{number}@example.org" for number in range(51)]
        assert len(self.sent(self.make_message(to=crowd[:50], cc=["cleo@example.org"])).accepted) == 51
        with pytest.raises(MessageError, match="50 recipients in To"):
            self.sent(self.make_message(to=crowd))
        assert len(self._server.requests) == 1

    def test_two_fields_of_one_name(self) -> None:
        """Header fields are an object, so two of one name are refused, not merged."""
        with pytest.raises(UnsupportedFeatureError) as caught:
            self.sent(self.make_message(headers=[("X-A", "1"), ("x-a", "2")]))
        assert caught.value.feature == "headers"
