"""Scaleway Transactional Email: https://www.scaleway.com/en/developers/api/transactional-email/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen

from mailkit.errors import ConfigurationError, UnsupportedFeatureError
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import base64_of, encoded_mailbox, encoded_name, header_pairs, named
from mailkit.providers.recipients import addressed, people
from mailkit.providers.status import CREDENTIALS, NOT_SENT, QUOTA, UNKNOWN, Verdict
from mailkit.receipt import RecipientResult
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["Scaleway"]

# The types that all of Scaleway's APIs share.
_TYPES: Final[Mapping[str, Verdict]] = {
    "denied_authentication": CREDENTIALS,
    "locked": CREDENTIALS,
    "permissions_denied": CREDENTIALS,
    "quotas_exceeded": QUOTA,
    "transient_state": NOT_SENT,
}

_NOT_SENT_TO: Final = frozenset({"canceled", "failed"})


class _ScalewayCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(reply_to=50, attachments=True)


@frozen
class Scaleway(_ScalewayCan, ApiTransport):
    """Scaleway's Transactional Email: ``scaleway://SECRET-KEY@default?project-id=PROJECT``.

    The key is the secret half of an API key; ``project_id`` is the project that the sending domain belongs to. Until
    when a message is to be delivered is said with ``options={"scaleway": {"send_before": "2026-12-01T12:00:00Z"}}``.
    Each recipient has an id of its own, which the receipt has. ``verify`` wants a key that may read e-mails.

    Not possible: inline images, a file's Content-ID, amp and calendar parts, a Sender or return path of one's own,
    tags, metadata, tracking, send_at, templates, an idempotency key (so an unknown outcome stays unknown), local parts
    that are not ASCII.

    Limits (read 2026-11): 10 attachments and 2 MB a message, of a list of media types; subject and text of at least 10
    characters each.

    Args:
        project_id: The project that sends.

    Raises:
        ConfigurationError: There is no project, or one of the settings cannot be right.

    Example:
        >>> str(Scaleway("SECRET-KEY", project_id="6170692e-7363-616c-6577-61792e636f6d"))
        'scaleway://default'
    """

    endpoints: ClassVar[Mapping[str, str]] = {
        "fr-par": "https://api.scaleway.com/transactional-email/v1alpha1/regions/fr-par"
    }
    path: ClassVar[str] = "/emails"
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"project_id": str}
    verify_path: ClassVar[str | None] = "/emails?page_size=1"

    project_id: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        ApiTransport.__attrs_post_init__(self)
        if not self.project_id:
            raise ConfigurationError("scaleway sends for a project: give project_id=, or ?project-id= in the URL")

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the secret key."""
        return request if key is None else self.with_headers(request, {"X-Auth-Token": key})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message."""
        to = addressed(message, envelope)
        payload: dict[str, Any] = {
            **people(message, to, named),
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "project_id": self.project_id,
            "attachments": [self._attachment(each) for each in message.attachments],
            "additional_headers": [{"key": name, "value": value} for name, value in _headers(message)],
        }
        return {name: value for name, value in payload.items() if value}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read the id of each recipient's copy, and what has failed at once."""
        copies = {str(copy["mail_rcpt"]).lower(): copy for copy in response.json()["emails"]}
        # Addresses come back as Scaleway writes them.
        mine = [(path.addr_spec, copies.get(path.addr_spec.lower(), {})) for path in envelope.rcpt_to]
        others = [
            RecipientResult(address, status="rejected", phase="response", text=str(copy["status"]))
            for address, copy in mine
            if copy.get("status") in _NOT_SENT_TO
        ]
        ids = {address: copy.get("id") for address, copy in mine}
        own = next((copy["message_id"] for copy in copies.values() if "message_id" in copy), None)
        return self.accepted(message, envelope, provider_id=own and str(own).strip("<>"), ids=ids, others=others)

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the error's type: quotas come with status 403."""
        kind = response.json_object().get("type")
        is_open = verdict is UNKNOWN or not 400 <= response.status <= 499
        return verdict if is_open or not isinstance(kind, str) else _TYPES.get(kind, verdict)

    def explanation(self, response: Response) -> str:
        """Return the message with the arguments that it is about, which are all that tells what was wrong."""
        said = ApiTransport.explanation(self, response)
        match response.json_object().get("details"):
            case [*details]:
                return "; ".join(filter(None, [said, *[_detail(each) for each in details]]))
            case _:
                return said

    def _attachment(self, attachment: Attachment) -> dict[str, str]:
        if attachment.content_id is not None:
            raise UnsupportedFeatureError(
                f"{self} takes no Content-ID with an attached file: leave content_id out",
                feature="inline",
                transport=str(self),
            )
        return {
            "name": attachment.filename or "attachment",
            "type": attachment.media_type,
            "content": base64_of(attachment),
        }


def _detail(entry: object) -> str:
    match entry:
        case {"argument_name": str(name), "help_message": str(text)}:
            return f"{name}: {text}"
        case {"argument_name": str(name), "reason": str(text)} | {"resource": str(name), "action": str(text)}:
            return f"{name}: {text}"
        case _:
            return ""


def _headers(message: Message) -> list[tuple[str, str]]:
    # Whether Scaleway encodes them is not said, and ASCII (RFC 2047) is right either way.
    pairs = [(name, _ascii(value)) for name, value in header_pairs(message)]
    if message.reply_to:
        pairs.append(("Reply-To", ", ".join([encoded_mailbox(each) for each in message.reply_to])))
    return pairs


def _ascii(text: str) -> str:
    return text if text.isascii() else encoded_name(text)
