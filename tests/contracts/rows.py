"""The hostile inputs and the good controls, as values; and which of them are for later."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from attrs import field, frozen

__all__ = ["BAD", "GOOD", "KNOWN", "LATER", "SHARED", "Row", "of_area"]

SHARED = Path(os.environ.get("MAILKIT_SHARED", Path(__file__).parents[3] / "shared"))

# Areas that belong to features which are not written yet: whoever writes one moves its area from here into KNOWN.
LATER = {
    "inbound": "receiving mail",
    "sns": "webhooks of Amazon SNS",
    "template": "templates",
    "webhook": "webhooks",
}

# The fields of each area that the tests beside this file know what to do with, and the encodings of their inputs.
KNOWN: dict[str, set[tuple[str, str]]] = {
    "address": {("to_addr", "text"), ("to_addr", "gen"), ("from_addr", "text"), ("from_name", "text")},
    "attachment-source": {("attachment_source", "text")},
    "body": {("text_body", "text"), ("attachment_bytes", "b64"), ("raw_message", "b64")},
    "content-id": {("content_id", "text")},
    "filename": {("filename", "text")},
    "header-name": {("header-name", "text")},
    "header-value": {
        ("subject", "text"), ("subject", "gen"), ("header:Auto-Submitted", "text"), ("header:Date", "text"),
        ("header:Feedback-ID", "text"), ("header:List-Unsubscribe", "text"), ("header:List-Unsubscribe-Post", "text"),
        ("header:Message-ID", "text"), ("header:Reply-To", "text"), ("header:Resent-Bcc", "text"),
        ("header:X-Custom", "text"), ("header:X-Mailgun-Variables", "text"), ("header:bCC", "text"),
    },
    "http-response": {("http_response", "json")},
    "mime-param": {("boundary", "text"), ("charset", "text"), ("content_type", "text"), ("disposition", "text")},
    "secrets": {("log", "json")},
    "server-reply": {
        *((f"reply:{phase}", "b64") for phase in
          ("greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot", "quit", "rset", "idle")),
        *((f"reply:{phase}", "gen") for phase in ("greeting", "ehlo", "data", "dot")),
    },
    "smtp-command": {
        (name, "text") for name in
        ("auth_token", "auth_user", "dsn_envid", "dsn_orcpt", "dsn_ret", "ehlo_name", "host", "mail_param", "port",
         "proxy_dest", "rcpt_param")
    },
    "tls": {("tls", "json")},
}  # fmt: skip


@frozen(kw_only=True)
class Row:
    """One input, and what has to become of it."""

    id: str
    area: str = "good"
    field: str
    enc: str
    input: Any = field(repr=False)
    allowed: frozenset[str]
    outcome: str | None = None
    why: str = ""

    @property
    def value(self) -> Any:
        """What to give: bytes for ``b64``, a str for ``text`` and ``gen``, the scenario for ``json``."""
        match self.enc:
            case "b64":
                return base64.b64decode(self.input)
            case "gen":
                return (
                    self.input.get("prefix", "") + self.input["repeat"] * self.input["n"] + self.input.get("suffix", "")
                )
            case _:
                return self.input


def _load(name: str) -> tuple[Row, ...]:
    file = SHARED / "security" / name
    if not file.is_file():
        return ()  # the fixture `shared` skips then, and fails in CI
    return tuple(
        Row(
            id=given["id"],
            area=given.get("area", "good"),
            field=given["field"],
            enc=given["enc"],
            input=given["input"],
            allowed=frozenset(filter(None, (given["expectation"], given.get("accept_also")))),
            outcome=given.get("outcome"),
            why=given["why"],
        )
        for given in json.loads(file.read_text("utf-8"))
    )


BAD = _load("bad_inputs.json")
GOOD = _load("good_controls.json")


def of_area(*areas: str) -> list[Any]:
    """Return the rows of some areas, for ``pytest.mark.parametrize``."""
    import pytest

    return [pytest.param(row, id=row.id) for row in BAD if row.area in areas]
