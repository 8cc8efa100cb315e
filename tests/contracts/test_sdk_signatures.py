"""Alibaba Cloud's and Tencent Cloud's own libraries, live: the same signature, and the same request in meaning.

Each library sends to a server of ours; its request is signed once more with the time and the nonce that it has.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.http_server import Answer, HTTPServer, Received
from tests.providers.forms import form_of

from mailkit import Attachment, Message, Template
from mailkit.edge.http import Request
from mailkit.envelope import Envelope
from mailkit.providers import Alibaba, Tencent, acs3, tc3
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mailkit.providers.base import ApiTransport

# The libraries ask for the time in a way that Python 3.12 and later warn of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

_KEY, _SECRET, _TOKEN = Secret("AKIDEXAMPLE"), Secret("SECRET/x+9="), Secret("TOKEN/1+2=")
_WHERE: Final = "it is in the dependency group 'contracts', which nox -s contracts installs"
_REGION: Final = "ap-hongkong"

_ALIBABA: Final[Mapping[str, dict[str, Any]]] = {
    "text": {
        "TextBody": "Zażółć 100 % ~*+",
        "HtmlBody": "<p>ж&amp;",
        "FromAlias": "Änn",
        "ToAddress": "b@example.com,c@example.com",
        "BccAddress": "d@example.com",
        "ReplyAddress": "r@example.com",
        "ReplyAddressAlias": "R",
        "TagName": "cat",
        "ClickTrace": "1",
        "Headers": json.dumps({"X-User-A": "b", "Message-ID": "<1@example.com>"}),
    },
    "template": {
        "ToAddress": "b@example.com",
        "Template": {"TemplateData": {"name": "李"}, "TemplateId": "7"},
        "Headers": json.dumps({"Message-ID": "<1@example.com>"}),
    },
}
_TENCENT: Final[Mapping[str, dict[str, Any]]] = {
    "text": {
        "FromEmailAddress": "Änn <a@example.com>",
        "Destination": ["b@example.com", "c@example.com"],
        "Cc": ["e@example.com"],
        "Bcc": ["d@example.com"],
        "ReplyToAddresses": "r@example.com",
        "Simple": {"Text": "xbzDs8WCxIc=", "Html": "PHA+0LY="},
        "Attachments": [{"FileName": "a.txt", "Content": "aGVsbG8="}],
        "SmtpHeaders": '{"X-A":"b"}',
    },
    "template": {
        "FromEmailAddress": "a@example.com",
        "Destination": ["b@example.com"],
        "Template": {"TemplateID": 7, "TemplateData": '{"name":"李"}'},
    },
}
_MESSAGES: Final[Mapping[tuple[str, str], Message]] = {
    ("alibaba", "text"): Message(
        from_="Änn <a@example.com>",
        to=["b@example.com", "C <c@example.com>"],
        bcc="d@example.com",
        reply_to="R <r@example.com>",
        subject="Grüße",
        text="Zażółć 100 % ~*+",
        html="<p>ж&amp;",
        tags=["cat"],
        track_clicks=True,
        headers={"X-User-A": "b"},
        message_id="1@example.com",
    ),
    ("tencent", "text"): Message(
        from_="Änn <a@example.com>",
        to=["b@example.com", "C <c@example.com>"],
        cc="e@example.com",
        bcc="d@example.com",
        reply_to="R <r@example.com>",
        subject="Grüße",
        text="żółć",
        html="<p>ж",
        headers={"X-A": "b"},
        attachments=[Attachment.from_bytes(b"hello", "a.txt")],
        message_id="1@example.com",
    ),
    **dict.fromkeys(
        [("alibaba", "template"), ("tencent", "template")],
        Message(
            from_="a@example.com",
            to="b@example.com",
            subject="Grüße",
            template=Template(7, {"name": "李"}),
            message_id="1@example.com",
        ),
    ),
}


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A server in both vendors' place."""
    answer = {"EnvId": "1", "RequestId": "R", "Response": {"MessageId": "1", "RequestId": "R"}}
    with HTTPServer(lambda _: Answer(200, answer, {"Content-Type": "application/json"})) as server:
        yield server


@pytest.fixture(params=["key", "session token"])
def token(request: pytest.FixtureRequest) -> Secret | None:
    """With temporary credentials, and without."""
    return _TOKEN if request.param == "session token" else None


def _by_alibaba(server: HTTPServer, token: Secret | None, act: Callable[[Any, Any], object]) -> Received:
    """Return what DirectMail's library sends."""
    client = pytest.importorskip("alibabacloud_dm20151123.client", reason=_WHERE)
    models = pytest.importorskip("alibabacloud_dm20151123.models", reason=_WHERE)
    openapi = pytest.importorskip("alibabacloud_tea_openapi.models", reason=_WHERE)
    config = openapi.Config(
        access_key_id=_KEY.reveal(),
        access_key_secret=_SECRET.reveal(),
        security_token=None if token is None else token.reveal(),
        endpoint=f"127.0.0.1:{server.port}",
        protocol="http",
    )
    act(client.Client(config), models)
    (received,) = server.requests
    return received


def _alibaba_sends(parameters: Mapping[str, Any]) -> Callable[[Any, Any], object]:
    shared = {"AccountName": "a@example.com", "AddressType": 1, "ReplyToAddress": False, "Subject": "Grüße"}
    return lambda client, models: client.single_send_mail(
        models.SingleSendMailRequest().from_map({**shared, **parameters})
    )


def _by_tencent(server: HTTPServer, token: Secret | None, parameters: Mapping[str, Any]) -> Received:
    """Return what Tencent Cloud's library sends."""
    credential = pytest.importorskip("tencentcloud.common.credential", reason=_WHERE)
    profile = pytest.importorskip("tencentcloud.common.profile.client_profile", reason=_WHERE)
    http = pytest.importorskip("tencentcloud.common.profile.http_profile", reason=_WHERE)
    ses = pytest.importorskip("tencentcloud.ses.v20201002.ses_client", reason=_WHERE)
    models = pytest.importorskip("tencentcloud.ses.v20201002.models", reason=_WHERE)
    keys = credential.Credential(_KEY.reveal(), _SECRET.reveal(), None if token is None else token.reveal())
    there = http.HttpProfile(endpoint=f"127.0.0.1:{server.port}", protocol="http")
    message = models.SendEmailRequest()
    message.from_json_string(json.dumps({"Subject": "Grüße", "SmtpMessageId": "<1@example.com>", **parameters}))
    ses.SesClient(keys, _REGION, profile.ClientProfile(httpProfile=there)).SendEmail(message)
    (received,) = server.requests
    return received


def _again(server: HTTPServer, received: Received, names: list[str]) -> Request:
    """Return a request as it came in, with some of its header fields."""
    headers = {name: received.headers[name] for name in names}
    url = f"http://127.0.0.1:{server.port}{received.path}"
    return Request(received.method, url, headers=headers, body=received.body or None)


def _ours(transport: ApiTransport, message: Message) -> dict[str, Any]:
    request = transport.build_request(message, Envelope.from_message(message))
    authorized = transport.authorize(request, _KEY, datetime.now(UTC))
    headers = {name.lower(): value.reveal() for name, value in authorized.headers}
    return {"request": authorized, "headers": headers, "body": request.body or b""}


_ACS3_OWN: Final = {"host", "x-acs-accesskey-id", "x-acs-content-sha256", "x-acs-date", "x-acs-security-token"}


@pytest.mark.parametrize("kind", [*_ALIBABA, "summary"])
def test_acs3_is_the_librarys(server: HTTPServer, token: Secret | None, kind: str) -> None:
    """Alibaba Cloud's library and we make the same signature of what it sends, byte for byte."""
    act = _alibaba_sends(_ALIBABA.get(kind, {}))
    if kind == "summary":
        act = lambda client, models: client.desc_account_summary(models.DescAccountSummaryRequest())  # noqa: E731
    theirs = _by_alibaba(server, token, act)
    authorization = theirs.headers["authorization"]
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    signature = acs3.signature_headers(
        _again(server, theirs, [each for each in signed if each not in _ACS3_OWN | {"x-acs-signature-nonce"}]),
        key=_KEY,
        secret=_SECRET,
        session_token=token,
        nonce=theirs.headers["x-acs-signature-nonce"],
        now=datetime.strptime(theirs.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%S%z"),
    )
    ours = {name.lower(): Secret.coerce(value).reveal() for name, value in signature.items()}
    assert ours == {name: theirs.headers[name] for name in ours}
    assert ours["authorization"] == authorization


@pytest.mark.parametrize("kind", _ALIBABA)
def test_the_library_signs_our_request_alike(token: Secret | None, kind: str) -> None:
    """What we send to DirectMail has the signature that Alibaba Cloud's signer makes of it."""
    utils = pytest.importorskip("alibabacloud_tea_openapi.utils", reason=_WHERE).Utils
    ours = _ours(Alibaba(_KEY, secret=_SECRET, session_token=token), _MESSAGES["alibaba", kind])
    headers = {"host": "dm.aliyuncs.com", **ours["headers"]}
    authorization = headers.pop("authorization")
    request = SimpleNamespace(method="POST", pathname="/", query={}, headers=headers)
    arguments = ("ACS3-HMAC-SHA256", headers["x-acs-content-sha256"], _KEY.reveal(), _SECRET.reveal())
    assert authorization == utils.get_authorization(request, *arguments)


@pytest.mark.parametrize("kind", _ALIBABA)
def test_alibabas_request_is_the_librarys(server: HTTPServer, kind: str) -> None:
    """Operation, media type and form are equal, but for a truth value: the library writes one as Python does."""
    theirs = _by_alibaba(server, None, _alibaba_sends(_ALIBABA[kind]))
    ours = _ours(Alibaba(_KEY, secret=_SECRET), _MESSAGES["alibaba", kind])
    for name in ("accept", "content-type", "x-acs-action", "x-acs-version"):
        assert ours["headers"][name] == theirs.headers[name]
    media_type = ours["headers"]["content-type"]
    mine, wanted = (form_of(body, media_type, as_json=("Headers", "Template")) for body in (ours["body"], theirs.body))
    assert (mine.pop("ReplyToAddress"), wanted.pop("ReplyToAddress")) == ("false", "False")
    assert mine == wanted


@pytest.mark.parametrize("kind", _TENCENT)
def test_tc3_is_the_librarys(server: HTTPServer, token: Secret | None, kind: str) -> None:
    """Tencent Cloud's library and we make the same signature of what it sends, byte for byte."""
    theirs = _by_tencent(server, token, _TENCENT[kind])
    signature = tc3.signature_headers(
        _again(server, theirs, ["content-type"]),
        key=_KEY,
        secret=_SECRET,
        session_token=token,
        service="ses",
        now=datetime.fromtimestamp(int(theirs.headers["x-tc-timestamp"]), UTC),
    )
    ours = {name.lower(): Secret.coerce(value).reveal() for name, value in signature.items()}
    assert ours == {name: theirs.headers[name] for name in ours}
    assert ("x-tc-token" in theirs.headers) == (token is not None)


@pytest.mark.parametrize("kind", _TENCENT)
def test_tencents_request_is_the_librarys(server: HTTPServer, kind: str) -> None:
    """Operation, region, media type and payload are equal; errors are asked for in English, not in Chinese."""
    theirs = _by_tencent(server, None, _TENCENT[kind])
    ours = _ours(Tencent(_KEY, secret=_SECRET, region=_REGION), _MESSAGES["tencent", kind])
    for name in ("content-type", "x-tc-action", "x-tc-version", "x-tc-region"):
        assert ours["headers"][name] == theirs.headers[name]
    assert (ours["headers"]["x-tc-language"], theirs.headers["x-tc-language"]) == ("en-US", "zh-CN")
    assert json.loads(ours["body"]) == theirs.json()
