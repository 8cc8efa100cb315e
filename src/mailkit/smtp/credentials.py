"""Who logs in, and with what: checked before anything is connected to."""

from __future__ import annotations

import re

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.secret import Secret

__all__ = ["Credentials", "shown_name", "utf8"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN = re.compile(r"[!-~]+")  # wider than RFC 6750 §2.1; spaces and controls would start something new


def _secret(value: str | Secret | None) -> Secret | None:
    return None if value is None else Secret.coerce(value)


def shown_name(username: str, password: Secret | None) -> str:
    """Return what to call whoever logs in: some relays take one key as user name and password."""
    return "the key" if password is not None and password.reveal() == username else repr(username)


@frozen(eq=False)
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
        utf8(self.username, "the user name")
        utf8(self._password, "the password")

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


def utf8(value: str, what: str) -> bytes:
    """Return a text as the mechanisms carry it.

    Raises:
        ConfigurationError: It holds half a character, of which there is no UTF-8.
    """
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{what} holds a lone surrogate, which is no character: correct it") from None
