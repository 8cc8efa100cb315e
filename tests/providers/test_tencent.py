"""Tencent Cloud SES."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import PairContract, Row

from mailkit import Attachment, Template
from mailkit.envelope import Envelope
from mailkit.errors import MessageError
from mailkit.providers import Tencent
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(code: Any) -> Answer:
    return Answer(200, {"Response": {"Error": {"Code": code, "Message": "That went wrong."}, "RequestId": "R"}})


def _rejected(code: str) -> Row:
    return Row(_error(code), "RejectedError", "rejected")


def _unknown(body: Any) -> Row:
    return Row(Answer(200, body), "OutcomeUnknownError", "unknown")


class TestTencent(PairContract):
    """Tencent Cloud SES is a provider."""

    transport_class = Tencent
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "template": {"template": Template(7, {"name": "Bob"}), "text": None}
    }
    rows: ClassVar[Sequence[Row]] = [
        Row(_error("AuthFailure.SignatureFailure"), "AuthenticationError", cause="configuration"),
        Row(_error("AuthFailure.SecretIdNotFound"), "AuthenticationError", cause="configuration"),
        Row(_error("AuthFailure.UnauthorizedOperation"), "AuthenticationError", cause="configuration"),
        Row(_error("UnauthorizedOperation"), "AuthenticationError", cause="configuration"),
        Row(_error("UnsupportedRegion"), "AuthenticationError", cause="configuration"),
        Row(_error("FailedOperation.InsufficientBalance"), "AuthenticationError", cause="configuration"),
        Row(_error("FailedOperation.HighRejectionRate"), "AuthenticationError", cause="configuration"),
        Row(_error("RequestLimitExceeded"), "RateLimitedError", cause="throttled"),
        Row(_error("RequestLimitExceeded.UinLimitExceeded"), "RateLimitedError", cause="throttled"),
        Row(_error("FailedOperation.FrequencyLimit"), "RateLimitedError", cause="throttled"),
        Row(_error("FailedOperation.TemporaryBlocked"), "RateLimitedError", cause="throttled"),
        Row(_error("FailedOperation.ExceedSendLimit"), "RateLimitedError", cause="configuration"),
        Row(_error("FailedOperation.InsufficientQuota"), "RateLimitedError", cause="configuration"),
        Row(_error("LimitExceeded"), "RateLimitedError", cause="configuration"),
        Row(_error("FailedOperation.ServiceNotAvailable"), "TransientError", cause="transient"),
        _rejected("FailedOperation.WithOutPermission"),
        _rejected("FailedOperation.InvalidTemplateID"),
        _rejected("InvalidParameterValue.ReceiverEmailInvalid"),
        _rejected("MissingParameter.EmailsNecessary"),
        _rejected("OperationDenied.SendAddressStatusError"),
        Row(_error("InternalError"), "OutcomeUnknownError", "unknown"),
        Row(_error("InternalError.QueryDataBaseFailed"), "OutcomeUnknownError", "unknown"),
        Row(_error("FailedOperation"), "OutcomeUnknownError", "unknown"),
        Row(_error("FailedOperation.SendEmailErr"), "OutcomeUnknownError", "unknown"),
        Row(_error("NeverHeardOf"), "OutcomeUnknownError", "unknown"),
        Row(_error(["AuthFailure"]), "OutcomeUnknownError", "unknown"),
        _unknown({"Response": {"RequestId": "R"}}),
        _unknown({"Response": {"Error": "AuthFailure"}}),
        _unknown({"Response": []}),
    ]

    def success(self, request: Received) -> Answer:
        """Tencent answers an id."""
        assert {name: request.headers[name] for name in ("x-tc-action", "x-tc-version", "x-tc-region")} == {
            "x-tc-action": "SendEmail",
            "x-tc-version": "2020-10-02",
            "x-tc-region": "ap-guangzhou",
        }
        return Answer(200, {"Response": {"MessageId": "qcloudses-30-4123414323", "RequestId": "R"}})

    def recipients(self, payload: Any) -> Sequence[str]:
        """To, Cc and Bcc."""
        return [*payload["Destination"], *payload.get("Cc", ()), *payload.get("Bcc", ())]

    def test_the_payload(self) -> None:
        """Addresses go without names, but for the sender's; texts and files are in base64."""
        receipt = self.sent(
            self.make_message(
                from_="Änn <ada@example.com>",
                to=["Bob <bob@example.org>", "eve@example.net"],
                cc="cleo@example.org",
                bcc="archive@example.net",
                reply_to="Help <help@example.com>",
                subject="Grüße",
                text="Zażółć",
                html="<p>ж",
                headers={"X-A": "b"},
                attachments=[Attachment.from_bytes(b"%PDF-1.7", "report.pdf")],
                options={"tencent": {"TriggerType": 1}},
            )
        )
        (request,) = self._server.requests
        assert (request.method, request.path) == ("POST", "/")
        payload = request.json()
        assert json.loads(payload.pop("SmtpHeaders")) == {"X-A": "b"}
        assert payload == {
            "FromEmailAddress": "Änn <ada@example.com>",
            "Destination": ["bob@example.org", "eve@example.net"],
            "Cc": ["cleo@example.org"],
            "Bcc": ["archive@example.net"],
            "ReplyToAddresses": "help@example.com",
            "Subject": "Grüße",
            "Simple": {"Text": b64encode("Zażółć".encode()).decode(), "Html": b64encode("<p>ж".encode()).decode()},
            "Attachments": [{"FileName": "report.pdf", "Content": b64encode(b"%PDF-1.7").decode()}],
            "SmtpMessageId": f"<{receipt.message_id}>",
            "TriggerType": 1,
        }
        assert receipt.provider_id == "qcloudses-30-4123414323"

    def test_a_template(self) -> None:
        """Its number, and its data as JSON in a text, also where there are none; the subject stays the message's."""
        for template in (Template(7, {"name": "Bob", "n": 3}), Template("8")):
            self.sent(self.make_message(template=template, text=None))
        stored = [request.json() for request in self._server.requests]
        assert [each["Template"] for each in stored] == [
            {"TemplateID": 7, "TemplateData": '{"name":"Bob","n":"3"}'},
            {"TemplateID": 8, "TemplateData": "{}"},
        ]
        assert [each["Subject"] for each in stored] == ["Hello", "Hello"]
        assert not any("Simple" in each for each in stored)

    @pytest.mark.parametrize(
        "fields",
        [
            {"template": Template(7), "text": "Hi"},
            {"template": Template(7), "text": None, "subject": None},
            {"template": Template("welcome"), "text": None},
            {"template": Template(7, {"items": [1]}), "text": None},
            {"subject": None},
            {"from_": '"Ada: sales" <ada@example.com>'},
            {"cc": [f"user{number}@example.net" for number in range(21)]},
            {"bcc": [f"user{number}@example.net" for number in range(21)]},
            {"headers": [("X-A", "1"), ("x-a", "2")]},
            {"attachments": [Attachment.from_bytes(b"a", f"{number}.txt") for number in range(11)]},
        ],
    )
    def test_what_it_does_not_take_is_refused(self, fields: dict[str, Any]) -> None:
        """A message that cannot be put into the operation's parameters is refused before any request."""
        with pytest.raises(MessageError):
            self.sent(self.make_message(**fields))
        assert not self._server.requests

    def test_the_region_is_in_a_header(self) -> None:
        """So is the session token; of neither anything is in the URL, nor of the token in the repr."""
        transport = Tencent("KEY-dE4db33f", secret="SECRET-9x", session_token="TOKEN-7", region="ap-singapore")
        message = self.make_message()
        request = transport.build_request(message, Envelope.from_message(message))
        assert request.url == "https://ses.intl.tencentcloudapi.com/"
        signed = transport.authorize(request, Secret("KEY-dE4db33f"), datetime.now(UTC))
        sent = {name: value.reveal() for name, value in signed.headers}
        assert (sent["X-TC-Region"], sent["X-TC-Token"]) == ("ap-singapore", "TOKEN-7")
        assert "TOKEN-7" not in repr((transport, signed))
        assert Tencent(host="127.0.0.1").authorize(request, None, datetime.now(UTC)) is request
