"""SendCloud: https://www.sendcloud.net/doc/en/email_v2/send_email."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from attrs import evolve

from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import headers_with_metadata, joined, refuse_beside_template
from mailkit.providers.multipart import File, form_fields, multipart, with_fields
from mailkit.providers.recipients import Addressed, addressed
from mailkit.providers.status import CREDENTIALS, QUOTA, REJECTED, UNKNOWN, Verdict
from mailkit.providers.stored_template import flat_data
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret
    from mailkit.template import Template

__all__ = ["SendCloud"]

_FORM: Final = "application/x-www-form-urlencoded"
_METADATA: Final = "SC-Custom-Metadata"
_ACCEPTED: Final = frozenset({200, 40821})  # 40821: a task for the address lists that options have named
# https://www.sendcloud.net/doc/en/email_v2, "API Return Code". 40000 (a repeated request, so an earlier one has come),
# 40901 and 40902 (sending failed) and 501 (of the server) prove nothing about the message.
_CODES: Final[Mapping[int, Verdict]] = {
    **dict.fromkeys(range(40801, 40875), REJECTED),  # a parameter each, or the template
    40005: CREDENTIALS,
    40301: CREDENTIALS,  # no such user
    40822: UNKNOWN,  # the task for the address lists could not be made
    40867: UNKNOWN,  # something happened to the attachments
    40904: QUOTA,
    40908: REJECTED,  # the content is like none of the account's templates
    40911: REJECTED,  # the content could not be decoded to see about that
}


class SendCloud(ApiTransport):
    """SendCloud (sendcloud.net, not the shipping service): ``sendcloud://API-USER:API-KEY@default``.

    Of recipients SendCloud takes the addresses alone. Of a message with text and html it prefers the html. All in To
    see each other; of a template (its invoke name) each gets a copy that names nobody else. The template's subject is
    used unless the message has one; its data are text and numbers. Metadata are in the header field
    ``SC-Custom-Metadata``, which events carry back, and where recipients can read them. A label and the like are chosen
    with ``options={"sendcloud": {"labelId": 7}}``. ``verify`` asks for nothing, because SendCloud answers each question
    with success.

    A ``%`` in a text arrives as one, because a message without a template gives SendCloud no values to put in place of
    ``%name%``. Its own variables, such as ``%%user_defined_unsubscribe_link%%``, are at work in every subject, text and
    html, and cannot be escaped.

    Not possible: Cc and Bcc of a template, inline images, amp and calendar parts, a Sender or return path of one's own,
    tags (labels have numbers: see above), tracking chosen for one message, send_at, an idempotency key (so an unknown
    outcome stays unknown), local parts that are not ASCII. A Message-ID of one's own is replaced. Several messages go
    in as many requests: SendCloud refuses a list as a whole for one bad address in it.

    Limits (read 2026-11): 100 recipients and 3 addresses in Reply-To a message, 10 MB of attachments.

    Example:
        >>> str(SendCloud("API-USER", secret="API-KEY"))
        'sendcloud://default'
    """

    capabilities: Capabilities = Capabilities(reply_to=3, attachments=True, metadata=1000, template=True)
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://api.sendcloud.net/apiv2"}
    takes_secret: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 100
    accepts_in_body: ClassVar[bool] = True

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add user and key to the form, the only place that SendCloud looks for them in."""
        media_type = request.header("content-type")
        if key is None or self.secret is None or media_type is None:
            return request
        own = [("apiUser", key.reveal()), ("apiKey", self.secret.reveal())]
        return evolve(request, body=with_fields(request.body or b"", media_type.reveal(), own))

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return the fields of the form; one with several values is a list."""
        refuse_beside_template(message, self, "text", "html")
        sender, template, to = message.from_, message.template, addressed(message, envelope)
        payload = {
            "from": None if sender is None else sender.addr_spec,
            "fromName": None if sender is None else sender.name,
            "replyTo": joined(message.reply_to, ";"),
            "subject": message.subject,
            "headers": headers_with_metadata(message, self, _METADATA),
            **(_texts(message, to) if template is None else self._stored(template, to)),
            "attachments": [
                File(each.filename or "attachment", each.read(), each.media_type) for each in message.attachments
            ],
        }
        return {name: value for name, value in payload.items() if value}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the form for one message: of several parts, where there are files."""
        path = "/mail/send" if message.template is None else "/mail/sendtemplate"
        fields = form_fields(self.complete_payload(message, envelope))
        if message.attachments:
            body, media_type = multipart(fields)
            return self.request(path, body, media_type=media_type)
        return self.request(path, urlencode(fields).encode("ascii"), media_type=_FORM)

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read the code, for errors come with status 200, too, and SendCloud's id for each recipient."""
        answer = response.json()
        code = answer["statusCode"]
        if code not in _ACCEPTED:
            raise self.refusal(_CODES.get(code, UNKNOWN), response, message, envelope)
        match answer:
            case {"info": {"emailIdList": [str(first), *others]}}:
                # The request's id, the recipient's place and "$" stand before the address.
                ids = {each.partition("$")[2]: each for each in (first, *map(str, others))}
                return self.accepted(message, envelope, provider_id=first, ids=ids)
            case _:
                return self.accepted(message, envelope)

    def _stored(self, template: Template, to: Addressed) -> dict[str, Any]:
        for feature, addresses in {"cc": to.cc, "bcc": to.bcc}.items():
            if addresses:
                raise UnsupportedFeatureError(
                    f"{self} sends each recipient of a template a copy, and none to {feature.capitalize()}: put them "
                    "into to, or send them a message of their own",
                    feature=feature,
                    transport=str(self),
                )
        data = flat_data(template, self)
        if any("%" in name for name in data):
            raise MessageError(f"{self} puts a % on both sides of a name, so none has one: rename the template's data")
        recipients = [each.addr_spec for each in to.to]
        variables = {f"%{name}%": [value] * len(recipients) for name, value in data.items()}
        return {
            "templateInvokeName": str(template.id),
            "xsmtpapi": {"to": recipients, **({"sub": variables} if variables else {})},
        }


def _texts(message: Message, to: Addressed) -> dict[str, Any]:
    return {
        "to": joined(to.to, ";"),
        "cc": joined(to.cc, ";"),
        "bcc": joined(to.bcc, ";"),
        "plain": message.text,
        "html": message.html,
    }
