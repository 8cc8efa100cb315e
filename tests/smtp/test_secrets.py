"""Passwords and tokens are in nothing that anybody could read, also when the server repeats them."""

from __future__ import annotations

import base64
import copy
import io
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
import pytest
from tests.smtp.letters import Post

from mailkit import DeliveryError, Mailer
from mailkit.smtp.transport import SMTP
from mailkit.testing import CloseAfter, InjectAfter, RawReply, SMTPServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour

    from mailkit.smtp.engine import TranscriptLine

pytestmark = pytest.mark.slow

PASSWORD = "p4ss/wörd+=hunter2"  # with characters that percent and base64 forms change
TOKEN = "ya29.t0ken-VerySecret_"


def forms(secret: str) -> Iterator[str]:
    """Yield every way in which a secret could be written."""
    data = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield repr(secret)[1:-1]
    yield ascii(secret)[1:-1]
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(data).decode().rstrip("=")
    for prefix in (b"\0ada\0", b"ada\0ada\0", b"n,a=ada,\x01auth=Bearer ", b"user=ada\x01auth=Bearer "):
        yield base64.b64encode(prefix + data).decode().rstrip("=")[: (len(prefix) + len(data)) * 4 // 3]


def assert_hidden(text: str) -> None:
    """Look for both secrets in every form."""
    for secret in (PASSWORD, TOKEN):
        for form in forms(secret):
            assert form not in text


def everything_about(error: BaseException) -> str:
    """Return all that a log or a debugger would show of an error: its texts, its attributes, its whole chain."""
    told = ["".join(traceback.format_exception(error))]
    link: BaseException | None = error
    while link is not None:
        told += [repr(link), str(link), repr(link.__dict__), repr(link.args), *getattr(link, "__notes__", [])]
        link = link.__cause__ or link.__context__
    return "\n".join(told)


CREDENTIALS = {"password": {"password": PASSWORD}, "token": {"token": TOKEN}}


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_transport_shows_no_secret(kind: str) -> None:
    """Neither its representations nor what attrs and copy make of it show the secret; pickle refuses."""
    transport = SMTP("mail.example.com", username="ada", **CREDENTIALS[kind], key_password=PASSWORD)  # type: ignore[arg-type]
    with Mailer(transport) as mailer:
        shown = [
            repr(transport),
            str(transport),
            f"{transport}",
            repr(mailer),
            repr(attrs.asdict(transport)),
            repr(attrs.astuple(transport)),
            repr(copy.deepcopy(transport)),
            repr(transport.options()),
            repr(transport.login()),
            repr(transport.open(mailer._post._edge).__dict__),
        ]
    assert_hidden("\n".join(shown))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(transport)


def test_a_url_with_a_password_is_not_repeated() -> None:
    """A mailer made from a URL shows where it sends, and neither user nor password."""
    with Mailer(f"smtp://ada:{quote(PASSWORD, safe='')}@mail.example.com") as mailer:
        assert repr(mailer) == "Mailer('smtp://mail.example.com:587')"
        assert_hidden(repr(mailer.transport))


ECHOES = [
    "535 5.7.8 bad credentials for user=ada pass={}",
    "454 4.7.0 cannot check {} now",
    "501 5.5.2 cannot decode {}",
    "535-5.7.8 {}\n535 5.7.8 try again",
    "250 {}",
    "999 {}",
    "{}",
    "334 {}",
    "235 2.7.0 welcome {}",
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize(
    ("mechanism", "secret"),
    [("PLAIN", PASSWORD), ("LOGIN", PASSWORD), ("CRAM-MD5", PASSWORD), ("XOAUTH2", TOKEN), ("OAUTHBEARER", TOKEN)],
)
def test_a_server_that_repeats_the_secret(
    mechanism: str, secret: str, echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In whatever form and wherever the server puts it: no error, log record, transcript or traceback shows it."""
    caplog.set_level(logging.DEBUG)
    transcript: list[TranscriptLine] = []
    known: Any = {"users": {"ada": PASSWORD}} if secret == PASSWORD else {"tokens": {"ada": TOKEN}}
    credentials: Any = {"username": "ada", "password" if secret == PASSWORD else "token": secret}
    for form in forms(secret):
        text = echo.replace("\n", "\r\n").format(form).encode()
        with (
            SMTPServer(**known, mechanisms=[mechanism]) as server,
            Post.to(server, transcript=transcript.append, **credentials) as post,
        ):
            # In the first step and in the last; a server that breaks off with it; and with every later reply.
            for phase in ("AUTH", "RESPONSE", "MAIL", "RCPT", "DOT"):
                server.script(phase, RawReply(text + b"\r\n"))  # type: ignore[arg-type]
            server.script("greeting", InjectAfter(b""))
            for _ in range(4):
                heard = post.attempt()
                assert_hidden(everything_about(heard) if isinstance(heard, DeliveryError) else repr(heard))
    assert transcript
    assert_hidden("\n".join(map(str, transcript)))
    assert_hidden(repr(transcript))
    assert_hidden(caplog.text)
    assert_hidden(repr([record.__dict__ for record in caplog.records]))


def test_a_secret_in_the_detail_of_a_refused_token(colour: Colour) -> None:
    """What an OAuth server says about a failure is told without the token."""
    detail = base64.b64encode(f'{{"status": "invalid {TOKEN} {quote(TOKEN)}"}}'.encode())
    with (
        SMTPServer(tokens={"ada": TOKEN + "x"}, mechanisms=["XOAUTH2"]) as server,
        Post.to(server, colour, username="ada", token=TOKEN) as post,
    ):
        server.script("AUTH", "334 " + detail.decode())
        error = post.attempt()
        assert isinstance(error, DeliveryError)
        assert_hidden(everything_about(error))


def test_the_transcript_of_a_login_shows_that_there_was_one(colour: Colour) -> None:
    """Commands and replies are shown, the secret parts as ***."""
    transcript: list[str] = []
    with (
        SMTPServer(users={"ada": PASSWORD}, mechanisms=["LOGIN"]) as server,
        Post.to(
            server, colour, username="ada", password=PASSWORD, transcript=lambda line: transcript.append(str(line))
        ) as post,
    ):
        post.send()
    assert_hidden("\n".join(transcript))
    begin = transcript.index("C: AUTH LOGIN ***")
    assert transcript[begin : begin + 6] == [
        "C: AUTH LOGIN ***",
        "S: 334 ***",
        "C: ***",
        "S: 334 ***",
        "C: ***",
        "S: 235 2.7.0 Authentication succeeded",
    ]


def test_a_long_tls_key_password_is_not_in_the_error(tmp_path: Any) -> None:
    """A client certificate that cannot be loaded is named, its key's password is not."""
    broken = tmp_path / "client.pem"
    broken.write_text("no certificate")
    with (
        SMTPServer(tls="starttls") as server,
        Post.to(server, tls="starttls", ca_file=server.ca_file, certificate=broken, key_password=PASSWORD) as post,
    ):
        with pytest.raises(Exception, match="client certificate") as caught:
            post.send()
        assert_hidden(everything_about(caught.value))


def test_a_goodbye_with_the_secret_in_it() -> None:
    """The same for a server that hangs up with it."""
    with (
        SMTPServer(users={"ada": PASSWORD}, mechanisms=["PLAIN"]) as server,
        Post.to(server, username="ada", password=PASSWORD) as post,
    ):
        server.script("AUTH", CloseAfter(f"421 4.7.0 bye {PASSWORD}"))
        error = post.attempt()
        assert isinstance(error, DeliveryError)
        assert_hidden(everything_about(error))
        out = io.StringIO()
        traceback.print_exception(error, file=out)
        assert_hidden(out.getvalue())
