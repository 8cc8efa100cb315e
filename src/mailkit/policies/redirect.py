"""Development and staging: what would go to customers goes to somebody who expects it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from attrs import evolve, field, frozen

from mailkit.address import Address
from mailkit.errors import ConfigurationError, MailkitError
from mailkit.events import Redirected
from mailkit.policies.detour import Detour
from mailkit.policies.entries import entry_key, is_listed
from mailkit.policies.policy import as_text
from mailkit.policies.rewriting import rewritten
from mailkit.policies.wrapper import Wrapper, Wrapping
from mailkit.receipt import Outcome
from mailkit.transport import name_of
from mailkit.validation import header_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["Redirect"]


_ITEM: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')


def _recipients(values: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    return Address.parse_many(values)


def _allowed(values: str | Address | Iterable[str | Address]) -> frozenset[str]:
    if isinstance(values, str | Address):
        return frozenset([_entry(values)])
    given: object = values
    if isinstance(given, bytes | Mapping) or not hasattr(given, "__iter__"):
        kind = type(values).__name__
        raise ConfigurationError(f"Redirect(allow=…) takes domains and addresses, not {kind}")
    return frozenset([_entry(each) for each in values])


def _entry(value: str | Address) -> str:
    return entry_key(f"@{value}" if isinstance(value, str) and "@" not in value else value)


def _listed(text: str) -> list[str]:
    """Return what stands between commas, those in quotes excepted."""
    items = [each[0] for each in _ITEM.finditer(text)]
    if ",".join(items) != text:
        raise ValueError
    return items


@frozen
class Redirect(Wrapping):
    """Sends every message to somebody else: To, Cc, Bcc and the envelope are replaced.

    Who is allowed keeps getting what is sent to him. Everybody else is named in X-Original-To, X-Original-Cc and
    X-Original-Bcc, the last one only where nobody gets the message but `to`. In the receipt each recipient has the
    result of the copy that went to `to` in his place, with the phase ``"redirect"``.

    Prepared bytes (``send_raw``) are not changed: only their envelope is.

    Example:
        >>> from mailkit import Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> memory = MemoryTransport()
        >>> with Mailer(Redirect(memory, "dev@example.com", allow="example.com")) as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> print(receipt.recipients[0])
        bob@example.org: accepted (redirected to dev@example.com)
        >>> memory.outbox[0].message.to, memory.outbox[0].message.headers
        ((Address('dev@example.com'),), (('X-Original-To', 'bob@example.org'),))

    Args:
        transport: What sends the messages.
        to: Who gets them: one address or any iterable of them.
        allow: Who may get mail in truth: domains such as ``"example.com"`` (not their subdomains), and addresses.
        subject_prefix: What is put before the subject of a redirected message, such as ``"[staging] "``.

    Raises:
        AddressError: One of them is not valid.
        ConfigurationError: There is nobody in `to`.
        MessageError: `subject_prefix` cannot stand in a header field.
    """

    scheme: ClassVar[str] = "redirect"

    to: tuple[Address, ...] = field(converter=_recipients)
    allow: frozenset[str] = field(default=frozenset(), converter=_allowed, kw_only=True)
    subject_prefix: str = field(default="", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.to:
            msg = "Redirect needs somebody to redirect to: give at least one address in to="
            raise ConfigurationError(msg)
        header_text(self.subject_prefix, "subject_prefix")

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``redirect(URL)?to=dev@example.com&allow=example.com,example.org`` describes.

        Raises:
            ConfigurationError: There is not exactly one member, or a parameter is wrong or missing.
        """
        from mailkit.policies.members import only_member

        # Read here, so that an error names the parameter and repeats nothing of a URL.
        values = url.parameters(
            to=lambda text: Address.parse_many(_listed(text)),
            allow=lambda text: tuple(_allowed(_listed(text))),
            subject_prefix=lambda text: header_text(text, "subject_prefix"),
        )
        if "to" not in values:
            raise ConfigurationError(
                f"{url.name} needs somebody to redirect to: write redirect(URL)?to=dev@example.com"
            )
        return cls(only_member(cls.scheme, members), **values)

    def _parameters(self) -> Mapping[str, str | None]:
        return {
            "to": as_text(",".join(map(str, self.to))),
            "allow": as_text(",".join(sorted(each.removeprefix("@") for each in self.allow))) or None,
            "subject_prefix": as_text(self.subject_prefix) or None,
        }

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        return _RedirectingChannel(self, edge)

    def allows(self, address: Address) -> bool:
        """Whether an address gets what is sent to it."""
        return is_listed(address, self.allow)


class _RedirectingChannel(Wrapper):
    """A channel that sends to somebody else.

    Args:
        redirect: To whom.
        edge: Who is told of it.
    """

    def __init__(self, redirect: Redirect, edge: Edge) -> None:
        super().__init__(redirect.transport.open(edge), edge, redirect)
        self._redirect = redirect
        self._name = name_of(redirect)
        self._names_originals = redirect.capabilities.headers

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message to whom it may go.

        Raises:
            MessageError: Its ``options`` name somebody to whom it may not go.
        """
        detour = Detour.of(envelope.rcpt_to, self._redirect)
        changed = rewritten(message, self._redirect, hides_bcc=detour.has_others, names_originals=self._names_originals)
        return await self._deliver(detour, envelope, message.message_id, lambda mine: self._channel.send(changed, mine))

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes, which stay as they are, to whom they may go."""
        detour = Detour.of(envelope.rcpt_to, self._redirect)
        return await self._deliver(detour, envelope, None, lambda mine: self._channel.send_raw(data, mine))

    def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages to whom they may go."""
        from mailkit.policies.relay import Relay

        return Relay(self._channel, messages, self._admit, self._settle).outcomes(connections, window)

    async def _admit(self, message: Message) -> Message | Outcome:
        try:
            detour = self._detour_of(message)
            changed = rewritten(
                message, self._redirect, hides_bcc=detour.has_others, names_originals=self._names_originals
            )
        except MailkitError as error:
            return Outcome(message=message, error=error)
        self._announce(detour, message.message_id)
        return changed

    async def _settle(self, outcome: Outcome) -> Outcome:
        ended: Any = outcome.receipt or outcome.error
        if not getattr(ended, "recipients", ()):
            return outcome  # refused before it had any
        told = self._detour_of(outcome.message).told(ended)
        return evolve(outcome, receipt=told) if outcome.ok else evolve(outcome, error=told)

    def _detour_of(self, message: Message) -> Detour:
        from mailkit.envelope import Envelope

        return Detour.of(Envelope.from_message(message).rcpt_to, self._redirect)

    async def _deliver(
        self,
        detour: Detour,
        envelope: Envelope,
        message_id: str | None,
        deliver: Callable[[Envelope], Awaitable[Receipt]],
    ) -> Receipt:
        self._announce(detour, message_id)
        try:
            return detour.told(await deliver(detour.turned(envelope)))
        except BaseException as error:
            detour.tell(error)
            raise

    def _announce(self, detour: Detour, message_id: str | None) -> None:
        if detour.redirected:
            self._edge.notify(
                Redirected(
                    message_id=message_id,
                    transport=self._name,
                    recipients=len(detour.redirected),
                    to=len(self._redirect.to),
                )
            )
