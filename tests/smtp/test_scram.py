"""SCRAM on the example of RFC 7677, against a server written from RFC 5802, and against servers that lie."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailkit.errors import AuthenticationError, ConfigurationError, DeliveryError, ProtocolError
from mailkit.smtp.credentials import Credentials
from mailkit.smtp.scram import MAX_ITERATIONS, MIN_ITERATIONS, Scram

USER = Credentials("user", password="pencil")
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


class Server:
    """The server's side, as RFC 5802 §3 computes it from the stored keys."""

    def __init__(self, password: str, *, iterations: int = MIN_ITERATIONS, binding: bytes = b"") -> None:
        self.salt = b"sixteen bytes..!"
        self.iterations = iterations
        self.binding = binding
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, iterations)
        self.stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        self.server_key = hmac.digest(salted, b"Server Key", "sha256")

    def first(self, client_first: bytes) -> bytes:
        """Answer the client-first-message."""
        self.gs2_header, _, self.client_first_bare = client_first.partition(b",,")
        self.gs2_header += b",,"
        self.nonce = self.client_first_bare.rpartition(b",r=")[2] + b"3rfcNHYJY1ZVvWVs7j"
        salt = base64.b64encode(self.salt)
        self.server_first = b"r=%b,s=%b,i=%d" % (self.nonce, salt, self.iterations)
        return self.server_first

    def final(self, client_final: bytes) -> bytes:
        """Check the client's proof and answer with the server's."""
        without_proof, _, proof = client_final.rpartition(b",p=")
        channel, nonce = without_proof.split(b",")
        assert base64.b64decode(channel[2:]) == self.gs2_header + self.binding
        assert nonce == b"r=" + self.nonce
        message = b",".join((self.client_first_bare, self.server_first, without_proof))
        signature = hmac.digest(self.stored_key, message, "sha256")
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.sha256(key).digest() != self.stored_key:
            return b"e=invalid-proof"
        return b"v=" + base64.b64encode(hmac.digest(self.server_key, message, "sha256"))


def test_scram_is_the_example_of_rfc_7677() -> None:
    """Every message is that of RFC 7677 §3, and the server's signature is accepted."""
    scram = Scram(USER, nonce=NONCE)
    assert scram.name == "SCRAM-SHA-256"
    assert scram.initial() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert scram.respond(SERVER_FIRST) == CLIENT_FINAL
    assert scram.respond(SERVER_FINAL) == b""
    scram.finish()


@pytest.mark.parametrize(
    ("scram", "flag", "bound"),
    [
        (Scram(USER), b"n,,", b""),
        (Scram(USER, server_binds=True), b"n,,", b""),
        (Scram(USER, channel_binding=b"hash"), b"y,,", b""),
        (Scram(USER, channel_binding=b"hash", server_binds=True), b"p=tls-server-end-point,,", b"hash"),
    ],
)
def test_the_flag_says_who_can_bind(scram: Scram, flag: bytes, bound: bytes) -> None:
    """n: this side cannot bind; y: it could, but the server cannot; p: both do, and the proof covers the data."""
    server = Server("pencil", binding=bound)
    assert scram.name == ("SCRAM-SHA-256-PLUS" if bound else "SCRAM-SHA-256")
    assert scram.initial().startswith(flag + b"n=user,r=")
    final = server.final(scram.respond(server.first(scram.initial())))
    assert scram.respond(final) == b""
    scram.finish()


def test_names_and_passwords_are_prepared_and_escaped() -> None:
    """SASLprep comes first, then commas and equal signs in the name are escaped (RFC 5802 §5.1)."""
    scram = Scram(Credentials("I\u00adX,a=b", password="\u2168"), nonce="abc")
    assert scram.initial() == b"n,,n=IX=2Ca=3Db,r=abc"
    server = Server("IX")
    assert scram.respond(server.final(scram.respond(server.first(scram.initial())))) == b""
    with pytest.raises(ConfigurationError, match="the password"):
        Scram(Credentials("user", password="\u0007"))
    with pytest.raises(ConfigurationError, match="the user name"):
        Scram(Credentials("\u06271", password="x"))


def test_nonces_differ() -> None:
    """Two logins never share a nonce, and none holds a comma."""
    first, second = Scram(USER).initial(), Scram(USER).initial()
    assert first != second
    assert first.count(b",") == 3
    assert len(first.rpartition(b"r=")[2]) == 24


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z",
        b"r=rOprNGfwEbeRWgbNEkqOx,i=4096,s=W22Z",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=+4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=04096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=99999999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096x",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W=2Z,i=4096",
        b"m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO\xff,s=W22Z,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO x,s=W22Z,i=4096",
    ],
)
def test_a_malformed_challenge_breaks_the_protocol(challenge: bytes) -> None:
    """A server-first-message that RFC 5802 §7 does not know, or a mandatory extension, is refused before any proof."""
    scram = Scram(USER, nonce=NONCE)
    with pytest.raises(ProtocolError) as caught:
        scram.respond(challenge)
    assert caught.value.phase == "auth"


def test_an_extension_may_follow() -> None:
    """Optional extensions after the iteration count and after the signature are ignored, but signed."""
    scram = Scram(USER)
    server = Server("pencil")
    server.server_first = server.first(scram.initial()) + b",x=1"
    assert scram.respond(server.final(scram.respond(server.server_first)) + b",y=2") == b""


@pytest.mark.parametrize("nonce", [NONCE.encode(), b"other", b"x" + NONCE.encode()])
def test_a_foreign_nonce_is_an_attack(nonce: bytes) -> None:
    """A challenge whose nonce does not extend ours answers somebody else's login."""
    with pytest.raises(AuthenticationError, match="another login") as caught:
        Scram(USER, nonce=NONCE).respond(b"r=%b,s=W22Z,i=4096" % nonce)
    assert caught.value.cause == "security"
    assert not caught.value.retryable


@pytest.mark.parametrize("iterations", [1, MIN_ITERATIONS - 1, MAX_ITERATIONS + 1, 9_999_999_999])
def test_iterations_are_bounded(iterations: int) -> None:
    """Too few would expose the password, too many would waste the client's time; neither is computed."""
    with pytest.raises(AuthenticationError, match=f"{iterations:,} iterations") as caught:
        Scram(USER, nonce=NONCE).respond(b"r=%bx,s=W22Z,i=%d" % (NONCE.encode(), iterations))
    assert caught.value.cause == "security"


def test_an_impostor_is_found_out() -> None:
    """A server that does not know the password cannot sign, and a changed signature is refused."""
    for password, change in (("guess", b""), ("pencil", b"A")):
        scram = Scram(USER)
        server = Server("pencil")
        final = server.final(scram.respond(server.first(scram.initial())))
        if not change:
            impostor = Server(password)
            final = b"v=" + base64.b64encode(hmac.digest(impostor.server_key, b"", "sha256"))
        else:
            final = b"v=" + base64.b64encode(b"\0" + base64.b64decode(final[2:])[1:])
        with pytest.raises(AuthenticationError, match="impostor") as caught:
            scram.respond(final)
        assert caught.value.cause == "security"
        with pytest.raises(AuthenticationError):
            scram.finish()


def test_success_without_proof_is_refused() -> None:
    """A 235 before the server's signature does not count, at any step."""
    scram = Scram(USER, nonce=NONCE)
    with pytest.raises(AuthenticationError, match="without proving"):
        scram.finish()
    scram.respond(SERVER_FIRST)
    with pytest.raises(AuthenticationError, match="without proving") as caught:
        scram.finish()
    assert caught.value.cause == "security"


@pytest.mark.parametrize(
    ("error", "told", "cause"),
    [
        (b"invalid-proof", "invalid-proof", "configuration"),
        (b"invalid-proof,x=1", "invalid-proof", "configuration"),
        (b"channel-bindings-dont-match", "channel-bindings-dont-match", "security"),
        (b"server-does-support-channel-binding", "server-does-support-channel-binding", "security"),
        (b"no-resources", "no-resources", "transient"),
        (b"pencil", "other-error", "configuration"),
        (b"\xff\x1b", "other-error", "configuration"),
    ],
)
def test_a_servers_error_is_told(error: bytes, told: str, cause: str) -> None:
    """An e= attribute that RFC 5802 lists is shown and says who may retry; any other text is not shown."""
    scram = Scram(USER, nonce=NONCE)
    scram.respond(SERVER_FIRST)
    with pytest.raises(AuthenticationError) as caught:
        scram.respond(b"e=" + error)
    assert str(caught.value) == f"the server refused SCRAM-SHA-256: {told}"
    assert caught.value.cause == cause
    assert scram.detail == told


@pytest.mark.parametrize("final", [b"", b"v=", b"v=!!!", b"x=AAAA", b"v=AAA"])
def test_a_malformed_end_breaks_the_protocol(final: bytes) -> None:
    """What is neither a signature nor an error is a violation."""
    scram = Scram(USER, nonce=NONCE)
    scram.respond(SERVER_FIRST)
    with pytest.raises(ProtocolError):
        scram.respond(final)


def test_nothing_follows_the_end() -> None:
    """A challenge after the signature is one too many."""
    scram = Scram(USER, nonce=NONCE)
    scram.respond(SERVER_FIRST)
    scram.respond(SERVER_FINAL)
    with pytest.raises(ProtocolError, match="asked again"):
        scram.respond(b"")


def test_scram_does_not_show_its_secret() -> None:
    """The repr names the mechanism only."""
    assert repr(Scram(USER)) == "Scram('SCRAM-SHA-256')"


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=60), max_size=3))
def test_no_server_message_breaks_it(challenges: list[bytes]) -> None:
    """Whatever comes, the answer is a response or an error of ours, and noise never proves the server."""
    scram = Scram(USER, nonce=NONCE)
    for challenge in challenges:
        try:
            scram.respond(challenge)
        except DeliveryError:
            break
    with pytest.raises(AuthenticationError):
        scram.finish()
