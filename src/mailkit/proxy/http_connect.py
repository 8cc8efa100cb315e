"""HTTP CONNECT (RFC 9110 §9.3.6), with Basic credentials where they are given (RFC 7617)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from mailkit.errors import AuthenticationError, ConfigurationError, ConnectError, ProtocolError
from mailkit.proxy.destination import authority

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from mailkit.errors import Cause
    from mailkit.proxy.exchange import Exchange
    from mailkit.secret import Secret

__all__ = ["MAX_HEAD", "check_credentials", "http_connect"]

PHASE: Final = "proxy"

MAX_HEAD: Final = 16 * 1024
"""Octets of status line and header fields, those of interim responses included; servers allow clients 8 to 16 KiB."""

UNAUTHENTICATED: Final = frozenset({401, 407})
"""407 says so (RFC 9110 §15.5.8); tinyproxy says 401, which to a CONNECT can only be about the proxy itself."""

_BEGINNING: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?: [^\0\r\n]*)?\r?\n")
# RFC 9112 §2.2: a bare LF may be taken for a line's end.
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")

# Who may try again, where the class of the status does not say it.
_CAUSES: Final[Mapping[int, Cause]] = {
    408: "transient",
    421: "transient",
    425: "transient",
    429: "throttled",
    501: "configuration",
    505: "configuration",
}
# 3xx: followed, it would carry the credentials somewhere else.
_CLASSES: Final[Mapping[int, Cause]] = {3: "security", 4: "configuration", 5: "transient"}


def check_credentials(username: Secret, password: Secret) -> None:
    """Refuse what RFC 7617 cannot carry.

    Raises:
        ConfigurationError: There is a colon in the user name, or a control character in one of them.
    """
    texts = (username.reveal(), password.reveal())
    if ":" in texts[0] or any(ord(character) < 0x20 or character == "\x7f" for text in texts for character in text):
        raise ConfigurationError(
            "HTTP Basic authentication (RFC 7617) allows no colon in the user name, and no control characters: the "
            "proxy's credentials hold one"
        )


def http_connect(host: str, port: int, credentials: tuple[Secret, Secret] | None) -> Exchange:
    """Ask an HTTP proxy for a connection to `host` and `port`.

    Raises:
        ConnectError: The proxy could not make the connection, or may not.
        AuthenticationError: It does not take the credentials, or wants some.
        ProtocolError: It does not speak HTTP/1.1, or never ends.
    """
    where = authority(host, port)
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if credentials is not None:
        pair = ":".join(secret.reveal() for secret in credentials).encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode('ascii')}")
    buffer = bytearray()
    buffer += yield "\r\n".join([*lines, "", ""]).encode("ascii")
    status, left = yield from _response(buffer, MAX_HEAD)
    while status < 200:  # RFC 9110 §15.2: interim, and a client parses any number of them
        status, left = yield from _response(buffer, left)
    if status >= 300:
        raise _refused(where, status, has_credentials=credentials is not None)
    # There is no content, whatever the header fields say (RFC 9110 §9.3.6).
    return bytes(buffer)


def _response(buffer: bytearray, limit: int) -> Generator[bytes, bytes, tuple[int, int]]:
    """Take a response's head out of `buffer`; return its status, and how much more may come."""
    searched = 0
    while True:
        # Said at once: a server that is no proxy may say half a line and wait.
        if not _BEGINNING.startswith(buffer[: len(_BEGINNING)]):
            raise ProtocolError(
                "it does not answer in HTTP/1.1: something else may listen there; check the proxy's URL",
                cause="configuration",
                phase=PHASE,
            )
        end = _BLANK_LINE.search(buffer, searched)
        if (end.end() if end else len(buffer)) > limit:
            raise ProtocolError(f"its answer is longer than {MAX_HEAD} octets; use another proxy", phase=PHASE)
        if end:
            break
        searched = max(0, len(buffer) - 2)
        buffer += yield b""
    status = _STATUS_LINE.match(buffer)
    if status is None:
        raise ProtocolError("its status line cannot be understood; use another proxy", phase=PHASE)
    code = int(status[1])
    size = end.end()
    del buffer[:size]
    return code, limit - size


def _refused(where: str, status: int, *, has_credentials: bool) -> ConnectError | AuthenticationError:
    # What else it wrote is not shown: proxies repeat what they were sent.
    if status in UNAUTHENTICATED:
        what = "refused the credentials" if has_credentials else "wants credentials"
        return AuthenticationError(f"it {what} (HTTP status {status}); check the proxy's URL", phase=PHASE)
    cause = _CAUSES.get(status) or _CLASSES[status // 100]
    advice = "try again later" if cause in {"transient", "throttled"} else "check what it allows, or use another proxy"
    return ConnectError(
        f"it was asked for {where} and answered with HTTP status {status}; {advice}", cause=cause, phase=PHASE
    )
