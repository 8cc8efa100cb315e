"""GSSAPI (RFC 4752): a Kerberos ticket in place of a password; Kerberos itself is pyspnego's.

The Kerberos library asks its servers by itself, for as long as its own configuration lets it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from mailkit.errors import AuthenticationError, ProtocolError
from mailkit.redaction import printable
from mailkit.smtp.mechanism_names import check_installed

if TYPE_CHECKING:
    from spnego import ContextProxy

    from mailkit.smtp.credentials import Credentials

__all__ = ["GSSAPI"]

_NO_LAYER: Final = 1  # RFC 4752 §3.3: TLS is the layer that guards the connection, and this login is all we want


class GSSAPI:
    """One login by GSSAPI.

    Args:
        credentials: Whose ticket, with a user name; and a password to get one with, where there is none yet. Without
            a user name the ticket is that of the process's credential cache.
        host: The server, whose name in Kerberos is ``smtp@host``.

    Raises:
        ConfigurationError: pyspnego is not installed, or not its Kerberos.
    """

    name = "GSSAPI"
    detail: str | None = None

    def __init__(self, credentials: Credentials, *, host: str) -> None:
        check_installed(self.name)
        self._credentials = credentials
        self._host = host
        self._begun = False
        self._agreed = False

    def __repr__(self) -> str:
        return f"GSSAPI({self._credentials!r}, host={self._host!r})"

    def initial(self) -> None:
        """Wait for the empty challenge: a ticket is often longer than a command may be (RFC 4954 §4)."""

    def respond(self, challenge: bytes) -> bytes:
        """Return the next token, empty where there is none; at last, the answer about the security layer.

        Raises:
            ProtocolError: The server asked once more than there are steps, or about something else.
            AuthenticationError: There is no ticket, or the server did not prove who it is.
        """
        if self._agreed:
            raise ProtocolError("the server asked again after the last step of GSSAPI", phase="auth")
        if not self._begun:
            self._begun = True
            return self._first_token()
        context = self._context
        try:
            if not context.complete:
                return context.step(challenge) or b""
            offer = context.unwrap(challenge).data
        except Exception as error:  # noqa: BLE001 - whatever Kerberos says to a hostile token
            raise AuthenticationError(
                f"the server did not prove to be smtp@{self._host} ({type(error).__name__}): it may be an impostor, or "
                "its clock or its keytab is wrong; nothing was sent",
                cause="security",
                phase="auth",
            ) from None
        return self._choose_layer(offer)

    def finish(self) -> None:
        """Check that the server has proved who it is, and that both know that no layer follows."""
        if not self._agreed:
            raise AuthenticationError(
                f"the server accepted GSSAPI without proving to be smtp@{self._host}: it may be an impostor, or "
                "broken; nothing was sent",
                cause="security",
                phase="auth",
            )

    @cached_property
    def _context(self) -> ContextProxy:
        import spnego  # and with it cryptography, which takes its time

        credentials = self._credentials
        context = spnego.client(
            credentials.username or None,
            None if credentials.password is None else credentials.password.reveal(),
            hostname=self._host,
            service="smtp",
            protocol="kerberos",
            # RFC 4752 §3.1: both sides prove who they are; no channel binding, which the mechanism does not have.
            context_req=spnego.ContextReq.mutual_auth | spnego.ContextReq.integrity,
        )
        # Otherwise it logs each token at DEBUG.
        context._is_wrapped = True  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        return context

    def _first_token(self) -> bytes:
        try:
            return self._context.step() or b""
        except Exception as error:  # noqa: BLE001 - three libraries, each with exceptions of its own
            said = printable(str(error).encode("utf-8", "replace"))
            raise AuthenticationError(
                f"Kerberos has no ticket for smtp@{self._host}: {said}. Look at klist, and get a new one with kinit",
                cause="configuration",
                phase="auth",
            ) from None

    def _choose_layer(self, offer: bytes) -> bytes:
        # RFC 4752 §3.1: a bit for each layer, and the size of its buffers, which is 0 where there is none.
        if len(offer) != 4 or (offer[0] == _NO_LAYER and any(offer[1:])):
            raise ProtocolError("the server's GSSAPI message about security layers is malformed", phase="auth")
        if not offer[0] & _NO_LAYER:
            raise AuthenticationError(
                "the server wants the connection guarded by GSSAPI itself, and mailkit knows TLS only: let the server "
                "take logins without a security layer",
                cause="configuration",
                phase="auth",
            )
        self._agreed = True
        # No authorization identity: the server takes it from the ticket.
        return self._context.wrap(bytes((_NO_LAYER, 0, 0, 0)), encrypt=False).data
