"""SOCKS5 (RFC 1928), with a user name and password where they are given (RFC 1929).

Host names go to the proxy as they are: it looks them up, and this machine asks no name server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.errors import AuthenticationError, ConfigurationError, ConnectError, ProtocolError
from mailkit.proxy.destination import authority, literal
from mailkit.proxy.exchange import take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.errors import Cause
    from mailkit.proxy.exchange import Exchange
    from mailkit.secret import Secret

__all__ = ["check_credentials", "socks5"]

PHASE: Final = "proxy"

VERSION: Final = 5
AUTH_VERSION: Final = 1  # of the subnegotiation, RFC 1929 §2
CONNECT: Final = 1

NO_AUTHENTICATION: Final = 0
USERNAME_PASSWORD: Final = 2
NONE_ACCEPTABLE: Final = 0xFF

IPV4: Final = 1
DOMAIN: Final = 3
IPV6: Final = 4
_SIZES: Final[Mapping[int, int]] = {IPV4: 4, IPV6: 16}

LONGEST: Final = 255  # one octet says how long a name, a user name or a password is

# RFC 1928 §6: what the reply says, and who may try again.
REPLIES: Final[Mapping[int, tuple[str, Cause]]] = {
    1: ("failed in general", "transient"),
    2: ("does not allow it by its rules; have them changed", "configuration"),
    3: ("cannot reach its network", "transient"),
    4: ("cannot reach the host, or does not find its name", "transient"),
    5: ("was refused there", "transient"),
    6: ("found it too many hops away", "transient"),
    7: ("does not know the command CONNECT; use another proxy", "configuration"),
    8: ("does not know this kind of address; name the host in another way", "configuration"),
}


def check_credentials(username: Secret, password: Secret) -> None:
    """Refuse what RFC 1929 cannot carry.

    Raises:
        ConfigurationError: One of them is empty or longer than 255 octets.
    """
    for secret in (username, password):
        if not 1 <= len(secret.reveal().encode()) <= LONGEST:
            raise ConfigurationError(
                f"a SOCKS5 proxy takes a user name and a password of 1 to {LONGEST} octets each (RFC 1929): "
                "one of them is empty or longer"
            )


def _address(host: str, port: int) -> bytes:
    target = literal(host)
    if target is not None:
        kind = IPV4 if target.version == 4 else IPV6
        return bytes((kind,)) + target.packed + port.to_bytes(2, "big")
    name = host.encode("ascii")
    return bytes((DOMAIN, len(name))) + name + port.to_bytes(2, "big")


def socks5(host: str, port: int, credentials: tuple[Secret, Secret] | None) -> Exchange:
    """Ask a SOCKS5 proxy for a connection to `host` and `port`.

    Raises:
        ConnectError: The proxy could not make the connection, or may not.
        AuthenticationError: It does not take the credentials, or wants some.
        ProtocolError: It does not speak SOCKS5.
    """
    where = authority(host, port)
    buffer = bytearray()
    methods = (NO_AUTHENTICATION,) if credentials is None else (NO_AUTHENTICATION, USERNAME_PASSWORD)
    buffer += yield bytes((VERSION, len(methods), *methods))
    yield from _version(buffer, VERSION)
    (method,) = yield from take(buffer, 1)
    if method == NONE_ACCEPTABLE:
        wanted = "wants a user name and a password" if credentials is None else "takes no user name and password"
        raise AuthenticationError(f"it {wanted}, or another way to authenticate; check the proxy's URL", phase=PHASE)
    if method not in methods:
        raise ProtocolError(f"it chose the method {method}, which was not offered; use another proxy", phase=PHASE)
    if method == USERNAME_PASSWORD and credentials is not None:
        username, password = (secret.reveal().encode() for secret in credentials)
        buffer += yield bytes((AUTH_VERSION, len(username))) + username + bytes((len(password),)) + password
        yield from _version(buffer, AUTH_VERSION)
        (status,) = yield from take(buffer, 1)
        if status:
            raise AuthenticationError("it refused the user name or the password; check the proxy's URL", phase=PHASE)
    buffer += yield bytes((VERSION, CONNECT, 0)) + _address(host, port)
    yield from _version(buffer, VERSION)
    (code,) = yield from take(buffer, 1)
    if code:
        what, cause = REPLIES.get(code, ("failed for a reason that RFC 1928 does not list", "transient"))
        raise ConnectError(f"it was asked for {where} and {what} (SOCKS5 reply {code})", cause=cause, phase=PHASE)
    _reserved, kind = yield from take(buffer, 2)
    if kind == DOMAIN:
        (size,) = yield from take(buffer, 1)
    elif kind in _SIZES:
        size = _SIZES[kind]
    else:
        raise ProtocolError(f"it named an address of the unknown kind {kind}; use another proxy", phase=PHASE)
    yield from take(buffer, size + 2)  # the address and port that it connected from
    return bytes(buffer)


def _version(buffer: bytearray, expected: int) -> Exchange:
    octet = yield from take(buffer, 1)
    if octet[0] != expected:
        raise ProtocolError(
            f"it answered with the octet {octet[0]} where SOCKS5 has {expected}: something else may listen there; "
            "check the proxy's URL",
            cause="configuration",
            phase=PHASE,
        )
    return octet
