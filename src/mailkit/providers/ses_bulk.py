"""Amazon SES's bulk requests: one stored template, and for each message its recipients, data, tags and header fields.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mailkit.providers.content import dump
from mailkit.providers.status import CREDENTIALS, NOT_SENT, QUOTA, REJECTED, THROTTLED, Verdict

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from mailkit.message import Message
    from mailkit.providers.base import Item

__all__ = ["STATUSES", "bulk", "in_common"]

# Of the fields that options may set, those that a bulk request has as well.
_SHARED: Final = frozenset(
    {
        "ConfigurationOverrides",
        "ConfigurationSetName",
        "EndpointId",
        "FeedbackForwardingEmailAddress",
        "FeedbackForwardingEmailAddressIdentityArn",
        "FromEmailAddress",
        "FromEmailAddressIdentityArn",
        "ReplyToAddresses",
        "TenantName",
    }
)

STATUSES: Final[Mapping[str, Verdict]] = {
    "MESSAGE_REJECTED": REJECTED,
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": CREDENTIALS,
    "CONFIGURATION_SET_NOT_FOUND": REJECTED,
    "TEMPLATE_NOT_FOUND": REJECTED,
    "ACCOUNT_SUSPENDED": CREDENTIALS,
    "ACCOUNT_THROTTLED": THROTTLED,
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": QUOTA,
    "INVALID_SENDING_POOL_NAME": REJECTED,
    "ACCOUNT_SENDING_PAUSED": CREDENTIALS,
    "CONFIGURATION_SET_SENDING_PAUSED": CREDENTIALS,
    "INVALID_PARAMETER": REJECTED,
    "TRANSIENT_FAILURE": NOT_SENT,
    "FAILED": NOT_SENT,  # "retry any messages with a failure status", says the contract of all of them
}
"""What the status of an entry says; all but ``SUCCESS`` come with "an error that prevented a message being sent"."""


def in_common(message: Message, options: Mapping[str, Any]) -> Hashable | None:
    """Return all that the messages of one request share; None for a message that no bulk request can express.

    Args:
        message: The message.
        options: Its raw fields for SES.
    """
    if message.template is None or message.attachments or not _SHARED.issuperset(options):
        return None
    author = (message.from_, message.reply_to, message.return_path)
    return (*author, str(message.template.id), message.track_opens, message.track_clicks, dump(options))


def bulk(items: Sequence[Item]) -> dict[str, Any]:
    """Return the request for several messages that have :func:`in_common` what it shares."""
    first = items[0].payload
    # Nobody inherits data: each entry has its own, and what it lacks is missing as it would be in a request for itself.
    template = {"TemplateName": first["Content"]["Template"]["TemplateName"], "TemplateData": "{}"}
    return {
        **{name: value for name, value in first.items() if name not in {"Content", "Destination", "EmailTags"}},
        "DefaultContent": {"Template": template},
        "BulkEmailEntries": [_entry(item.payload) for item in items],
    }


def _entry(payload: Mapping[str, Any]) -> dict[str, Any]:
    stored = payload["Content"]["Template"]
    entry = {
        "Destination": payload["Destination"],
        "ReplacementTags": payload.get("EmailTags"),
        "ReplacementHeaders": stored.get("Headers"),
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": stored["TemplateData"]}},
    }
    return {name: value for name, value in entry.items() if value}
