"""Mailgun."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.batching import ALONE, APART, OneContentContract
from tests.providers.forms import form_of
from tests.providers.kit import Row

from mailkit import Attachment, Message, Template
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, MessageError
from mailkit.providers import Mailgun
from mailkit.providers.multipart import File
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received

_SEVERAL = ("to", "cc", "bcc", "attachment", "inline", "o:tag")


def _spec(mailbox: str) -> str:
    return mailbox.partition("<")[2].rstrip(">") or mailbox


class TestMailgun(OneContentContract):
    """Mailgun is a provider."""

    transport_class = Mailgun
    fields: ClassVar[Mapping[str, Any]] = {"domain": "mg.example.com"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f@{host}?domain=mg.example.com"
    batch_fields: ClassVar[Mapping[str, Any]] = {"recipient_variables": True}
    apart: ClassVar[Sequence[Mapping[str, Any]]] = (
        *APART,
        {"amp": "Other"},
        {"tags": ["a"]},
        {"metadata": {"user": "7"}},
        {"options": {"mailgun": {"o:dkim": "no"}}},
    )
    alone: ClassVar[Sequence[Mapping[str, Any]]] = (
        *ALONE,
        {"options": {"mailgun": {"V:user": "7"}}},
        {"options": {"mailgun": {"h:Message-ID": "<1@example.com>"}}},
        {"options": {"mailgun": {"recipient-variables": {}}}},
        {"options": {"mailgun": {"t:variables": {}}}},
        {"bcc": "cleo@example.org"},
        {"calendar": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"},
        # What would be filled in.
        {"metadata": {"user": 'a"b'}},
        {"metadata": {"user": "%recipient.m0%"}},
        {"metadata": {"user": ""}},
        {"metadata": {"%recipient%": "a"}},
        {"subject": "Hello %recipient_name%"},
        {"text": "%recipient.secret%"},
        {"from_": '"%recipient.m0%" <ada@example.com>'},
        {"to": '"%recipient.m0%" <dan@example.org>'},
        {"headers": {"X-A": "%recipient.m0%"}},
        {"template": Template("welcome", {"a": ["%recipient.b%"]}), "subject": None, "text": None},
        {"options": {"mailgun": {"h:X-A": "%recipient.m0%"}}},
    )
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
        """A request is a form with one message; with recipient variables, with one for each recipient."""
        form = self.form(request)
        return [{**form, "to": [each]} for each in form["to"]] if "recipient-variables" in form else [form]

    def form(self, request: Received) -> dict[str, Any]:
        """Return the form in a request."""
        media_type = request.headers["content-type"]
        as_json = ("t:variables", "x_probe", "recipient-variables")
        return form_of(request.body, media_type, several=_SEVERAL, as_json=as_json)

    def batched(self, number: int) -> Message:
        """Recipients differ, contents do not."""
        return self.make_message(to=f'"Number {number}." <user{number}@example.org>')

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
        transport = Mailgun(domain="mg.example.com", host="127.0.0.1")
        request = transport.build_request(message, Envelope.from_message(message))
        assert transport.authorize(request, None, datetime.now(UTC)) is request

    def test_recipient_variables(self) -> None:
        """One form has all recipients, each with its values; it names no Message-ID, since they would all have it."""
        one = self.make_message(metadata={"user": "7", "plan": "pro"}, tags=["a"])
        two = self.make_message(to="Eve <eve@example.net>", metadata={"plan": "free", "user": "8"}, tags=["a"])
        outcomes = self.outcomes(one, two)
        assert [outcome.receipt.provider_id for outcome in outcomes] == ["2026.1@mg.example.com"] * 2
        assert [outcome.receipt.message_id for outcome in outcomes] == [each.message.message_id for each in outcomes]
        (request,) = self._server.requests
        assert request.path == "/v3/mg.example.com/messages"
        assert self.form(request) == {
            "from": "Ada Lovelace <ada@example.com>",
            "to": ["bob@example.org", "Eve <eve@example.net>"],
            "subject": one.subject,
            "text": one.text,
            "o:tag": ["a"],
            "v:plan": "%recipient.r0%",
            "v:user": "%recipient.r1%",
            "recipient-variables": {
                "bob@example.org": {"r0": "pro", "r1": "7"},
                "eve@example.net": {"r0": "free", "r1": "8"},
            },
        }

    def test_templates_share_a_request(self) -> None:
        """Plain texts of the data are variables beside the metadata; other data are the same for all, or part them."""
        fields: dict[str, Any] = {"subject": None, "text": None, "metadata": {"user": "7"}}
        to = "Eve <eve@example.net>"
        one = self.make_message(**fields, template=Template("welcome", {"name": "Bob", "plan": "pro"}))
        two = self.make_message(**fields, template=Template("welcome", {"name": "Eve", "plan": "free"}), to=to)
        assert all(outcome.ok for outcome in self.outcomes(one, two))
        form = self.form(self._server.requests.pop())
        assert not self._server.requests
        assert form["template"] == "welcome"
        assert "t:variables" not in form
        assert [form[f"v:{name}"] for name in ("name", "plan", "user")] == [
            f"%recipient.r{place}%" for place in range(3)
        ]
        assert form["recipient-variables"] == {
            "bob@example.org": {"r0": "Bob", "r1": "pro", "r2": "7"},
            "eve@example.net": {"r0": "Eve", "r1": "free", "r2": "7"},
        }

    @pytest.mark.parametrize(
        "data",
        [
            {"name": "Zoë"},
            {"name": ["Bob"]},
            {"count": 1},
            {"a.b": "c"},
            {"name": ""},
            {"user": "8"},
            {"a": "b", "n": 1},
        ],
    )
    def test_data_that_are_no_variables(self, data: dict[str, Any]) -> None:
        """What is no plain text, or has the name of metadata, goes as it is: for all of a request, or alone."""
        fields: dict[str, Any] = {"subject": None, "text": None, "metadata": {"user": "7"}}
        given = [Template("welcome", data), Template("welcome", data), Template("welcome", {**data, "other": 2})]
        messages = [
            self.make_message(**fields, template=template, to=f"user{place}@example.org")
            for place, template in enumerate(given)
        ]
        assert all(outcome.ok for outcome in self.outcomes(*messages))
        forms = [self.form(request) for request in self._server.requests]
        assert [form["t:variables"] for form in forms] == [data, {**data, "other": 2}]
        assert [len(form["to"]) for form in forms] == [2, 1]

    def test_batches_are_a_choice(self) -> None:
        """Unless it was chosen, each message goes alone, with its own Message-ID."""
        assert all(outcome.ok for outcome in self.outcomes(self.batched(1), self.batched(2), recipient_variables=False))
        forms = [self.form(request) for request in self._server.requests]
        assert len({form["h:Message-Id"] for form in forms}) == 2
        url = f"mailgun://{self.key}@default?domain=mg.example.com&recipient-variables=on"
        assert transport_from_url(url) == Mailgun(self.key, domain="mg.example.com", recipient_variables=True)
