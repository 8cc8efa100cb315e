"""The SASL mechanisms that send what they know, or one hash of it: from PLAIN to OAUTHBEARER.

A mechanism is fed decoded challenges and gives undecoded responses; base64, counting and replies belong to
:class:`mailkit.smtp.auth.Exchange`. SCRAM has a file of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from mailkit.errors import ConfigurationError, ProtocolError
from mailkit.redaction import printable
from mailkit.smtp.credentials import utf8

if TYPE_CHECKING:
    from mailkit.smtp.credentials import Credentials

__all__ = ["CramMD5", "Login", "Mechanism", "OAuthBearer", "Plain", "XOAuth2"]

_END: Final = b"\x01"  # kvsep, RFC 7628 §3.1


class Mechanism(Protocol):
    """One login by one mechanism; used once."""

    @property
    def name(self) -> str:
        """The mechanism's name, as EHLO spells it."""
        ...

    @property
    def detail(self) -> str | None:
        """What the server said about a failure before it refused, printable; None where it said nothing."""
        ...

    def initial(self) -> bytes | None:
        """Return the initial response, or None where the server speaks first."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """Return the answer to a challenge.

        Raises:
            ProtocolError: The mechanism has no such challenge.
            AuthenticationError: The server did not prove who it is.
        """
        ...

    def finish(self) -> None:
        """Check, after the server's 235, that nothing is missing.

        Raises:
            AuthenticationError: The server did not prove who it is.
        """
        ...


class _OneWay:
    """What mechanisms share in which only the client proves something."""

    name: str
    detail: str | None = None

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._asked = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._credentials!r})"

    def finish(self) -> None:
        """Nothing is left to check."""

    def _next(self, most: int) -> int:
        """Count a challenge and return its number, from 0."""
        if self._asked == most:
            raise self._too_many()
        self._asked += 1
        return self._asked - 1

    def _too_many(self) -> ProtocolError:
        return ProtocolError(f"the server asked again after the last step of {self.name}", phase="auth")


class Plain(_OneWay):
    """PLAIN (RFC 4616): everything in the initial response."""

    name = "PLAIN"

    def initial(self) -> bytes:
        """Return ``NUL user NUL password``; the authorization identity is the user's own."""
        return b"\0%b\0%b" % (self._credentials.username_bytes, self._credentials.password_bytes)

    def respond(self, challenge: bytes) -> NoReturn:  # noqa: ARG002
        """Refuse: there is nothing left to say."""
        raise self._too_many()


class Login(_OneWay):
    """LOGIN (draft-murchison-sasl-login): challenges are counted, not read; each server words them its way."""

    name = "LOGIN"

    def initial(self) -> None:
        """Wait for the first challenge: not all servers take an initial response."""

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002
        """Return the user name, then the password."""
        return (self._credentials.username_bytes, self._credentials.password_bytes)[self._next(2)]


class CramMD5(_OneWay):
    """CRAM-MD5 (RFC 2195): the password keys a hash of the challenge."""

    name = "CRAM-MD5"

    def initial(self) -> None:
        """Wait for the challenge."""

    def respond(self, challenge: bytes) -> bytes:
        """Return the user name and the keyed hash."""
        self._next(1)
        try:
            import hmac  # as slow to import as all of the other mechanisms together

            digest = hmac.new(self._credentials.password_bytes, challenge, "md5").hexdigest()
        except ValueError:
            raise ConfigurationError(
                "this Python has no MD5 (FIPS mode?), which CRAM-MD5 needs: use a server with SCRAM-SHA-256"
            ) from None
        return self._credentials.username_bytes + b" " + digest.encode("ascii")


class _Bearer(_OneWay):
    """What both OAuth mechanisms share: a failure comes as a challenge, to be answered before the 535."""

    _ACKNOWLEDGEMENT: bytes

    def respond(self, challenge: bytes) -> bytes:
        """Keep what the server says about the failure, and acknowledge it."""
        self._next(1)
        self.detail: str | None = printable(challenge)
        return self._ACKNOWLEDGEMENT


class XOAuth2(_Bearer):
    """XOAUTH2, Google's forerunner of OAUTHBEARER.

    Source: https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
    """

    name = "XOAUTH2"
    _ACKNOWLEDGEMENT = b""

    def initial(self) -> bytes:
        """Return the user and the token."""
        credentials = self._credentials
        return b"user=%b\x01auth=Bearer %b\x01\x01" % (credentials.username_bytes, credentials.token_bytes)


class OAuthBearer(_Bearer):
    """OAUTHBEARER (RFC 7628).

    Args:
        credentials: The user and the token.
        host: The host name that the client connected to (RFC 7628 §3.1), where it is to be told.
        port: And the port.
    """

    name = "OAUTHBEARER"
    _ACKNOWLEDGEMENT = _END  # RFC 7628 §3.2.3

    def __init__(self, credentials: Credentials, *, host: str | None = None, port: int | None = None) -> None:
        super().__init__(credentials)
        self._host = host
        self._port = port

    def initial(self) -> bytes:
        """Return the GS2 header and the key-value pairs (RFC 7628 §3.1)."""
        # saslname, RFC 5801 §4
        user = self._credentials.username_bytes.replace(b"=", b"=3D").replace(b",", b"=2C")
        pairs = [b"auth=Bearer " + self._credentials.token_bytes]
        if self._port is not None:
            pairs.insert(0, b"port=%d" % self._port)
        if self._host is not None:
            pairs.insert(0, b"host=" + utf8(self._host, "the host name"))
        return _END.join((b"n,a=%b," % user, *pairs, b"", b""))
