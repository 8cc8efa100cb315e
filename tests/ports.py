"""One port at several loopback addresses."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["held"]


@contextmanager
def held(port: int, *hosts: str) -> Iterator[None]:
    """Keep a port from those who take any port; a server that asks for it by its number still gets it.

    Raises:
        OSError: Somebody has it already.
    """
    with ExitStack() as stack:
        for host in hosts:
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does that is to come
            holder.bind((host, port))
        yield
