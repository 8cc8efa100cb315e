"""What a test server offers and demands, fixed for its life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from mailkit.testing.mechanisms import MECHANISMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DEFAULT_EXTENSIONS", "Settings", "TLSMode", "choose_extensions"]

TLSMode: TypeAlias = Literal["starttls", "implicit"]

DEFAULT_EXTENSIONS: Final = (
    "PIPELINING",
    "SIZE",
    "STARTTLS",
    "AUTH",
    "ENHANCEDSTATUSCODES",
    "8BITMIME",
    "DSN",
    "SMTPUTF8",
    "CHUNKING",
    "BINARYMIME",
    "LIMITS",
)


def choose_extensions(extensions: Iterable[str], without: Iterable[str]) -> tuple[str, ...]:
    """List what EHLO offers: the usual, replaced or followed by lines of one's own, and less what is left out."""
    lines = {line: line for line in DEFAULT_EXTENSIONS} | {line.partition(" ")[0].upper(): line for line in extensions}
    left_out = {keyword.upper() for keyword in without}
    return tuple(line for keyword, line in lines.items() if keyword not in left_out)


_TOKEN_MECHANISMS: Final = frozenset({"OAUTHBEARER", "XOAUTH2"})


@attrs.frozen(kw_only=True)
class Settings:
    """A server's configuration.

    Args:
        hostname: What it calls itself.
        lmtp: Whether it speaks LMTP (RFC 2033).
        tls: When TLS begins, if at all.
        extensions: EHLO lines; those of extensions whose parameters depend on the session by keyword alone.
        users: Passwords by user name.
        tokens: Bearer tokens by user name.
        mechanisms: Offered SASL mechanisms, or `None` for all that the accounts allow.
        limits: RFC 9422 limits, enforced whether or not they are announced.
        max_size: The largest message, in octets.
        require_auth: Whether MAIL needs an authenticated session.
        auth_before_tls: Whether AUTH is offered before STARTTLS.
        keeps_refused_bdat: Whether a transaction whose last BDAT was refused stays open.
    """

    hostname: str
    lmtp: bool
    tls: TLSMode | None
    extensions: tuple[str, ...]
    users: Mapping[str, str] = attrs.field(repr=False)
    tokens: Mapping[str, str] = attrs.field(repr=False)
    mechanisms: tuple[str, ...] | None
    limits: Mapping[str, int]
    max_size: int
    require_auth: bool
    auth_before_tls: bool
    keeps_refused_bdat: bool = False

    def offered_mechanisms(self, *, encrypted: bool) -> tuple[str, ...]:
        """List the SASL mechanisms that are on offer now."""
        if self.tls == "starttls" and not encrypted and not self.auth_before_tls:
            return ()
        if self.mechanisms is not None:
            return self.mechanisms
        return tuple(
            name
            for name in MECHANISMS
            if (self.tokens if name in _TOKEN_MECHANISMS else self.users) and (encrypted or not name.endswith("-PLUS"))
        )

    def ehlo_lines(self, *, encrypted: bool) -> tuple[str, ...]:
        """List the extensions that are on offer now, as EHLO's reply shows them (RFC 5321 §4.1.1.1)."""
        mechanisms = self.offered_mechanisms(encrypted=encrypted)
        special = {
            "SIZE": f"SIZE {self.max_size}",
            "STARTTLS": "STARTTLS" if self.tls == "starttls" and not encrypted else "",
            "AUTH": f"AUTH {' '.join(mechanisms)}" if mechanisms else "",
            "LIMITS": " ".join(["LIMITS", *(f"{name}={value}" for name, value in self.limits.items())])
            if self.limits
            else "",
        }
        lines = (special.get(line.upper(), line) for line in self.extensions)
        return tuple(line for line in lines if line)
