"""Microsoft Graph."""

from __future__ import annotations

import json
from base64 import b64decode
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.header_mail import recipients_of, without_bcc
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, ConfigurationError, Mailer, MessageError
from mailkit.envelope import Envelope
from mailkit.providers import MicrosoftGraph
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received

_NAMED = ("toRecipients", "ccRecipients", "bccRecipients")


def _error(status: int, code: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"error": {"code": code, "message": "That went wrong.", "innerError": {}}}, headers or {})


class TestMicrosoftGraph(ProviderContract):
    """Microsoft Graph is a provider."""

    transport_class = MicrosoftGraph
    fields: ClassVar[Mapping[str, Any]] = {"user": "ada@example.com"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f@{host}?user=ada%40example.com"
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, "ErrorInvalidRecipients"), "RejectedError", "rejected"),
        Row(_error(400, "ErrorExceededMessageLimit"), "RateLimitedError", cause="configuration"),
        Row(_error(401, "InvalidAuthenticationToken"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "ErrorAccessDenied"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "ErrorMessageSubmissionBlocked"), "AuthenticationError", cause="configuration"),
        Row(_error(404, "MailboxNotEnabledForRESTAPI"), "AuthenticationError", cause="configuration"),
        Row(_error(404, "ErrorInvalidUser"), "RejectedError", "rejected"),
        Row(_error(413, "ErrorMessageSizeExceeded"), "RejectedError", "rejected"),
        Row(_error(429, "ApplicationThrottled"), "RateLimitedError", cause="throttled"),
        Row(_error(429, "ErrorExceededMessageLimit"), "RateLimitedError", cause="configuration"),
        Row(_error(408, "ErrorQuotaExceeded"), "OutcomeUnknownError", "unknown"),
        Row(_error(503, "ErrorQuotaExceeded", {"Retry-After": "9"}), "OutcomeUnknownError", "unknown"),
        Row(_error(504, "timeout"), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Graph answers 202 and nothing else."""
        return Answer(202)

    def messages(self, request: Received) -> Sequence[Any]:
        """A request is JSON, or the base64 of MIME."""
        if request.headers["content-type"] == "application/json":
            return [request.json()]
        assert request.headers["content-type"] == "text/plain"
        return [{"mime": b64decode(request.body, validate=True)}]

    def recipients(self, payload: Any) -> Sequence[str]:
        """They are in the MIME's header, or in three arrays."""
        if "mime" in payload:
            return recipients_of(payload["mime"])
        return [each["emailAddress"]["address"] for name in _NAMED for each in payload["message"].get(name, [])]

    def visible(self, payload: Any) -> bytes:
        """All but the Bcc field."""
        if "mime" in payload:
            return without_bcc(payload["mime"])
        shown = {name: value for name, value in payload["message"].items() if name != "bccRecipients"}
        return json.dumps(shown, ensure_ascii=False).encode()

    def one(self, **changes: Any) -> Any:
        """Return the payload of a message of which Exchange keeps no copy, which is JSON."""
        self._server.requests.clear()
        self.sent(self.make_message(**changes), save_to_sent_items=False)
        return self._server.requests[0].json()

    def test_there_is_no_id(self) -> None:
        """An empty 202 is a receipt without an id."""
        receipt = self.sent()
        assert receipt.accepted
        assert receipt.provider_id is None

    def test_the_mailbox_is_part_of_the_path(self) -> None:
        """Whatever the mailbox is called, it is one segment; without one it is the token's own."""
        paths = {
            None: "/v1.0/me/sendMail",
            "ada@example.com": "/v1.0/users/ada%40example.com/sendMail",
            "a/../b": "/v1.0/users/a%2F..%2Fb/sendMail",
        }
        for user, path in paths.items():
            self._server.requests.clear()
            self.sent(user=user)
            assert self._server.requests[0].path == path

    @pytest.mark.parametrize("user", ["", "..", "a\nb"])
    def test_what_is_no_mailbox_is_refused(self, user: str) -> None:
        """A setting that could be no segment of a path is an error when the transport is made."""
        with pytest.raises(ConfigurationError, match="user"):
            MicrosoftGraph("TOKEN", user=user)

    def test_settings_from_a_url(self) -> None:
        """Region and copies are set by the URL, too."""
        transport = transport_from_url("graph://TOKEN@default?region=china&save-to-sent-items=off")
        assert transport == MicrosoftGraph("TOKEN", region="china", save_to_sent_items=False)
        assert transport.base_url == "https://microsoftgraph.chinacloudapi.cn/v1.0"

    def test_a_token_can_be_fresh_each_time(self) -> None:
        """A function, also one that is waited for, is asked for a token for each message."""
        tokens = iter(["one", "two"])

        async def fresh() -> str:
            return next(tokens)

        with Mailer(MicrosoftGraph(fresh, host="127.0.0.1", port=self._server.port)) as mailer:
            mailer.send(self.make_message())
            mailer.send(self.make_message())
        sent = [request.headers["authorization"] for request in self._server.requests]
        assert sent == ["Bearer one", "Bearer two"]

    def test_messages_are_mime(self) -> None:
        """By default a message is the MIME that it always is, with the hidden recipients in front."""
        message = self.make_message(
            html="<p>Hi", cc="cleo@example.org", bcc=["archive@example.net"], list_unsubscribe="https://example.com/u"
        )
        self.sent(message)
        (payload,) = self.messages(self._server.requests[0])
        mime = payload["mime"]
        assert mime.startswith(b"Bcc: archive@example.net\r\n")
        sent = message_from_bytes(without_bcc(mime))
        assert sent["List-Unsubscribe"] == "<https://example.com/u>"
        assert [each.get_content_type() for each in sent.walk()][1:] == ["text/plain", "text/html"]

    def test_settings_of_its_own_want_json(self) -> None:
        """Options and copies that are not to be kept go along with Graph's JSON."""
        payload = self.one(
            text=None,
            html="<p>Hi",
            to="Bob <bob@example.org>",
            cc="cleo@example.org",
            bcc="archive@example.net",
            reply_to=["Help <help@example.com>", "office@example.com"],
            headers={"X-A": "1", "x-b": "2"},
            attachments=[
                Attachment.from_bytes(b"a", "a.txt"),
                Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
            ],
            options={"graph": {"message": {"importance": "high"}}},
        )
        assert payload["saveToSentItems"] is False
        message = payload["message"]
        assert message["importance"] == "high"
        assert message["subject"] == self.make_message().subject
        assert message["body"] == {"contentType": "html", "content": "<p>Hi"}
        assert message["toRecipients"] == [{"emailAddress": {"address": "bob@example.org", "name": "Bob"}}]
        assert message["bccRecipients"] == [{"emailAddress": {"address": "archive@example.net"}}]
        assert [each["emailAddress"]["address"] for each in message["replyTo"]] == [
            "help@example.com",
            "office@example.com",
        ]
        assert message["internetMessageHeaders"] == [{"name": "X-A", "value": "1"}, {"name": "x-b", "value": "2"}]
        file = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentType": "text/plain"}
        assert message["attachments"] == [
            {**file, "contentBytes": "YQ=="},
            {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": "logo.png",
                "contentType": "image/png",
                "contentBytes": "iVBORw==",
                "contentId": "logo",
                "isInline": True,
            },
        ]
        self._server.requests.clear()
        self.sent(self.make_message(options={"graph": {"saveToSentItems": False}}))
        assert self._server.requests[0].json()["saveToSentItems"] is False

    def test_json_leaves_out_what_there_is_not(self) -> None:
        """A message without subject and text is one without both."""
        payload = self.one(subject=None, text=None)
        assert set(payload["message"]) == {"from", "toRecipients"}
        assert self.one()["message"]["body"]["contentType"] == "text"

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"html": "<p>Hi"}, "text beside html"),
            ({"in_reply_to": "1@example.com"}, "In-Reply-To"),
            ({"list_unsubscribe": "https://example.com/u"}, "List-Unsubscribe"),
            ({"headers": {"Precedence": "bulk"}}, "Precedence"),
            ({"headers": {f"X-{number}": "1" for number in range(6)}}, "6 header fields"),
        ],
    )
    def test_what_json_cannot_say_is_refused(self, changes: dict[str, Any], named: str) -> None:
        """Nothing is dropped: the error names what would be, and the way that has room for it."""
        with pytest.raises(MessageError, match=named) as caught:
            self.one(**changes)
        assert "save_to_sent_items on" in str(caught.value)
        assert not self._server.requests

    def test_calendars_want_mime(self) -> None:
        """Beside JSON a calendar part is refused."""
        with pytest.raises(MessageError, match="a calendar part"):
            self.one(**self.fields_that_need("calendar"))

    def test_prepared_bytes_are_kept(self) -> None:
        """Exchange keeps a copy of prepared bytes, so where none is wanted they are refused."""
        with pytest.raises(MessageError, match="keeps a copy"):
            self.make_transport(save_to_sent_items=False).build_raw_request(
                b"To: bob@example.org\r\n\r\n", Envelope("ada@example.com", "bob@example.org")
            )

    def test_what_is_too_large_is_refused(self) -> None:
        """A request of 4 MB is made; one of more is refused before any I/O, as MIME and as JSON."""
        transport = self.make_transport()
        envelope = Envelope("ada@example.com", "bob@example.org")
        header = b"To: bob@example.org\r\n\r\n"
        body = b"x" * (3 * (1 << 20) - len(header))
        assert len(transport.build_raw_request(header + body, envelope).body or b"") == 4 << 20
        with pytest.raises(MessageError, match=r"4194304 octets \(4 MB\)"):
            transport.build_raw_request(header + body + b"x", envelope)
        with pytest.raises(MessageError, match="4 MB"):
            self.one(attachments=[Attachment.from_bytes(body, "big.bin")])
        assert not self._server.requests
