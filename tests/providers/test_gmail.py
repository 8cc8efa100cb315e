"""The Gmail API."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.header_mail import recipients_of, without_bcc
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, ConfigurationError, Mailer, MessageError
from mailkit.envelope import Envelope
from mailkit.providers import Gmail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(status: int, reason: str) -> Answer:
    told = {"domain": "usageLimits", "reason": reason, "message": "That went wrong."}
    return Answer(status, {"error": {"code": status, "message": "That went wrong.", "errors": [told]}})


class TestGmail(ProviderContract):
    """Gmail is a provider."""

    transport_class = Gmail
    fields: ClassVar[Mapping[str, Any]] = {"user": "ada@example.com"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f@{host}?user=ada%40example.com"
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, "invalidArgument"), "RejectedError", "rejected"),
        Row(_error(400, "rateLimitExceeded"), "RejectedError", "rejected"),
        Row(_error(401, "authError"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "rateLimitExceeded"), "RateLimitedError", cause="throttled"),
        Row(_error(403, "userRateLimitExceeded"), "RateLimitedError", cause="throttled"),
        Row(_error(403, "dailyLimitExceeded"), "RateLimitedError", cause="configuration"),
        Row(_error(403, "quotaExceeded"), "RateLimitedError", cause="configuration"),
        Row(_error(403, "insufficientPermissions"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "domainPolicy"), "AuthenticationError", cause="configuration"),
        Row(_error(429, "userRateLimitExceeded"), "RateLimitedError", cause="throttled"),
        Row(_error(429, "dailyLimitExceeded"), "RateLimitedError", cause="configuration"),
        Row(_error(500, "backendError"), "OutcomeUnknownError", "unknown"),
        Row(_error(503, "rateLimitExceeded"), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Gmail answers the message in the mailbox."""
        return Answer(200, {"id": "18c2f", "threadId": "18c2e", "labelIds": ["SENT"]})

    def recipients(self, payload: Any) -> Sequence[str]:
        """They are in the MIME's header and nowhere else."""
        return recipients_of(urlsafe_b64decode(payload["raw"]))

    def visible(self, payload: Any) -> bytes:
        """All but the Bcc field."""
        return without_bcc(urlsafe_b64decode(payload["raw"]))

    def mime(self, **changes: Any) -> bytes:
        """Return the MIME of a message."""
        self._server.requests.clear()
        self.sent(self.make_message(**changes))
        return urlsafe_b64decode(self._server.requests[0].json()["raw"])

    def test_the_id(self) -> None:
        """The receipt has Gmail's id."""
        assert self.sent().provider_id == "18c2f"

    def test_the_mailbox_is_part_of_the_path(self) -> None:
        """Whatever the mailbox is called, it is one segment; by default it is the token's own."""
        for user, segment in (("me", "me"), ("ada@example.com", "ada%40example.com"), ("../x", "..%2Fx")):
            self._server.requests.clear()
            self.sent(user=user)
            assert self._server.requests[0].path == f"/gmail/v1/users/{segment}/messages/send"
        assert Gmail("TOKEN").user == "me"

    @pytest.mark.parametrize("user", ["", ".", "..", "a\nb", "\ud800"])
    def test_what_is_no_mailbox_is_refused(self, user: str) -> None:
        """A setting that could be no segment of a path is an error when the transport is made."""
        with pytest.raises(ConfigurationError, match="user"):
            Gmail("TOKEN", user=user)

    def test_a_token_can_be_fresh_each_time(self) -> None:
        """A function is asked for a token for each message."""
        tokens = iter(["one", "two"])
        self._server.requests.clear()
        with Mailer(Gmail(lambda: next(tokens), host="127.0.0.1", port=self._server.port)) as mailer:
            mailer.send(self.make_message())
            mailer.send(self.make_message())
        sent = [request.headers["authorization"] for request in self._server.requests]
        assert sent == ["Bearer one", "Bearer two"]

    def test_hidden_recipients_are_handed_over_in_bcc(self) -> None:
        """To and Cc are as they were; the hidden ones are in one Bcc field before all others, without names."""
        mime = self.mime(cc="cleo@example.org", bcc=["Archive <a@example.net>", "b@example.net"])
        assert mime.startswith(b"Bcc: a@example.net, b@example.net\r\n")
        assert recipients_of(mime) == ["bob@example.org", "cleo@example.org", "a@example.net", "b@example.net"]
        assert b"\nbcc" not in self.mime().lower()

    def test_small_and_large_messages(self) -> None:
        """Up to 1 MB a message is JSON; beyond, its octets are uploaded as they are, options beside them."""
        attachment = Attachment.from_bytes(b"x" * 800_000, "big.bin")
        message = self.make_message(
            bcc="archive@example.net", attachments=[attachment], options={"gmail": {"threadId": "7"}}
        )
        self.sent(message)
        (request,) = self._server.requests
        assert request.path == "/upload/gmail/v1/users/ada%40example.com/messages/send?uploadType=multipart"
        assert request.headers["content-type"].startswith("multipart/related; boundary=")
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        metadata, media = message_from_bytes(head + request.body, policy=policy.SMTP).iter_parts()
        assert metadata.get_content_type() == "application/json"
        assert metadata.get_payload() == '{"threadId":"7"}'
        assert media.get_content_type() == "message/rfc822"
        delimiter = f"\r\n--{request.headers['content-type'].partition('=')[2]}".encode()
        mime = request.body.partition(b"\r\nContent-Transfer-Encoding: binary\r\n\r\n")[2].partition(delimiter)[0]
        assert recipients_of(mime) == ["bob@example.org", "archive@example.net"]
        assert [each.get_content_type() for each in message_from_bytes(without_bcc(mime)).walk()] == [
            "multipart/mixed",
            "text/plain",
            "application/octet-stream",
        ]
        assert mime.endswith(b"--\r\n")
        assert len(self.mime(options={"gmail": {"threadId": "7"}})) < 1_000_000
        assert self._server.requests[0].json()["threadId"] == "7"

    def test_what_is_too_large_is_refused(self) -> None:
        """More octets than Gmail takes are refused before any request."""
        transport = self.make_transport()
        envelope = Envelope("ada@example.com", "bob@example.org")
        header = b"To: bob@example.org\r\n\r\n"
        body = b"x" * (36_700_160 - len(header))
        assert transport.build_raw_request(header + body, envelope).url.endswith("uploadType=multipart")
        with pytest.raises(MessageError, match="36700160 octets"):
            transport.build_raw_request(header + body + b"x", envelope)
