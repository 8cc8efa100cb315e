"""Asking the kernel which descriptors are ready: ``poll`` where it exists, ``select`` elsewhere."""

from __future__ import annotations

import math
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["ready", "ready_now"]

# poll() takes a C int of milliseconds; whoever waits longer than this asks again.
_LONGEST = 2**31 // 1000 - 1.0


def ready(readers: Collection[int], writers: Collection[int], seconds: float) -> set[int]:
    """Block until at least one descriptor is ready, and return those that are.

    An error or a hang-up makes a descriptor ready: the next operation on it tells.

    Args:
        readers: Descriptors that should become readable.
        writers: Descriptors that should become writable.
        seconds: How long to wait; zero or less asks without waiting.
    """
    seconds = min(max(seconds, 0.0), _LONGEST)
    if not hasattr(select, "poll"):
        # Windows reports a failed connect as exceptional only.
        found = select.select(readers, writers, writers, seconds)
        return {*found[0], *found[1], *found[2]}
    poll = select.poll()
    for fd in readers:
        # Registering a descriptor again would replace what it is registered for.
        poll.register(fd, select.POLLIN | select.POLLOUT if fd in writers else select.POLLIN)
    for fd in writers:
        if fd not in readers:
            poll.register(fd, select.POLLOUT)
    # Rounded up, or the last fraction of a millisecond would be a busy loop.
    return {fd for fd, _event in poll.poll(math.ceil(seconds * 1000))}


def ready_now(fd: int) -> bool:
    """Whether a byte, the end of the stream or an error has arrived on `fd`: asked several times for each message."""
    if not hasattr(select, "poll"):
        return bool(ready((fd,), (), 0.0))
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
