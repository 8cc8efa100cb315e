"""A private Redis: the broker of the task queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import Redis

from .processes import HOST, Daemon, find_program, free_ports

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RedisServer"]


class RedisServer:
    """A running Redis that writes nothing to disk.

    Args:
        folder: Where its log goes.

    Raises:
        MissingServerError: It is not installed.
        ServerFailedError: It did not come up.
    """

    def __init__(self, folder: Path) -> None:
        program = find_program("redis-server", package="redis-server")
        [self.port] = free_ports(1)
        self.log = folder / "redis.log"
        options = ["--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", str(folder)]
        self._daemon = Daemon("Redis", [program, *options], log=self.log, listens=[self.port])
        #: A client that speaks text.
        self.client: Redis = Redis(host=HOST, port=self.port, decode_responses=True)

    def url(self, database: int = 0) -> str:
        """The URL of one of its databases."""
        return f"redis://{HOST}:{self.port}/{database}"

    def stop(self) -> None:
        """Stop it."""
        self.client.close()
        self._daemon.stop()
