"""Postmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Mailer, RetryPolicy, Template
from mailkit.providers import Postmark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received

_GOOD = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a", "To": "bob@example.org"}


def _error(status: int, code: int) -> Answer:
    return Answer(status, {"ErrorCode": code, "Message": "That went wrong."})


class TestPostmark(ProviderContract):
    """Postmark is a provider."""

    transport_class = Postmark
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(401, 10), "AuthenticationError", cause="configuration"),
        Row(_error(422, 10), "AuthenticationError", cause="configuration"),
        Row(_error(422, 405), "AuthenticationError", cause="configuration"),
        Row(_error(422, 300), "RejectedError", "rejected"),
        Row(_error(422, 406), "RejectedError", "rejected"),
        Row(_error(422, 100), "TransientError", cause="transient"),
        Row(_error(422, 429), "RateLimitedError", cause="throttled"),
        Row(_error(429, 429), "RateLimitedError", cause="throttled"),
        Row(_error(503, 100), "OutcomeUnknownError", "unknown"),
        Row(_error(200, 406), "RejectedError", "rejected"),
        Row(_error(200, 10), "AuthenticationError", cause="configuration"),
        Row(Answer(200, {"ErrorCode": 300}), "RejectedError", "rejected"),
    ]

    def success(self, request: Received) -> Answer:
        """Postmark answers one object, or one for each message of a batch."""
        if request.method == "GET":
            return Answer(200, {"Name": "Production"})
        return Answer(200, [_GOOD] * len(self.messages(request)) if "batch" in request.path else _GOOD)

    def messages(self, request: Received) -> Sequence[Any]:
        """A batch with templates is an object that holds the array."""
        if request.path == "/email/batchWithTemplates":
            messages: Sequence[Any] = request.json()["Messages"]
            return messages
        return super().messages(request)

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are in one text with commas."""
        texts = [payload[name] for name in ("To", "Cc", "Bcc") if name in payload]
        return [each.partition("<")[2].rstrip(">") or each for each in ", ".join(texts).split(", ")]

    def test_the_id(self) -> None:
        """The receipt has Postmark's id."""
        assert self.sent().provider_id == "b7bc2f4a"

    def test_a_code_that_is_no_number_refuses_nothing(self) -> None:
        """A 2xx is accepted unless a number inside says otherwise; in a batch, each answer has to be readable."""
        self.sent(answer=Answer(200, {"ErrorCode": "406", "Message": "?"}))
        self.answer = Answer(200, [_GOOD, {"ErrorCode": None, "Message": "?"}])
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many([self.make_message() for _ in range(2)]))
        assert [type(outcome.error).__name__ for outcome in outcomes] == ["OutcomeUnknownError"] * 2

    @pytest.mark.parametrize("said", ["eve@example.net", "Eve@Example.NET, ann@example.org", "<eve@example.net>."])
    def test_inactive_recipients_are_rejected(self, said: str) -> None:
        """Where some are inactive the others get the message, and Postmark names in its text who does not."""
        answer = {**_GOOD, "Message": f"Message OK, but will not deliver to these inactive addresses: {said}"}
        message = self.make_message(to=["bob@example.org", "eve@example.net"])
        first, second = self.sent(message, answer=Answer(200, answer)).recipients
        assert (first.address, first.status) == ("bob@example.org", "accepted")
        assert (second.address, second.status) == ("eve@example.net", "rejected")
        self.answer = Answer(200, [answer, _GOOD])
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            one, other = mailer.send_many([message, message.evolve(message_id=None)])
        assert one.receipt is not None
        assert [each.status for each in one.receipt.recipients] == ["accepted", "rejected"]
        assert other.receipt is not None
        assert len(other.receipt.accepted) == 2

    def test_each_message_of_a_batch_has_its_own_result(self) -> None:
        """An error code inside an HTTP 200 is the message's own, and only its own."""
        bad = {"ErrorCode": 406, "Message": f"inactive recipient, says {self.key}"}
        later = {"ErrorCode": 429, "Message": "slow down"}
        self.answer = Answer(200, [_GOOD, bad, later])
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            first, second, third = mailer.send_many([self.make_message() for _ in range(3)])
        assert first.ok
        assert type(second.error).__name__ == "RejectedError"
        assert type(third.error).__name__ == "RateLimitedError"
        self.check_no_secret(str(second.error))

    def test_templates_have_endpoints_of_their_own(self) -> None:
        """A template goes to withTemplate, a batch of them to batchWithTemplates, by alias or number."""
        by_alias = self.make_message(template=Template("welcome", {"name": "Bob"}), text=None, subject=None)
        by_number = by_alias.evolve(template=Template(7), message_id=None)
        self.sent(by_alias)
        with Mailer(self.make_transport()) as mailer:
            assert all(outcome.ok for outcome in mailer.send_many([by_alias, by_number, self.make_message()]))
        paths = [request.path for request in self._server.requests]
        assert paths == ["/email/withTemplate", "/email/batchWithTemplates", "/email"]
        first, second = self.messages(self._server.requests[1])
        assert (first["TemplateAlias"], first["TemplateModel"]) == ("welcome", {"name": "Bob"})
        assert (second["TemplateId"], second["TemplateModel"]) == (7, {})

    def test_the_sandbox_is_postmarks_test_token(self) -> None:
        """In the sandbox the real token stays at home."""
        self.sent(sandbox=True)
        assert self._server.requests[0].headers["x-postmark-server-token"] == "POSTMARK_API_TEST"

    def test_tracking_off_is_said(self) -> None:
        """False is a choice and goes to the vendor; no choice does not."""
        self.sent(self.make_message(track_opens=False, track_clicks=False))
        self.sent()
        off, unsaid = (self.messages(request)[0] for request in self._server.requests)
        assert (off["TrackOpens"], off["TrackLinks"]) == (False, "None")
        assert "TrackOpens" not in unsaid
