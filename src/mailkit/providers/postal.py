"""Postal, a mail platform that people run themselves: https://docs.postalserver.io/developer/api."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import evolve

from mailkit.errors import MessageError
from mailkit.mime import render
from mailkit.providers.base import ApiTransport
from mailkit.providers.status import CREDENTIALS, NOT_SENT, REJECTED, Verdict
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["Postal"]

# app/controllers/legacy_api/base_controller.rb of postalserver/postal; all other codes are about the message.
_CODES: Final[Mapping[str, Verdict]] = {
    "AccessDenied": CREDENTIALS,
    "InvalidServerAPIKey": CREDENTIALS,
    "ServerSuspended": CREDENTIALS,
}


class Postal(ApiTransport):
    """Postal's HTTP API: ``postal://KEY@postal.example.com``, with the host that you run it on.

    Every message goes out as complete MIME (``/api/v1/send/raw``), because the API's own form for messages
    (``/api/v1/send/message``) replaces the Message-ID and has no fields for inline images, calendars, a return path or
    two header fields of one name. A tag becomes the header field ``X-Postal-Tag``, which Postal reads, and which
    recipients can. A bounce is marked with ``options={"postal": {"bounce": True}}``. Receipts have Postal's number of
    each recipient's message. ``verify`` asks for a message without a number, which only a good key is told.

    Not possible: send_at, more than one tag, metadata, tracking chosen for one message, templates, an empty return
    path, local parts that are not ASCII, an idempotency key (so an unknown outcome stays unknown).

    Limits (read 2026-11): none but those of the web server in front of it.

    Example:
        >>> str(Postal("KEY", host="postal.example.com"))
        'postal://postal.example.com'
    """

    capabilities: Capabilities = evolve(Capabilities.rfc5322(smtputf8=False), tags=1)
    path: ClassVar[str] = "/api/v1/send/raw"
    needs_host: ClassVar[bool] = True
    accepts_in_body: ClassVar[bool] = True
    verify_path: ClassVar[str | None] = "/api/v1/messages/message"

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the server's API key."""
        return request if key is None else self.with_headers(request, {"X-Server-API-Key": key})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return the message as MIME, and its envelope."""
        if message.tags:
            message = message.evolve(headers=[*message.headers, ("X-Postal-Tag", message.tags[0])])
        return self._enveloped(render(message).as_bytes(), envelope)

    def build_raw_request(self, data: bytes, envelope: Envelope) -> Request:
        """Return the request that sends prepared bytes."""
        return self.post(self.path, self._enveloped(data, envelope))

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read the status in the answer, which is 200 whatever happened, and the number of each recipient's message."""
        answer = response.json()
        status, data = answer["status"], answer["data"]
        if status == "success":
            ids = {path.addr_spec: str(data["messages"][path.addr_spec]["id"]) for path in envelope.rcpt_to}
            return self.accepted(message, envelope, provider_id=data["message_id"], ids=ids)
        if status not in {"error", "parameter-error"}:
            raise ValueError(status)
        code = data.get("code", status)
        # The answer may repeat the key, and says nothing else that is worth repeating.
        text = f"{code} {data.get('message') or ''}".rstrip()
        raise self.refusal(_CODES.get(code, REJECTED), response, message, envelope, text=text)

    def standing(self, response: Response) -> Verdict | None:
        """Look whether the key was refused: with a good one, it is the missing number that Postal minds."""
        refused = ApiTransport.standing(self, response)
        if refused is not None:
            return refused
        match response.json():
            case {"status": "parameter-error"}:
                return None
            case {"data": {"code": str(code)}} if code in _CODES:
                return _CODES[code]
            case _:
                return NOT_SENT

    def _enveloped(self, data: bytes, envelope: Envelope) -> dict[str, Any]:
        if envelope.mail_from is None:
            raise MessageError(f"{self} has no empty return path: name an address that takes what comes back")
        return {
            "mail_from": envelope.mail_from.addr_spec,
            "rcpt_to": [path.addr_spec for path in envelope.rcpt_to],
            "data": b2a_base64(data, newline=False).decode("ascii"),
        }
