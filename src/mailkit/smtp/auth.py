"""AUTH (RFC 4954): which mechanism, and how its messages travel in commands and replies.

No password or token goes over a connection that others can read, unless that was asked for in plain sight.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from mailkit.errors import AuthenticationError, ProtocolError
from mailkit.smtp import commands
from mailkit.smtp.mechanisms import CramMD5, Credentials, Login, Mechanism, OAuthBearer, Plain, XOAuth2
from mailkit.smtp.scram import Scram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailkit.reply import Reply

__all__ = ["MAX_CHALLENGES", "Credentials", "Exchange", "Mechanism", "choose"]

MAX_CHALLENGES: Final = 10
"""Challenges of one exchange. No mechanism has more than three; a server that goes on keeps the client for
nothing."""

_WITH_TOKEN: Final = ("OAUTHBEARER", "XOAUTH2")
_WITH_PASSWORD: Final = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN")
_MECHANISMS: Final[dict[str, Callable[[Credentials], Mechanism]]] = {
    "XOAUTH2": XOAuth2,
    "CRAM-MD5": CramMD5,
    "PLAIN": Plain,
    "LOGIN": Login,
}
_SHOWS_SECRET: Final = frozenset(("OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"))


def choose(
    offered: Iterable[str],
    *,
    credentials: Credentials,
    tls: bool,
    allow_cleartext: bool = False,
    channel_binding: bytes | None = None,
    host: str | None = None,
    port: int | None = None,
) -> Mechanism:
    """Return the best mechanism that the server offers and the credentials allow, ready for one login.

    Args:
        offered: The mechanisms of the server's EHLO reply.
        credentials: Who logs in. With a token only the OAuth mechanisms are used.
        tls: Whether the connection is encrypted and the server verified, or as much as was asked for.
        allow_cleartext: Whether mechanisms that show the secret may be used without TLS: on a loopback host,
            or because ``tls="insecure"`` was asked for.
        channel_binding: The data of ``tls-server-end-point`` (RFC 5929), where it is known.
        host: The host name for OAUTHBEARER.
        port: The port for OAUTHBEARER.

    Raises:
        AuthenticationError: No mechanism is both offered and allowed.
        ConfigurationError: The credentials cannot be spelled in that mechanism.
    """
    names = frozenset(map(str.upper, offered))
    known = _WITH_PASSWORD if credentials.token is None else _WITH_TOKEN
    usable = {name for name in names if tls or allow_cleartext or name not in _SHOWS_SECRET}
    if channel_binding is None:
        usable.discard("SCRAM-SHA-256-PLUS")
    for name in known:
        if name not in usable:
            continue
        if name in {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}:
            binds = "SCRAM-SHA-256-PLUS" in names
            return Scram(credentials, channel_binding=channel_binding, server_binds=binds)
        if name == "OAUTHBEARER":
            return OAuthBearer(credentials, host=host, port=port)
        return _MECHANISMS[name](credentials)
    raise _nothing_fits(names, known)


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


def _nothing_fits(names: frozenset[str], known: tuple[str, ...]) -> AuthenticationError:
    kind = "a token" if known is _WITH_TOKEN else "a password"
    offer = ", ".join(sorted(names)) or "no mechanism"
    in_clear = names & _SHOWS_SECRET & frozenset(known)
    if in_clear:
        return AuthenticationError(
            f"the server offers {offer} without TLS; {' and '.join(sorted(in_clear))} would show {kind} "
            'to everybody on the way: use TLS, or say tls="insecure" if that is what you want',
            cause="security",
            phase="auth",
        )
    return AuthenticationError(
        f"the server offers {offer}; with {kind} mailkit can use {', '.join(known)}: give other credentials, "
        "or let the server offer one of these",
        cause="configuration",
        phase="auth",
    )
