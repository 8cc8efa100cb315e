"""Fuzz the way in from the standard library's parser and the way out through our writer."""

from __future__ import annotations

import email
import email.policy
import re

from mailkit import Message, MessageError

SEEDS = (
    b"From: a@example.com\r\nTo: b@example.org\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\r\nHi\r\n",
    b"From: a@example.com\nBcc: b@c.org\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nHi\n--x--\n",
    b"Content-Type: text/plain; charset=nope\n\n\xff",
    b"Content-Type: text/plain; charset=\0\n\n\xff",
    b"From: a@example.com\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGI+aGk8L2I+\n",
)


_BARE_CR_OR_LF = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def one_input(data: bytes) -> None:
    """Read any bytes as a message; what can be taken in is written again as well-formed lines."""
    try:
        parsed = email.message_from_bytes(data, policy=email.policy.SMTP)
    except Exception:  # noqa: BLE001 - the library's own parser fails on some inputs; it is not what is fuzzed
        return
    try:
        message = Message.from_email_message(parsed)
        written = message.as_bytes()
    except MessageError:
        return
    assert not _BARE_CR_OR_LF.search(written)
    assert b"\0" not in written
    assert max(map(len, written.split(b"\r\n"))) <= 998
    head = written.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"(?im)^bcc:", head)
    assert Message.from_json(message.to_json()) == message
