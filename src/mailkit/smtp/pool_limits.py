"""How many connections there may be to one server, and how long each may serve."""

from __future__ import annotations

from attrs import fields, frozen

from mailkit.errors import ConfigurationError
from mailkit.representation import shown

__all__ = ["PoolLimits"]


@frozen(kw_only=True)
class PoolLimits:
    """How many connections there may be, and how long each may serve.

    Example:
        >>> from mailkit.smtp import SMTP
        >>> SMTP("mail.example.com", pool=PoolLimits(max_connections=2)).pool.idle_timeout
        60.0

    Args:
        max_connections: Open at once, idle ones included; who comes then waits.
        max_messages: Messages that one connection carries; None is no bound.
        max_age: Seconds that one connection lives; None is no bound.
        idle_timeout: Seconds after which an idle connection is not used again. Servers close theirs after 5 minutes or
            so (RFC 5321 §4.5.3.2.7), busy ones much sooner.
        acquire_timeout: Seconds to wait for a connection, or for a turn by one of the rates; None is the mailer's
            `timeout`. Streams of messages (`send_many`) wait for their turns as long as it takes.
        messages_per_second: How many messages begin in a second, over all connections together; None is no bound.
        recipients_per_second: The same for recipients. A message with more of them goes out whole, and then there is
            a pause.

    Raises:
        ConfigurationError: A bound is not positive.
    """

    max_connections: int = 10
    max_messages: int | None = None
    max_age: float | None = None
    idle_timeout: float = 60.0
    acquire_timeout: float | None = None
    messages_per_second: float | None = None
    recipients_per_second: float | None = None

    __repr__ = shown

    def __attrs_post_init__(self) -> None:
        bounds: list[float | None] = [getattr(self, each.name) for each in fields(PoolLimits)]
        if any(bound is not None and bound <= 0 for bound in bounds):
            msg = "every bound of the connection pool is positive; use None for no bound"
            raise ConfigurationError(msg)
