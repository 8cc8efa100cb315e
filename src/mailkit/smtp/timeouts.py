"""How long each phase of an SMTP conversation may take."""

from __future__ import annotations

from attrs import frozen

from mailkit.errors import ConfigurationError
from mailkit.representation import shown

__all__ = ["Timeouts"]


@frozen(kw_only=True)
class Timeouts:
    """How long each phase may take, in seconds; None is the mailer's `timeout`.

    RFC 5321 §4.5.3.2 gives the upper bounds that a patient client allows: greeting, MAIL and RCPT 5 minutes, DATA 2, a
    block of content 3, the answer to the final dot 10.

    Example:
        >>> from mailkit.smtp import SMTP
        >>> SMTP("mail.example.com", timeouts=Timeouts(connect=5, data_end=120)).timeouts.connect
        5

    Args:
        connect: DNS and TCP.
        tls: The TLS handshake.
        greeting: The server's first reply.
        command: The answer to a command.
        data_block: Writing a block of content (at most 256 KiB).
        data_end: The answer to the whole message; None is 60 s or the mailer's timeout, whichever is longer. It may not
            be shorter than `command`: giving up too early means a second copy (RFC 5321 §4.5.3.2.6).

    Raises:
        ConfigurationError: A timeout is not positive, or `data_end` is shorter than `command`.
    """

    connect: float | None = None
    tls: float | None = None
    greeting: float | None = None
    command: float | None = None
    data_block: float | None = None
    data_end: float | None = None

    __repr__ = shown

    def __attrs_post_init__(self) -> None:
        given = (self.connect, self.tls, self.greeting, self.command, self.data_block, self.data_end)
        if any(seconds is not None and not 0 < seconds < float("inf") for seconds in given):
            msg = "every timeout is a positive, finite number of seconds: nothing may hang for ever"
            raise ConfigurationError(msg)
        if self.data_end is not None and self.command is not None and self.data_end < self.command:
            msg = f"data_end={self.data_end} may not be shorter than command={self.command}: it would cause duplicates"
            raise ConfigurationError(msg)
