from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.mime.media_parameters import parse_parameters
from mailkit.mime.parameters import attachment_headers


@pytest.mark.parametrize(
    ("text", "value", "parameters"),
    [
        ("", "", {}),
        ("Text/Plain", "text/plain", {}),
        ("text/plain; Charset=UTF-8 ;", "text/plain", {"charset": "UTF-8"}),
        ('text/plain;charset="utf-8";x=a b', "text/plain", {"charset": "utf-8", "x": "a b"}),
        ('a/b; name="a;b \\"c\\".txt"', "a/b", {"name": 'a;b "c".txt'}),
        ("attachment; filename*=UTF-8'en'%C3%A9.pdf", "attachment", {"filename": "é.pdf"}),
        ("attachment; filename*=''a.pdf", "attachment", {"filename": "a.pdf"}),
        (
            "attachment; filename*1=b%20; filename*0*=iso-8859-1''%E9; filename*2*=%E8",
            "attachment",
            {"filename": "éb%20è"},
        ),
        ("attachment; filename*0=a; filename*1=é", "attachment", {"filename": "aé"}),
        ("attachment; filename=a; filename*=UTF-8''b", "attachment", {"filename": "b"}),
        ('attachment; filename="=?utf-8?q?=C3=A9?="', "attachment", {"filename": "é"}),
        ('attachment; filename="x =?utf-8?q?=C3=A9?="', "attachment", {"filename": "x =?utf-8?q?=C3=A9?="}),
    ],
)
def test_parameters_are_read(text: str, value: str, parameters: dict[str, str]) -> None:
    """Put together from their sections and decoded."""
    assert parse_parameters(text, "Content-Type") == (value, parameters)


@pytest.mark.parametrize(
    "text",
    [
        'a; b="',
        'a; b="c\\"',
        "a; b",
        "a; =b",
        "a; *=b",
        "a; b*x=c",
        "a; b=c; B=d",
        "a; b*0=c; b*0=d",
        "a; b*0=c; b*2=d",
        "a; b*1=c",
        "a; b*=c",
        "a; b*=utf-8'c",
        "a; b*=nope''c",
        "a; b*=utf-8''%FF",
        "a; b*99999=c",
    ],
)
def test_what_is_malformed_is_refused(text: str) -> None:
    """So is what says the same twice, on which readers disagree."""
    with pytest.raises(MessageError):
        parse_parameters(text, "Content-Type")


@given(text=st.text(st.sampled_from("ab=;\"\\*'%0E9é? "), max_size=60))
def test_no_text_ends_in_another_error(text: str) -> None:
    """Parameters or a MessageError, whatever it is."""
    with suppress(MessageError):
        parse_parameters(text, "Content-Type")


@given(filename=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200))
def test_what_the_writer_writes_is_read_back(filename: str) -> None:
    """Any name."""
    written = attachment_headers("a/b", filename, "attachment").partition("Content-Disposition: ")[2]
    assert parse_parameters(written.replace("\r\n", ""), "Content-Disposition").parameters == {"filename": filename}
