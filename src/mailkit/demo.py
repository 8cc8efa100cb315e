"""``mailkit demo``: a real message over real SMTP on this machine, and a look at everything that happened."""

from __future__ import annotations

import asyncio
import struct
import zlib
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.mailer import AsyncMailer, Mailer
from mailkit.message import Message
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailkit.receipt import Receipt
    from mailkit.smtp import TranscriptLine
    from mailkit.testing import ReceivedMessage

__all__ = ["run_demo"]

USER, PASSWORD = "zoë@exämple.test", "pässwörd-42"


def run_demo(show: Callable[[str], None]) -> None:
    """Send one message with everything in it twice, by ``Mailer`` and by ``AsyncMailer``, and show what became of it.

    Args:
        show: Takes each line of the report.
    """
    with SMTPServer(tls="starttls", users={USER: PASSWORD}, hostname="mx.example.test") as server:

        def transport(lines: list[TranscriptLine]) -> SMTP:
            return SMTP(
                server.host,
                port=server.port,
                username=USER,
                password=PASSWORD,
                tls="starttls",
                ca_file=server.ca_file,
                transcript=lines.append,
            )

        show(f"A mail server is listening on {server.host}:{server.port}, with STARTTLS and AUTH.")
        _sync(transport, show)
        _async(transport, show)
        for number, received in enumerate(server.messages, start=1):
            show("")
            show(f"What arrived, {number} of {len(server.messages)}:")
            for line in _describe(received):
                show(f"  {line}")


def _sync(transport: Callable[[list[TranscriptLine]], SMTP], show: Callable[[str], None]) -> None:
    lines: list[TranscriptLine] = []
    with Mailer(transport(lines)) as mailer:
        receipt = mailer.send(_message("Mailer"))
    _report("Mailer.send", receipt, lines, show)


def _async(transport: Callable[[list[TranscriptLine]], SMTP], show: Callable[[str], None]) -> None:
    lines: list[TranscriptLine] = []

    async def send() -> Receipt:
        async with AsyncMailer(transport(lines)) as mailer:
            return await mailer.send(_message("AsyncMailer"))

    _report("await AsyncMailer.send", asyncio.run(send()), lines, show)


def _message(sender: str) -> Message:
    return Message(
        from_=Address("zoe@exämple.test", name=f"Zoë Ångström ({sender})"),
        to=["Bøb 日本 <bob@example.test>", "eve@bücher.test"],
        bcc="archive@example.test",
        subject=f"Grüße von {sender} — 你好 👋",
        text="Привет! The picture below is inline, the report is attached.\n.\nA line with a single dot survives.\n",
        html='<h1>Привет!</h1><p>Inline: <img src="cid:logo" alt="łogo"></p>',
        attachments=[
            Attachment.from_bytes(_png(), "łogo.png", "image/png", content_id="logo"),
            Attachment.from_text("näme;wért\nπ;3,14\n", "Bericht résumé 2026.csv", "text/csv"),
        ],
    )


def _report(call: str, receipt: Receipt, lines: list[TranscriptLine], show: Callable[[str], None]) -> None:
    show("")
    show(f"{call} said:")
    for line in lines:
        show(f"  {line}")
    show("")
    show("and returned the receipt:")
    show(f"  message_id   {receipt.message_id}")
    show(f"  transport    {receipt.transport}")
    show(f"  provider_id  {receipt.provider_id}")
    for result in receipt.recipients:
        show(f"  {result}")


def _describe(received: ReceivedMessage) -> Iterator[str]:
    """Read the message as any recipient would, with the standard library's parser."""
    message = BytesParser(policy=policy.default).parsebytes(received.data)
    yield f"envelope  {received.mail_from} -> {', '.join(received.rcpt_to)}"
    yield f"security  {received.tls}, authenticated as {received.user}"
    for name in ("From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID"):
        value = message[name]
        yield f"{name + ':':<12}{value if value is not None else '(none)'}"
    for part in message.walk():
        if part.is_multipart():
            yield f"{part.get_content_type()}"
            continue
        payload = part.get_payload(decode=True)
        size = len(payload) if isinstance(payload, bytes) else 0
        filename = part.get_filename()
        yield f"  {part.get_content_type()}, {size} bytes" + (
            f", {part.get_content_disposition()}: {filename}" if filename else ""
        )
        if part.get_content_maintype() == "text":
            for line in part.get_content().splitlines():
                yield f"    | {line}"


def _png(width: int = 16, height: int = 16) -> bytes:
    """Return a small picture: an envelope, by RFC 2083."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def dark(x: int, y: int) -> bool:
        return y in {3, height - 4} or x in {0, width - 1} or abs(x - width // 2) == (height - 4 - y)

    rows = b"".join(
        b"\0" + bytes(0x20 if 3 <= y <= height - 4 and dark(x, y) else 0xE0 for x in range(width))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
