"""Vendors' own libraries, live: the library sends a message to a server of ours, then we do, in the same words.

Every difference that is meant is a line of :data:`DIFFERENCES`, which says why; there is no other.
"""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.contracts.libraries import AWS, CASES, MESSAGE_ID, Case
from tests.http_server import Answer, HTTPServer, Received

from mailkit import Mailer, RetryPolicy
from mailkit.edge.http import Request
from mailkit.providers import SES
from mailkit.providers.sigv4 import signature_headers
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CREDENTIALS: Final = ("authorization", "api-token", "x-lettermint-token", "x-postmark-server-token")


def _answer(request: Received) -> Answer:
    body = request.json()
    names = ("requests", "BulkEmailEntries", "Messages")
    many = next((body[name] for name in names if name in body), ()) if isinstance(body, dict) else body
    taken = {"ErrorCode": 0, "Message": "OK", "MessageID": "1", "SubmittedAt": "2026-11-23T00:00:00Z", "To": "b@a.test"}
    answers: dict[str, Any] = {
        "/emails": {"id": "1"},
        "/emails/batch": {"data": [{"id": "1"} for _ in many]},
        "/api/send": {"success": True, "message_ids": ["1"]},
        "/api/batch": {"success": True, "responses": [{"success": True, "message_ids": ["1"]} for _ in many]},
        "/email": taken,
        "/email/withTemplate": taken,
        "/email/batch": [taken for _ in many],
        "/email/batchWithTemplates": [taken for _ in many],
        "/v1/send": {"message_id": "1", "status": "pending"},
        "/v1/send/batch": [{"message_id": "1", "status": "pending"} for _ in many],
        "/v2/email/outbound-emails": {"MessageId": "1"},
        "/v2/email/outbound-bulk-emails": {"BulkEmailEntryResults": [{"Status": "SUCCESS"} for _ in many]},
    }
    return Answer(200, answers[request.path], {"Content-Type": "application/json"})


# What differs on purpose: how a payload of the library's becomes ours.


def _resend_content_is_base64(payload: Any) -> Any:
    """Resend takes attachments as base64 or as a list of numbers; the library sends the latter, three times as long."""
    files = [{**each, "content": b64encode(bytes(each["content"])).decode()} for each in payload["attachments"]]
    return {**payload, "attachments": files}


def _mailtrap_has_no_base(payload: Any) -> Any:
    """What messages of a batch share may be said once for all: ours say everything each, and so may differ in all."""
    return {"requests": [{**payload["base"], **each} for each in payload["requests"]]}


def _lettermint_keeps_our_message_id(payload: Any) -> Any:
    """Without these two fields, recipients would see an id of Lettermint's, and not the receipt's."""
    own = {"Message-ID": f"<{MESSAGE_ID}>", "X-LM-Preserve-Message-ID": "true"}
    return {**payload, "headers": {**own, **payload.get("headers", {})}}


def _postmark_keeps_our_message_id(payload: Any) -> Any:
    """The same with Postmark; besides, its library writes empty lists where there is nothing."""
    headers = [{"Name": "Message-ID", "Value": f"<{MESSAGE_ID}>"}, {"Name": "X-PM-KeepID", "Value": "true"}]
    said = {name: value for name, value in payload.items() if value not in ([], {}) or name == "TemplateModel"}
    return {**said, "Headers": headers + payload["Headers"]}


DIFFERENCES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "resend": _resend_content_is_base64,
    "lettermint": _lettermint_keeps_our_message_id,
    "lettermint batch": lambda payload: [_lettermint_keeps_our_message_id(each) for each in payload],
    "postmark": _postmark_keeps_our_message_id,
    "postmark batch": lambda payload: [_postmark_keeps_our_message_id(each) for each in payload],
    "postmark template": _postmark_keeps_our_message_id,
    "postmark template batch": lambda payload: {
        "Messages": [_postmark_keeps_our_message_id(each) for each in payload["Messages"]]
    },
    "mailtrap batch": _mailtrap_has_no_base,
}


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A server in all vendors' place."""
    with HTTPServer(_answer) as server:
        yield server


def _ours(case: Case, server: HTTPServer) -> Received:
    server.requests.clear()
    transport = case.transport(**case.fields, host="127.0.0.1", port=server.port)
    with Mailer(transport, retry=RetryPolicy.none()) as mailer:
        if len(case.messages) == 1:
            mailer.send(case.messages[0])
        else:
            assert all(outcome.ok for outcome in mailer.send_many(case.messages, connections=1))
    (received,) = server.requests
    return received


@pytest.mark.parametrize("name", CASES)
def test_a_request_is_what_the_library_sends(name: str, server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Method, path, media type, credentials and payload are the library's, but for what is listed."""
    case = CASES[name]
    case.act(server, monkeypatch)
    (theirs,) = server.requests
    ours = _ours(case, server)
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert ours.headers["content-type"].partition(";")[0] == theirs.headers["content-type"].partition(";")[0]
    if case.transport is not SES:  # whose signature is of a time
        shown = [{name: each.headers[name] for name in _CREDENTIALS if name in each.headers} for each in (ours, theirs)]
        assert shown[0] == shown[1] != {}
    assert ("idempotency-key" in ours.headers) == ("idempotency-key" in theirs.headers)
    assert ours.json() == DIFFERENCES.get(name, lambda payload: payload)(theirs.json())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.transport is SES])
def test_the_signature_is_botocores(name: str, server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the time that a request of botocore's has, ours of the same fields has the same signature."""
    CASES[name].act(server, monkeypatch)
    (theirs,) = server.requests
    authorization = theirs.headers["authorization"]
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    added = {"host", "x-amz-date", "x-amz-security-token"}
    assert added <= set(signed)
    request = Request(
        theirs.method,
        f"http://127.0.0.1:{server.port}{theirs.path}",
        headers={each: theirs.headers[each] for each in signed if each not in added},
        body=theirs.body,
    )
    ours = signature_headers(
        request,
        key=Secret(AWS["key"]),
        secret=Secret(AWS["secret"]),
        session_token=Secret(AWS["session_token"]),
        region="eu-west-1",
        service="ses",
        now=datetime.strptime(theirs.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
    )
    assert Secret.coerce(ours["Authorization"]).reveal() == authorization


def test_every_difference_is_one() -> None:
    """What is listed changes what the library sends, and belongs to a case."""
    assert set(DIFFERENCES) <= set(CASES)
    numbers = {"attachments": [{"content": [104, 105]}]}
    assert _resend_content_is_base64(numbers) != numbers
    batch = {"base": {"text": "t"}, "requests": [{"to": "b"}]}
    assert _lettermint_keeps_our_message_id({}) != {}
    assert _postmark_keeps_our_message_id({"Headers": []}) != {"Headers": []}
    assert json.dumps(_mailtrap_has_no_base(batch)) == '{"requests": [{"text": "t", "to": "b"}]}'
