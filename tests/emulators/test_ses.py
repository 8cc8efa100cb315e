"""Amazon SES: what a program that takes its requests has stored is what was sent."""

from __future__ import annotations

import base64
from email.header import decode_header, make_header
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mailkit import AsyncMailer, Attachment, Mailer, Message, Receipt, RejectedError, RetryPolicy, Template
from mailkit.providers import SES

if TYPE_CHECKING:
    from tests.emulators.conftest import Emulator

WELCOME = {"Subject": "Hello {{name}}", "Html": "<p>Number {{number}}</p>", "Text": "Number {{number}}"}


def transport(ses: Emulator) -> SES:
    """Return SES, at the emulator's address."""
    return SES("AKIDEXAMPLE", secret="SECRET", region="eu-west-1", host="127.0.0.1", port=ses.port)


def sent(ses: Emulator, colour: str, **fields: Any) -> Receipt:
    """Send a message once."""
    message = Message(from_="Zoë Müller <zoe@example.com>", **{"to": "bob@example.org", **fields})
    if colour == "blocking":
        with Mailer(transport(ses), retry=RetryPolicy.none()) as mailer:
            return mailer.send(message)

    async def main() -> Receipt:
        async with AsyncMailer(transport(ses), retry=RetryPolicy.none()) as mailer:
            return await mailer.send(message)

    return anyio.run(main, backend=colour)


def decoded(text: str) -> str:
    """Return an address as people read it."""
    return str(make_header(decode_header(text)))


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> str:
    """One colour after the other."""
    colour: str = request.param
    return colour


def test_a_simple_message(ses: Emulator, colour: str) -> None:
    """Everybody, both bodies, the subject and a header field of one's own are stored as they were given."""
    receipt = sent(
        ses,
        colour,
        to=["Björn <bob@example.org>", "eve@example.net"],
        cc="team@example.org",
        bcc="archive@example.org",
        reply_to="help@example.com",
        subject="Größe: 你好",
        text="Grüße",
        html="<p>Grüße</p>",
        headers={"X-Campaign": "q3"},
    )
    (stored,) = ses.emails()
    assert stored["messageId"] == receipt.provider_id
    assert decoded(stored["from"]) == "Zoë Müller <zoe@example.com>"
    assert [decoded(each) for each in stored["destination"]["to"]] == ["Björn <bob@example.org>", "eve@example.net"]
    assert (stored["destination"]["cc"], stored["destination"]["bcc"]) == (
        ["team@example.org"],
        ["archive@example.org"],
    )
    assert stored["replyTo"] == ["help@example.com"]
    assert stored["subject"] == "Größe: 你好"
    assert stored["body"] == {"text": "Grüße", "html": "<p>Grüße</p>"}
    assert {"name": "X-Campaign", "value": "q3"} in stored["headers"]
    assert len(receipt.accepted) == 4


def test_a_raw_message(ses: Emulator, colour: str) -> None:
    """What only MIME can say is read by another MIME parser as it was meant, and Bcc is not in it."""
    content = bytes(range(256)) * 10
    receipt = sent(
        ses,
        colour,
        bcc="archive@example.org",
        sender="office@example.com",
        subject="Größe: 你好",
        text="Grüße",
        html='<p>Grüße</p><img src="cid:logo">',
        attachments=[
            Attachment.from_bytes(content, "Größe.bin"),
            Attachment.from_bytes(b"PNG", "logo.png", content_id="logo"),
        ],
    )
    (stored,) = ses.emails()
    assert stored["messageId"] == receipt.provider_id
    assert stored["from"] == '"Zoë Müller" <zoe@example.com>'
    assert stored["destination"] == {"to": ["bob@example.org"], "cc": [], "bcc": []}
    assert stored["subject"] == "Größe: 你好"
    assert stored["body"]["text"].strip() == "Grüße"
    assert "<p>Grüße</p>" in stored["body"]["html"]
    attached = {each["filename"]: each for each in stored["attachments"]}
    assert base64.b64decode(attached["Größe.bin"]["content"]) == content
    assert base64.b64decode(attached["logo.png"]["content"]) == b"PNG"
    assert attached["logo.png"]["cid"] == "logo"


def test_a_template(ses: Emulator, colour: str) -> None:
    """A stored template is filled in with the message's data."""
    ses.store_template("welcome", **WELCOME)
    receipt = sent(ses, colour, template=Template("welcome", {"name": "Zoë", "number": 7}))
    (stored,) = ses.emails()
    assert stored["messageId"] == receipt.provider_id
    assert (stored["subject"], stored["body"]["text"]) == ("Hello Zoë", "Number 7")


def test_a_template_that_is_not_there(ses: Emulator, colour: str) -> None:
    """It is SES that refuses the message, for good."""
    with pytest.raises(RejectedError) as caught:
        sent(ses, colour, template=Template("missing", {}))
    assert caught.value.recipients[0].code == 404
    assert not ses.emails()


def test_bulk(ses: Emulator) -> None:
    """Each of many messages is stored for its own recipient, with its own data and header fields, under its own id."""
    ses.store_template("welcome", **WELCOME)
    given = [
        Message(
            from_="Zoë Müller <zoe@example.com>",
            to=f"user{number}@example.org",  # in bulk requests the emulator takes no names
            template=Template("welcome", {"name": f"Björn {number}", "number": number}),
            headers={"X-Number": str(number)},
        )
        for number in range(60)
    ]
    with Mailer(transport(ses), retry=RetryPolicy.none()) as mailer:
        outcomes = list(mailer.send_many(given))
    assert [outcome.message for outcome in outcomes] == given
    stored = {each["messageId"]: each for each in ses.emails()}
    assert len(stored) == 60
    for number, outcome in enumerate(outcomes):
        assert outcome.receipt is not None
        mine = stored[str(outcome.receipt.provider_id)]
        assert mine["destination"]["to"] == [f"user{number}@example.org"]
        assert (mine["subject"], mine["body"]["html"]) == (f"Hello Björn {number}", f"<p>Number {number}</p>")
        assert {"name": "X-Number", "value": str(number)} in mine["headers"]


def test_one_of_many_that_is_refused(ses: Emulator) -> None:
    """An entry that SES does not take is the failure of one message, and the others are sent."""
    ses.store_template("welcome", **WELCOME)
    given = [
        Message(from_="zoe@example.com", to=to, template=Template("welcome", {"name": to, "number": 1}))
        for to in ("ann@example.org", '"two words"@example.org', "eve@example.org")
    ]
    with Mailer(transport(ses), retry=RetryPolicy.none()) as mailer:
        outcomes = list(mailer.send_many(given))
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert outcomes[1].error is not None
    assert [each["destination"]["to"] for each in ses.emails()] == [["ann@example.org"], ["eve@example.org"]]


def test_verifying(ses: Emulator) -> None:
    """The account can be asked for."""
    with Mailer(transport(ses)) as mailer:
        assert mailer.verify().transport == str(transport(ses))
