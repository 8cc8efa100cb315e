"""Looking whether something has arrived inside TLS: only decrypting tells, so what came out is kept for later."""

from __future__ import annotations

from typing import Final

__all__ = ["RECORD", "LookAhead"]

RECORD: Final = 16 * 1024
"""The most that one TLS record carries, in octets (RFC 8446 §5.1)."""


class LookAhead:
    """The receiving half of a TLS channel: what :meth:`has_input` had to decrypt is received next."""

    __slots__ = ("_arrived", "_failed")

    def __init__(self) -> None:
        self._arrived: bytes | None = None
        self._failed: OSError | None = None

    def decrypt(self, size: int) -> bytes | int:
        """Return what has arrived, decrypted, ``b""`` at the end, or what has to be waited for."""
        raise NotImplementedError

    def might_have_arrived(self) -> bool:
        """Whether there is a point in decrypting: something is there, whatever it may be."""
        raise NotImplementedError

    def is_decrypted(self) -> bool:
        """Whether the TLS session itself holds bytes for the application."""
        raise NotImplementedError

    def receive(self, size: int) -> bytes | int:
        """Read what has arrived, decrypted."""
        if self._failed is not None:
            raise self._failed
        kept, self._arrived = self._arrived, None
        arrived = self.decrypt(size) if kept is None else kept
        if arrived == b"":
            self._arrived = b""  # an end stays one; after a close_notify the socket itself may be open still
        return arrived

    def has_input(self) -> bool:
        """Whether something has arrived for the application, or the end."""
        if self._arrived is not None or self._failed is not None or self.is_decrypted():
            return True
        if not self.might_have_arrived():
            return False
        # It may be a session ticket or a key update (RFC 8446 §4.6), which is nothing to the application.
        try:
            arrived = self.receive(RECORD)
        except OSError as error:
            self._failed = error
            return True
        if isinstance(arrived, int):
            return False
        self._arrived = arrived
        return True
