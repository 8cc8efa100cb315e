"""MailerSend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, Mailer, MessageError, RetryPolicy, Template
from mailkit.errors import RejectedError
from mailkit.providers import MailerSend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received

_WRONG = {"message": "The to.0.email must be valid. #MS42209", "errors": {"to.0.email": ["must be valid #MS42209"]}}


def _suppressed(kind: str, *addresses: str) -> list[dict[str, Any]]:
    return [{"type": kind, "recipients": [{"email": each, "reason": ["hard_bounced"]} for each in addresses]}]


class TestMailerSend(ProviderContract):
    """MailerSend is a provider."""

    transport_class = MailerSend
    rows: ClassVar[Sequence[Row]] = [
        Row(Answer(401, {"message": "Unauthenticated."}), "AuthenticationError", cause="configuration"),
        Row(Answer(403, {"message": "Forbidden."}), "AuthenticationError", cause="configuration"),
        Row(Answer(422, _WRONG), "RejectedError", "rejected"),
        Row(Answer(421, {"message": "Maintenance."}), "TransientError", cause="transient"),
        Row(Answer(429, {"message": "#MS42903"}), "RateLimitedError", cause="throttled"),
        Row(Answer(429, _WRONG, {"x-apiquota-remaining": "-1"}), "RateLimitedError", cause="throttled"),
        Row(Answer(429, _WRONG, {"x-apiquota-remaining": "0"}), "RateLimitedError", cause="configuration"),
        Row(Answer(422, _WRONG, {"x-apiquota-remaining": "0"}), "RejectedError", "rejected"),
        Row(Answer(500, _WRONG), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """MailerSend answers an empty page with a header, or the id of a bulk."""
        if request.method == "GET":
            return Answer(200, {"quota": 100_000, "remaining": 99_000})
        if request.path == "/v1/bulk-email":
            return Answer(202, {"message": "The bulk email is being processed.", "bulk_email_id": "bulk-1"})
        headers = {"x-message-id": "6888dfbc", "Content-Type": "text/html; charset=UTF-8", "x-send-paused": "true"}
        return Answer(202, b"", headers)

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are objects."""
        return [each["email"] for name in ("to", "cc", "bcc") for each in payload.get(name, ())]

    def one(self, **changes: Any) -> Any:
        """Return the payload of a message."""
        self._server.requests.clear()
        self.sent(self.make_message(**changes))
        return self._server.requests[0].json()

    def test_the_id(self) -> None:
        """The receipt has the id of the message, from a batch that of the bulk."""
        assert self.sent().provider_id == "6888dfbc"
        with Mailer(self.make_transport()) as mailer:
            outcomes = list(mailer.send_many([self.make_message(), self.make_message()]))
        assert [each.receipt and each.receipt.provider_id for each in outcomes] == ["bulk-1", "bulk-1"]
        assert [request.path for request in self._server.requests] == ["/v1/email", "/v1/bulk-email"]

    def test_a_bulk_without_an_id_is_unknown(self) -> None:
        """A batch whose answer cannot be read is in doubt."""
        self.answer = Answer(202, b"<html>")
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many([self.make_message(), self.make_message()]))
        assert {type(outcome.error).__name__ for outcome in outcomes} == {"OutcomeUnknownError"}

    def test_suppressed_recipients_are_rejected(self) -> None:
        """Whom MailerSend does not send to is rejected, with the reason; the others are accepted."""
        warnings = _suppressed("SOME_SUPPRESSED", "EVE@example.net")
        answer = Answer(202, {"message": "There are some warnings.", "warnings": warnings}, {"x-message-id": "1"})
        receipt = self.sent(self.make_message(cc="eve@example.net"), answer)
        assert [(each.address, each.status, each.text) for each in receipt.recipients] == [
            ("bob@example.org", "accepted", ""),
            ("eve@example.net", "rejected", "hard_bounced"),
        ]

    def test_if_all_are_suppressed_the_message_is_rejected(self) -> None:
        """An answer of 202 with nobody left is no receipt."""
        warnings = _suppressed("ALL_SUPPRESSED", "bob@example.org")
        warnings[0]["recipients"][0].pop("reason")
        with pytest.raises(RejectedError) as caught:
            self.sent(answer=Answer(202, {"warnings": warnings}))
        assert [(each.address, each.status) for each in caught.value.recipients] == [("bob@example.org", "rejected")]
        assert caught.value.recipients[0].text == "suppressed"

    def test_fields(self) -> None:
        """What is chosen has MailerSend's names, False included; what is not is left out."""
        moment = datetime.now(UTC) + timedelta(hours=1)
        payload = self.one(
            reply_to="Help <help@example.com>",
            in_reply_to="1@example.com",
            references=["0@example.com", "1@example.com"],
            headers={"X-A": "1"},
            tags=["a", "b"],
            track_opens=False,
            send_at=moment,
            attachments=[
                Attachment.from_bytes(b"a", "a.txt"),
                Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
            ],
        )
        assert payload["reply_to"] == {"email": "help@example.com", "name": "Help"}
        assert (payload["in_reply_to"], payload["references"]) == ("1@example.com", ["0@example.com", "1@example.com"])
        assert (payload["headers"], payload["tags"]) == ([{"name": "X-A", "value": "1"}], ["a", "b"])
        assert payload["settings"] == {"track_opens": False}
        assert payload["send_at"] == int(moment.timestamp())
        assert payload["attachments"] == [
            {"filename": "a.txt", "content": "YQ==", "disposition": "attachment"},
            {"filename": "logo.png", "content": "iVBORw==", "disposition": "inline", "id": "logo"},
        ]
        assert set(self.one()) == {"from", "to", "subject", "text"}

    def test_templates(self) -> None:
        """Each recipient in To gets the template's data; a text beside it is refused."""
        fields: dict[str, Any] = {"template": Template("351nd", {"name": "Bob"}), "text": None}
        payload = self.one(**fields, to=["bob@example.org", "eve@example.net"], bcc="archive@example.net")
        assert payload["template_id"] == "351nd"
        assert payload["personalization"] == [
            {"email": "bob@example.org", "data": {"name": "Bob"}},
            {"email": "eve@example.net", "data": {"name": "Bob"}},
        ]
        assert "personalization" not in self.one(template=Template("351nd"), text=None)
        with pytest.raises(MessageError):
            self.one(template=Template("351nd"))

    @pytest.mark.parametrize("name", ["to", "cc", "bcc"])
    def test_each_field_has_its_limit(self, name: str) -> None:
        """As many as there may be in To, Cc and Bcc are sent; one more in any is refused."""
        sizes = {"to": 50, "cc": 10, "bcc": 10}
        full = {each: [f"{each}{number}@example.org" for number in range(size)] for each, size in sizes.items()}
        assert len(self.recipients(self.one(**full))) == 70
        with pytest.raises(MessageError, match="50 recipients in To"):
            self.one(**{name: [*full[name], "more@example.org"]})
