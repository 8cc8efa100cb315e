"""Command lines: what they look like, and that none ever becomes two."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address import Address
from mailkit.errors import AddressError, ConfigurationError, MailkitError, MessageError
from mailkit.smtp import commands

ANN = Address("ann@example.com")


def path_of(addr_spec: str) -> Any:
    """Something that claims to be an address, as no parser would let it through."""
    return SimpleNamespace(addr_spec=addr_spec)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (commands.ehlo("client.example.com"), b"EHLO client.example.com\r\n"),
        (commands.helo("client.example.com"), b"HELO client.example.com\r\n"),
        (commands.lhlo("[127.0.0.1]"), b"LHLO [127.0.0.1]\r\n"),
        (commands.starttls(), b"STARTTLS\r\n"),
        (commands.auth("LOGIN"), b"AUTH LOGIN\r\n"),
        (commands.auth("PLAIN", b"AGEAYg=="), b"AUTH PLAIN AGEAYg==\r\n"),
        (commands.auth("EXTERNAL", b"="), b"AUTH EXTERNAL =\r\n"),
        (commands.auth_response(b"YQ=="), b"YQ==\r\n"),
        (commands.auth_response(b""), b"\r\n"),
        (commands.auth_response(b"*"), b"*\r\n"),
        (commands.mail(None), b"MAIL FROM:<>\r\n"),
        (commands.mail(ANN), b"MAIL FROM:<ann@example.com>\r\n"),
        (commands.mail(ANN, size=0), b"MAIL FROM:<ann@example.com> SIZE=0\r\n"),
        (
            commands.mail(ANN, size=1_234, body="8BITMIME", smtputf8=True),
            b"MAIL FROM:<ann@example.com> SIZE=1234 BODY=8BITMIME SMTPUTF8\r\n",
        ),
        (
            commands.mail(ANN, ret="HDRS", envid="a b+c=d", auth="bob@example.com"),
            b"MAIL FROM:<ann@example.com> RET=HDRS ENVID=a+20b+2Bc+3Dd AUTH=bob@example.com\r\n",
        ),
        (commands.mail(ANN, auth="<>"), b"MAIL FROM:<ann@example.com> AUTH=<>\r\n"),
        (
            commands.mail(ANN, parameters={"REQUIRETLS": None, "MT-PRIORITY": "3"}),
            b"MAIL FROM:<ann@example.com> REQUIRETLS MT-PRIORITY=3\r\n",
        ),
        (commands.rcpt(ANN), b"RCPT TO:<ann@example.com>\r\n"),
        (
            commands.rcpt(ANN, notify=["SUCCESS", "DELAY", "SUCCESS"], orcpt="rfc822;a+b@example.com"),
            b"RCPT TO:<ann@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@example.com\r\n",
        ),
        (commands.rcpt(ANN, notify=("NEVER",)), b"RCPT TO:<ann@example.com> NOTIFY=NEVER\r\n"),
        (commands.data(), b"DATA\r\n"),
        (commands.bdat(10, last=False), b"BDAT 10\r\n"),
        (commands.bdat(0, last=True), b"BDAT 0 LAST\r\n"),
        (commands.rset(), b"RSET\r\n"),
        (commands.noop(), b"NOOP\r\n"),
        (commands.quit(), b"QUIT\r\n"),
    ],
)
def test_commands_look_as_the_rfcs_say(line: bytes, expected: bytes) -> None:
    """Verb, path and parameters stand in their order, and the line ends with CRLF."""
    assert line == expected


@pytest.mark.parametrize(
    ("email", "path"),
    [
        ('"a>b"@example.com', b'<"a>b"@example.com>'),
        ('"a b"@example.com', b'<"a b"@example.com>'),
        (r'"a\"<b"@example.com', rb'<"a\"<b"@example.com>'),
        ("ann@[192.0.2.1]", b"<ann@[192.0.2.1]>"),
        ("ann@[IPv6:2001:db8::1]", b"<ann@[IPv6:2001:db8::1]>"),
        ("jane@faß.test", b"<jane@xn--fa-hia.test>"),
        ("o'neil+tag=1%x!y@example.com", b"<o'neil+tag=1%x!y@example.com>"),
    ],
)
def test_a_path_ends_at_its_bracket(email: str, path: bytes) -> None:
    """Quoted local parts, literals and international domains stand in the path as one mailbox."""
    assert commands.rcpt(Address(email)) == b"RCPT TO:" + path + b"\r\n"


def test_utf8_goes_out_only_with_smtputf8() -> None:
    """A local part in UTF-8 needs SMTPUTF8 to be said; the domain is in A-labels either way."""
    joerg = Address("jörg@faß.test")
    assert commands.rcpt(joerg, smtputf8=True) == "RCPT TO:<jörg@xn--fa-hia.test>\r\n".encode()
    assert commands.mail(joerg, smtputf8=True) == "MAIL FROM:<jörg@xn--fa-hia.test> SMTPUTF8\r\n".encode()
    with pytest.raises(MessageError, match="SMTPUTF8"):
        commands.rcpt(joerg)
    with pytest.raises(MessageError, match="SMTPUTF8"):
        commands.mail(joerg)


@pytest.mark.parametrize(
    "addr_spec",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "a@b.c> SIZE=1",
        "a@b.c>\r\nRCPT TO:<evil@x.y",
        "a@b.c>\nRCPT TO:<evil@x.y",
        "a b@example.com",
        "a>b@example.com",
        '"a"b"@example.com',
        '"a\r\nb"@example.com',
        '"a\\"@example.com',
        "a@b@example.com",
        "@relay.example.com:a@example.com",
        "a@exam ple.com",
        "a@[1.2.3.4",
        "a@[1.2.3.4]>",
        "a\x85@example.com",
        "a..b@example.com",
    ],
)
def test_no_path_breaks_out(addr_spec: str) -> None:
    """Even something that passed no parser cannot put more than one mailbox between the brackets."""
    with pytest.raises(AddressError, match="cannot stand in an SMTP path"):
        commands.rcpt(path_of(addr_spec), smtputf8=True)
    with pytest.raises(AddressError, match="cannot stand in an SMTP path"):
        commands.mail(path_of(addr_spec), smtputf8=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": -1},
        {"size": True},
        {"body": "8BITMIME\r\nDATA"},
        {"ret": "FULL\r\nX"},
        {"envid": ""},
        {"envid": "a\r\nb"},
        {"envid": "ä"},
        {"envid": "x" * 101},
        {"auth": "a\r\nb"},
        {"parameters": {"SIZE": "1\r\nRCPT TO:<evil@evil.test>"}},
        {"parameters": {"SIZE=1\r\nRCPT TO:<evil@evil.test>": None}},
        {"parameters": {"": None}},
        {"parameters": {"-X": None}},
        {"parameters": {"X": ""}},
        {"parameters": {"X": "a b"}},
        {"parameters": {"X": "a=b"}},
        {"parameters": {"X": "a\x85b"}},
        {"parameters": {"X": "ä"}},
        {"parameters": {"X": "1", "x": "2"}},
        {"size": 5, "parameters": {"size": "6"}},
        {"parameters": {"X": "y" * 2_100}},
    ],
)
def test_malformed_parameters_of_mail_are_refused(arguments: dict[str, Any]) -> None:
    """No parameter of MAIL brings a control character, a space, a repetition or an endless line."""
    with pytest.raises(MessageError):
        commands.mail(ANN, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"notify": []},
        {"notify": ["NEVER", "DELAY"]},
        {"notify": ["NEVER\r\nDATA"]},
        {"orcpt": "a@example.com"},
        {"orcpt": "rfc822;"},
        {"orcpt": "rfc822;a@x.test\r\nDATA"},
        {"orcpt": "rf c822;a@x.test"},
        {"parameters": {"NOTIFY=NEVER\r\nDATA": None}},
        {"notify": ["NEVER"], "parameters": {"Notify": "DELAY"}},
    ],
)
def test_malformed_parameters_of_rcpt_are_refused(arguments: dict[str, Any]) -> None:
    """No parameter of RCPT brings a control character, a space, a repetition or a contradiction."""
    with pytest.raises(MessageError):
        commands.rcpt(ANN, **arguments)


def test_a_parameter_may_be_utf8_with_smtputf8() -> None:
    """RFC 6531 §3.3 lets parameter values hold UTF-8, but no lone surrogate."""
    line = commands.mail(ANN, smtputf8=True, parameters={"X": "ä"})
    assert line == "MAIL FROM:<ann@example.com> SMTPUTF8 X=ä\r\n".encode()
    with pytest.raises(MessageError, match="ud800"):
        commands.mail(ANN, smtputf8=True, parameters={"X": "\ud800"})


@pytest.mark.parametrize("size", [-1, True])
def test_a_chunk_has_a_size(size: int) -> None:
    """BDAT takes a whole number of bytes."""
    with pytest.raises(MessageError):
        commands.bdat(size, last=True)


@pytest.mark.parametrize("mechanism", ["", "plain", "PLAIN X", "PLAIN\r\nRCPT", "A" * 21])
def test_a_mechanism_is_one_word(mechanism: str) -> None:
    """AUTH takes no mechanism that is not a name."""
    with pytest.raises(ConfigurationError):
        commands.auth(mechanism)


@pytest.mark.parametrize("response", [b"a\r\nb", b"a b", b"**", b"a=b", b"\xff", b"hunter2!"])
def test_a_response_is_base64(response: bytes) -> None:
    """A response that is not base64 is refused, and the error does not show it."""
    for refuse in (lambda: commands.auth("PLAIN", response), lambda: commands.auth_response(response)):
        with pytest.raises(ConfigurationError) as caught:
            refuse()
        assert response.decode("latin-1") not in str(caught.value)


def test_long_lines_are_refused_without_showing_them() -> None:
    """An AUTH line of 12,288 bytes goes out, a longer one is refused, and its secret is not in the error."""
    assert len(commands.auth_response(b"A" * (commands.MAX_AUTH - 2))) == commands.MAX_AUTH
    for refuse in (
        lambda: commands.auth_response(b"SECRET" * 3_000),
        lambda: commands.auth("PLAIN", b"SECRET" * 3_000),
    ):
        with pytest.raises(ConfigurationError) as caught:
            refuse()
        assert "SECRET" not in str(caught.value)
        assert "12,288" in str(caught.value)


@pytest.mark.parametrize("byte", [*range(0x20), *range(0x7F, 0xA0)])
def test_the_encoder_itself_refuses_controls(byte: int) -> None:
    """The last check before the wire stands even where every check of values has been passed."""
    with pytest.raises(MessageError, match="cannot hold"):
        commands._line(MessageError, "NOOP", f"a{chr(byte)}b", utf8=True)


def test_the_longest_ordinary_command_fits() -> None:
    """Every parameter at its longest stays within the limit."""
    longest = Address(f"{'l' * 64}@{'.'.join(['d' * 61] * 3)}.com")
    line = commands.mail(
        longest, size=10**19, body="BINARYMIME", smtputf8=True, ret="FULL", envid="=" * 100, auth="+" * 254
    )
    assert 512 < len(line) <= commands.MAX_COMMAND


@given(value=st.text())
def test_xtext_reads_back(value: str) -> None:
    """Encoded text is visible ASCII without = and reads back; what cannot be encoded is refused."""
    try:
        encoded = commands.xtext(value)
    except MessageError:
        assert not value or not value.isascii() or not value.isprintable()
        return
    assert encoded.isascii()
    assert encoded.isprintable()
    assert " " not in encoded
    assert "=" not in encoded
    assert not set("<>") & set(encoded)  # nothing looks like the end of the path before it
    head, *tail = encoded.split("+")
    assert head + "".join(chr(int(part[:2], 16)) + part[2:] for part in tail) == value


@given(
    text=st.text(st.sampled_from('a>< "\\@.\r\n\0\x7f\x85;=+,ä\ud800:[]')),
    smtputf8=st.booleans(),
)
def test_every_command_is_one_line(text: str, *, smtputf8: bool) -> None:
    """Whatever stands where user data may stand, there is one line without control characters, or an error of ours."""
    for make in (
        lambda: commands.ehlo(text),
        lambda: commands.auth(text, text.encode("utf-8", "replace")),
        lambda: commands.auth_response(text.encode("utf-8", "replace")),
        lambda: commands.mail(path_of(text), smtputf8=smtputf8),
        lambda: commands.mail(ANN, smtputf8=smtputf8, envid=text),
        lambda: commands.mail(ANN, smtputf8=smtputf8, parameters={"X": text}),
        lambda: commands.mail(ANN, smtputf8=smtputf8, parameters={text: text}),
        lambda: commands.rcpt(path_of(text), smtputf8=smtputf8),
        lambda: commands.rcpt(ANN, smtputf8=smtputf8, orcpt=text),
        lambda: commands.rcpt(ANN, smtputf8=smtputf8, notify=[text]),  # type: ignore[list-item]
    ):
        try:
            line = make()
        except MailkitError:
            continue
        assert line.endswith(b"\r\n")
        assert not any(byte < 0x20 or byte == 0x7F for byte in line[:-2])
        assert smtputf8 or line.isascii()
