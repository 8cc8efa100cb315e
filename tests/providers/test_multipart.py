"""multipart/form-data."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.forms import form_of

from mailkit.errors import MessageError
from mailkit.providers.multipart import File, form_fields, multipart, with_fields

_NAMES = st.text("abc:-é", min_size=1)


@settings(max_examples=60)
@given(
    texts=st.dictionaries(_NAMES, st.lists(st.text(), min_size=1), max_size=4),
    content=st.binary() | st.sampled_from([b"\r\n--", b"--", b"\r\n", b""]),
)
def test_what_goes_in_comes_out(texts: dict[str, list[str]], content: bytes) -> None:
    """Names, texts and octets come out of the form as they went in, in order."""
    body, media_type = multipart(form_fields({**texts, "file": File("a b.bin", content, "image/png")}))
    read = form_of(body, media_type, several=texts)
    assert read == {**texts, "file": File("a b.bin", content, "image/png")}


def test_the_octets_of_a_form() -> None:
    """A form looks as RFC 7578 §4 has it, and the same form has the same octets."""
    fields = [("to", "bob@example.org"), ("file", File("é.csv", b"1;2", "text/csv"))]
    body, media_type = multipart(fields)
    boundary = media_type.removeprefix("multipart/form-data; boundary=")
    assert body.decode() == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="to"\r\n\r\nbob@example.org\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="é.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n1;2\r\n--{boundary}--\r\n"
    )
    assert (body, media_type) == multipart(fields)


def test_a_name_ends_no_header() -> None:
    """Quotes and line ends in names and file names are escaped, so that they begin nothing of their own."""
    body, _ = multipart([('v:a"\r\nX-Evil: 1\r\n\r\n', "text"), ("file", File('"\r\n\r\n.csv', b""))])
    assert b'name="v:a%22%0D%0AX-Evil: 1%0D%0A%0D%0A"\r\n' in body
    assert b'filename="%22%0D%0A%0D%0A.csv"\r\n' in body
    assert b"\r\nX-Evil" not in body


def test_what_no_form_can_hold_is_refused() -> None:
    """A value that is neither text, file nor JSON is a MessageError."""
    with pytest.raises(MessageError):
        form_fields({"x": object()})


def test_fields_are_put_before_a_form() -> None:
    """More fields come first, in either kind of form, and nothing of the others changes."""
    fields = [("to", "bob@example.org"), ("file", File("a.bin", b"\0\r\n--", "image/png"))]
    body, media_type = multipart(fields)
    own = [("user", "ü&="), ("key", "a b")]
    assert form_of(with_fields(body, media_type, own), media_type) == dict([*own, *fields])
    urlencoded = "application/x-www-form-urlencoded"
    assert form_of(with_fields(b"to=b", urlencoded, own), urlencoded) == dict([*own, ("to", "b")])
    assert with_fields(b"", urlencoded, [("a", "b")]) == b"a=b"
