"""JMAP, against a server of the tests' own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from tests.http_server import Answer, HTTPServer
from tests.jmap_server import ACCOUNT, JMAPServer, Sent
from tests.providers.acme import message_to_bob, with_channel
from tests.providers.kit import ProviderContract, Row

from mailkit import ConfigurationError, Mailer, MessageError, RetryPolicy, UnsupportedFeatureError
from mailkit.envelope import Envelope
from mailkit.errors import DeliveryError, OutcomeUnknownError
from mailkit.providers import JMAP
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.colours import Colour
    from tests.http_server import Received

    from mailkit.edge import Edge
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel

_ALL = {"DSN": [], "mt-priority": ["MIXER"], "DELIVERYBY": ["1"], "REQUIRETLS": [], "SMTPUTF8": [], "futurerelease": []}


def _names(request: Received) -> list[str]:
    return [name for name, _, _ in request.json()["methodCalls"]] if request.path == "/jmap/api/" else []


def _says(*responses: list[Any]) -> Answer:
    return Answer(200, {"methodResponses": responses, "sessionState": "75128aab4b1b"})


def _imported() -> list[Any]:
    return ["Email/import", {"created": {"m": {"id": "M9", "blobId": "B9"}}}, "m"]


def _not_submitted(kind: str, **more: Any) -> Answer:
    said = {"type": kind, "description": "That went wrong.", **more}
    return _says(_imported(), ["EmailSubmission/set", {"created": None, "notCreated": {"s": said}}, "s"])


def _not_imported(kind: str) -> Answer:
    said = {"notCreated": {"m": {"type": kind}}}
    back = {"notCreated": {"s": {"type": "invalidProperties", "properties": ["emailId"]}}}
    return _says(["Email/import", said, "m"], ["EmailSubmission/set", back, "s"])


def _error(kind: str) -> Answer:
    return _says(_imported(), ["error", {"type": kind}, "s"])


def _problem(status: int, kind: str, **more: Any) -> Answer:
    return Answer(status, {"type": f"urn:ietf:params:jmap:error:{kind}", "detail": "That went wrong.", **more})


_CONFIGURATION: dict[str, Any] = {"error": "AuthenticationError", "cause": "configuration"}
_REJECTED: dict[str, Any] = {"error": "RejectedError", "outcome": "rejected"}
_LATER: dict[str, Any] = {"error": "TransientError", "cause": "transient"}
_UNKNOWN: dict[str, Any] = {"error": "OutcomeUnknownError", "outcome": "unknown"}
_THROTTLED: dict[str, Any] = {"error": "RateLimitedError", "cause": "throttled"}


class TestJMAP(ProviderContract):
    """JMAP is a provider."""

    transport_class = JMAP
    rows: ClassVar[Sequence[Row]] = [
        Row(_not_submitted("forbiddenFrom"), **_REJECTED),
        Row(_not_submitted("forbiddenMailFrom"), **_REJECTED),
        Row(_not_submitted("invalidEmail", properties=["subject"]), **_REJECTED),
        Row(_not_submitted("invalidRecipients", invalidRecipients=["bob@example.org"]), **_REJECTED),
        Row(_not_submitted("invalidRecipients", invalidRecipients=["somebody@example.org"]), **_REJECTED),
        Row(_not_submitted("noRecipients"), **_REJECTED),
        Row(_not_submitted("tooLarge", maxSize=1), **_REJECTED),
        Row(_not_submitted("tooManyRecipients", maxRecipients=1), **_REJECTED),
        Row(_not_submitted("something.new"), **_UNKNOWN),
        Row(_not_submitted("smtpProtocolError"), **_UNKNOWN),
        Row(_not_submitted("forbiddenToSend"), **_CONFIGURATION),
        Row(_not_submitted("forbidden"), **_CONFIGURATION),
        Row(_not_submitted("overQuota"), error="RateLimitedError", cause="configuration"),
        Row(_not_submitted("rateLimit"), **_THROTTLED),
        Row(_not_submitted("serverFail"), **_UNKNOWN),
        Row(_not_imported("overQuota"), error="RateLimitedError", cause="configuration"),
        Row(_not_imported("invalidEmail"), **_REJECTED),
        Row(_not_imported("serverFail"), **_LATER),
        Row(_not_imported("something.new"), **_LATER),
        Row(_says(["error", {"type": "serverFail"}, "m"], ["error", {"type": "invalidArguments"}, "s"]), **_LATER),
        Row(_says(["Email/import", {"notCreated": {"m": {"type": "tooLarge"}}}, "m"]), **_UNKNOWN),
        Row(_says(_imported()), **_UNKNOWN),
        Row(_says(["Email/import", {"created": ["m"]}, "m"], ["EmailSubmission/set", ["s"], "s"]), **_UNKNOWN),
        Row(_says(["Email/import", None, "m"], ["EmailSubmission/set", {"notCreated": {"s": 1}}, "s"]), **_UNKNOWN),
        Row(Answer(200, {"methodResponses": [[]]}), **_UNKNOWN),
        Row(_says(_imported(), ["EmailSubmission/set", {"created": {}}, "s"]), **_UNKNOWN),
        Row(_error("accountNotFound"), **_CONFIGURATION),
        Row(_error("accountReadOnly"), **_CONFIGURATION),
        Row(_error("forbidden"), **_CONFIGURATION),
        Row(_error("unknownMethod"), **_CONFIGURATION),
        Row(_error("invalidArguments"), **_REJECTED),
        Row(_error("requestTooLarge"), **_REJECTED),
        Row(_error("rateLimit"), **_THROTTLED),
        Row(_error("serverFail"), **_LATER),
        Row(_error("serverUnavailable"), **_LATER),
        Row(_error("something.new"), **_LATER),
        Row(_error("serverPartialFail"), **_UNKNOWN),
        Row(_problem(400, "unknownCapability"), **_CONFIGURATION),
        Row(_problem(400, "notRequest"), **_REJECTED),
        Row(_problem(400, "limit", limit="maxSizeRequest"), **_REJECTED),
        Row(_problem(400, "limit", limit="maxConcurrentRequests"), **_THROTTLED),
        Row(_problem(429, "limit", limit="rate"), **_THROTTLED),
        Row(_problem(503, "limit", limit="rate"), **_LATER),
        Row(Answer(503, {"type": ["?"]}), **_UNKNOWN),
        Row(Answer(410, b""), **_LATER),
    ]

    @pytest.fixture(autouse=True)
    def account(self, server: HTTPServer) -> JMAPServer:
        """An account on the server."""
        del server
        identities = [{"id": "I1", "email": "Ada@Example.com"}, {"id": "I2", "email": "*@example.com"}]
        self.jmap = JMAPServer(identities=identities, extensions=_ALL, max_delay=86_400)
        return self.jmap

    def success(self, request: Received) -> Answer:
        """What the server answers."""
        return self.jmap.answer(request)

    def decides(self, request: Received) -> bool:
        """The request that submits is the one that counts."""
        return "EmailSubmission/set" in _names(request)

    def messages(self, request: Received) -> Sequence[Any]:
        """What was submitted in a request, as the server saw it; where it never saw it, as it was asked for."""
        return [{"content": sent.content, **sent.record} for sent in self.jmap.by_call.get(id(request), ())]

    def recipients(self, payload: Any) -> Sequence[str]:
        """The envelope's."""
        return [path["email"] for path in payload["envelope"]["rcptTo"]]

    def visible(self, payload: Any) -> bytes:
        """The uploaded message."""
        content: bytes = payload["content"]
        return content

    def last(self) -> Sent:
        """Return what was submitted last."""
        return self.jmap.sent[-1]

    def names(self) -> list[str]:
        """Return what was asked for: the methods, and the paths of what are none."""
        return [each for request in self._server.requests for each in _names(request) or [request.path]]

    def retried(self, **fields: Any) -> Receipt:
        """Send a message, and try again at once."""
        policy = RetryPolicy(attempts=3, wait=lambda _state: 0.0)
        with Mailer(self.make_transport(), retry=policy) as mailer:
            return mailer.send(self.make_message(**fields))

    # The course of things.

    def test_what_is_asked_for(self) -> None:
        """The session is found behind its redirect, one more request looks things up, then there are two a message."""
        with Mailer(self.make_transport()) as mailer:
            mailer.send(self.make_message())
            mailer.send(self.make_message())
        first = ["/.well-known/jmap", "/jmap/session", "Mailbox/query", "Mailbox/get", "Identity/get"]
        each = [f"/jmap/upload/{ACCOUNT}/", "Email/import", "EmailSubmission/set"]
        assert self.names() == [*first, *each, *each]

    def test_many_messages_look_the_account_up_once(self) -> None:
        """However many are under way at once, the session is fetched once."""
        with Mailer(self.make_transport()) as mailer:
            assert all(outcome.ok for outcome in mailer.send_many([self.make_message()] * 8, connections=4))
        assert self.names().count("/jmap/session") == 1

    def test_what_is_submitted(self) -> None:
        """The message is the MIME that was uploaded, the envelope says to whom, and Bcc is in it alone."""
        receipt = self.sent(self.make_message(bcc="archive@example.net", return_path=""))
        sent = self.last()
        read = message_from_bytes(sent.content, policy=policy.default)
        assert (read["To"], read["Bcc"], read["Message-ID"]) == ("bob@example.org", None, f"<{receipt.message_id}>")
        assert b"archive" not in sent.content
        assert sent.record["envelope"] == {
            "mailFrom": {"email": ""},
            "rcptTo": [{"email": "bob@example.org"}, {"email": "archive@example.net"}],
        }
        assert receipt.provider_id
        assert receipt.provider_id.startswith("ES")

    @pytest.mark.parametrize(
        ("roles", "save_copy", "kept"),
        [
            ({"inbox": "I", "drafts": "D", "sent": "S"}, True, {"S"}),
            ({"inbox": "I", "drafts": "D", "sent": "S"}, False, None),
            ({"inbox": "I", "sent": "S"}, True, {"S"}),
            ({"inbox": "I", "drafts": "D"}, True, None),
            ({"inbox": "I"}, True, None),
            ({"drafts": "D/~1", "sent": "S~/0"}, True, {"S~/0"}),
        ],
    )
    def test_the_copy(self, roles: dict[str, str], save_copy: bool, kept: set[str] | None) -> None:
        """A copy that was sent is in Sent, seen and no draft; where there is none, or none is wanted, nothing stays."""
        self.jmap.roles = roles
        self.sent(save_copy=save_copy)
        emails = list(self.jmap.emails.values())
        assert [(email.mailboxes, email.keywords) for email in emails] == ([] if kept is None else [(kept, {"$seen"})])

    def test_an_account_without_mailboxes_to_put_it_into(self) -> None:
        """Where no mailbox is for anything, nothing can be sent, and nobody is asked to try again."""
        self.jmap.roles = {"trash": "T"}
        with pytest.raises(DeliveryError, match="Drafts") as caught:
            self.sent()
        assert (caught.value.outcome, caught.value.cause) == ("not_sent", "configuration")

    def test_what_was_refused_leaves_nothing_behind(self) -> None:
        """The message that could not be sent is destroyed; if that fails too, the error is still the first."""
        self.jmap.refused["EmailSubmission/set"] = {"type": "forbiddenFrom", "description": "Not as Ada."}
        for broken in ({}, {"Email/set": {"type": "serverFail"}}):
            self.jmap.broken = broken
            with pytest.raises(DeliveryError, match="forbiddenFrom Not as Ada") as caught:
                self.sent()
            assert caught.value.outcome == "rejected"
        assert self.names()[-1] == "Email/set"
        assert len(self.jmap.emails) == 1

    def test_what_is_in_doubt_is_left_alone(self) -> None:
        """Where nobody knows whether it was sent, the message is neither destroyed nor sent again."""
        with pytest.raises(OutcomeUnknownError):
            self.sent(answer=_not_submitted("serverFail"))
        assert "Email/set" not in self.names()

    def test_a_message_that_is_there_already_is_sent(self) -> None:
        """Where a server keeps no two of one content, the one that an earlier attempt has left is what is submitted."""
        self.jmap.keeps_no_two = True
        self.jmap.refused["EmailSubmission/set"] = {"type": "rateLimit"}
        self.jmap.broken["Email/set"] = {"type": "serverFail"}
        message = self.make_message(message_id="1@example.com", date=datetime(2026, 11, 23, tzinfo=UTC))
        with pytest.raises(DeliveryError):
            self.sent(message)
        self.jmap.refused.clear()
        assert self.sent(message).accepted
        assert self.names()[-3:] == ["Email/import", "EmailSubmission/set", "EmailSubmission/set"]
        assert [email.mailboxes for email in self.jmap.emails.values()] == [{"P-S"}]

    def test_a_message_that_was_there_before_is_not_destroyed(self) -> None:
        """Where no copy is wanted, one that the account had already stays all the same."""
        self.jmap.keeps_no_two = True
        message = self.make_message(message_id="1@example.com", date=datetime(2026, 11, 23, tzinfo=UTC))
        self.sent(message)
        self.sent(message, save_copy=False)
        assert [email.mailboxes for email in self.jmap.emails.values()] == [{"P-S"}]
        assert len(self.jmap.sent) == 2

    def test_a_message_that_is_not_known_by_its_creation_id(self) -> None:
        """Where a server resolves no references to the import, the message is submitted by its id, or taken away."""
        self.jmap.keeps_creations = False
        assert self.sent().accepted
        assert self.names()[-3:] == ["Email/import", "EmailSubmission/set", "EmailSubmission/set"]
        self._server.answer = lambda request: (
            _not_submitted("tooLarge") if _names(request) == ["EmailSubmission/set"] else self.jmap.answer(request)
        )
        with pytest.raises(DeliveryError, match="tooLarge"):
            self.sent()
        assert self.names()[-1] == "Email/set"
        assert len(self.jmap.emails) == 1

    # Recipients.

    def test_invalid_recipients_do_not_keep_it_from_the_others(self) -> None:
        """The invalid are refused; nobody else got it, so it is tried again for the others."""
        refused = {"type": "invalidRecipients", "invalidRecipients": ["eve@example.net"], "description": "no such user"}

        def answer(request: Received) -> Answer:
            submits = self.decides(request) and b"eve@example.net" in request.body
            self.jmap.refused = {"EmailSubmission/set": refused} if submits else {}
            return self.jmap.answer(request)

        self._server.answer = answer
        receipt = self.retried(to=["bob@example.org", "eve@example.net"])
        assert [(each.address, each.status) for each in receipt.recipients] == [
            ("bob@example.org", "accepted"),
            ("eve@example.net", "rejected"),
        ]
        assert "no such user" in receipt.recipients[1].text
        assert [path["email"] for path in self.last().record["envelope"]["rcptTo"]] == ["bob@example.org"]
        assert len(self.jmap.sent) == 1

    @pytest.mark.parametrize(
        ("reply", "code", "enhanced", "text"),
        [
            ("550 5.1.1 no such user", 550, "5.1.1", "no such user"),
            ("550 no such user", 550, None, "no such user"),
            ("gone", None, None, "gone"),
            (None, None, None, ""),
        ],
    )
    def test_what_the_server_knows_at_once(
        self, reply: str | None, code: int | None, enhanced: str | None, text: str
    ) -> None:
        """A recipient whom the server has given up on already is not accepted; what is queued or unknown is."""
        status = {
            "bob@example.org": {"delivered": "queued", "smtpReply": "250 2.1.5 ok", "displayed": "unknown"},
            "eve@example.net": {"delivered": "no", "smtpReply": reply, "displayed": "unknown"},
        }
        self.jmap.created = {"deliveryStatus": status}
        bob, eve = self.sent(self.make_message(to=["bob@example.org", "eve@example.net"])).recipients
        assert bob.status == "accepted"
        assert (eve.status, eve.code, eve.enhanced_code, eve.text) == ("rejected", code, enhanced, text)

    @pytest.mark.parametrize("status", [[], {"bob@example.org": "queued"}, {"bob@example.org": {"delivered": []}}, 7])
    def test_what_cannot_be_read_of_a_submission(self, status: Any) -> None:
        """A submission that was created was accepted, whatever else is said of it."""
        self.jmap.created = {"deliveryStatus": status}
        assert self.sent().accepted

    # Identities.

    @pytest.mark.parametrize(
        ("fields", "identity"),
        [
            ({"from_": "Ada <ada@example.com>"}, "I1"),
            ({"from_": "sales@example.com"}, "I2"),
            ({"from_": "ada@elsewhere.example", "return_path": "bounces@example.com"}, "I2"),
            ({"from_": "ada@elsewhere.example", "options": {"jmap": {"identityId": "I2"}}}, "I2"),
        ],
    )
    def test_the_identity(self, fields: dict[str, Any], identity: str) -> None:
        """It is that of From, or of its domain, or of the return path, or the one that the options name."""
        self.sent(self.make_message(**fields))
        assert self.last().record["identityId"] == identity

    def test_nobody_to_send_as(self) -> None:
        """A From that is none of the identities is refused with their names, before anything is uploaded."""
        with pytest.raises(MessageError, match=r"Ada@Example\.com, \*@example\.com"):
            self.sent(self.make_message(from_="ada@elsewhere.example"))
        assert self.names()[-1] == "Identity/get"

    def test_an_identity_that_does_not_say_who_it_is(self) -> None:
        """Where the server leaves the address of its only identity empty, it is for whoever sends."""
        self.jmap.identities = [{"id": "user", "email": ""}]
        self.sent(self.make_message(from_="ada@elsewhere.example"))
        assert self.last().record["identityId"] == "user"

    @pytest.mark.parametrize(
        ("sender", "identity"), [(b"From: Ada <ada@example.com>\r\n", "I1"), (b"From: ?\r\n", "I2")]
    )
    def test_the_identity_of_prepared_bytes(self, sender: bytes, identity: str) -> None:
        """It is that of their From, where that can be read; else that of the return path."""
        data = sender + b"Subject: Hi\r\n\r\nHi\r\n"
        with Mailer(self.make_transport()) as mailer:
            mailer.send_raw(data, Envelope("bounces@example.com", ["bob@example.org"]))
        assert (self.last().content, self.last().record["identityId"]) == (data, identity)

    # What SMTP has words for.

    def test_the_parameters(self) -> None:
        """Whatever the envelope asks for is among its parameters, as it is, not as SMTP would encode it."""
        when = datetime.now(UTC) + timedelta(hours=1)
        options = {
            "ret": "HDRS",
            "envid": "order+7",
            "priority": 4,
            "deliver_by": 60,
            "require_tls": True,
            "notify": ["FAILURE", "DELAY"],
            "recipients": {"jürgen@example.org": {"notify": "NEVER", "orcpt": "utf-8;jürgen@example.org"}},
        }
        self.sent(
            self.make_message(to=["bob@example.org", "jürgen@example.org"], send_at=when, options={"smtp": options})
        )
        assert self.last().record["envelope"] == {
            "mailFrom": {
                "email": "ada@example.com",
                "parameters": {
                    "SMTPUTF8": None,
                    "REQUIRETLS": None,
                    "RET": "HDRS",
                    "ENVID": "order+7",
                    "MT-PRIORITY": "4",
                    "BY": "60;N",
                    "HOLDUNTIL": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            },
            "rcptTo": [
                {"email": "bob@example.org", "parameters": {"NOTIFY": "FAILURE,DELAY"}},
                {
                    "email": "jürgen@example.org",
                    "parameters": {"NOTIFY": "NEVER", "ORCPT": "utf-8;jürgen@example.org"},
                },
            ],
        }

    @pytest.mark.parametrize(
        ("fields", "feature"),
        [
            ({"options": {"smtp": {"notify": "FAILURE"}}}, "dsn"),
            ({"options": {"smtp": {"require_tls": True}}}, "require_tls"),
            ({"options": {"smtp": {"priority": 1}}}, "priority"),
            ({"options": {"smtp": {"deliver_by": 60}}}, "deliver_by"),
            ({"to": "jürgen@example.org"}, "smtputf8"),
            ({"reply_to": "jürgen@example.org"}, "smtputf8"),
            ({"send_at": datetime.now(UTC) + timedelta(hours=1)}, "send_at"),
        ],
    )
    def test_what_the_server_does_not_offer(self, fields: dict[str, Any], feature: str) -> None:
        """What the session does not name is refused by name, before anything is uploaded."""
        self.jmap.extensions, self.jmap.max_delay = {}, 0
        with pytest.raises(UnsupportedFeatureError) as caught:
            self.sent(self.make_message(**fields))
        assert caught.value.feature == feature
        assert not self.jmap.blobs

    def test_too_late_for_the_server(self) -> None:
        """A message is not held back for longer than the server does."""
        self.jmap.max_delay = 60
        with pytest.raises(UnsupportedFeatureError, match="60 s") as caught:
            self.sent(self.make_message(send_at=datetime.now(UTC) + timedelta(hours=1)))
        assert caught.value.feature == "send_at"

    def test_too_large_for_the_server(self) -> None:
        """More than the server takes is not even uploaded; where it sets no limit, everything is."""
        self.jmap.max_upload = 300
        with pytest.raises(MessageError, match="300 octets"):
            self.sent(self.make_message(text="x" * 300))
        assert not self.jmap.blobs
        self.jmap.changes = {"capabilities": {"urn:ietf:params:jmap:core": {}}}
        self.jmap.max_upload = 1_000_000
        assert self.sent(self.make_message(text="x" * 300)).accepted

    # What is out of date.

    def change_while_open(self, change: Any, answer: Answer | None = None) -> list[str]:
        """Send, let something change, send again; return what was asked for the second time."""
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            mailer.send(self.make_message())
            change()
            self._server.requests.clear()
            lost = [answer]

            def answered(request: Received) -> Answer:
                given = lost.pop() if lost and request.path != "/.well-known/jmap" else None
                return given or self.jmap.answer(request)

            self._server.answer = answered
            assert mailer.send(self.make_message()).accepted
            first = self.names()
            assert mailer.send(self.make_message()).accepted
        return first

    def test_a_session_that_has_changed_is_fetched_again(self) -> None:
        """After an answer with another sessionState, the next message starts anew."""
        names = self.change_while_open(lambda: setattr(self.jmap, "state", "another"))
        assert names == [f"/jmap/upload/{ACCOUNT}/", "Email/import", "EmailSubmission/set"]
        assert self.names().count("/jmap/session") == 1

    @pytest.mark.parametrize("what", ["mailboxes", "identities"])
    def test_ids_that_are_no_more(self, what: str) -> None:
        """Where a mailbox or an identity is gone, the account is looked up again, and the message sent as it is now."""

        def change() -> None:
            if what == "mailboxes":
                self.jmap.roles = {"drafts": "P-D2", "sent": "P-S2"}
            else:
                self.jmap.identities = [{"id": "I9", "email": "*@example.com"}]

        names = self.change_while_open(change)
        assert names.count("/jmap/session") == 1
        assert names.count("EmailSubmission/set") == 2
        assert len(self.jmap.sent) == 3

    @pytest.mark.parametrize("status", [404, 410])
    def test_a_url_that_is_no_more(self, status: int) -> None:
        """Where uploads have moved, the session says where to."""
        names = self.change_while_open(lambda: None, Answer(status))
        assert names.count("/jmap/session") == 1

    def test_ids_that_are_wrong_are_not_looked_up_for_ever(self) -> None:
        """What is invalid although it was looked up just now is an error, also where it was good before."""
        with Mailer(self.make_transport(), retry=RetryPolicy.none()) as mailer:
            mailer.send(self.make_message())
            self.jmap.refused["EmailSubmission/set"] = {"type": "invalidProperties", "properties": ["identityId"]}
            for looked_up in (2, 3):
                with pytest.raises(DeliveryError, match="invalidProperties identityId") as caught:
                    mailer.send(self.make_message())
                assert caught.value.outcome == "rejected"
                assert self.names().count("/jmap/session") == looked_up
        assert len(self.jmap.emails) == 1

    def test_a_url_that_leads_nowhere(self) -> None:
        """Where uploads have nowhere to go even by the newest session, the message is not sent."""
        self.jmap.changes = {"uploadUrl": "/jmap/upload/{accountId}/{other}"}
        self._server.answer = lambda request: (
            Answer(404) if request.path == f"/jmap/upload/{ACCOUNT}/" else self.jmap.answer(request)
        )
        with pytest.raises(DeliveryError) as caught:
            self.sent()
        assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)

    # What fails before anything was submitted.

    @pytest.mark.parametrize("path", ["/.well-known/jmap", "/jmap/session", "/jmap/upload/A13824/", "/jmap/api/"])
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(raw=b""), "ProtocolError"),
            (Answer(500), "TransientError"),
            (Answer(503, b"", {"Retry-After": "7"}), "TransientError"),
            (Answer(401), "AuthenticationError"),
            (Answer(429), "RateLimitedError"),
            (Answer(200, b"<html>hello</html>"), "ProtocolError"),
            (Answer(200, b"[]"), "ProtocolError"),
        ],
    )
    def test_what_comes_before_leaves_no_doubt(self, path: str, answer: Answer, error: str) -> None:
        """Whatever happens to a request before the one that submits, the message was not sent."""
        self._server.answer = lambda request: answer if request.path == path else self.jmap.answer(request)
        with pytest.raises(DeliveryError) as caught:
            self.sent()
        assert (type(caught.value).__name__, caught.value.outcome) == (error, "not_sent")
        assert [each.status for each in caught.value.recipients] == ["not_sent"]
        assert not self.deciding

    @pytest.mark.parametrize(
        "changes",
        [{"primaryAccounts": {}}, {"accounts": {ACCOUNT: {"name": "ada", "accountCapabilities": {}}}}],
    )
    def test_a_token_that_may_not_submit(self, changes: dict[str, Any]) -> None:
        """An account without the right to submit mail is a matter of configuration, for `verify` as well."""
        self.jmap.changes = changes
        with pytest.raises(DeliveryError, match="no account that may submit") as caught:
            self.sent()
        assert (caught.value.outcome, caught.value.cause) == ("not_sent", "configuration")
        with Mailer(self.make_transport()) as mailer, pytest.raises(DeliveryError, match="no account that may submit"):
            mailer.verify()

    @pytest.mark.parametrize("wanted", [ACCOUNT, "ada@example.com"])
    def test_an_account_of_ones_choice(self, wanted: str) -> None:
        """It goes by its id or its name; one that is not there, or may not submit, is refused."""
        assert self.sent(account=wanted).accepted
        for other in ("A97813", "eve@example.com", "nobody"):
            with pytest.raises(DeliveryError, match=other):
                self.sent(account=other)

    def test_what_verifying_learns(self) -> None:
        """It is what the session says now, and how we logged in."""
        with Mailer(self.make_transport()) as mailer:
            info = mailer.verify()
        assert info.host == f"127.0.0.1:{self._server.port}"
        assert info.authenticated == "Bearer"
        assert "MT-PRIORITY" in info.extensions

    # Credentials.

    def test_user_and_password(self) -> None:
        """With a password, they go as Basic, and neither is seen in an error."""
        url = f"jmap://ada%40example.com:s3cret-77@127.0.0.1:{self._server.port}?save-copy=off&account={ACCOUNT}"
        with Mailer(transport_from_url(url)) as mailer:
            mailer.send(self.make_message())
            assert mailer.verify().authenticated == "Basic"
        values = {request.headers["authorization"] for request in self._server.requests}
        assert values == {"Basic YWRhQGV4YW1wbGUuY29tOnMzY3JldC03Nw=="}
        assert not self.jmap.emails

    @pytest.mark.parametrize("name", ["apiUrl", "uploadUrl"])
    def test_a_session_that_leads_elsewhere(self, name: str) -> None:
        """A URL on another host gets no credentials: it is refused with the setting that would allow it."""
        with HTTPServer(lambda _request: Answer(500)) as other:
            self.jmap.changes = {name: f"http://127.0.0.1:{other.port}/jmap/"}
            with pytest.raises(ConfigurationError, match="hosts="):
                self.sent()
            assert not other.requests

    @pytest.mark.parametrize("location", ["//127.0.0.1:1/jmap", "https://evil.example/", "http://[", "ftp://x/"])
    def test_a_redirect_that_leads_elsewhere(self, location: str) -> None:
        """A redirect to another host, port or scheme is not followed."""
        self._server.answer = lambda _request: Answer(301, b"", {"Location": location})
        with pytest.raises((ConfigurationError, DeliveryError)):
            self.sent()
        assert len(self._server.requests) == 1

    def test_a_redirect_without_end(self) -> None:
        """A few redirects on the same host are followed, and no more."""
        self._server.answer = lambda _request: Answer(302, b"", {"Location": "/jmap/session"})
        with pytest.raises(DeliveryError) as caught:
            self.sent()
        assert (caught.value.outcome, caught.value.cause) == ("not_sent", "security")
        assert len(self._server.requests) == 4

    @pytest.mark.parametrize(
        ("url", "owned"),
        [
            ("https://mail.example.com/jmap", True),
            ("https://mail.example.com:443/jmap", False),
            ("http://mail.example.com/jmap", False),
            ("https://mail.example.com.evil.example/jmap", False),
            ("https://mail.example.com@evil.example/jmap", False),
            ("https://up.example.com/jmap", True),
            ("https://UP.example.com:443/jmap", True),
            ("https://up.example.com:8443/jmap", False),
            ("http://up.example.com/jmap", False),
            ("https://down.example.com/jmap", False),
            ("https://[", False),
        ],
    )
    def test_where_the_credentials_may_go(self, url: str, owned: bool) -> None:
        """To the host that was given, and by TLS to those that were named besides; nowhere else."""
        transport = JMAP("KEY", host="mail.example.com", hosts=["Up.example.com"])
        assert transport.owns(url) is owned
        assert transport == transport_from_url("jmap://KEY@mail.example.com?hosts=Up.example.com")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("during", "outcome"),
    [
        ("/jmap/session", "not_sent"),
        ("Identity/get", "not_sent"),
        (f"/jmap/upload/{ACCOUNT}/", "not_sent"),
        ("EmailSubmission/set", "unknown"),
        ("Email/set", "rejected"),
    ],
)
def test_an_interruption_says_what_it_leaves(backend: Colour, during: str, outcome: str) -> None:
    """Only while the submission is under way is a message in doubt; what was refused before it stays refused."""
    jmap = JMAPServer(identities=[{"id": "I1", "email": ""}])
    jmap.refused["EmailSubmission/set"] = {"type": "forbiddenFrom"}
    reached, waiting = threading.Event(), threading.Event()

    def slow(request: Received) -> Answer:
        if during in (_names(request) or [request.path]):
            reached.set()
            waiting.wait(10)
        return jmap.answer(request)

    async def interrupted(channel: Channel, _edge: Edge) -> BaseException:
        caught: list[BaseException] = []

        async def send() -> None:
            try:
                await channel.send(message_to_bob(), Envelope.from_message(message_to_bob()))
            except BaseException as interruption:
                caught.append(interruption)
                raise

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.to_thread.run_sync(reached.wait, 10)
            group.cancel_scope.cancel()
        return caught[0]

    with HTTPServer(slow) as server:
        interruption: Any = with_channel(backend, server, interrupted, kind=JMAP)
        waiting.set()
    assert interruption.delivery.outcome == outcome
