"""Django's EmailMultiAlternatives and its SMTP backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from email.utils import formataddr
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend
from letters import AUTHOR, AUTHOR_NAME, Letter
from stopwatch import Sample, Stopwatch

from peers.standard_library import content_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["deliver", "message", "message_bytes"]

if not settings.configured:
    settings.configure(DEFAULT_CHARSET="utf-8", EMAIL_TIMEOUT=60)
    django.setup()


def message(letter: Letter) -> EmailMultiAlternatives:
    """Return a letter as one of Django's messages."""
    made = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        from_email=formataddr((AUTHOR_NAME, AUTHOR)),
        to=[formataddr(person) for person in letter.to],
    )
    made.attach_alternative(letter.html, "text/html")
    if letter.attachment is not None:
        made.attach("report.bin", content_of(letter.attachment), "application/octet-stream")
    return made


def message_bytes(letter: Letter) -> bytes:
    """Build a letter, and write it as the SMTP backend does."""
    return message(letter).message().as_bytes(linesep="\r\n")


def deliver(port: int, warm: Sequence[Letter], letters: Sequence[Letter], *, connections: int = 1) -> Sample:
    """Send letters through backends whose connections are open."""
    backends = [EmailBackend(host="127.0.0.1", port=port) for _ in range(connections)]

    def work(backend: EmailBackend, share: Sequence[Letter]) -> None:
        for letter in share:
            backend.send_messages([message(letter)])

    for backend in backends:
        backend.open()
    try:
        work(backends[0], warm)
        watch = Stopwatch()
        if connections == 1:
            work(backends[0], letters)
        else:
            shares = [letters[start::connections] for start in range(connections)]
            with ThreadPoolExecutor(connections) as pool:
                list(pool.map(work, backends, shares))
        return watch.sample(len(letters))
    finally:
        for backend in backends:
            backend.close()
