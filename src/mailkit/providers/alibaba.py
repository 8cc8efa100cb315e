"""Alibaba Cloud DirectMail: https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from attrs import field, frozen

from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.providers.acs3 import signature_headers
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import headers_with_metadata, joined, refuse_beside_template
from mailkit.providers.multipart import form_fields
from mailkit.providers.recipients import addressed
from mailkit.providers.settings import checked_secret
from mailkit.providers.status import CREDENTIALS, THROTTLED, UNKNOWN, Verdict
from mailkit.providers.stored_template import flat_data
from mailkit.secret import Secret
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt

__all__ = ["Alibaba"]

_METADATA: Final = "X-User-Notify-Metadata"
# What the API keeps of the fields in Headers; it drops others in silence, and what is beyond the tenth.
_KNOWN_HEADERS: Final = ("list-unsubscribe", "list-unsubscribe-post")
_OWN_HEADERS: Final = "x-user-"
_MOST_HEADERS: Final = 10
_MOST_BCC: Final = 2

# By code, or by what stands before its first dot. All others of status 4xx are about the message, or its sender.
# https://www.alibabacloud.com/help/en/direct-mail/error-codes and Alibaba Cloud's common errors.
_CODES: Final[Mapping[str, Verdict]] = {
    "Forbidden": CREDENTIALS,
    "IncompleteSignature": CREDENTIALS,
    "InvalidAccessKeyId": CREDENTIALS,
    "InvalidSecurityToken": CREDENTIALS,
    "InvalidTimeStamp": CREDENTIALS,  # of a signature: this machine's clock is wrong
    "MissingSecurityToken": CREDENTIALS,
    "NoPermission": CREDENTIALS,
    "Signature": CREDENTIALS,
    "SignatureDoesNotMatch": CREDENTIALS,
    "SignatureNonceUsed": UNKNOWN,  # each request has a new one, so somebody on the way has repeated this
    "Throttling": THROTTLED,
}


class _AlibabaCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(
        cc=False, threading=False, tags=1, metadata=1000, track_clicks=True, template=True
    )


@frozen
class Alibaba(_AlibabaCan, ApiTransport):
    """Alibaba Cloud DirectMail: ``alibaba://ACCESS-KEY-ID:SECRET@default?region=ap-southeast-1``.

    From has to be a sender address of the account's, and a tag one that its console has. Of recipients DirectMail takes
    the addresses alone. It asks for text or html: both are passed on. A template (its id from the console) replaces
    text and html, and takes text and numbers; the subject is the message's all the same. Header fields of one's own
    begin with ``X-User-``. Metadata are in the header field ``X-User-Notify-Metadata``, which events carry back, and
    where recipients can read them. ``track_clicks`` is DirectMail's one switch for tracking: it turns opens on and off
    as well, and what is tracked wants a tag. An address pool and the like are chosen with
    ``options={"alibaba": {"IpPoolId": "…"}}``. ``verify`` wants the permission dm:DescAccountSummary. Temporary
    credentials come with ``session_token=``.

    Not possible: Cc, In-Reply-To and References, attachments and inline images (the API has them uploaded to storage
    first; messages with all of these go through DirectMail's SMTP relay, ``alibaba+smtp://``), amp and calendar parts,
    a Sender or return path of one's own, other header fields, header fields beyond ASCII, send_at, an idempotency key
    (so an unknown outcome stays unknown), local parts that are not ASCII. A message that is refused because a quota is
    used up looks like one that is refused as spam.

    Limits (read 2026-11): 100 recipients a message, 2 of them in Bcc; 256 characters of subject, 14 of From's name,
    8 MB of text and html; 10 header fields, of which Message-ID is one.

    Example:
        >>> str(Alibaba("ACCESS-KEY-ID", secret="SECRET", region="ap-southeast-1"))
        'alibaba://default?region=ap-southeast-1'

    Args:
        session_token: What comes along with temporary credentials.
    """

    endpoints: ClassVar[Mapping[str, str]] = {
        "cn-hangzhou": "https://dm.aliyuncs.com",
        "ap-southeast-1": "https://dm.ap-southeast-1.aliyuncs.com",
        "ap-southeast-2": "https://dm.ap-southeast-2.aliyuncs.com",
        "eu-central-1": "https://dm.eu-central-1.aliyuncs.com",
        "us-east-1": "https://dm.us-east-1.aliyuncs.com",
    }
    path: ClassVar[str] = "/"
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"session_token": Secret}
    takes_secret: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 100
    verify_path: ClassVar[str | None] = "/"

    session_token: Secret | None = field(default=None, converter=checked_secret, kw_only=True, repr=False)

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:
        """Name the operation, which is sending, or where there is nothing to send, how the account stands; sign it."""
        action = "DescAccountSummary" if request.body is None else "SingleSendMail"
        request = self.with_headers(request, {"x-acs-action": action, "x-acs-version": "2015-11-23"})
        if key is None or self.secret is None:
            return request
        signed = signature_headers(
            request, key=key, secret=self.secret, session_token=self.session_token, nonce=token_hex(16), now=now
        )
        return self.with_headers(request, signed)

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return the parameters of the operation."""
        refuse_beside_template(message, self, "text", "html")
        if message.from_ is None or not message.subject:
            raise MessageError(f"{self} wants a From and a subject, also with a template: give the message both")
        if message.track_clicks and not message.tags:
            raise MessageError(f"{self} tracks only what has a tag: give the message one that the console has")
        to = addressed(message, envelope)
        if len(to.bcc) > _MOST_BCC:
            raise MessageError(
                f"{self} takes {_MOST_BCC} recipients in Bcc, not {len(to.bcc)}: send the others a message of their own"
            )
        (reply_to,) = message.reply_to or (None,)
        template = message.template
        payload = {
            "AccountName": message.from_.addr_spec,
            "AddressType": "1",
            "FromAlias": message.from_.name,
            "ReplyToAddress": "false",  # the one that the console knows; the message's own is below
            "ReplyAddress": None if reply_to is None else reply_to.addr_spec,
            "ReplyAddressAlias": None if reply_to is None else reply_to.name,
            "ToAddress": joined(to.to, ","),
            "BccAddress": joined(to.bcc, ","),
            "Subject": message.subject,
            "TextBody": message.text,
            "HtmlBody": message.html,
            "Template": template and {"TemplateData": flat_data(template, self), "TemplateId": str(template.id)},
            "TagName": "".join(message.tags),
            "ClickTrace": None if message.track_clicks is None else "1" if message.track_clicks else "0",
            "Headers": self._headers(message),
        }
        return {name: value for name, value in payload.items() if value}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the form for one message."""
        body = urlencode(form_fields(self.complete_payload(message, envelope))).encode("ascii")
        return self.request(self.path, body, media_type="application/x-www-form-urlencoded")

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read DirectMail's id of the sending, which its events have."""
        return self.accepted(message, envelope, provider_id=response.json()["EnvId"])

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the error's code, which comes with status 400 in most cases."""
        if verdict is UNKNOWN or not 400 <= response.status <= 499:
            return verdict
        code = str(response.json_object().get("Code"))
        return _CODES.get(code) or _CODES.get(code.partition(".")[0], verdict)

    def _headers(self, message: Message) -> dict[str, str]:
        headers = headers_with_metadata(message, self, _METADATA)
        for name, value in headers.items():
            if not (name.lower().startswith(_OWN_HEADERS) or name.lower() in _KNOWN_HEADERS):
                self._refuse_headers(f"header fields that begin with X-User-, and {name!r} does not: rename it")
            if not value.isascii():
                self._refuse_headers(f"header fields in ASCII, and {name!r} is not: leave it out")
        if message.message_id is not None:
            headers["Message-ID"] = f"<{message.message_id}>"
        if len(headers) > _MOST_HEADERS:
            self._refuse_headers(f"{_MOST_HEADERS} header fields, Message-ID among them: leave some out")
        return headers

    def _refuse_headers(self, takes: str) -> None:
        raise UnsupportedFeatureError(f"{self} takes {takes}", feature="headers", transport=str(self))
