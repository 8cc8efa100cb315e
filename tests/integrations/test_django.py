from __future__ import annotations

import email.message
import logging
import warnings
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.mime.base import MIMEBase
from io import StringIO
from typing import Any

import django
import pytest
from django.core import checks, mail
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection, send_mail
from django.core.management import call_command
from django.test import override_settings
from django.test.utils import setup_test_environment, teardown_test_environment
from django.utils.translation import gettext_lazy
from tests.integrations.django_project import BACKEND, HAS_MAILERS

from mailkit import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    Hooks,
    MessageError,
    RejectedError,
    RetryPolicy,
)
from mailkit.integrations.django import EmailBackend, message_failed, message_sent
from mailkit.integrations.django.configuration import Options
from mailkit.local import MemoryTransport
from mailkit.providers import Postmark
from mailkit.secret import Secret
from mailkit.testing import FakeTransport, Mailbox, SMTPServer

pytestmark = [
    # What says in 6.1 that a project has no MAILERS yet; with them it says nothing, as a test below shows.
    pytest.mark.filterwarnings("ignore:.*:django.utils.deprecation.RemovedInDjango2028Warning")
    if HAS_MAILERS
    else pytest.mark.filterwarnings("error")
]


@pytest.fixture
def fake() -> FakeTransport:
    """What a backend sends through."""
    return FakeTransport()


def backend(transport: object, **options: Any) -> EmailBackend:
    """Return a backend that sends through a transport."""
    return EmailBackend(transport=transport, **options)


def sent(message: EmailMessage) -> Any:
    """Send a message into a fake; return what it received."""
    fake = FakeTransport()
    assert backend(fake).send_messages([message]) == 1
    return fake.outbox[0]


def letter(**fields: Any) -> EmailMultiAlternatives:
    """Return a message to Bob."""
    return EmailMultiAlternatives(**{"subject": "Hello", "body": "Hi Bob", "to": ["bob@example.org"], **fields})


# Settings


def test_an_existing_project_changes_one_line() -> None:
    """EMAIL_HOST and its neighbours are read as Django's own backend reads them."""
    with SMTPServer() as server, override_settings(EMAIL_HOST="127.0.0.1", EMAIL_PORT=server.port):
        assert send_mail("Hello", "Hi Bob", None, ["bob@example.org"]) == 1
        get_connection().mailer.close()
    (received,) = server.messages
    assert (received.mail_from, received.rcpt_to) == ("shop@example.com", ("bob@example.org",))


def test_a_url_says_it_all() -> None:
    """MAILKIT_URL wins over the EMAIL_* settings."""
    with override_settings(MAILKIT_URL="null://"):
        assert str(EmailBackend().mailer.transport) == "null://"


@pytest.mark.parametrize(
    ("settings", "name", "tls"),
    [
        ({}, "smtp://localhost:25", "opportunistic"),
        ({"EMAIL_HOST": "mail.example.com"}, "smtp://mail.example.com:25", "opportunistic"),
        ({"EMAIL_HOST": "mail.example.com", "EMAIL_PORT": 587, "EMAIL_USE_TLS": True}, None, "starttls"),
        ({"EMAIL_HOST": "mail.example.com", "EMAIL_PORT": 465, "EMAIL_USE_SSL": True}, None, "implicit"),
    ],
)
def test_the_kind_of_tls(settings: dict[str, Any], name: str | None, tls: str) -> None:
    """EMAIL_USE_TLS requires it; what Django's default leaves open takes it where it is offered."""
    with override_settings(**settings):
        transport: Any = EmailBackend().mailer.transport
    assert transport.tls == tls
    assert name is None or str(transport) == name


def test_the_environment_comes_before_djangos_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """And behind what the project says itself."""
    monkeypatch.setenv("MAILKIT_URL", "null://")
    assert str(EmailBackend().mailer.transport) == "null://"
    with override_settings(EMAIL_HOST="mail.example.com"):
        assert str(EmailBackend().mailer.transport) == "smtp://mail.example.com:25"
    with override_settings(MAILKIT_URL=Secret("console://")):
        assert str(EmailBackend().mailer.transport) == "console://"


def test_the_backend_reads_the_settings_without_a_warning() -> None:
    """In no version of Django: what 6.1 deprecates it has said to the project itself."""
    with override_settings(EMAIL_HOST="mail.example.com", EMAIL_PORT=2525), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(EmailBackend().mailer.transport) == "smtp://mail.example.com:2525"


def test_arguments_of_get_connection_win() -> None:
    """As with Django's backend; credentials, certificates and the timeout go along."""
    with override_settings(EMAIL_HOST="mail.example.com", EMAIL_TIMEOUT=5, EMAIL_SSL_CERTFILE="/etc/mail.pem"):
        made = EmailBackend(host="other.example.com", port=2525, username="ada", password="secret", use_tls=True)
    transport: Any = made.mailer.transport
    assert (str(transport), transport.username) == ("smtp://other.example.com:2525", "ada")
    assert str(transport.certificate) == "/etc/mail.pem"
    assert "secret" not in repr(made._options)


def test_backends_with_the_same_settings_share_their_connections() -> None:
    """Django makes a backend for each message; the connection outlives it."""
    with SMTPServer() as server, override_settings(EMAIL_HOST="127.0.0.1", EMAIL_PORT=server.port):
        for _ in range(3):
            send_mail("Hello", "Hi Bob", None, ["bob@example.org"])
        with get_connection() as connection:
            letter(connection=connection).send()
        get_connection().mailer.close()
        assert len(server.messages) == 4
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"url": "null://", "transport": MemoryTransport()}, "both transport and url"),
        ({"url": "smtq://mail.example.com"}, "smtq"),
        ({"use_tls": True, "use_ssl": True}, "twice"),
        ({"hots": "mail.example.com"}, "hots"),
    ],
)
def test_wrong_options_are_errors_that_name_them(options: dict[str, Any], named: str) -> None:
    """Also with fail_silently, which is for mail and not for settings."""
    with pytest.raises(ConfigurationError, match=named):
        EmailBackend(fail_silently=True, **options)


def test_options_that_name_no_server_are_an_error() -> None:
    """And the error says what to set."""
    with pytest.raises(ConfigurationError, match="MAILKIT_URL"):
        Options().make_transport()


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS is Django 6.1's")
def test_mailers_are_read_without_a_warning() -> None:
    """Each alias has its OPTIONS; unknown ones are reported by Django's own error."""
    from django.core.mail import InvalidMailer, mailers

    box = Mailbox()
    entries = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {"transport": box}},
        "server": {"BACKEND": BACKEND, "OPTIONS": {"host": "mail.example.com", "use_tls": True}},
        "wrong": {"BACKEND": BACKEND, "OPTIONS": {"url": "null://", "hots": "mail.example.com"}},
        "nowhere": {"BACKEND": BACKEND},
    }
    with override_settings(MAILERS=entries), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert send_mail("Hello", "Hi Bob", None, ["bob@example.org"]) == 1
        assert letter().send(using="default") == 1
        assert str(mailers["server"].mailer.transport) == "smtp://mail.example.com:587"
        with pytest.raises(InvalidMailer, match="hots"):
            _ = mailers["wrong"]
        with pytest.raises(ConfigurationError, match="MAILKIT_URL"):
            _ = mailers["nowhere"]
        with override_settings(MAILKIT_URL="null://"):
            assert str(mailers["nowhere"].mailer.transport) == "null://"
    assert len(box) == 2


# Messages


def test_every_field_of_a_message_arrives() -> None:
    """Addresses, bodies, headers and threading; Bcc in the envelope only."""
    message = letter(
        from_email="Ada <ada@example.com>",
        to=["Bob <bob@example.org>"],
        cc=["eve@example.net"],
        bcc=["archive@example.com"],
        reply_to=["help@example.com"],
        headers={
            "X-Campaign": "q3",
            "Message-ID": "<1@example.com>",
            "In-Reply-To": "<0@example.com>",
            "List-Unsubscribe": "<https://example.com/u/1>",
            "Sender": "desk@example.com",
        },
    )
    message.attach_alternative("<p>Hi Bob</p>", "text/html")
    message.attach_alternative("<!doctype html><html ⚡4email></html>", "text/x-amp-html")
    received = sent(message)
    assert received.envelope.mail_from.addr_spec == "ada@example.com"
    assert [each.addr_spec for each in received.envelope.rcpt_to] == [
        "bob@example.org",
        "eve@example.net",
        "archive@example.com",
    ]
    assert b"archive" not in received.raw
    parsed = message_from_bytes(received.raw, policy=policy.default)
    for name, value in {
        "From": "Ada <ada@example.com>",
        "Sender": "desk@example.com",
        "To": "Bob <bob@example.org>",
        "Cc": "eve@example.net",
        "Reply-To": "help@example.com",
        "X-Campaign": "q3",
        "Message-ID": "<1@example.com>",
        "In-Reply-To": "<0@example.com>",
        "List-Unsubscribe": "<https://example.com/u/1>",
    }.items():
        assert parsed[name] == value
    forms = [part.get_content_type() for part in parsed.walk() if not part.is_multipart()]
    assert forms == ["text/plain", "text/x-amp-html", "text/html"]


def test_attachments_in_every_form() -> None:
    """Tuples, files, parts of the standard library, texts, messages, and what is called a text and is none."""
    message = letter()
    message.attach("report.pdf", b"%PDF", "application/pdf")
    message.attach("notes.txt", "Grüße")
    message.attach("data.csv", b"a;b", "text/csv")
    message.attach("odd.txt", b"\xff\xfe\xff")
    message.attach("data.json", '{"a": 1}', "application/json")
    message.attachments.append((None, b"nameless", None))
    part = email.message.MIMEPart()
    part.set_content(b"\x89PNG", "image", "png", cid="<logo>", disposition="inline")
    message.attachments.append(part)
    message.attach("forwarded.eml", letter(subject="Inner"), "message/rfc822")
    message.attach("bytes.eml", b"Subject: Bytes\r\n\r\nHi", "message/rfc822")
    message.attach("report.eml", b"Reporting-MTA: dns; mail.example.com\r\n", "message/delivery-status")
    attachments = sent(message).message.attachments
    assert [(each.filename, each.media_type) for each in attachments] == [
        ("report.pdf", "application/pdf"),
        ("notes.txt", "text/plain; charset=utf-8"),
        ("data.csv", "text/csv; charset=utf-8"),
        ("odd.txt", "application/octet-stream"),
        ("data.json", "application/json"),
        (None, "application/octet-stream"),
        (None, "image/png"),
        ("forwarded.eml", "message/rfc822"),
        ("bytes.eml", "message/rfc822"),
        ("report.eml", "message/delivery-status"),
    ]
    assert attachments[1].read().decode() == "Grüße"
    assert attachments[3].read() == b"\xff\xfe\xff"
    assert (attachments[6].content_id, attachments[6].is_inline) == ("logo", True)
    assert b"Subject: Inner" in attachments[7].read()


def test_a_mimebase_part_is_attached_where_django_takes_it() -> None:
    """The old form; and texts that nobody looked at when they were attached, by their own charset or as they are."""
    message = letter()
    part = MIMEBase("application", "pdf")
    part.set_payload(b"%PDF")
    part["Content-Disposition"] = 'attachment; filename="report.pdf"'
    message.attachments.append(part)
    message.attachments.append(("old.txt", b"caf\xe9", "text/plain; charset=latin-1"))
    message.attachments.append(("new.txt", "café".encode(), "text/plain"))
    message.attachments.append(("odd.txt", b"\xff\xfe\xff", "text/plain"))
    forwarded = email.message.EmailMessage()
    forwarded["Subject"] = "Inner"
    message.attachments.append(("forwarded.eml", forwarded, "message/rfc822"))
    attachments = sent(message).message.attachments
    assert [(each.filename, each.media_type) for each in attachments] == [
        ("report.pdf", "application/pdf"),
        ("old.txt", "text/plain; charset=latin-1"),
        ("new.txt", "text/plain; charset=utf-8"),
        ("odd.txt", "application/octet-stream"),
        ("forwarded.eml", "message/rfc822"),
    ]


def test_a_multipart_part_cannot_be_an_attachment() -> None:
    """The error says so."""
    part = email.message.MIMEPart()
    part.make_mixed()
    message = letter()
    message.attachments.append(part)
    with pytest.raises(MessageError, match="multipart/mixed"):
        sent(message)


def test_lazy_strings_are_strings_by_then() -> None:
    """In subject, body, addresses and headers."""
    lazy = gettext_lazy("Hello")
    received = sent(letter(subject=lazy, body=lazy, headers={"X-Greeting": lazy})).message
    assert (received.subject, received.text, received.headers) == ("Hello", "Hello", (("X-Greeting", "Hello"),))


def test_html_alone() -> None:
    """content_subtype = "html", and an alternative without a body."""
    message = letter(body="<p>Hi</p>")
    message.content_subtype = "html"
    assert (sent(message).message.html, sent(message).message.text) == ("<p>Hi</p>", None)
    alternative = letter(body="", alternatives=[("<p>Hi</p>", "text/html")])
    assert (sent(alternative).message.html, sent(alternative).message.text) == ("<p>Hi</p>", None)


def test_an_empty_message_is_sent() -> None:
    """As Django does."""
    assert sent(letter(body="")).message.text == ""


def test_from_and_reply_to_as_headers() -> None:
    """A From header is the author; who sends, and gets the bounces, stays from_email."""
    received = sent(letter(headers={"From": "list@example.net", "Reply-To": "help@example.com"}))
    assert received.message.from_.email == "list@example.net"
    assert received.envelope.mail_from.addr_spec == "shop@example.com"
    assert [each.email for each in received.message.reply_to] == ["help@example.com"]


@pytest.mark.parametrize("name", ["Bcc", "bcc"])
def test_bcc_is_no_header(name: str) -> None:
    """In any case of letters."""
    with pytest.raises(MessageError, match="bcc="):
        sent(letter(headers={name: "archive@example.com"}))


def test_a_line_break_in_a_header_is_an_error() -> None:
    """A ValueError, as Django's own."""
    with pytest.raises(ValueError, match="line"):
        sent(letter(subject="Hello\nBcc: eve@example.net"))
    with pytest.raises(ValueError, match="line"):
        sent(letter(headers={"X-Campaign": "q3\nBcc: eve@example.net"}))


@override_settings(EMAIL_USE_LOCALTIME=True, TIME_ZONE="Asia/Kathmandu")
def test_the_date_is_local_where_django_wants_it() -> None:
    """EMAIL_USE_LOCALTIME; UTC is the default."""
    assert b"+0545" in sent(letter()).raw
    with override_settings(EMAIL_USE_LOCALTIME=False):
        assert b"+0000" in sent(letter()).raw


class Signed(EmailMessage):
    """Writes itself, as messages that are signed or encrypted do."""

    def message(self, **arguments: Any) -> Any:
        """Return it with a mark."""
        written = super().message(**arguments)
        written["X-Signed"] = "yes"
        return written


def odd_messages() -> list[EmailMessage]:
    """Return messages that say what a Message cannot."""
    markdown = letter()
    markdown.content_subtype = "markdown"
    return [
        Signed("Hello", "Hi Bob", None, ["bob@example.org"]),
        letter(headers={"To": "Our friends <friends@example.com>"}),
        letter(alternatives=[("<p>Hi</p>", "text/html"), ("<p>Hello</p>", "text/html")]),
        letter(alternatives=[("# Hi", "text/markdown")]),
        markdown,
    ]


@pytest.mark.parametrize("message", odd_messages(), ids=["signed", "to-header", "two-html", "markdown", "subtype"])
def test_what_a_message_cannot_say_goes_out_as_django_writes_it(message: EmailMessage) -> None:
    """Nothing is dropped, and the envelope is Django's."""
    received = sent(message)
    theirs = message_from_bytes(message.message().as_bytes(), policy=policy.default)
    ours = message_from_bytes(received.raw, policy=policy.default)
    for name in ("Subject", "From", "To", "X-Signed", "Content-Type"):
        assert ours[name] == theirs[name] or "boundary" in ours[name]
    assert [part.get_content_type() for part in ours.walk()] == [part.get_content_type() for part in theirs.walk()]
    assert [each.addr_spec for each in received.envelope.rcpt_to] == ["bob@example.org"]


def test_such_a_message_has_no_place_for_tags() -> None:
    """Instead of dropping them."""
    message = letter(headers={"To": "friends@example.com"})
    message.tags = ["news"]  # type: ignore[attr-defined]
    with pytest.raises(MessageError, match="tags"):
        sent(message)


# What django-anymail's projects set


def test_anymails_names_are_understood() -> None:
    """Tags, metadata, tracking, time, template, envelope sender, raw fields."""
    message = letter(subject="", body="")
    vars(message).update(
        tags=["news"],
        metadata={"user": 7},
        track_opens=True,
        track_clicks=False,
        send_at=datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
        template_id="welcome",
        merge_global_data={"shop": "Ours"},
        envelope_sender="bounces@example.com",
        mailkit_options={"postmark": {"MessageStream": "broadcast"}},
    )
    received = sent(message).message
    assert (received.tags, dict(received.metadata)) == (("news",), {"user": "7"})
    assert (received.track_opens, received.track_clicks, received.send_at.year) == (True, False, 2030)
    assert (received.template.id, dict(received.template.data)) == ("welcome", {"shop": "Ours"})
    assert received.return_path.email == "bounces@example.com"
    assert dict(received.options["postmark"]) == {"MessageStream": "broadcast"}


@pytest.mark.parametrize(
    ("send_at", "moment"),
    [
        (datetime(2030, 1, 2, 3, 4), datetime(2030, 1, 2, 3, 4, tzinfo=UTC)),  # noqa: DTZ001 - a naive one is the point
        (date(2030, 1, 2), datetime(2030, 1, 2, tzinfo=UTC)),
        (1893456000, datetime(2030, 1, 1, tzinfo=UTC)),
    ],
)
@override_settings(TIME_ZONE="UTC")
def test_the_time_to_send_has_anymails_forms(send_at: Any, moment: datetime) -> None:
    """A naive datetime and a date are the project's zone, a number is seconds."""
    message = letter()
    message.send_at = send_at  # type: ignore[attr-defined]
    assert sent(message).message.send_at == moment


def test_merge_data_makes_a_message_for_each_recipient() -> None:
    """Nobody sees another's address or data; all receipts stand on the message."""
    fake, message = FakeTransport(), letter(subject="", body="", to=["bob@example.org", "Eve <eve@example.net>"])
    vars(message).update(
        template_id="welcome",
        merge_global_data={"shop": "Ours"},
        merge_data={"bob@example.org": {"name": "Bob"}},
        merge_metadata={"eve@example.net": {"user": 8}},
        merge_headers={"eve@example.net": {"X-User": "8"}},
    )
    assert backend(fake).send_messages([message]) == 1
    bob, eve = (each.message for each in fake.outbox)
    assert [each.email for each in bob.to] == ["bob@example.org"]
    assert dict(bob.template.data) == {"shop": "Ours", "name": "Bob"}
    assert dict(eve.template.data) == {"shop": "Ours"}
    assert (dict(eve.metadata), eve.headers) == ({"user": "8"}, (("X-User", "8"),))
    assert len(message.mailkit_receipts) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"merge_data": {"bob@example.org": {"name": "Bob"}}}, "template_id"),
        ({"template_id": "welcome", "merge_data": {}, "cc": ["eve@example.net"]}, "Cc and Bcc"),
        ({"esp_extra": {"MessageStream": "broadcast"}}, "mailkit_options"),
    ],
)
def test_what_would_be_lost_is_an_error(attributes: dict[str, Any], named: str) -> None:
    """Data without a template, copies of each message, fields of nobody."""
    message = letter()
    vars(message).update(attributes)
    with pytest.raises(MessageError, match=named):
        sent(message)


def test_esp_extra_is_the_providers() -> None:
    """Under the name of the transport."""
    from mailkit.integrations.django.personalization import fields_for_providers

    message = letter()
    message.esp_extra = {"MessageStream": "broadcast"}  # type: ignore[attr-defined]
    provider = backend(Postmark("TOKEN")).mailer.transport.name  # type: ignore[attr-defined]
    assert fields_for_providers(message, provider) == {"options": {"postmark": {"MessageStream": "broadcast"}}}


# What becomes of them


def test_the_receipt_stands_on_the_message(fake: FakeTransport) -> None:
    """None where the message failed."""
    good, bad = letter(), letter(subject="Bad")
    fake.fail_next(RejectedError("no"), match=lambda message: message.subject == "Bad")
    assert backend(fake, fail_silently=True).send_messages([good, bad]) == 1
    assert good.mailkit_receipt.accepted[0].address == "bob@example.org"  # type: ignore[attr-defined]
    assert bad.mailkit_receipt is None  # type: ignore[attr-defined]


def test_one_failure_does_not_keep_the_others_back(fake: FakeTransport) -> None:
    """All are sent, then the first error is raised, and tells of the others."""
    fake.fail_next(RejectedError("first"), match=lambda message: message.subject == "1")
    fake.fail_next(RejectedError("second"), match=lambda message: message.subject == "2")
    messages = [letter(subject=str(number)) for number in range(4)]
    messages.insert(2, letter(subject="To nobody", to=[]))
    with pytest.raises(RejectedError, match="first") as raised:
        backend(fake).send_messages(messages)
    assert [each.subject for each in fake.outbox] == ["0", "3"]
    assert any("second" in note for note in raised.value.__notes__)


def test_messages_of_every_kind_go_in_one_call(fake: FakeTransport) -> None:
    """What Django writes, what cannot be sent and the rest, each in its place."""
    wrong = letter(headers={"Bcc": "eve@example.net"})
    messages = [letter(subject="1"), odd_messages()[0], wrong, letter(subject="2")]
    with pytest.raises(MessageError, match="bcc="):
        backend(fake, fail_silently=True).send_messages(messages)
    assert [message_from_bytes(each.raw)["Subject"] for each in fake.outbox] == ["1", "Hello", "2"]


def test_an_empty_list_is_nothing_to_send(fake: FakeTransport) -> None:
    """And no message without recipients is."""
    assert backend(fake).send_messages([]) == 0
    assert backend(fake).send_messages([letter(to=[])]) == 0


def test_failing_silently_is_for_mail_and_not_for_credentials(fake: FakeTransport) -> None:
    """What may pass is only counted; wrong settings are an error."""
    silent = backend(fake, fail_silently=True)
    fake.fail_next(RejectedError("no"))
    assert silent.send_messages([letter()]) == 0
    fake.fail_next(ConnectError("no such host", cause="configuration"), times=3)
    with pytest.raises(DeliveryError, match="no such host"):
        silent.send_messages([letter()])


def test_signals_tell_of_both(fake: FakeTransport, caplog: pytest.LogCaptureFixture) -> None:
    """What was accepted and what failed, silently or not; a receiver that raises is logged."""
    told: list[tuple[str, str]] = []

    def on_sent(sender: type, *, message: EmailMessage, receipt: Any, **_: object) -> None:
        told.append(("sent", str(message.subject)))
        raise ZeroDivisionError

    def on_failed(sender: type, *, message: EmailMessage, error: Exception, **_: object) -> None:
        told.append(("failed", str(message.subject)))

    message_sent.connect(on_sent, sender=EmailBackend)
    message_failed.connect(on_failed, sender=EmailBackend)
    try:
        fake.fail_next(RejectedError("no"), match=lambda message: message.subject == "Bad")
        with caplog.at_level(logging.ERROR):
            assert backend(fake, fail_silently=True).send_messages([letter(subject="Bad"), letter()]) == 1
    finally:
        message_sent.disconnect(on_sent, sender=EmailBackend)
        message_failed.disconnect(on_failed, sender=EmailBackend)
    assert told == [("failed", "Bad"), ("sent", "Hello")]
    assert "ZeroDivisionError" in caplog.text


def test_a_retry_policy_and_hooks_are_options_too(fake: FakeTransport) -> None:
    """As a mailer takes them."""
    told: list[str] = []
    hooks = Hooks(after_send=lambda event: told.append(event.title))
    made = backend(fake, retry=RetryPolicy.none(), hooks=hooks)
    fake.fail_next(ConnectError("busy"))
    with pytest.raises(ConnectError):
        made.send_messages([letter()])
    assert made.send_messages([letter()]) == 1
    assert told == ["mailkit.send.not_sent", "mailkit.send.accepted"]


# Around it


def test_sendtestemail_works() -> None:
    """manage.py sendtestemail."""
    with SMTPServer() as server, override_settings(EMAIL_HOST="127.0.0.1", EMAIL_PORT=server.port):
        call_command("sendtestemail", "bob@example.org", stdout=StringIO())
        get_connection().mailer.close()
    assert [each.rcpt_to for each in server.messages] == [("bob@example.org",)]


def test_the_outbox_of_tests_stays_djangos() -> None:
    """The test runner puts its own backend in our place."""
    setup_test_environment(debug=False)
    try:
        send_mail("Hello", "Hi Bob", None, ["bob@example.org"])
        assert [each.subject for each in mail.outbox] == ["Hello"]
    finally:
        teardown_test_environment()


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"MAILKIT_URL": "smtp://mail.example.com"}, []),
        ({"MAILKIT_URL": "smtp://ada:secret@mail.example.com"}, ["mailkit.W003"]),
        ({"MAILKIT_URL": Secret("smtp://ada:secret@mail.example.com")}, []),
        ({"EMAIL_HOST": "mail.example.com"}, ["mailkit.W001"]),
        ({"EMAIL_HOST": "localhost"}, []),
        ({"EMAIL_HOST": "mail.example.com", "EMAIL_USE_TLS": True}, []),
        ({"MAILKIT_URL": "smtq://mail.example.com"}, ["mailkit.E001"]),
        ({"MAILKIT_URL": "null://", "EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}, ["mailkit.W002"]),
    ],
)
def test_manage_py_check_looks_at_the_settings(settings: dict[str, Any], found: list[str]) -> None:
    """What cannot work is an error, clear text and forgotten settings are warnings."""
    with override_settings(**settings):
        said = [each.id for each in checks.run_checks() if str(each.id).startswith("mailkit.")]
    assert said == found


def test_checks_read_mailers_too() -> None:
    """Each alias that is ours."""
    entries = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {"host": "mail.example.com"}},
        "wrong": {"BACKEND": BACKEND, "OPTIONS": {"hots": "mail.example.com"}},
        "theirs": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"},
    }
    with override_settings(MAILERS=entries):
        said = [(each.id, each.msg.partition(":")[0]) for each in checks.run_checks() if "mailkit" in str(each.id)]
    assert said == [("mailkit.W001", "MAILERS['default']"), ("mailkit.E001", "MAILERS['wrong']")]


def test_recipients_of_its_own_are_who_gets_a_message() -> None:
    """As Django's documentation says of a subclass: they are the envelope, whatever its fields say."""

    class ToTheList(EmailMessage):
        def recipients(self) -> list[str]:
            return ["list@example.org"]

    received = sent(ToTheList("Hello", "Hi", "ada@example.com", ["bob@example.org"]))
    assert [path.addr_spec for path in received.envelope.rcpt_to] == ["list@example.org"]
    assert message_from_bytes(received.raw)["To"] == "bob@example.org"


@pytest.mark.parametrize(
    "attachment",
    [
        ("a.txt", None, "text/plain"),
        ("a.bin", StringIO("a file"), None),
        ("a.eml", 5, "message/rfc822"),
        ("a.txt",),
        ("a.txt", "text", "text/plain", "utf-8"),
        "a.txt",
        None,
    ],
)
def test_what_is_no_attachment_is_refused(attachment: Any) -> None:
    """It would else be sent as Python shows it: as "None", say."""
    message = EmailMessage("Hello", "Hi", "ada@example.com", ["bob@example.org"])
    message.attachments.append(attachment)
    with pytest.raises(MessageError, match="attach"):
        sent(message)


@pytest.mark.parametrize("body", [b"Hi", 5])
def test_a_body_that_is_no_text_is_refused(body: Any) -> None:
    """So are bytes, which would be sent with their quotation marks."""
    with pytest.raises(MessageError, match="the body is no text"):
        sent(EmailMessage("Hello", body, "ada@example.com", ["bob@example.org"]))


@pytest.mark.parametrize("where", ["subject", "from_email", "to", "headers"])
def test_programs_catch_a_line_break_as_they_always_have(where: str) -> None:
    """Django's own error of its version: BadHeaderError before 6.0, and ValueError."""
    kind: type[Exception] = ValueError
    if django.VERSION < (6, 0):
        from django.core.mail import BadHeaderError

        kind = BadHeaderError
    broken = "eve@example.net\nBcc: mallory@example.net"
    fields: dict[str, Any] = {"subject": "Hello", "from_email": "ada@example.com", "to": ["bob@example.org"]}
    fields[where] = {"to": [broken], "headers": {"X-Reason": broken}}.get(where, broken)
    with pytest.raises(kind) as caught:
        sent(EmailMessage(body="Hi", **fields))
    assert isinstance(caught.value, MessageError)
    assert "mallory" not in str(caught.value) or where != "headers"


def test_what_receivers_send_is_not_told_of(fake: FakeTransport) -> None:
    """A receiver that sends a message each time, as Django's log does of one that fails, comes to an end."""
    connection = backend(fake)

    def answers(message: EmailMessage, **_: Any) -> None:
        copy = EmailMessage("Sent", message.subject, "ada@example.com", ["ada@example.com"])
        connection.send_messages([copy])

    message_sent.connect(answers)
    try:
        for _ in range(2):
            connection.send_messages([EmailMessage("Hello", "Hi", "ada@example.com", ["bob@example.org"])])
    finally:
        message_sent.disconnect(answers)
    assert [each.message.subject for each in fake.outbox] == ["Hello", "Sent", "Hello", "Sent"]


def test_checks_know_what_the_backend_knows() -> None:
    """What MAILERS may have beside is no error, and an unknown option is named together with the known ones."""
    options = {"url": "null://", "fail_silently": True}
    entries = {"default": {"BACKEND": BACKEND, "OPTIONS": options}, "b": {"BACKEND": BACKEND, "OPTIONS": {"uurl": "x"}}}
    with override_settings(MAILERS=entries):
        said = [each.msg for each in checks.run_checks() if "mailkit" in str(each.id)]
    assert len(said) == 1
    assert "unknown options" in said[0]
    assert "uurl; known are hooks" in said[0]
