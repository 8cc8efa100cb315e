"""Mailjet."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import PairContract, Row

from mailkit import Attachment, Mailer, MessageError, RetryPolicy, Template
from mailkit.providers import Mailjet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received

_ID = 576460756513665525  # beyond what a float holds


def _good(*addresses: str) -> dict[str, Any]:
    to = [{"Email": each, "MessageUUID": "u", "MessageID": _ID + at} for at, each in enumerate(addresses)]
    return {"Status": "success", "CustomID": "", "To": to, "Cc": [], "Bcc": []}


def _bad(status: int, code: str, text: str = "That went wrong.") -> dict[str, Any]:
    error = {"ErrorIdentifier": "i", "ErrorCode": code, "StatusCode": status, "ErrorMessage": text}
    return {"Status": "error", "Errors": [{**error, "ErrorRelatedTo": ["To"]}]}


def _error(status: int, code: str) -> Answer:
    return Answer(status, {"Messages": [_bad(status, code)]})


class TestMailjet(PairContract):
    """Mailjet is a provider."""

    transport_class = Mailjet
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "template": {"template": Template(7, {"name": "Bob"}), "subject": None, "text": None}
    }
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, "mj-0013"), "RejectedError", "rejected"),
        Row(_error(400, "send-0003"), "RejectedError", "rejected"),
        Row(_error(400, "mj-0001"), "AuthenticationError", cause="configuration"),
        Row(_error(401, "mj-0002"), "AuthenticationError", cause="configuration"),
        Row(Answer(400, {"ErrorCode": "mj-0015", "StatusCode": 400}), "AuthenticationError", cause="configuration"),
        Row(Answer(400, {"Messages": [{"Errors": ["odd"]}]}), "RejectedError", "rejected"),
        Row(Answer(400, {"Messages": ["odd", 1]}), "RejectedError", "rejected"),
        Row(Answer(400, {"Messages": []}), "RejectedError", "rejected"),
        Row(Answer(429, {"ErrorCode": "mj-0001"}), "RateLimitedError", cause="throttled"),
        Row(Answer(500, {"ErrorCode": "mj-0001"}), "OutcomeUnknownError", "unknown"),
        Row(Answer(200, {"Messages": [_bad(400, "mj-0013")]}), "RejectedError", "rejected"),
        Row(Answer(200, {"Messages": [_bad(400, "mj-0015")]}), "AuthenticationError", cause="configuration"),
        Row(Answer(200, {"Messages": [_bad(429, "x")]}), "RateLimitedError", cause="throttled"),
        Row(Answer(200, {"Messages": [_bad(500, "x")]}), "OutcomeUnknownError", "unknown"),
        Row(Answer(200, {"Messages": [_bad(200, "x")]}), "RejectedError", "rejected"),
        Row(Answer(200, {"Messages": []}), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Mailjet answers one object for each message, with everybody's ids."""
        if request.method == "GET":
            return Answer(200, {"Count": 0})
        return Answer(200, {"Messages": [_good(*self.recipients(each)) for each in self.messages(request)]})

    def messages(self, request: Received) -> Sequence[Any]:
        """Every request is a batch."""
        messages: Sequence[Any] = [] if request.method == "GET" else request.json()["Messages"]
        return messages

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are objects."""
        return [each["Email"] for name in ("To", "Cc", "Bcc") for each in payload.get(name, ())]

    def carries_key(self, request: Received) -> bool:
        """Both halves are a user and a password."""
        return request.headers["authorization"] == "Basic " + b64encode(b"KEY-dE4db33f:SECRET-9x").decode()

    def one(self, **changes: Any) -> Any:
        """Return the payload of a message."""
        self._server.requests.clear()
        self.sent(self.make_message(**changes))
        return self.messages(self._server.requests[0])[0]

    def test_without_a_key_nothing_is_added(self) -> None:
        """A transport without a key makes requests without credentials: a proxy may add them."""
        request = Mailjet(host="127.0.0.1").request("/v3/REST/sender", None, method="GET")
        assert Mailjet(host="127.0.0.1").authorize(request, None, datetime.now(UTC)) is request

    def test_the_ids(self) -> None:
        """The receipt has each recipient's id, to the last digit."""
        receipt = self.sent(self.make_message(cc="cleo@example.org"))
        assert receipt.provider_id == "576460756513665525"
        assert [each.provider_id for each in receipt.recipients] == ["576460756513665525", "576460756513665526"]

    def test_a_success_without_ids(self) -> None:
        """What Mailjet says is a success is one, with the ids that it tells."""
        receipt = self.sent(answer=Answer(200, {"Messages": [{"Status": "success"}]}))
        assert (receipt.provider_id, len(receipt.accepted)) == (None, 1)

    @pytest.mark.parametrize("status", [200, 400])
    def test_each_message_of_a_batch_has_its_own_result(self, status: int) -> None:
        """Whatever the status of all, a message that was taken is accepted, and another's error is its own."""
        bad = _bad(400, "mj-0013", f"bad address, says {self.key}")
        self.answer = Answer(status, {"Messages": [_good("bob@example.org"), bad, _bad(429, "x")]})
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            first, second, third = mailer.send_many([self.make_message() for _ in range(3)])
        assert first.receipt is not None
        assert first.receipt.provider_id == str(_ID)
        assert type(second.error).__name__ == "RejectedError"
        assert type(third.error).__name__ == "RateLimitedError"
        self.check_no_secret(str(second.error))

    def test_a_batch_that_is_refused_as_a_whole(self) -> None:
        """An error about the request is every message's."""
        self.answer = Answer(401, {"ErrorCode": "mj-0002", "ErrorMessage": "no such key"})
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many([self.make_message() for _ in range(2)]))
        assert {type(outcome.error).__name__ for outcome in outcomes} == {"AuthenticationError"}

    def test_an_error_says_why(self) -> None:
        """The first message's error is in ours, and so is one of the whole request."""
        assert "That went wrong." in str(self.failed(_error(400, "mj-0013")))
        self._server.requests.clear()
        assert "no such key" in str(self.failed(Answer(401, {"ErrorMessage": "no such key"})))
        self._server.requests.clear()
        assert "elsewhere" in str(self.failed(Answer(403, {"message": "elsewhere"})))

    def test_the_sandbox_is_said_once(self) -> None:
        """The sandbox is the request's, not a message's."""
        self.sent(sandbox=True)
        self.sent()
        on, off = (json.loads(request.body) for request in self._server.requests)
        assert on["SandboxMode"] is True
        assert "SandboxMode" not in off

    def test_fields(self) -> None:
        """A tag, metadata, choices and files have the names that Mailjet gives them."""
        payload = self.one(
            tags=["spring"],
            metadata={"plan": "pro"},
            track_opens=False,
            track_clicks=True,
            reply_to="Help <help@example.com>",
            attachments=[
                Attachment.from_bytes(b"a", "a.txt"),
                Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
            ],
        )
        assert (payload["CustomCampaign"], payload["EventPayload"]) == ("spring", '{"plan":"pro"}')
        assert (payload["TrackOpens"], payload["TrackClicks"]) == ("disabled", "enabled")
        assert payload["ReplyTo"] == {"Email": "help@example.com", "Name": "Help"}
        assert payload["Attachments"] == [{"Filename": "a.txt", "ContentType": "text/plain", "Base64Content": "YQ=="}]
        assert payload["InlinedAttachments"] == [
            {"Filename": "logo.png", "ContentType": "image/png", "Base64Content": "iVBORw==", "ContentID": "logo"}
        ]

    def test_templates_have_numbers(self) -> None:
        """A number, also as text, is sent as one, with the language on; a name is refused, and so is a text."""
        fields: dict[str, Any] = {"template": Template("7", {"name": "Bob"}), "subject": None, "text": None}
        payload = self.one(**fields)
        assert (payload["TemplateID"], payload["TemplateLanguage"], payload["Variables"]) == (7, True, {"name": "Bob"})
        for refused in ({"template": Template("welcome")}, {"text": "Hi"}):
            with pytest.raises(MessageError):
                self.one(**{**fields, **refused})

    def test_each_field_has_its_limit(self) -> None:
        """Fifty in each of To, Cc and Bcc are sent; one more in any is refused."""
        full = {name: [f"{name}{number}@example.org" for number in range(50)] for name in ("to", "cc", "bcc")}
        assert len(self.recipients(self.one(**full))) == 150
        with pytest.raises(MessageError, match="50 recipients in each"):
            self.one(cc=[*full["cc"], "more@example.org"])
