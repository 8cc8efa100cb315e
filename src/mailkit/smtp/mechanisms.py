"""The SASL mechanisms that send what they know, or one hash of it: from PLAIN to OAUTHBEARER.

A mechanism is fed decoded challenges and gives undecoded responses; base64, counting and replies belong to
:class:`mailkit.smtp.auth.Exchange`. SCRAM has a file of its own.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn, Protocol

from attrs import field, frozen

from mailkit.errors import ConfigurationError, ProtocolError
from mailkit.redaction import printable
from mailkit.secret import Secret

__all__ = ["CramMD5", "Credentials", "Login", "Mechanism", "OAuthBearer", "Plain", "XOAuth2", "shown_name"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN = re.compile(r"[!-~]+")  # wider than RFC 6750 §2.1; spaces and controls would start something new

_END: Final = b"\x01"  # kvsep, RFC 7628 §3.1


def _secret(value: str | Secret | None) -> Secret | None:
    return None if value is None else Secret.coerce(value)


def shown_name(username: str, password: Secret | None) -> str:
    """Return what to call whoever logs in: some relays take one key as user name and password."""
    return "the key" if password is not None and password.reveal() == username else repr(username)


@frozen
class Credentials:
    """Who logs in, and with what.

    Example:
        >>> Credentials("ann@example.com", password="hunter2")
        Credentials(username='ann@example.com', password=Secret('***'), token=None)

    Args:
        username: The authentication identity.
        password: For the mechanisms that want one.
        token: An OAuth 2.0 access token; where there is one, it is used and the password is not.
        ticket: Whether a Kerberos ticket will do, in place of either.

    Raises:
        ConfigurationError: One of them holds characters that would be read as something else, or neither is
            given.
    """

    username: str
    password: Secret | None = field(default=None, converter=_secret, kw_only=True)
    token: Secret | None = field(default=None, converter=_secret, kw_only=True)
    ticket: bool = field(default=False, kw_only=True, repr=False)

    def __repr__(self) -> str:
        who = shown_name(self.username, self.password)
        return f"Credentials(username={who}, password={self.password!r}, token={self.token!r})"

    def __attrs_post_init__(self) -> None:
        if self.password is None and self.token is None and not self.ticket:
            raise ConfigurationError(f"there is no password or token for {self.username!r}: give one of them")
        if _CONTROL.search(self.username):
            raise ConfigurationError(f"the user name {self.username!r} holds a control character: remove it")
        if self.password is not None and "\0" in self.password.reveal():
            raise ConfigurationError("the password holds a NUL character, which ends it in PLAIN: change it")
        if self.token is not None and not _TOKEN.fullmatch(self.token.reveal()):
            raise ConfigurationError(
                "the token is empty or holds spaces, controls or non-ASCII: check where it comes from"
            )
        _utf8(self.username, "the user name")
        _utf8(self._password, "the password")

    @property
    def _password(self) -> str:
        return "" if self.password is None else self.password.reveal()

    @property
    def username_bytes(self) -> bytes:
        """The user name as UTF-8."""
        return self.username.encode()

    @property
    def password_bytes(self) -> bytes:
        """The password as UTF-8, empty where there is none: for the wire only."""
        return self._password.encode()

    @property
    def token_bytes(self) -> bytes:
        """The token, empty where there is none: for the wire only."""
        return b"" if self.token is None else self.token.reveal().encode()


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
            pairs.insert(0, b"host=" + _utf8(self._host, "the host name"))
        return _END.join((b"n,a=%b," % user, *pairs, b"", b""))


def _utf8(value: str, what: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{what} holds a lone surrogate, which is no character: correct it") from None
