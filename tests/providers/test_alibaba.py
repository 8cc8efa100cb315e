"""Alibaba Cloud DirectMail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.forms import form_of
from tests.providers.kit import PairContract, Row

from mailkit import Template
from mailkit.envelope import Envelope
from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.providers import Alibaba
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received

_AS_JSON = ("Headers", "Template", "x_probe")


def _error(status: int, code: Any) -> Answer:
    return Answer(status, {"Code": code, "Message": "That went wrong.", "RequestId": "R", "HostId": "dm"})


class TestAlibaba(PairContract):
    """Alibaba Cloud DirectMail is a provider."""

    transport_class = Alibaba
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "headers": {"headers": {"X-User-Campaign": "q3"}},
        "template": {"template": Template("7", {"name": "Bob"}), "text": None},
        "track_clicks": {"track_clicks": True, "tags": ["q3"]},
    }
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(404, "InvalidAccessKeyId.NotFound"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "SignatureDoesNotMatch"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "IncompleteSignature"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "InvalidTimeStamp.Expired"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "InvalidSecurityToken.Expired"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "Forbidden"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "Forbidden.RAM"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "Throttling.User"), "RateLimitedError", cause="throttled"),
        Row(_error(400, "Throttling"), "RateLimitedError", cause="throttled"),
        Row(_error(429, "Throttling.Api"), "RateLimitedError", cause="throttled"),
        Row(_error(400, "SignatureNonceUsed"), "OutcomeUnknownError", "unknown"),
        Row(_error(404, "InvalidMailAddress.NotFound"), "RejectedError", "rejected"),
        Row(_error(400, "InvalidToAddress"), "RejectedError", "rejected"),
        Row(_error(400, "InvalidSendMail.Spam"), "RejectedError", "rejected"),
        Row(_error(400, "MissingParameter"), "RejectedError", "rejected"),
        Row(_error(400, ["Throttling"]), "RejectedError", "rejected"),
        Row(_error(500, "InternalError"), "OutcomeUnknownError", "unknown"),
        Row(_error(503, "ServiceUnavailable"), "OutcomeUnknownError", "unknown"),
        Row(_error(503, "Throttling.User"), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """DirectMail answers an id, and how the account stands to a question."""
        assert request.headers["x-acs-version"] == "2015-11-23"
        if request.method == "GET":
            assert request.headers["x-acs-action"] == "DescAccountSummary"
            return Answer(200, {"QuotaLevel": 1, "RequestId": "R"})
        assert request.headers["x-acs-action"] == "SingleSendMail"
        return Answer(200, {"EnvId": "600000012345", "RequestId": "12D086F6"})

    def messages(self, request: Received) -> Sequence[Any]:
        """A request is a form with one message."""
        if request.method == "GET":
            return []
        return [form_of(request.body, request.headers["content-type"], as_json=_AS_JSON)]

    def recipients(self, payload: Any) -> Sequence[str]:
        """To, and Bcc."""
        return [each for name in ("ToAddress", "BccAddress") for each in payload.get(name, "").split(",") if each]

    def visible(self, payload: Any) -> bytes:
        """All but Bcc."""
        return super().visible({name: value for name, value in payload.items() if name != "BccAddress"})

    def test_the_form(self) -> None:
        """Addresses go without names, but for the sender's and that of Reply-To; all else has its parameter."""
        receipt = self.sent(
            self.make_message(
                from_="Änn <ada@example.com>",
                to=["Bob <bob@example.org>", "eve@example.net"],
                bcc=["archive@example.net"],
                reply_to="Help <help@example.com>",
                subject="Grüße & ~*+",
                html="<p>Hi",
                tags=["q3"],
                metadata={"ü": "李"},
                headers={"X-User-A": "b"},
                list_unsubscribe=ListUnsubscribe("https://example.com/u/1", one_click=True),
                track_clicks=True,
                options={"alibaba": {"IpPoolId": "e4a"}},
            )
        )
        (request,) = self._server.requests
        assert (request.method, request.path) == ("POST", "/")
        (payload,) = self.messages(request)
        assert payload.pop("Headers") == {
            "List-Unsubscribe": "<https://example.com/u/1>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "X-User-A": "b",
            "X-User-Notify-Metadata": '{"\\u00fc": "\\u674e"}',
            "Message-ID": f"<{receipt.message_id}>",
        }
        assert payload == {
            "AccountName": "ada@example.com",
            "AddressType": "1",
            "FromAlias": "Änn",
            "ReplyToAddress": "false",
            "ReplyAddress": "help@example.com",
            "ReplyAddressAlias": "Help",
            "ToAddress": "bob@example.org,eve@example.net",
            "BccAddress": "archive@example.net",
            "Subject": "Grüße & ~*+",
            "TextBody": "Hi Bob",
            "HtmlBody": "<p>Hi",
            "TagName": "q3",
            "ClickTrace": "1",
            "IpPoolId": "e4a",
        }
        assert receipt.provider_id == "600000012345"

    def test_a_template(self) -> None:
        """Its id and its data, as texts, are one parameter; the subject stays the message's."""
        template = Template(7, {"name": "Bob", "n": 3})
        self.sent(self.make_message(template=template, text=None, track_clicks=False))
        (payload,) = self.messages(self._server.requests[0])
        assert payload["Template"] == {"TemplateId": "7", "TemplateData": {"name": "Bob", "n": "3"}}
        assert payload["Subject"] == "Hello"
        assert payload["ClickTrace"] == "0"
        assert "TextBody" not in payload

    @pytest.mark.parametrize(
        "fields",
        [
            {"template": Template("7"), "text": "Hi"},
            {"template": Template("7"), "text": None, "subject": None},
            {"template": Template("7", {"items": [1]}), "text": None},
            {"subject": None},
            {"bcc": [f"user{number}@example.net" for number in range(3)]},
            {"to": '"a,eve"@example.org'},
            {"headers": {"X-Campaign": "q3"}},
            {"headers": {"X-User-A": "ä"}},
            {"headers": {f"X-User-{number}": "b" for number in range(10)}},
            {"headers": {"x-user-notify-metadata": "b"}, "metadata": {"a": "b"}},
            {"metadata": {"a": "b" * 998}},
        ],
    )
    def test_what_it_would_drop_is_refused(self, fields: dict[str, Any]) -> None:
        """A message that DirectMail would cut down in silence is refused before any request."""
        with pytest.raises(MessageError):
            self.sent(self.make_message(**fields))
        assert not self._server.requests

    def test_a_header_field_is_refused_by_feature(self) -> None:
        """The error names the feature and what the field's name has to begin with."""
        with pytest.raises(UnsupportedFeatureError, match="X-User-") as caught:
            self.sent(self.make_message(headers={"X-Campaign": "q3"}))
        assert (caught.value.feature, caught.value.transport) == ("headers", str(self.make_transport()))

    def test_nine_header_fields_and_the_message_id_are_sent(self) -> None:
        """Ten fields are what DirectMail keeps."""
        self.sent(self.make_message(headers={f"X-User-{number}": "b" for number in range(9)}))
        assert len(self.messages(self._server.requests[0])[0]["Headers"]) == 10

    def test_each_request_has_a_signature_of_its_own(self) -> None:
        """The nonce is never the same; the session token goes along; nothing of it is to be seen in the repr."""
        transport = Alibaba("KEY-dE4db33f", secret="SECRET-9x", session_token="TOKEN-7")
        message = self.make_message().evolve(message_id=None)
        request = transport.build_request(message, Envelope.from_message(message))
        key, now = Secret("KEY-dE4db33f"), datetime.now(UTC)
        signed = [transport.authorize(request, key, now) for _ in range(2)]
        first, second = ({name: value.reveal() for name, value in each.headers} for each in signed)
        for name in ("x-acs-signature-nonce", "Authorization"):
            assert first.pop(name) != second.pop(name)
        assert first == second
        assert first["x-acs-security-token"] == "TOKEN-7"
        assert "TOKEN-7" not in repr((transport, signed))
        assert b"Message-ID" not in (request.body or b""), "a message without an id has none made up"
        assert Alibaba(host="127.0.0.1").authorize(request, None, now).header("authorization") is None

    def test_tracking_wants_a_tag(self) -> None:
        """DirectMail tracks nothing without a tag; to be told not to track, it wants none."""
        self.sent(self.make_message(track_clicks=False))
        with pytest.raises(MessageError, match="has a tag"):
            self.sent(self.make_message(track_clicks=True))
        assert len(self._server.requests) == 1
