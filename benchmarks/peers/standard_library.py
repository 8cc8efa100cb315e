"""email and smtplib."""

from __future__ import annotations

import email.policy
import smtplib
from concurrent.futures import ThreadPoolExecutor
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr, formatdate, make_msgid
from pathlib import Path
from typing import TYPE_CHECKING

from letters import AUTHOR, AUTHOR_NAME, Letter
from stopwatch import Sample, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["content_of", "deliver", "email_message", "email_message_bytes", "multipart_bytes"]


def content_of(attachment: bytes | Path) -> bytes:
    """Return the whole file: no peer takes less than that."""
    return attachment.read_bytes() if isinstance(attachment, Path) else attachment


def email_message(letter: Letter) -> EmailMessage:
    """Build a letter with the modern API."""
    message = EmailMessage()
    message["From"] = Address(AUTHOR_NAME, addr_spec=AUTHOR)
    message["To"] = [Address(name, addr_spec=address) for name, address in letter.to]
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="example.com")
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    if letter.attachment is not None:
        message.add_attachment(
            content_of(letter.attachment), maintype="application", subtype="octet-stream", filename="report.bin"
        )
    return message


def email_message_bytes(letter: Letter) -> bytes:
    """Build a letter with the modern API, and write it."""
    return email_message(letter).as_bytes(policy=email.policy.SMTP)


def multipart_bytes(letter: Letter) -> bytes:
    """Build a letter with the old API, and write it."""
    body = MIMEMultipart("alternative")
    body.attach(MIMEText(letter.text))
    body.attach(MIMEText(letter.html, "html"))
    message = body
    if letter.attachment is not None:
        message = MIMEMultipart()
        message.attach(body)
        part = MIMEApplication(content_of(letter.attachment))
        part.add_header("Content-Disposition", "attachment", filename="report.bin")
        message.attach(part)
    message["From"] = formataddr((AUTHOR_NAME, AUTHOR))
    message["To"] = ", ".join(formataddr(person) for person in letter.to)
    message["Subject"] = Header(letter.subject)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="example.com")
    return message.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n"))


def deliver(port: int, warm: Sequence[Letter], letters: Sequence[Letter], *, connections: int = 1) -> Sample:
    """Send letters, built by EmailMessage, over open connections, each in a thread of its own."""
    clients = [smtplib.SMTP("127.0.0.1", port) for _ in range(connections)]

    def work(client: smtplib.SMTP, share: Sequence[Letter]) -> None:
        for letter in share:
            client.send_message(email_message(letter))

    try:
        work(clients[0], warm)
        watch = Stopwatch()
        if connections == 1:
            work(clients[0], letters)
        else:
            shares = [letters[start::connections] for start in range(connections)]
            with ThreadPoolExecutor(connections) as pool:
                list(pool.map(work, clients, shares))
        return watch.sample(len(letters))
    finally:
        for client in clients:
            client.quit()
