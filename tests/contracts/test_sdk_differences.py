"""Vendors for whom our request says more than the official SDK's: the same one, but for what each test names."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.providers.forms import form_of

from mailkit import Message
from mailkit.envelope import Envelope
from mailkit.providers import Mailgun, Mandrill, SparkPost
from mailkit.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from mailkit.edge.http import Request
    from mailkit.providers.base import ApiTransport


def _captured(shared: Path, name: str) -> Any:
    file = shared / "vendors" / "specs" / "derived" / "sdk_captured_requests.json"
    return json.loads(file.read_text(encoding="utf-8"))[name]


def _request(transport: ApiTransport, message: Message) -> Request:
    assert isinstance(transport.key, Secret)
    request = transport.build_request(message, Envelope.from_message(message))
    return transport.authorize(request, transport.key, datetime.now(UTC))


def _header(request: Request, name: str) -> str:
    value = request.header(name)
    assert value is not None
    return value.reveal()


def test_mailgun(shared: Path) -> None:
    """Path, credentials and fields are the SDK's, in its order, as far as they were captured."""
    theirs = _captured(shared, "mailgun")
    message = Message(
        from_="a@ex.com", to=["b@example.com", "c@example.com"], subject="s", text="t", tags=["x"], headers={"X-A": "b"}
    )
    request = _request(Mailgun("key", domain="ex.com"), message)
    assert request.url == f"https://api.mailgun.net{theirs['path']}"
    assert _header(request, "authorization") == theirs["headers"]["authorization"]
    # What was captured ends in the middle of the seventh part.
    media_type = theirs["headers"]["content-type"]
    boundary = media_type.partition("boundary=")[2]
    whole = theirs["raw"][: theirs["raw"].rindex(f"--{boundary}")] + f"--{boundary}--\r\n"
    wanted = form_of(whole.encode(), media_type, several=("to", "o:tag"))
    ours = form_of(request.body or b"", _header(request, "content-type"), several=("to", "o:tag"))
    assert {name: ours[name] for name in wanted} == wanted
    assert set(ours) - set(wanted) == {"h:X-A"}


def test_sparkpost(shared: Path) -> None:
    """The transmission is the SDK's, but that each copy shows all of To, tags go with recipients, and text is text."""
    theirs = _captured(shared, "sparkpost")
    message = Message(
        from_="Ann <a@example.com>",
        to=["b@example.com", "C <c@example.com>"],
        cc="cc@example.com",
        subject="s",
        text="t",
        html="<p>t</p>",
        headers={"X-A": "b"},
        metadata={"k": "v"},
        track_opens=False,
        options={"sparkpost": {"campaign_id": "camp"}},
    )
    request = _request(SparkPost("k"), message)
    assert request.url == f"https://api.sparkpost.com{theirs['path']}"
    assert _header(request, "authorization") == theirs["headers"]["authorization"]
    ours, wanted = json.loads(request.body or b""), theirs["json"]
    # The SDK shows the recipients in To only themselves, and the one in Cc the first of To.
    assert {each["address"].pop("header_to") for each in ours["recipients"]} == {"b@example.com, C <c@example.com>"}
    assert [each["address"]["email"] for each in ours["recipients"]] == [
        each["address"]["email"] for each in wanted["recipients"]
    ]
    # The SDK leaves the template language on, whatever the text.
    assert ours["options"].pop("perform_substitutions") is False
    assert {**ours, "recipients": None} == {**wanted, "recipients": None}


def test_mandrill(shared: Path) -> None:
    """The payload is the SDK's, but that recipients see each other and merge tags are off."""
    theirs = _captured(shared, "mandrill")
    message = Message(from_="a@example.com", to="b@example.com", subject="s", text="t")
    request = _request(Mandrill("k"), message)
    assert request.url == f"https://mandrillapp.com{theirs['path']}"
    ours = json.loads(request.body or b"")
    assert (ours["message"].pop("preserve_recipients"), ours["message"].pop("merge")) == (True, False)
    assert ours == theirs["json"]
