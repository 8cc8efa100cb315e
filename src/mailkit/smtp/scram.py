"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): both sides prove that they know the password.

The server's proof is not optional: a 235 without it is refused, because whoever sent it does not know the
password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

from mailkit.errors import AuthenticationError, ProtocolError
from mailkit.smtp.saslprep import saslprep

if TYPE_CHECKING:
    from mailkit.errors import Cause
    from mailkit.smtp.credentials import Credentials

__all__ = ["MAX_ITERATIONS", "MIN_ITERATIONS", "Scram"]

MIN_ITERATIONS: Final = 4_096
"""RFC 7677 §4: at least. With fewer, a server that only pretends could guess the password from the proof."""

MAX_ITERATIONS: Final = 1_000_000
"""About half a second of hashing: with more, a server could make the client work for nothing."""

_CHANNEL_BINDING: Final = "tls-server-end-point"  # RFC 5929 §4

# server-first-message, RFC 5802 §7, without the reserved "m=", which a client has to refuse. "…,ext" may
# follow.
_SERVER_FIRST = re.compile(rb"r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})(?:,.*)?", re.DOTALL)
# server-error-value, RFC 5802 §7, and what each means for a retry. The two about binding that say "security" are how a
# server finds out that somebody stands between us.
_SERVER_ERRORS: Final[dict[str, Cause]] = {
    "invalid-encoding": "configuration",
    "extensions-not-supported": "configuration",
    "invalid-proof": "configuration",
    "channel-bindings-dont-match": "security",
    "server-does-support-channel-binding": "security",
    "channel-binding-not-supported": "configuration",
    "unsupported-channel-binding-type": "configuration",
    "unknown-user": "configuration",
    "invalid-username-encoding": "configuration",
    "no-resources": "transient",
    "other-error": "configuration",
}

_SERVER_FINAL = re.compile(rb"([ve])=([^,]+)(?:,.*)?", re.DOTALL)


class Scram:
    """One login by SCRAM.

    Args:
        credentials: The user and the password.
        channel_binding: The data of ``tls-server-end-point``; None where this side has none.
        server_binds: Whether the server offers the -PLUS mechanism, so that the login is bound to the
            channel.
        nonce: The client's nonce, for test vectors; 144 random bits otherwise.

    Raises:
        ConfigurationError: SASLprep (RFC 4013) prohibits the user name or the password.
    """

    detail: str | None = None

    def __init__(
        self,
        credentials: Credentials,
        *,
        channel_binding: bytes | None = None,
        server_binds: bool = False,
        nonce: str | None = None,
    ) -> None:
        # gs2-cbind-flag, RFC 5802 §6: "y" tells a server that does bind, that somebody hid its -PLUS from us.
        bound = channel_binding is not None and server_binds
        flag = f"p={_CHANNEL_BINDING}" if bound else "n" if channel_binding is None else "y"
        self.name = "SCRAM-SHA-256-PLUS" if bound else "SCRAM-SHA-256"
        self._gs2_header = f"{flag},,".encode()
        self._binding = channel_binding if channel_binding is not None and bound else b""
        user = saslprep(credentials.username, "the user name").replace("=", "=3D").replace(",", "=2C")
        self._password = saslprep(credentials.password_bytes.decode(), "the password").encode()
        self._nonce = (nonce or secrets.token_urlsafe(18)).encode("ascii")
        self._client_first_bare = b"n=%b,r=%b" % (user.encode(), self._nonce)
        self._server_signature: bytes | None = None
        self._verified = False

    def __repr__(self) -> str:
        return f"Scram({self.name!r})"

    def initial(self) -> bytes:
        """Return the client-first-message."""
        return self._gs2_header + self._client_first_bare

    def respond(self, challenge: bytes) -> bytes:
        """Return the client-final-message; then check the server's signature and return an empty response."""
        if self._verified:
            raise ProtocolError(f"the server asked again after the last step of {self.name}", phase="auth")
        if self._server_signature is None:
            return self._prove(challenge)
        self._verify(challenge, self._server_signature)
        return b""

    def finish(self) -> None:
        """Check that the server's signature has come."""
        if not self._verified:
            raise AuthenticationError(
                f"the server accepted {self.name} without proving that it knows the password: it may be an "
                "impostor, or broken; nothing was sent",
                cause="security",
                phase="auth",
            )

    def _prove(self, server_first: bytes) -> bytes:
        fields = _SERVER_FIRST.fullmatch(server_first)
        if fields is None:
            raise ProtocolError(f"the server's {self.name} challenge is malformed", phase="auth")
        nonce, iterations = fields[1], int(fields[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise AuthenticationError(
                f"the server's {self.name} challenge answers another login: somebody may be replaying one",
                cause="security",
                phase="auth",
            )
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise AuthenticationError(
                f"the server asks for {iterations:,} iterations of {self.name}; mailkit takes {MIN_ITERATIONS:,} to "
                f"{MAX_ITERATIONS:,}: set the password again on the server with a count between them",
                cause="security",
                phase="auth",
            )
        final = b"c=%b,r=%b" % (base64.b64encode(self._gs2_header + self._binding), nonce)
        message = b",".join((self._client_first_bare, server_first, final))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, self._decode(fields[2]), iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return b"%b,p=%b" % (final, base64.b64encode(proof))

    def _verify(self, server_final: bytes, expected: bytes) -> None:
        fields = _SERVER_FINAL.fullmatch(server_final)
        if fields is None:
            raise ProtocolError(f"the end of the server's {self.name} exchange is malformed", phase="auth")
        if fields[1] == b"e":
            # What is not on the list is not shown: it could be anything, even the password.
            said = fields[2].decode("ascii", "replace")
            error = said if said in _SERVER_ERRORS else "other-error"
            self.detail = error
            msg = f"the server refused {self.name}: {error}"
            raise AuthenticationError(msg, cause=_SERVER_ERRORS[error], phase="auth")
        if not hmac.compare_digest(self._decode(fields[2]), expected):
            raise AuthenticationError(
                "the server does not know the password: it may be an impostor; nothing was sent",
                cause="security",
                phase="auth",
            )
        self._verified = True

    def _decode(self, text: bytes) -> bytes:
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise ProtocolError(f"the server's {self.name} message holds malformed base64", phase="auth") from None
