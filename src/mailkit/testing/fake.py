"""FakeTransport: what an application sends stays in an outbox, and goes wrong as a test says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from attrs import field, frozen

from mailkit.address import Address
from mailkit.errors import ConfigurationError, DeliveryError, MailkitError, RejectedError
from mailkit.local import Sent
from mailkit.local.channel import LocalChannel
from mailkit.local.letter import results
from mailkit.local.memory import read
from mailkit.message import Message
from mailkit.receipt import Receipt, error_for_recipients
from mailkit.reply import Reply
from mailkit.testing.expectation import Expectation, listed
from mailkit.testing.mishaps import Mishap, Mishaps, copy_for, result_for
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.message import Template
    from mailkit.testing.expectation import Addresses, Text, Words
    from mailkit.transport import Channel

__all__ = ["FakeTransport"]


@frozen(eq=False, kw_only=True)
class FakeTransport:
    """A transport for tests. It checks and renders messages as a real one does, and keeps them.

    It may be shared by threads and mailers, of both colours.

    Example:
        >>> from mailkit import Mailer, TransientError
        >>> fake = FakeTransport()
        >>> fake.fail_next(TransientError("busy"), times=2)
        >>> receipt = Mailer(fake).send(Message(from_="ada@example.com", to="bob@example.org", subject="Hello"))
        >>> receipt.attempts
        3
        >>> fake.assert_sent(to="bob@example.org", subject="Hello").receipt.transport
        'fake://'

    Args:
        capabilities: What it can express; by default everything. Give a real transport's to test against its limits.
    """

    capabilities: Capabilities = field(factory=Capabilities.everything, repr=False)
    outbox: list[Sent] = field(factory=list[Sent], init=False)
    """What was sent, the oldest first."""
    _mishaps: Mishaps = field(factory=Mishaps, init=False, repr=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return LocalChannel(self, edge, self._put)

    def __str__(self) -> str:
        return "fake://"

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        raw = await edge.in_thread(lambda: read(letter))
        with self._changed:
            receipt = self._decide(letter)
            self.outbox.append(Sent(envelope=letter.envelope, receipt=receipt, raw=raw, message=letter.message))
            self._changed.notify_all()
        return receipt

    def _decide(self, letter: Letter) -> Receipt:
        struck = self._mishaps.strike(letter)
        if isinstance(struck, MailkitError):
            raise copy_for(struck, letter, str(self))
        decided = tuple(
            [
                result_for(result.address, struck[result.address]) if result.address in struck else result
                for result in results(letter.envelope, "accepted")
            ]
        )
        receipt = Receipt(message_id=letter.message_id, transport=str(self), recipients=decided)
        if receipt.accepted:
            return receipt
        if len(decided) == 1:
            only = copy_for(struck[decided[0].address], letter, str(self))
            only.recipients = decided
            raise only
        raise error_for_recipients(
            decided, "no recipient was accepted", transport=str(self), message_id=letter.message_id
        )

    def fail_next(
        self,
        error: MailkitError,
        times: int = 1,
        *,
        recipient: str | Address | None = None,
        match: Callable[[Message], object] | None = None,
    ) -> None:
        """Let the next message fail, or the next ones. What several calls say happens in their order.

        Args:
            error: What is raised: a copy, which names the recipients and the transport where `error` does not.
            times: How many attempts fail; a retry is an attempt.
            recipient: Only this recipient of a message is refused; the others are accepted.
            match: Only messages for which it returns something true count.

        Raises:
            ConfigurationError: There would be nothing to raise, or no recipient can be refused with such an error.
            AddressError: `recipient` is no address.
        """
        _check_error(error, DeliveryError if recipient is not None else MailkitError)
        if times < 1:
            raise ConfigurationError(f"fail_next(times={times}) lets nothing fail: use 1 or more")
        address = None if recipient is None else Address.coerce(recipient).addr_spec

        def applies(letter: Letter) -> object:
            return match is None or match(_message(letter))

        with self._changed:
            self._mishaps.add(Mishap(error, times, address, applies))

    def refuse(self, recipient: str | Address, error: DeliveryError | None = None) -> None:
        """Refuse a recipient in every message from now on; the others are accepted.

        Args:
            recipient: The address.
            error: What it is refused with; by default ``550 5.1.1``, there is no such user.

        Raises:
            ConfigurationError: No recipient can be refused with such an error.
            AddressError: `recipient` is no address.
        """
        if error is None:
            reply = Reply(550, "no such user here", enhanced_code="5.1.1")
            error = RejectedError(f"{recipient} was refused: {reply}", phase="rcpt", reply=reply)
        _check_error(error, DeliveryError)
        with self._changed:
            self._mishaps.add(Mishap(error, None, Address.coerce(recipient).addr_spec, lambda _: True))

    def reset(self) -> None:
        """Empty the outbox and let nothing fail any more."""
        with self._changed:
            self.outbox.clear()
            self._mishaps.clear()

    def one(self) -> Sent:
        """Return the message that was sent, which has to be the only one.

        Raises:
            AssertionError: There is none, or there are several.
        """
        __tracebackhide__ = True
        with self._changed:
            outbox = list(self.outbox)
        if len(outbox) != 1:
            raise AssertionError(f"expected 1 message, but {_count(outbox)}")
        return outbox[0]

    def assert_sent(
        self,
        *,
        to: Addresses | None = None,
        subject: Text | None = None,
        from_: Addresses | None = None,
        cc: Addresses | None = None,
        bcc: Addresses | None = None,
        reply_to: Addresses | None = None,
        recipient: Addresses | None = None,
        text: Text | None = None,
        html: Text | None = None,
        tags: Words | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        attachments: Words | None = None,
        template: Template | str | int | None = None,
        where: Callable[[Sent], object] | None = None,
        count: int | None = None,
    ) -> Sent:
        """Check that a message was sent that has all of these, and return it; of several, the first.

        Addresses, tags, metadata, headers and attachments have to be among those of the message. Texts are compared as
        a whole, whatever their line ends, or searched for a compiled pattern.

        Args:
            to: Addresses in To.
            subject: The subject.
            from_: The author.
            cc: Addresses in Cc.
            bcc: Addresses in Bcc.
            reply_to: Addresses in Reply-To.
            recipient: Addresses in the envelope, which is To, Cc and Bcc.
            text: The plain text.
            html: The HTML.
            tags: Tags.
            metadata: Entries of metadata.
            headers: Header fields of one's own, their names in any case.
            attachments: Names of attached files.
            template: The template, or its id.
            where: Returns something true for the message that is meant.
            count: How many such messages there have to be; by default one or more.

        Raises:
            AssertionError: There is no such message, or another number of them; it tells how the nearest one differs.
            AddressError: An address is not valid.
        """
        __tracebackhide__ = True
        wanted = Expectation.of(
            to=to, subject=subject, from_=from_, cc=cc, bcc=bcc, reply_to=reply_to, recipient=recipient, text=text,
            html=html, tags=tags, metadata=metadata, headers=headers, attachments=attachments, template=template,
            where=where,
        )  # fmt: skip
        if count is not None and count < 1:
            raise ConfigurationError(f"assert_sent(count={count}) expects no message: use assert_nothing_sent()")
        with self._changed:
            outbox = list(self.outbox)
        found = [sent for sent in outbox if not wanted.differences(sent)]
        described = f"a message with {wanted}" if wanted.wanted else "a message"
        if not found:
            raise AssertionError(f"{described} was expected, and none was sent.\n{wanted.explain(outbox)}")
        if count is not None and len(found) != count:
            raise AssertionError(
                f"{described} was expected {_times(count)}, and sent {_times(len(found))}:\n{listed(found)}"
            )
        return found[0]

    def assert_nothing_sent(self) -> None:
        """Check that no message was sent.

        Raises:
            AssertionError: It lists what was sent.
        """
        __tracebackhide__ = True
        with self._changed:
            outbox = list(self.outbox)
        if outbox:
            raise AssertionError(f"expected no message, but {_count(outbox)}")

    def wait_for(self, count: int = 1, *, timeout: float = 5.0) -> list[Sent]:
        """Wait, blocking, until that many messages were sent by other threads, and return all that were.

        Args:
            count: How many messages.
            timeout: Seconds to wait at most.

        Raises:
            AssertionError: They were not sent in time.
        """
        __tracebackhide__ = True
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.outbox) >= count, timeout):
                raise AssertionError(f"expected {count} messages within {timeout:g} s, but {_count(self.outbox)}")
            return list(self.outbox)

    async def wait_for_async(self, count: int = 1, *, timeout: float = 5.0) -> list[Sent]:
        """Wait, as :meth:`wait_for` does, and let other tasks of this event loop go on sending meanwhile.

        Args:
            count: How many messages.
            timeout: Seconds to wait at most.

        Raises:
            AssertionError: They were not sent in time.
        """
        from anyio import to_thread

        __tracebackhide__ = True
        return await to_thread.run_sync(lambda: self.wait_for(count, timeout=timeout), abandon_on_cancel=True)


def _check_error(error: object, kind: type[MailkitError]) -> None:
    if not isinstance(error, kind):
        raise ConfigurationError(f"{error!r} cannot be raised here: give an instance of mailkit.{kind.__name__}")


def _message(letter: Letter) -> Message:
    if letter.message is not None:
        return letter.message
    import email
    import email.policy

    return Message.from_email_message(email.message_from_bytes(read(letter), policy=email.policy.default))


def _count(outbox: list[Sent]) -> str:
    if not outbox:
        return "none was sent"
    return f"{'1 was' if len(outbox) == 1 else f'{len(outbox)} were'} sent:\n{listed(outbox)}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
