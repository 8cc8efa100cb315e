"""SparkPost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.batching import ALONE, APART, OneContentContract
from tests.providers.kit import Row

from mailkit import Attachment, Message, Template
from mailkit.envelope import Envelope
from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.providers import SparkPost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(status: int, code: str) -> Answer:
    return Answer(status, {"errors": [{"message": "That went wrong.", "description": "Really.", "code": code}]})


def _taken(accepted: int, rejected: int) -> Answer:
    results = {"id": "11668787484950529", "total_accepted_recipients": accepted, "total_rejected_recipients": rejected}
    return Answer(200, {"results": results})


class TestSparkPost(OneContentContract):
    """SparkPost is a provider."""

    transport_class = SparkPost
    apart: ClassVar[Sequence[Mapping[str, Any]]] = (
        *APART,
        {"amp": "Other"},
        {"options": {"sparkpost": {"campaign_id": "c"}}},
    )
    alone: ClassVar[Sequence[Mapping[str, Any]]] = (*ALONE, {"options": {"sparkpost": {"metadata": {"a": "b"}}}})
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, "1300"), "RejectedError", "rejected"),
        Row(_error(401, "1"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "1"), "AuthenticationError", cause="configuration"),
        Row(_error(420, "2102"), "RateLimitedError", cause="configuration"),
        Row(_error(422, "1603"), "RejectedError", "rejected"),
        Row(_error(429, "1"), "RateLimitedError", cause="throttled"),
        Row(_error(500, "1"), "OutcomeUnknownError", "unknown"),
        Row(_error(503, "1"), "OutcomeUnknownError", "unknown"),
        Row(_taken(0, 1), "RejectedError", "rejected"),
        Row(_taken(1, 1), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """SparkPost answers one id for all recipients."""
        return _taken(len(request.json()["recipients"]), 0)

    def messages(self, request: Received) -> Sequence[Any]:
        """What shows another To is another message."""
        transmission = request.json()
        groups: dict[str, list[Any]] = {}
        for each in transmission["recipients"]:
            groups.setdefault(each["address"]["header_to"], []).append(each)
        return [{**transmission, "recipients": group} for group in groups.values()]

    def recipients(self, payload: Any) -> Sequence[str]:
        """Everybody is a recipient; what others see of them is in header_to and CC."""
        return [each["address"]["email"] for each in payload["recipients"]]

    def visible(self, payload: Any) -> bytes:
        """What the header fields show, and the content."""
        shown = [each["address"]["header_to"] for each in payload["recipients"]]
        return json.dumps([shown, {**payload, "recipients": None}], ensure_ascii=False).encode()

    def batched(self, number: int) -> Message:
        """Recipients differ, contents do not."""
        return self.make_message(to=f'"Number {number}." <user{number}@example.org>')

    def only(self) -> Any:
        """Return the one payload that was sent."""
        (request,) = self._server.requests
        return request.json()

    def test_the_id(self) -> None:
        """The receipt has the transmission's id, and the key goes as it is."""
        assert self.sent().provider_id == "11668787484950529"
        assert self._server.requests[0].path == "/api/v1/transmissions"
        assert self._server.requests[0].headers["authorization"] == self.key

    def test_everybody_sees_the_same(self) -> None:
        """To and Cc look the same in every copy, and Bcc is in none."""
        to = ['"Doe, Jane" <jane@example.org>', "eve@example.net"]
        self.sent(self.make_message(to=to, cc="Cleo <cleo@example.org>", bcc="archive@example.net"))
        payload = self.only()
        assert self.recipients(payload) == [
            "jane@example.org",
            "eve@example.net",
            "cleo@example.org",
            "archive@example.net",
        ]
        for each in payload["recipients"]:
            shown = getaddresses([each["address"]["header_to"]])
            assert shown == [("Doe, Jane", "jane@example.org"), ("", "eve@example.net")]
        assert payload["content"]["headers"] == {"CC": "Cleo <cleo@example.org>"}

    def test_the_transmission(self) -> None:
        """What a message has is where SparkPost looks for it; its template language is off."""
        files = [
            Attachment.from_bytes(b"%PDF", "a.pdf"),
            Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
            Attachment.from_bytes(b"x"),
        ]
        self.sent(
            self.make_message(
                html="<p>{{Hi}}",
                amp="<html ⚡4email>",
                reply_to="Help <help@example.com>",
                headers={"X-Campaign": "q3"},
                return_path="bounces@example.com",
                tags=["a", "b"],
                metadata={"user": "7"},
                track_opens=True,
                track_clicks=False,
                send_at=datetime(2026, 12, 1, 10, 0, 0, 5, tzinfo=timezone(timedelta(hours=-2))),
                attachments=files,
            )
        )
        payload = self.only()
        (recipient,) = payload.pop("recipients")
        assert recipient == {
            "address": {"email": "bob@example.org", "header_to": "bob@example.org"},
            "tags": ["a", "b"],
        }
        assert payload == {
            "options": {
                "open_tracking": True,
                "click_tracking": False,
                "start_time": "2026-12-01T10:00:00-02:00",
                "perform_substitutions": False,
            },
            "metadata": {"user": "7"},
            "return_path": "bounces@example.com",
            "content": {
                "from": {"email": "ada@example.com", "name": "Ada Lovelace"},
                "subject": "Hello",
                "reply_to": "Help <help@example.com>",
                "text": "Hi Bob",
                "html": "<p>{{Hi}}",
                "amp_html": "<html ⚡4email>",
                "headers": {"X-Campaign": "q3"},
                "attachments": [
                    {"name": "a.pdf", "type": "application/pdf", "data": "JVBERg=="},
                    {"name": "attachment", "type": "application/octet-stream", "data": "eA=="},
                ],
                "inline_images": [{"name": "logo", "type": "image/png", "data": "iVBORw=="}],
            },
        }

    def test_a_template(self) -> None:
        """A stored template has its data, and From and Reply-To laid over its own; substitution stays on."""
        template = Template("welcome", {"items": [{"name": "Tea"}]})
        self.sent(self.make_message(template=template, subject=None, text=None, reply_to="help@example.com"))
        payload = self.only()
        assert payload["content"] == {"template_id": "welcome"}
        assert payload["substitution_data"] == {"items": [{"name": "Tea"}]}
        assert payload["override"] == {
            "from": {"email": "ada@example.com", "name": "Ada Lovelace"},
            "reply_to": "help@example.com",
        }
        assert "options" not in payload

    @pytest.mark.parametrize(
        ("feature", "fields"),
        [
            ("cc", {"cc": "cleo@example.org"}),
            ("headers", {"headers": {"X-Campaign": "q3"}}),
            ("attachments", {"attachments": [Attachment.from_bytes(b"x", "a.bin")]}),
            ("", {"subject": "Hi"}),
            ("", {"html": "<p>"}),
        ],
    )
    def test_what_a_template_has_no_place_for_is_refused(self, feature: str, fields: dict[str, Any]) -> None:
        """What SparkPost would drop beside a stored template is refused before any request."""
        with pytest.raises(MessageError) as caught:
            self.sent(self.make_message(**{"template": Template("welcome"), "subject": None, "text": None, **fields}))
        assert getattr(caught.value, "feature", "") == feature
        assert isinstance(caught.value, UnsupportedFeatureError) == bool(feature)
        assert not self._server.requests

    @pytest.mark.parametrize(
        "fields",
        [
            {"subject": "Hello {{name}}"},
            {"headers": {"X-Name": "{{name}}"}},
            {"from_": '"{{name}}" <ada@example.com>'},
            {"to": '"{{name}}" <bob@example.org>'},
            {"reply_to": '"{{name}}" <help@example.com>'},
            {"headers": {"X-Twice": "1"}, "return_path": ""},
            {"attachments": [Attachment.from_bytes(b"x", "a" * 256)]},
        ],
    )
    def test_what_would_come_out_otherwise_is_refused(self, fields: dict[str, Any]) -> None:
        """Template language where it cannot be switched off, a null path and a long name are MessageErrors."""
        with pytest.raises(MessageError):
            self.sent(self.make_message(**fields))
        assert not self._server.requests

    def test_without_a_key_there_are_no_credentials(self) -> None:
        """A request for nobody carries no Authorization."""
        message = self.make_message()
        request = SparkPost(host="127.0.0.1").build_request(message, Envelope.from_message(message))
        assert SparkPost(host="127.0.0.1").authorize(request, None, datetime.now(UTC)) is request

    def test_a_transmission_for_several_messages(self) -> None:
        """Each recipient has what is its own message's, sees nobody else, and inherits nothing."""
        template: dict[str, Any] = {"subject": None, "text": None}
        one = self.make_message(
            template=Template("welcome", {"name": "Bob"}), metadata={"user": "7"}, tags=["a"], **template
        )
        two = self.make_message(
            to=["Eve <eve@example.net>", "fay@example.net"],
            bcc="archive@example.net",
            template=Template("welcome"),
            return_path="bounces@example.com",
            **template,
        )
        outcomes = self.outcomes(one, two)
        assert [outcome.receipt.provider_id for outcome in outcomes] == ["11668787484950529"] * 2
        payload = self.only()
        to = "Eve <eve@example.net>, fay@example.net"
        assert payload.pop("recipients") == [
            {
                "address": {"email": "bob@example.org", "header_to": "bob@example.org"},
                "tags": ["a"],
                "metadata": {"user": "7"},
                "substitution_data": {"name": "Bob"},
            },
            *[
                {"address": {"email": email, "header_to": to}, "return_path": "bounces@example.com"}
                for email in ("eve@example.net", "fay@example.net", "archive@example.net")
            ],
        ]
        author = {"email": "ada@example.com", "name": "Ada Lovelace"}
        assert payload == {"content": {"template_id": "welcome"}, "override": {"from": author}}

    @pytest.mark.parametrize(("taken", "outcome"), [((0, 2), "rejected"), ((1, 1), "unknown")])
    def test_who_is_refused_is_not_said(self, taken: tuple[int, int], outcome: str) -> None:
        """Where nobody is taken, all messages are rejected; where somebody is, nobody knows who."""
        outcomes = self.outcomes(self.batched(1), self.batched(2), answer=_taken(*taken))
        assert [each.error.outcome for each in outcomes] == [outcome] * 2
        assert [each.error.message_id for each in outcomes] == [each.message.message_id for each in outcomes]
