"""What an SMTP conversation is told to do: a value made once by the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from attrs import field, frozen

from mailkit.edge import TLS
from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import TLSInfo
    from mailkit.smtp.engine import TranscriptLine
    from mailkit.smtp.login import Login

__all__ = ["Protocol", "Recipients", "SMTPOptions", "Security", "Timeouts"]

Security = Literal["starttls", "implicit", "opportunistic", "insecure"]
"""``"starttls"``: TLS by STARTTLS or nothing. ``"implicit"``: TLS from the first byte. ``"opportunistic"``: STARTTLS
where it is offered, certificate unchecked, else clear text without a password. ``"insecure"``: clear text, passwords
too."""

Protocol = Literal["smtp", "lmtp"]
"""``"lmtp"`` (RFC 2033) delivers into a mail store: greets with LHLO, and answers content once for each recipient."""

Recipients = Literal["any", "all"]
"""``"any"``: who is accepted gets the message. ``"all"``: one refused recipient, and nobody gets it."""

DATA_END: Final = 60.0  # seconds; RFC 5321 §4.5.3.2.6 allows 10 minutes


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

    def __attrs_post_init__(self) -> None:
        given = (self.connect, self.tls, self.greeting, self.command, self.data_block, self.data_end)
        if any(seconds is not None and not 0 < seconds < float("inf") for seconds in given):
            msg = "every timeout is a positive, finite number of seconds: nothing may hang for ever"
            raise ConfigurationError(msg)
        if self.data_end is not None and self.command is not None and self.data_end < self.command:
            msg = f"data_end={self.data_end} may not be shorter than command={self.command}: it would cause duplicates"
            raise ConfigurationError(msg)


@frozen(kw_only=True)
class SMTPOptions:
    """The settings of one server, as the conversation reads them."""

    host: str
    port: int
    protocol: Protocol = "smtp"
    name: str = ""  # the transport's, for receipts and errors
    tls: Security = "starttls"
    tls_options: TLS = field(factory=TLS)
    check_peer: Callable[[TLSInfo], object] | None = field(default=None, repr=False)  # raises TLSError
    login: Login | None = field(default=None, repr=False)
    cleartext_allowed: bool = False
    ehlo_name: str = "[127.0.0.1]"
    timeouts: Timeouts = field(factory=Timeouts)
    recipients: Recipients = "any"
    pipelining: bool = True
    chunking: bool = True
    transcript: Callable[[TranscriptLine], object] | None = field(default=None, repr=False)
