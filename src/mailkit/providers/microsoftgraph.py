"""Microsoft Graph's sendMail: https://learn.microsoft.com/en-us/graph/api/user-sendmail."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import base64_of, header_pairs, path_part
from mailkit.providers.header_recipients import mime_for, prepared_for
from mailkit.providers.path_setting import check_path_setting
from mailkit.providers.recipients import addressed
from mailkit.providers.status import CREDENTIALS, QUOTA, UNKNOWN, Verdict
from mailkit.transport import Capabilities
from mailkit.transport_url import switch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["MicrosoftGraph"]

_MOST: Final = 4 << 20  # of the whole request: https://learn.microsoft.com/en-us/graph/use-the-api
_MOST_HEADERS: Final = 5

# https://learn.microsoft.com/en-us/exchange/client-developer/web-service-reference/responsecode, which Graph hands on
_CODES: Final[Mapping[str, Verdict]] = {
    "ErrorAccountSuspend": CREDENTIALS,
    "ErrorExceededMessageLimit": QUOTA,
    "ErrorMessageSubmissionBlocked": CREDENTIALS,
    "ErrorQuotaExceeded": QUOTA,
    "ErrorSendAsDenied": CREDENTIALS,
    "ErrorSubmissionQuotaExceeded": QUOTA,
    "MailboxNotEnabledForRESTAPI": CREDENTIALS,
}


class _MicrosoftGraphCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(
        reply_to=1_000_000_000,
        attachments=True,
        inline=True,
        calendar=True,
        raw=True,
    )


@frozen
class MicrosoftGraph(_MicrosoftGraphCan, ApiTransport):
    """Microsoft Graph, for mailboxes of Microsoft 365: ``graph://ACCESS-TOKEN@default?user=ada%40example.com``.

    The key is an OAuth 2.0 access token with the permission ``Mail.Send``, or a function that returns a fresh one, as
    tokens are good for an hour: ``MicrosoftGraph(fresh_token)``. ``user`` is the mailbox, by address or id; without
    one it is the token's own, which a token for an application has not. ``verify`` asks for nothing, because the
    permission allows nothing else. There is no id in the answer.

    Every message is sent as complete MIME, which alone can say it all. It has no place for Graph's own settings, so
    with ``save_to_sent_items=False``, or with ``options={"graph": {"message": {"importance": "high"}}}`` and the like,
    the message goes out as Graph's JSON instead, and what that has no words for is refused: text beside HTML,
    calendars, threading, List-Unsubscribe, header fields whose name does not start with X-, and more than five.

    Graph delivers to whom the header names, so hidden recipients are handed over in a Bcc field, which Exchange
    removes. Prepared bytes for somebody whom their header does not name get such a field in front; bytes that name
    somebody who is not to get them are refused. Exchange may write the message anew: a Message-ID may be its own.

    Not possible: a Sender or return path of one's own, amp parts, tags, metadata, tracking, send_at, templates, an
    idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII.

    Limits (read 2026-11): 4 MB a request, which is some 3 MB of attachments; 500 recipients a message, or up to 1000
    where the organization allows it; for each mailbox 4 requests at once (``connections``), 30 messages a minute and
    10,000 recipients a day.

    Args:
        user: The mailbox's address or id.
        save_to_sent_items: Whether Exchange keeps a copy in Sent Items.

    Example:
        >>> str(MicrosoftGraph("TOKEN", user="ada@example.com", region="us"))
        'graph://default?region=us'
    """

    name: ClassVar[str] = "graph"
    endpoints: ClassVar[Mapping[str, str]] = {
        "global": "https://graph.microsoft.com/v1.0",
        "us": "https://graph.microsoft.us/v1.0",
        "us-dod": "https://dod-graph.microsoft.us/v1.0",
        "china": "https://microsoftgraph.chinacloudapi.cn/v1.0",
    }
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"user": str, "save_to_sent_items": switch}
    max_recipients: ClassVar[int | None] = 1000

    user: str | None = field(default=None, kw_only=True)
    save_to_sent_items: bool = field(default=True, kw_only=True)

    def __attrs_post_init__(self) -> None:
        ApiTransport.__attrs_post_init__(self)
        if self.user is not None:
            check_path_setting("user", self.user)

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message as JSON.

        Raises:
            MessageError: JSON cannot say it all.
        """
        headers = header_pairs(message)
        self._check_fits_json(message, headers)
        to = addressed(message, envelope)
        body = message.text if message.html is None else message.html
        described: dict[str, Any] = {
            "subject": message.subject,
            "from": None if message.from_ is None else _recipient(message.from_),
            "toRecipients": [_recipient(each) for each in to.to],
            "ccRecipients": [_recipient(each) for each in to.cc],
            "bccRecipients": [_recipient(each) for each in to.bcc],
            "replyTo": [_recipient(each) for each in message.reply_to],
            "internetMessageHeaders": [{"name": name, "value": value} for name, value in headers],
            "attachments": [_attachment(each) for each in message.attachments],
        }
        if body is not None:
            described["body"] = {"contentType": "text" if message.html is None else "html", "content": body}
        payload: dict[str, Any] = {"message": {name: value for name, value in described.items() if value}}
        if not self.save_to_sent_items:
            payload["saveToSentItems"] = False
        return payload

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message: MIME, unless something is asked for that only JSON has a place for."""
        if self.save_to_sent_items and self.name not in message.options:
            return self._mime_request(mime_for(message, envelope))
        return self._checked(self.post(self._send_path, self.complete_payload(message, envelope)))

    def build_raw_request(self, data: bytes, envelope: Envelope) -> Request:
        """Return the request for prepared bytes.

        Raises:
            MessageError: Exchange would keep a copy that is not wanted, or they are not for these recipients.
        """
        if not self.save_to_sent_items:
            raise MessageError(f"{self} keeps a copy of all prepared bytes: leave save_to_sent_items on for them")
        return self._mime_request(prepared_for(data, envelope))

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at Exchange's own code, which comes with several statuses."""
        if verdict is UNKNOWN or not 400 <= response.status <= 499:
            return verdict
        match response.json_object().get("error"):
            case {"code": str(code)}:
                return _CODES.get(code, verdict)
            case _:
                return verdict

    @property
    def _send_path(self) -> str:
        return "/me/sendMail" if self.user is None else f"/users/{path_part(self.user)}/sendMail"

    def _mime_request(self, mime: bytes) -> Request:
        body = b2a_base64(mime, newline=False)
        return self._checked(self.request(self._send_path, body, media_type="text/plain"))

    def _checked(self, request: Request) -> Request:
        size = len(request.body or b"")
        if size > _MOST:
            raise MessageError(
                f"{self} takes requests of {_MOST} octets (4 MB), and this message makes one of {size}: attach less, "
                "or link to it"
            )
        return request

    def _check_fits_json(self, message: Message, headers: Sequence[tuple[str, str]]) -> None:
        strange = [name for name, _ in headers if not name.lower().startswith("x-")]
        beyond = [
            *(["text beside html"] if message.text is not None and message.html is not None else []),
            *(["a calendar part"] if message.calendar is not None else []),
            *strange,
            *([f"{len(headers)} header fields ({_MOST_HEADERS} at most)"] if len(headers) > _MOST_HEADERS else []),
        ]
        if beyond:
            raise MessageError(
                f"{self} takes its own settings only beside JSON, which has no words for {', '.join(beyond)}: leave "
                "that out, or send as MIME, with save_to_sent_items on and without options['graph']"
            )


def _recipient(address: Address) -> dict[str, Any]:
    return {"emailAddress": {"address": address.addr_spec, **({"name": address.name} if address.name else {})}}


def _attachment(attachment: Attachment) -> dict[str, Any]:
    described: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": attachment.filename or attachment.content_id or "attachment",
        "contentType": attachment.media_type,
        "contentBytes": base64_of(attachment),
    }
    if attachment.content_id is not None:
        described["contentId"] = attachment.content_id
    if attachment.disposition == "inline":
        described["isInline"] = True
    return described
