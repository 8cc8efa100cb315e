"""The method calls that look an account up, send a message and take it away again, as JMAP requests (RFC 8620 §3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from mailkit.providers.jmap_session import CORE, MAIL, SUBMISSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailkit.providers.jmap_session import Identity, Mailboxes, Session

__all__ = ["EMAIL", "IMPORT", "SUBMISSION_SET", "SUBMIT", "Account", "lookup", "removal", "submission"]

EMAIL: Final = "m"
"""The creation id of the message."""
SUBMIT: Final = "s"
"""The creation id of its submission."""
IMPORT: Final = "Email/import"
SUBMISSION_SET: Final = "EmailSubmission/set"


@frozen(kw_only=True)
class Account:
    """All that has to be known before a message can be sent, learned once and kept.

    Args:
        session: The server.
        mailboxes: The account's mailboxes.
        identities: As whom it may send.
    """

    session: Session
    mailboxes: Mailboxes
    identities: tuple[Identity, ...]


def _request(*calls: list[Any]) -> dict[str, Any]:
    return {"using": [CORE, MAIL, SUBMISSION], "methodCalls": list(calls)}


def lookup(account: str) -> dict[str, Any]:
    """Return the request for the mailboxes that have the roles that matter, and for all identities."""
    roles = [{"role": role} for role in ("drafts", "sent", "inbox")]
    found = {"resultOf": "q", "name": "Mailbox/query", "path": "/ids"}
    return _request(
        ["Mailbox/query", {"accountId": account, "filter": {"operator": "OR", "conditions": roles}}, "q"],
        ["Mailbox/get", {"accountId": account, "#ids": found, "properties": ["id", "role"]}, "b"],
        ["Identity/get", {"accountId": account, "ids": None}, "i"],
    )


def submission(
    account: Account, *, blob: str | None, email: str, record: Mapping[str, Any], keep: bool, ours: bool = True
) -> dict[str, Any]:
    """Return the request that makes a blob a message of the account's and sends that (RFC 8621 §4.8, §7.5).

    The message is a draft until it was sent: then the server moves it into Sent, or destroys it, by itself.

    Args:
        account: The account.
        blob: The uploaded message; None where it is one already.
        email: The message's id, or a reference to what is imported.
        record: The submission, but for the message's id.
        keep: Whether a copy is kept in Sent, where there is such a mailbox.
        ours: Whether the message is there for no other reason, and may be destroyed.
    """
    own, boxes = account.session.account, account.mailboxes
    arguments: dict[str, Any] = {"accountId": own, "create": {SUBMIT: {"emailId": email, **record}}}
    if keep and boxes.sent is not None:
        patch: dict[str, Any] = {"keywords/$draft": None}
        if boxes.sent != boxes.first:
            patch[f"mailboxIds/{_pointer(boxes.first)}"] = None
            patch[f"mailboxIds/{_pointer(boxes.sent)}"] = True
        arguments["onSuccessUpdateEmail"] = {f"#{SUBMIT}": patch}
    elif ours:
        arguments["onSuccessDestroyEmail"] = [f"#{SUBMIT}"]
    calls: list[list[Any]] = []
    if blob is not None:
        imported = {"blobId": blob, "mailboxIds": {boxes.first: True}, "keywords": {"$draft": True, "$seen": True}}
        calls.append([IMPORT, {"accountId": own, "emails": {EMAIL: imported}}, EMAIL])
    return _request(*calls, [SUBMISSION_SET, arguments, SUBMIT])


def removal(account: str, emails: Sequence[str]) -> dict[str, Any]:
    """Return the request that destroys messages."""
    return _request(["Email/set", {"accountId": account, "destroy": list(emails)}, "d"])


def _pointer(text: str) -> str:
    """Return a text as one token of a JSON pointer (RFC 6901 §3)."""
    return text.replace("~", "~0").replace("/", "~1")
