"""JMAP, the open protocol of mail servers: https://www.rfc-editor.org/rfc/rfc8621."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from mailkit.host import check_host
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import dump
from mailkit.providers.jmap_answer import Answer, undelivered
from mailkit.providers.jmap_calls import SUBMISSION_SET, SUBMIT
from mailkit.providers.jmap_envelope import envelope_object
from mailkit.providers.jmap_errors import LIMIT, LIMITS, REQUEST_ERRORS
from mailkit.providers.status import NOT_SENT, UNKNOWN, Verdict
from mailkit.receipt import Receipt, RecipientResult
from mailkit.transport import Capabilities
from mailkit.transport_url import switch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from mailkit.edge import Edge
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.providers.jmap_channel import JMAPChannel
    from mailkit.secret import Secret

__all__ = ["JMAP"]


def _hosts(values: str | Iterable[str]) -> tuple[str, ...]:
    given = values.split(",") if isinstance(values, str) else values
    return tuple([check_host(each.strip()).lower() for each in given])


class _JMAPCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = evolve(Capabilities.rfc5322(), send_at=True)


@frozen
class JMAP(_JMAPCan, ApiTransport):
    """A mail account over JMAP, such as Fastmail's, or one on Stalwart or Cyrus: ``jmap://TOKEN@api.fastmail.com``.

    With ``jmap://USER:PASSWORD@mail.example.com`` it logs in with a user's name and password (Basic). The session is
    found at ``/.well-known/jmap``; it, the mailboxes and the identities are looked up once and kept until the server
    says that they have changed. A message is uploaded as it will be delivered, put into Drafts and submitted with its
    envelope, so that recipients in Bcc are named nowhere else; then the server moves it into Sent, or destroys it where
    there is no such mailbox, or with ``save_copy=False`` (``?save-copy=off``). What was refused is destroyed again. A
    message takes two requests, and a mailer's first one two or three more.

    The sender has to be one of the account's identities: that with the address of From, with ``*`` before its domain,
    or with that of the return path. Another one is chosen with ``options={"jmap": {"identityId": "…"}}``, another
    account with ``account=`` (``?account=``), by its id or name. ``send_at``, notifications and the other options of
    SMTP (``options={"smtp": …}``) are refused before anything is submitted if the server does not offer them.

    The credentials go to the given host, by TLS and to the same port, and nowhere else: neither a redirect nor a URL in
    the session changes that. A server whose API or uploads are on other hosts wants their names, as in
    ``hosts=["up.example.com"]`` (``?hosts=up.example.com``).

    Not possible: tags, metadata, tracking, templates, an idempotency key (so an unknown outcome stays unknown: a
    submission may be repeated under ``ifInState`` only as long as nothing else changes the account, and a server may
    forget a submission at once).

    Limits (read 2026-11): those that each server tells in its session, such as the size of an upload.

    Args:
        account: The id or the name of the account; where None, the one that is primary for submission.
        save_copy: Whether a copy is kept in Sent.
        hosts: Further hosts that the credentials may go to.

    Example:
        >>> str(JMAP("TOKEN", host="api.fastmail.com"))
        'jmap://api.fastmail.com'
    """

    needs_host: ClassVar[bool] = True
    takes_secret: ClassVar[bool | None] = None
    accepts_in_body: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"account": str, "save_copy": switch, "hosts": _hosts}
    verify_path: ClassVar[str | None] = "/.well-known/jmap"
    # Nothing is at that URL any more, so nobody has acted on the request: the session says where to go now.
    statuses: ClassVar[Mapping[int, Verdict]] = {404: NOT_SENT, 410: NOT_SENT}

    account: str | None = field(default=None, kw_only=True)
    save_copy: bool = field(default=True, kw_only=True)
    hosts: tuple[str, ...] = field(default=(), converter=_hosts, kw_only=True)

    def open(self, edge: Edge) -> JMAPChannel:
        """Return a channel that works through `edge`; does no I/O."""
        from mailkit.providers.jmap_channel import JMAPChannel

        return JMAPChannel(self, edge)

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:
        """Add the token, or with a password, user and password."""
        if key is None or self.secret is None:
            return ApiTransport.authorize(self, request, key, now)
        credentials = b64encode(f"{key.reveal()}:{self.secret.reveal()}".encode()).decode("ascii")
        return self.with_headers(request, {"Authorization": f"Basic {credentials}"})

    def owns(self, url: str) -> bool:
        """Return whether the credentials may go there: to the host as it was given, or by TLS to one of `hosts`."""
        if ApiTransport.owns(self, url):
            return True
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        return parts.scheme == "https" and port in {None, 443} and parts.hostname in self.hosts

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the submission, but for the ids that only the account knows."""
        return {"envelope": envelope_object(envelope)}

    def call(self, url: str, calls: Mapping[str, Any], *, harmless: bool = False) -> Request:
        """Return a request with method calls.

        Args:
            url: Where the session says they go.
            calls: The ``Request`` object.
            harmless: Whether they leave no doubt if there is no answer.
        """
        return evolve(self.request("/", dump(calls)), url=url, harmless=harmless)

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read whether the submission was created."""
        answer = Answer(response.json())
        record = answer.created(SUBMIT, SUBMISSION_SET)
        if record is not None:
            others: list[RecipientResult] = []
            with suppress(Exception):  # it was created, whatever else is said of it
                others = undelivered(record, envelope)
            return self.accepted(message, envelope, provider_id=record.get("id"), others=others)
        problem = answer.problem()
        invalid = {path.addr_spec for path in envelope.rcpt_to} & problem.invalid
        if not invalid or problem.type != "invalidRecipients":
            raise self.refusal(problem.verdict, response, message, envelope, text=problem.text)
        # Nobody got it; the others may, without these.
        return self.accepted(message, envelope, others=_without(invalid, envelope, problem.text))

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the kind of problem (RFC 7807) that the server names: none of these was processed."""
        problem = response.json_object()
        kind = problem.get("type")
        if kind == LIMIT:
            return LIMITS.get(str(problem.get("limit")), NOT_SENT if verdict is UNKNOWN else verdict)
        known = REQUEST_ERRORS.get(kind) if isinstance(kind, str) else None
        return known or ApiTransport.refine(self, response, verdict)


def _without(invalid: set[str], envelope: Envelope, text: str) -> list[RecipientResult]:
    return [
        RecipientResult(path.addr_spec, status="rejected", phase="response", text=text)
        if path.addr_spec in invalid
        else RecipientResult(path.addr_spec, status="not_sent", phase="response", text=text)
        for path in envelope.rcpt_to
    ]
