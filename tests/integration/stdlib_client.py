"""smtplib sessions, by which the servers are tried out before mailkit is."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

__all__ = ["CONTENT", "HOST", "SENDER", "encrypted", "session"]

SENDER = "ada@example.test"
CONTENT = b"From: ada@example.test\r\nSubject: hello\r\n\r\nFirst line\r\n.a dot\r\n"
HOST = "127.0.0.1"


def session(port: int) -> smtplib.SMTP:
    """A session with a server, greeted."""
    client = smtplib.SMTP(HOST, port, local_hostname="client.example.test", timeout=20)
    client.ehlo()
    return client


def encrypted(port: int, context: ssl.SSLContext) -> smtplib.SMTP:
    """A session after STARTTLS."""
    client = session(port)
    client.starttls(context=context)
    client.ehlo()
    return client
