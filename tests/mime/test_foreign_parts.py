from __future__ import annotations

from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage
from email.message import Message as OldMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest

from mailkit.calendar import Calendar
from mailkit.errors import MessageError
from mailkit.mime.foreign_parts import PartReader

INVITATION = "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n"


def read(message: Any) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Return the fields and the attachments that are read."""
    reader = PartReader()
    reader.read(message)
    return reader.fields, [
        (one.filename, one.media_type, one.content_id, one.disposition, one.read()) for one in reader.attachments
    ]


def raw(text: str) -> OldMessage:
    """Return what the library's older parser makes of a text."""
    return message_from_bytes(text.replace("\n", "\r\n").encode())


def multipart(subtype: str, *parts: str, parameters: str = "") -> str:
    """Return the text of a multipart."""
    edge = f"{subtype}-{len(''.join(parts)):05}"
    inner = "".join([f"--{edge}\n{part}\n" for part in parts])
    return f"Content-Type: multipart/{subtype}; boundary={edge}{parameters}\n\n{inner}--{edge}--\n"


PLAIN = "Content-Type: text/plain\n\nplain"
HTML = "Content-Type: text/html; charset=utf-8\n\nhtml"
AMP = "Content-Type: text/x-amp-html\n\namp"
PNG = "Content-Type: image/png\nContent-ID: <logo>\nContent-Transfer-Encoding: base64\n\nQQ=="
PDF = "Content-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf; size=1\n\nA"
LOGO_READ = (None, "image/png", "logo", "inline", b"A")
PDF_READ = ("a.pdf", "application/pdf", None, "attachment", b"A")


@pytest.mark.parametrize(
    ("message", "fields", "attachments"),
    [
        ("\nplain\n", {"text": "plain"}, []),
        ("\na\n\n", {"text": "a\n"}, []),
        (PLAIN, {"text": "plain"}, []),
        (HTML, {"html": "html"}, []),
        ("Content-Transfer-Encoding: base64\n\nYQ0K", {"text": "a\n"}, []),
        ("Content-Transfer-Encoding: quoted-printable\n\n=C3=A9", {"text": "é"}, []),
        ("Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\n6Q==", {"text": "é"}, []),
        ("Content-Type: text/plain; format=flowed; delsp=yes\n\na", {"text": "a"}, []),
        (PDF, {}, [PDF_READ]),
        ("Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\n//5hAA==", {"text": "a"}, []),
        ("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\né", {"text": "é"}, []),
        (
            "Content-Type: application/x\nContent-Transfer-Encoding: 8bit\n\né",
            {},
            [(None, "application/x", None, "attachment", "é".encode())],
        ),
        (multipart("alternative", PLAIN, AMP, HTML), {"text": "plain", "amp": "amp", "html": "html"}, []),
        (multipart("mixed", PLAIN, PDF), {"text": "plain"}, [PDF_READ]),
        (multipart("mixed", PDF, PLAIN), {"text": "plain"}, [PDF_READ]),
        (multipart("related", HTML, PNG), {"html": "html"}, [LOGO_READ]),
        (
            multipart("related", PNG, "Content-ID: <root>\n" + HTML, parameters='; start="<root>"'),
            {"html": "html"},
            [LOGO_READ],
        ),
        (
            multipart("mixed", multipart("related", multipart("alternative", PLAIN, HTML), PNG), PDF),
            {"text": "plain", "html": "html"},
            [LOGO_READ, PDF_READ],
        ),
        (
            multipart("alternative", PLAIN, multipart("related", HTML, PNG)),
            {"text": "plain", "html": "html"},
            [LOGO_READ],
        ),
        (
            multipart("mixed", PLAIN, HTML, "Content-Type: text/plain\nContent-Disposition: attachment\n\nfile"),
            {"text": "plain"},
            [
                (None, "text/html; charset=utf-8", None, "inline", b"html"),
                (None, "text/plain", None, "attachment", b"file"),
            ],
        ),
        (
            multipart("mixed", PLAIN, 'Content-Type: text/csv; header="yes; no"; name=a.csv\n\nfile'),
            {"text": "plain"},
            [("a.csv", 'text/csv; header="yes; no"', None, "attachment", b"file")],
        ),
        (multipart("mixed", PLAIN, multipart("mixed", PDF)), {"text": "plain"}, [PDF_READ]),
        (multipart("mixed", multipart("mixed", PLAIN), PDF), {"text": "plain"}, [PDF_READ]),
        (
            multipart("mixed", PLAIN, "Content-Type: message/rfc822\n\nSubject: inner\nX: y\n\nHi"),
            {"text": "plain"},
            [(None, "message/rfc822", None, "attachment", b"Subject: inner\r\nX: y\r\n\r\nHi")],
        ),
        (
            multipart("mixed", "Content-Type: message/rfc822\nContent-ID: <m>\n\nSubject: inner\n\nHi"),
            {},
            [(None, "message/rfc822", "m", "inline", b"Subject: inner\r\n\r\nHi")],
        ),
        (
            multipart(
                "mixed", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKSGk="
            ),
            {},
            [(None, "message/rfc822", None, "attachment", b"Subject: x\n\nHi")],
        ),
    ],
)
def test_parts_are_read(message: str, fields: dict[str, Any], attachments: list[Any]) -> None:
    """The text in its forms, everything else as attachments; the first text of a mixed one is the text."""
    assert read(raw(message)) == (fields, attachments)
    parsed = message_from_bytes(message.replace("\n", "\r\n").encode(), policy=policy.default)
    assert read(parsed) == (fields, attachments)


def test_an_invitation_is_read() -> None:
    """With its method."""
    part = f"Content-Type: text/calendar; method=REQUEST\n\n{INVITATION}"
    fields, _ = read(raw(multipart("alternative", PLAIN, part)))
    assert fields["calendar"] == Calendar(INVITATION, method="REQUEST")


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (multipart("signed", PLAIN, PDF), "multipart/signed"),
        (multipart("report", PLAIN), "multipart/report"),
        (multipart("alternative", PLAIN, PLAIN), "two texts"),
        (multipart("alternative", PLAIN, multipart("related", PLAIN, PNG)), "two texts"),
        (multipart("alternative", PLAIN, PDF), "application/pdf"),
        (multipart("mixed", PLAIN, multipart("alternative", HTML, AMP)), "multipart/alternative"),
        (multipart("mixed", PLAIN, multipart("related", HTML, PNG)), "multipart/related"),
        (multipart("mixed", "Content-Location: x\n" + PDF), "Content-Location"),
        (multipart("mixed", "Content-Type: text/plain\n" + PDF), "two fields Content-Type"),
        (multipart("mixed", "Content-Disposition: form-data\n\nx"), "form-data"),
        (multipart("mixed", "Content-Disposition: attachment; voice=x\n\nx"), "voice"),
        (multipart("mixed", "Content-ID: <a> <b>\n" + PDF), "2 identifiers"),
        (multipart("mixed", "Content-Type: message/rfc822\n\nBcc: a@b.example\n\nx"), "Bcc"),
        (
            multipart("mixed", "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nx"),
            "quoted-printable",
        ),
        ("Content-Type: multipart/mixed; boundary=x\n\nno part", "without parts"),
        ("Content-Type: text/plain; x=y\n\na", "the parameter 'x'"),
        ("Content-Type: text/html; method=y\n\na", "the parameter 'method'"),
        ("Content-Type: text/plain; charset=utf-7\n\na", "utf-7"),
        ("Content-Type: text/calendar; method=ADD\n\n" + INVITATION, "METHOD"),
        ("Content-Transfer-Encoding: base64\n\nx", "base64"),
        ("Content-Transfer-Encoding: gzip\n\nx", "gzip"),
        ("Content-Type: multipart/mixed\nContent-Type: text/plain\n\nx", "two fields"),
    ],
)
def test_what_cannot_be_expressed_is_named(message: str, complaint: str) -> None:
    """Nothing is dropped in silence."""
    with pytest.raises(MessageError, match=complaint):
        read(raw(message))


def test_a_tree_that_is_too_deep_is_refused() -> None:
    """Long before Python's own limit."""
    message: OldMessage = MIMEText("x")
    for _ in range(60):
        outer = MIMEMultipart("mixed")
        outer.attach(message)
        message = outer
    with pytest.raises(MessageError, match="deep"):
        read(message)


def test_messages_of_programs_are_read() -> None:
    """Built with the newer and with the older interface."""
    new = EmailMessage()
    new.set_content("Grüße\n")
    new.add_alternative("<p>Grüße</p>\n", subtype="html")
    new.add_attachment(b"A", maintype="application", subtype="pdf", filename="é.pdf")
    assert read(new) == (
        {"text": "Grüße\n", "html": "<p>Grüße</p>\n"},
        [("é.pdf", "application/pdf", None, "attachment", b"A")],
    )
    old = MIMEMultipart("alternative")
    old.attach(MIMEText("Grüße", "plain", "iso-8859-1"))
    old.attach(MIMEText("<p>Grüße</p>", "html"))
    assert read(old) == ({"text": "Grüße", "html": "<p>Grüße</p>"}, [])
    assert read(OldMessage()) == ({}, [])
    assert read(EmailMessage()) == ({}, [])
    assert read(message_from_string("Content-Type: text/plain; charset=iso-8859-1\n\né")) == ({"text": "é"}, [])


def test_an_attached_message_of_a_program_is_written_out() -> None:
    """With CRLF; if the library cannot write it, that is the error."""
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("Hi\n")
    outer = EmailMessage()
    outer.set_content("x")
    outer.add_attachment(inner)
    _, [(_, kind, _, _, data)] = read(outer)
    assert kind == "message/rfc822"
    assert data.startswith(b"Subject: inner\r\n")
    assert data.endswith(b"\r\n\r\nHi\r\n")
    inner.set_payload([1])  # type: ignore[arg-type]
    inner.replace_header("Content-Type", "multipart/mixed")
    with pytest.raises(MessageError, match="cannot be written again"):
        read(outer)


@pytest.mark.parametrize("payload", [b"x", 1, [1], "\ud800x\xe9", [OldMessage()]])
def test_content_that_is_none_is_refused(payload: Any) -> None:
    """A program can set what it likes; a list of parts is no content for a type without parts."""
    message = OldMessage()
    message["Content-Type"] = "application/x"
    message._payload = payload  # type: ignore[attr-defined]
    with pytest.raises(MessageError):
        read(message)
    holder = OldMessage()
    holder["Content-Type"] = "multipart/mixed"
    holder._payload = [payload]  # type: ignore[attr-defined]
    with pytest.raises(MessageError):
        read(holder)


def test_what_is_no_message_is_refused() -> None:
    """By its type."""
    with pytest.raises(MessageError, match="type str"):
        read("Subject: x")
    for payload in ([1], [], [OldMessage(), OldMessage()]):
        broken = OldMessage()
        broken["Content-Type"] = "message/rfc822"
        broken._payload = payload  # type: ignore[attr-defined]
        with pytest.raises(MessageError):
            read(broken)


def test_an_attached_message_may_be_a_text() -> None:
    """A program has set it as one."""
    message = OldMessage()
    message["Content-Type"] = "message/rfc822"
    message.set_payload("Subject: x\n\nHi")
    assert read(message) == ({}, [(None, "message/rfc822", None, "attachment", b"Subject: x\n\nHi")])


def test_an_attachment_without_content_is_empty() -> None:
    """A program has named its type, and set nothing."""
    message = OldMessage()
    message["Content-Type"] = "application/x"
    assert read(message) == ({}, [(None, "application/x", None, "attachment", b"")])


def test_an_empty_related_is_refused() -> None:
    """It has no root."""
    message = MIMEMultipart("related")
    with pytest.raises(MessageError, match="no parts"):
        read(message)
