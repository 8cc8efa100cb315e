from __future__ import annotations

import mimetypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.media_type import charset_of, check_charset, guess_media_type, normalize_media_type


@pytest.mark.parametrize(
    ("given_type", "normal"),
    [
        ("application/pdf", "application/pdf"),
        ("Text/HTML", "text/html"),
        ("text/plain;charset=UTF-8", "text/plain; charset=utf-8"),
        ('text/csv ; Header=present; charset="iso-8859-1"', "text/csv; header=present; charset=iso-8859-1"),
        ('application/x; a="b c"', 'application/x; a="b c"'),
        (r'application/x; a="\"\\"', r'application/x; a="\"\\"'),
        ("application/vnd.ms-excel.sheet.macroEnabled.12", "application/vnd.ms-excel.sheet.macroenabled.12"),
        ("message/rfc822", "message/rfc822"),
    ],
)
def test_a_media_type_has_one_spelling(given_type: str, normal: str) -> None:
    """Type, subtype and names of parameters become lower case; values are quoted only where they have to be."""
    assert normalize_media_type(given_type) == normal
    assert normalize_media_type(normal) == normal


@pytest.mark.parametrize(
    "value",
    ["", "pdf", "a/", "/b", "a/b/c", "a b/c", "a/b c", "text/html; xé=1", "text/é", "a/b;", "a/b; c", "a/b; c=",
     'a/b; c="',
     'a/b; c="d" e', "a/b; c=d; c=e", "a/b; c*=utf-8''d", "a/b; c*0=d", "a/b\r\nX: y", 'a/b; c="é"', "a/" + "b" * 300,
     None, b"a/b"],
)  # fmt: skip
def test_what_is_no_media_type_is_refused(value: object) -> None:
    """Anything but type/subtype and plain parameters is refused by the name of the field."""
    with pytest.raises(MessageError, match=r"^media_type "):
        normalize_media_type(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["multipart/mixed", "Multipart/Related; boundary=x"])
def test_nobody_claims_a_multipart(value: str) -> None:
    """Only the writer makes multiparts: bytes that claim to be one are refused."""
    with pytest.raises(MessageError, match=r"mailkit writes the multiparts itself.*Attachment\.from_message"):
        normalize_media_type(value)


@pytest.mark.parametrize("name", ["name", "NAME", "boundary"])
def test_parameters_that_have_a_place_of_their_own_are_refused(name: str) -> None:
    """A part has one name and no boundary of the user's."""
    with pytest.raises(MessageError, match=f"cannot have the parameter '{name.lower()}'"):
        normalize_media_type(f"text/plain; {name}=x")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "iso-8859-15", "shift_jis", "windows-1252", "us-ascii"])
def test_charsets_that_python_knows_are_taken(charset: str) -> None:
    """Text encodings pass, in lower case."""
    assert check_charset(charset) == charset.lower()


@pytest.mark.parametrize(
    "charset",
    ["utf-7", "UTF7", "U7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "base64", "hex",
     "rot13",
     "zlib", "no-such-charset", "", "a\x00", "é", "x" * 500],
)  # fmt: skip
def test_what_is_no_charset_for_mail_is_refused(charset: str) -> None:
    """Unknown, unsafe and non-text codecs are refused, by their own name or another."""
    with pytest.raises(MessageError, match=r"^charset "):
        check_charset(charset)


def test_the_charset_parameter_is_checked() -> None:
    """A charset inside a media type is held to the same rule."""
    with pytest.raises(MessageError, match="charset 'utf-7' cannot be sent"):
        normalize_media_type("text/html; charset=utf-7")


@pytest.mark.parametrize(
    ("media_type", "charset"),
    [("text/plain; charset=utf-8", "utf-8"), ("text/csv; charset=ascii; header=x", "ascii"), ("text/plain", None)],
)
def test_the_charset_is_found(media_type: str, charset: str | None) -> None:
    """The charset is read out of a normalized media type."""
    assert charset_of(media_type) == charset


@pytest.mark.parametrize(
    ("filename", "media_type"),
    [
        ("a.pdf", "application/pdf"),
        ("A.PDF", "application/pdf"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.tar.gz", "application/gzip"),
        ("a.tar.bz2", "application/x-bzip2"),
        ("a.eml", "message/rfc822"),
        ("a.unheard-of", "application/octet-stream"),
        ("noending", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_the_ending_says_the_type(filename: str | None, media_type: str) -> None:
    """The media type is guessed from the ending; a compressed file is what it is compressed as."""
    assert guess_media_type(filename) == media_type


def test_a_system_table_cannot_bring_in_a_multipart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that maps an ending to a multipart gets the type for any bytes instead."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda url, strict: ("multipart/mixed", None))
    assert guess_media_type("a.x") == "application/octet-stream"


@given(st.text(max_size=60))
def test_what_passes_is_one_line_of_ascii(value: str) -> None:
    """Whatever is accepted is printable ASCII and is accepted again unchanged."""
    try:
        normal = normalize_media_type(value)
    except MessageError:
        return
    assert normal.isascii()
    assert normal.isprintable()
    assert normalize_media_type(normal) == normal
