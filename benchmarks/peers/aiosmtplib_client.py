"""aiosmtplib, with messages of the standard library."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiosmtplib
from stopwatch import Sample, Stopwatch

from peers.standard_library import email_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from letters import Letter

__all__ = ["deliver"]


async def deliver(port: int, warm: Sequence[Letter], letters: Sequence[Letter], *, connections: int = 1) -> Sample:
    """Send letters, built by EmailMessage, over open connections, each by a task of its own."""
    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(connections)]

    async def work(client: aiosmtplib.SMTP, share: Sequence[Letter]) -> None:
        for letter in share:
            await client.send_message(email_message(letter))

    await asyncio.gather(*(client.connect() for client in clients))
    try:
        await work(clients[0], warm)
        watch = Stopwatch()
        shares = [letters[start::connections] for start in range(connections)]
        await asyncio.gather(*map(work, clients, shares))
        return watch.sample(len(letters))
    finally:
        for client in clients:
            await client.quit()
