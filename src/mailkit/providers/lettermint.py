"""Lettermint: https://lettermint.co/docs/api-reference/sending/send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import attached, header_mapping, mailbox
from mailkit.providers.recipients import addressed, people
from mailkit.providers.status import NOT_SENT, REJECTED, UNKNOWN, Verdict, verdict_for
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["Lettermint"]

_TAG = re.compile(r"[A-Za-z0-9_ -]+")
_FURTHER_TAG = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Lettermint(ApiTransport):
    """Lettermint's sending API: ``lettermint://TOKEN@default``, with the token of a project.

    A route is chosen with ``options={"lettermint": {"route": "newsletter"}}``, the TLS policy with
    ``{"settings": {"tls": "…"}}``. The first tag is the message's ``tag``, further ones are the named tags ``tag-2``
    and so on. The Message-ID stays as it is. Every request carries an idempotency key, which Lettermint keeps for 24
    hours. A batch is taken message by message, in order: after one that fails, the ones before it are accepted and the
    ones behind it not sent.

    Not possible: templates, amp and calendar parts, a Sender or return path of one's own, two header fields of one
    name, local parts that are not ASCII.

    Limits (read 2026-11): 500 messages a batch, 20 tags; the first of letters, digits, spaces, ``_`` and ``-``, the
    others without spaces and of 64 characters at most.

    Example:
        >>> str(Lettermint("lm_TOKEN"))
        'lettermint://default'
    """

    capabilities: Capabilities = Capabilities(
        reply_to=50,
        attachments=True,
        inline=True,
        tags=20,
        metadata=50,
        track_opens=True,
        track_clicks=True,
        send_at=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://api.lettermint.co/v1"}
    path: ClassVar[str] = "/send"
    # "If you retry the exact same request, … no duplicate email will be sent": docs.lettermint.co, emails/idempotency
    idempotency_header: ClassVar[str | None] = "Idempotency-Key"
    batch_size: ClassVar[int] = 500
    batch_path: ClassVar[str] = "/send/batch"
    verify_path: ClassVar[str | None] = "/ping"
    # The key is in use for another content, or for this one right now: the status alone tells nobody which.
    statuses: ClassVar[Mapping[int, Verdict]] = {409: UNKNOWN}

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the project's token."""
        return request if key is None else self.with_headers(request, {"x-lettermint-token": key})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message."""
        to = addressed(message, envelope)
        settings = {"track_opens": message.track_opens, "track_clicks": message.track_clicks}
        payload: dict[str, Any] = {
            **people(message, to, mailbox),
            "reply_to": [mailbox(each) for each in message.reply_to],
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "scheduled_at": None if message.send_at is None else message.send_at.isoformat(),
            "headers": _headers(message, self),
            "metadata": dict(message.metadata),
            **_tags(message),
            "settings": {name: value for name, value in settings.items() if value is not None},
            "attachments": [attached(each, "content_type") for each in message.attachments],
        }
        return {name: value for name, value in payload.items() if value}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Lettermint's id of the message."""
        return self.accepted(message, envelope, provider_id=response.json()["message_id"])

    def answers_each(self, response: Response) -> bool:
        """Return whether a refused batch says which of its messages were accepted before the one that failed."""
        return bool(_accepted_of(response))

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read the id of each message, or after a failure, of those before it."""
        verdict = verdict_for(response)
        if verdict is None:
            ids = [answer["message_id"] for answer in response.json()]
            pairs = zip(items, ids, strict=True)
            return [self.accepted(item.message, item.envelope, provider_id=own) for item, own in pairs]
        verdict = self.refine(response, verdict)
        done = {accepted["index"]: accepted["message_id"] for accepted in _accepted_of(response)}
        failed = next(place for place in range(len(items) + 1) if place not in done)
        return [
            self.accepted(item.message, item.envelope, provider_id=done[place])
            if place in done
            else self.refusal(
                NOT_SENT if verdict is REJECTED and place > failed else verdict, response, item.message, item.envelope
            )
            for place, item in enumerate(items)
        ]


def _accepted_of(response: Response) -> Sequence[Mapping[str, Any]]:
    match response.json():
        case {"error": {"details": {"accepted": [*accepted]}}}:
            return accepted
        case _:
            return ()


def _headers(message: Message, transport: Lettermint) -> dict[str, str]:
    # Lettermint writes a Message-ID of its own unless it is told to keep ours.
    kept = {"Message-ID": f"<{message.message_id}>", "X-LM-Preserve-Message-ID": "true"} if message.message_id else {}
    return {**kept, **header_mapping(message, transport)}


def _tags(message: Message) -> dict[str, Any]:
    for place, tag in enumerate(message.tags):
        if not (_FURTHER_TAG if place else _TAG).fullmatch(tag):
            raise MessageError(
                "Lettermint takes tags of ASCII letters, digits, _ and -, the first one with spaces, the others of 64 "
                f"characters at most: rename {tag!r}"
            )
    named = [{"name": f"tag-{place}", "value": tag} for place, tag in enumerate(message.tags[1:], 2)]
    return {"tag": message.tags[0] if message.tags else None, "tags": named}
