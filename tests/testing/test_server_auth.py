"""SMTPServer's AUTH: each mechanism with right and wrong credentials, and the protocol around them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import smtplib
import ssl
from typing import TYPE_CHECKING

import pytest

from mailkit.testing import Disconnect, RawReply, SMTPServer
from mailkit.testing.certificates import channel_binding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testing.conftest import Connect, RawClient

    from mailkit.testing.certificates import CertificateKind

USERS = {"ada": "sécret", "bob,=": "x"}
TOKENS = {"ada": "token-1"}


def b64(data: bytes | str) -> bytes:
    """Encode in base64."""
    return base64.b64encode(data.encode() if isinstance(data, str) else data)


def challenge(reply: bytes) -> bytes:
    """Decode a 334."""
    assert reply.startswith(b"334 "), reply
    return base64.b64decode(reply[4:].strip(), validate=True)


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    """Run a server with two users and a token."""
    with SMTPServer(users=USERS, tokens=TOKENS) as running:
        yield running


@pytest.fixture
def client(server: SMTPServer, connect: Connect) -> RawClient:
    """Connect a client that has said EHLO."""
    raw = connect(server)
    raw.hello()
    return raw


def test_mechanisms_are_offered_as_the_accounts_allow(connect: Connect) -> None:
    """Passwords and tokens each bring their mechanisms, -PLUS needs TLS, and no account means no AUTH."""
    for arguments, offered in [
        ({"users": USERS}, b"AUTH SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN\r\n"),
        ({"tokens": TOKENS}, b"AUTH OAUTHBEARER XOAUTH2\r\n"),
        ({"users": USERS, "mechanisms": ["login"]}, b"AUTH LOGIN\r\n"),
        ({}, None),
        ({"users": USERS, "tls": "starttls"}, None),
        ({"users": USERS, "tls": "starttls", "auth_before_tls": True, "mechanisms": ["PLAIN"]}, b"AUTH PLAIN\r\n"),
    ]:
        with SMTPServer(**arguments) as server:
            reply = connect(server).hello()
            assert offered in reply if offered else b"AUTH" not in reply


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram_md5"])
def test_smtplib_can_log_in(mechanism: str) -> None:
    """The standard library's client authenticates with each mechanism that it knows."""
    with SMTPServer(users={"ada": "secret"}, require_auth=True) as server:
        with smtplib.SMTP(server.host, server.port) as client:
            client.ehlo()
            with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                client.sendmail("a@x.test", ["b@x.test"], "x")
            assert refused.value.smtp_code == 530
            client.user, client.password = "ada", "secret"
            code, _ = client.auth(mechanism.upper().replace("_", "-"), getattr(client, f"auth_{mechanism}"))
            assert code == 235
            client.sendmail("a@x.test", ["b@x.test"], "x")
        assert server.messages[0].user == "ada"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("\0ada\0sécret", 235),
        ("ada\0ada\0sécret", 235),
        ("bob\0ada\0sécret", 535),
        ("\0ada\0wrong", 535),
        ("\0eve\0sécret", 535),
        ("\0ada\0", 501),
        ("\0ada", 501),
        (b"\0ada\0\xff", 501),
    ],
)
@pytest.mark.parametrize("initial", [True, False])
def test_plain(client: RawClient, response: str, code: int, *, initial: bool) -> None:
    """PLAIN judges the same with an initial response and after an empty challenge."""
    if initial:
        assert client.ask(b"AUTH PLAIN " + b64(response))[:3] == b"%d" % code
    else:
        assert challenge(client.ask("auth plain")) == b""
        assert client.ask(b64(response))[:3] == b"%d" % code


@pytest.mark.parametrize(("password", "code"), [("sécret", b"235"), ("wrong", b"535")])
@pytest.mark.parametrize("initial", [True, False])
def test_login(client: RawClient, password: str, code: int, *, initial: bool) -> None:
    """LOGIN asks for two things, or for one when the user name came with the command."""
    if initial:
        reply = client.ask(b"AUTH LOGIN " + b64("ada"))
    else:
        assert challenge(client.ask("AUTH LOGIN")) == b"Username:"
        reply = client.ask(b64("ada"))
    assert challenge(reply) == b"Password:"
    assert client.ask(b64(password)).startswith(code)


def test_cram_md5(client: RawClient) -> None:
    """A right digest is accepted; a wrong one, an unknown user and an initial response are not."""
    assert client.ask(b"AUTH CRAM-MD5 " + b64("x")).startswith(b"501")
    for user, password, code in [("eve", "", b"535"), ("ada", "wrong", b"535"), ("ada", "sécret", b"235")]:
        asked = challenge(client.ask("AUTH CRAM-MD5"))
        digest = hmac.new(password.encode(), asked, "md5").hexdigest()
        assert client.ask(b64(f"{user} {digest}")).startswith(code)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("user=ada\1auth=Bearer token-1\1\1", 235),
        ("user=ada\1auth=Bearer wrong\1\1", 535),
        ("user=eve\1auth=Bearer token-1\1\1", 535),
        ("user=ada\1auth=Basic token-1\1\1", 535),
        ("user=ada\1auth=Bearer token-1\1", 501),
        ("ada\1auth=Bearer token-1\1\1", 501),
    ],
)
@pytest.mark.parametrize("initial", [True, False])
def test_xoauth2(client: RawClient, response: str, code: int, *, initial: bool) -> None:
    """XOAUTH2 explains a refusal in a challenge, and the 535 comes after an empty response."""
    if initial:
        reply = client.ask(b"AUTH XOAUTH2 " + b64(response))
    else:
        assert challenge(client.ask("AUTH XOAUTH2")) == b""
        reply = client.ask(b64(response))
    if code == 535:
        assert b'"status":"401"' in challenge(reply)
        reply = client.ask(b"")
    assert reply.startswith(b"%d" % code)


@pytest.mark.parametrize(
    ("response", "answer", "code"),
    [
        ("n,a=ada,\1host=mx.test\1port=25\1auth=Bearer token-1\1\1", None, 235),
        ("y,a=ada,\1auth=bearer token-1\1\1", None, 235),
        ("n,a=ada,\1auth=Bearer wrong\1\1", b"AQ==", 535),
        ("n,a=ada,\1auth=Bearer wrong\1\1", b"", 501),
        ("n,,\1auth=Bearer token-1\1\1", b"AQ==", 535),
        ("n,a=a=da,\1auth=Bearer token-1\1\1", None, 501),
        ("n,a=ada,\1auth=Bearer token-1\1", None, 501),
        ("x,a=ada,\1auth=Bearer token-1\1\1", None, 501),
        ("n,a=ada\1auth=Bearer token-1\1\1", None, 501),
    ],
)
@pytest.mark.parametrize("initial", [True, False])
def test_oauthbearer(client: RawClient, response: str, answer: bytes | None, code: int, *, initial: bool) -> None:
    """OAUTHBEARER explains a refusal in a challenge that only a single ^A answers."""
    if initial:
        reply = client.ask(b"AUTH OAUTHBEARER " + b64(response))
    else:
        assert challenge(client.ask("AUTH OAUTHBEARER")) == b""
        reply = client.ask(b64(response))
    if answer is not None:
        assert b'"status":"invalid_token"' in challenge(reply)
        reply = client.ask(answer)
    assert reply.startswith(b"%d" % code)


def scram_proof(password: str, first: str, server_first: str, *, gs2: bytes, binding: bytes = b"") -> tuple[str, bytes]:
    """Compute the client's final message and the server's signature (RFC 5802 §3), independently of the server."""
    fields = dict(part.split("=", 1) for part in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    final = f"c={b64(gs2 + binding).decode()},r={fields['r']}"
    message = f"{first},{server_first},{final}".encode()
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    verifier = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
    return f"{final},p={b64(proof).decode()}", verifier


@pytest.mark.parametrize(
    ("gs2", "user", "password", "code"),
    [
        ("n,,", "ada", "sécret", 235),
        ("n,a=ada,", "ada", "sécret", 235),
        ("y,,", "ada", "sécret", 235),
        ("n,,", "bob=2C=3D", "x", 235),
        ("n,,", "ada", "wrong", 535),
        ("n,,", "eve", "", 535),
    ],
)
@pytest.mark.parametrize("initial", [True, False])
def test_scram_sha_256(client: RawClient, *, gs2: str, user: str, password: str, code: int, initial: bool) -> None:
    """SCRAM-SHA-256 proves both sides to each other, and a wrong proof gets 535 without a signature."""
    first = f"n={user},r=nonce"
    if initial:
        reply = client.ask(b"AUTH SCRAM-SHA-256 " + b64(gs2 + first))
    else:
        assert challenge(client.ask("AUTH SCRAM-SHA-256")) == b""
        reply = client.ask(b64(gs2 + first))
    server_first = challenge(reply).decode()
    assert server_first.startswith("r=nonce")
    final, verifier = scram_proof(password, first, server_first, gs2=gs2.encode())
    reply = client.ask(b64(final))
    if code == 235:
        assert challenge(reply) == b"v=" + b64(verifier)
        reply = client.ask(b"")
    assert reply.startswith(b"%d" % code)


@pytest.mark.parametrize(
    "message",
    [
        "n,n=ada,r=x",
        "n,",
        "n,a=eve,n=ada,r=x",
        "p=tls-unique,,n=ada,r=x",
        "n,,r=x,n=ada",
        "n,,n=ada,r=",
        "n,,n=a=da,r=x",
    ],
)
def test_scram_first_messages_that_are_none(client: RawClient, message: str) -> None:
    """A client-first-message that breaks RFC 5802's grammar, or asks for another binding, gets 501."""
    assert client.ask(b"AUTH SCRAM-SHA-256 " + b64(message)).startswith(b"501")


@pytest.mark.parametrize("kind", ["valid", "sha384"])
def test_scram_sha_256_plus(connect: Connect, kind: CertificateKind) -> None:
    """The proof must hold the certificate's hash; without it, or with flag y, a man in the middle is assumed."""
    with SMTPServer(users=USERS, tls="implicit", certificate=kind) as server:
        client = connect(server)
        client.start_tls(server)
        assert b"AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 " in client.hello()
        gs2 = b"p=tls-server-end-point,,"
        binding = channel_binding(client.socket.getpeercert(binary_form=True))
        first = "n=ada,r=nonce"
        assert client.ask(b"AUTH SCRAM-SHA-256 " + b64(b"y,," + first.encode())).startswith(b"535")
        assert client.ask(b"AUTH SCRAM-SHA-256-PLUS " + b64(b"n,," + first.encode())).startswith(b"501")
        for data, code in [(b"\0" * 32, b"535"), (binding, b"334")]:
            reply = client.ask(b"AUTH SCRAM-SHA-256-PLUS " + b64(gs2 + first.encode()))
            final, verifier = scram_proof("sécret", first, challenge(reply).decode(), gs2=gs2, binding=data)
            reply = client.ask(b64(final))
            assert reply.startswith(code)
        assert challenge(reply) == b"v=" + b64(verifier)
        assert client.ask(b"").startswith(b"235")
        assert server.connections[0].user == "ada"
        assert isinstance(client.socket, ssl.SSLSocket)


def test_the_exchange_can_be_cancelled_and_mangled(client: RawClient) -> None:
    """`*` cancels, what is not base64 gets 501, and the next attempt works."""
    client.ask("AUTH LOGIN")
    assert client.ask("*").startswith(b"501 5.7.0")
    client.ask("AUTH LOGIN")
    assert client.ask("!").startswith(b"501 5.5.2")
    assert client.ask("AUTH PLAIN !").startswith(b"501 5.5.2")
    assert client.ask("AUTH PLAIN =").startswith(b"501 5.5.2")
    assert client.ask("AUTH GSSAPI").startswith(b"504")
    assert client.ask("AUTH").startswith(b"504")
    assert client.ask(b"AUTH PLAIN " + b64("\0ada\0sécret")).startswith(b"235")
    assert client.ask(b"AUTH PLAIN " + b64("\0ada\0sécret")).startswith(b"503")


@pytest.mark.parametrize(("line", "code"), [(b"YWRh\n", 521), (b"A" * 12289 + b"\r\n", 500)])
def test_responses_are_parsed_as_strictly_as_commands(
    server: SMTPServer, client: RawClient, line: bytes, code: int
) -> None:
    """A bare LF or a line beyond 12,288 octets ends the connection in the middle of an exchange."""
    client.ask("AUTH LOGIN")
    client.send(line)
    assert client.code() == code
    assert client.rest() == b""
    assert len(server.violations) == 1


def test_auth_before_starttls_is_refused(connect: Connect) -> None:
    """Where AUTH waits for STARTTLS it gets 538, and where there is none 502."""
    with SMTPServer(users=USERS, tls="starttls") as server:
        client = connect(server)
        client.hello()
        assert client.ask("AUTH PLAIN").startswith(b"538")
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        assert client.ask("AUTH PLAIN").startswith(b"502")


def test_faults_at_auth_and_at_its_responses(server: SMTPServer, client: RawClient) -> None:
    """AUTH scripts the answer to the command, RESPONSE the answer to a challenge's response, by mechanism."""
    server.script("AUTH", "454 4.7.0 later", match="plain")
    assert client.ask(b"AUTH PLAIN " + b64("\0ada\0sécret")).startswith(b"454")
    server.script("AUTH", RawReply(b"334 not base64\r\n"))
    assert client.ask("AUTH LOGIN") == b"334 not base64\r\n"
    server.script("RESPONSE", "535 5.7.8 no")
    assert client.ask(b64("ada")).startswith(b"535")
    assert client.ask("NOOP").startswith(b"250")
    server.script("RESPONSE", Disconnect(after_bytes=7), match="LOGIN", skip=1)
    client.ask("AUTH LOGIN")
    client.ask(b64("ada"))
    client.send(b64("sécret") + b"\r\n")
    assert client.rest() == b"235 2.7"


def test_credentials_stay_out_of_the_transcript(server: SMTPServer, client: RawClient) -> None:
    """The transcript masks initial responses and responses; the raw lines are in `commands`, out of the repr."""
    client.ask(b"AUTH PLAIN " + b64("\0ada\0wrong"))
    client.ask("AUTH LOGIN")
    client.ask(b64("ada"))
    client.ask(b64("sécret"))
    shown = server.transcript + repr(server.connections)
    assert "C: AUTH PLAIN ***" in shown
    assert "C: AUTH LOGIN\n" in shown
    for secret in ("wrong", "sécret"):
        assert b64(secret).decode() not in shown
    assert b64("\0ada\0wrong").decode() not in shown
    assert b64("sécret") in server.connections[0].commands
