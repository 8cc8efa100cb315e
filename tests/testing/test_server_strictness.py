"""SMTPServer as a judge: what a client must not send is noticed, and what it may send is not."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailkit.testing import SMTPServer
from mailkit.testing.content import broken_rules
from mailkit.testing.grammar import BadArgument, UnsupportedParameter, parse_bdat, parse_path
from mailkit.testing.reader import BareLineFeed, LineTooLong, Reader

if TYPE_CHECKING:
    from tests.testing.conftest import Connect

EVERYTHING = frozenset(
    [
        "SIZE",
        "8BITMIME",
        "BINARYMIME",
        "SMTPUTF8",
        "DSN",
        "AUTH",
        "REQUIRETLS",
        "MT-PRIORITY",
        "DELIVERBY",
        "FUTURERELEASE",
    ]
)


def rules(server: SMTPServer) -> list[str]:
    """Name the rules that were broken."""
    return [violation.rule for violation in server.violations]


@pytest.mark.parametrize("line", [b"NOOP\n", b"\n", b"NO\nOP\r\n", b"MAIL FROM:<a@x.test>\nRCPT TO:<b@x.test>\r\n"])
def test_a_bare_line_feed_in_a_command_ends_the_connection(connect: Connect, line: bytes) -> None:
    """As Postfix does when told to, the server answers 521 and closes."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(line)
        assert client.reply() == b"521 5.5.2 Bare <LF> received, closing\r\n"
        assert client.rest() == b""
        assert rules(server) == ["bare-lf-in-command"]
        assert server.violations[0].connection == 1


@pytest.mark.parametrize("line", [b"NOOP " + b"x" * 2044 + b"\r\n", b"x" * 100_000])
def test_an_endless_command_ends_the_connection(connect: Connect, line: bytes) -> None:
    """A line beyond the limit gets 500 whether or not its end ever comes; one at the limit is read."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        assert client.ask(b"NOOP " + b"x" * 2043).startswith(b"250")
        client.send(line)
        assert client.reply() == b"500 5.5.2 Line too long\r\n"
        assert client.rest() == b""
        assert rules(server) == ["command-too-long"]
        assert len(server.violations[0].detail) == 200


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"NOOP \xff", "non-ascii-command"),
        (b"EHLO h\xc3\xb6he.test", "non-ascii-command"),
        (b"NOOP a\0b", "bad-command-syntax"),
        (b"NOOP a\rb", "bad-command-syntax"),
        (b"MAIL FROM:<a@x.test>\x7f", "bad-command-syntax"),
        (b"MAIL FROM:<\xff@x.test> SMTPUTF8", "bad-command-syntax"),
        (b"MAIL FROM: <a@x.test>", "bad-command-syntax"),
        (b"MAIL FROM:<a@x.test> NOSUCH=1", "parameter-not-offered"),
        (b"BDAT x", "bad-command-syntax"),
    ],
)
def test_malformed_commands_are_refused_and_recorded(connect: Connect, line: bytes, rule: str) -> None:
    """Each gets a 5xx reply, and the rule that it broke is named."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        assert client.ask(line).startswith(b"5")
        assert rules(server) == [rule]


def test_recipients_are_parsed_as_strictly(connect: Connect) -> None:
    """A malformed RCPT gets 501 and is recorded."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.ask("MAIL FROM:<>")
        assert client.ask("RCPT TO:<>").startswith(b"501")
        assert rules(server) == ["bad-command-syntax"]


@pytest.mark.parametrize("command", [b"EHLO c.example", b"NOOP", b"VRFY x", b"EXPN x", b"DATA", b"AUTH PLAIN"])
def test_some_commands_must_come_last_in_a_group(connect: Connect, command: bytes) -> None:
    """Bytes behind such a command, sent before its answer, are a violation; the commands still work."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(command + b"\r\nRSET\r\n")
        client.codes(2)
        assert rules(server) == ["not-last-in-group"]


def test_content_that_does_not_wait_for_the_354_is_a_violation(connect: Connect) -> None:
    """A body in the same group as its DATA is taken, and recorded as what must not be done."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\nhi\r\n.\r\n")
        assert client.codes(4) == [250, 250, 354, 250]
        assert rules(server) == ["not-last-in-group"]
        assert server.messages[0].data == b"hi\r\n"


def test_pipelining_needs_the_offer(connect: Connect) -> None:
    """Grouped commands are a violation where PIPELINING is left out; a chunk behind its BDAT is none."""
    with SMTPServer(without=["PIPELINING"]) as server:
        client = connect(server)
        client.hello()
        client.ask("MAIL FROM:<>")
        client.ask("RCPT TO:<a@x.test>")
        client.send(b"BDAT 2 LAST\r\n\r\n")
        client.code()
        assert rules(server) == []
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\n")
        assert client.codes(2) == [250, 250]
        assert rules(server) == ["pipelining-not-offered"]


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        (b"fine\r\n", "", []),
        (b"bare\nlf\r\n", "", ["bare-lf-in-data"]),
        (b"\nbare\r\n", "", ["bare-lf-in-data"]),
        (b"bare\rcr\r\n", "", ["bare-cr-in-data"]),
        (b"nul\0\r\n", "", ["nul-in-data"]),
        (b"\xc3\xb6\r\n", "", ["8bit-without-8bitmime"]),
        (b"\xc3\xb6\r\n", "BODY=8BITMIME", []),
        (b"\xc3\xb6\r\n", "SMTPUTF8", []),
        (b"x" * 998 + b"\r\n", "", []),
        (b"x\r\n" * 400 + b"y" * 999 + b"\r\n", "", ["data-line-too-long"]),
        (b"x" * 1001, "", ["data-line-too-long"]),
        (b"\n\0\r\xff" + b"x" * 2000, "BODY=BINARYMIME", []),
    ],
)
def test_content_is_judged_by_what_the_envelope_promised(
    connect: Connect, data: bytes, options: str, expected: list[str]
) -> None:
    """Bare line ends, NUL, 8-bit octets and long lines are violations unless the envelope announced them."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        client.send(
            b"MAIL FROM:<> %b\r\nRCPT TO:<a@x.test>\r\n" % options.encode()
            if options
            else b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\n"
        )
        client.send(b"BDAT %d LAST\r\n" % len(data) + data)
        assert client.codes(3) == [250, 250, 250]
        assert rules(server) == expected
        assert server.messages[0].data == data


@given(st.lists(st.sampled_from([b"x", b"\r\n", b"\n", b"\r", b"y" * 400]), max_size=12).map(b"".join))
@settings(max_examples=200)
def test_broken_rules_agree_with_a_slow_look_at_each_line(data: bytes) -> None:
    """The leaping search finds exactly what splitting into lines finds."""
    found = [rule for rule, _ in broken_rules(data, eight_bit=False, binary=False)]
    rest = data.replace(b"\r\n", b"")
    long_line = any(len(line) + 1 > 1000 for line in data.split(b"\n")[:-1]) or len(data.split(b"\n")[-1]) > 1000
    assert ("bare-lf-in-data" in found) == (b"\n" in rest)
    assert ("bare-cr-in-data" in found) == (b"\r" in rest)
    assert ("data-line-too-long" in found) == long_line


class Feed:
    """Pieces of input for a reader."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        self.pieces = [data[start:end] for start, end in itertools.pairwise(edges)]

    def __call__(self, _between: bool) -> bytes:
        """Return the next piece."""
        return self.pieces.pop(0)


LINES = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x", b"\n.\n", b"\r.\r", b"x.", b"\0"]), max_size=8)


@given(LINES, st.lists(st.integers(0, 200), max_size=12))
@settings(max_examples=300)
def test_content_is_cut_and_unstuffed_wherever_the_reads_end(lines: list[bytes], cuts: list[int]) -> None:
    """However the bytes are cut, the content before the dot comes out unstuffed, and what follows is left."""
    stuffed = b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)
    reader = Reader(Feed(b"DATA\r\n" + stuffed + b".\r\nNOOP\r\n", cuts), lambda _: None)
    assert reader.line(100) == b"DATA"
    content = reader.until_dot(10_000)
    assert content.data == b"".join(line + b"\r\n" for line in lines)
    assert content.size == len(stuffed)
    assert not content.unstuffed_dot
    assert reader.line(100) == b"NOOP"
    assert not reader.pending


@given(st.integers(0, 50), st.integers(0, 60), st.lists(st.integers(0, 200), max_size=12))
@settings(max_examples=200)
def test_chunks_and_limits_do_not_depend_on_the_cuts(size: int, limit: int, cuts: list[int]) -> None:
    """A chunk is exactly its octets, or nothing beyond the limit; the next line follows it."""
    chunk = bytes(range(size))
    seen: list[int] = []
    reader = Reader(Feed(b"BDAT\r\n" + chunk + b"NOOP\r\n", cuts), seen.append)
    assert reader.line(100) == b"BDAT"
    content = reader.exactly(size, limit)
    assert content == (chunk if size <= limit else b"", size, False)
    assert seen[-1] == size
    assert seen == sorted(seen)
    assert reader.line(100) == b"NOOP"


@given(st.integers(0, 40), st.lists(st.integers(0, 200), max_size=6))
def test_oversized_content_is_counted_and_not_kept(limit: int, cuts: list[int]) -> None:
    """Content beyond the limit comes out empty with its true size, wherever the reads end."""
    wire = b"0123456789\r\n" * 3
    reader = Reader(Feed(wire + b".\r\nNOOP\r\n", cuts), lambda _: None)
    content = reader.until_dot(limit)
    assert content.size == len(wire)
    assert content.data == (wire if len(wire) <= limit else b"")
    assert reader.line(100) == b"NOOP"


def test_bad_lines_tell_what_they_were() -> None:
    """The exceptions of the reader hold the line or its beginning."""
    with pytest.raises(BareLineFeed) as bare:
        Reader(Feed(b"a\nb\r\n", []), lambda _: None).line(10)
    assert bare.value.line == b"a\n"
    with pytest.raises(LineTooLong) as long:
        Reader(Feed(b"0123456789abc\r\n", []), lambda _: None).line(10)
    assert long.value.line == b"0123456789"


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        ("FROM:<>", "", {}),
        ("from:<a@x.test>", "a@x.test", {}),
        ('FROM:<"a b"@x.test>', '"a b"@x.test', {}),
        (r'FROM:<"a\"<>,b"@x.test>', r'"a\"<>,b"@x.test', {}),
        ("FROM:<a.b+c@[192.0.2.1]>", "a.b+c@[192.0.2.1]", {}),
        ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", {}),
        ("FROM:<ö@höhe.test> SMTPUTF8", "ö@höhe.test", {"SMTPUTF8": None}),
        ("FROM:<a@x> size=10 body=8bitmime", "a@x", {"SIZE": "10", "BODY": "8bitmime"}),
        ("FROM:<a@x> RET=HDRS ENVID=q+2B1", "a@x", {"RET": "HDRS", "ENVID": "q+2B1"}),
        ("FROM:<a@x> AUTH=<>", "a@x", {"AUTH": "<>"}),
        ("FROM:<a@x> REQUIRETLS MT-PRIORITY=-3", "a@x", {"REQUIRETLS": None, "MT-PRIORITY": "-3"}),
        ("FROM:<a@x> BY=120;RT HOLDFOR=60", "a@x", {"BY": "120;RT", "HOLDFOR": "60"}),
        ("FROM:<a@x> HOLDUNTIL=2026-11-24T00:00:00Z", "a@x", {"HOLDUNTIL": "2026-11-24T00:00:00Z"}),
    ],
)
def test_reverse_paths_that_the_grammar_allows(argument: str, address: str, parameters: dict[str, str | None]) -> None:
    """Address and parameters come out as they were written."""
    path = parse_path("MAIL", argument.encode(), EVERYTHING)
    assert (path.address, path.parameters) == (address, parameters)


@pytest.mark.parametrize(
    ("argument", "parameters"),
    [
        ("TO:<Postmaster>", {}),
        ("TO:<a@x> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x", {"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;a+2Bb@x"}),
        ("TO:<a@x> ORCPT=utf-8;ö@x", {"ORCPT": "utf-8;ö@x"}),
    ],
)
def test_forward_paths_that_the_grammar_allows(argument: str, parameters: dict[str, str | None]) -> None:
    """RCPT knows Postmaster without a domain, and the parameters of DSN."""
    assert parse_path("RCPT", argument.encode(), EVERYTHING).parameters == parameters


@pytest.mark.parametrize(
    ("verb", "argument"),
    [
        ("MAIL", "FROM:"),
        ("MAIL", "FROM:a@x.test"),
        ("MAIL", "FROM: <a@x.test>"),
        ("MAIL", "FROM:<a@x.test"),
        ("MAIL", "FROM:<a@x.test>>"),
        ("MAIL", "FROM:<a@x.test>SIZE=3"),
        ("MAIL", "FROM:<a@x.test>  SIZE=3"),
        ("MAIL", "FROM:<a@x.test> "),
        ("MAIL", "FROM:<a@>"),
        ("MAIL", "FROM:<@x.test>"),
        ("MAIL", "FROM:<a b@x.test>"),
        ("MAIL", "FROM:<a..b@x.test>"),
        ("MAIL", "FROM:<.a@x.test>"),
        ("MAIL", "FROM:<a@x..test>"),
        ("MAIL", "FROM:<a@-x.test>"),
        ("MAIL", "FROM:<@y.test:a@x.test>"),
        ("MAIL", "FROM:<postmaster>"),
        ("MAIL", "TO:<a@x.test>"),
        ("MAIL", "FROM:<a@x> SIZE"),
        ("MAIL", "FROM:<a@x> SIZE=x"),
        ("MAIL", "FROM:<a@x> SIZE=1 SIZE=1"),
        ("MAIL", "FROM:<a@x> SMTPUTF8=1"),
        ("MAIL", "FROM:<a@x> BODY=9BIT"),
        ("MAIL", "FROM:<a@x> ENVID=a+2b"),
        ("MAIL", "FROM:<a@x> RET=ALL"),
        ("MAIL", "FROM:<a@x> -X"),
        ("RCPT", "TO:<>"),
        ("RCPT", "TO:<a@x> NOTIFY=NEVER,DELAY"),
        ("RCPT", "TO:<a@x> ORCPT=a@x"),
    ],
)
def test_paths_that_the_grammar_forbids(verb: str, argument: str) -> None:
    """Each gets 501, and is no UnsupportedParameter."""
    with pytest.raises(BadArgument, match=r"^501 5\.") as caught:
        parse_path(verb, argument.encode(), EVERYTHING)
    assert type(caught.value) is BadArgument


@pytest.mark.parametrize(
    ("verb", "argument", "offered"),
    [
        ("MAIL", "FROM:<a@x> SIZE=1", EVERYTHING - {"SIZE"}),
        ("MAIL", "FROM:<a@x> BODY=BINARYMIME", EVERYTHING - {"BINARYMIME"}),
        ("MAIL", "FROM:<a@x> NOTIFY=NEVER", EVERYTHING),
        ("RCPT", "TO:<a@x> SIZE=1", EVERYTHING),
        ("RCPT", "TO:<a@x> NOTIFY=NEVER", frozenset()),
    ],
)
def test_parameters_need_their_extension(verb: str, argument: str, offered: frozenset[str]) -> None:
    """A parameter that nobody offered gets 555 (RFC 5321 §4.1.1.11)."""
    with pytest.raises(UnsupportedParameter, match=r"^555 5\.5\.4"):
        parse_path(verb, argument.encode(), offered)


def test_the_size_of_a_chunk() -> None:
    """BDAT takes a number, and LAST after one space."""
    assert parse_bdat(b"0") == (0, False)
    assert parse_bdat(b"12 last") == (12, True)
    for argument in (b"", b"-1", b"1 LAST ", b"1  LAST", b"1 FIRST", b"1" * 21):
        with pytest.raises(BadArgument):
            parse_bdat(argument)
