"""What the writer writes, parsers that know nothing of it read back: two of the standard library's, and one in Rust."""

from __future__ import annotations

import email.policy
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses
from typing import Any

import fast_mail_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.calendar import Calendar
from mailkit.message import Message
from mailkit.mime import Rendered, render

# What people write, and what breaks writers: letters of one to four octets, combining marks, the separators
# that some take for line ends, white space, everything that has a meaning in some place of a message, and
# beginnings of encoded words.
_PIECES = st.sampled_from(
    [
        *"aZ09 .,;:<>()[]\"\\'@=?_-+*%&/~|{}#!$^`",
        *"éßñ日本語😀\u0301\u00a0\u0085\u2028\u2029\u200d\u202e嘊嘍čċ",
        "  ", "=?utf-8?q?x?=", "=?", "?=", "=?utf-8?b?QQ==?=", "=3D", "=20", "UTF-8''", "word", "a@b.example", "x" * 80,
    ]
)  # fmt: skip
_HEADER_TEXT = st.lists(_PIECES, max_size=60).map("".join)
_BODY = st.lists(
    st.one_of(
        _PIECES,
        st.sampled_from(
            [
                "\n",
                "\r\n",
                "\n.\n",
                "\n..",
                "\nFrom ",
                "\t\n",
                "--",
                "-- \n",
                "y" * 1000,
                "\x0c",
                "\x00",
                "\x1b",
                "\ufeff",
            ]
        ),
    ),
    max_size=60,
).map("".join)
_FILENAME = _HEADER_TEXT.map(lambda text: text.replace("\\", "/").rpartition("/")[2].strip(" ")).filter(
    lambda text: text not in {"", ".", ".."}
)
_ATTACHMENT = st.builds(
    Attachment.from_bytes,
    st.binary(max_size=300),
    st.none() | _FILENAME,
    st.sampled_from(["application/pdf", "image/png", "application/octet-stream", 'application/x-y; kind="a; b"']),
)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _render(**fields: Any) -> Rendered:
    return render(Message(from_="ada@example.com", to="bob@example.org", **fields))


def _rust_text(raw: bytes, name: str) -> str:
    [value] = fast_mail_parser.parse_email(raw).headers[name]
    return value


@given(text=_HEADER_TEXT)
def test_every_subject_reads_back(text: str) -> None:
    """A subject of any characters is the same text for three parsers, with the spaces it begins and ends with."""
    raw = _render(subject=text).as_bytes()
    assert str(make_header(decode_header(message_from_bytes(raw)["Subject"].replace("\r\n", "")))) == text
    assert message_from_bytes(raw, policy=email.policy.default)["Subject"] == text
    assert fast_mail_parser.parse_email(raw).subject == text


@given(text=_HEADER_TEXT)
def test_every_custom_field_reads_back(text: str) -> None:
    """So is a field that the user has named."""
    raw = _render(headers={"X-Campaign": text}).as_bytes()
    assert message_from_bytes(raw, policy=email.policy.default)["X-Campaign"] == text
    assert _rust_text(raw, "X-Campaign") == text


@given(names=st.lists(_HEADER_TEXT, min_size=1, max_size=4))
def test_every_display_name_reads_back(names: list[str]) -> None:
    """Three parsers see the same mailboxes, as many as there are, with the same names."""
    to = [Address(f"user{number}@example.org", name=name) for number, name in enumerate(names)]
    raw = render(Message(from_="ada@example.com", to=to)).as_bytes()
    expected = [(address.name, address.addr_spec) for address in to]
    modern = message_from_bytes(raw, policy=email.policy.default)["To"].addresses
    # It doubles or drops spaces in names of several encoded words (CPython issue 128110); the others count
    # them.
    assert [(_squeezed(found.display_name), found.addr_spec) for found in modern] == [
        (_squeezed(name), address) for name, address in expected
    ]
    assert not message_from_bytes(raw, policy=email.policy.default)["To"].defects
    old = getaddresses([message_from_bytes(raw)["To"].replace("\r\n", "")])
    assert [(str(make_header(decode_header(name))), address) for name, address in old] == expected
    rust = fast_mail_parser.parse_email(raw).to
    # It takes white space off the ends of some names.
    assert [((found.display_name or "").strip(), found.address) for found in rust] == [
        (name.strip(), address) for name, address in expected
    ]


@given(text=_BODY, eight_bit=st.booleans())
def test_every_text_reads_back(text: str, eight_bit: bool) -> None:
    """A text and an HTML body are the same for three parsers, but for the kind of their line ends."""
    raw = render(
        Message(from_="ada@example.com", to="bob@example.org", text=text, html=text), eight_bit=eight_bit
    ).as_bytes()
    for policy in (email.policy.default, email.policy.compat32):
        parsed = message_from_bytes(raw, policy=policy)
        bodies = [part.get_payload(decode=True).decode() for part in parsed.get_payload()]
        assert [_lines(body) for body in bodies] == [_lines(text)] * 2
    rust = fast_mail_parser.parse_email(raw)
    # It takes a byte order mark for none of the text, as browsers do.
    assert [_lines(body) for body in (*rust.text_plain, *rust.text_html)] == [_lines(text).removeprefix("\ufeff")] * 2


@given(text=_BODY, eight_bit=st.booleans())
def test_a_text_alone_gains_no_more_than_its_last_line_end(text: str, eight_bit: bool) -> None:
    """Without a multipart around it, a text that ends within a line gets a line end there, and nothing else."""
    raw = render(Message(from_="ada@example.com", to="bob@example.org", text=text), eight_bit=eight_bit).as_bytes()
    body = _lines(message_from_bytes(raw).get_payload(decode=True).decode())
    assert body in {_lines(text), _lines(text) + "\n"}
    assert raw.endswith(b"\r\n")


@given(attachments=st.lists(_ATTACHMENT, min_size=1, max_size=4), binary=st.booleans())
def test_every_attachment_reads_back(attachments: list[Attachment], binary: bool) -> None:
    """Three parsers find the same files, each once, with the same names, types and bytes."""
    raw = render(
        Message(from_="ada@example.com", to="bob@example.org", text="Hi", attachments=attachments), binary=binary
    ).as_bytes()
    expected = [(one.filename, one.media_type.partition(";")[0], one.read()) for one in attachments]
    if not binary:  # which the library reads as text
        # The older parser takes white space of all kinds off the ends of a name, the newer one off its inside
        # as well.
        _, *parts = message_from_bytes(raw).get_payload()
        assert [(part.get_filename(""), part.get_content_type(), part.get_payload(decode=True)) for part in parts] == [
            ((name or "").strip(), kind, data) for name, kind, data in expected
        ]
        _, *parts = message_from_bytes(raw, policy=email.policy.default).get_payload()
        assert [_squeezed(part.get_filename() or "") for part in parts] == [
            _squeezed(one.filename or "") for one in attachments
        ]
    rust = fast_mail_parser.parse_email(raw)
    assert [(found.filename or None, found.mimetype, found.content) for found in rust.attachments] == expected


def _tree(part: Any) -> Any:
    kind = part.content_type.partition(";")[0]
    return kind if not part.children else (kind, *[_tree(child) for child in part.children])


@pytest.mark.parametrize("eight_bit", [True, False])
def test_a_message_with_everything_has_the_same_tree_for_every_parser(eight_bit: bool) -> None:
    """mixed(related(alternative(text, AMP, HTML, calendar), image), file, message)."""
    message = Message(
        from_="Ada Lövelace <ada@example.com>",
        to="bob@example.org",
        subject="Grüße",
        text="Grüße",
        html='<p>Grüße <img src="cid:logo"></p>',
        amp="<html ⚡4email></html>",
        calendar=Calendar("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"),
        attachments=[
            Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
            Attachment.from_bytes(b"%PDF", "Résumé.pdf"),
            Attachment.from_message(b"Subject: inner\r\n\r\nHi\r\n"),
        ],
    )
    raw = render(message, eight_bit=eight_bit).as_bytes()
    alternative = ("multipart/alternative", "text/plain", "text/x-amp-html", "text/html", "text/calendar")
    related = ("multipart/related", alternative, "image/png")
    tree = ("multipart/mixed", related, "application/pdf", ("message/rfc822", "text/plain"))
    assert _tree(fast_mail_parser.parse_email_tree(raw)) == tree

    parsed = message_from_bytes(raw, policy=email.policy.default)
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/mixed",
        "multipart/related",
        *alternative,
        "image/png",
        "application/pdf",
        "message/rfc822",
        "text/plain",
    ]
    assert [part.defects for part in parsed.walk() if part.defects] == []
    invitation = next(part for part in parsed.walk() if part.get_content_type() == "text/calendar")
    assert invitation["Content-Type"].params["method"] == "REQUEST"
    image = next(part for part in parsed.walk() if part.get_content_type() == "image/png")
    assert image["Content-ID"] == "<logo>"
    assert not fast_mail_parser.parse_email(raw, strict=True).warnings
