"""Amazon SES, API version 2: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from attrs import field, frozen

from mailkit.errors import ConfigurationError, MessageError
from mailkit.providers.aws_credentials import AccessKey, CredentialChain
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import encoded_mailbox, refuse_beside_template
from mailkit.providers.recipients import addressed
from mailkit.providers.ses_bulk import STATUSES, bulk, in_common
from mailkit.providers.ses_content import content_of, email_tags, tracking
from mailkit.providers.settings import checked_secret
from mailkit.providers.sigv4 import signature_headers
from mailkit.providers.status import CREDENTIALS, QUOTA, THROTTLED, UNKNOWN, Verdict
from mailkit.secret import Secret
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from datetime import datetime

    from mailkit.edge import Edge
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt
    from mailkit.transport_url import TransportURL

__all__ = ["SES"]

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")

# The operation's own errors, and what every AWS service answers where it takes no credentials.
_TYPES: Final[Mapping[str, Verdict]] = {
    "AccountSuspendedException": CREDENTIALS,
    "ExpiredToken": CREDENTIALS,
    "ExpiredTokenException": CREDENTIALS,
    "IncompleteSignature": CREDENTIALS,
    "IncompleteSignatureException": CREDENTIALS,
    "LimitExceededException": QUOTA,
    "MailFromDomainNotVerifiedException": CREDENTIALS,
    "RequestExpired": CREDENTIALS,
    "SendingPausedException": CREDENTIALS,
    "ThrottlingException": THROTTLED,
    "TooManyRequestsException": THROTTLED,
    "UnrecognizedClientException": CREDENTIALS,
}


class _SESCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(
        reply_to=50,
        sender=True,
        return_path=True,
        attachments=True,
        inline=True,
        amp=True,
        calendar=True,
        tags=10,
        metadata=10,
        track_opens=True,
        track_clicks=True,
        template=True,
    )


@frozen
class SES(_SESCan, ApiTransport):
    """Amazon SES: ``ses://KEY:SECRET@default?region=eu-west-1``.

    Without a key (``SES(region="eu-west-1")``, ``ses://default?region=eu-west-1``) the credentials are those in the
    environment: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``, read once, when the
    transport is made. Where it has none, botocore (``pip install 'mailkit-sdk[ses]'``) goes through the rest of AWS's
    chain for the first message: shared files with profiles (``AWS_PROFILE``, or ``profile``), SSO, web identity, a
    container's or an instance's role; what expires is renewed in time. Without a region, it is ``AWS_REGION``,
    ``AWS_DEFAULT_REGION`` or the profile's.

    A configuration set is chosen with ``options={"ses": {"ConfigurationSetName": "…"}}``. Tags are sent as ``tag``,
    ``tag-2`` and so on, metadata under the names of its entries: letters, digits, ``_`` and ``-`` are all that both
    may hold. What SES has no words for (attachments, a Sender, header fields beyond ASCII) is sent as complete MIME.
    ``return_path`` is where SES forwards bounces to. ``verify`` wants the permission ses:GetAccount.

    Messages of ``send_many`` with one stored template, From, Reply-To, return path, tracking and options go in bulk
    requests, each with its own recipients, data, tags and header fields, and each with an outcome of its own; a bulk
    request wants the permission ses:SendBulkEmail. All other messages, and those with attachments, go one by one.

    Not possible: send_at, an empty return path, an idempotency key (so an unknown outcome stays unknown), local parts
    that are not ASCII. A Message-ID of one's own is replaced by SES's, which the receipt names.

    Limits (read 2026-11): 50 recipients and 40 MB a message, 256 KB of a template's data, 50 messages and 50 recipients
    a bulk request.

    Example:
        >>> str(SES("AKIDEXAMPLE", secret="SECRET", region="eu-west-1"))
        'ses://default?region=eu-west-1'

    Args:
        session_token: What comes along with temporary credentials.
        profile: A profile of AWS's shared files, instead of a key.

    Raises:
        ConfigurationError: There are no credentials or no region, or one of them cannot be right.
    """

    path: ClassVar[str] = "/v2/email/outbound-emails"
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "region": str,
        "session_token": Secret,
        "profile": str,
    }
    needs_key: ClassVar[bool] = False
    takes_secret: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 50
    batch_size: ClassVar[int] = 50
    batch_recipients: ClassVar[int | None] = 50
    batch_path: ClassVar[str] = "/v2/email/outbound-bulk-emails"
    verify_path: ClassVar[str | None] = "/v2/email/account"

    session_token: Secret | None = field(default=None, converter=checked_secret, kw_only=True, repr=False)
    profile: str | None = field(default=None, kw_only=True)
    _chain: CredentialChain | None = field(default=None, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.key is None and self.secret is None:
            self._find_credentials()
        elif self.profile is not None:
            raise ConfigurationError("ses signs with a key or with what a profile names: give one of them, not both")
        if self._chain is None and (callable(self.key) or not self.key or not self.secret):
            raise ConfigurationError(
                "ses signs with an access key and its secret: give both, KEY:SECRET in the URL, or set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if self.region is None:
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            if region is None and self._chain is not None:
                region = self._chain.region()
            object.__setattr__(self, "region", region)
        if self.region is None or not self.knows_region(self.region):
            raise ConfigurationError(f'ses wants a region such as "eu-west-1", not {self.region!r}: give region=')
        ApiTransport.__attrs_post_init__(self)

    def _find_credentials(self) -> None:
        found: dict[str, str | None] = {
            "key": os.environ.get("AWS_ACCESS_KEY_ID"),
            "secret": os.environ.get("AWS_SECRET_ACCESS_KEY"),
            "session_token": os.environ.get("AWS_SESSION_TOKEN"),
        }
        if self.profile is None and (found["key"] or found["secret"]):
            for name, value in found.items():
                if value:
                    object.__setattr__(self, name, Secret(value))
        elif self.session_token is not None:
            raise ConfigurationError("a session token goes with a key and its secret: give them too, or leave it out")
        else:
            object.__setattr__(self, "_chain", CredentialChain(self.profile))

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Read ``ses://KEY:SECRET@default?region=…``, or without the credentials, which the environment has then."""
        if url.username or url.password or url.path not in {"", "/"}:
            return super().from_url(url)
        return cls(host=url.host, port=url.port, **cls.url_fields(url))

    def knows_region(self, region: str) -> bool:
        """Whether it looks like one: AWS adds some each year."""
        return _REGION.fullmatch(region) is not None

    @property
    def endpoint(self) -> str:
        """The region's API."""
        suffix = ".cn" if str(self.region).startswith("cn-") else ""
        return f"https://email.{self.region}.amazonaws.com{suffix}"

    async def fresh_key(self, edge: Edge) -> Secret | None:
        """Return the key; without one of its own, what AWS's chain has now."""
        chain = self._chain
        # It reads files and asks servers, or remembers.
        return await ApiTransport.fresh_key(self, edge) if chain is None else await edge.in_thread(chain.current)

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:
        """Sign it."""
        secret, token = (self.secret, self.session_token)
        if isinstance(key, AccessKey):
            secret, token = key.secret, key.session_token
        assert key is not None  # noqa: S101 - the constructor sees to all three
        assert secret is not None  # noqa: S101
        assert self.region is not None  # noqa: S101
        signed = signature_headers(
            request,
            key=key,
            secret=secret,
            session_token=token,
            region=self.region,
            service="ses",
            now=now,
        )
        return self.with_headers(request, signed)

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message: its text, its template, or where that cannot say it all, its MIME."""
        refuse_beside_template(message, self, "subject", "text", "html", "sender", "amp", "calendar")
        payload: dict[str, Any] = {"EmailTags": email_tags(message), "ConfigurationOverrides": tracking(message)}
        if message.return_path is not None:
            if not message.return_path:
                raise MessageError(f"{self} has no empty return path: leave return_path out, or name an address")
            payload["FeedbackForwardingEmailAddress"] = message.return_path.addr_spec
        content = payload["Content"] = content_of(message)
        if "Raw" in content:
            # The MIME names whom it names; these get it.
            payload["Destination"] = {"ToAddresses": [each.addr_spec for each in envelope.rcpt_to]}
        else:
            to = addressed(message, envelope)
            named = {"ToAddresses": to.to, "CcAddresses": to.cc, "BccAddresses": to.bcc}
            payload["Destination"] = {
                name: [encoded_mailbox(each) for each in addresses] for name, addresses in named.items() if addresses
            }
            payload["FromEmailAddress"] = None if message.from_ is None else encoded_mailbox(message.from_)
            payload["ReplyToAddresses"] = [encoded_mailbox(each) for each in message.reply_to]
        return {name: value for name, value in payload.items() if value}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read SES's id of the message."""
        return self.accepted(message, envelope, provider_id=response.json()["MessageId"])

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the error's type, which comes with status 400 in most cases."""
        if verdict is UNKNOWN or not 400 <= response.status <= 499:
            return verdict
        # As "Type:http://…" or "namespace#Type", in the header or in the body.
        given = response.header("x-amzn-errortype") or response.json_object().get("__type")
        return _TYPES.get(str(given).partition(":")[0].rpartition("#")[2], verdict)

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:  # noqa: ARG002
        """Return all that the messages of one bulk request share; only stored templates go in one."""
        return in_common(message, message.options.get(self.name, {}))

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request with an entry for each message: nobody sees another's address."""
        return self.post(self.batch_path, bulk(items))

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read what became of each message: 200 says nothing about any."""
        results = response.json()["BulkEmailEntryResults"]
        return [self._one_of(response, item, result) for item, result in zip(items, results, strict=True)]

    def _one_of(self, response: Response, item: Item, result: Mapping[str, Any]) -> Receipt | DeliveryError:
        status = result["Status"]
        if status == "SUCCESS":
            return self.accepted(item.message, item.envelope, provider_id=result.get("MessageId"))
        verdict = STATUSES.get(status, UNKNOWN)
        said = f"{status} {result.get('Error') or ''}".rstrip()
        return self.refusal(verdict, response, item.message, item.envelope, text=said)
