"""One message through an HTTP API beside bare httpx, and a thousand messages through each batch endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from figures import Contestant, Report, Table, arguments, installed, side_by_side
from http_sink import HTTPSink
from letters import AUTHOR, AUTHOR_NAME, letters
from stopwatch import Stopwatch

from mailkit import Address, AsyncMailer, Envelope, Mailer, Message, Template
from mailkit.providers import (
    SES,
    Brevo,
    Lettermint,
    MailerSend,
    Mailgun,
    Mailjet,
    Mailtrap,
    Mandrill,
    Postmark,
    Resend,
    SendGrid,
    SparkPost,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from letters import Letter

    from mailkit.providers.base import ApiTransport

MESSAGE_ID = "50f2f07aa71825aeccc6897b681a7f2b@example.com"
MESSAGES = 500
STREAM = 1000
UNIT = "µs of processor time a message"


def message_of(letter: Letter) -> Message:
    """Return the message that a letter becomes here."""
    to = [Address(address, name=name) for name, address in letter.to]
    return Message(
        from_=Address(AUTHOR, name=AUTHOR_NAME), to=to, subject=letter.subject, text=letter.text, html=letter.html
    )


def postmark_json(letter: Letter) -> dict[str, Any]:
    """Return Postmark's JSON, written by hand."""
    return {
        "From": f"{AUTHOR_NAME} <{AUTHOR}>",
        "To": ", ".join(f"{name} <{address}>" for name, address in letter.to),
        "Subject": letter.subject,
        "TextBody": letter.text,
        "HtmlBody": letter.html,
        "Headers": [{"Name": "Message-ID", "Value": f"<{MESSAGE_ID}>"}, {"Name": "X-PM-KeepID", "Value": "true"}],
    }


def resend_json(letter: Letter) -> dict[str, Any]:
    """Return Resend's JSON, written by hand."""
    return {
        "from": f"{AUTHOR_NAME} <{AUTHOR}>",
        "to": [f"{name} <{address}>" for name, address in letter.to],
        "subject": letter.subject,
        "text": letter.text,
        "html": letter.html,
    }


@dataclass(frozen=True)
class Single:
    """One message after the other, to one provider.

    Args:
        kind: Its transport.
        path: Where it posts to.
        json_of: Its JSON, by hand.
        headers: What bare httpx sends along.
    """

    kind: type[ApiTransport]
    path: str
    json_of: Callable[[Letter], dict[str, Any]]
    headers: dict[str, str]

    def transport(self, port: int) -> ApiTransport:
        """Return the transport."""
        return self.kind("KEY", host="127.0.0.1", port=port)

    def is_fair(self) -> bool:
        """Whether everybody posts the same."""
        (letter,) = letters(1)
        message = message_of(letter).evolve(message_id=MESSAGE_ID)
        return self.transport(1).payload(message, Envelope.from_message(message)) == self.json_of(letter)

    def blocking(self, port: int, *, ready: bool) -> float:
        """Send, from letters or from messages that are there."""
        given = letters(MESSAGES)
        messages = [message_of(letter) for letter in given] if ready else []
        with Mailer(self.transport(port)) as mailer:
            mailer.send(message_of(given[0]))
            watch = Stopwatch()
            for index, letter in enumerate(given):
                receipt = mailer.send(messages[index] if ready else message_of(letter))
                assert receipt.provider_id
            return watch.sample(MESSAGES).cpu * 1e6

    def suspending(self, port: int, *, ready: bool) -> float:
        """The same on asyncio."""

        async def main() -> float:
            given = letters(MESSAGES)
            messages = [message_of(letter) for letter in given] if ready else []
            async with AsyncMailer(self.transport(port)) as mailer:
                await mailer.send(message_of(given[0]))
                watch = Stopwatch()
                for index, letter in enumerate(given):
                    receipt = await mailer.send(messages[index] if ready else message_of(letter))
                    assert receipt.provider_id
                return watch.sample(MESSAGES).cpu * 1e6

        return anyio.run(main)

    def bare(self, port: int) -> float:
        """Post JSON with httpx."""
        given, url = letters(MESSAGES), f"http://127.0.0.1:{port}{self.path}"
        with httpx.Client(headers=self.headers) as client:
            client.post(url, json=self.json_of(given[0]))
            watch = Stopwatch()
            for letter in given:
                assert client.post(url, json=self.json_of(letter)).raise_for_status().json()
            return watch.sample(MESSAGES).cpu * 1e6

    def bare_suspending(self, port: int) -> float:
        """Post JSON with httpx on asyncio."""

        async def main() -> float:
            given, url = letters(MESSAGES), f"http://127.0.0.1:{port}{self.path}"
            async with httpx.AsyncClient(headers=self.headers) as client:
                await client.post(url, json=self.json_of(given[0]))
                watch = Stopwatch()
                for letter in given:
                    assert (await client.post(url, json=self.json_of(letter))).raise_for_status().json()
                return watch.sample(MESSAGES).cpu * 1e6

        return anyio.run(main)

    def contestants(self, port: int, *, suspending: bool) -> list[Contestant]:
        """Return who takes part."""
        assert self.is_fair()
        ours, theirs = installed("mailkit-sdk"), installed("httpx")
        run = self.suspending if suspending else self.blocking
        bare = self.bare_suspending if suspending else self.bare
        colour = ", asyncio" if suspending else ""
        return [
            Contestant(f"mailkit{colour}", ours, lambda: run(port, ready=False)),
            Contestant(f"mailkit{colour}, of ready messages", ours, lambda: run(port, ready=True)),
            Contestant(f"bare httpx{colour}", theirs, lambda: bare(port)),
        ]


SINGLES = {
    "Postmark": Single(Postmark, "/email", postmark_json, {"X-Postmark-Server-Token": "KEY"}),
    "Resend": Single(Resend, "/emails", resend_json, {"Authorization": "Bearer KEY"}),
}

# What each batch endpoint takes: its transport, and the stored template where only those go together; one that has data
# already has them for everybody.
BATCHES: dict[str, tuple[type[ApiTransport], dict[str, Any], Template | None]] = {
    "Brevo": (Brevo, {}, Template(1)),
    "Lettermint": (Lettermint, {}, None),
    "MailerSend": (MailerSend, {}, None),
    "Mailgun": (
        Mailgun,
        {"domain": "mg.example.com", "recipient_variables": True},
        Template("welcome", {"same": "for all"}),
    ),
    "Mailjet": (Mailjet, {"secret": "SECRET"}, None),
    "Mailtrap": (Mailtrap, {}, None),
    "Mandrill": (Mandrill, {}, Template("welcome")),
    "Postmark": (Postmark, {}, None),
    "Resend": (Resend, {}, None),
    "SendGrid": (SendGrid, {}, Template("d-1")),
    "SES": (SES, {"secret": "SECRET", "region": "eu-west-1"}, Template("welcome")),
    "SparkPost": (SparkPost, {}, Template("welcome")),
}


def _of_stream(letter: Letter, template: Template | None) -> Message:
    if template is None:
        return message_of(letter)
    name, address = letter.to[0]
    data = template.data or {"name": name, "number": letter.subject}
    return Message(from_=AUTHOR, to=Address(address, name=name), template=Template(template.id, data))


def _batch(name: str, sink: HTTPSink) -> tuple[float, ...]:
    kind, fields, template = BATCHES[name]
    given = [_of_stream(letter, template) for letter in letters(STREAM)]
    with Mailer(kind("KEY", host="127.0.0.1", port=sink.port, **fields)) as mailer:
        mailer.send(given[0])
        sink.requests()
        watch = Stopwatch()
        assert all(outcome.ok for outcome in mailer.send_many(given))
        together, batches = watch.sample(STREAM).cpu * 1e6, sink.requests()
        watch = Stopwatch()
        for message in given:
            assert mailer.send(message).accepted
        alone = watch.sample(STREAM).cpu * 1e6
        return float(batches), together, float(sink.requests()), alone


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=7)
    report = Report("HTTP APIs on loopback", given.json)
    with HTTPSink() as sink:
        for provider, single in SINGLES.items():
            for suspending in (False, True):
                title = f"One message, {provider}{', asyncio' if suspending else ''}"
                if given.only in title:
                    contestants = single.contestants(sink.port, suspending=suspending)
                    table = side_by_side(title, (UNIT,), contestants, rounds=given.rounds)
                    table.aim(contestants[-1].name, factor=1 / 1.15)
                    report.show(table)
        if given.only in "Batches":
            units = ("requests of send_many", UNIT, "requests of send", UNIT)
            table = Table(f"Batches: {STREAM:,} messages", units, with_ratios=False)
            for name in BATCHES:
                table.add(name, installed("mailkit-sdk"), *_batch(name, sink))
            report.show(table)


if __name__ == "__main__":
    main()
