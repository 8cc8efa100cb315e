"""What a JMAP server says about itself and an account, before anything can be sent (RFC 8620 §2, RFC 8621 §1.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailkit.address import Address

__all__ = ["CORE", "MAIL", "SUBMISSION", "Identity", "Mailboxes", "Session"]

CORE: Final = "urn:ietf:params:jmap:core"
MAIL: Final = "urn:ietf:params:jmap:mail"
SUBMISSION: Final = "urn:ietf:params:jmap:submission"

_VARIABLE = re.compile(r"\{([^{}]*)\}")


@frozen(kw_only=True)
class Session:
    """The session resource, as far as sending needs it.

    Args:
        state: Changes whenever the rest may have.
        api_url: Where method calls go.
        upload_url: Where the account's blobs go.
        account: The account's id.
        max_upload: Octets that a blob may have, where there is a limit.
        max_delay: Seconds for which the server holds a message back; 0 where it does not.
        extensions: Keywords of the SMTP extensions whose parameters an envelope may have, in capitals.
    """

    state: str
    api_url: str
    upload_url: str
    account: str
    max_upload: int | None = None
    max_delay: int = 0
    extensions: frozenset[str] = frozenset()

    @classmethod
    def read(cls, document: Any, *, url: str, wanted: str | None) -> Session | None:
        """Read the session resource; None where no account in it may submit mail.

        Args:
            document: The resource.
            url: Where it came from: URLs in it may be relative.
            wanted: The account's id or name; where None, the primary one.

        Raises:
            Exception: It is no session resource: KeyError, TypeError and the like.
        """
        accounts: Mapping[str, Any] = document["accounts"]
        account = document["primaryAccounts"].get(SUBMISSION) if wanted is None else _named(accounts, wanted)
        abilities: Mapping[str, Any] = accounts.get(account or "", {}).get("accountCapabilities") or {}
        if account is None or MAIL not in abilities or SUBMISSION not in abilities:
            return None
        submission: Mapping[str, Any] = abilities[SUBMISSION]
        limit = document["capabilities"][CORE].get("maxSizeUpload")
        return cls(
            state=str(document["state"]),
            api_url=urljoin(url, document["apiUrl"]),
            upload_url=urljoin(url, _expanded(document["uploadUrl"], {"accountId": account})),
            account=account,
            max_upload=None if limit is None else int(limit),
            max_delay=int(submission.get("maxDelayedSend") or 0),
            # Keywords of EHLO have no case (RFC 5321 §2.4), and Cyrus writes them small.
            extensions=frozenset({str(keyword).upper() for keyword in submission.get("submissionExtensions") or ()}),
        )


def _named(accounts: Mapping[str, Any], wanted: str) -> str | None:
    named = [own for own, account in accounts.items() if account.get("name") == wanted]
    return wanted if wanted in accounts else named[0] if named else None


def _expanded(template: str, values: Mapping[str, str]) -> str:
    """Return a URI template of level 1 with its variables filled in (RFC 6570 §3.2.2)."""
    return _VARIABLE.sub(lambda match: quote(values.get(match[1], ""), safe=""), template)


@frozen
class Mailboxes:
    """Where a message lies before it is sent and afterwards; ids.

    Args:
        first: Where it is put: Drafts, or what there is instead.
        sent: Where it goes when it was sent, where there is such a mailbox.
    """

    first: str
    sent: str | None

    @classmethod
    def read(cls, listed: Sequence[Mapping[str, Any]]) -> Mailboxes | None:
        """Read the ``list`` of a Mailbox/get; None where no mailbox has a role that says what it is for."""
        roles = {each["role"]: str(each["id"]) for each in listed}
        first = roles.get("drafts") or roles.get("sent") or roles.get("inbox")
        return None if first is None else cls(first, roles.get("sent"))


@frozen
class Identity:
    """Somebody as whom the account may send (RFC 8621 §6).

    Args:
        id: Its id.
        email: The address, ``*@example.com`` for all in a domain, or ``""`` where the server does not say.
    """

    id: str
    email: str

    @staticmethod
    def matching(identities: Sequence[Identity], senders: Sequence[Address]) -> Identity | None:
        """Return the one for the first sender that has one: by the address, by its domain, or one that does not say."""
        for sender in senders:
            local, _, domain = sender.addr_spec.rpartition("@")
            for wanted in (f"{local}@{domain}", f"*@{domain}"):
                for identity in identities:
                    if identity.email.casefold() == wanted.casefold():
                        return identity
        return next((identity for identity in identities if not identity.email), None)
