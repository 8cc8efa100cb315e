"""A JMAP account at work: what has to be known first is learned once, then each message is uploaded and submitted."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from mailkit.address import Address
from mailkit.errors import (
    AddressError,
    DeliveryError,
    MailkitError,
    MessageError,
    UnsupportedFeatureError,
)
from mailkit.message import Message
from mailkit.mime import render
from mailkit.mime.prepared import Prepared
from mailkit.providers.batch import Item
from mailkit.providers.channel import ApiChannel
from mailkit.providers.jmap_answer import Summary
from mailkit.providers.jmap_calls import EMAIL, removal, submission
from mailkit.providers.jmap_envelope import needed_extensions
from mailkit.providers.jmap_errors import UNREADABLE
from mailkit.providers.jmap_lookup import Lookup
from mailkit.providers.jmap_session import Identity
from mailkit.transport import ServerInfo

if TYPE_CHECKING:
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.edge.http import Response
    from mailkit.envelope import Envelope
    from mailkit.providers.jmap import JMAP
    from mailkit.providers.jmap_calls import Account
    from mailkit.receipt import Receipt

__all__ = ["JMAPChannel"]


@frozen(kw_only=True)
class _Letter:
    """One message, ready to be uploaded.

    Args:
        item: Whom errors are about.
        content: Its octets.
        senders: Addresses, one of which has to be an identity's.
        smtputf8: Whether its header needs SMTPUTF8.
        record: The submission, but for ids.
    """

    item: Item
    content: bytes
    senders: tuple[Address, ...]
    smtputf8: bool
    record: dict[str, Any]


class _OutOfDateError(Exception):
    """What was learned of the account is out of date; nothing was sent."""

    def __init__(self, error: DeliveryError) -> None:
        super().__init__()
        self.error = error


class JMAPChannel(ApiChannel):
    """One account, over one edge.

    Args:
        transport: The account.
        edge: What all I/O goes through; it holds the connections.
    """

    def __init__(self, transport: JMAP, edge: Edge) -> None:
        super().__init__(transport, edge)
        self._jmap = transport
        self._lookup = Lookup(transport, self._exchange)
        self._lock = edge.lock()
        self._known: Account | None = None

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message.

        Raises:
            UnsupportedFeatureError: The server does not offer something that it asks for.
            MessageError: It is too large, or its sender none of the account's identities.
            DeliveryError: No recipient was accepted.
        """
        complete = self._exchange.checked(message, envelope)
        rendered = await self._exchange.built(partial(render, complete, smtputf8=True), complete)
        return await self._deliver(
            _Letter(
                item=Item(complete, envelope),
                content=await self._exchange.built(rendered.as_bytes, complete),
                senders=_senders(complete.from_, envelope),
                smtputf8=rendered.needs_smtputf8,
                record=dict(self._jmap.complete_payload(complete, envelope)),
            )
        )

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared RFC 5322 bytes as they are; their From says which identity sends them.

        Raises:
            UnsupportedFeatureError: The server does not offer something that the envelope asks for.
            MessageError: They are not fit to be sent unchanged, or too large.
            DeliveryError: No recipient was accepted.
        """
        self._jmap.capabilities.check(Message(), envelope, transport=str(self._jmap))
        prepared = await self._edge.in_thread(lambda: Prepared.read(data))
        content = await self._edge.in_thread(lambda: b"".join(prepared.iter_bytes()))
        message = Message(message_id=prepared.message_id or None)
        return await self._deliver(
            _Letter(
                item=Item(message, envelope),
                content=content,
                senders=_senders(_from_in(content), envelope),
                smtputf8=not content.partition(b"\r\n\r\n")[0].isascii(),
                record=dict(self._jmap.payload(message, envelope)),
            )
        )

    async def verify(self) -> ServerInfo:
        """Fetch the session anew: the credentials are good, and for an account that may submit mail.

        Raises:
            DeliveryError: No connection, or the credentials are not good for it.
        """
        session = await self._lookup.session(None)
        async with self._lock:
            self._known = None
        return ServerInfo(
            transport=str(self._jmap),
            host=session.api_url.partition("://")[2].partition("/")[0],
            extensions=tuple(sorted(session.extensions)),
            authenticated="Basic" if self._jmap.secret is not None else "Bearer",
        )

    # What has to be known first.

    async def _account(self, item: Item) -> tuple[Account, bool]:
        """Return the account, and whether it was looked up just now."""
        async with self._lock:
            if self._known is not None:
                return self._known, False
            self._known = account = await self._lookup.account(item)
            return account, True

    def _identity(self, account: Account, letter: _Letter) -> str:
        identity = Identity.matching(account.identities, letter.senders)
        if identity is None:
            known = ", ".join([each.email for each in account.identities]) or "none"
            wanted = " or ".join(dict.fromkeys([each.addr_spec for each in letter.senders])) or "nobody"
            raise MessageError(
                f"{self._jmap} may not send as {wanted}: the account's identities are {known}. Send as one of them, "
                'add one to the account, or name one with options={"jmap": {"identityId": …}}'
            )
        return identity.id

    def _check(self, account: Account, letter: _Letter) -> None:
        session, envelope = account.session, letter.item.envelope
        for keyword, feature in needed_extensions(envelope, smtputf8=letter.smtputf8):
            # RFC 8621 §1.3.2 itself spells DELIVERBY (RFC 2852) in two ways.
            if not {keyword, keyword.replace("DELIVERBY", "DELIVERYBY")} & session.extensions:
                raise self._unsupported(feature, f"the server does not offer {keyword}")
        until = envelope.mail_parameters.hold_until
        if until is not None and not session.max_delay:
            raise self._unsupported("send_at", "the server holds no messages back")
        if until is not None and (until - datetime.now(UTC)).total_seconds() > session.max_delay:
            raise self._unsupported("send_at", f"the server holds messages back for {session.max_delay} s at most")
        if session.max_upload is not None and len(letter.content) > session.max_upload:
            raise MessageError(
                f"{self._jmap} takes {session.max_upload} octets at most, and the message has {len(letter.content)}: "
                "send less, or a link to it"
            )

    def _unsupported(self, feature: str, why: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(
            f"{self._jmap} cannot express {feature!r}: {why}; leave it out, or send through a transport that can",
            feature=feature,
            transport=str(self._jmap),
        )

    # One message.

    async def _deliver(self, letter: _Letter) -> Receipt:
        account, is_fresh = await self._account(letter.item)
        try:
            return await self._submitted(account, letter)
        except _OutOfDateError as stale:
            if is_fresh:
                raise stale.error from None
        account, _ = await self._account(letter.item)
        try:
            return await self._submitted(account, letter)
        except _OutOfDateError as stale:
            raise stale.error from None

    async def _submitted(self, account: Account, letter: _Letter) -> Receipt:
        self._check(account, letter)
        record = letter.record
        if "identityId" not in record:
            record = {"identityId": self._identity(account, letter), **record}
        blob = await self._uploaded(account, letter)
        calls = partial(submission, account, record=record, keep=self._jmap.save_copy)
        response, summary = await self._commit(account, calls(blob=blob, email=f"#{EMAIL}"), letter.item)
        imported = summary.imported
        if summary.resubmit is not None:
            # The account has it from an attempt that was refused, and the server keeps no two (RFC 8621 §4.8); or the
            # server does not see it yet by its creation id (RFC 8620 §3.3).
            again = calls(blob=None, email=summary.resubmit, ours=imported is not None)
            response, summary = await self._commit(account, again, letter.item)
        try:
            return self._exchange.receipt(response, letter.item)
        except DeliveryError as error:
            if imported is not None and error.outcome != "unknown":
                await self._removed(account, imported, error)
            if summary.is_stale:
                raise _OutOfDateError(error) from None
            raise

    async def _uploaded(self, account: Account, letter: _Letter) -> str:
        request = self._jmap.request("/", letter.content, media_type="message/rfc822")
        # Nobody ever sees a blob that nothing refers to, and the server deletes it (RFC 8620 §6).
        request = evolve(request, url=account.session.upload_url, harmless=True)
        response = await self._lookup.fetched(request, letter.item)
        try:
            self._lookup.refuse(response, letter.item)
        except DeliveryError as error:
            summary = Summary.of(response)
            if summary.is_gone:
                self._forget(account)
            if summary.is_stale:
                raise _OutOfDateError(error) from None
            raise
        blob = response.json_object().get("blobId")
        if not isinstance(blob, str):
            raise self._lookup.failed(UNREADABLE, response, letter.item)
        return blob

    async def _commit(self, account: Account, calls: dict[str, Any], item: Item) -> tuple[Response, Summary]:
        response = await self._exchange.fetch(self._jmap.call(account.session.api_url, calls), [item])
        summary = Summary.of(response)
        has_changed = summary.session_state not in {None, account.session.state}
        if has_changed or summary.is_gone or summary.is_stale:
            self._forget(account)
        return response, summary

    async def _removed(self, account: Account, email: str, error: DeliveryError) -> None:
        """Take away what was put into the account to be sent, and was not."""
        request = self._jmap.call(account.session.api_url, removal(account.session.account, [email]), harmless=True)
        try:
            with suppress(MailkitError):
                await self._lookup.fetched(request, None)
        except BaseException as interruption:
            interruption.__dict__["delivery"] = error
            raise

    def _forget(self, account: Account) -> None:
        if self._known is account:
            self._known = None


def _senders(from_: Address | None, envelope: Envelope) -> tuple[Address, ...]:
    return tuple([each for each in (from_, envelope.mail_from) if each is not None])


def _from_in(content: bytes) -> Address | None:
    """Return the first address in the From of prepared bytes, where it can be read."""
    header = content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    try:
        return Address.parse_many(str(BytesHeaderParser().parsebytes(header)["From"]))[0]
    except (AddressError, IndexError):
        return None
