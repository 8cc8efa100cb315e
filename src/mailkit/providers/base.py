"""ApiTransport: what every provider with an HTTP API is, and the one thing that a provider's file adds to.

A provider is two pure functions and some data. :meth:`ApiTransport.payload` (or the whole
:meth:`ApiTransport.build_request`) says what to send, :meth:`ApiTransport.parse_response` what a 2xx answer means. How
to send it, what every other answer means and what must never be shown is :mod:`mailkit.providers.channel`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from attrs import field, frozen

from mailkit.edge.base import TLS
from mailkit.edge.http import Request, Response
from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.host import check_host, is_loopback
from mailkit.providers.batch import Item
from mailkit.providers.content import dump, merged
from mailkit.providers.retry_after import RESET_HEADERS, ResetHeader
from mailkit.receipt import Receipt, RecipientResult
from mailkit.redaction import printable
from mailkit.secret import Secret
from mailkit.transport import Capabilities
from mailkit.transport_url import seconds, switch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Hashable, Iterable
    from datetime import datetime

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.providers.channel import ApiChannel
    from mailkit.providers.status import Verdict
    from mailkit.transport_url import TransportURL

__all__ = ["ApiTransport", "Item", "Request", "Response"]

TokenSource = Callable[[], "str | Awaitable[str]"]
"""Returns a fresh OAuth 2.0 access token."""

DEFAULT_HOST: Final = "default"


def _key(value: str | Secret | TokenSource | None) -> Secret | TokenSource | None:
    return _secret(value) if isinstance(value, str | Secret) else value


def _secret(value: str | Secret | None) -> Secret | None:
    if value is None:
        return None
    secret = Secret.coerce(value)
    if not secret or not secret.reveal().isprintable() or secret.reveal().strip() != secret.reveal():
        raise ConfigurationError("a key is printable text without spaces around it: a line end or so has come along")
    return secret


def _host(value: str | None) -> str | None:
    return None if value in {None, DEFAULT_HOST} else check_host(str(value))


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


@frozen
class ApiTransport:
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
        tls: ``"required"``, the default everywhere but on a loopback host, where the default is none.
        ca_file: A PEM file of certificate authorities to trust instead of the system's.
        ssl_context: A ready ``ssl.SSLContext`` instead.

    Raises:
        ConfigurationError: One of them cannot be right.
    """

    name: ClassVar[str] = ""
    """What receipts, URLs and ``options`` call it; the class's name in lower case where it says nothing."""
    capabilities = Capabilities()
    """What it can express."""
    endpoints: ClassVar[Mapping[str, str]] = {}
    """The URL of each region's API without a path; ``""`` is the region of a provider that has only one."""
    path: ClassVar[str] = ""
    """Where :meth:`build_request` posts to."""
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {}
    """Fields of its own that a URL may set, with what reads each."""
    takes_secret: ClassVar[bool] = False
    """Whether it wants `secret`, too."""
    has_sandbox: ClassVar[bool] = False
    """Whether `sandbox` means something."""
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
    batch_path: ClassVar[str] = ""
    """Where :meth:`build_batch` posts to."""
    verify_path: ClassVar[str | None] = None
    """What ``verify`` asks for to learn whether the key is good."""

    key: Secret | TokenSource | None = field(default=None, converter=_key, repr=False)
    secret: Secret | None = field(default=None, converter=_secret, kw_only=True, repr=False)
    host: str | None = field(default=None, converter=_host, kw_only=True)
    port: int | None = field(default=None, kw_only=True)
    region: str | None = field(default=None, kw_only=True)
    sandbox: bool = field(default=False, kw_only=True)
    timeout: float | None = field(default=None, kw_only=True)
    tls: str | None = field(default=None, kw_only=True)
    ca_file: Path | None = field(default=None, converter=_path, kw_only=True)
    ssl_context: Any = field(default=None, kw_only=True, repr=False)

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            cls.name = cls.__name__.lower()

    def __attrs_post_init__(self) -> None:
        if self.sandbox and not self.has_sandbox:
            raise ConfigurationError(f"{self.name} has no sandbox: leave sandbox out, or use its test account")
        if self.secret is None and self.takes_secret and self.key is not None:
            raise ConfigurationError(f"{self.name} wants a key and its secret: give secret=, or KEY:SECRET in the URL")
        if self.secret is not None and not self.takes_secret:
            raise ConfigurationError(f"{self.name} knows one key and no secret: leave secret out")
        if self.tls not in {None, "required"}:
            raise ConfigurationError(f'tls={self.tls!r} is not known: "required" is all there is')
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise ConfigurationError(f"timeout={self.timeout!r} is not a positive, finite number of seconds")
        if self.region is not None and not self.knows_region(self.region):
            known = ", ".join(filter(None, self.endpoints)) or "none"
            raise ConfigurationError(f"{self.name} has no region {self.region!r}; known are: {known}")

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Read ``name://KEY@default``; any other host than ``default`` overrides the provider's own.

        Raises:
            ConfigurationError: A part of the URL is wrong, or the key is missing.
        """
        if url.path not in {"", "/"}:
            url.refuse(path=url.path)
        if not url.username:
            wanted = "KEY:SECRET" if cls.takes_secret else "KEY"
            raise ConfigurationError(f"{url.scheme}:// wants a key: {url.scheme}://{wanted}@default")
        return cls(key=url.username, secret=url.password, host=url.host, port=url.port, **cls.url_fields(url))

    @classmethod
    def url_fields(cls, url: TransportURL) -> dict[str, Any]:
        """Return the fields that the URL's parameters set."""
        known: dict[str, Callable[[str], Any]] = {
            "region": str,
            "sandbox": switch,
            "timeout": seconds,
            "tls": str,
            "ca_file": Path,
            **cls.parameters,
        }
        return url.parameters(**known)

    def knows_region(self, region: str) -> bool:
        """Whether there is such a region. For providers with open-ended ones to override, with :attr:`endpoint`."""
        return region in self.endpoints

    @property
    def endpoint(self) -> str:
        """The URL of the provider's own API for the region, without a path."""
        region = next(iter(self.endpoints), "") if self.region is None else self.region
        endpoint = self.endpoints.get(region)
        if endpoint is None:
            raise ConfigurationError(f"{self.name} has no host of its own: give host=, or one in the URL")
        return endpoint

    @property
    def base_url(self) -> str:
        """The URL that all paths are added to: the only place that the key is ever sent to."""
        if self.host is None:
            return self.endpoint
        scheme = "http" if is_loopback(self.host) and self.tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        prefix = urlsplit(next(iter(self.endpoints.values()), "")).path
        return f"{scheme}://{host}" + (f":{self.port}" if self.port else "") + prefix

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host or DEFAULT_HOST
        named = f"{self.name}://{host}" + (f":{self.port}" if self.port else "")
        shown = [f"region={self.region}"] * (self.region is not None) + ["sandbox=on"] * self.sandbox
        return named + (f"?{'&'.join(shown)}" if shown else "")

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
        return Request(
            request.method,
            request.url,
            headers=[*request.headers, *headers.items()],
            body=request.body,
            tls=request.tls,
            max_body=request.max_body,
        )

    def accepted(
        self,
        message: Message,
        envelope: Envelope,
        *,
        provider_id: str | int | None = None,
        ids: Mapping[str, str] | None = None,
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
            or RecipientResult(path.addr_spec, status="accepted", phase="response", provider_id=ids.get(path.addr_spec))
            for path in envelope.rcpt_to
        ]
        return Receipt(
            message_id=message.message_id or "",
            transport=str(self),
            recipients=results,
            provider_id=None if provider_id is None else printable(str(provider_id).encode("utf-8", "replace")),
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

    async def fresh_key(self, edge: Edge) -> Secret | None:
        """Return the key; where it is a function, what that returns now."""
        source = self.key
        if not callable(source):
            return source
        # It may ask an authorization server. A tuple, because trio lets no coroutine out of a thread.
        (token,) = await edge.in_thread(lambda: (source(),))
        return _secret(await token if isawaitable(token) else token)
