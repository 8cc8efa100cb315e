"""AokSend: https://www.aoksend.com/doc/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from attrs import evolve

from mailkit.errors import UnsupportedFeatureError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import dump, refuse_beside_template
from mailkit.providers.multipart import form_fields
from mailkit.providers.status import CREDENTIALS, REJECTED, UNKNOWN, Verdict
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["AokSend"]

_ACCEPTED: Final = 200
# https://github.com/AokSend/mailapi, "code"; 40009 is of others' experience
_CODES: Final[Mapping[int, Verdict]] = {
    40001: CREDENTIALS,  # no app_key
    40002: CREDENTIALS,  # not the account's
    40003: REJECTED,  # template_id
    40004: REJECTED,  # no to
    40005: REJECTED,  # to is no address
    40006: REJECTED,  # reply_to is none
    40007: CREDENTIALS,  # no balance, or disabled
    40008: REJECTED,  # data is no JSON
    40009: REJECTED,  # attachment
}


class AokSend(ApiTransport):
    """AokSend's API for stored templates: ``aoksend://APP-KEY@default``.

    It sends nothing but templates, to one recipient each. The template at AokSend has the subject, the text and the
    sender's address; of From it takes the name alone (``alias``), of the recipient and Reply-To the address alone. Full
    messages go through AokSend's SMTP relay. ``verify`` asks for nothing, for there is nothing harmless to ask for.

    Not possible: a subject, text or HTML of one's own, several recipients, Cc and Bcc, attachments, header fields,
    tags, metadata, tracking, a time to be sent at, a return path, an idempotency key (so an unknown outcome stays
    unknown), and an id of the message: AokSend tells none.

    Limits (read 2026-11): 1 recipient a message, 3 requests a second.

    Example:
        >>> str(AokSend("APP-KEY"))
        'aoksend://default'
    """

    capabilities: Capabilities = Capabilities(
        html=False, cc=False, bcc=False, headers=False, threading=False, list_unsubscribe=False, template=True
    )
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://www.aoksend.com/index/api"}
    path: ClassVar[str] = "/send_email"
    max_recipients: ClassVar[int | None] = 1
    accepts_in_body: ClassVar[bool] = True

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the key to the form, the only place that AokSend looks for it in."""
        if key is None:
            return request
        own = urlencode({"app_key": key.reveal()}).encode("ascii")
        body = b"&".join(filter(None, (own, request.body)))
        return evolve(request, body=body)

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return the fields of the form."""
        template = message.template
        if template is None:
            raise UnsupportedFeatureError(
                f"{self} sends stored templates and nothing else: give the message a template, or send it through "
                "AokSend's SMTP relay, aoksend+smtp://USER:PASSWORD@default",
                feature="text",
                transport=str(self),
            )
        refuse_beside_template(message, self, "subject", "text")
        (recipient,) = envelope.rcpt_to
        payload: dict[str, Any] = {
            "template_id": str(template.id),
            "to": recipient.addr_spec,
            "reply_to": "".join([each.addr_spec for each in message.reply_to]),
            "alias": None if message.from_ is None else message.from_.name,
            "data": dump(template.data).decode() if template.data else None,
        }
        return {name: value for name, value in payload.items() if value}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the form for one message."""
        fields = form_fields(self.complete_payload(message, envelope))
        body = urlencode(fields).encode("ascii")
        return self.request(self.path, body, media_type="application/x-www-form-urlencoded")

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read the code, a number or the digits of one: every answer has status 200."""
        code = response.json()["code"]
        number = int(code) if isinstance(code, str) else code
        if number == _ACCEPTED:
            return self.accepted(message, envelope)
        raise self.refusal(_CODES.get(number, UNKNOWN), response, message, envelope)
