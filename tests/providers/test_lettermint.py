"""Lettermint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, Mailer, MessageError, RetryPolicy
from mailkit.envelope import Envelope
from mailkit.providers import Lettermint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received

    from mailkit.receipt import Outcome


def _message(status: int) -> Answer:
    return Answer(status, {"message": "That went wrong."})


def _error(status: int, accepted: Sequence[dict[str, Any]] = ()) -> Answer:
    details = {"details": {"accepted": accepted}} if accepted else {}
    return Answer(status, {"error": {"code": "SOME_CODE", "message": "That went wrong.", **details}})


class TestLettermint(ProviderContract):
    """Lettermint is a provider."""

    transport_class = Lettermint
    rows: ClassVar[Sequence[Row]] = [
        Row(_message(401), "AuthenticationError", cause="configuration"),
        Row(_error(403), "AuthenticationError", cause="configuration"),
        Row(_message(409), "OutcomeUnknownError", "unknown"),
        Row(Answer(422, {"message": "No.", "errors": {"to.0": ["No."]}}), "RejectedError", "rejected"),
        Row(_error(429), "RateLimitedError", cause="throttled"),
        Row(_error(500), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Lettermint answers an id, or one for each message of a batch."""
        if request.method == "GET":
            assert request.path == "/v1/ping"
            return Answer(200, b"pong", {"Content-Type": "text/html; charset=UTF-8"})
        if request.path == "/v1/send/batch":
            count = len(request.json())
            return Answer(202, [{"message_id": f"id-{place}", "status": "pending"} for place in range(count)])
        assert request.path == "/v1/send"
        return Answer(202, {"message_id": "id-1", "status": "pending"})

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are in arrays."""
        each = [address for name in ("to", "cc", "bcc") for address in payload.get(name, ())]
        return [address.partition("<")[2].rstrip(">") or address for address in each]

    def outcomes(self, answer: Answer | None = None) -> Sequence[Outcome]:
        """Send a batch of three once."""
        self.answer = answer
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            return list(mailer.send_many([self.make_message() for _ in range(3)]))

    def test_the_id(self) -> None:
        """The receipt has Lettermint's id, from a batch too."""
        assert self.sent().provider_id == "id-1"
        assert [each.receipt and each.receipt.provider_id for each in self.outcomes()] == ["id-0", "id-1", "id-2"]

    def test_the_payload(self) -> None:
        """Every field of a message has a field of the request, in Lettermint's spelling."""
        when = datetime.now(UTC) + timedelta(hours=1)
        message = self.make_message(
            to=["Bob <bob@example.org>", "eve@example.net"],
            bcc="archive@example.net",
            reply_to=["help@example.com", "Sales <sales@example.com>"],
            html='<img src="cid:logo">',
            in_reply_to="1@example.com",
            message_id="2@example.com",
            tags=["Order Confirmation", "q3", "vip"],
            metadata={"user": "Zoë"},
            track_opens=True,
            track_clicks=False,
            send_at=when,
            attachments=[
                Attachment.from_bytes(b"%PDF", "report.pdf"),
                Attachment.from_bytes(b"\x89PNG", content_id="logo", media_type="image/png"),
            ],
            options={"lettermint": {"route": "news", "settings": {"tls": "required"}}},
        )
        self.sent(message)
        assert self._server.requests[0].json() == {
            "from": "Ada Lovelace <ada@example.com>",
            "to": ["Bob <bob@example.org>", "eve@example.net"],
            "bcc": ["archive@example.net"],
            "reply_to": ["help@example.com", "Sales <sales@example.com>"],
            "subject": "Hello",
            "text": "Hi Bob",
            "html": '<img src="cid:logo">',
            "scheduled_at": when.isoformat(),
            "headers": {
                "Message-ID": "<2@example.com>",
                "X-LM-Preserve-Message-ID": "true",
                "In-Reply-To": "<1@example.com>",
            },
            "metadata": {"user": "Zoë"},
            "tag": "Order Confirmation",
            "tags": [{"name": "tag-2", "value": "q3"}, {"name": "tag-3", "value": "vip"}],
            "settings": {"track_opens": True, "track_clicks": False, "tls": "required"},
            "attachments": [
                {"filename": "report.pdf", "content": "JVBERg==", "content_type": "application/pdf"},
                {"filename": "logo.png", "content": "iVBORw==", "content_type": "image/png", "content_id": "logo"},
            ],
            "route": "news",
        }

    @pytest.mark.parametrize("tags", [["a,b"], ["a", "b c"], ["a", "x" * 65], ["ä"]])
    def test_a_tag_that_lettermint_would_refuse(self, tags: list[str]) -> None:
        """A tag of other characters, or a further one that is too long, is refused before any request."""
        with pytest.raises(MessageError, match="rename"):
            self.sent(self.make_message(tags=tags))
        assert not self._server.requests

    def test_a_conflict_is_tried_again_with_the_same_key(self) -> None:
        """409 says that a message with the key is known: unknown, and safe to repeat."""
        error = self.failed(_message(409))
        assert error.outcome == "unknown"
        assert error.retryable

    def test_what_was_accepted_before_a_batch_failed(self) -> None:
        """The messages before the one that failed are accepted, those behind it were not tried."""
        first, second, third = self.outcomes(_error(422, [{"index": 0, "message_id": "id-0"}]))
        assert first.receipt is not None
        assert first.receipt.provider_id == "id-0"
        assert [getattr(each.error, "outcome", None) for each in (second, third)] == ["rejected", "not_sent"]

    @pytest.mark.parametrize(("status", "outcome"), [(429, "not_sent"), (500, "unknown")])
    def test_what_was_not_accepted_by_a_batch_that_failed(self, status: int, outcome: str) -> None:
        """The messages that are not named are what the status says: none was refused for good."""
        first, *others = self.outcomes(_error(status, [{"index": 0, "message_id": "id-0"}]))
        assert first.ok
        assert [getattr(each.error, "outcome", None) for each in others] == [outcome, outcome]

    def test_a_batch_that_names_nobody(self) -> None:
        """A batch that is refused as a whole, or whose answer cannot be read, counts for every message."""
        refused = self.outcomes(_error(422))
        assert [getattr(each.error, "outcome", None) for each in refused] == ["rejected"] * 3
        unclear = self.outcomes(_error(422, [{"index": 0}]))
        assert [getattr(each.error, "outcome", None) for each in unclear] == ["unknown"] * 3

    def test_without_a_token_there_are_no_credentials(self) -> None:
        """A request for nobody carries no token."""
        message = self.make_message()
        request = Lettermint(host="127.0.0.1").build_request(message, Envelope.from_message(message))
        assert Lettermint(host="127.0.0.1").authorize(request, None, datetime.now(UTC)) is request
