"""The same message through a vendor's official SDK and through us is the same request, but for what is named here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import frozen

from mailkit import Attachment, Message
from mailkit.envelope import Envelope
from mailkit.providers import Brevo, Cloudflare, MailerSend, Mailjet, SendGrid
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mailkit.providers.base import ApiTransport

_HEADERS: Final = ("content-type", "authorization", "api-key")
_MESSAGE: Final = Message(
    from_="Änn <a@example.com>",
    to="Bob <b@example.com>",
    cc="c@example.com",
    bcc="d@example.com",
    reply_to="r@example.com",
    subject="s",
    text="t",
    html="<p>t</p>",
    headers={"X-A": "b"},
    tags=["cat"],
    metadata={"k": "v"},
    attachments=[Attachment.from_bytes(b"hello", "a.txt")],
)


@frozen
class Captured:
    """What a captured request is compared with.

    Args:
        transport: The provider.
        fields: What the message has to have, or to lack, to be the one that the SDK was given.
        theirs: Top-level fields of the payload that are the SDK's alone.
    """

    transport: ApiTransport
    fields: Mapping[str, Any]
    theirs: Mapping[str, Any]


# What the SDKs' smallest messages lack.
_SMALL: Final[Mapping[str, Any]] = {
    "cc": (),
    "bcc": (),
    "reply_to": (),
    "headers": (),
    "metadata": {},
    "attachments": (),
}

CAPTURED: Final[Mapping[str, Captured]] = {
    "sendgrid": Captured(SendGrid("SG.x"), {}, {}),
    "mailersend": Captured(MailerSend("k"), _SMALL, {}),
    "mailjet": Captured(
        Mailjet("k", secret="s"),
        {**_SMALL, "from_": "a@example.com", "to": "b@example.com", "html": None, "tags": ()},
        {},
    ),
    "cloudflare": Captured(
        Cloudflare("t", account_id="acc"),
        {"to": "b@example.com", "cc": (), "bcc": (), "tags": (), "metadata": {}},
        {},
    ),
    "brevo": Captured(
        Brevo("k"),
        # The captured message had no Bcc, and its metadata went into the template's params, where no event carries
        # them back; ours would be in a header field.
        {"bcc": (), "metadata": {}},
        {"params": {"k": "v"}},
    ),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_a_request_is_what_the_official_sdk_sends(name: str, shared: Path) -> None:
    """Path, media type, credentials and payload are equal, and every difference is one of those that are listed."""
    file = shared / "vendors" / "specs" / "derived" / "sdk_captured_requests.json"
    theirs = json.loads(file.read_text(encoding="utf-8"))[name]
    captured = CAPTURED[name]
    message = _MESSAGE.evolve(**captured.fields).completed()
    request = captured.transport.build_request(message, Envelope.from_message(message))
    assert request.url.removeprefix(captured.transport.base_url) == theirs["path"]
    key = captured.transport.key
    assert isinstance(key, Secret)
    authorized = captured.transport.authorize(request, key, datetime.now(UTC))
    ours = {each: value.reveal() for each in _HEADERS if (value := authorized.header(each)) is not None}
    assert ours == {each: theirs["headers"][each] for each in _HEADERS if each in theirs["headers"]}
    assert request.body is not None
    assert {**json.loads(request.body), **captured.theirs} == theirs["json"]
