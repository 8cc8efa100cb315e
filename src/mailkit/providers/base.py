"""ApiTransport: what every provider with an HTTP API is, and the one thing that a provider's file adds to.

A provider is two pure functions and some data. :meth:`ApiTransport.payload` (or the whole
:meth:`ApiTransport.build_request`) says what to send, :meth:`ApiTransport.parse_response` what a 2xx answer means. How
to send it, what every other answer means and what must never be shown is :mod:`mailkit.providers.exchange`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from attrs import evolve, frozen

from mailkit.edge.http import Request, Response
from mailkit.edge.tls_options import TLS
from mailkit.providers.batch import Item
from mailkit.providers.content import dump, merged
from mailkit.providers.retry_after import RESET_HEADERS, ResetHeader
from mailkit.providers.settings import ApiSettings
from mailkit.receipt import Receipt, RecipientResult
from mailkit.redaction import printable
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence
    from datetime import datetime

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.channel import ApiChannel
    from mailkit.providers.status import Verdict
    from mailkit.secret import Secret

__all__ = ["ApiTransport", "Capable", "Item", "Request", "Response"]


class Capable:
    """What a provider can express; apart from its settings, so that attrs does not take it for one.

    Example:
        >>> Capable.capabilities.tags
        0
    """

    __slots__ = ()

    capabilities: Capabilities = Capabilities()


@frozen
class ApiTransport(ApiSettings, Capable):
    """The base of every provider's transport.

    Example:
        >>> from mailkit import Capabilities, Envelope, Message
        >>> class Acme(ApiTransport):
        ...     capabilities = Capabilities(tags=1)
        ...     endpoints = {"": "https://api.acme.example"}
        ...     path = "/send"
        ...
        ...     def payload(self, message, envelope):
        ...         return {"to": [each.addr_spec for each in envelope.rcpt_to], "subject": message.subject}
        ...
        ...     def parse_response(self, response, message, envelope):
        ...         return self.accepted(message, envelope, provider_id=response.json()["id"])
        >>> message = Message(from_="ada@example.com", to="bob@example.org", subject="Hello")
        >>> Acme("KEY").build_request(message, Envelope.from_message(message)).body
        b'{"to":["bob@example.org"],"subject":"Hello"}'

    Args:
        key: The API key, or for OAuth 2.0 a token or a function that returns one (or an awaitable of one).
        secret: The key's other half, where the provider has one.
        host: A host to use instead of the provider's own.
        port: Its port.
        region: Where the account lives, where the provider asks; the first one where None.
        sandbox: Whether the provider is only to check messages, where it can.
        timeout: Seconds that one request may take, from connecting to the last byte of the answer; where None, a
            minute, or the mailer's `timeout` if that is longer. Whoever stops waiting earlier knows no outcome.
        tls: ``"required"``, the default everywhere but on a loopback host without a proxy, where the default is none.
        ca_file: A PEM file of certificate authorities to trust instead of the system's.
        ssl_context: A ready ``ssl.SSLContext`` instead.
        proxy: A SOCKS5 or HTTP CONNECT proxy, or its URL, through which everything goes to the provider. None is ever
            looked for in the environment.

    Raises:
        ConfigurationError: One of them cannot be right.
    """

    path: ClassVar[str] = ""
    """Where :meth:`build_request` posts to."""
    max_recipients: ClassVar[int | None] = None
    """How many recipients one message may have."""
    accepts_in_body: ClassVar[bool] = False
    """Whether a 2xx alone means nothing, because errors come with status 200: what cannot be read is unknown then."""
    statuses: ClassVar[Mapping[int, Verdict]] = {}
    """Rows of :data:`mailkit.providers.status.STATUSES` that the provider's contract is more exact about."""
    reset_headers: ClassVar[Sequence[ResetHeader]] = RESET_HEADERS
    """What says how long to wait, besides Retry-After."""
    idempotency_header: ClassVar[str | None] = None
    """The header whose value makes the provider take a repetition for what it is. Only where its contract says so."""
    idempotency_length: ClassVar[int] = 255
    """How long a value may be."""
    batch_size: ClassVar[int] = 1
    """How many messages one request may carry."""
    batch_bytes: ClassVar[int] = 10_000_000
    """How many octets of payload."""
    batch_recipients: ClassVar[int | None] = None
    """How many recipients, over all messages."""
    batch_distinct: ClassVar[bool] = False
    """Whether no two messages of a request may go to the same recipient, whose address is what tells them apart."""
    batch_path: ClassVar[str] = ""
    """Where :meth:`build_batch` posts to."""
    verify_path: ClassVar[str | None] = None
    """What ``verify`` asks for to learn whether the key is good."""

    def open(self, edge: Edge) -> ApiChannel:
        """Return a channel that works through `edge`; does no I/O."""
        from mailkit.providers.channel import ApiChannel

        return ApiChannel(self, edge)

    # What a provider overrides.

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return what to post for one message, as JSON knows it. ``options`` are laid over it by the caller."""
        raise NotImplementedError(f"{type(self).__name__} has neither payload nor build_request: write one of them")

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request that sends one message, without credentials."""
        return self.post(self.path, self.complete_payload(message, envelope))

    def build_raw_request(self, data: bytes, envelope: Envelope) -> Request:
        """Return the request that sends prepared RFC 5322 bytes, for a provider with the capability ``raw``.

        Its answer goes through :meth:`parse_response`, with a message that has nothing but its Message-ID.
        """
        raise NotImplementedError(f"{type(self).__name__} takes prepared bytes and has no build_raw_request: write it")

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:  # noqa: ARG002
        """Return what a 2xx answer says.

        Raises:
            DeliveryError: Nobody was accepted all the same; :meth:`refusal` makes it.
        """
        return self.accepted(message, envelope)

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Return what an answer that is not 2xx says, where the provider's contract is more exact than the status."""
        return self.statuses.get(response.status, verdict) if response.request_written else verdict

    def explanation(self, response: Response) -> str:
        """Return what the provider says in words: the first text found where APIs put it."""
        from mailkit.providers.explanation import explanation

        return explanation(response)

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002 - for signers
        """Return the request with its credentials: by default ``Authorization: Bearer KEY``, unless it has its own.

        Args:
            request: Complete but for them, so that it can be signed.
            key: The key, or a fresh token.
            now: The time, for signatures.
        """
        if key is None or request.header("authorization") is not None:
            return request
        return self.with_headers(request, {"Authorization": f"Bearer {key.reveal()}"})

    def standing(self, response: Response) -> Verdict | None:
        """Return what an answer to :attr:`verify_path` has against the key: by default what its status says."""
        from mailkit.providers.status import verdict_for

        return verdict_for(response)

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:  # noqa: ARG002
        """Return what messages of one batch have in common; None for a message that has to go alone."""
        return ()

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request that sends several messages: by default an array of their payloads."""
        return self.request(self.batch_path, b"[" + b",".join([item.body for item in items]) + b"]")

    def answers_each(self, response: Response) -> bool:  # noqa: ARG002
        """Return whether an answer to a batch that is not 2xx says all the same what became of each message."""
        return False

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:  # noqa: ARG002
        """Return what a 2xx answer, or one that :meth:`answers_each`, says about each message, in order."""
        return [self.accepted(item.message, item.envelope) for item in items]

    def owns(self, url: str) -> bool:
        """Return whether the key may go to a URL: below :attr:`base_url`, unless every request has its own host."""
        return (self.host is None and not self.endpoints) or url.startswith(self.base_url + "/")

    # What a provider uses.

    def complete_payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return :meth:`payload` with the message's ``options`` for this provider laid over it."""
        payload = self.payload(message, envelope)
        options = message.options.get(self.name)
        return payload if options is None else merged(payload, options)

    def post(self, path: str, payload: Mapping[str, Any], headers: Mapping[str, str | Secret] | None = None) -> Request:
        """Return a POST of JSON to a path of the provider's."""
        return self.request(path, dump(payload), headers=headers)

    def request(
        self,
        path: str,
        body: bytes | None,
        *,
        method: str = "POST",
        media_type: str = "application/json",
        headers: Mapping[str, str | Secret] | None = None,
    ) -> Request:
        """Return a request to a path of the provider's."""
        own: dict[str, str | Secret] = {"Accept": "application/json"}
        if body is not None:
            own["Content-Type"] = media_type
        tls = TLS(ca_file=self.ca_file, context=self.ssl_context)
        return Request(method, self.base_url + path, headers={**own, **(headers or {})}, body=body, tls=tls)

    @staticmethod
    def with_headers(request: Request, headers: Mapping[str, str | Secret]) -> Request:
        """Return a request with more headers."""
        return evolve(request, headers=[*request.headers, *headers.items()])

    def accepted(
        self,
        message: Message,
        envelope: Envelope,
        *,
        provider_id: str | int | None = None,
        ids: Mapping[str, str | int | None] | None = None,
        others: Iterable[RecipientResult] = (),
    ) -> Receipt:
        """Return the receipt of a message that the provider took.

        Args:
            message: The message.
            envelope: Who was to get it.
            provider_id: The provider's id for the message.
            ids: Its ids for single recipients, by address.
            others: What became of the recipients whom it did not take.
        """
        not_taken = {result.address: result for result in others}
        ids = ids or {}
        results = [
            not_taken.get(path.addr_spec)
            or RecipientResult(
                path.addr_spec, status="accepted", phase="response", provider_id=_shown(ids.get(path.addr_spec))
            )
            for path in envelope.rcpt_to
        ]
        return Receipt(
            message_id=message.message_id or "",
            transport=str(self),
            recipients=results,
            provider_id=_shown(provider_id),
        )

    def refusal(
        self, verdict: Verdict, response: Response, message: Message, envelope: Envelope, *, text: str | None = None
    ) -> DeliveryError:
        """Return the error for a message that the provider did not take.

        Args:
            verdict: What became of it; one of :mod:`mailkit.providers.status`.
            response: The answer.
            message: The message.
            envelope: Who was to get it.
            text: What the provider says about it, untrusted; where None, what :meth:`explanation` finds.
        """
        from mailkit.providers.failure import failure

        said = self.explanation(response) if text is None else text
        return failure(self, verdict, response, Item(message, envelope), text=said)


def _shown(provider_id: str | int | None) -> str | None:
    """Return an id as it can be logged: it is the provider's word, and nobody checked it."""
    return None if provider_id is None else printable(str(provider_id).encode("utf-8", "replace"))
