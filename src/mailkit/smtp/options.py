"""What an SMTP conversation is told to do: a value made once by the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from attrs import field, frozen

from mailkit.edge import TLS
from mailkit.smtp.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import TLSInfo
    from mailkit.smtp.engine import TranscriptLine
    from mailkit.smtp.login import Login

__all__ = ["Protocol", "Recipients", "SMTPOptions", "Security"]

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
