"""mailkit, sync and async, message by message and as a stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from letters import AUTHOR, AUTHOR_NAME, Letter
from stopwatch import Sample, Stopwatch

from mailkit import Address, AsyncMailer, Attachment, Mailer, Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["deliver", "deliver_async", "message", "message_bytes"]

_AUTHOR = f"{AUTHOR_NAME} <{AUTHOR}>"


def message(letter: Letter) -> Message:
    """Build a letter."""
    attachment = letter.attachment
    attached: tuple[Attachment, ...] = ()
    if isinstance(attachment, Path):
        attached = (Attachment.from_path(attachment, filename="report.bin"),)
    elif attachment is not None:
        attached = (Attachment.from_bytes(attachment, "report.bin"),)
    return Message(
        from_=_AUTHOR,
        to=[Address(address, name=name) for name, address in letter.to],
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        attachments=attached,
    )


def message_bytes(letter: Letter) -> bytes:
    """Build a letter, and write it."""
    return message(letter).as_bytes()


def _messages(share: Sequence[Letter]) -> Iterator[Message]:
    return (message(letter) for letter in share)


def deliver(
    port: int,
    warm: Sequence[Letter],
    letters: Sequence[Letter],
    *,
    connections: int = 1,
    stream: bool = False,
    parameters: str = "",
) -> Sample:
    """Send letters with Mailer: one by one, or with `stream` through send_many."""
    with Mailer(f"smtp://127.0.0.1:{port}{parameters}", timeout=60.0) as mailer:
        for letter in warm:
            mailer.send(message(letter))
        watch = Stopwatch()
        if stream:
            assert all(outcome.ok for outcome in mailer.send_many(_messages(letters), connections=connections))
        else:
            for letter in letters:
                mailer.send(message(letter))
        return watch.sample(len(letters))


async def deliver_async(
    port: int,
    warm: Sequence[Letter],
    letters: Sequence[Letter],
    *,
    connections: int = 1,
    stream: bool = False,
    parameters: str = "",
) -> Sample:
    """Send letters with AsyncMailer: one by one, or with `stream` through send_many."""
    async with AsyncMailer(f"smtp://127.0.0.1:{port}{parameters}", timeout=60.0) as mailer:
        for letter in warm:
            await mailer.send(message(letter))
        watch = Stopwatch()
        if stream:
            async for outcome in mailer.send_many(_messages(letters), connections=connections):
                assert outcome.ok
        else:
            for letter in letters:
                await mailer.send(message(letter))
        return watch.sample(len(letters))
