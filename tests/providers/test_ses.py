"""Amazon SES."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer, HTTPServer
from tests.providers.aws import aws_role
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, ConfigurationError, Mailer, Message, MessageError, RetryPolicy, Template
from mailkit.envelope import Envelope
from mailkit.providers import SES
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(status: int, kind: str) -> Answer:
    return Answer(status, {"message": "That went wrong."}, {"x-amzn-ErrorType": kind})


@pytest.fixture(autouse=True)
def _no_credentials_around(no_aws: None) -> None:
    """Whatever credentials this machine has are not found."""


class TestSES(ProviderContract):
    """Amazon SES is a provider."""

    transport_class = SES
    fields: ClassVar[Mapping[str, Any]] = {"secret": "SECRET-9x", "region": "eu-west-1"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f:SECRET-9x@{host}?region=eu-west-1"
    secrets: ClassVar[Sequence[str]] = ("KEY-dE4db33f", "SECRET-9x", "TOKEN-7")
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, "BadRequestException"), "RejectedError", "rejected"),
        Row(_error(400, "MessageRejected"), "RejectedError", "rejected"),
        Row(_error(404, "NotFoundException"), "RejectedError", "rejected"),
        Row(_error(400, "LimitExceededException"), "RateLimitedError", cause="configuration"),
        Row(_error(400, "AccountSuspendedException"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "SendingPausedException:http://x"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "MailFromDomainNotVerifiedException"), "AuthenticationError", cause="configuration"),
        Row(_error(400, "ThrottlingException"), "RateLimitedError", cause="throttled"),
        Row(_error(429, "TooManyRequestsException"), "RateLimitedError", cause="throttled"),
        Row(Answer(400, {"__type": "com.amazon#ExpiredToken"}), "AuthenticationError", cause="configuration"),
        Row(_error(403, "SignatureDoesNotMatch"), "AuthenticationError", cause="configuration"),
        Row(_error(500, "ThrottlingException"), "OutcomeUnknownError", "unknown"),
        Row(_error(408, "RequestExpired"), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """SES answers an id, to a bulk request one for each entry."""
        if request.method == "GET":
            return Answer(200, {"SendingEnabled": True})
        entries = request.json().get("BulkEmailEntries")
        if entries is None:
            return Answer(200, {"MessageId": "0100-id"})
        results = [{"Status": "SUCCESS", "MessageId": f"0100-{place}"} for place in range(len(entries))]
        return Answer(200, {"BulkEmailEntryResults": results})

    def messages(self, request: Received) -> Sequence[Any]:
        """Each entry of a bulk request is a message, with what the request says of all."""
        if not request.path.endswith("/outbound-bulk-emails"):
            return super().messages(request)
        shared = request.json()
        return [{"Content": {}, **shared, **entry, "BulkEmailEntries": []} for entry in shared["BulkEmailEntries"]]

    def batched(self, number: int) -> Message:
        """Only templates share a request."""
        return self.templated({"number": f"Number {number}."})

    def templated(self, data: Mapping[str, Any], **changes: Any) -> Message:
        """Return a message with a stored template."""
        return self.make_message(**{"template": Template("welcome", data), "subject": None, "text": None, **changes})

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are in three arrays."""
        each = [address for addresses in payload["Destination"].values() for address in addresses]
        return [address.partition("<")[2].rstrip(">") or address for address in each]

    def visible(self, payload: Any) -> bytes:
        """The envelope is not shown: of MIME there is nothing but itself, of the rest all but BccAddresses."""
        if "Raw" in payload["Content"]:
            return b64decode(payload["Content"]["Raw"]["Data"], validate=True)
        named = {name: value for name, value in payload["Destination"].items() if name != "BccAddresses"}
        return json.dumps({**payload, "Destination": named}, ensure_ascii=False).encode()

    def carries_key(self, request: Received) -> bool:
        """The key's name is in the signature's scope; the secret is nowhere."""
        assert not any("SECRET-9x" in value for value in request.headers.values())
        scope = f"AWS4-HMAC-SHA256 Credential=KEY-dE4db33f/{request.headers['x-amz-date'][:8]}/eu-west-1/ses/"
        return request.headers["authorization"].startswith(scope)

    def one(self, **changes: Any) -> Any:
        """Return the payload of a message."""
        self._server.requests.clear()
        self.sent(self.make_message(**changes))
        return self._server.requests[0].json()

    def test_the_id(self) -> None:
        """The receipt has SES's id."""
        assert self.sent().provider_id == "0100-id"

    def test_the_signature_is_of_what_is_sent(self) -> None:
        """The host that is signed is the one in the request, and all that is signed arrives as it was."""
        self.sent(session_token="TOKEN-7")
        headers = self._server.requests[0].headers
        names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert names == ["accept", "content-type", "host", "x-amz-date", "x-amz-security-token"]
        assert headers["host"] == f"127.0.0.1:{self._server.port}"
        assert (headers["accept"], headers["content-type"]) == ("application/json", "application/json")
        assert headers["x-amz-security-token"] == "TOKEN-7"

    def test_an_echoed_session_token_is_masked(self) -> None:
        """What comes along with temporary credentials is as secret as they are."""
        self.answer = Answer(403, {"message": "The token TOKEN-7 is no good."})
        with Mailer(self.make_transport(session_token="TOKEN-7")) as mailer:
            outcomes = list(mailer.send_many([self.make_message()]))
        self.check_no_secret(f"{outcomes[0].error} {outcomes[0].error!r}")

    def test_credentials_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a key, the environment's are taken, with their token and region; a given region goes first."""
        for name, value in {
            "AWS_ACCESS_KEY_ID": "KEY-dE4db33f",
            "AWS_SECRET_ACCESS_KEY": "SECRET-9x",
            "AWS_SESSION_TOKEN": "TOKEN-7",
            "AWS_DEFAULT_REGION": "us-west-2",
        }.items():
            monkeypatch.setenv(name, value)
        given = {"secret": "SECRET-9x", "session_token": "TOKEN-7"}
        assert SES() == SES("KEY-dE4db33f", **given, region="us-west-2")
        assert transport_from_url("ses://default?region=eu-west-1") == SES("KEY-dE4db33f", **given, region="eu-west-1")
        assert transport_from_url("ses://A:B@default?session_token=C") == SES("A", secret="B", session_token="C")
        assert SES("A", secret="B").session_token is None
        monkeypatch.setenv("AWS_REGION", "eu-north-1")
        assert SES().endpoint == "https://email.eu-north-1.amazonaws.com"

    @pytest.mark.parametrize(
        "fields",
        [
            {"key": "A"},
            {"secret": "B"},
            {"key": "A", "secret": "B", "profile": "mail"},
            {"session_token": "C"},
            {"key": lambda: "token", "secret": "B"},
            {"key": "A", "secret": "B", "region": None},
            {"key": "A", "secret": "B", "region": "evil.example/"},
        ],
    )
    def test_incomplete_credentials_are_refused(self, fields: dict[str, Any]) -> None:
        """Without a key, its secret and a region, nothing is made."""
        with pytest.raises(ConfigurationError):
            SES(**{"region": "eu-west-1", **fields})

    def test_a_role_signs_and_is_renewed(self, no_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a key, requests are signed with what the container has at the time, and nobody gets to see it."""
        given: list[str] = []

        def role(_: Received) -> Answer:
            given.append(f"ROLE-{len(given)}")
            soon = datetime.now(UTC) + timedelta(minutes=1)  # so it is renewed each time
            return Answer(200, aws_role(given[-1], soon))

        with HTTPServer(role) as container:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{container.port}/role")
            url = f"ses://127.0.0.1:{self._server.port}?region=eu-west-1"
            with Mailer(transport_from_url(url), retry=RetryPolicy.none()) as mailer:
                mailer.send(self.make_message())
                self.answer = Answer(403, {"message": f"No: ROLE-{len(given)}-token ROLE-{len(given)}-secret"})
                (outcome,) = mailer.send_many([self.make_message()])
        keys = [request.headers["authorization"].partition("/")[0] for request in self._server.requests]
        assert keys == [f"AWS4-HMAC-SHA256 Credential=ROLE-{number}" for number in range(1, 3)]
        tokens = [request.headers["x-amz-security-token"] for request in self._server.requests]
        assert tokens == ["ROLE-1-token", "ROLE-2-token"]
        assert outcome.error is not None
        assert "No: *** ***" in str(outcome.error)

    @pytest.mark.parametrize("url", ["ses://KEY@default?region=eu-west-1", "ses://default/x?region=eu-west-1"])
    def test_incomplete_urls_are_refused(self, url: str) -> None:
        """A key without a secret, and a path, are errors."""
        with pytest.raises(ConfigurationError):
            transport_from_url(url)

    def test_chinese_regions_are_elsewhere(self) -> None:
        """They have a domain of their own."""
        transport = SES("A", secret="B", region="cn-north-1")
        assert transport.endpoint == "https://email.cn-north-1.amazonaws.com.cn"

    def test_plain_messages_are_simple(self) -> None:
        """Text and HTML go as they are, names beyond ASCII as RFC 2047 has them."""
        payload = self.one(
            from_="Jürgen <ada@example.com>",
            to='"Doe, Jane" <bob@example.org>',
            html="<p>ж",
            headers={"X-A": "1"},
            track_opens=True,
            track_clicks=False,
        )
        assert payload["FromEmailAddress"] == "=?utf-8?q?J=C3=BCrgen?= <ada@example.com>"
        assert payload["Destination"] == {"ToAddresses": ['"Doe, Jane" <bob@example.org>']}
        simple = payload["Content"]["Simple"]
        assert simple["Body"]["Html"] == {"Data": "<p>ж", "Charset": "UTF-8"}
        assert simple["Headers"] == [{"Name": "X-A", "Value": "1"}]
        assert payload["ConfigurationOverrides"] == {
            "Tracking": {"OpenTrackingEnabled": "ENABLED", "ClickTrackingEnabled": "DISABLED"}
        }

    @pytest.mark.parametrize(
        "changes",
        [
            {"attachments": [Attachment.from_bytes(b"%PDF-1.7", "report.pdf")]},
            {"sender": "eve@example.com"},
            {"headers": {"X-A": "ä"}},
            {"headers": {"X-A": "a " * 500}},
            {"headers": [(f"X-{number}", "1") for number in range(16)]},
            {"subject": None},
            {"text": None},
        ],
    )
    def test_what_has_no_words_is_mime(self, changes: dict[str, Any]) -> None:
        """A message that Simple cannot express is sent as MIME to exactly the envelope, Bcc included."""
        payload = self.one(cc="cleo@example.org", bcc="archive@example.net", **changes)
        assert payload["Destination"] == {"ToAddresses": ["bob@example.org", "cleo@example.org", "archive@example.net"]}
        mime = message_from_bytes(self.visible(payload))
        assert (mime["To"], mime["Cc"], mime["Bcc"]) == ("bob@example.org", "cleo@example.org", None)
        assert "FromEmailAddress" not in payload

    def test_a_return_path_is_where_bounces_are_forwarded(self) -> None:
        """An address is named; the null reverse-path, which SES does not have, is refused."""
        payload = self.one(return_path="bounces@example.com")
        assert payload["FeedbackForwardingEmailAddress"] == "bounces@example.com"
        with pytest.raises(MessageError, match="empty return path"):
            self.one(return_path="")

    def test_templates(self) -> None:
        """A template has its data as JSON in a text, its header fields and its attachments."""
        template = Template("welcome", {"name": "Bøb"})
        attached = Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo")
        plain = Attachment.from_bytes(b"a", "a.txt")
        fields: dict[str, Any] = {"template": template, "subject": None, "text": None}
        payload = self.one(**fields, headers={"X-A": "1"}, attachments=[attached, plain])
        stored = payload["Content"]["Template"]
        assert json.loads(stored["TemplateData"]) == {"name": "Bøb"}
        assert stored["TemplateName"] == "welcome"
        assert stored["Headers"] == [{"Name": "X-A", "Value": "1"}]
        assert "ContentId" not in stored["Attachments"].pop()
        assert stored["Attachments"] == [
            {
                "FileName": "logo.png",
                "RawContent": "iVBORw==",
                "ContentType": "image/png",
                "ContentDisposition": "INLINE",
                "ContentTransferEncoding": "BASE64",
                "ContentId": "logo",
            }
        ]
        assert self.one(**{**fields, "template": Template(7)})["Content"] == {
            "Template": {"TemplateName": "7", "TemplateData": "{}"}
        }
        for refused in (
            {"headers": {"X-A": "ä"}},
            {"subject": "Hello"},
            {"sender": "eve@example.com"},
            {"template": Template("big", {"name": "x" * 262_144})},
        ):
            with pytest.raises(MessageError):
                self.one(**{**fields, **refused})

    def test_tags_and_metadata(self) -> None:
        """Tags are numbered names, metadata names of their own; what SES would refuse is refused here."""
        assert self.one(tags=["a", "b"], metadata={"plan": "pro"})["EmailTags"] == [
            {"Name": "tag", "Value": "a"},
            {"Name": "tag-2", "Value": "b"},
            {"Name": "plan", "Value": "pro"},
        ]
        for refused in ({"tags": ["spring sale"]}, {"tags": ["a"], "metadata": {"tag": "b"}}):
            with pytest.raises(MessageError):
                self.one(**refused)

    def test_the_region_is_the_hosts(self) -> None:
        """Requests go to the region's host."""
        transport = SES("A", secret="B", region="ap-southeast-2")
        message = self.make_message()
        request = transport.build_request(message, Envelope.from_message(message))
        assert request.url == "https://email.ap-southeast-2.amazonaws.com/v2/email/outbound-emails"

    def outcomes(self, *messages: Message, statuses: Sequence[Any] = ()) -> list[Any]:
        """Send messages in a stream, in as few requests as can be; return what became of each."""
        if statuses:
            self.answer = Answer(200, {"BulkEmailEntryResults": statuses})
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            return list(mailer.send_many(messages, connections=1))

    def test_bulk_requests(self) -> None:
        """What is common is said once, what differs in an entry for each, which inherits nothing."""
        common: dict[str, Any] = {
            "from_": "Ada <ada@example.com>",
            "reply_to": "help@example.com",
            "return_path": "bounces@example.com",
            "track_opens": False,
            "options": {"ses": {"ConfigurationSetName": "news"}},
        }
        one = self.templated({"name": "Bøb"}, tags=["a"], metadata={"plan": "pro"}, **common)
        two = self.templated(
            {}, to="cleo@example.org", bcc="eve@example.net", list_unsubscribe="https://example.com/u/2", **common
        )
        outcomes = self.outcomes(one, two)
        assert [outcome.receipt.provider_id for outcome in outcomes] == ["0100-0", "0100-1"]
        (request,) = self._server.requests
        assert request.path == "/v2/email/outbound-bulk-emails"
        payload = request.json()
        first, second = payload.pop("BulkEmailEntries")
        assert payload == {
            "FromEmailAddress": "Ada <ada@example.com>",
            "ReplyToAddresses": ["help@example.com"],
            "FeedbackForwardingEmailAddress": "bounces@example.com",
            "ConfigurationOverrides": {"Tracking": {"OpenTrackingEnabled": "DISABLED"}},
            "ConfigurationSetName": "news",
            "DefaultContent": {"Template": {"TemplateName": "welcome", "TemplateData": "{}"}},
        }
        assert first == {
            "Destination": {"ToAddresses": ["bob@example.org"]},
            "ReplacementTags": [{"Name": "tag", "Value": "a"}, {"Name": "plan", "Value": "pro"}],
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": '{"name":"Bøb"}'}},
        }
        assert second == {
            "Destination": {"ToAddresses": ["cleo@example.org"], "BccAddresses": ["eve@example.net"]},
            "ReplacementHeaders": [{"Name": "List-Unsubscribe", "Value": "<https://example.com/u/2>"}],
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": "{}"}},
        }

    @pytest.mark.parametrize(
        ("changes", "alone"),
        [
            ({"template": None, "subject": "Hello", "text": "Hi"}, True),
            ({"template": Template("goodbye")}, False),
            ({"from_": "eve@example.com"}, False),
            ({"reply_to": "help@example.com"}, False),
            ({"return_path": "bounces@example.com"}, False),
            ({"track_clicks": True}, False),
            ({"attachments": [Attachment.from_bytes(b"a", "a.txt")]}, True),
            ({"options": {"ses": {"ConfigurationSetName": "news"}}}, False),
            ({"options": {"ses": {"ListManagementOptions": {"ContactListName": "news"}}}}, True),
        ],
    )
    def test_what_cannot_share_a_request(self, changes: dict[str, Any], *, alone: bool) -> None:
        """Messages with another template, author or setting are not in one request, nor is what only one can say."""
        other = self.templated({}, **changes)
        assert all(outcome.ok for outcome in self.outcomes(self.templated({}), other))
        assert [request.path.rpartition("/")[2] for request in self._server.requests] == ["outbound-emails"] * 2
        self._server.requests.clear()
        assert all(outcome.ok for outcome in self.outcomes(other, other))
        assert len(self._server.requests) == (2 if alone else 1)

    @pytest.mark.parametrize(
        ("status", "error", "outcome", "cause"),
        [
            ("MESSAGE_REJECTED", "RejectedError", "rejected", None),
            ("MAIL_FROM_DOMAIN_NOT_VERIFIED", "AuthenticationError", "not_sent", "configuration"),
            ("CONFIGURATION_SET_NOT_FOUND", "RejectedError", "rejected", None),
            ("TEMPLATE_NOT_FOUND", "RejectedError", "rejected", None),
            ("ACCOUNT_SUSPENDED", "AuthenticationError", "not_sent", "configuration"),
            ("ACCOUNT_THROTTLED", "RateLimitedError", "not_sent", "throttled"),
            ("ACCOUNT_DAILY_QUOTA_EXCEEDED", "RateLimitedError", "not_sent", "configuration"),
            ("INVALID_SENDING_POOL_NAME", "RejectedError", "rejected", None),
            ("ACCOUNT_SENDING_PAUSED", "AuthenticationError", "not_sent", "configuration"),
            ("CONFIGURATION_SET_SENDING_PAUSED", "AuthenticationError", "not_sent", "configuration"),
            ("INVALID_PARAMETER", "RejectedError", "rejected", None),
            ("TRANSIENT_FAILURE", "TransientError", "not_sent", "transient"),
            ("FAILED", "TransientError", "not_sent", "transient"),
            ("SOMETHING_NEW", "OutcomeUnknownError", "unknown", None),
        ],
    )
    def test_each_entry_has_an_outcome(self, status: str, error: str, outcome: str, cause: str | None) -> None:
        """Between two that were accepted, one has the error that its status means, with the vendor's words."""
        messages = [self.templated({}) for _ in range(3)]
        taken = {"Status": "SUCCESS", "MessageId": "0100-1"}
        outcomes = self.outcomes(*messages, statuses=[taken, {"Status": status, "Error": "Because."}, taken])
        assert [each.ok for each in outcomes] == [True, False, True]
        found = outcomes[1].error
        assert (type(found).__name__, found.outcome, found.cause) == (error, outcome, cause)
        assert f"{status} Because." in str(found)
        assert found.message_id == outcomes[1].message.message_id

    @pytest.mark.parametrize("statuses", [[{"Status": "SUCCESS"}], [{}, {}], ["SUCCESS"] * 2, [{"Status": []}] * 2])
    def test_results_that_cannot_be_read_are_unknown(self, statuses: list[Any]) -> None:
        """Too few results, or ones of another form, prove nothing about any message."""
        outcomes = self.outcomes(self.templated({}), self.templated({}), statuses=statuses)
        assert [each.error.outcome for each in outcomes] == ["unknown"] * 2
