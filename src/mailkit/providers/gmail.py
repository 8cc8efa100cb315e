"""The Gmail API: https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/send."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import dump, merged, path_part
from mailkit.providers.header_recipients import mime_for, prepared_for
from mailkit.providers.path_setting import check_path_setting
from mailkit.providers.status import CREDENTIALS, QUOTA, THROTTLED, Verdict
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt

__all__ = ["Gmail"]

_MOST: Final = 36_700_160  # the discovery document's maxSize of users.messages.send
_MOST_IN_JSON: Final = 1_000_000  # beyond, base64 costs more than a second part does

# https://developers.google.com/workspace/gmail/api/guides/handle-errors: one status, 403 or 429, for all of these
_REASONS: Final[Mapping[str, Verdict]] = {
    "dailyLimitExceeded": QUOTA,
    "quotaExceeded": QUOTA,
    "rateLimitExceeded": THROTTLED,
    "userRateLimitExceeded": THROTTLED,
}


class _GmailCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(
        reply_to=1_000_000_000,
        attachments=True,
        inline=True,
        amp=True,
        calendar=True,
        raw=True,
    )


@frozen
class Gmail(_GmailCan, ApiTransport):
    """The Gmail API of Google Workspace and gmail.com: ``gmail://ACCESS-TOKEN@default?user=ada%40example.com``.

    The key is an OAuth 2.0 access token with the scope ``gmail.send``, or a function that returns a fresh one, as
    tokens are good for an hour: ``Gmail(lambda: credentials.token)``. ``user`` is the mailbox; by default that of the
    token. A thread is chosen with ``options={"gmail": {"threadId": "…"}}``. Every message is sent as complete MIME,
    and beyond 1 MB through the upload endpoint. ``verify`` asks for nothing, because the scope allows nothing else.

    Gmail writes the mailbox's own address into From, unless that is a verified alias of it, and may replace the
    Message-ID. It delivers to whom the header names, so hidden recipients are handed over in a Bcc field, which Gmail
    removes. Prepared bytes for somebody whom their header does not name get such a field in front; bytes that name
    somebody who is not to get them are refused.

    Not possible: a Sender or return path of one's own, tags, metadata, tracking, send_at, templates, an idempotency key
    (so an unknown outcome stays unknown), local parts that are not ASCII.

    Limits (read 2026-11): 36,700,160 octets and 2000 recipients a message, 500 of them outside of the organization;
    2000 messages a day (500 with gmail.com). A mailbox beyond its daily limit is throttled for hours.

    Args:
        user: The mailbox's address, or ``"me"``.

    Example:
        >>> str(Gmail("ya29.TOKEN", user="ada@example.com"))
        'gmail://default'
    """

    endpoints: ClassVar[Mapping[str, str]] = {"": "https://gmail.googleapis.com"}
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"user": str}
    max_recipients: ClassVar[int | None] = 2000

    user: str = field(default="me", kw_only=True)

    def __attrs_post_init__(self) -> None:
        ApiTransport.__attrs_post_init__(self)
        check_path_setting("user", self.user)

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message."""
        return self._request(mime_for(message, envelope), message.options.get(self.name, {}))

    def build_raw_request(self, data: bytes, envelope: Envelope) -> Request:
        """Return the request for prepared bytes."""
        return self._request(prepared_for(data, envelope), {})

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Gmail's id of the message in the mailbox."""
        return self.accepted(message, envelope, provider_id=response.json()["id"])

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the first error's reason: speed, quotas and permissions come with status 403 alike."""
        if verdict not in {CREDENTIALS, THROTTLED}:
            return verdict
        match response.json_object().get("error"):
            case {"errors": [{"reason": str(reason)}, *_]}:
                return _REASONS.get(reason, verdict)
            case _:
                return verdict

    def _request(self, mime: bytes, options: Mapping[str, Any]) -> Request:
        if len(mime) > _MOST:
            raise MessageError(f"{self} takes {_MOST} octets a message, not {len(mime)}: attach less, or link to it")
        path = f"/gmail/v1/users/{path_part(self.user)}/messages/send"
        if len(mime) <= _MOST_IN_JSON:
            return self.post(path, merged({"raw": urlsafe_b64encode(mime).decode("ascii")}, options))
        body, media_type = _related(dump(options), mime)
        return self.request(f"/upload{path}?uploadType=multipart", body, media_type=media_type)


def _related(metadata: bytes, mime: bytes) -> tuple[bytes, str]:
    """Return what Google calls a multipart upload: JSON, then the message (RFC 2387)."""
    # A hash of both stands in neither, and the same message gives the same octets.
    whole = sha256(metadata)
    whole.update(mime)
    boundary = whole.hexdigest()[:48]
    delimiter = f"--{boundary}\r\n".encode()
    parts = [
        delimiter,
        b"Content-Type: application/json; charset=UTF-8\r\n\r\n",
        metadata,
        b"\r\n",
        delimiter,
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        mime,
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    return b"".join(parts), f"multipart/related; boundary={boundary}"
