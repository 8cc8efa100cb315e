"""A connection that has shaken hands: it delivers message after message until something is wrong with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mailkit.errors import MailkitError
from mailkit.smtp import commands
from mailkit.smtp.delivery import Delivered, Delivery
from mailkit.smtp.engine import Awaited, Expected

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.envelope import Envelope
    from mailkit.smtp.content import Content
    from mailkit.smtp.conversation import Conversation
    from mailkit.smtp.extensions import Extensions
    from mailkit.smtp.handshake import Handshake
    from mailkit.smtp.options import SMTPOptions

__all__ = ["Session"]

DOUBTFUL_AFTER: Final = 5.0
"""Seconds without traffic after which a connection may have died unseen (a firewall forgot it, a server was replaced):
the content then waits until MAIL is answered, which costs one round trip, once."""


class Session:
    """A pooled connection.

    Args:
        conversation: The connection.
        handshake: What it settled on.
    """

    def __init__(self, conversation: Conversation, handshake: Handshake) -> None:
        self.conversation = conversation
        self.needs_reset: bool = False
        self.handshake = handshake
        self.extensions: Extensions = handshake.extensions
        # Whether commands may go together, and whether content goes by BDAT.
        self.pipelining: bool = self.extensions.pipelining and self.options.pipelining
        self.chunking: bool = self.extensions.chunking and self.options.chunking
        self.messages: int = 0
        self.is_reused: bool = False  # it has lain idle in the pool
        self.opened_at: float = conversation.edge.now()
        self.used_at: float = self.opened_at
        self.pid: int = os.getpid()

    @property
    def options(self) -> SMTPOptions:
        """What the transport was told."""
        return self.conversation.options

    @property
    def is_doubtful(self) -> bool:
        """Whether the connection was idle for so long that it may be dead without our knowing."""
        return self.conversation.edge.now() - self.used_at > DOUBTFUL_AFTER

    def note_message(self) -> None:
        """Count a message that was answered."""
        self.messages += 1
        self.used_at = self.conversation.edge.now()

    @property
    def is_usable(self) -> bool:
        """Whether another message may go over it: it takes no time to ask, and costs no round trip."""
        return self.conversation.is_quiet

    @property
    def is_in_step(self) -> bool:
        """Whether it may go back to the pool: nothing is wrong with it that is known without asking the kernel."""
        conversation = self.conversation
        return conversation.is_usable and conversation.engine.broken is None and not conversation.engine.awaiting

    async def prepare(self) -> bool:
        """Clear what the last transaction may have left behind; return whether the session can be used."""
        if self.needs_reset and not await self.conversation.reset():
            return False
        self.needs_reset = False
        return True

    async def deliver(
        self, envelope: Envelope, content: Content, *, begun: Callable[[Delivery], object] | None = None
    ) -> Delivered:
        """Deliver one message.

        A session whose delivery was interrupted, by whatever, is not usable any more.

        Args:
            envelope: Who gets it.
            content: The message.
            begun: Is given, before the first byte, what knows at any moment what became of each recipient.

        Raises:
            UnsupportedFeatureError: The server lacks an extension that the message needs.
            RejectedError: The message is larger than the server takes.
        """
        conversation = self.conversation
        before = conversation.bytes_sent
        delivery = Delivery(conversation, self.extensions, envelope, content, cautious=self.is_doubtful)
        if begun is not None:
            begun(delivery)
        try:
            delivered = await delivery.run()
        except MailkitError:
            # Refused here before anything was written, or the content broke off in the middle of it.
            conversation.is_usable = (
                conversation.is_usable and conversation.bytes_sent == before and conversation.is_quiet
            )
            raise
        except BaseException:
            conversation.is_usable = False
            raise
        if delivered.error is not None:
            conversation.is_usable = False
        self.needs_reset = delivery.needs_reset
        self.note_message()
        return delivered

    async def close(self) -> None:
        """Say goodbye, where the connection is in a state to hear it, and close; never waits for the answer."""
        try:
            if self.pid == os.getpid() and self.conversation.is_quiet:
                self.conversation.engine.expect(commands.quit(), Expected(Awaited.QUIT))
                await self.conversation.flush(GOODBYE)
        except MailkitError:
            pass  # it was the last word anyway, and nothing depends on it
        finally:
            await self.conversation.close()

    def abandon(self) -> None:
        """Forget a connection that belongs to the parent process, without a byte on it."""
        self.conversation.abandon()


GOODBYE: Final = 1.0  # seconds to get QUIT into the socket buffer, where it goes at once unless the peer is gone
