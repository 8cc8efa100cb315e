"""NTLM (MS-NLMP, MS-SMTPNTLM), as Exchange and its like ask for; the cryptography is pyspnego's.

It proves nothing about the server, and its hashes are MD4 and MD5: only where nothing better is offered, and in TLS.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mailkit.errors import ConfigurationError, ProtocolError
from mailkit.smtp.mechanism_names import check_installed

if TYPE_CHECKING:
    from spnego import ContextProxy

    from mailkit.smtp.credentials import Credentials

__all__ = ["NTLM"]


class NTLM:
    r"""One login by NTLM.

    Args:
        credentials: The user, as ``DOMAIN\user`` or ``user@domain`` where there is a domain, and the password.
        channel_binding: The data of ``tls-server-end-point`` (RFC 5929), which Windows calls Extended Protection;
            None where this side has none.

    Raises:
        ConfigurationError: pyspnego is not installed.
    """

    name = "NTLM"
    detail: str | None = None

    def __init__(self, credentials: Credentials, *, channel_binding: bytes | None = None) -> None:
        check_installed(self.name)
        self._credentials = credentials
        self._channel_binding = channel_binding

    def __repr__(self) -> str:
        return f"NTLM({self._credentials!r})"

    def initial(self) -> bytes:
        """Return the NEGOTIATE_MESSAGE.

        Raises:
            ConfigurationError: This system cannot compute NTLM.
        """
        try:
            message = self._context.step()
        except Exception as error:  # noqa: BLE001 - pyspnego documents none of the ones that its parts raise
            # Its text and its frames are not shown: they have had the password.
            raise ConfigurationError(
                f"pyspnego cannot begin a login by NTLM here ({type(error).__name__}): check LM_COMPAT_LEVEL, and "
                "whether this system forbids MD4 and MD5 (FIPS mode)"
            ) from None
        return message or b""

    def respond(self, challenge: bytes) -> bytes:
        """Return the AUTHENTICATE_MESSAGE that answers a CHALLENGE_MESSAGE."""
        if self._context.complete:
            raise ProtocolError("the server asked again after the last step of NTLM", phase="auth")
        try:
            message = self._context.step(challenge)
        except Exception as error:  # noqa: BLE001 - a hostile challenge raises whatever its parser stumbles over
            raise ProtocolError(
                f"the server's NTLM challenge cannot be answered ({type(error).__name__})", phase="auth"
            ) from None
        return message or b""

    def finish(self) -> None:
        """Nothing is left to check: the server proves nothing."""

    @cached_property
    def _context(self) -> ContextProxy:
        import spnego  # and with it cryptography, which takes its time
        from spnego.channel_bindings import GssChannelBindings

        binding: GssChannelBindings | None = None
        if self._channel_binding is not None:  # RFC 5929 §4, in the form of MS-NLMP §3.1.5.1.2
            binding = GssChannelBindings(application_data=b"tls-server-end-point:" + self._channel_binding)
        context = spnego.client(
            self._credentials.username,
            self._credentials.password_bytes.decode(),
            protocol="ntlm",
            # pyspnego's own, on every system: Windows' would take the logged-in user's credentials into account.
            options=spnego.NegotiateOptions.use_ntlm,
            channel_bindings=binding,
        )
        # Otherwise it logs each message at DEBUG, with hashes from which weak passwords can be guessed.
        context._is_wrapped = True  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        return context
