from __future__ import annotations

import re
from email import message_from_string, policy
from email.utils import collapse_rfc2231_value
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.mime.parameters import attachment_headers, multipart_type

PDF = "application/pdf"


@pytest.mark.parametrize(
    ("filename", "written", "fallback"),
    [
        ("report.pdf", 'filename="report.pdf"', "report.pdf"),
        (".htaccess", 'filename=".htaccess"', ".htaccess"),
        ("a b.txt", 'filename="a b.txt"', "a b.txt"),
        ("a  b.txt", "filename*=UTF-8''a%20%20b.txt", "a_b.txt"),
        ("100%.txt", "filename*=UTF-8''100%25.txt", "100_.txt"),
        ("a;b.txt", "filename*=UTF-8''a%3Bb.txt", "a_b.txt"),
        ('a".exe', "filename*=UTF-8''a%22.exe", "a_.exe"),
        ("utf-8''evil.exe", "filename*=UTF-8''utf-8%27%27evil.exe", "utf-8_evil.exe"),
        ("=?utf-8?q?x?=.txt", "filename*=UTF-8''%3D%3Futf-8%3Fq%3Fx%3F%3D.txt", "=_utf-8_q_x_=.txt"),
        ("Résumé d'été.pdf", "filename*=UTF-8''R%C3%A9sum%C3%A9%20d%27%C3%A9t%C3%A9.pdf", "Resume_d_ete.pdf"),
        ("日本.pdf", "filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf", "_.pdf"),
        ("\u0301", "filename*=UTF-8''%CC%81", "_"),
    ],
)
def test_a_name_stands_in_both_places(filename: str, written: str, fallback: str) -> None:
    """In Content-Disposition as it is, percent-encoded if need be; in Content-Type what of it is plain ASCII."""
    text = attachment_headers(PDF, filename, "attachment").replace("\r\n ", " ")
    assert text == (
        f'Content-Type: application/pdf; name="{fallback}"\r\nContent-Disposition: attachment; {written}\r\n'
    )


@pytest.mark.parametrize(
    ("filename", "fallback"),
    [
        ("x" * 100 + ".pdf", "x" * 56 + ".pdf"),
        ("x" * 100, "x" * 60),
        ("a." + "x" * 100, "a." + "x" * 58),
    ],
)
def test_a_long_name_is_shortened_only_in_its_ascii_form(filename: str, fallback: str) -> None:
    """There it keeps its ending; in Content-Disposition it is continued over several lines."""
    text = attachment_headers(PDF, filename, "inline")
    assert f'name="{fallback}"' in text
    assert "filename*1*=" in text


@given(filename=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=1024))
def test_every_name_is_continued_in_whole_characters(filename: str) -> None:
    """No line is longer than 78, each section decodes by itself, and together they are the name."""
    text = attachment_headers(PDF, filename, "attachment")
    assert text.isascii()
    assert max(map(len, text.split("\r\n"))) <= 78
    parsed = message_from_string(text)
    for section in re.findall(r"filename\*\d*\*?=(?:UTF-8'')?([!-:<-~]+)", text):
        unquote_to_bytes(section).decode()
    found = parsed.get_param("filename", header="Content-Disposition")
    assert collapse_rfc2231_value(found) == filename


def test_parameters_of_the_type_stay() -> None:
    """Also one that is quoted."""
    text = attachment_headers('text/x-y; charset=utf-8; a="b; c"', None, "inline")
    assert text == 'Content-Type: text/x-y; charset=utf-8; a="b; c"\r\nContent-Disposition: inline\r\n'
    parsed = message_from_string(text, policy=policy.default)
    assert parsed["Content-Type"].params == {"charset": "utf-8", "a": "b; c"}


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "a",
        "a/b/c",
        "a/b\r\nX: 1",
        "multipart/mixed",
        "Multipart/x",
        "a/b; é=1",
        'a/b; c="d',
        "a/b;c=d",
        "a/b; c=d e",
    ],
)
def test_what_is_no_media_type_is_refused(media_type: str) -> None:
    """Whatever has been checked before."""
    with pytest.raises(MessageError, match="media_type"):
        attachment_headers(media_type, None, "attachment")


@pytest.mark.parametrize("disposition", ["", "evil; filename=x", "attachment\r\nX: 1", "Attachment"])
def test_what_is_no_disposition_is_refused(disposition: str) -> None:
    """There are two."""
    with pytest.raises(MessageError, match="disposition"):
        attachment_headers(PDF, None, disposition)


@pytest.mark.parametrize("filename", ["a\r\nb", "a\0", "\ud800", "a\x7f"])
def test_what_is_no_name_is_refused(filename: str) -> None:
    """A control character would come back to life in a reader that decodes it."""
    with pytest.raises(MessageError, match="filename"):
        attachment_headers(PDF, filename, "attachment")


def test_a_multipart_names_its_boundary_and_its_root() -> None:
    """The boundary is quoted; a related one says what its root is (RFC 2387 §3.1)."""
    assert multipart_type("mixed", "=_x") == 'Content-Type: multipart/mixed; boundary="=_x"\r\n'
    assert multipart_type("related", "=_x", "text/html") == (
        'Content-Type: multipart/related; type="text/html"; boundary="=_x"\r\n'
    )
