"""All that Microsoft Graph's JSON can say keeps its contract: messages of all kinds are MIME, which has none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.contracts.openapi import Contract, problems

from mailkit import Attachment, Message
from mailkit.envelope import Envelope
from mailkit.providers import MicrosoftGraph

if TYPE_CHECKING:
    from pathlib import Path

_CONTRACT = Contract("derived/msgraph_sendMail.schema.json")


@pytest.mark.parametrize("user", [None, "ada@example.com"])
def test_everything_in_one_message(user: str | None, shared: Path) -> None:
    """Each field that is ever written is one of the contract's, in the form that it has there."""
    message = Message(
        from_="Jürgen Groß <ada@example.com>",
        to=["李 <bob@faß.test>", "eve@example.net"],
        cc="team@example.org",
        bcc="archive@example.org",
        reply_to=["Help <help@example.com>", "office@example.com"],
        subject="Grüße 👋",
        html='<img src="cid:logo">',
        headers={"X-Campaign": "q3"},
        attachments=[
            Attachment.from_bytes(b"%PDF-1.7", "report.pdf"),
            Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
        ],
        options={"graph": {"message": {"importance": "high"}}},
    )
    transport = MicrosoftGraph("KEY", user=user, save_to_sent_items=False)
    request = transport.build_request(message, Envelope.from_message(message))
    payload = json.loads(request.body or b"")
    assert not problems(shared / "vendors" / "specs", _CONTRACT, payload)
    assert len(payload["message"]) == 10
    payload["message"]["subjekt"] = "Hallo"
    assert problems(shared / "vendors" / "specs", _CONTRACT, payload)
