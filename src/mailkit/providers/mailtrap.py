"""Mailtrap: https://docs.mailtrap.io/developers/email-sending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen

from mailkit.errors import ConfigurationError, MessageError
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import attached, dump, header_mapping, mailboxes, named, refuse_beside_template
from mailkit.providers.recipients import addressed, people
from mailkit.providers.status import REJECTED
from mailkit.transport import Capabilities
from mailkit.transport_url import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt

__all__ = ["Mailtrap"]

_SANDBOX: Final = "https://sandbox.api.mailtrap.io"
_CATEGORY_LENGTH: Final = 255
_VARIABLES_SIZE: Final = 1000


class _MailtrapCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(
        reply_to=50, attachments=True, inline=True, tags=1, metadata=1000, template=True
    )


@frozen
class Mailtrap(_MailtrapCan, ApiTransport):
    """Mailtrap's sending API: ``mailtrap://KEY@default``.

    Mailtrap has a stream for transactional messages, the default, and one for bulk: ``region="bulk"``
    (``?region=bulk``). ``sandbox=True`` with the number of an inbox (``?sandbox=on&inbox=4015``) keeps messages there
    and delivers none. Templates are named by their UUID; they bring subject, text and html along, and go with no tag.
    The tag is Mailtrap's category, metadata its custom_variables. 500 messages go in one request.

    Not possible: send_at, tracking chosen for one message, more than one tag, amp and calendar parts, a Sender or
    return path of one's own, an idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII.

    Limits (read 2026-11): 1000 recipients a message, a tag of 255 characters, 1000 bytes of metadata; 500 messages and
    50 MB a batch; 150 requests in 10 seconds.

    Example:
        >>> str(Mailtrap("KEY", region="bulk"))
        'mailtrap://default?region=bulk'

    Args:
        inbox: The number of the inbox that the sandbox puts messages into.
    """

    endpoints: ClassVar[Mapping[str, str]] = {
        "transactional": "https://send.api.mailtrap.io",
        "bulk": "https://bulk.api.mailtrap.io",
    }
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"inbox": whole}
    has_sandbox: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 1000
    batch_size: ClassVar[int] = 500
    batch_bytes: ClassVar[int] = 49_000_000  # 50 MB with what is around the messages

    inbox: int | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        ApiTransport.__attrs_post_init__(self)
        if self.sandbox is not (self.inbox is not None):
            raise ConfigurationError(
                "Mailtrap's sandbox has inboxes: give sandbox and the number of an inbox, or neither"
            )
        if self.inbox is not None and self.inbox < 1:
            raise ConfigurationError(f"inbox={self.inbox} is no inbox's number: copy it from its address at Mailtrap")
        if self.sandbox and self.region is not None:
            raise ConfigurationError("Mailtrap's sandbox is the same for all streams: leave region out")

    @property
    def endpoint(self) -> str:
        """The URL of the stream, or of the sandbox."""
        return _SANDBOX if self.sandbox else super().endpoint

    def _path(self, name: str) -> str:
        return f"/api/{name}" if self.inbox is None else f"/api/{name}/{self.inbox}"

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message."""
        refuse_beside_template(message, self, "subject", "text", "html")
        to = addressed(message, envelope)
        payload: dict[str, Any] = {
            **people(message, to, named),
            "reply_to": named(message.reply_to[0]) if len(message.reply_to) == 1 else None,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "headers": self._headers(message),
            "attachments": [attached(each, "type", disposition=True) for each in message.attachments],
            "category": _category(message),
            "custom_variables": _variables(message),
        }
        if message.template is not None:
            payload["template_uuid"] = str(message.template.id)
            payload["template_variables"] = message.template.data
        return {name: value for name, value in payload.items() if value}

    def _headers(self, message: Message) -> dict[str, str]:
        headers = header_mapping(message, self)
        # Its own field holds one.
        return {**headers, "Reply-To": mailboxes(message.reply_to)} if len(message.reply_to) > 1 else headers

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message."""
        return self.post(self._path("send"), self.complete_payload(message, envelope))

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Mailtrap's ids: one for each recipient."""
        answer = self._one_of(response, response.json(), message, envelope)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request for up to 500 messages."""
        bodies = b",".join([item.body for item in items])
        return self.request(self._path("batch"), b'{"requests":[' + bodies + b"]}")

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read what became of each message: 200 says nothing about any."""
        answer = response.json()
        if answer["success"] is False and not answer.get("responses"):
            return [self.refusal(REJECTED, response, item.message, item.envelope) for item in items]
        pairs = zip(items, answer["responses"], strict=True)
        return [self._one_of(response, own, item.message, item.envelope) for item, own in pairs]

    def _one_of(
        self, response: Response, answer: Mapping[str, Any], message: Message, envelope: Envelope
    ) -> Receipt | DeliveryError:
        if answer["success"] is False:
            match answer.get("errors"):
                case [*errors]:
                    text = "; ".join(map(str, errors))
                case said:
                    text = str(said or "")
            return self.refusal(REJECTED, response, message, envelope, text=text)
        if answer["success"] is not True:
            raise TypeError(answer["success"])
        ids: list[str] = answer["message_ids"]
        to = addressed(message, envelope)
        everybody = [each.addr_spec for each in (*to.to, *to.cc, *to.bcc)]
        own = dict(zip(everybody, ids, strict=True)) if len(ids) == len(everybody) else {}
        return self.accepted(message, envelope, provider_id=ids[0], ids=own)


def _category(message: Message) -> str | None:
    if not message.tags:
        return None
    if message.template is not None:
        raise MessageError("Mailtrap takes no tag beside a template: leave it out; the template may have a category")
    if len(message.tags[0]) > _CATEGORY_LENGTH:
        raise MessageError(f"Mailtrap takes a tag of {_CATEGORY_LENGTH} characters at most: shorten it")
    return message.tags[0]


def _variables(message: Message) -> Mapping[str, str]:
    if len(dump(message.metadata)) > _VARIABLES_SIZE:
        raise MessageError(
            f"Mailtrap takes {_VARIABLES_SIZE} bytes of metadata at most, written as JSON: leave some out"
        )
    return message.metadata
