"""The server's side of the SASL mechanisms, as generators that yield challenges and are sent responses.

A mechanism returns the user's name, or raises `Denied`. Base64 is the session's business.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

__all__ = ["MECHANISMS", "Accounts", "Denied", "Exchange", "MalformedResponse"]

Exchange: TypeAlias = Generator[bytes, bytes, str]

SCRAM_ITERATIONS = 4096
"""RFC 7677 §4 asks for at least this many."""


class Denied(Exception):
    """The credentials are wrong."""


class MalformedResponse(Exception):
    """The response is not what the mechanism's grammar allows."""


@attrs.frozen
class Accounts:
    """Who may authenticate.

    Args:
        users: Passwords by user name.
        tokens: OAuth bearer tokens by user name.
        channel_binding: The `tls-server-end-point` data of this connection (RFC 5929 §4.1), `None` without
            TLS.
        hostname: What CRAM-MD5 challenges name.
        plus_offered: Whether a `-PLUS` mechanism is offered, which makes the client's flag `y` a downgrade
            attack.
    """

    users: Mapping[str, str] = attrs.field(repr=False)
    tokens: Mapping[str, str] = attrs.field(repr=False)
    channel_binding: bytes | None = None
    hostname: str = "mx.test"
    plus_offered: bool = False

    def check_password(self, user: str, password: str) -> str:
        """Return the user's name if the password is right.

        Raises:
            Denied: It is not.
        """
        expected = self.users.get(user)
        if expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
            raise Denied
        return user


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MalformedResponse from None


def plain(accounts: Accounts, initial: bytes | None) -> Exchange:
    """RFC 4616: `[authzid] NUL authcid NUL passwd`."""
    response = (yield b"") if initial is None else initial
    match _text(response).split("\0"):
        case [identity, user, password] if user and password:
            if identity not in {"", user}:
                raise Denied
            return accounts.check_password(user, password)
        case _:
            raise MalformedResponse


def login(accounts: Accounts, initial: bytes | None) -> Exchange:
    """The obsolete LOGIN (draft-murchison-sasl-login): two prompts, user and password."""
    user = (yield b"Username:") if initial is None else initial
    password = yield b"Password:"
    return accounts.check_password(_text(user), _text(password))


def cram_md5(accounts: Accounts, initial: bytes | None) -> Exchange:
    """RFC 2195: a keyed digest of a challenge that looks like a Message-ID."""
    if initial is not None:
        raise MalformedResponse
    challenge = f"<{secrets.token_hex(8)}@{accounts.hostname}>".encode()
    user, _, digest = _text((yield challenge)).rpartition(" ")
    password = accounts.users.get(user, "")
    expected = hmac.new(password.encode(), challenge, "md5").hexdigest()
    if user not in accounts.users or not hmac.compare_digest(expected, digest):
        raise Denied
    return user


def xoauth2(accounts: Accounts, initial: bytes | None) -> Exchange:
    """XOAUTH2: `user=…^Aauth=Bearer …^A^A`; the client answers an error challenge with an empty response."""
    response = _text((yield b"") if initial is None else initial)
    fields = response.split("\1")
    if len(fields) != 4 or fields[2:] != ["", ""] or not fields[0].startswith("user="):
        raise MalformedResponse
    user = fields[0].removeprefix("user=")
    if not _bears(accounts, user, fields[1].removeprefix("auth=")):
        yield b'{"status":"401","schemes":"bearer","scope":"https://mail.example.com/"}'
        raise Denied
    return user


def oauthbearer(accounts: Accounts, initial: bytes | None) -> Exchange:
    """RFC 7628 §3.1: a GS2 header and `key=value` pairs; an error challenge wants a single ^A (§3.2.3)."""
    response = _text((yield b"") if initial is None else initial)
    header, *pairs = response.split("\1")
    match header.split(","):
        case ["n" | "y", identity, ""] if pairs[-2:] == ["", ""]:
            fields = _fields(pairs[:-2])
        case _:
            raise MalformedResponse
    user = _unescape(identity.removeprefix("a=")) if identity else ""
    if not _bears(accounts, user, fields.get("auth", "")):
        answer = yield b'{"status":"invalid_token","schemes":"bearer","scope":"mail"}'
        if answer != b"\1":
            raise MalformedResponse
        raise Denied
    return user


def _bears(accounts: Accounts, user: str, credentials: str) -> bool:
    scheme, _, token = credentials.partition(" ")
    expected = accounts.tokens.get(user)
    return (
        expected is not None and scheme.lower() == "bearer" and hmac.compare_digest(expected.encode(), token.encode())
    )


def _fields(pairs: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _unescape(name: str) -> str:
    """Undo RFC 5802 §5.1's escapes of comma and equals sign."""
    rest = name.replace("=2C", "").replace("=3D", "")
    if "=" in rest:
        raise MalformedResponse
    return name.replace("=2C", ",").replace("=3D", "=")


def _scram(accounts: Accounts, initial: bytes | None, *, plus: bool) -> Exchange:
    first = _text((yield b"") if initial is None else initial)
    match first.split(",", 2):
        case [flag, identity, bare] if identity in {"", *(f"a={user}" for user in accounts.users)}:
            gs2 = f"{flag},{identity},".encode()
        case _:
            raise MalformedResponse
    bound = flag == "p=tls-server-end-point"
    if bound != plus or (not bound and flag not in {"n", "y"}):
        raise MalformedResponse
    if flag == "y" and accounts.plus_offered:  # RFC 5802 §6: somebody hid our -PLUS from the client
        raise Denied
    fields = _fields(bare.split(","))
    if list(fields)[:2] != ["n", "r"] or not fields["r"]:
        raise MalformedResponse
    user = _unescape(fields["n"])
    nonce = fields["r"] + secrets.token_urlsafe(18)
    salt = secrets.token_bytes(16)
    challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={SCRAM_ITERATIONS}"
    final = _text((yield challenge.encode()))

    binding = gs2 + (accounts.channel_binding or b"" if bound else b"")
    without_proof = f"c={base64.b64encode(binding).decode()},r={nonce}"
    authenticated = f"{bare},{challenge},{without_proof}".encode()
    salted = hashlib.pbkdf2_hmac("sha256", accounts.users.get(user, "").encode(), salt, SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), authenticated, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    # One comparison settles nonce, channel binding and proof: each is wrong in the same way for the client.
    if user not in accounts.users or not hmac.compare_digest(f"{without_proof},p={proof}".encode(), final.encode()):
        raise Denied
    verifier = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), authenticated, "sha256")
    yield b"v=" + base64.b64encode(verifier)
    return user


def scram_sha_256(accounts: Accounts, initial: bytes | None) -> Exchange:
    """RFC 7677 without channel binding; the server's final message goes as one more challenge."""
    return _scram(accounts, initial, plus=False)


def scram_sha_256_plus(accounts: Accounts, initial: bytes | None) -> Exchange:
    """RFC 7677 bound to the certificate (`tls-server-end-point`)."""
    return _scram(accounts, initial, plus=True)


MECHANISMS: Final[Mapping[str, Callable[[Accounts, bytes | None], Exchange]]] = MappingProxyType(
    {
        "SCRAM-SHA-256-PLUS": scram_sha_256_plus,
        "SCRAM-SHA-256": scram_sha_256,
        "OAUTHBEARER": oauthbearer,
        "XOAUTH2": xoauth2,
        "CRAM-MD5": cram_md5,
        "PLAIN": plain,
        "LOGIN": login,
    }
)
