"""Cloudflare Email Service: https://developers.cloudflare.com/email-service/api/send-emails/rest-api/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen

from mailkit.errors import ConfigurationError, MessageError
from mailkit.mime import render
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import attached, header_mapping, header_pairs, path_part
from mailkit.providers.path_setting import check_path_setting
from mailkit.providers.recipients import addressed, people
from mailkit.providers.status import CREDENTIALS, NOT_SENT, REJECTED, THROTTLED, UNKNOWN, Verdict
from mailkit.receipt import RecipientResult
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailkit.address import Address
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt

__all__ = ["Cloudflare"]

_NO_AUTHENTICATION_SERVER: Final = 10100
_SERVICE_UNAVAILABLE: Final = 503

# https://developers.cloudflare.com/email-service/api/send-emails/rest-api/#error-handling, for errors inside a 2xx;
# elsewhere the status says as much.
_CODES: Final[Mapping[int, Verdict]] = {
    10001: REJECTED,
    10004: THROTTLED,
    _NO_AUTHENTICATION_SERVER: NOT_SENT,
    10101: CREDENTIALS,
    10102: CREDENTIALS,
    10103: CREDENTIALS,
    10105: CREDENTIALS,
    10200: REJECTED,
    10202: REJECTED,
    10203: CREDENTIALS,
}

# Lists in an answer of those who do not get the message.
_REFUSED: Final[Mapping[str, str]] = {"permanent_bounces": "permanent bounce", "suppressed_recipients": "suppressed"}


class _CloudflareCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(attachments=True, inline=True, amp=True, calendar=True, raw=True)


@frozen
class Cloudflare(_CloudflareCan, ApiTransport):
    """Cloudflare's Email Service: ``cloudflare://API-TOKEN@default?account-id=ACCOUNT``.

    The token needs the permission to send e-mail, in the account that ``account_id`` names. Cloudflare delivers while
    it answers: recipients whose server refuses them for good, and those on the suppression list, are rejected in the
    receipt; if all are, so is the message. Header fields of one's own have to be on Cloudflare's list, or start with
    X-. Amp and calendar parts, several header fields of one name, a message without subject or without text, and
    prepared bytes go out as MIME (``send_raw``). ``verify`` asks for nothing: what a token may be asked for depends on
    its kind.

    Not possible: a Sender or return path of one's own, more than one address in Reply-To, tags, metadata, tracking,
    send_at, templates, an idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII. Date
    and Message-ID are Cloudflare's.

    Limits (read 2026-11): 50 recipients and 5 MiB a message (25 MiB to verified destinations), 998 characters of
    subject, 16 KB of header fields.

    Args:
        account_id: The account that sends.

    Raises:
        ConfigurationError: There is no account, or one of the settings cannot be right.

    Example:
        >>> str(Cloudflare("API-TOKEN", account_id="023e105f"))
        'cloudflare://default'
    """

    endpoints: ClassVar[Mapping[str, str]] = {"": "https://api.cloudflare.com/client/v4"}
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"account_id": str}
    max_recipients: ClassVar[int | None] = 50

    account_id: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        ApiTransport.__attrs_post_init__(self)
        if self.account_id is None:
            raise ConfigurationError("cloudflare sends for an account: give account_id=, or ?account-id= in the URL")
        check_path_setting("account_id", self.account_id)

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message: its parts, or where they cannot say it all, its MIME."""
        if _needs_mime(message):
            return self._mime(render(message).as_bytes(), envelope)
        to = addressed(message, envelope)
        payload: dict[str, Any] = {
            **people(message, to, _mailbox),
            "reply_to": _mailbox(message.reply_to[0]) if message.reply_to else None,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "headers": header_mapping(message, self),
            "attachments": [attached(each, "type", disposition=True) for each in message.attachments],
        }
        return {name: value for name, value in payload.items() if value}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message."""
        return self.post(self._send_path(raw=_needs_mime(message)), self.complete_payload(message, envelope))

    def build_raw_request(self, data: bytes, envelope: Envelope) -> Request:
        """Return the request for prepared bytes."""
        return self.post(self._send_path(raw=True), self._mime(data, envelope))

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read what became of each recipient."""
        answer = response.json_object()
        if answer.get("success") is False:
            verdict = _CODES.get(_code(response) or 0, UNKNOWN)
            raise self.refusal(verdict, response, message, envelope)
        result = answer["result"]
        refused = {str(each).lower(): text for name, text in _REFUSED.items() for each in _several(result.get(name))}
        others = [
            RecipientResult(path.addr_spec, status="rejected", phase="response", text=refused[path.addr_spec.lower()])
            for path in envelope.rcpt_to
            if path.addr_spec.lower() in refused
        ]
        return self.accepted(message, envelope, provider_id=result.get("message_id"), others=others)

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Tell where Cloudflare could not check the token (authentication.upstream): it had done nothing else yet."""
        is_unchecked = (response.status, _code(response)) == (_SERVICE_UNAVAILABLE, _NO_AUTHENTICATION_SERVER)
        return NOT_SENT if is_unchecked else verdict

    def _send_path(self, *, raw: bool) -> str:
        return f"/accounts/{path_part(self.account_id or '')}/email/sending/{'send_raw' if raw else 'send'}"

    def _mime(self, data: bytes, envelope: Envelope) -> dict[str, Any]:
        if envelope.mail_from is None:
            raise MessageError(f"{self} has no empty reverse-path: name an address to send from")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise MessageError(f"{self} takes messages as text: encode its parts so that they are ASCII") from None
        # This envelope, and not the header, says who gets it.
        recipients = [path.addr_spec for path in envelope.rcpt_to]
        return {"from": envelope.mail_from.addr_spec, "recipients": recipients, "mime_message": text}


def _needs_mime(message: Message) -> bool:
    names = [name.lower() for name, _ in header_pairs(message)]
    is_odd = any(each.disposition == "attachment" and each.content_id is not None for each in message.attachments)
    is_bare = not message.subject or not (message.text or message.html)
    return is_bare or is_odd or bool(message.amp or message.calendar) or len(set(names)) < len(names)


def _several(listed: Any) -> Sequence[Any]:
    match listed:
        case [*addresses]:
            return addresses
        case _:
            return ()


def _code(response: Response) -> int | None:
    match response.json_object().get("errors"):
        case [{"code": int(code)}, *_]:
            return code
        case _:
            return None


def _mailbox(address: Address) -> str | dict[str, str]:
    return {"address": address.addr_spec, "name": address.name} if address.name else address.addr_spec
