"""The text of one mailbox, taken apart strictly (RFC 5321 §4.1.2, RFC 5322 §3.4, RFC 6531 §3.3).

A plain ASCII mailbox is matched by one regular expression. Everything else is scanned once, from left to
right, and what is international in it is judged by email-validator. Groups, source routes, comments, folding
and the other obsolete forms are refused: each has made two parsers disagree about who receives a message.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from mailkit.address_domain import (
    HOST,
    ONE_ADDRESS,
    check_last_label,
    parse_domain,
    refuse,
    refuse_character,
    validated,
)

__all__ = ["AddrSpec", "check_name", "is_phrase", "parse_addr_spec", "parse_mailbox", "quote"]

# RFC 5321 §4.5.3.1.1 and §4.5.3.1.3: a path has 256 octets at most, of which two are its angle brackets. That
# leaves the domain less than the 255 octets of §4.5.3.1.2, which so need no check of their own.
_MAX_LOCAL_PART = 64
_MAX_ADDR_SPEC = 254
_MAX_NAME = 998  # no header line is longer (RFC 5322 §2.1.1)
_MAX_TEXT = 2 * (_MAX_NAME + _MAX_ADDR_SPEC)  # the longest display form there is: all of it escaped

_ATEXT = r"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~"
# By what they leave out: a class that reaches up to U+10FFFF would take milliseconds to compile, at each import.
_ATEXT_UTF8 = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]'  # RFC 6531 §3.3
_DOT_ATOM = rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*"

_PLAIN_ADDR_SPEC = re.compile(rf"({_DOT_ATOM})@({HOST})")
_PLAIN_MAILBOX = re.compile(rf"([{_ATEXT}.]+(?: [{_ATEXT}.]+)*) ?<({_DOT_ATOM})@({HOST})>")
_DOT_STRING = re.compile(rf"{_ATEXT_UTF8}+(?:\.{_ATEXT_UTF8}+)*")
# Strict in what is written: RFC 5322 §4.1 reads dots in a phrase without quotes, and §3.2.5 writes none.
_PHRASE = re.compile(rf"{_ATEXT_UTF8}+(?: {_ATEXT_UTF8}+)*")

# C0 and DEL break lines or hide text; a surrogate alone has no UTF-8 form.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NOT_PHRASE = re.compile(r'[\x00-\x1f"(),:;<>@\[\\\]\x7f]')
# The Greek question mark is the one character beyond ASCII whose normal form (NFC) is special: a semicolon.
_NOT_LOCAL_PART = re.compile(r'[\x00-\x20"(),:;<>@\[\\\]\x7f\u037e]')
_QUOTED_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_ESCAPED_IN_QUOTES = re.compile(r'["\\]')
# Some parsers decode encoded words where RFC 2047 §5 forbids them, and then deliver to somebody else.
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[^?]*\?.*\?=")

_NO_COMMENT = "comments are not accepted, so leave it out or put the whole display name in double quotes"
_NO_GROUP = "groups are not accepted, so pass their members as a list"
_IN_PHRASE = {
    '"': 'put the whole display name in one pair of double quotes, and write \\" for a quote in it',
    ":": f"{_NO_GROUP}; or put the whole display name in double quotes",
    "(": _NO_COMMENT,
    ")": _NO_COMMENT,
}
_IN_LOCAL_PART = {
    " ": 'write Name <user@host>, or quote the local part: "john doe"@example.com',
    ",": ONE_ADDRESS,
    ";": ONE_ADDRESS,
    ":": _NO_GROUP,
    "(": _NO_COMMENT,
    ")": _NO_COMMENT,
    "<": "give the address without brackets here; Address.parse takes Name <user@host>",
    ">": "give an address before it: Name <user@host>",
}


class AddrSpec(NamedTuple):
    """The parts of one addr-spec, validated and normalised.

    Attributes:
        local_part: What the local part means, without quotes.
        written_local_part: How the local part is written: quoted only if it has to be.
        domain: The domain in Unicode, or an address literal.
        ascii_domain: The domain in A-labels, or an address literal.
    """

    local_part: str
    written_local_part: str
    domain: str
    ascii_domain: str


def quote(text: str) -> str:
    """Return `text` as a quoted-string with no more escapes than needed (RFC 5321 §4.1.2)."""
    return f'"{_ESCAPED_IN_QUOTES.sub(_escape, text)}"'


def is_phrase(name: str) -> bool:
    """Return whether a display name needs no quotes: words one space apart, none that looks encoded."""
    return _PHRASE.fullmatch(name) is not None and "=?" not in name


def check_name(name: str) -> None:
    """Refuse a display name that cannot stand in a header field.

    Raises:
        AddressError: It has a control character or a lone surrogate, or is longer than 998 characters.
    """
    if len(name) > _MAX_NAME:
        refuse(name, _MAX_NAME, f"the display name goes on after {_MAX_NAME} characters", "shorten it")
    if not name.isprintable():
        _check_characters(name)


def parse_mailbox(text: str) -> tuple[str, AddrSpec]:
    """Return the display name, ``""`` if there is none, and the addr-spec of ``Name <user@host>``.

    Raises:
        AddressError: It is not one mailbox; its `position` says where it stops being one.
    """
    if "<" not in text:
        return "", parse_addr_spec(text)
    if len(text) <= _MAX_NAME and (plain := _PLAIN_MAILBOX.fullmatch(text)):
        name, local_part, host = plain.groups()
        return name, _plain_addr_spec(text, plain.start(2), local_part, host)
    start, end = _printable_span(text)
    quoted = _QUOTED_STRING.match(text, start, end)
    if quoted is None:
        name, bracket = _parse_phrase(text, start)
    elif text.startswith("@", quoted.end()):
        return "", _parse_span(text, start, end)
    else:
        name, bracket = _QUOTED_PAIR.sub(r"\1", quoted[1]), quoted.end()
        while text.startswith(" ", bracket):
            bracket += 1
        if not text.startswith("<", bracket):
            refuse(text, bracket, "neither < nor @ follows the quoted text", _IN_PHRASE['"'])
    check_name(name)
    return name, _parse_span(text, bracket + 1, end, in_brackets=True)


def parse_addr_spec(text: str) -> AddrSpec:
    """Return the parts of ``user@host``, which may have spaces around it.

    Raises:
        AddressError: It is not one addr-spec; its `position` says where it stops being one.
    """
    if len(text) <= _MAX_NAME and (plain := _PLAIN_ADDR_SPEC.fullmatch(text)):
        return _plain_addr_spec(text, 0, *plain.groups())
    return _parse_span(text, *_printable_span(text))


def _plain_addr_spec(text: str, start: int, local_part: str, host: str) -> AddrSpec:
    domain = host.lower()
    _check_lengths(text, start, local_part, domain)
    if "=?" in local_part:
        _check_no_encoded_word(text, start, local_part)
    if domain[-1].isdigit():
        check_last_label(text, start + len(local_part) + 1, domain)
    return AddrSpec(local_part, local_part, domain, domain)


def _printable_span(text: str) -> tuple[int, int]:
    """Return where `text` begins and ends within its spaces, once nothing in it can break a line."""
    if len(text) > _MAX_TEXT:
        refuse(text, _MAX_TEXT, f"the text goes on after {_MAX_TEXT} characters", ONE_ADDRESS)
    _check_characters(text)
    start = len(text) - len(text.lstrip(" "))
    if start == len(text):
        refuse(text, start, "there is no address", "give user@host, or leave the field out")
    return start, len(text.rstrip(" "))


def _parse_phrase(text: str, start: int) -> tuple[str, int]:
    """Return the display name without quotes that begins at `start`, and where the < after it is."""
    bracket = text.index("<")
    if wrong := _NOT_PHRASE.search(text, start, bracket):
        several = wrong[0] in ",;" and "@" in text[start : wrong.start()]
        remedy = 'put a display name that has it in double quotes: "Doe, Jane" <jane@example.com>'
        refuse_character(text, wrong.start(), ONE_ADDRESS if several else _IN_PHRASE.get(wrong[0], remedy))
    return text[start:bracket].rstrip(" "), bracket


def _parse_span(text: str, start: int, end: int, *, in_brackets: bool = False) -> AddrSpec:
    """Parse the addr-spec in ``text[start:end]``; with `in_brackets`, a > ends it."""
    local_part, at = _parse_local_part(text, start, end)
    if in_brackets:
        closing = text.find(">", at, end)
        if closing < 0:
            refuse(text, end, "there is no > to close the bracket before the address", "write Name <user@host>")
        if closing + 1 < end:
            remedy = ONE_ADDRESS if text[closing + 1] in ",;" else "nothing may follow the address in brackets"
            refuse_character(text, closing + 1, remedy)
        end = closing
    local_part = unicodedata.normalize("NFC", local_part)  # RFC 6532 §3.1
    written = local_part if _DOT_STRING.fullmatch(local_part) else quote(local_part)
    _check_lengths(text, start, written, "")
    _check_no_encoded_word(text, start, local_part)
    if not local_part.isascii():
        _check_international(text, start, written)
    domain, ascii_domain = parse_domain(text, at + 1, end)
    _check_lengths(text, start, written, ascii_domain)
    return AddrSpec(local_part, written, domain, ascii_domain)


def _parse_local_part(text: str, start: int, end: int) -> tuple[str, int]:
    """Return what the local part that begins at `start` means, and where the @ after it is."""
    if text.startswith('"', start):
        quoted = _QUOTED_STRING.match(text, start, end)
        if quoted is None:
            refuse(text, start, "no quote closes the one", 'write it as "john doe"@example.com')
        local_part, at = _QUOTED_PAIR.sub(r"\1", quoted[1]), quoted.end()
        if not text.startswith("@", at):
            refuse(text, at, "no @ follows the quoted local part", 'write it as "john doe"@example.com')
    else:
        at = text.find("@", start, end)
        if wrong := _NOT_LOCAL_PART.search(text, start, end if at < 0 else at):
            remedy = _IN_LOCAL_PART.get(wrong[0], "put a local part that has it in double quotes")
            refuse_character(text, wrong.start(), remedy)
        if at < 0:
            refuse(text, end, "there is no @ before the end", "give the whole address: user@host")
        local_part = text[start:at]
        dots = f".{local_part}.".find("..")
        if local_part and dots >= 0:
            refuse_character(
                text, start + max(dots - 1, 0), "a dot in a local part needs text on both sides, or quotes"
            )
    if not local_part:
        refuse(text, start, "there is no local part", "give user@host; source routes are not accepted")
    return local_part, at


def _check_characters(text: str) -> None:
    if forbidden := _FORBIDDEN.search(text):
        refuse_character(text, forbidden.start(), "remove control characters and lone surrogates")


def _check_no_encoded_word(text: str, start: int, local_part: str) -> None:
    if _ENCODED_WORD.search(local_part):
        refuse(text, start, "there is an encoded word (RFC 2047) in the local part", "give the address decoded")


def _check_international(text: str, start: int, written_local_part: str) -> None:
    try:
        validated(f"{written_local_part}@x.test")
    except ValueError as error:
        remedy = f"give the mailbox name as its provider writes it ({error})"
        refuse(text, start, "the local part is no internationalised mailbox name", remedy, cause=error)


def _check_lengths(text: str, start: int, written_local_part: str, ascii_domain: str) -> None:
    octets = len(written_local_part.encode())
    if octets > _MAX_LOCAL_PART:
        problem = f"the local part has {octets} octets, more than the {_MAX_LOCAL_PART} of RFC 5321,"
        refuse(text, start, problem, "check the address")
    octets += 1 + len(ascii_domain)
    if octets > _MAX_ADDR_SPEC:
        problem = f"the address has {octets} octets, more than the {_MAX_ADDR_SPEC} of RFC 5321,"
        refuse(text, start, problem, "check the address")


def _escape(special: re.Match[str]) -> str:
    return f"\\{special[0]}"
