from __future__ import annotations

import os
import re
import subprocess
import sys
from unicodedata import normalize

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, ValidatedEmail, validate_email
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st

from mailkit.address_parser import AddrSpec, check_name, is_phrase, parse_addr_spec, parse_mailbox, quote
from mailkit.errors import AddressError


def _oracle(text: str) -> ValidatedEmail:
    return validate_email(
        text,
        allow_quoted_local=True,
        allow_domain_literal=True,
        check_deliverability=False,
        globally_deliverable=False,
        test_environment=True,
    )


def _attempt(text: str) -> AddrSpec | AddressError:
    try:
        return parse_mailbox(text)[1]
    except AddressError as error:
        return error


def _refusal(text: str) -> AddressError:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(text)
    assert caught.value.value == text
    return caught.value


_ATOMS = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=12)
_LABELS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,9}[A-Za-z0-9])?", fullmatch=True)
_PLAIN = st.builds(
    lambda atoms, labels: f"{'.'.join(atoms)}@{'.'.join(labels)}",
    st.lists(_ATOMS, min_size=1, max_size=4),
    st.lists(_LABELS, min_size=1, max_size=4),
)
_NEARLY_PLAIN = st.builds(
    lambda local_part, domain: f"{local_part}@{domain}",
    st.text("aZ0.+-_=?\" \\@'", max_size=8),
    st.text("aZ0.-_@:", max_size=10),
)


def _is_special(domain: str) -> bool:
    return any(f".{domain}".endswith(f".{special}") for special in SPECIAL_USE_DOMAIN_NAMES if special != "test")


@given(st.one_of(_PLAIN, _NEARLY_PLAIN))
@example("Postmaster@x.test")
@example('"a b"@x.test')
@example("a@x")
def test_what_is_accepted_email_validator_accepts_alike(text: str) -> None:
    """Every ASCII address that passes without email-validator passes it too, with the same parts."""
    parts = _attempt(text)
    assume(isinstance(parts, AddrSpec) and not _is_special(parts.ascii_domain))
    assert isinstance(parts, AddrSpec)
    oracle = _oracle(text)
    assert parts.domain == oracle.domain
    assert parts.ascii_domain == oracle.ascii_domain
    # RFC 5321 §2.4 keeps the case of a local part; email-validator folds that of a few names (RFC 2142).
    folded = oracle.local_part != parts.written_local_part
    assert oracle.local_part == (parts.written_local_part.lower() if folded else parts.written_local_part)


@given(st.one_of(_PLAIN, _NEARLY_PLAIN))
def test_what_email_validator_accepts_is_accepted(text: str) -> None:
    """An ASCII address that email-validator accepts is refused for three reasons only."""
    try:
        oracle = _oracle(text)
    except EmailNotValidError:
        reject()
    local_part = str(oracle.local_part)
    is_refused = isinstance(_attempt(text), AddressError)
    assert is_refused == (
        len(local_part) > 64
        or oracle.ascii_domain.rpartition(".")[2].isdigit()
        or re.search(r"=\?.*\?.*\?.*\?=", local_part) is not None
    )


_INTERNATIONAL = st.text(st.characters(exclude_characters='@"\\'), min_size=1, max_size=12)


@given(
    _INTERNATIONAL | _INTERNATIONAL.map(lambda text: f'"{text}"'),
    st.sampled_from(["faß.test", "x.test"]),
)
@example("ñ", "faß.test")
@example("n\u0303", "x.test")
@example('"a\u037e"', "x.test")
def test_international_local_parts_are_judged_by_email_validator(local_part: str, domain: str) -> None:
    """A local part beyond ASCII is accepted exactly if email-validator accepts it, and has the same NFC."""
    assume(not local_part.isascii())
    text = f"{local_part}@{domain}"
    try:
        oracle = _oracle(text)
    except EmailNotValidError:
        oracle = None
    parts = _attempt(text)
    assert isinstance(parts, AddressError) == (oracle is None)
    if oracle is not None and isinstance(parts, AddrSpec):
        assert (parts.written_local_part, parts.domain) == (oracle.local_part, oracle.domain)


@given(st.text(max_size=30), st.text('ab"\\<>()@.,:;[] =?\r\n\x00é\u200b', max_size=40))
def test_every_text_is_a_mailbox_or_an_address_error(anything: str, specials: str) -> None:
    """No text raises anything but an AddressError, whose position is within the text or at its end."""
    for text in (
        anything,
        specials,
        f"{anything} <{specials}>",
        f'"{anything}" <a@{specials}>',
        f"a@{anything}",
    ):
        error = _attempt(text)
        if isinstance(error, AddressError):
            assert error.value in text
            assert error.position is not None
            assert 0 <= error.position <= len(text)


@pytest.mark.parametrize(
    ("text", "name", "local_part"),
    [
        ("a@x.test", "", "a"),
        ("  a@x.test ", "", "a"),
        ("<a@x.test>", "", "a"),
        ("Ada Lovelace <a@x.test>", "Ada Lovelace", "a"),
        ("Ada<a@x.test>", "Ada", "a"),
        ("  Ada   Lovelace   <a@x.test>  ", "Ada   Lovelace", "a"),
        ("A.B. <a@x.test>", "A.B.", "a"),
        ("Jané Doe <a@x.test>", "Jané Doe", "a"),
        ("O'Brien <a@x.test>", "O'Brien", "a"),
        ('"Doe, Jane" <a@x.test>', "Doe, Jane", "a"),
        ('"Doe, Jane"<a@x.test>', "Doe, Jane", "a"),
        ('"Jane \\"JD\\" D\\oe"   <a@x.test>', 'Jane "JD" Doe', "a"),
        ('"a <b@y.test>" <a@x.test>', "a <b@y.test>", "a"),
        ("=?utf-8?q?Bob?= <a@x.test>", "=?utf-8?q?Bob?=", "a"),
        ('Bob <"a> b"@x.test>', "Bob", "a> b"),
        ('"john doe"@x.test', "", "john doe"),
        ('"<john>"@x.test', "", "<john>"),
        ('"evil@evil.test x"@x.test', "", "evil@evil.test x"),
        ('"foo@evil.test> ORCPT=admin@admin.test"@x.test', "", "foo@evil.test> ORCPT=admin@admin.test"),
        ("-froot@x.test", "", "-froot"),
        ("A+tag@X.TEST", "", "A+tag"),
        ("\u760d\u760a@x.test", "", "\u760d\u760a"),
    ],
)
def test_a_mailbox_is_read(text: str, name: str, local_part: str) -> None:
    """Each accepted form gives its name and local part, and the domain that follows the last @."""
    found, parts = parse_mailbox(text)
    assert (found, parts.local_part, parts.domain) == (name, local_part, "x.test")


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        # Line breaks and what is invisible
        ("a@x.test\r\nRCPT TO:<evil@evil.test>", 8, r"unexpected '\\r'"),
        ("\r\na@x.test", 0, r"unexpected '\\r'"),
        ("a@x.test\x00@evil.test", 8, "control characters"),
        ("a@x.test\t", 8, "control characters"),
        ("a@[127.0.0.1\r\nRCPT TO:<evil@evil.test>]", 12, "control characters"),
        ("\ud83da@x.test", 0, "lone surrogates"),
        ('"a\r\nb" <a@x.test>', 2, "control characters"),
        ("a\x7f <a@x.test>", 1, "control characters"),
        ("\u200ba@x.test", 0, "ZERO WIDTH SPACE"),
        # Something after the address, or more than one
        ("a@x.test> ORCPT=rfc822;evil@evil.test", 8, "Name <user@host>"),
        ("a@x.test> SIZE=1 BODY=8BITMIME", 8, "Name <user@host>"),
        ("a@x.test> AUTH=<> SMTPUTF8", 1, "double quotes"),
        ("<a@x.test>b@evil.test", 10, "nothing may follow"),
        ("<a@x.test> <b@x.test>", 10, "nothing may follow"),
        ("a@x.test,evil@evil.test", 8, "list of strings"),
        ("a@x.test;evil@evil.test", 8, "list of strings"),
        ("a, b@x.test", 1, "list of strings"),
        ("a@x.test, Bob <b@x.test>", 1, "double quotes"),
        ("a@x.test evil@evil.test", 8, "nothing may follow"),
        ("a@evil.test@x.test", 11, "one @"),
        # Obsolete and other forms
        ("grp: evil@evil.test, a@x.test;", 3, "groups"),
        ("grp: Bob <a@x.test>;", 3, "groups"),
        ("@evil.test:a@x.test", 0, "source routes"),
        ("<@evil.test,@evil2.test:a@x.test>", 1, "source routes"),
        ("evil@evil.test(x)@x.test", 14, "comments"),
        ("a(x)@x.test", 1, "comments"),
        ("Bob (work) <a@x.test>", 4, "comments"),
        ("a@evil.test)b@x.test", 11, "comments"),
        ("alice@x.test]bob@evil.test", 12, "letters, digits and hyphens"),
        ("=?utf-8?q?=61=62=63?=@x.test", 0, "encoded word"),
        ('"=?utf-8?q?=61 =62?="@x.test', 0, "encoded word"),
        # Display names
        ("Doe, Jane <a@x.test>", 3, '"Doe, Jane" <jane@example.com>'),
        ("a@x.test <a@x.test>", 1, "double quotes"),
        ('Jane "JD" Doe <a@x.test>', 5, "one pair of double quotes"),
        ('"Jane <a@x.test>', 0, "one pair of double quotes"),
        ('"Jane" Doe <a@x.test>', 7, "neither < nor @"),
        ('"Jane"<', 7, "no @"),
        ("Jane <a@x.test", 14, "no > to close"),
        ("Jane <>", 6, "an address before it"),
        ("Jane <jane>", 10, "an address before it"),
        ("A <a@x.test>, B <b@x.test>", 12, "list of strings"),
        ("Jane <jane", 10, "no @"),
        # Local parts
        ("a", 1, "no @"),
        ("", 0, "there is no address"),
        ("   ", 3, "there is no address"),
        ("@x.test", 0, "no local part"),
        ('""@x.test', 0, "no local part"),
        (".a@x.test", 0, "a dot in a local part"),
        ("a..b@x.test", 1, "a dot in a local part"),
        ("a.@x.test", 1, "a dot in a local part"),
        ("Bob <a..b@x.test>", 6, "a dot in a local part"),
        ("-oQ/tmp -X/tmp/shell.php@x.test", 7, "quote the local part"),
        ("a[b@x.test", 1, "double quotes"),
        ('"a@x.test', 0, "no quote closes"),
        ('Bob <"a@x.test>', 5, "no quote closes"),
        ('"a"', 3, "no @ follows"),
        ('"a"b@x.test', 3, "no @ follows"),
        ("\u0301a@x.test", 0, "no internationalised mailbox name"),
        ("a\u037eb@x.test", 1, "double quotes"),
    ],
)
def test_what_is_no_mailbox_is_refused_at_the_character(text: str, position: int, says: str) -> None:
    """The error points at the character where the text stops being one mailbox, and says what to do."""
    error = _refusal(text)
    assert error.position == position
    assert says.replace("\\\\", "\\") in str(error)


def test_a_local_part_has_at_most_64_octets() -> None:
    """64 octets are accepted and 65 refused, where quotes, escapes and UTF-8 count as on the wire."""
    for accepted in ("a" * 64, f'"{"a" * 61} "', "é" * 32):
        parts = parse_addr_spec(f"{accepted}@x.test")
        assert len(parts.written_local_part.encode()) == 64
    for refused in ("a" * 65, f'"{"a" * 62} "', f'"{" " * 61}\\""', "é" * 32 + "a"):
        assert "64" in str(_refusal(f"{refused}@x.test"))


def test_an_address_has_at_most_254_octets() -> None:
    """254 octets on the wire are accepted and 255 refused, in ASCII and in A-labels."""
    host = ".".join(["b" * 63] * 3)
    accepted = f"a@{host}.{'b' * 55}.test"
    assert len(accepted) == 254
    assert parse_addr_spec(accepted).domain == accepted[2:]
    assert "254" in str(_refusal(f"a{accepted}"))
    assert "254" in str(_refusal(f"{'é' * 30}@{host}.{'ñ' * 10}.test"))


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000 + "a@x.test", '"\\"' * 50_000 + "@x.test", "a" * 100_000, "a" * 5000 + " <a@x.test>"],
)
def test_a_text_that_is_too_long_is_not_even_looked_at(text: str) -> None:
    """What is longer than any display form is refused by its length, and the message stays short."""
    error = _refusal(text)
    assert error.position == 2504
    assert len(str(error)) < 700


def test_the_longest_display_form_is_read() -> None:
    """A name of 998 quotes, each escaped, still parses."""
    quotes, few_quotes = quote('"' * 998), quote('"' * 31)
    name, parts = parse_mailbox(f"{quotes} <{few_quotes}@{'b' * 60}.test>")
    assert (len(name), len(parts.local_part)) == (998, 31)
    with pytest.raises(AddressError, match="998"):
        parse_mailbox(f"{'a' * 999} <a@x.test>")


def test_a_local_part_is_normalised() -> None:
    """A decomposed letter becomes the composed one (RFC 6532 §3.1), also within quotes."""
    assert parse_addr_spec("jose\u0301@x.test") == AddrSpec("josé", "josé", "x.test", "x.test")
    assert parse_addr_spec('"jose\u0301 m"@x.test').written_local_part == '"josé m"'
    assert parse_addr_spec('"a\u037eb"@x.test').written_local_part == '"a;b"'
    assert parse_addr_spec('"<\u0338"@x.test').written_local_part == "\u226e"


def test_no_normal_form_smuggles_a_special() -> None:
    """Of all characters beyond ASCII, only the one refused by name becomes special when it is normalised."""
    atext_or_dot = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+")
    smuggled = [
        character
        for character in map(chr, range(0x80, 0x110000))
        if any(part.isascii() and not atext_or_dot.fullmatch(part) for part in normalize("NFC", character))
    ]
    assert smuggled == ["\u037e"]


def test_a_name_without_quotes_is_plain_words() -> None:
    """Only words one space apart need no quotes, and nothing that looks encoded is left without them."""
    assert is_phrase("Ada Lovelace")
    assert is_phrase("日本語 太郎")
    assert not any(map(is_phrase, ["", " a", "a ", "a  b", "A.B.", ".", "a, b", "a@b", "=?utf-8?q?a?=", 'a"', "(a)"]))


def test_a_name_may_hold_whatever_prints() -> None:
    """check_name lets text pass, with blanks and format characters of Unicode, and no control character."""
    check_name("Doe, Jane <x>\u00a0\u2028\u200b")
    with pytest.raises(AddressError):
        check_name("\x1b[31m")


def test_plain_addresses_do_not_load_email_validator() -> None:
    """ASCII addresses, quoted ones and refusals among them, are parsed without importing email-validator."""
    code = """
import sys
from mailkit.address import Address
from mailkit.errors import AddressError

Address.parse("Ada <ada@example.com>")
Address.parse('"Doe, Jané" <"jane doe"@localhost>')
try:
    Address.parse("a@x_y.test")
except AddressError:
    print("email_validator" in sys.modules)
Address.parse("ada@faß.test")
print("email_validator" in sys.modules)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]
