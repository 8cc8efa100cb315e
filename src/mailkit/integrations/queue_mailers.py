"""The mailers of a worker by their names: one each for a process, made when the first job names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.errors import ConfigurationError
from mailkit.hooks import Hooks
from mailkit.integrations.queue_job import DEFAULT
from mailkit.post import Post

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailkit.policies.retry import RetryPolicy
    from mailkit.transport import Transport

__all__ = ["QueueMailers", "from_mapping"]


def from_mapping(mailers: Mapping[str, str | Transport] | None) -> Callable[[str], str | Transport | None]:
    """Return what finds a transport by its mailer's name; the default one's is ``MAILKIT_URL`` where it is not said."""

    def find(name: str) -> str | Transport | None:
        if mailers is not None and name in mailers:
            return mailers[name]
        if name == DEFAULT:
            return None
        known = ", ".join(sorted({DEFAULT, *(mailers or ())}))
        raise ConfigurationError(
            f"the job is for the mailer {name!r}, and this worker knows {known}: give its URL in mailers={{…}}"
        )

    return find


class QueueMailers:
    """What a worker sends with. Threads share a mailer, and forked processes open connections of their own.

    Args:
        find: Returns a mailer's URL or transport by its name, or None for the URL in the environment's ``MAILKIT_URL``.
        retry: What is done within one attempt.
        timeout: Seconds that one phase may take.
        hooks: What hears of it.
    """

    def __init__(
        self,
        find: Callable[[str], str | Transport | None],
        *,
        retry: RetryPolicy,
        timeout: float = 30.0,
        hooks: Hooks | None = None,
    ) -> None:
        self._find = find
        self._retry = retry
        self._timeout = timeout
        self._hooks = hooks or Hooks()
        self._posts: dict[str, Post] = {}

    def post(self, name: str) -> Post:
        """Return the mailer of that name.

        Raises:
            ConfigurationError: There is none, or its URL is wrong.
        """
        post = self._posts.get(name)
        if post is None:
            edge = BlockingEdge(timeout=self._timeout)
            made = Post(self._find(name), edge, self._retry, defaults=None, hooks=self._hooks)
            # Of two threads that come here at once one just loses its mailer, which has connected to nothing.
            post = self._posts.setdefault(name, made)
        return post

    def close(self) -> None:
        """Give up every connection; a mailer that is asked for again is a new one."""
        while self._posts:
            _, post = self._posts.popitem()
            run_sync(post.close())
