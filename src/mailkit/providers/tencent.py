"""Tencent Cloud SES: https://www.tencentcloud.com/document/api/1084/39408."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import base64_of, dump, header_mapping, mailbox, refuse_beside_template, typed_name
from mailkit.providers.recipients import addressed
from mailkit.providers.settings import checked_secret
from mailkit.providers.status import CREDENTIALS, NOT_SENT, QUOTA, REJECTED, THROTTLED, UNKNOWN, Verdict
from mailkit.providers.stored_template import flat_data, number_of
from mailkit.providers.tc3 import signature_headers
from mailkit.secret import Secret
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt

__all__ = ["Tencent"]

_MOST_TO: Final = 50
_MOST_COPIES: Final = 20
_MOST_ATTACHMENTS: Final = 10

# By code, or by what stands before its first dot. InternalError, a bare FailedOperation, FailedOperation.SendEmailErr
# ("your sending has met with a problem") and what is not here say of no message that it was not taken.
# https://www.tencentcloud.com/document/api/1084/39419
_CODES: Final[Mapping[str, Verdict]] = {
    "ActionOffline": REJECTED,
    "AuthFailure": CREDENTIALS,
    "FailedOperation.ExceedSendLimit": QUOTA,  # of the day
    "FailedOperation.FrequencyLimit": THROTTLED,  # too many to one address, too soon
    "FailedOperation.HighRejectionRate": CREDENTIALS,  # the account is stopped for a while
    "FailedOperation.InsufficientBalance": CREDENTIALS,
    "FailedOperation.InsufficientQuota": QUOTA,
    "FailedOperation.ServiceNotAvailable": NOT_SENT,  # "the request has not taken effect, try again"
    "FailedOperation.TemporaryBlocked": THROTTLED,  # by the recipient's provider, for ten minutes
    "InvalidAction": REJECTED,
    "InvalidParameter": REJECTED,
    "InvalidParameterValue": REJECTED,
    "InvalidRequest": REJECTED,
    "IpInBlacklist": CREDENTIALS,
    "IpNotInWhitelist": CREDENTIALS,
    "LimitExceeded": QUOTA,
    "MissingParameter": REJECTED,
    "NoSuchProduct": REJECTED,
    "NoSuchVersion": REJECTED,
    "OperationDenied": REJECTED,
    "RequestLimitExceeded": THROTTLED,
    "RequestSizeLimitExceeded": REJECTED,
    "ResourceNotFound": REJECTED,
    "UnauthorizedOperation": CREDENTIALS,
    "UnknownParameter": REJECTED,
    "UnsupportedOperation": REJECTED,
    "UnsupportedRegion": CREDENTIALS,
    **dict.fromkeys(
        [
            f"FailedOperation.{what}"
            for what in (
                "AttachContentToolarge",
                "EmailAddrInBlacklist",
                "EmailContentToolarge",
                "IllegalURL",
                "IncorrectEmail",
                "IncorrectSender",
                "InvalidAttachName",
                "InvalidTemplateID",
                "MissingEmailContent",
                "NoAttachPermission",
                "NotAuthenticatedSender",
                "ProtocolCheckErr",
                "ReceiverHasUnsubscribed",
                "RejectedByRecipients",
                "TemplateContentToolarge",
                "TooManyAttachments",
                "TooManyRecipients",
                "UnsupportMailType",
                "URLForbidden",
                "WithOutPermission",
                "WrongContentJson",
            )
        ],
        REJECTED,
    ),
}


class _TencentCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(attachments=True, template=True)


@frozen
class Tencent(_TencentCan, ApiTransport):
    """Tencent Cloud SES: ``tencent://SECRET-ID:SECRET-KEY@default?region=ap-hongkong``.

    Most accounts may send stored templates only, and a text or html of one's own is rejected
    (``FailedOperation.WithOutPermission``). Templates have numbers, and take text and numbers; the subject is the
    message's all the same. Of recipients and Reply-To Tencent takes the addresses alone. That a message was triggered
    by its recipient, and a link to unsubscribe, are said with ``options={"tencent": {"TriggerType": 1, "Unsubscribe":
    "2"}}``. Tencent Cloud's international site has a host of its own, which is the default for Singapore alone:
    ``tencent://SECRET-ID:SECRET-KEY@ses.intl.tencentcloudapi.com?region=ap-hongkong``. Temporary credentials come with
    ``session_token=``. ``verify`` asks for nothing, because Tencent answers each question with success.

    Not possible: inline images, amp and calendar parts, a Sender or return path of one's own, tags, metadata, tracking
    chosen for one message, send_at, a colon in From's name, an idempotency key (so an unknown outcome stays unknown),
    local parts that are not ASCII.

    Limits (read 2026-11): 50 recipients in To, 20 in Cc and 20 in Bcc; 10 attachments, of 4 MB together;
    100 characters of subject; 20 requests a second, 10 messages an hour to one address.

    Example:
        >>> str(Tencent("SECRET-ID", secret="SECRET-KEY", region="ap-hongkong"))
        'tencent://default?region=ap-hongkong'

    Args:
        session_token: What comes along with temporary credentials.
    """

    endpoints: ClassVar[Mapping[str, str]] = {
        "ap-guangzhou": "https://ses.tencentcloudapi.com",
        "ap-hongkong": "https://ses.tencentcloudapi.com",
        "ap-singapore": "https://ses.intl.tencentcloudapi.com",
    }
    path: ClassVar[str] = "/"
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"session_token": Secret}
    takes_secret: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = _MOST_TO + 2 * _MOST_COPIES
    accepts_in_body: ClassVar[bool] = True

    session_token: Secret | None = field(default=None, converter=checked_secret, kw_only=True, repr=False)

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:
        """Sign it."""
        if key is None or self.secret is None:
            return request
        signed = signature_headers(
            request, key=key, secret=self.secret, session_token=self.session_token, service="ses", now=now
        )
        return self.with_headers(request, signed)

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return the parameters of the operation."""
        refuse_beside_template(message, self, "text", "html")
        if message.from_ is None or not message.subject:
            raise MessageError(f"{self} wants a From and a subject, also with a template: give the message both")
        to = addressed(message, envelope)
        if len(to.to) > _MOST_TO or max(len(to.cc), len(to.bcc)) > _MOST_COPIES:
            raise MessageError(
                f"{self} takes {_MOST_TO} recipients in To, and {_MOST_COPIES} in each of Cc and Bcc: send it in "
                "several messages"
            )
        if len(message.attachments) > _MOST_ATTACHMENTS:
            raise MessageError(f"{self} takes {_MOST_ATTACHMENTS} attachments: pack several into one")
        headers = header_mapping(message, self)
        payload: dict[str, Any] = {
            "FromEmailAddress": self._sender(message.from_),
            "Destination": [each.addr_spec for each in to.to],
            "Cc": [each.addr_spec for each in to.cc],
            "Bcc": [each.addr_spec for each in to.bcc],
            "ReplyToAddresses": "".join([each.addr_spec for each in message.reply_to]),
            "Subject": message.subject,
            "Attachments": [{"FileName": typed_name(each), "Content": base64_of(each)} for each in message.attachments],
            "SmtpMessageId": None if message.message_id is None else f"<{message.message_id}>",
            "SmtpHeaders": dump(headers).decode() if headers else None,
        }
        template = message.template
        if template is not None:
            data = dump(flat_data(template, self)).decode()
            payload["Template"] = {"TemplateID": number_of(template, self), "TemplateData": data}
        else:
            texts = {"Html": message.html, "Text": message.text}
            payload["Simple"] = {name: _base64(text) for name, text in texts.items() if text}
        return {name: value for name, value in payload.items() if value}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message."""
        operation = {
            "X-TC-Action": "SendEmail",
            "X-TC-Version": "2020-10-02",
            "X-TC-Language": "en-US",
            "X-TC-Region": self.region or next(iter(self.endpoints)),
        }
        return self.post(self.path, self.complete_payload(message, envelope), headers=operation)

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Tencent's id, or the error: both come with status 200."""
        answer = response.json()["Response"]
        if "Error" in answer:
            code = answer["Error"]["Code"]
            verdict = _CODES.get(code) or _CODES.get(code.partition(".")[0], UNKNOWN)
            raise self.refusal(verdict, response, message, envelope)
        return self.accepted(message, envelope, provider_id=answer["MessageId"])

    def _sender(self, address: Address) -> str:
        if ":" in (address.name or ""):
            raise MessageError(f"{self} takes no colon in From's name: write {address.name!r} without")
        return mailbox(address)


def _base64(text: str) -> str:
    return b2a_base64(text.encode(), newline=False).decode("ascii")
