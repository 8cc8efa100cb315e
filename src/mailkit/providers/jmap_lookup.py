"""What a JMAP account has to be asked before anything can be sent: the session, the mailboxes, the identities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from attrs import evolve

from mailkit.errors import ConfigurationError
from mailkit.providers.jmap_answer import Answer
from mailkit.providers.jmap_calls import Account, lookup
from mailkit.providers.jmap_errors import UNREADABLE
from mailkit.providers.jmap_session import SUBMISSION, Identity, Mailboxes, Session
from mailkit.providers.status import CREDENTIALS, NOT_SENT, UNKNOWN, verdict_for

if TYPE_CHECKING:
    from mailkit.edge.http import Request, Response
    from mailkit.errors import DeliveryError
    from mailkit.providers.batch import Item
    from mailkit.providers.exchange import ApiExchange
    from mailkit.providers.jmap import JMAP
    from mailkit.providers.status import Verdict

__all__ = ["Lookup"]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 3


class Lookup:
    """Asks, and says of every answer that is none: nothing was sent.

    Args:
        transport: The account.
        exchange: What does the asking.
    """

    def __init__(self, transport: JMAP, exchange: ApiExchange) -> None:
        self._jmap = transport
        self._exchange = exchange

    async def account(self, item: Item) -> Account:
        """Look everything up.

        Args:
            item: Whom errors are about.

        Raises:
            DeliveryError: There was no answer, or not one to work with.
            ConfigurationError: A URL in the session is out of bounds.
        """
        session = await self.session(item)
        request = self._jmap.call(session.api_url, lookup(session.account), harmless=True)
        response = await self.fetched(request, item)
        self.refuse(response, item)
        try:
            answer = Answer(response.json())
            mailboxes = Mailboxes.read(answer.arguments("b", "Mailbox/get")["list"])
            listed = answer.arguments("i", "Identity/get")["list"]
            identities = tuple([Identity(str(each["id"]), str(each.get("email") or "")) for each in listed])
        except Exception:  # noqa: BLE001 - what comes from outside may have any form
            raise self.failed(UNREADABLE, response, item) from None
        if mailboxes is None:
            text = "an account without Drafts, Sent and Inbox: nothing can be put anywhere to be sent"
            raise self.failed(CREDENTIALS, response, item, text)
        return Account(session=session, mailboxes=mailboxes, identities=identities)

    async def session(self, item: Item | None) -> Session:
        """Fetch the session; see :meth:`account`."""
        transport = self._jmap
        request = transport.request(str(transport.verify_path), None, method="GET")
        response = await self.fetched(request, item)
        for _ in range(_MOST_REDIRECTS):
            location = response.header("location")
            if response.status not in _REDIRECTS or location is None:
                break
            # RFC 8620 §2.2 has clients follow them from here; the credentials go along, so not to other hosts.
            request = evolve(request, url=self._owned(_joined(request.url, location), "redirects to"))
            response = await self.fetched(request, item)
        self.refuse(response, item)
        try:
            session = Session.read(response.json(), url=request.url, wanted=transport.account)
        except Exception:  # noqa: BLE001 - what comes from outside may have any form
            raise self.failed(UNREADABLE, response, item) from None
        if session is None:
            which = "no account" if transport.account is None else f"no account {transport.account!r}"
            raise self.failed(CREDENTIALS, response, item, f"{which} that may submit mail ({SUBMISSION})")
        self._owned(session.api_url, "has its API at")
        self._owned(session.upload_url, "takes uploads at")
        return session

    def _owned(self, url: str, what: str) -> str:
        if not self._jmap.owns(url):
            raise ConfigurationError(
                f"{self._jmap} {what} {url!a}, where its credentials do not go: give hosts= with that host if it is "
                "the server's own"
            )
        return url

    async def fetched(self, request: Request, item: Item | None) -> Response:
        """Return an answer of any status; see :meth:`account`."""
        return await self._exchange.fetch(request, [] if item is None else [item])

    def refuse(self, response: Response, item: Item | None) -> None:
        """Raise what an answer that is not 2xx says: whatever it is, nothing was submitted yet."""
        verdict = verdict_for(response)
        if verdict is not None:
            verdict = self._jmap.refine(response, verdict)
            raise self.failed(NOT_SENT if verdict is UNKNOWN else verdict, response, item)

    def failed(self, verdict: Verdict, response: Response, item: Item | None, text: str | None = None) -> DeliveryError:
        """Return the error that an answer means, for a message or for none."""
        if item is None:
            return self._exchange.failure_of_none(verdict, response, text=text)
        return self._jmap.refusal(verdict, response, item.message, item.envelope, text=text)


def _joined(url: str, reference: str) -> str:
    try:
        return urljoin(url, reference)
    except ValueError:
        return reference  # it is no URL, and nobody's
