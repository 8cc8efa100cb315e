"""AokSend."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.forms import form_of
from tests.providers.kit import ProviderContract, Row

from mailkit import Message, Template
from mailkit.envelope import Envelope
from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.providers import AokSend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http_server import Received

    from mailkit.testing.colours import Colour
    from mailkit.transport import Transport


def _answer(code: Any, message: str = "That went wrong.") -> Answer:
    return Answer(200, {"code": code, "message": message})


class TestAokSend(ProviderContract):
    """AokSend is a provider."""

    transport_class = AokSend
    rows: ClassVar[Sequence[Row]] = [
        Row(_answer(40001), "AuthenticationError", cause="configuration"),
        Row(_answer("40002"), "AuthenticationError", cause="configuration"),
        Row(_answer(40003), "RejectedError", "rejected"),
        Row(_answer(40004), "RejectedError", "rejected"),
        Row(_answer("40005"), "RejectedError", "rejected"),
        Row(_answer(40006), "RejectedError", "rejected"),
        Row(_answer(40007), "AuthenticationError", cause="configuration"),
        Row(_answer(40008), "RejectedError", "rejected"),
        Row(_answer(40009), "RejectedError", "rejected"),
        Row(_answer(50000), "OutcomeUnknownError", "unknown"),
        Row(_answer(200.5), "OutcomeUnknownError", "unknown"),
        Row(_answer("ok"), "OutcomeUnknownError", "unknown"),
        Row(_answer([200]), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """AokSend answers a code."""
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        return _answer(200, "success")

    def make_message(self, **fields: Any) -> Message:
        """A message that AokSend takes is a template; its subject is among the template's data."""
        subject = fields.pop("subject", None) or "Hello"
        template = fields.pop("template", None) or Template("E_1", {"subject": subject})
        fields.pop("text", None)
        return super().make_message(subject=None, text=None, template=template, **fields)

    def messages(self, request: Received) -> Sequence[Any]:
        """A request is a form with one message."""
        return [form_of(request.body, request.headers["content-type"], as_json=("data", "x_probe"))]

    def recipients(self, payload: Any) -> Sequence[str]:
        """There is one."""
        return [payload["to"]]

    def carries_key(self, request: Received) -> bool:
        """The key is a field of the form."""
        return bool(self.messages(request)[0]["app_key"] == self.key)

    def test_a_message_arrives(self, transport: Transport, colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
        """One recipient gets it, as the receipt says; two are refused, for AokSend takes one."""
        with pytest.raises(MessageError):
            self.send(transport, colour, self.make_message(to=["bob@example.org", "eve@example.net"]))
        assert not self._server.requests
        caplog.set_level(0)
        message = self.make_message()
        receipt = self.send(transport, colour, message)
        assert (receipt.message_id, receipt.transport, receipt.attempts) == (message.message_id, str(transport), 1)
        assert [(each.address, each.status) for each in receipt.recipients] == [("bob@example.org", "accepted")]
        assert receipt.provider_id is None
        self.check_arrived("Hello")
        self.check_no_secret(caplog.text + repr(receipt))

    def test_the_form(self) -> None:
        """A template, one recipient, who it is from and where answers go, and the key beside them."""
        template = Template("E_7", {"name": "李 & Söhne", "items": [1, {"a": None}]})
        message = self.make_message(
            template=template, reply_to="Help <help@example.com>", from_="Zoë <ada@example.com>"
        )
        self.sent(message)
        (request,) = self._server.requests
        assert (request.method, request.path) == ("POST", "/index/api/send_email")
        assert self.messages(request) == [
            {
                "app_key": self.key,
                "template_id": "E_7",
                "to": "bob@example.org",
                "reply_to": "help@example.com",
                "alias": "Zoë",
                "data": {"name": "李 & Söhne", "items": [1, {"a": None}]},
            }
        ]

    @pytest.mark.parametrize("code", [200, "200"])
    def test_the_code_is_a_number_or_its_digits(self, code: Any) -> None:
        """200 means accepted, whether it is a number or a text."""
        assert self.sent(answer=_answer(code)).accepted

    def test_a_message_without_a_template_is_shown_the_smtp_way(self) -> None:
        """A full message is refused before any request, and the error names the relay that takes it."""
        message = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")
        with pytest.raises(UnsupportedFeatureError, match=r"aoksend\+smtp://") as caught:
            self.sent(message)
        assert caught.value.transport == str(self.make_transport())
        assert not self._server.requests

    @pytest.mark.parametrize("beside", [{"subject": "Hi"}, {"text": "Hi Bob"}])
    def test_what_the_template_would_replace_is_refused(self, beside: dict[str, str]) -> None:
        """A template beside a subject or text of its own is refused before any request."""
        with pytest.raises(MessageError):
            self.sent(self.make_message().evolve(**beside))
        assert not self._server.requests

    def test_the_key_is_only_in_the_authorized_request(self) -> None:
        """A request for nobody carries no key, and one with options may have nothing else."""
        message = self.make_message()
        transport = AokSend(host="127.0.0.1")
        request = transport.build_request(message, Envelope.from_message(message))
        assert transport.authorize(request, None, datetime.now(UTC)) is request
        assert b"app_key" not in (request.body or b"")
