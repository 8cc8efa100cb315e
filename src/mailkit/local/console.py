"""ConsoleTransport: messages are printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, Self, TextIO, final

from attrs import frozen

from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.local.channel import LocalChannel
from mailkit.local.readable import readable
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel
    from mailkit.transport_url import TransportURL

__all__ = ["ConsoleTransport"]


@final
@frozen
class ConsoleTransport:
    """Prints each message as a person reads it: ``console://``, ``console://?stream=stderr``.

    The envelope stands above it, with every recipient, Bcc included. Attachments are listed. Control characters are
    printed as escapes, so that no message reaches the terminal's own commands.

    Example:
        >>> str(ConsoleTransport())
        'console://'

    Args:
        stream: ``"stdout"`` or ``"stderr"``, whatever these are at the time of sending, or a text stream of your own.

    Raises:
        ConfigurationError: `stream` is none of these.
    """

    stream: Literal["stdout", "stderr"] | TextIO = "stdout"

    def __attrs_post_init__(self) -> None:
        if self.stream not in ("stdout", "stderr") and not hasattr(self.stream, "write"):
            raise ConfigurationError("a console's stream is 'stdout', 'stderr' or an open text stream")

    @property
    def capabilities(self) -> Capabilities:
        """Everything: messages are shown as they are."""
        return Capabilities.everything()

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Return the transport that a URL describes.

        Raises:
            ConfigurationError: A part of the URL means nothing here.
        """
        url.refuse(user=url.username, password=url.password, host=url.host, port=url.port, path=url.path)
        return cls(**url.parameters(stream=str))

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return LocalChannel(self, edge, self._put)

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        await edge.in_thread(lambda: self._print(letter))
        return letter.accepted(str(self))

    def _print(self, letter: Letter) -> None:
        text = readable(letter)
        for _ in letter.blocks():
            pass  # read through, so that an attachment that cannot be sent is noticed here as well
        stream: TextIO | None = getattr(sys, self.stream) if isinstance(self.stream, str) else self.stream
        if stream is None:
            raise DeliveryError(
                f"the process has no {self.stream}; the message was not printed: give ConsoleTransport a stream",
                cause="configuration",
                phase="store",
            )
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            # In one piece, so that the messages of two threads do not mix.
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise DeliveryError(
                f"the message cannot be printed: {error}; give ConsoleTransport a stream that is open",
                cause="configuration",
                phase="store",
            ) from error

    def __str__(self) -> str:
        return "console://"
