"""Foreign exceptions become mailkit errors here; those of TLS in :mod:`mailkit.edge.tls_failures`.

What passes unchanged: an event loop's cancellation, KeyboardInterrupt, MemoryError.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from mailkit.errors import ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from mailkit.errors import Cause

__all__ = ["cannot_connect", "connection_lost", "reason_of", "timed_out"]

# Trying again changes nothing before somebody changes a setting: permissions, a source address that is not
# ours.
_SETTINGS = frozenset({errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})


def reason_of(error: OSError) -> str:
    """Return what the operating system says about an error, without addresses."""
    if error.errno is not None and error.errno in errno.errorcode:
        return f"{os.strerror(error.errno)} ({errno.errorcode[error.errno]})"
    return error.strerror or str(error) or type(error).__name__


def connection_lost(error: OSError, peer: str) -> ConnectError:
    """Return what to raise when an established connection breaks."""
    if error.errno == errno.EBADF:
        return ConnectError(f"the connection to {peer} is closed; connect again")
    return ConnectError(f"the connection to {peer} was lost: {reason_of(error)}; connect again")


def cannot_connect(error: OSError, target: str, advice: str, phase: str = "connect") -> ConnectError:
    """Return what to raise when no connection can be made because of one operating system error."""
    cause: Cause = "configuration" if error.errno in _SETTINGS else "transient"
    return ConnectError(f"cannot connect to {target}: {reason_of(error)}; {advice}", cause=cause, phase=phase)


def timed_out(what: str, phase: str | None = None) -> DeliveryTimeout:
    """Return what to raise when a deadline passes."""
    return DeliveryTimeout(
        f"{what} before the deadline; try again later, or allow it more time with timeout=", phase=phase
    )
