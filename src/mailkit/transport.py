"""The waist of the hourglass: what every transport is, what it can do, and what a URL says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, fields, frozen

from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, MailkitError, UnsupportedFeatureError
from mailkit.receipt import Outcome
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.message import Message
    from mailkit.receipt import Receipt

__all__ = ["Capabilities", "Channel", "ServerInfo", "Transport", "TransportURL", "seconds", "switch", "whole"]


@frozen(kw_only=True)
class Capabilities:
    """What a transport can express, so that nothing is ever dropped in silence.

    Numbers are the most that one message may carry; 0 is none.

    Example:
        >>> Capabilities(attachments=True, tags=1).tags
        1

    Args:
        html: An HTML body.
        cc: Recipients in Cc.
        bcc: Recipients in Bcc.
        reply_to: Addresses in Reply-To.
        headers: Header fields of one's own.
        threading: In-Reply-To and References.
        sender: A Sender apart from From.
        return_path: A reverse-path apart from From.
        list_unsubscribe: List-Unsubscribe, also with one click (RFC 8058).
        attachments: Attached files.
        inline: Files shown inside the HTML body (``cid:``).
        amp: An AMP body.
        calendar: A calendar invitation.
        smtputf8: Addresses whose local part is not ASCII (RFC 6531).
        raw: Prepared RFC 5322 bytes through ``send_raw``.
        tags: Tags or categories.
        metadata: Entries of metadata that events carry back.
        track_opens: Choosing for one message whether opens are tracked.
        track_clicks: Choosing for one message whether clicks are tracked.
        send_at: Delivery at a later time.
        template: Templates stored at the provider.
    """

    html: bool = True
    cc: bool = True
    bcc: bool = True
    reply_to: int = 1
    headers: bool = True
    threading: bool = True
    sender: bool = False
    return_path: bool = False
    list_unsubscribe: bool = True
    attachments: bool = False
    inline: bool = False
    amp: bool = False
    calendar: bool = False
    smtputf8: bool = False
    raw: bool = False
    tags: int = 0
    metadata: int = 0
    track_opens: bool = False
    track_clicks: bool = False
    send_at: bool = False
    template: bool = False

    @classmethod
    def everything(cls) -> Capabilities:
        """Return the capabilities of a transport that keeps messages as they are."""
        many = 1_000_000_000
        most: dict[str, Any] = {each.name: many if each.type == "int" else True for each in fields(cls)}
        return cls(**most)

    @classmethod
    def rfc5322(cls, *, smtputf8: bool = True) -> Capabilities:
        """Return the capabilities of a transport that carries RFC 5322 bytes and nothing beside them."""
        return cls(
            reply_to=1_000_000_000,
            sender=True,
            return_path=True,
            attachments=True,
            inline=True,
            amp=True,
            calendar=True,
            smtputf8=smtputf8,
            raw=True,
        )

    def check(self, message: Message, envelope: Envelope, *, transport: str) -> None:
        """Refuse what this transport cannot express, before any I/O.

        Raises:
            UnsupportedFeatureError: The first such feature.
        """
        for feature, used in _USES.items():
            wanted = used(message)
            if wanted > getattr(self, feature):
                raise _unsupported(feature, wanted, getattr(self, feature), transport)
        if not self.smtputf8 and envelope.needs_smtputf8:
            raise _unsupported("smtputf8", 1, 0, transport)


_USES: Mapping[str, Callable[[Message], int]] = {
    "html": lambda message: message.html is not None,
    "cc": lambda message: bool(message.cc),
    "bcc": lambda message: bool(message.bcc),
    "reply_to": lambda message: len(message.reply_to),
    "headers": lambda message: bool(message.headers),
    "threading": lambda message: message.in_reply_to is not None or bool(message.references),
    "sender": lambda message: message.sender is not None,
    "return_path": lambda message: message.return_path is not None,
    "list_unsubscribe": lambda message: message.list_unsubscribe is not None,
    "attachments": lambda message: any(each.disposition == "attachment" for each in message.attachments),
    "inline": lambda message: any(each.disposition == "inline" for each in message.attachments),
    "amp": lambda message: message.amp is not None,
    "calendar": lambda message: message.calendar is not None,
    "tags": lambda message: len(message.tags),
    "metadata": lambda message: len(message.metadata),
    "track_opens": lambda message: message.track_opens is not None,
    "track_clicks": lambda message: message.track_clicks is not None,
    "send_at": lambda message: message.send_at is not None,
    "template": lambda message: message.template is not None,
}


def _unsupported(feature: str, wanted: int, limit: int, transport: str) -> UnsupportedFeatureError:
    most = f"at most {limit} of them, not {wanted}" if limit else "none"
    return UnsupportedFeatureError(
        f"{transport} cannot express {feature!r} ({most}): leave it out, or send through a transport that can",
        feature=feature,
        transport=transport,
    )


@frozen(kw_only=True)
class ServerInfo:
    """What ``verify`` learned.

    Args:
        transport: The transport's name, without secrets.
        host: The name by which the server greeted us, or the host dialled.
        tls_version: Such as ``"TLSv1.3"``, or None in clear.
        tls_cipher: The cipher suite, or None in clear.
        extensions: What the server offers, as keyword and parameters.
        mechanisms: The SASL mechanisms that it offers.
        authenticated: The mechanism that authenticated us, or None where no credentials were given.
    """

    transport: str
    host: str = ""
    tls_version: str | None = None
    tls_cipher: str | None = None
    extensions: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    authenticated: str | None = None


class Channel:
    """A transport at work on one edge: it holds the connections, and `close` gives them up.

    Whoever writes a transport overrides `send`; the rest has defaults.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message, once.

        Raises:
            UnsupportedFeatureError: The transport cannot express it.
            DeliveryError: No recipient was accepted.
        """
        raise NotImplementedError

    async def send_many(
        self,
        messages: AsyncIterator[Message | Outcome],
        *,
        connections: int = 1,  # noqa: ARG002 - for transports that can use them
        window: int | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; yield one outcome for each, in order.

        What was found wrong with a message before it came here comes as its outcome, and is passed on in its place.
        """
        async for message in messages:
            if isinstance(message, Outcome):
                yield message
                continue
            try:
                receipt = await self.send(message, Envelope.from_message(message))
            except MailkitError as error:
                yield Outcome(message=message, error=error)
            else:
                yield Outcome(message=message, receipt=receipt)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:  # noqa: ARG002
        """Deliver prepared RFC 5322 bytes unchanged."""
        raise _unsupported("raw", 1, 0, str(self.transport))

    async def verify(self) -> ServerInfo:
        """Connect and authenticate without sending, where there is something to connect to."""
        return ServerInfo(transport=str(self.transport))

    async def close(self) -> None:
        """Give up every connection."""


@runtime_checkable
class Transport(Protocol):
    """A way to send mail: a value that says how, and opens channels that do.

    ``str(transport)`` names it without its secrets.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can express."""
        ...

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        ...


def seconds(text: str) -> float:
    """Read a positive, finite number of seconds."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def whole(text: str) -> int:
    """Read a positive whole number."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError
    return int(text)


def switch(text: str) -> bool:
    """Read ``on`` or ``off``."""
    return {"on": True, "off": False}[text]


@frozen(kw_only=True)
class TransportURL:
    """The parts of a transport's URL; user and password percent-decoded and never shown.

    Example:
        >>> TransportURL.parse("smtp://ada:secret@mail.example.com?timeout=5").host
        'mail.example.com'
    """

    scheme: str
    username: str | None = field(default=None, repr=False)
    password: Secret | None = field(default=None, repr=False)
    host: str = ""
    port: int | None = None
    path: str = ""
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str) -> TransportURL:
        """Take a URL apart.

        Raises:
            ConfigurationError: It is not a URL, or a part of it is not valid. The text itself is not repeated: it may
                hold a secret.
        """
        if not (text.isascii() and text.isprintable()) or " " in text:
            msg = "a transport URL is printable ASCII without spaces: percent-encode anything else in user and password"
            raise ConfigurationError(msg)
        scheme, colon, _ = text.partition("://")
        if not colon or not scheme.replace("+", "").replace("-", "").isalnum():
            msg = 'a transport URL looks like "smtp://user:password@mail.example.com": there is no scheme before "://"'
            raise ConfigurationError(msg)
        scheme = scheme.lower()
        try:
            parts = urlsplit(text)
            port = parts.port
            query = tuple(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else ()
            host = unquote(parts.hostname or "", errors="strict")
            username = None if parts.username is None else unquote(parts.username, errors="strict")
            password = None if parts.password is None else Secret(unquote(parts.password, errors="strict"))
        except ValueError:
            msg = (
                f"the {scheme}:// URL is malformed: check the port (1 to 65535), the brackets of an IPv6 address and "
                "the percent-encoding of user, password and parameters"
            )
            raise ConfigurationError(msg) from None
        if port == 0 or parts.fragment or "@" in host or not host.isprintable():
            msg = f'the {scheme}:// URL is malformed: percent-encode "@", "/", "?" and "#" in user and password'
            raise ConfigurationError(msg)
        return cls(
            scheme=scheme,
            username=username,
            password=password,
            host=host,
            port=port,
            path=unquote(parts.path),
            query=query,
        )

    def parameters(self, **known: Callable[[str], Any]) -> dict[str, Any]:
        """Return the query's parameters, each read by the function of its name.

        Raises:
            ConfigurationError: A parameter is unknown, repeated or cannot be read.
        """
        values: dict[str, Any] = {}
        for name, text in self.query:
            key = name.replace("-", "_")
            if key not in known:
                known_names = ", ".join(sorted(known)) or "none"
                msg = f"{self.scheme}:// has no parameter {name!r}; it knows: {known_names}"
                raise ConfigurationError(msg)
            if key in values:
                msg = f"{self.scheme}:// has the parameter {name!r} twice: keep one"
                raise ConfigurationError(msg)
            try:
                values[key] = known[key](text)
            except (ValueError, KeyError):
                kind: dict[Callable[[str], Any], str] = {
                    seconds: "a positive number of seconds",
                    whole: "a positive whole number",
                    switch: "on or off",
                }
                wanted = kind.get(known[key], "valid")
                msg = f"the parameter {name!r} of {self.scheme}:// is not {wanted}"
                raise ConfigurationError(msg) from None
        return values

    def refuse(self, **parts: object) -> None:
        """Refuse parts of the URL that mean nothing for this scheme, such as ``password=url.password``.

        Raises:
            ConfigurationError: One of `parts` is set.
        """
        for name, value in parts.items():
            if value:
                msg = f"{self.scheme}:// takes no {name}: leave it out"
                raise ConfigurationError(msg)
