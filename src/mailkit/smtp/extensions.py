"""What a server says it can do: its EHLO reply (RFC 5321 §4.1.1.1), read once and tolerantly."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from attrs import Factory, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailkit.reply import Reply

__all__ = ["Extensions", "Limits"]

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")  # ehlo-keyword, RFC 5321 §4.1.1.1
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")  # sasl-mech, RFC 4422 §3.1
_SIZE = re.compile(r"[0-9]{1,20}")  # size-value, RFC 1870 §4; longer ones are nonsense
_LIMIT = re.compile(r"([A-Z0-9][A-Z0-9-]*)=([1-9][0-9]{0,5})")  # limit, RFC 9422 §3: at most six digits

_NOTHING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@frozen
class Limits:
    """What one connection or transaction may carry (RFC 9422 §4); None where the server names no limit.

    Args:
        mail_max: Transactions (MAIL commands) in one connection.
        rcpt_max: Recipients (RCPT commands) in one transaction.
        rcpt_domain_max: Different recipient domains in one connection.
    """

    mail_max: int | None = None
    rcpt_max: int | None = None
    rcpt_domain_max: int | None = None


# Asked for with each message, so they are read out of the parameters once.
def _limits(extensions: Extensions) -> Limits:
    found = (_LIMIT.fullmatch(parameter.upper()) for parameter in extensions.keywords.get("LIMITS", ()))
    values = {match[1]: int(match[2]) for match in found if match}
    return Limits(
        mail_max=values.get("MAILMAX"), rcpt_max=values.get("RCPTMAX"), rcpt_domain_max=values.get("RCPTDOMAINMAX")
    )


def _size_limit(extensions: Extensions) -> int | None:
    parameters = extensions.keywords.get("SIZE", ())
    if not parameters or not _SIZE.fullmatch(parameters[0]):
        return None
    return int(parameters[0]) or None


@frozen
class Extensions:
    r"""The extensions of one connection, as its latest EHLO reply gave them.

    Example:
        >>> from mailkit.reply import Reply
        >>> extensions = Extensions.parse(Reply(250, "mx.example.com\nSIZE 1000000\nAUTH PLAIN LOGIN"))
        >>> extensions.size_limit, extensions.auth_mechanisms, "pipelining" in extensions
        (1000000, ('PLAIN', 'LOGIN'), False)

    Args:
        keywords: Upper-cased keyword to its parameters, in the server's order.
    """

    keywords: Mapping[str, tuple[str, ...]] = field(default=_NOTHING, hash=False)
    limits: Limits = field(init=False, eq=False, repr=False, default=Factory(_limits, takes_self=True))
    """The limits of RFC 9422; what is malformed or unknown limits nothing."""
    size_limit: int | None = field(init=False, eq=False, repr=False, default=Factory(_size_limit, takes_self=True))
    """The largest message in bytes (RFC 1870); None where SIZE is missing, 0 or absurd."""

    @classmethod
    def parse(cls, reply: Reply) -> Self:
        """Return what an EHLO reply offers.

        The first line names the server and is skipped. A line that is not a keyword with parameters offers
        nothing. Of a repeated keyword the first line counts; AUTH, and its old form ``AUTH=``, are merged.
        """
        keywords: dict[str, tuple[str, ...]] = {}
        mechanisms: list[str] = []
        for line in reply.text.split("\n")[1:]:
            # "AUTH=LOGIN" is how servers of 1998 wrote it (draft-myers-smtp-auth); many still send both.
            words = line.replace("=", " ", 1).split() if line[:5].upper() == "AUTH=" else line.split()
            if not words or not _KEYWORD.fullmatch(words[0]):
                continue
            keyword, *parameters = words[0].upper(), *words[1:]
            if keyword == "AUTH":
                mechanisms += parameters
            keywords.setdefault(keyword, tuple(parameters))
        if "AUTH" in keywords:
            keywords["AUTH"] = _unique_mechanisms(mechanisms)
        return cls(MappingProxyType(keywords))

    @classmethod
    def none(cls) -> Self:
        """Return what a server offers that only knows HELO."""
        return cls()

    def __contains__(self, keyword: object) -> bool:
        return isinstance(keyword, str) and keyword.upper() in self.keywords

    @property
    def auth_mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms (RFC 4954), upper-cased, each once, in the server's order."""
        return self.keywords.get("AUTH", ())

    @property
    def pipelining(self) -> bool:
        """Whether commands may be sent in groups (RFC 2920)."""
        return "PIPELINING" in self.keywords

    @property
    def chunking(self) -> bool:
        """Whether BDAT is known (RFC 3030)."""
        return "CHUNKING" in self.keywords

    @property
    def binary_mime(self) -> bool:
        """Whether a body may be binary (RFC 3030 §3), which goes through BDAT only."""
        return "BINARYMIME" in self.keywords and self.chunking

    @property
    def eight_bit_mime(self) -> bool:
        """Whether a body may hold octets above 127 (RFC 6152)."""
        return "8BITMIME" in self.keywords

    @property
    def smtputf8(self) -> bool:
        """Whether addresses and header fields may be UTF-8 (RFC 6531)."""
        return "SMTPUTF8" in self.keywords

    @property
    def starttls(self) -> bool:
        """Whether TLS can be started (RFC 3207)."""
        return "STARTTLS" in self.keywords

    @property
    def enhanced_status_codes(self) -> bool:
        """Whether replies carry enhanced status codes (RFC 2034)."""
        return "ENHANCEDSTATUSCODES" in self.keywords

    @property
    def dsn(self) -> bool:
        """Whether delivery status notifications can be asked for (RFC 3461)."""
        return "DSN" in self.keywords

    @property
    def requiretls(self) -> bool:
        """Whether a message can be confined to TLS all the way (RFC 8689)."""
        return "REQUIRETLS" in self.keywords


def _unique_mechanisms(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in map(str.upper, names) if _MECHANISM.fullmatch(name)))
