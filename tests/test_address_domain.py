from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address_domain import HOST, parse_domain, refuse
from mailkit.errors import AddressError


def _parse(domain: str) -> tuple[str, str]:
    text = f"a@{domain}"
    return parse_domain(text, 2, len(text))


@pytest.mark.parametrize(
    ("domain", "unicode_form", "ascii_form"),
    [
        ("x.test", "x.test", "x.test"),
        ("X-Y.TEST", "x-y.test", "x-y.test"),
        ("1.test", "1.test", "1.test"),
        ("localhost", "localhost", "localhost"),
        ("mail", "mail", "mail"),
        ("printer.local", "printer.local", "printer.local"),
        ("x.invalid", "x.invalid", "x.invalid"),
        ("drücker.local", "drücker.local", "drücker.local".encode("idna").decode()),
        ("faß.test", "faß.test", "xn--fa-hia.test"),
        ("FAẞ.test", "faß.test", "xn--fa-hia.test"),
        ("fass.test", "fass.test", "fass.test"),
        ("XN--FA-HIA.test", "faß.test", "xn--fa-hia.test"),
        ("例え。test", "例え.test", "xn--r8jz45g.test"),
        ("x\u3002test", "x.test", "x.test"),
        ("\u212a.test", "k.test", "k.test"),
        ("cafe\u0301.test", "café.test", "xn--caf-dma.test"),
        ("אב.test", "אב.test", "xn--4dbc.test"),
        ("[192.0.2.1]", "[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:DB8:0:0::1]", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("[ipv6:::1]", "[IPv6:::1]", "[IPv6:::1]"),
    ],
)
def test_a_domain_is_normalised(domain: str, unicode_form: str, ascii_form: str) -> None:
    """Case, width, dots and A-labels are brought to one form in Unicode and one for the wire (UTS #46)."""
    assert _parse(domain) == (unicode_form, ascii_form)


@pytest.mark.parametrize(
    ("domain", "position", "says"),
    [
        ("", 2, "empty label"),
        (".test", 2, "empty label"),
        ("x..test", 4, "empty label"),
        ("x.test.", 9, "empty label"),
        ("-x.test", 2, "hyphen"),
        ("x.y-.test", 4, "hyphen"),
        ("ab--c.test", 2, "reserved form"),
        ("xn--.test", 2, "hyphen"),
        (f"{'b' * 64}.test", 2, "63 octets"),
        ("x_y.test", 3, "letters, digits and hyphens"),
        ("x.test/y", 8, "letters, digits and hyphens"),
        ("192.0.2.1", 2, "[192.0.2.1]"),
        ("\uff11\uff12\uff17.0.0.\uff11", 2, "[192.0.2.1]"),
        ("xn--x-0314.test", 2, "internationalised"),
        ("xn--\u00df.test", 2, "internationalised"),
        ("com\u00adpany.test", 2, "SOFT HYPHEN"),
        ("x\u200b.test", 2, "internationalised"),
        ("例え。", 2, "internationalised"),
        ("\u0338x.test", 2, "internationalised"),
        ("1.אב", 2, "internationalised"),
        (f"{'例' * 60}.test", 2, "internationalised"),
        ("例" * 2000, 2, "internationalised"),
        ("[192.0.2.1", 2, "does not end with ]"),
        ("[192.0.2.1]x", 2, "does not end with ]"),
        ("[192.0.2.256]", 2, "no IP address"),
        ("[192.0.02.1]", 2, "no IP address"),
        ("[::1]", 2, "no IP address"),
        ("[IPv6:::g]", 2, "no IP address"),
        ("[tag:x]", 2, "no IP address"),
        ("[]", 2, "no IP address"),
        ("[", 2, "does not end with ]"),
        ("[IPv6:fe80::1%a>b]", 15, "unexpected '%'"),
        ("[192.0.2.1] [x]", 12, "unexpected ']'"),
    ],
)
def test_what_is_no_domain_is_refused_where_it_is_wrong(domain: str, position: int, says: str) -> None:
    """The error points at the label or the character that no domain can have."""
    with pytest.raises(AddressError) as caught:
        _parse(domain)
    assert caught.value.position == position
    assert says in str(caught.value)


@given(st.text(max_size=70), st.text("xn-ab019.é。ßא١\u200d\u0301", max_size=20))
def test_a_domain_is_safe_on_the_wire_or_refused(anything: str, confusing: str) -> None:
    """Whatever is accepted is letters, digits and hyphens on the wire, and is its own normal form."""
    for domain in (anything, confusing, f"xn--{confusing}", f"{confusing}.xn--{anything}.test"):
        try:
            unicode_form, ascii_form = _parse(domain)
        except AddressError:
            continue
        assert re.fullmatch(r"[a-z0-9.-]+|\[[A-Za-z0-9.:]+\]", ascii_form)
        assert _parse(unicode_form) == _parse(ascii_form) == (unicode_form, ascii_form)


def test_the_host_pattern_leaves_reserved_labels_to_idna() -> None:
    """HOST matches plain host names in any case, and no label with hyphens in third and fourth place."""
    host = re.compile(HOST)
    assert host.fullmatch("Mail-1.example.COM")
    assert not any(map(host.fullmatch, ["xn--fa-hia.test", "x.ab--c", "x.", "-x", "x-", "é", "x_y", ""]))


def test_a_refusal_keeps_the_whole_text_and_shows_its_beginning() -> None:
    """The error's value is the text itself; the message repeats no more than its first 100 characters."""
    text = "a" * 100 + "SECOND"
    with pytest.raises(AddressError) as caught:
        refuse(text, 3, "it is wrong", "correct it")
    assert caught.value.value == text
    assert "SECOND" not in str(caught.value)
    assert str(caught.value).endswith("is not valid: it is wrong at position 3; correct it")
