"""How three parsers that know nothing of each other read a message: two of the standard library's, and one in Rust."""

from __future__ import annotations

import email.policy
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses
from typing import Any

import fast_mail_parser

__all__ = ["PARSERS", "bodies", "files", "names", "part_counts", "senders", "subjects"]

PARSERS = 3


def _old(raw: bytes) -> Any:
    return message_from_bytes(raw, policy=email.policy.compat32)


def _new(raw: bytes) -> Any:
    return message_from_bytes(raw, policy=email.policy.default)


def _decoded(text: str) -> str:
    return str(make_header(decode_header(text.replace("\r\n", ""))))


def names(raw: bytes) -> list[list[str]]:
    """Return the names of all header fields, those of the parts included, in lower case and order."""
    trees = [[name.lower() for part in parse(raw).walk() for name in part.keys()] for parse in (_old, _new)]  # noqa: SIM118 - no dict
    rust = [
        name.lower() for part in fast_mail_parser.walk(fast_mail_parser.parse_email_tree(raw)) for name in part.headers
    ]
    return [*map(sorted, trees), sorted(rust)]


def part_counts(raw: bytes) -> list[int]:
    """Return how many parts there are."""
    rust = fast_mail_parser.walk(fast_mail_parser.parse_email_tree(raw))
    return [len(list(_old(raw).walk())), len(list(_new(raw).walk())), len(list(rust))]


def subjects(raw: bytes) -> list[str]:
    """Return the subject."""
    return [_decoded(_old(raw)["Subject"]), str(_new(raw)["Subject"]), fast_mail_parser.parse_email(raw).subject]


def senders(raw: bytes) -> list[list[tuple[str, str]]]:
    """Return the mailboxes of From, as names and addresses."""
    old = [(_decoded(name), address) for name, address in getaddresses([_old(raw)["From"].replace("\r\n", "")])]
    new = [(found.display_name, found.addr_spec) for found in _new(raw)["From"].addresses]
    rust = fast_mail_parser.parse_email(raw).from_
    return [old, new, [(rust.display_name or "", rust.address)]]


def bodies(raw: bytes) -> list[str]:
    """Return the text, its line ends as LF."""
    found = [
        next(part for part in parse(raw).walk() if part.get_content_type() == "text/plain")
        .get_payload(decode=True)
        .decode()
        for parse in (_old, _new)
    ]
    # The parser in Rust takes a byte order mark for none of the text; it is put back to compare the rest.
    rust = fast_mail_parser.parse_email(raw).text_plain[0]
    found.append("\ufeff" + rust if found[0].startswith("\ufeff") else rust)
    return [text.replace("\r\n", "\n").replace("\r", "\n") for text in found]


def files(raw: bytes) -> list[list[tuple[str | None, bytes]]]:
    """Return the attachments: their names and bytes."""
    found: list[list[tuple[str | None, bytes]]] = []
    for parse in (_old, _new):
        _, *parts = [part for part in parse(raw).walk() if not part.is_multipart()]
        found.append([(part.get_filename(), part.get_payload(decode=True)) for part in parts])
    found.append([(one.filename, one.content) for one in fast_mail_parser.parse_email(raw).attachments])
    return found
