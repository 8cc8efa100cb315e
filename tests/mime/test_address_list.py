from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address import Address
from mailkit.errors import AddressError, MessageError
from mailkit.mime.address_list import parse_address_list
from mailkit.mime.headers import mailboxes


def parsed(text: str, *, encoded: bool = True) -> list[tuple[str, str]]:
    """Return names and addresses."""
    return [(one.name, one.email) for one in parse_address_list(text, "To", encoded=encoded)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("a@b.example", [("", "a@b.example")]),
        ("<a@b.example>", [("", "a@b.example")]),
        ("Ada <a@b.example>", [("Ada", "a@b.example")]),
        ("Ada B. Lovelace <a@b.example>", [("Ada B. Lovelace", "a@b.example")]),
        ('"Doe, J." <a@b.example>, c@d.example', [("Doe, J.", "a@b.example"), ("", "c@d.example")]),
        ('"a \\"b\\" \\\\" <a@b.example>', [('a "b" \\', "a@b.example")]),
        ('"x" y "z" <a@b.example>', [("x y z", "a@b.example")]),
        ('" x " <a@b.example>', [(" x ", "a@b.example")]),
        ('"john doe"@b.example', [("", '"john doe"@b.example')]),
        ('J <"john doe"@b.example>', [("J", '"john doe"@b.example')]),
        ("=?utf-8?q?J=C3=B6rg_?= =?utf-8?q?M?= <a@b.example>", [("Jörg M", "a@b.example")]),
        ("=?utf-8?q?_x_?=  <a@b.example>", [(" x ", "a@b.example")]),
        ("=?utf-8?q?a=2Cb?= <a@b.example>", [("a,b", "a@b.example")]),
        ('"=?utf-8?q?x?=" <a@b.example>', [("=?utf-8?q?x?=", "a@b.example")]),
        ("root@b.example (Cron Daemon)", [("Cron Daemon", "root@b.example")]),
        ("root@b.example (a (b) \\) c)", [("a (b) ) c", "root@b.example")]),
        ("undisclosed-recipients:;", []),
        ("undisclosed recipients: ;, a@b.example", [("", "a@b.example")]),
        ("a@b.example ", [("", "a@b.example")]),
        ("< a@b.example > ,", [("", "a@b.example")]),
    ],
)
def test_mailboxes_are_read(text: str, expected: list[tuple[str, str]]) -> None:
    """Names without their quotes and encodings; an empty group is nobody."""
    assert parsed(text) == expected


def test_what_a_program_has_set_is_not_decoded_again() -> None:
    """Its text is the text."""
    assert parsed("=?utf-8?q?x?= <a@b.example>", encoded=False) == [("=?utf-8?q?x?=", "a@b.example")]


@pytest.mark.parametrize(
    "text",
    [
        "team: a@b.example;",
        "team: a@b.example, c@d.example;",
        "team: a@b.example",
        "team:",
        "a: b: ;",
        ":;",
        "<a@b.example>: ;",
        ";",
        "a@b.example;",
        '"open <a@b.example>',
        '"\\"' * 9 + "x",
        "(open a@b.example",
        "a)b",
        "a@b.example (x) (y)",
        "(x) Ada <a@b.example>",
        "Ada <a@b.example> (x)",
        "Ada <(x)a@b.example>",
        "<a@b.example",
        "a@b.example>",
        "<<a@b.example>>",
        "<a@b.example> x",
        "<a@b.example><c@d.example>",
        "<@r.example:a@b.example>",
        "(only a comment)",
    ],
)
def test_what_is_no_list_of_mailboxes_is_refused(text: str) -> None:
    """Groups with members, comments in the middle, and everything that two readers read in two ways."""
    with pytest.raises(MessageError):
        parsed(text)


def test_a_wrong_address_names_its_field() -> None:
    """And where in it the error is."""
    with pytest.raises(AddressError, match="To: ") as caught:
        parsed("Ada <a b@c.example>")
    assert caught.value.value == "a b@c.example"
    assert caught.value.position is not None


@given(text=st.text(st.sampled_from('ab@. ,;:<>()"\\=?é'), max_size=60))
def test_no_text_ends_in_another_error(text: str) -> None:
    """Mailboxes or a MessageError, whatever it is."""
    with suppress(MessageError):
        parse_address_list(text, "To", encoded=True)


@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60), min_size=1, max_size=4))
def test_what_the_writer_writes_is_read_back(names: list[str]) -> None:
    """Any names."""
    addresses = [Address(f"u{number}@b.example", name=name) for number, name in enumerate(names)]
    written = mailboxes("To", [(one.name, one.addr_spec) for one in addresses])
    assert parse_address_list(written[4:].replace("\r\n", "").strip(" "), "To", encoded=True) == addresses
