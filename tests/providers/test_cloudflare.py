"""Cloudflare Email Service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, ConfigurationError, MessageError
from mailkit.envelope import Envelope
from mailkit.errors import RejectedError
from mailkit.providers import Cloudflare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(status: int, code: int, name: str = "email.sending.error.whatever") -> Answer:
    return Answer(status, {"success": False, "errors": [{"code": code, "message": name}], "result": None})


def _result(**lists: Sequence[str]) -> Answer:
    empty: dict[str, Sequence[str]] = {"delivered": [], "queued": [], "permanent_bounces": []}
    result = {**empty, "suppressed_recipients": [], "message_id": "<1@cf.example>", **lists}
    return Answer(200, {"success": True, "errors": [], "messages": [], "result": result})


class TestCloudflare(ProviderContract):
    """Cloudflare is a provider."""

    transport_class = Cloudflare
    fields: ClassVar[Mapping[str, Any]] = {"account_id": "acc-1"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f@{host}?account-id=acc-1"
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, 10001), "RejectedError", "rejected"),
        Row(_error(400, 10200), "RejectedError", "rejected"),
        Row(_error(401, 10101), "AuthenticationError", cause="configuration"),
        Row(_error(403, 10105), "AuthenticationError", cause="configuration"),
        Row(_error(403, 10203), "AuthenticationError", cause="configuration"),
        Row(_error(429, 10004), "RateLimitedError", cause="throttled"),
        Row(_error(500, 10002), "OutcomeUnknownError", "unknown"),
        Row(_error(500, 10100), "OutcomeUnknownError", "unknown"),
        Row(_error(503, 10100), "TransientError", cause="transient"),
        Row(_error(503, 10002), "OutcomeUnknownError", "unknown"),
        Row(Answer(503, {"errors": [{"code": "10100"}]}), "OutcomeUnknownError", "unknown"),
        # An error inside a success is one.
        Row(_error(200, 10001), "RejectedError", "rejected"),
        Row(_error(200, 10004), "RateLimitedError", cause="throttled"),
        Row(_error(200, 10102), "AuthenticationError", cause="configuration"),
        Row(_error(200, 10002), "OutcomeUnknownError", "unknown"),
        Row(Answer(200, {"success": False}), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Cloudflare says what became of each recipient."""
        return _result(delivered=self.recipients(request.json()))

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are texts or objects; of MIME they are in an array."""
        if "recipients" in payload:
            return list(payload["recipients"])
        each = [address for name in ("to", "cc", "bcc") for address in payload.get(name, [])]
        return [address if isinstance(address, str) else address["address"] for address in each]

    def visible(self, payload: Any) -> bytes:
        """All but Bcc; of MIME itself."""
        if "mime_message" in payload:
            return str(payload["mime_message"]).encode()
        shown = {name: value for name, value in payload.items() if name != "bcc"}
        return json.dumps(shown, ensure_ascii=False).encode()

    def one(self, **changes: Any) -> Any:
        """Return the payload of a message."""
        self._server.requests.clear()
        self.sent(self.make_message(**changes))
        return self._server.requests[0].json()

    @pytest.mark.parametrize("account_id", [None, "", "..", "a\nb"])
    def test_it_wants_an_account(self, account_id: str | None) -> None:
        """Without an account, or with one that is no segment of a path, nothing is made."""
        with pytest.raises(ConfigurationError, match="account"):
            Cloudflare("TOKEN", account_id=account_id)

    def test_the_account_is_part_of_the_path(self) -> None:
        """Whatever it is called, it is one segment."""
        self.sent(account_id="../x")
        assert self._server.requests[0].path == "/client/v4/accounts/..%2Fx/email/sending/send"

    def test_each_recipient_has_a_result(self) -> None:
        """Delivered and queued are accepted; bounced and suppressed are rejected, whatever their case."""
        answer = _result(
            delivered=["bob@example.org"],
            queued=["cleo@example.org"],
            permanent_bounces=["GONE@example.net"],
            suppressed_recipients=["eve@example.net"],
        )
        message = self.make_message(cc="cleo@example.org", bcc=["gone@example.net", "eve@example.net"])
        receipt = self.sent(message, answer)
        assert receipt.provider_id == "<1@cf.example>"
        assert [(each.address, each.status, each.text) for each in receipt.recipients] == [
            ("bob@example.org", "accepted", ""),
            ("cleo@example.org", "accepted", ""),
            ("gone@example.net", "rejected", "permanent bounce"),
            ("eve@example.net", "rejected", "suppressed"),
        ]

    def test_if_all_have_bounced_the_message_is_rejected(self) -> None:
        """A success with nobody left is no receipt."""
        with pytest.raises(RejectedError):
            self.sent(answer=_result(permanent_bounces=["bob@example.org"]))

    def test_fields(self) -> None:
        """Parts have Cloudflare's names; what there is not is left out."""
        payload = self.one(
            from_="Ännchen <ada@example.com>",
            reply_to="help@example.com",
            html="<p>Hi",
            headers={"X-A": "1"},
            in_reply_to="1@example.com",
            attachments=[
                Attachment.from_bytes(b"a", "a.txt"),
                Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
            ],
        )
        assert payload["from"] == {"address": "ada@example.com", "name": "Ännchen"}
        assert payload["reply_to"] == "help@example.com"
        assert payload["headers"] == {"In-Reply-To": "<1@example.com>", "X-A": "1"}
        assert payload["attachments"] == [
            {"content": "YQ==", "filename": "a.txt", "type": "text/plain", "disposition": "attachment"},
            {
                "content": "iVBORw==",
                "filename": "logo.png",
                "type": "image/png",
                "disposition": "inline",
                "content_id": "logo",
            },
        ]
        assert set(self.one()) == {"from", "to", "subject", "text"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"subject": None},
            {"text": None},
            {"amp": "<!doctype html><html ⚡4email><body>Hi</body></html>"},
            {"headers": [("X-A", "1"), ("x-a", "2")]},
            {"attachments": [Attachment.from_bytes(b"a", "a.txt", content_id="a", disposition="attachment")]},
        ],
    )
    def test_what_has_no_words_is_mime(self, changes: dict[str, Any]) -> None:
        """A message that the parts cannot express goes out as MIME, to exactly the envelope."""
        payload = self.one(bcc="archive@example.net", **changes)
        assert self._server.requests[0].path == "/client/v4/accounts/acc-1/email/sending/send_raw"
        assert set(payload) == {"from", "recipients", "mime_message"}
        assert payload["from"] == "ada@example.com"
        assert payload["recipients"] == ["bob@example.org", "archive@example.net"]
        assert "archive@example.net" not in payload["mime_message"]

    @pytest.mark.parametrize(
        ("data", "mail_from"), [(b"To: bob@example.org\r\n\r\n\xff", "ada@example.com"), (b"To: b@c.de\r\n\r\n", None)]
    )
    def test_what_mime_it_cannot_take(self, data: bytes, mail_from: str | None) -> None:
        """Octets that are no text, and an empty reverse-path, are refused."""
        with pytest.raises(MessageError):
            self.make_transport().build_raw_request(data, Envelope(mail_from, "bob@example.org"))
