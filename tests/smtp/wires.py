"""A stream without a socket: what the server says is written down beforehand, and when writing fails, too."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from attrs import frozen

from mailkit import ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import TLS, TLSInfo

__all__ = ["Later", "Wire"]


@frozen
class Later:
    """Bytes that arrive only when a write has failed."""

    data: bytes


class Wire:
    """A stream for :class:`mailkit.smtp.conversation.Conversation`.

    Args:
        incoming: What each read returns; ``b""`` is the end, an exception is raised. With nothing left, reads time out.
        takes: How many bytes more it takes after the first write, before writing fails; None for all.
    """

    def __init__(self, *incoming: bytes | Later | BaseException, takes: int | None = None) -> None:
        self.written: list[bytes] = []
        self.bytes_sent: int = 0
        self.tls_info: TLSInfo | None = None
        self.peer: str = "127.0.0.1:587"
        self.is_closed: bool = False
        self.is_abandoned: bool = False
        self.deadlines: list[float] = []
        self._incoming = deque(incoming)
        self._takes = takes
        self._failed = False

    async def send(
        self,
        data: bytes | bytearray | memoryview,
        *,
        deadline: float,
        meanwhile: Callable[[bytes], object] | None = None,
    ) -> None:
        """Take bytes."""
        self.deadlines.append(deadline)
        room = len(data) if self._takes is None or not self.written else self._takes
        self.written.append(bytes(data[:room]))
        self.bytes_sent += len(data[:room])
        if room < len(data):
            self._failed = True
            raise ConnectError("the connection was lost: EPIPE")

    async def receive(self, *, deadline: float) -> bytes:
        """Return what comes next."""
        self.deadlines.append(deadline)
        if not self._incoming or (isinstance(self._incoming[0], Later) and not self._failed):
            raise DeliveryTimeout("nothing came")
        item = self._incoming.popleft()
        if isinstance(item, BaseException):
            raise item
        return item.data if isinstance(item, Later) else item

    def has_input(self) -> bool:
        """Whether something has arrived."""
        return bool(self._incoming) and (self._failed or not isinstance(self._incoming[0], Later))

    async def start_tls(self, tls: TLS, host: str, *, deadline: float) -> None:
        """Nothing is encrypted."""
        self.deadlines.append(deadline)

    async def close(self) -> None:
        """Close."""
        self.is_closed = True

    def abandon(self) -> None:
        """Forget."""
        self.is_abandoned = True
