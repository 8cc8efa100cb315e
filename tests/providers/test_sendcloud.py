"""SendCloud."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.forms import form_of
from tests.providers.kit import PairContract, Row

from mailkit import Attachment, Template
from mailkit.envelope import Envelope
from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.providers import SendCloud
from mailkit.providers.multipart import File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received

_AS_JSON = ("headers", "xsmtpapi", "x_probe")
_REQUEST = "1447054895514_15555555_32350_1350.sc-10_10_126_221-inbound"


def _answer(code: Any, info: Any = None) -> Answer:
    return Answer(200, {"result": code == 200, "statusCode": code, "message": "说明", "info": info or {}})


def _split(text: str) -> list[str]:
    return [each for each in text.split(";") if each]


class TestSendCloud(PairContract):
    """SendCloud is a provider."""

    transport_class = SendCloud
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "template": {"template": Template("welcome", {"name": "Bob"}), "text": None}
    }
    rows: ClassVar[Sequence[Row]] = [
        Row(_answer(40005), "AuthenticationError", cause="configuration"),
        Row(_answer(40301), "AuthenticationError", cause="configuration"),
        Row(_answer(40904), "RateLimitedError", cause="configuration"),
        Row(_answer(40801), "RejectedError", "rejected"),
        Row(_answer(40806), "RejectedError", "rejected"),
        Row(_answer(40823), "RejectedError", "rejected"),
        Row(_answer(40874), "RejectedError", "rejected"),
        Row(_answer(40908), "RejectedError", "rejected"),
        Row(_answer(40000), "OutcomeUnknownError", "unknown"),
        Row(_answer(40822), "OutcomeUnknownError", "unknown"),
        Row(_answer(40867), "OutcomeUnknownError", "unknown"),
        Row(_answer(40901), "OutcomeUnknownError", "unknown"),
        Row(_answer(40902), "OutcomeUnknownError", "unknown"),
        Row(_answer(501), "OutcomeUnknownError", "unknown"),
        Row(_answer(200.5), "OutcomeUnknownError", "unknown"),
        Row(_answer([200]), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """SendCloud answers an id for each recipient."""
        (payload,) = self.messages(request)
        recipients = self.recipients(payload)
        return _answer(200, {"emailIdList": [f"{_REQUEST}{n}${each}" for n, each in enumerate(recipients)]})

    def messages(self, request: Received) -> Sequence[Any]:
        """A request is a form with one message."""
        return [form_of(request.body, request.headers["content-type"], as_json=_AS_JSON, several=("attachments",))]

    def recipients(self, payload: Any) -> Sequence[str]:
        """To, Cc and Bcc, or what the extension says."""
        if "xsmtpapi" in payload:
            return list(payload["xsmtpapi"]["to"])
        return [address for name in ("to", "cc", "bcc") for address in _split(payload.get(name, ""))]

    def visible(self, payload: Any) -> bytes:
        """All but Bcc; of a file, its name."""
        files = [each.filename for each in payload.get("attachments", ())]
        return super().visible({**payload, "attachments": files})

    def carries_key(self, request: Received) -> bool:
        """Both halves are fields of the form, and nowhere else."""
        (payload,) = self.messages(request)
        shown = f"{request.path} {request.headers}"
        assert self.key not in shown
        assert "SECRET-9x" not in shown
        return (payload["apiUser"], payload["apiKey"]) == (self.key, "SECRET-9x")

    def test_the_form(self) -> None:
        """Addresses are divided by semicolons, without names; a literal % arrives as one."""
        receipt = self.sent(
            self.make_message(
                from_="Änn <ada@example.com>",
                to=["Bob <bob@example.org>", "eve@example.net"],
                cc="cleo@example.org",
                bcc="archive@example.net",
                reply_to=["Help <help@example.com>", "desk@example.com"],
                subject="100 % sure, 50 %",
                html="<p>%name% 100%25",
                headers={"X-A": "ä"},
                metadata={"k": "v"},
                options={"sendcloud": {"labelId": 7}},
            )
        )
        (request,) = self._server.requests
        assert (request.method, request.path) == ("POST", "/apiv2/mail/send")
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert self.messages(request) == [
            {
                "apiUser": self.key,
                "apiKey": "SECRET-9x",
                "from": "ada@example.com",
                "fromName": "Änn",
                "replyTo": "help@example.com;desk@example.com",
                "subject": "100 % sure, 50 %",
                "headers": {"X-A": "ä", "SC-Custom-Metadata": '{"k": "v"}'},
                "to": "bob@example.org;eve@example.net",
                "cc": "cleo@example.org",
                "bcc": "archive@example.net",
                "plain": "Hi Bob",
                "html": "<p>%name% 100%25",
                "labelId": "7",
            }
        ]
        assert receipt.provider_id == f"{_REQUEST}0$bob@example.org"
        assert {each.address: each.provider_id for each in receipt.recipients} == {
            "bob@example.org": f"{_REQUEST}0$bob@example.org",
            "eve@example.net": f"{_REQUEST}1$eve@example.net",
            "cleo@example.org": f"{_REQUEST}2$cleo@example.org",
            "archive@example.net": f"{_REQUEST}3$archive@example.net",
        }

    def test_files_make_it_a_form_of_several_parts(self) -> None:
        """Each file is a part with its name, type and bytes, and the keys are parts like others."""
        files = [Attachment.from_bytes(b"%PDF-1.7\r\n--x", "ä.pdf"), Attachment.from_text("a;b", "b.csv")]
        self.sent(self.make_message(attachments=files))
        (request,) = self._server.requests
        (payload,) = self.messages(request)
        assert payload["attachments"] == [
            File("ä.pdf", b"%PDF-1.7\r\n--x", "application/pdf"),
            File("b.csv", b"a;b", "text/plain"),
        ]
        assert (payload["subject"], payload["apiUser"]) == ("Hello", self.key)

    def test_a_template(self) -> None:
        """Each recipient has a copy, and the same values; the subject is the message's where it has one."""
        template = Template("welcome", {"name": "李", "n": 3})
        self.sent(self.make_message(template=template, text=None, to=["bob@example.org", "eve@example.net"]))
        self.sent(self.make_message(template=Template("bare"), text=None, subject=None))
        full, bare = (self.messages(request)[0] for request in self._server.requests)
        assert self._server.requests[0].path == "/apiv2/mail/sendtemplate"
        assert (full["templateInvokeName"], full["subject"]) == ("welcome", "Hello")
        assert full["xsmtpapi"] == {
            "to": ["bob@example.org", "eve@example.net"],
            "sub": {"%name%": ["李", "李"], "%n%": ["3", "3"]},
        }
        assert bare["xsmtpapi"] == {"to": ["bob@example.org"]}
        assert not {"to", "subject", "plain"} & set(bare)

    @pytest.mark.parametrize("feature", ["cc", "bcc"])
    def test_a_template_goes_to_nobody_else(self, feature: str) -> None:
        """Cc and Bcc beside a template, which SendCloud would ignore, are refused by the feature's name."""
        message = self.make_message(template=Template("welcome"), text=None, **{feature: "archive@example.net"})
        with pytest.raises(UnsupportedFeatureError) as caught:
            self.sent(message)
        assert caught.value.feature == feature
        assert not self._server.requests

    @pytest.mark.parametrize(
        "fields",
        [
            {"template": Template("welcome"), "text": "Hi"},
            {"template": Template("welcome", {"items": [1]}), "text": None},
            {"template": Template("welcome", {"a%b": "c"}), "text": None},
            {"to": '"a;eve"@example.org'},
            {"reply_to": '"a;eve"@example.org'},
            {"headers": {"sc-custom-metadata": "b"}, "metadata": {"a": "b"}},
        ],
    )
    def test_what_it_would_take_for_something_else_is_refused(self, fields: dict[str, Any]) -> None:
        """A message that SendCloud would read otherwise is refused before any request."""
        with pytest.raises(MessageError):
            self.sent(self.make_message(**fields))
        assert not self._server.requests

    @pytest.mark.parametrize("info", [{}, {"emailIdList": []}, {"emailIdList": [7]}, {"emailIdList": "x"}, []])
    def test_ids_are_not_needed(self, info: Any) -> None:
        """A message is accepted by the code alone: ids can be switched off, or be missing."""
        assert self.sent(answer=_answer(200, info)).provider_id is None
        assert self.sent(answer=_answer(40821, {"maillistTaskId": [267131]})).accepted

    def test_the_key_is_only_in_the_authorized_request(self) -> None:
        """A request for nobody carries no key, and none is shown."""
        message = self.make_message()
        transport = SendCloud("KEY-dE4db33f", secret="SECRET-9x")
        request = transport.build_request(message, Envelope.from_message(message))
        assert transport.authorize(request, None, datetime.now(UTC)) is request
        assert b"apiKey" not in (request.body or b"")
