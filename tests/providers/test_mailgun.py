"""Mailgun."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.forms import form_of
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, Message, Template
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, MessageError
from mailkit.providers import Mailgun
from mailkit.providers.multipart import File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received

_SEVERAL = ("to", "cc", "bcc", "attachment", "inline", "o:tag")


def _spec(mailbox: str) -> str:
    return mailbox.partition("<")[2].rstrip(">") or mailbox


class TestMailgun(ProviderContract):
    """Mailgun is a provider."""

    transport_class = Mailgun
    fields: ClassVar[Mapping[str, Any]] = {"domain": "mg.example.com"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f@{host}?domain=mg.example.com"
    rows: ClassVar[Sequence[Row]] = [
        Row(Answer(401, b"Forbidden"), "AuthenticationError", cause="configuration"),
        Row(Answer(400, {"message": "to parameter is not a valid address"}), "RejectedError", "rejected"),
        Row(Answer(404, {"message": "Domain not found: mg.example.com"}), "RejectedError", "rejected"),
        Row(Answer(413, {"message": "too large"}), "RejectedError", "rejected"),
        Row(Answer(429, {"message": "request limit exceeded"}), "RateLimitedError", cause="throttled"),
        Row(Answer(500, {"message": "Internal Server Error"}), "OutcomeUnknownError", "unknown"),
    ]

    def success(self, request: Received) -> Answer:
        """Mailgun answers one id for all recipients."""
        return Answer(200, {"id": "<2026.1@mg.example.com>", "message": "Queued. Thank you."})

    def messages(self, request: Received) -> Sequence[Any]:
        """A request is a form with one message."""
        media_type = request.headers["content-type"]
        return [form_of(request.body, media_type, several=_SEVERAL, as_json=("t:variables", "x_probe"))]

    def recipients(self, payload: Any) -> Sequence[str]:
        """Each address is a field."""
        return [_spec(each) for name in ("to", "cc", "bcc") for each in payload.get(name, [])]

    def visible(self, payload: Any) -> bytes:
        """All but Bcc, and where the message is MIME, that."""
        if "message" in payload:
            return payload["message"].content  # type: ignore[no-any-return]
        return repr({name: value for name, value in payload.items() if name != "bcc"}).encode()

    def carries_key(self, request: Received) -> bool:
        """The key is a password: base64 of api:KEY-dE4db33f."""
        return request.headers["authorization"] == "Basic YXBpOktFWS1kRTRkYjMzZg=="

    def only(self) -> Any:
        """Return the one form that was sent."""
        (request,) = self._server.requests
        (form,) = self.messages(request)
        return form

    def test_the_id(self) -> None:
        """The receipt has Mailgun's id without brackets, as its events have it."""
        assert self.sent().provider_id == "2026.1@mg.example.com"

    def test_the_form(self) -> None:
        """Every field of a message has a field of the form, in Mailgun's spelling."""
        message = self.make_message(
            to=["Bob <bob@example.org>", "eve@example.net"],
            reply_to=["help@example.com", "Sales <sales@example.com>"],
            headers={"X-Campaign": "q3"},
            in_reply_to="1@example.com",
            message_id="2@example.com",
            amp="<html ⚡4email>",
            tags=["a", "b"],
            metadata={"user": "Zoë"},
            track_opens=True,
            track_clicks=False,
            send_at=datetime(2026, 12, 1, 10, tzinfo=UTC),
        )
        self.sent(message)
        assert self._server.requests[0].path == "/v3/mg.example.com/messages"
        assert self.only() == {
            "from": "Ada Lovelace <ada@example.com>",
            "to": ["Bob <bob@example.org>", "eve@example.net"],
            "subject": "Hello",
            "text": "Hi Bob",
            "amp-html": "<html ⚡4email>",
            "h:In-Reply-To": "<1@example.com>",
            "h:X-Campaign": "q3",
            "h:Reply-To": "help@example.com, Sales <sales@example.com>",
            "h:Message-Id": "<2@example.com>",
            "o:tag": ["a", "b"],
            "v:user": "Zoë",
            "o:tracking-opens": "yes",
            "o:tracking-clicks": "no",
            "o:deliverytime": "Tue, 01 Dec 2026 10:00:00 +0000",
        }

    def test_files(self) -> None:
        """An attachment keeps its name and type; an inline image is named by its Content-ID."""
        report = Attachment.from_bytes(b"\x00\r\n--", 'Bericht "ä".pdf')
        logo = Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo@example.com")
        self.sent(self.make_message(html="<p>", attachments=[report, logo, Attachment.from_bytes(b"x")]))
        form = self.only()
        assert form["attachment"] == [
            File("Bericht %22ä%22.pdf", b"\x00\r\n--", "application/pdf"),
            File("attachment", b"x", "application/octet-stream"),
        ]
        assert form["inline"] == [File("logo@example.com", b"\x89PNG", "image/png")]

    def test_a_template(self) -> None:
        """A template goes by its name, its data are JSON, and its own subject stays."""
        self.sent(self.make_message(template=Template("welcome", {"items": [1]}), subject=None, text=None))
        form = self.only()
        assert (form["template"], form["t:variables"]) == ("welcome", {"items": [1]})
        assert not {"subject", "text"} & set(form)

    @pytest.mark.parametrize("beside", [{"text": "Hi"}, {"html": "<p>"}, {"calendar": "BEGIN:VCALENDAR"}])
    def test_what_a_template_would_replace_is_refused(self, beside: dict[str, str]) -> None:
        """A template beside a text of its own is a MessageError, before any request."""
        if "calendar" in beside:
            beside = self.fields_that_need("calendar")
        with pytest.raises(MessageError):
            self.sent(self.make_message(**{"template": Template("welcome"), "text": None, **beside}))
        assert not self._server.requests

    @pytest.mark.parametrize("kind", ["calendar", "headers"])
    def test_what_no_form_can_say_is_mime(self, kind: str) -> None:
        """A calendar part, or two fields of one name, go out as MIME, to the envelope's recipients, Bcc unseen."""
        twice = {"headers": [("X-Twice", "1"), ("x-twice", "2")]}
        fields = twice if kind == "headers" else self.fields_that_need("calendar")
        self.sent(self.make_message(bcc="archive@example.net", tags=["a"], **fields))
        form = self.only()
        assert self._server.requests[0].path == "/v3/mg.example.com/messages.mime"
        assert set(form) == {"to", "message", "o:tag"}
        assert form["to"] == ["bob@example.org", "archive@example.net"]
        read = message_from_bytes(form["message"].content, policy=policy.default)
        assert read["Subject"] == "Hello"
        assert read["Bcc"] is None
        if kind == "headers":
            assert read.get_all("X-Twice") == ["1", "2"]
        else:
            assert "text/calendar" in [part.get_content_type() for part in read.walk()]

    def test_the_sandbox_is_mailguns_test_mode(self) -> None:
        """In the sandbox every message says so."""
        self.sent(sandbox=True)
        assert self.only()["o:testmode"] == "yes"

    def test_the_domain_is_froms_unless_it_is_given(self) -> None:
        """Without a domain that of From is used, as DNS knows it; a message without From has none."""
        message = Message(from_="ada@faß.test", to="bob@example.org", subject="Hello", text="Hi")
        request = Mailgun("KEY", region="eu").build_request(message, Envelope.from_message(message))
        assert request.url == "https://api.eu.mailgun.net/v3/xn--fa-hia.test/messages"
        with pytest.raises(MessageError, match="domain"):
            Mailgun("KEY").build_request(Message(to="bob@example.org"), Envelope("", ["bob@example.org"]))

    @pytest.mark.parametrize("domain", ["a/b", "../x", "a b", ""])
    def test_a_domain_that_is_none_is_refused(self, domain: str) -> None:
        """What is no domain never gets into a path."""
        with pytest.raises(ConfigurationError):
            Mailgun("KEY", domain=domain)

    def test_without_a_key_there_are_no_credentials(self) -> None:
        """A request for nobody carries no Authorization."""
        message = self.make_message()
        transport = Mailgun(domain="mg.example.com")
        request = transport.build_request(message, Envelope.from_message(message))
        assert transport.authorize(request, None, datetime.now(UTC)) is request
