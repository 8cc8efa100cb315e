"""TLS inside TLS: to a mail server through a proxy that is itself reached by TLS.

Python's TLS sockets sit on sockets in clear only, so the inner session works on buffers in memory. A record counts as
sent when its last byte was taken: nobody can read a part of one.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mailkit.edge.certificate_chain import chain_of
from mailkit.edge.look_ahead import RECORD, LookAhead
from mailkit.edge.stream import WANT_WRITE
from mailkit.edge.tls_failures import broke_off, handshake_failed, lost_inside_tls, not_verified
from mailkit.edge.tls_options import TLSInfo

if TYPE_CHECKING:
    import socket

    from mailkit.edge.stream import Channel
    from mailkit.errors import ConnectError

__all__ = ["NestedTLSChannel"]


class NestedTLSChannel(LookAhead):
    """A TLS session whose records travel inside another channel.

    Args:
        inner: What carries the records.
        context: How to talk TLS.
        name: The name that the certificate must be for.
    """

    __slots__ = ("_departing", "_incoming", "_inner", "_kept", "_session", "_taken", "block")

    def __init__(self, inner: Channel, context: ssl.SSLContext, name: str) -> None:
        super().__init__()
        self.block: int = RECORD
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._departing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._departing, server_hostname=name)
        self._kept = b""  # records on their way out
        self._taken = 0  # bytes of the application in them

    @property
    def socket(self) -> socket.socket:
        """The socket underneath both."""
        return self._inner.socket

    def handshake(self, peer: str) -> int | None:
        """Go on with the handshake; return what it waits for, None when it is done."""
        while True:
            is_done = False
            try:
                self._session.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                raise not_verified(error, self._session, peer) from error
            except OSError as error:
                raise handshake_failed(error, peer) from error
            try:
                wanted = self._flush()
                if wanted is None and not is_done:
                    wanted = self._fill()
            except OSError as error:
                raise broke_off(error, peer) from error
            if is_done or wanted is not None:
                return wanted

    def info(self) -> TLSInfo:
        """Return what the handshake settled on."""
        cipher = self._session.cipher()
        return TLSInfo(
            version=self._session.version() or "",
            cipher=cipher[0] if cipher else "",
            peer_certificate=self._session.getpeercert(binary_form=True) or b"",
            alpn=self._session.selected_alpn_protocol(),
            peer_chain=chain_of(self._session),
        )

    def send(self, data: memoryview) -> int:
        """Write one record. What had to wait is given again by the caller, and not written again."""
        if not self._taken:
            self._taken = self._session.write(data[:RECORD])
        wanted = self._flush()
        if wanted is not None:
            return wanted
        taken, self._taken = self._taken, 0
        return taken

    def decrypt(self, size: int) -> bytes | int:
        """Read what has arrived, decrypted twice."""
        while True:
            try:
                return self._session.read(size)
            except ssl.SSLWantReadError:
                wanted = self._fill()
                if wanted is not None:
                    return wanted
            except ssl.SSLEOFError:
                return b""  # as TLS over a socket shows it

    def is_decrypted(self) -> bool:
        """Whether the session holds bytes of a record already."""
        return bool(self._session.pending())

    def might_have_arrived(self) -> bool:
        """Whether there are records, taken in or not."""
        return bool(self._incoming.pending) or self._inner.has_input()

    def lost(self, error: OSError, peer: str) -> ConnectError:
        """Return the error to raise."""
        return lost_inside_tls(error, peer)

    def _flush(self) -> int | None:
        """Hand records on; return what it waits for, None when all are gone."""
        if self._departing.pending:
            self._kept += self._departing.read()
        while self._kept:
            taken = self._inner.send(memoryview(self._kept))
            if taken <= WANT_WRITE:
                return taken
            self._kept = self._kept[taken:]
        return None

    def _fill(self) -> int | None:
        """Take in what has arrived, also the end; return what it waits for, None when there was something."""
        arrived = self._inner.receive(RECORD)
        if isinstance(arrived, int):
            return arrived
        if arrived:
            self._incoming.write(arrived)
        else:
            self._incoming.write_eof()
        return None
