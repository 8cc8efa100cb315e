"""Whose credentials a connection uses, and where a fresh token comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.secret import Secret
from mailkit.smtp.credentials import Credentials, shown_name
from mailkit.smtp.mechanism_names import WITH_TOKEN, check_installed

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.smtp.mechanism_names import MechanismName

__all__ = ["Login", "TokenSource"]

TokenSource: TypeAlias = Callable[[], str | Awaitable[str]]
"""Returns an OAuth 2.0 access token: asked for each new connection, and once more when the server refuses the token."""


@frozen(kw_only=True)
class Login:
    """Who logs in, and with what.

    Args:
        username: The authentication identity; empty where a Kerberos ticket says it.
        password: For the mechanisms that want one.
        token: An OAuth 2.0 access token, or a function that returns one.
        mechanism: The only mechanism to use; None for the best that the server offers.

    Raises:
        ConfigurationError: They hold what no mechanism could carry, or not this one; or it is not installed.
    """

    username: str
    password: Secret | None = field(default=None, repr=False)
    token: Secret | TokenSource | None = field(default=None, repr=False)
    mechanism: MechanismName | None = None

    def __attrs_post_init__(self) -> None:
        if self.mechanism is not None:
            self._check_mechanism(self.mechanism)
        if not callable(self.token):
            self._given(self.token)

    def _check_mechanism(self, name: MechanismName) -> None:
        wanted, given = ("token", "password") if name in WITH_TOKEN else ("password", "token")
        if (name in WITH_TOKEN) != (self.token is not None):
            raise ConfigurationError(f"{name} takes a {wanted}, not a {given}: give it one, or leave mechanism= out")
        check_installed(name)

    def _given(self, token: Secret | None) -> Credentials:
        return Credentials(self.username, password=self.password, token=token, ticket=self.mechanism == "GSSAPI")

    def __repr__(self) -> str:
        return f"Login(username={self.who}, mechanism={self.mechanism!r})"

    @property
    def who(self) -> str:
        """What to call whoever logs in, in an error."""
        return shown_name(self.username, self.password) if self.username else "the Kerberos ticket"

    @property
    def is_renewable(self) -> bool:
        """Whether asking again may give another token."""
        return callable(self.token)

    async def credentials(self, edge: Edge) -> Credentials:
        """Return what to log in with now.

        Raises:
            ConfigurationError: The function's token is not one.
        """
        source = self.token
        if not callable(source):
            return self._given(source)
        # It may ask an authorization server. A tuple, because trio lets no coroutine out of a thread.
        (token,) = await edge.in_thread(lambda: (source(),))
        if isawaitable(token):
            token = await token
        return Credentials(self.username, token=Secret(token))
