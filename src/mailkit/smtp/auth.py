"""AUTH (RFC 4954): which mechanism, and how its messages travel in commands and replies.

No password or token goes over a connection that others can read, unless that was asked for in plain sight.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from mailkit.errors import AuthenticationError, ProtocolError
from mailkit.smtp import commands
from mailkit.smtp.credentials import Credentials
from mailkit.smtp.gssapi import GSSAPI
from mailkit.smtp.mechanism_names import NEEDS_TLS, WITH_PASSWORD, WITH_TOKEN
from mailkit.smtp.mechanisms import CramMD5, Login, Mechanism, OAuthBearer, Plain, XOAuth2
from mailkit.smtp.ntlm import NTLM
from mailkit.smtp.scram import Scram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailkit.reply import Reply
    from mailkit.smtp.mechanism_names import MechanismName

__all__ = ["MAX_CHALLENGES", "Credentials", "Exchange", "Mechanism", "choose"]

MAX_CHALLENGES: Final = 10
"""Challenges of one exchange. No mechanism has more than three; a server that goes on keeps the client for
nothing."""

_MECHANISMS: Final[dict[str, Callable[[Credentials], Mechanism]]] = {
    "XOAUTH2": XOAuth2,
    "CRAM-MD5": CramMD5,
    "PLAIN": Plain,
    "LOGIN": Login,
}
_BOUND: Final = "SCRAM-SHA-256-PLUS"


def choose(
    offered: Iterable[str],
    *,
    credentials: Credentials,
    tls: bool,
    allow_cleartext: bool = False,
    channel_binding: bytes | None = None,
    host: str | None = None,
    port: int | None = None,
    mechanism: MechanismName | None = None,
) -> Mechanism:
    """Return the best mechanism that the server offers and the credentials allow, ready for one login.

    Args:
        offered: The mechanisms of the server's EHLO reply.
        credentials: Who logs in. With a token only the OAuth mechanisms are used.
        tls: Whether the connection is encrypted and the server verified, or as much as was asked for.
        allow_cleartext: Whether mechanisms that show the secret may be used without TLS: on a loopback host,
            or because ``tls="insecure"`` was asked for.
        channel_binding: The data of ``tls-server-end-point`` (RFC 5929), where it is known.
        host: The host name for OAUTHBEARER and GSSAPI.
        port: The port for OAUTHBEARER.
        mechanism: The only one to use, in place of the best.

    Raises:
        AuthenticationError: No mechanism is both offered and allowed.
        ConfigurationError: The credentials cannot be spelled in that mechanism, or it is not installed.
    """
    names = frozenset(map(str.upper, offered))
    known = _known(credentials, mechanism)
    usable = {name for name in names if tls or allow_cleartext or name not in NEEDS_TLS}
    if channel_binding is None:
        usable.discard(_BOUND)
    for name in known:
        if name not in usable:
            continue
        if name == _BOUND:
            return Scram(credentials, channel_binding=channel_binding, server_binds=True)
        if name == "SCRAM-SHA-256":
            # Here although -PLUS is offered: this side has nothing to bind to, or was told not to, which is the same.
            binding = None if _BOUND in names else channel_binding
            return Scram(credentials, channel_binding=binding)
        if name == "OAUTHBEARER":
            return OAuthBearer(credentials, host=host, port=port)
        if name == "NTLM":
            return NTLM(credentials, channel_binding=channel_binding)
        if name == "GSSAPI":
            return GSSAPI(credentials, host=host or "localhost")
        return _MECHANISMS[name](credentials)
    raise _nothing_fits(names, credentials, mechanism)


class Exchange:
    r"""One AUTH command with its challenges: lines out, replies in. Every line it returns is secret.

    Example:
        >>> from mailkit.reply import Reply
        >>> exchange = Exchange(Login(Credentials("ann", password="hunter2")))
        >>> exchange.begin(), exchange.respond(Reply(334, "VXNlcm5hbWU6"))
        (b'AUTH LOGIN\r\n', b'YW5u\r\n')

    Args:
        mechanism: From :func:`choose`; an exchange is used once.
    """

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism
        self._challenges = 0

    def begin(self) -> bytes:
        """Return the AUTH command, with the initial response where there is one: no extra round trip."""
        initial = self.mechanism.initial()
        if initial is None:
            return commands.auth(self.mechanism.name)
        return commands.auth(self.mechanism.name, base64.b64encode(initial) or b"=")  # "=": RFC 4954 §4

    def respond(self, reply: Reply) -> bytes:
        """Return the line that answers a 334.

        Raises:
            ProtocolError: The challenge is not base64, not one of the mechanism's, or one too many.
            AuthenticationError: The server did not prove who it is.
        """
        self._challenges += 1
        if self._challenges > MAX_CHALLENGES:
            raise ProtocolError(f"the server sent more than {MAX_CHALLENGES} challenges", phase="auth")
        try:
            # Text with non-ASCII characters is a ValueError as well.
            challenge = binascii.a2b_base64(reply.text, strict_mode=True)
        except ValueError:
            # The text is not shown: a server that repeats what it was sent would repeat a secret.
            raise ProtocolError(f"the server's {self.mechanism.name} challenge is not base64", phase="auth") from None
        return commands.auth_response(base64.b64encode(self.mechanism.respond(challenge)))

    def finish(self) -> None:
        """Check, after the server's 235, that it proved what the mechanism wants proved.

        Raises:
            AuthenticationError: It did not; the connection must not be used.
        """
        self.mechanism.finish()


def _known(credentials: Credentials, mechanism: MechanismName | None) -> tuple[MechanismName, ...]:
    """List what may be used, the best first."""
    if mechanism is not None:
        return (mechanism,)
    return WITH_PASSWORD if credentials.token is None else WITH_TOKEN


def _nothing_fits(
    names: frozenset[str], credentials: Credentials, mechanism: MechanismName | None
) -> AuthenticationError:
    known = _known(credentials, mechanism)
    kind = "a password" if credentials.token is None else "a token"
    offer = ", ".join(sorted(names)) or "no mechanism"
    in_clear = names & NEEDS_TLS & frozenset(known)
    if in_clear:
        return AuthenticationError(
            f"the server offers {offer} without TLS; {' and '.join(sorted(in_clear))} would show {kind}, or let it be "
            'guessed, to everybody on the way: use TLS, or say tls="insecure" if that is what you want',
            cause="security",
            phase="auth",
        )
    if mechanism is None:
        return AuthenticationError(
            f"the server offers {offer}; with {kind} mailkit can use {', '.join(known)}: give other credentials, "
            "or let the server offer one of these",
            cause="configuration",
            phase="auth",
        )
    missing = "nothing to bind it to: it needs TLS" if mechanism in names else "no such offer"
    return AuthenticationError(
        f"the server offers {offer}, and mechanism={mechanism!r} was asked for, for which there is {missing}. Leave it "
        "out to log in by the best that is offered",
        cause="configuration",
        phase="auth",
    )
