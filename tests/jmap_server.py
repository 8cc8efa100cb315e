"""A JMAP server as small as one that is still right: RFC 8620 and 8621 as far as sending mail needs them.

It keeps blobs, mailboxes, messages and submissions, resolves result references and creation ids, and insists on what
the RFCs demand of clients: what breaks a rule is an AssertionError, which closing the HTTP server raises.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen
from tests.http_server import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http_server import Received

__all__ = ["Email", "JMAPServer", "Sent"]

CORE: Final = "urn:ietf:params:jmap:core"
MAIL: Final = "urn:ietf:params:jmap:mail"
SUBMISSION: Final = "urn:ietf:params:jmap:submission"
ACCOUNT: Final = "A13824"

_CAPABILITY: Final = {
    "Mailbox/query": MAIL,
    "Mailbox/get": MAIL,
    "Email/import": MAIL,
    "Email/set": MAIL,
    "Identity/get": SUBMISSION,
    "EmailSubmission/set": SUBMISSION,
}


class MethodError(Exception):
    """A method ends in an error.

    Args:
        type: Its type.
        more: What else it says.
    """

    def __init__(self, type: str, **more: Any) -> None:  # noqa: A002 - as JMAP names it
        super().__init__(type)
        self.said = {"type": type, **more}


@define
class Email:
    """A message in the account."""

    blob: str
    mailboxes: set[str]
    keywords: set[str]


@frozen
class Sent:
    """What was submitted.

    Args:
        content: The message's octets.
        record: The submission, as it was created.
    """

    content: bytes
    record: dict[str, Any]


@define
class JMAPServer:
    """One account on one server; its attributes are what tests turn.

    Args:
        prefix: What URLs in the session begin with: nothing where they are relative.
    """

    prefix: str = ""
    state: str = "75128aab4b1b"
    roles: dict[str, str] = field(factory=lambda: {"inbox": "P-I", "drafts": "P-D", "sent": "P-S", "trash": "P-T"})
    identities: list[dict[str, Any]] = field(factory=list)
    extensions: dict[str, list[str]] = field(factory=dict)
    max_delay: int = 0
    max_upload: int = 50_000_000
    keeps_no_two: bool = False
    keeps_creations: bool = True
    changes: dict[str, Any] = field(factory=dict)
    refused: dict[str, dict[str, Any]] = field(factory=dict)
    broken: dict[str, dict[str, Any]] = field(factory=dict)
    created: dict[str, Any] = field(factory=dict)
    blobs: dict[str, bytes] = field(factory=dict)
    emails: dict[str, Email] = field(factory=dict)
    sent: list[Sent] = field(factory=list)
    by_call: dict[int, list[Sent]] = field(factory=dict)
    _lock: Any = field(factory=Lock)
    _last: int = 0

    def answer(self, request: Received) -> Answer:
        """Answer a request as RFC 8620 says."""
        with self._lock:
            if request.method == "GET":
                return self._get(request)
            if request.path == f"/jmap/upload/{ACCOUNT}/":
                assert request.headers["content-type"] == "message/rfc822"
                assert len(request.body) <= self.max_upload, "the client was told how much a blob may have"
                blob = self._id("B")
                self.blobs[blob] = request.body
                said = {"accountId": ACCOUNT, "blobId": blob, "type": "message/rfc822", "size": len(request.body)}
                return Answer(201, said)
            assert request.path == "/jmap/api/"
            return self._api(request)

    def session(self) -> dict[str, Any]:
        """Return the session resource (RFC 8620 §2)."""
        submission = {"maxDelayedSend": self.max_delay, "submissionExtensions": self.extensions}
        abilities = {MAIL: {"maxMailboxesPerEmail": None}, SUBMISSION: submission}
        own = {"name": "ada@example.com", "isPersonal": True, "isReadOnly": False, "accountCapabilities": abilities}
        shared = {"name": "eve@example.com", "isPersonal": False, "isReadOnly": True, "accountCapabilities": {MAIL: {}}}
        return {
            "capabilities": {
                CORE: {"maxSizeUpload": self.max_upload, "maxCallsInRequest": 4},
                MAIL: {},
                SUBMISSION: {},
            },
            "accounts": {ACCOUNT: own, "A97813": shared},
            "primaryAccounts": {MAIL: ACCOUNT, SUBMISSION: ACCOUNT},
            "username": "ada@example.com",
            "apiUrl": f"{self.prefix}/jmap/api/",
            "uploadUrl": f"{self.prefix}/jmap/upload/{{accountId}}/",
            "downloadUrl": f"{self.prefix}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?accept={{type}}",
            "eventSourceUrl": f"{self.prefix}/jmap/events/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}",
            "state": self.state,
            **self.changes,
        }

    def _get(self, request: Received) -> Answer:
        if request.path == "/.well-known/jmap":
            return Answer(302, b"", {"Location": "/jmap/session"})
        assert request.path == "/jmap/session"
        return Answer(200, self.session(), {"Cache-Control": "no-cache, no-store, must-revalidate"})

    def _id(self, letter: str) -> str:
        self._last += 1
        return f"{letter}{self._last}"

    def _api(self, request: Received) -> Answer:
        assert request.headers["content-type"] == "application/json"
        given = request.json()
        assert set(given) == {"using", "methodCalls"}
        if not set(given["using"]) <= {CORE, MAIL, SUBMISSION}:
            return Answer(400, {"type": "urn:ietf:params:jmap:error:unknownCapability", "status": 400})
        assert len(given["methodCalls"]) <= 4, "maxCallsInRequest"
        call = _Call(self, given["using"])
        sent = len(self.sent)
        for name, arguments, call_id in given["methodCalls"]:
            call.run(name, arguments, call_id)
        self.by_call[id(request)] = self.sent[sent:]
        return Answer(200, {"methodResponses": call.responses, "sessionState": self.state})


class _Call:
    """The method calls of one request, in order.

    Args:
        server: Whose data they work on.
        using: The capabilities that the client wishes to use.
    """

    def __init__(self, server: JMAPServer, using: list[str]) -> None:
        self.server = server
        self.using = using
        self.responses: list[list[Any]] = []
        self.created: dict[str, str] = {}
        self.methods: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "Mailbox/query": self.mailbox_query,
            "Mailbox/get": self.mailbox_get,
            "Identity/get": self.identity_get,
            "Email/import": self.email_import,
            "Email/set": self.email_set,
            "EmailSubmission/set": self.submission_set,
        }

    def run(self, name: str, arguments: dict[str, Any], call_id: str) -> None:
        """Call one method; what it answers is added to the responses."""
        try:
            resolved = self._checked(name, arguments)
            place = len(self.responses)
            said = self.methods[name](resolved, call_id)
            self.responses.insert(place, [name, {"accountId": ACCOUNT, **said}, call_id])
        except MethodError as error:
            self.responses.append(["error", error.said, call_id])

    def _checked(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments as they are meant, without the account."""
        assert _CAPABILITY[name] in self.using
        if name in self.server.broken:
            raise MethodError(**self.server.broken[name])
        resolved = {key.removeprefix("#"): self._resolved(key, value) for key, value in arguments.items()}
        assert len(resolved) == len(arguments), "no argument in both forms (RFC 8620 §3.7)"
        if resolved.pop("accountId") != ACCOUNT:
            raise MethodError("accountNotFound")
        return resolved

    def _resolved(self, key: str, value: Any) -> Any:
        """Resolve a result reference (RFC 8620 §3.7); paths with ``*`` are not needed here."""
        if not key.startswith("#"):
            return value
        name, found = next((name, said) for name, said, call in self.responses if call == value["resultOf"])
        if name != value["name"]:
            raise MethodError("invalidResultReference")
        for token in value["path"].removeprefix("/").split("/"):
            found = found[token]
        return found

    def _known(self, reference: str) -> str | None:
        """Return the id that a creation id stands for (RFC 8620 §5.3), or the id as it is."""
        return self.created.get(reference[1:]) if reference.startswith("#") else reference

    def mailbox_query(self, arguments: dict[str, Any], _: str) -> dict[str, Any]:
        """Find mailboxes by their roles."""
        condition = arguments.pop("filter")
        assert not arguments
        assert set(condition) == {"operator", "conditions"}
        assert condition["operator"] == "OR"
        wanted = [each["role"] for each in condition["conditions"]]
        return {"ids": [own for role, own in self.server.roles.items() if role in wanted], "queryState": "1"}

    def mailbox_get(self, arguments: dict[str, Any], _: str) -> dict[str, Any]:
        """Return what was asked for of mailboxes; the id always."""
        assert arguments["properties"] == ["id", "role"]
        roles = {own: role for role, own in self.server.roles.items()}
        return {"state": "1", "list": [{"id": own, "role": roles[own]} for own in arguments["ids"]], "notFound": []}

    def identity_get(self, arguments: dict[str, Any], _: str) -> dict[str, Any]:
        """Return all identities."""
        assert arguments == {"ids": None}
        return {"state": "1", "list": self.server.identities, "notFound": []}

    def email_import(self, arguments: dict[str, Any], _: str) -> dict[str, Any]:
        """Make blobs messages (RFC 8621 §4.8)."""
        created: dict[str, Any] = {}
        refused: dict[str, Any] = {}
        for own, wanted in arguments.pop("emails").items():
            error = self._not_importable(wanted)
            if error is not None:
                refused[own] = error
                continue
            email = self.server._id("M")
            self.server.emails[email] = Email(wanted["blobId"], set(wanted["mailboxIds"]), set(wanted["keywords"]))
            if self.server.keeps_creations:
                self.created[own] = email
            created[own] = {"id": email, "blobId": wanted["blobId"], "threadId": "T1", "size": 1}
        assert not arguments
        return {"oldState": "1", "newState": "2", "created": created or None, "notCreated": refused or None}

    def _not_importable(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        server = self.server
        assert set(wanted) <= {"blobId", "mailboxIds", "keywords", "receivedAt"}
        assert wanted["mailboxIds"], "at least one mailbox MUST be given"
        assert all(value is True for value in (*wanted["mailboxIds"].values(), *wanted["keywords"].values()))
        if "Email/import" in server.refused:
            return server.refused["Email/import"]
        if not set(wanted["mailboxIds"]) <= set(server.roles.values()) or wanted["blobId"] not in server.blobs:
            return {"type": "invalidProperties", "properties": ["mailboxIds"]}
        same = [
            own for own, email in server.emails.items() if server.blobs[email.blob] == server.blobs[wanted["blobId"]]
        ]
        return {"type": "alreadyExists", "existingId": same[0]} if same and server.keeps_no_two else None

    def email_set(self, arguments: dict[str, Any], _: str) -> dict[str, Any]:
        """Destroy messages."""
        gone = [own for own in arguments.pop("destroy") if self.server.emails.pop(own, None) is not None]
        assert not arguments
        return {"oldState": "2", "newState": "3", "destroyed": gone}

    def submission_set(self, arguments: dict[str, Any], call_id: str) -> dict[str, Any]:
        """Send messages (RFC 8621 §7.5); afterwards, one implicit Email/set."""
        server = self.server
        created: dict[str, Any] = {}
        refused: dict[str, Any] = {}
        emails: dict[str, str] = {}
        for own, wanted in arguments.pop("create").items():
            email = self._known(wanted["emailId"])
            error = self._not_submittable(wanted, email)
            if error is not None or email is None:
                refused[own] = error
                continue
            server.sent.append(Sent(server.blobs[server.emails[email].blob], wanted))
            emails[f"#{own}"] = email
            sent = {"id": server._id("ES"), "undoStatus": "final", "sendAt": "2026-11-23T10:00:00Z"}
            created[own] = {**sent, **server.created}
        updates = {
            emails[own]: patch for own, patch in arguments.pop("onSuccessUpdateEmail", {}).items() if own in emails
        }
        destroyed = [emails[own] for own in arguments.pop("onSuccessDestroyEmail", ()) if own in emails]
        assert not arguments
        if updates or destroyed:
            self._implicit(updates, destroyed, call_id)
        return {"oldState": "1", "newState": "2", "created": created or None, "notCreated": refused or None}

    def _not_submittable(self, wanted: dict[str, Any], email: str | None) -> dict[str, Any] | None:
        envelope = wanted["envelope"]
        assert set(wanted) >= {"identityId", "emailId", "envelope"}
        assert set(envelope) == {"mailFrom", "rcptTo"}
        assert envelope["rcptTo"]
        for path in (envelope["mailFrom"], *envelope["rcptTo"]):
            assert set(path) <= {"email", "parameters"}
            parameters = path.get("parameters") or {}
            assert all(value is None or isinstance(value, str) for value in parameters.values())
        if "EmailSubmission/set" in self.server.refused:
            return self.server.refused["EmailSubmission/set"]
        if wanted["identityId"] not in [each["id"] for each in self.server.identities]:
            return {"type": "invalidProperties", "properties": ["identityId"]}
        if email not in self.server.emails:
            return {"type": "invalidProperties", "properties": ["emailId"]}
        return None

    def _implicit(self, updates: dict[str, dict[str, Any]], destroyed: list[str], call_id: str) -> None:
        """Do what was to be done on success; its response follows that of the method, with the same call id."""
        for own, patch in updates.items():
            email = self.server.emails[own]
            for pointer, value in patch.items():
                kind, _, token = pointer.partition("/")
                assert "/" not in token, "a token of a JSON pointer has its slashes escaped"
                key = token.replace("~1", "/").replace("~0", "~")
                target = {"mailboxIds": email.mailboxes, "keywords": email.keywords}[kind]
                assert value in {None, True}
                target.discard(key) if value is None else target.add(key)
            assert email.mailboxes, "an Email MUST belong to one or more Mailboxes (RFC 8621 §4.1.1)"
        for own in destroyed:
            del self.server.emails[own]
        said = {"accountId": ACCOUNT, "updated": dict.fromkeys(updates), "destroyed": destroyed}
        self.responses.append(["Email/set", said, call_id])
