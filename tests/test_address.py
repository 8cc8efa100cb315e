from __future__ import annotations

import copy
import email.policy
import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailkit import address as address_module
from mailkit.address import Address
from mailkit.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL_PARTS = st.one_of(
    st.from_regex(r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]{1,20}(\.[A-Za-z0-9+]{1,9}){0,3}", fullmatch=True),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=20),
    st.sampled_from(["用户", "josé", "josé müller", "a@b", '"', "\\", " ", "a..b", ".", "-f"]),
)
_DOMAINS = st.sampled_from(
    ["x.test", "faß.test", "例え.test", "localhost", "printer.local", "[192.0.2.1]", "[IPv6:2001:db8::1]"]
)
_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in (*range(0x20), 0x7F)]),
    max_size=40,
)


def _written(local_part: str) -> str:
    return '"' + local_part.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def _addresses(draw: st.DrawFn, names: st.SearchStrategy[str] = _NAMES) -> Address:
    return Address(f"{_written(draw(_LOCAL_PARTS))}@{draw(_DOMAINS)}", name=draw(names))


def test_an_address_is_made_of_its_parts() -> None:
    """The constructor keeps local part, domain in both forms, name and wire form apart."""
    address = Address("Jane@Faß.Test", name="Doe, Jane")
    assert address.name == "Doe, Jane"
    assert address.local_part == "Jane"
    assert address.domain == "faß.test"
    assert address.ascii_domain == "xn--fa-hia.test"
    assert address.email == "Jane@faß.test"
    assert address.addr_spec == "Jane@xn--fa-hia.test"
    assert not address.needs_smtputf8


def test_parse_reads_what_the_constructor_takes_apart() -> None:
    """Parsing ``Name <user@host>`` gives the same value as naming the two."""
    assert Address.parse("Ada <ada@example.com>") == Address("ada@example.com", name="Ada")


def test_no_name_is_the_empty_string() -> None:
    """None, an empty string, empty quotes and nothing at all are the same lack of a name."""
    nameless = Address("ada@example.com")
    assert nameless.name == ""
    assert Address("ada@example.com", name=None) == nameless
    assert Address("ada@example.com", name="") == nameless
    assert Address.parse('"" <ada@example.com>') == nameless


def test_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    """Only the local part asks for SMTPUTF8 and stays UTF-8 on the wire; the domain becomes A-labels."""
    address = Address("用户@例え.test")
    assert address.needs_smtputf8
    assert address.addr_spec == "用户@xn--r8jz45g.test"
    assert not Address("user@例え.test").needs_smtputf8


def test_a_local_part_is_quoted_only_if_it_has_to_be() -> None:
    """Quotes are no part of the value: they come back where the grammar needs them, and nowhere else."""
    assert Address('"john"@x.test').addr_spec == "john@x.test"
    address = Address('"john \\"\\d\\oe"@x.test')
    assert address.local_part == 'john "doe'
    assert address.addr_spec == address.email == '"john \\"doe"@x.test'


def test_equality_is_by_local_part_domain_and_name() -> None:
    """How an address was written does not matter; its local part's case and its name do."""
    assert Address("a@FASS.test") == Address('"a"@fass.test')
    assert Address("a@faß.test") == Address("a@XN--FA-HIA.test")
    assert len({Address("a@faß.test"), Address("a@xn--fa-hia.test")}) == 1
    assert Address("a@faß.test") != Address("a@fass.test")
    assert Address("a@x.test") != Address("A@x.test")
    assert Address("a@x.test") != Address("a@x.test", name="A")
    assert Address("a@x.test") != "a@x.test"


def test_repr_is_the_call_that_makes_it() -> None:
    """The repr names the address and, only where there is one, the name."""
    assert repr(Address("ada@example.com", name="Ada")) == "Address('ada@example.com', name='Ada')"
    assert repr(Address("ada@example.com")) == "Address('ada@example.com')"


@pytest.mark.parametrize(
    ("name", "display"),
    [
        ("", "a@x.test"),
        ("Ada", "Ada <a@x.test>"),
        ("A.B.", '"A.B." <a@x.test>'),
        ("Jané Doe", "Jané Doe <a@x.test>"),
        ("Doe, Jane", '"Doe, Jane" <a@x.test>'),
        ('Jane "JD" Doe', '"Jane \\"JD\\" Doe" <a@x.test>'),
        ("back\\slash", '"back\\\\slash" <a@x.test>'),
        ("two  spaces", '"two  spaces" <a@x.test>'),
        (" ", '" " <a@x.test>'),
        ("=?utf-8?q?Bob?=", '"=?utf-8?q?Bob?=" <a@x.test>'),
        ("Alice <evil@evil.test>", '"Alice <evil@evil.test>" <a@x.test>'),
        ('a" <evil@evil.test> "', '"a\\" <evil@evil.test> \\"" <a@x.test>'),
    ],
)
def test_the_display_form_quotes_what_is_not_plain(name: str, display: str) -> None:
    """A name that another parser could read otherwise is quoted, and only such a name."""
    assert str(Address("a@x.test", name=name)) == display


@given(_addresses())
@example(Address("a@x.test", name='\\" <b@y.test>, \\'))
@example(Address("a@x.test", name='"' * 998))
def test_the_display_form_parses_back(address: Address) -> None:
    """``Address.parse(str(address))`` is the address, whatever its name and local part hold."""
    assert Address.parse(str(address)) == address


@given(_addresses())
def test_the_written_forms_parse_back(address: Address) -> None:
    """The e-mail, the wire form and the repr each make the same address again."""
    assert Address(address.email, name=address.name) == address
    assert Address(address.addr_spec, name=address.name) == address
    assert eval(repr(address), {"Address": Address}) == address


@given(_addresses(names=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)))
def test_the_standard_library_reads_one_mailbox(address: Address) -> None:
    """The header parser of the stdlib finds exactly the one address in the display form, at the same host."""
    header: Any = email.policy.SMTPUTF8.header_factory("To", str(address))
    assert [(found.username, found.domain) for found in header.addresses] == [(address.local_part, address.domain)]
    assert header.addresses[0].display_name == address.name


@given(_addresses())
def test_the_wire_form_cannot_end_a_command(address: Address) -> None:
    """No address puts a control character on the wire, nor a bracket, blank or comma outside quotes."""
    wire = address.addr_spec.encode()
    assert len(wire) <= 254
    assert all(octet >= 0x20 and octet != 0x7F for octet in wire)
    if not address.addr_spec.startswith('"'):
        assert not set(address.addr_spec) & set('<> ",;()')
    assert address.addr_spec.isascii() is not address.needs_smtputf8


@pytest.mark.parametrize("name", ["Alice\r\nX-Injected: 1", "a\nb", "Alice\x00", "a\tb", "\x7f", "\ud83d"])
def test_a_name_that_could_break_a_header_is_refused(name: str) -> None:
    """Control characters, TAB among them, and lone surrogates have no place in a display name."""
    with pytest.raises(AddressError) as caught:
        Address("a@x.test", name=name)
    assert caught.value.value == name
    assert caught.value.position is not None
    assert name[caught.value.position] in "\r\n\x00\t\x7f\ud83d"


def test_a_name_has_at_most_998_characters() -> None:
    """998 characters are a name and 999 are none."""
    assert len(Address("a@x.test", name="a" * 998).name) == 998
    with pytest.raises(AddressError, match="998"):
        Address("a@x.test", name="a" * 999)


def test_line_separators_of_unicode_stay_in_a_name() -> None:
    """NEL, U+2028 and a half-width blank are text: whoever writes the header encodes them."""
    name = "a\x85b\u2028c\u200bd"
    assert Address("a@x.test", name=name).name == name


def test_the_constructor_takes_the_address_alone() -> None:
    """The constructor refuses a display form and says which method reads one."""
    with pytest.raises(AddressError, match=r"Address\.parse") as caught:
        Address("<ada@example.com>")
    assert caught.value.position == 0


@pytest.mark.parametrize("value", [None, b"a@x.test", 5, ["a@x.test"]])
def test_what_is_no_text_is_refused_by_type(value: Any) -> None:
    """Something else than a str or an Address is an AddressError that names its type."""
    for take in (Address, Address.parse, Address.coerce):
        with pytest.raises(AddressError, match=type(value).__name__):
            take(value)


@pytest.mark.parametrize("name", [b"", 0, b"Ada"])
def test_a_name_that_is_no_text_is_refused_by_type(name: Any) -> None:
    """A name of another type is an AddressError, even an empty one."""
    with pytest.raises(AddressError, match=type(name).__name__):
        Address("a@x.test", name=name)


def test_coerce_keeps_addresses_and_parses_strings() -> None:
    """Coercing returns the very Address that is given, and parses a str."""
    address = Address("a@x.test", name="A")
    assert Address.coerce(address) is address
    assert Address.coerce("A <a@x.test>") == address


def test_parse_many_takes_one_or_any_iterable() -> None:
    """A str and an Address are one; lists, tuples, sets and generators are as many as they hold, in order."""
    a, b = Address("a@x.test"), Address("b@x.test")

    def generator() -> Iterator[str | Address]:
        yield "a@x.test"
        yield b

    assert Address.parse_many("a@x.test") == (a,)
    assert Address.parse_many(a) == (a,)
    assert Address.parse_many(["a@x.test", b]) == (a, b)
    assert Address.parse_many({"a@x.test"}) == (a,)
    assert Address.parse_many(generator()) == (a, b)
    assert Address.parse_many(()) == ()


@pytest.mark.parametrize("text", ["a@x.test, b@x.test", "a@x.test;b@x.test", "A <a@x.test>, B <b@x.test>"])
def test_a_list_in_one_string_is_refused(text: str) -> None:
    """No list is ever taken out of one string; the error says what to pass instead."""
    with pytest.raises(AddressError, match="list of strings"):
        Address.parse_many(text)


@pytest.mark.parametrize("values", [{"a@x.test": "Ada"}, b"a@x.test", None, 5])
def test_parse_many_refuses_what_would_lose_something(values: Any) -> None:
    """A mapping, bytes and what is no iterable are refused by type."""
    with pytest.raises(AddressError, match=type(values).__name__):
        Address.parse_many(values)


def test_an_address_is_frozen_and_has_slots() -> None:
    """No attribute can be changed or added."""
    address: Any = Address("a@x.test")
    for name in ("email", "name", "domain", "addr_spec", "nickname"):
        with pytest.raises(AttributeError):
            setattr(address, name, "b@y.test")
    assert not hasattr(address, "__dict__")


def test_an_address_survives_copying_and_pickling() -> None:
    """Copies and pickles are equal to the original and have all its parts; evolve renames."""
    address = Address("Jane@faß.test", name="Jane")
    for other in (copy.copy(address), copy.deepcopy(address), pickle.loads(pickle.dumps(address))):
        assert other == address
        assert attrs.asdict(other) == attrs.asdict(address)
    assert attrs.evolve(address, name="J.") == Address("Jane@faß.test", name="J.")


def test_parsed_addresses_are_remembered_within_bounds() -> None:
    """The same text gives the same object, the memory has an upper limit, and errors are not kept."""
    remembered = address_module._parse
    assert Address.parse("Ada <ada@example.com>") is Address.parse("Ada <ada@example.com>")
    assert remembered.cache_info().maxsize == 1024
    before = remembered.cache_info().currsize
    for _ in range(2):
        with pytest.raises(AddressError):
            Address.parse("never seen before, and no address")
    assert remembered.cache_info().currsize == before
