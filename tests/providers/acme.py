"""A provider with everything, and what sends through it in one colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tests.colours import make_edge, run_in

from mailkit import Capabilities, Envelope, Message, Outcome, Receipt, RecipientResult
from mailkit.providers.base import ApiTransport, Item, Request, Response
from mailkit.providers.status import REJECTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from tests.colours import Colour
    from tests.http_server import HTTPServer

    from mailkit.edge import Edge
    from mailkit.errors import DeliveryError
    from mailkit.transport import Channel

__all__ = ["KEY", "TO_BOB", "Acme", "Raw", "many_sent", "message_to_bob", "sent", "with_channel"]

KEY = "KEY-dE4db33f"


class Acme(ApiTransport):
    """A provider with everything."""

    capabilities = Capabilities(attachments=True)
    path: ClassVar[str] = "/send"
    max_recipients: ClassVar[int | None] = 3
    idempotency_header: ClassVar[str | None] = "Idempotency-Key"
    batch_size: ClassVar[int] = 3
    batch_path: ClassVar[str] = "/batch"

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Write subject and files."""
        return {"subject": message.subject, "files": [len(each.read()) for each in message.attachments]}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read what became of each recipient."""
        states = response.json_object().get("states", {})
        others = [RecipientResult(name, status=status, text=f"says {KEY}") for name, status in states.items()]
        return self.accepted(message, envelope, others=others)

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read what became of each message."""
        pairs = zip(items, response.json(), strict=True)
        return [self._one(response, item, state) for item, state in pairs]

    def _one(self, response: Response, item: Item, state: str) -> Receipt | DeliveryError:
        if state == "refused":
            return self.refusal(REJECTED, response, item.message, item.envelope, text=f"no {KEY}")
        others = [RecipientResult("bob@example.org", status="rejected")] if state == "nobody" else []
        return self.accepted(item.message, item.envelope, others=others)


class Raw(Acme):
    """One that takes prepared bytes."""

    capabilities = Capabilities(raw=True)

    def build_raw_request(self, data: bytes, envelope: Envelope) -> Request:
        """Send them as they are."""
        return self.request("/raw", data, media_type="message/rfc822")


TO_BOB = Envelope("ada@example.com", "bob@example.org")


def message_to_bob(**fields: Any) -> Message:
    """Return a message that can be sent."""
    return Message(from_="ada@example.com", **{"to": "bob@example.org", "subject": "Hello", **fields}).completed()


def with_channel(
    colour: Colour,
    server: HTTPServer,
    use: Callable[[Channel, Edge], Any],
    *,
    kind: type[ApiTransport] = Acme,
    key: Any = KEY,
    **fields: Any,
) -> Any:
    """Run a coroutine function with a channel to the server."""

    async def main() -> Any:
        edge = make_edge(colour)
        channel = kind(key, host="127.0.0.1", port=server.port, **fields).open(edge)
        try:
            return await use(channel, edge)
        finally:
            await channel.close()
            await edge.close()

    return run_in(colour, main)


def sent(colour: Colour, server: HTTPServer, message: Message, **fields: Any) -> Receipt:
    """Send one message through a channel of its own."""
    receipt: Receipt = with_channel(
        colour, server, lambda channel, _edge: channel.send(message, Envelope.from_message(message)), **fields
    )
    return receipt


def many_sent(colour: Colour, server: HTTPServer, messages: Iterable[Message | Outcome], **many: Any) -> list[Outcome]:
    """Send a stream through a channel of its own."""

    async def each() -> AsyncGenerator[Message | Outcome, None]:
        for message in messages:
            yield message

    async def collect(channel: Channel, _edge: Edge) -> list[Outcome]:
        return [outcome async for outcome in channel.send_many(each(), **many)]

    outcomes: list[Outcome] = with_channel(colour, server, collect)
    return outcomes
