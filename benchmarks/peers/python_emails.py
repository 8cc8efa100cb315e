"""python-emails: only its messages; it sends them through smtplib."""

from __future__ import annotations

import emails
from letters import AUTHOR, AUTHOR_NAME, Letter

from peers.standard_library import content_of

__all__ = ["message_bytes"]


def message_bytes(letter: Letter) -> bytes:
    """Build a letter, and write it."""
    message = emails.Message(
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        mail_from=(AUTHOR_NAME, AUTHOR),
        mail_to=list(letter.to),
    )
    if letter.attachment is not None:
        message.attach(filename="report.bin", data=content_of(letter.attachment))
    return message.as_bytes()
