"""Postal."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import AuthenticationError, ConfigurationError, Mailer, MessageError, TransientError
from mailkit.envelope import Envelope
from mailkit.providers import Postal
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received

    from mailkit.errors import DeliveryError


def _answer(status: str, data: Any) -> Answer:
    return Answer(200, {"status": status, "time": 0.02, "flags": {}, "data": data})


def _error(code: str) -> Answer:
    return _answer("error", {"code": code, "message": "That went wrong."})


class TestPostal(ProviderContract):
    """Postal is a provider."""

    transport_class = Postal
    rows: ClassVar[Sequence[Row]] = [
        Row(_error("AccessDenied"), "AuthenticationError", cause="configuration"),
        Row(_error("InvalidServerAPIKey"), "AuthenticationError", cause="configuration"),
        Row(_answer("error", {"code": "ServerSuspended"}), "AuthenticationError", cause="configuration"),
        Row(_error("UnauthenticatedFromAddress"), "RejectedError", "rejected"),
        Row(_error("NoRecipients"), "RejectedError", "rejected"),
        Row(_answer("parameter-error", {"message": "`rcpt_to` is missing"}), "RejectedError", "rejected"),
        Row(_answer("success", {"message_id": "1@rp.example.com", "messages": {}}), "OutcomeUnknownError", "unknown"),
        Row(_answer("accepted", {}), "OutcomeUnknownError", "unknown"),
        Row(Answer(500, b"<html>We're sorry, but something went wrong."), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Postal answers a number and a token for each recipient."""
        if request.method == "GET":
            assert request.path == "/api/v1/messages/message"
            return _answer("parameter-error", {"message": "`id` parameter is required but is missing"})
        assert (request.method, request.path) == ("POST", "/api/v1/send/raw")
        sent = request.json()
        header = message_from_bytes(b64decode(sent["data"], validate=True), policy=policy.default)
        messages = {address: {"id": 37171 + n, "token": f"t{n}"} for n, address in enumerate(sent["rcpt_to"])}
        return _answer("success", {"message_id": header["Message-ID"].strip("<>"), "messages": messages})

    def recipients(self, payload: Any) -> Sequence[str]:
        """The envelope's."""
        addresses: list[str] = payload["rcpt_to"]
        return addresses

    def visible(self, payload: Any) -> bytes:
        """Recipients see the MIME."""
        return b64decode(payload["data"], validate=True)

    def test_the_ids(self) -> None:
        """The receipt has the Message-ID, and Postal's number for each recipient."""
        receipt = self.sent(self.make_message(bcc="archive@example.net", message_id="1@example.com"))
        assert receipt.provider_id == "1@example.com"
        assert [each.provider_id for each in receipt.recipients] == ["37171", "37172"]

    def test_the_envelope(self) -> None:
        """The return path and every recipient are named beside the MIME, which names only whom it names."""
        self.sent(self.make_message(bcc="archive@example.net", return_path="bounces@example.com"))
        payload = self._server.requests[0].json()
        assert payload["mail_from"] == "bounces@example.com"
        assert payload["rcpt_to"] == ["bob@example.org", "archive@example.net"]
        read = message_from_bytes(self.visible(payload), policy=policy.default)
        assert (read["From"], read["To"], read["Bcc"]) == ("Ada Lovelace <ada@example.com>", "bob@example.org", None)

    def test_a_tag_is_a_header_field(self) -> None:
        """Postal reads a message's tag from the field that is its own, in MIME."""
        self.sent(self.make_message(tags=["welcome"], headers={"X-Campaign": "q3"}))
        read = message_from_bytes(self.visible(self._server.requests[0].json()), policy=policy.default)
        assert (read["X-Postal-Tag"], read["X-Campaign"]) == ("welcome", "q3")

    def test_an_empty_return_path_is_refused(self) -> None:
        """Postal wants somebody to come back to; a message without is refused before any request."""
        with pytest.raises(MessageError, match="return path"):
            self.sent(self.make_message(return_path=""))
        assert not self._server.requests

    def test_a_repeated_key_is_not_repeated_again(self) -> None:
        """Postal's answer to a wrong key holds that key, which no error shows."""
        data = {"code": "InvalidServerAPIKey", "message": f"The API token {self.key} was not valid.", "token": self.key}
        error = self.failed(_answer("error", data))
        assert "InvalidServerAPIKey" in str(error)
        self.check_no_secret(f"{error} {error!r} {error.recipients} {error.reply}")

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (_error("InvalidServerAPIKey"), AuthenticationError),
            (_answer("error", {"code": "ServerSuspended"}), AuthenticationError),
            (_answer("error", {"code": ["?"]}), TransientError),
            (Answer(200, b"<html>"), TransientError),
        ],
    )
    def test_a_key_that_is_not_good(self, answer: Answer, error: type[DeliveryError]) -> None:
        """Postal answers 200 to it like to any other; `verify` reads on."""
        self.answer = answer
        with Mailer(self.make_transport()) as mailer, pytest.raises(error) as caught:
            mailer.verify()
        assert caught.value.outcome == "not_sent"

    def test_its_host_has_to_be_given(self) -> None:
        """A URL that leaves the host to the provider, or has no key, is refused with what to write."""
        with pytest.raises(ConfigurationError, match="give host="):
            transport_from_url("postal://KEY@default")
        with pytest.raises(ConfigurationError, match="postal://KEY@HOST"):
            transport_from_url("postal://postal.example.com")

    def test_without_a_key_there_are_no_credentials(self) -> None:
        """A request for nobody carries no key."""
        message = self.make_message()
        transport = Postal(host="postal.example.com")
        request = transport.build_request(message, Envelope.from_message(message))
        assert transport.authorize(request, None, datetime.now(UTC)) is request
