"""smtpproto's anyio client, with messages of the standard library."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
from smtpproto.client import AsyncSMTPClient, AsyncSMTPSession
from stopwatch import Sample, Stopwatch

from peers.standard_library import email_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from letters import Letter

__all__ = ["deliver"]


async def deliver(port: int, warm: Sequence[Letter], letters: Sequence[Letter], *, connections: int = 1) -> Sample:
    """Send letters, built by EmailMessage, over open sessions, each by a task of its own."""

    async def work(session: AsyncSMTPSession, share: Sequence[Letter]) -> None:
        for letter in share:
            await session.send_message(email_message(letter))

    async with AsyncExitStack() as stack:
        client = AsyncSMTPClient("127.0.0.1", port)
        sessions = [await stack.enter_async_context(client.connect()) for _ in range(connections)]
        await work(sessions[0], warm)
        watch = Stopwatch()
        async with anyio.create_task_group() as group:
            for start, session in enumerate(sessions):
                group.start_soon(work, session, letters[start::connections])
        return watch.sample(len(letters))
