"""Vendors' own libraries, and what each is told so that it sends the same message as we do."""

from __future__ import annotations

from asyncio import run
from base64 import b64encode
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import frozen

from mailkit import Attachment, Message, Template
from mailkit.mime import render
from mailkit.providers import SES, Lettermint, Mailtrap, Postmark, Resend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tests.http_server import HTTPServer

    from mailkit.providers.base import ApiTransport

__all__ = ["AWS", "CASES", "MESSAGE_ID", "Case"]

_WHERE: Final = "nox -s contracts installs it"
_KEY, _SECRET, _TOKEN = "AKIDEXAMPLE", "SECRET/x+9=", "TOKEN/1+2="

_PNG: Final = b"\x89PNG"
_FULL: Final = Message(
    from_="Änn <a@example.com>",
    to=["Bob <b@example.com>", "e@example.com"],
    cc="c@example.com",
    bcc="d@example.com",
    reply_to="R <r@example.com>",
    subject="Grüße",
    text="Zażółć",
    html='<p>ж<img src="cid:logo">',
    headers={"X-A": "b"},
    tags=["cat"],
    metadata={"k": "v"},
    attachments=[Attachment.from_bytes(b"hello", "a.txt"), Attachment.from_bytes(_PNG, "l.png", content_id="logo")],
)
_PLAIN: Final = Message(from_="a@example.com", to="b@example.com", subject="s", text="t")
_STORED: Final = Message(from_="a@example.com", to="b@example.com", template=Template("welcome", {"name": "李"}))
MESSAGE_ID: Final = "1@example.com"
_HELLO, _LOGO = b64encode(b"hello").decode(), b64encode(_PNG).decode()


# What the libraries are told, in their own words.


def _resend(server: HTTPServer, monkeypatch: pytest.MonkeyPatch, act: Callable[[Any], object]) -> None:
    resend = pytest.importorskip("resend", reason=_WHERE)
    monkeypatch.setattr(resend, "api_key", "re_KEY")
    monkeypatch.setattr(resend, "api_url", f"http://127.0.0.1:{server.port}")
    act(resend)


def _mailtrap(server: HTTPServer, monkeypatch: pytest.MonkeyPatch, act: Callable[[Any, Any], object]) -> None:
    mailtrap = pytest.importorskip("mailtrap", reason=_WHERE)
    # It knows no scheme but https.
    http = import_module("mailtrap.http")
    monkeypatch.setattr(http.HttpClient, "_url", lambda _, path: f"http://127.0.0.1:{server.port}/{path.lstrip('/')}")
    act(mailtrap.MailtrapClient(token="KEY"), mailtrap)


def _mailtrap_full(mailtrap: Any) -> Any:
    address, attachment = mailtrap.Address, mailtrap.Attachment
    return mailtrap.Mail(
        sender=address("a@example.com", "Änn"),
        to=[address("b@example.com", "Bob"), address("e@example.com")],
        cc=[address("c@example.com")],
        bcc=[address("d@example.com")],
        reply_to=address("r@example.com", "R"),
        subject="Grüße",
        text="Zażółć",
        html='<p>ж<img src="cid:logo">',
        headers={"X-A": "b"},
        category="cat",
        custom_variables={"k": "v"},
        attachments=[
            attachment(_HELLO.encode(), "a.txt", disposition=mailtrap.Disposition.ATTACHMENT, mimetype="text/plain"),
            attachment(
                _LOGO.encode(),
                "l.png",
                disposition=mailtrap.Disposition.INLINE,
                mimetype="image/png",
                content_id="logo",
            ),
        ],
    )


def _mailtrap_batch(mailtrap: Any) -> Any:
    address = mailtrap.Address
    request = import_module("mailtrap.models.mail.batch_mail").BatchEmailRequest
    base = mailtrap.BatchMail(sender=address("a@example.com"), subject="s", text="t")
    to = [request(to=[address(each)]) for each in ("b@example.com", "c@example.com")]
    return mailtrap.BatchSendEmailParams(base=base, requests=to)


def _lettermint(server: HTTPServer, _: pytest.MonkeyPatch, act: Callable[[Any], object]) -> None:
    lettermint = pytest.importorskip("lettermint", reason=_WHERE)
    there = f"http://127.0.0.1:{server.port}/v1"
    with lettermint.Lettermint(sending_token="lm_KEY", base_url=there) as client:
        act(client.emails)


def _postmark(server: HTTPServer, _: pytest.MonkeyPatch, act: Callable[[Any], Awaitable[object]]) -> None:
    postmark = pytest.importorskip("postmark", reason=_WHERE)

    async def send() -> None:
        async with postmark.ServerClient("tok", base_url=f"http://127.0.0.1:{server.port}") as client:
            await act(client.outbound)

    run(send())


def _ses(server: HTTPServer, _: pytest.MonkeyPatch, act: Callable[[Any], object]) -> None:
    session = import_module("botocore.session").Session()
    session.set_credentials(_KEY, _SECRET, _TOKEN)
    where = {"region_name": "eu-west-1", "endpoint_url": f"http://127.0.0.1:{server.port}"}
    act(session.create_client("sesv2", **where))


_SHARED: Final[Mapping[str, Any]] = {
    "from": "Änn <a@example.com>",
    "to": ["Bob <b@example.com>", "e@example.com"],
    "cc": ["c@example.com"],
    "bcc": ["d@example.com"],
    "reply_to": ["R <r@example.com>"],
    "subject": "Grüße",
    "text": "Zażółć",
    "html": '<p>ж<img src="cid:logo">',
    "headers": {"X-A": "b"},
}
_FILES: Final = [
    {"filename": "a.txt", "content": b"hello", "content_type": "text/plain"},
    {"filename": "l.png", "content": _PNG, "content_type": "image/png", "content_id": "logo"},
]
_SMALL: Final = [{"from": "a@example.com", "to": [to], "subject": "s", "text": "t"} for to in ("b@a.test", "c@a.test")]
_TWO: Final = [_PLAIN.evolve(to="b@a.test"), _PLAIN.evolve(to="c@a.test")]

_POSTMARK_FULL: Final[Mapping[str, Any]] = {
    "sender": "Änn <a@example.com>",
    "to": "Bob <b@example.com>, e@example.com",
    "cc": "c@example.com",
    "bcc": "d@example.com",
    "reply_to": "R <r@example.com>",
    "subject": "Grüße",
    "text_body": "Zażółć",
    "html_body": '<p>ж<img src="cid:logo">',
    "headers": [{"Name": "X-A", "Value": "b"}],
    "tag": "cat",
    "metadata": {"k": "v"},
    "track_opens": False,
    "track_links": "HtmlAndText",
    "attachments": [
        {"Name": "a.txt", "Content": _HELLO, "ContentType": "text/plain"},
        {"Name": "l.png", "Content": _LOGO, "ContentType": "image/png", "ContentID": "cid:logo"},
    ],
}
_POSTMARK_SMALL: Final = [
    {"sender": "a@example.com", "to": to, "subject": "s", "text_body": "t"} for to in ("b@a.test", "c@a.test")
]
_POSTMARK_STORED: Final[Mapping[str, Any]] = {
    "sender": "a@example.com",
    "to": "b@example.com",
    "template_alias": "welcome",
    "template_model": {"name": "李"},
}

_SES_FULL: Final[Mapping[str, Any]] = {
    "FromEmailAddress": "=?utf-8?q?=C3=84nn?= <a@example.com>",
    "Destination": {
        "ToAddresses": ["Bob <b@example.com>", "e@example.com"],
        "CcAddresses": ["c@example.com"],
        "BccAddresses": ["d@example.com"],
    },
    "ReplyToAddresses": ["R <r@example.com>"],
    "EmailTags": [{"Name": "tag", "Value": "cat"}, {"Name": "k", "Value": "v"}],
    "Content": {
        "Simple": {
            "Subject": {"Data": "Grüße", "Charset": "UTF-8"},
            "Body": {
                "Text": {"Data": "Zażółć", "Charset": "UTF-8"},
                "Html": {"Data": '<p>ж<img src="cid:logo">', "Charset": "UTF-8"},
            },
            "Headers": [{"Name": "X-A", "Value": "b"}],
        }
    },
}
# A Sender is what only MIME can say; one part has no boundary, which is random.
_MIME: Final = _PLAIN.evolve(
    sender="s@example.com", bcc="d@example.com", date=datetime(2026, 11, 23, tzinfo=UTC), message_id=MESSAGE_ID
)


@frozen
class Case:
    """One message, or several for one request, through both.

    Args:
        transport: The provider.
        fields: What else it is made with.
        act: Lets the library send.
        messages: What we send.
    """

    transport: Callable[..., ApiTransport]
    fields: Mapping[str, Any]
    act: Callable[[HTTPServer, pytest.MonkeyPatch], None]
    messages: Sequence[Message]


AWS: Final = {"key": _KEY, "secret": _SECRET, "session_token": _TOKEN, "region": "eu-west-1"}
_ONCE: Final = {"idempotency_key": "key-1"}

CASES: Final[Mapping[str, Case]] = {
    "resend": Case(
        Resend,
        {"key": "re_KEY"},
        lambda server, patch: _resend(
            server,
            patch,
            lambda resend: resend.Emails.send(
                {
                    **_SHARED,
                    "tags": [{"name": "tag", "value": "cat"}, {"name": "k", "value": "v"}],
                    "attachments": [{**each, "content": list(each["content"])} for each in _FILES],  # type: ignore[call-overload]
                },
                _ONCE,
            ),
        ),
        [_FULL.evolve(idempotency_key="key-1")],
    ),
    "resend batch": Case(
        Resend,
        {"key": "re_KEY"},
        lambda server, patch: _resend(server, patch, lambda resend: resend.Batch.send(_SMALL, _ONCE)),
        _TWO,
    ),
    "mailtrap": Case(
        Mailtrap,
        {"key": "KEY"},
        lambda server, patch: _mailtrap(server, patch, lambda client, sdk: client.send(_mailtrap_full(sdk))),
        [_FULL],
    ),
    "mailtrap template": Case(
        Mailtrap,
        {"key": "KEY"},
        lambda server, patch: _mailtrap(
            server,
            patch,
            lambda client, sdk: client.send(
                sdk.MailFromTemplate(
                    sender=sdk.Address("a@example.com"),
                    to=[sdk.Address("b@example.com")],
                    template_uuid="welcome",
                    template_variables={"name": "李"},
                )
            ),
        ),
        [_STORED],
    ),
    "mailtrap batch": Case(
        Mailtrap,
        {"key": "KEY"},
        lambda server, patch: _mailtrap(server, patch, lambda client, sdk: client.batch_send(_mailtrap_batch(sdk))),
        [_PLAIN, _PLAIN.evolve(to="c@example.com")],
    ),
    "lettermint": Case(
        Lettermint,
        {"key": "lm_KEY"},
        lambda server, patch: _lettermint(
            server,
            patch,
            lambda emails: emails.send(
                {**_SHARED, "tag": "cat", "metadata": {"k": "v"}, "attachments": _FILES}, **_ONCE
            ),
        ),
        [_FULL.evolve(idempotency_key="key-1", message_id=MESSAGE_ID)],
    ),
    "lettermint batch": Case(
        Lettermint,
        {"key": "lm_KEY"},
        lambda server, patch: _lettermint(server, patch, lambda emails: emails.send_batch(_SMALL, **_ONCE)),
        [each.evolve(message_id=MESSAGE_ID) for each in _TWO],
    ),
    "postmark": Case(
        Postmark,
        {"key": "tok"},
        lambda server, patch: _postmark(server, patch, lambda outbound: outbound.send(dict(_POSTMARK_FULL))),
        [_FULL.evolve(track_opens=False, track_clicks=True, message_id=MESSAGE_ID)],
    ),
    "postmark batch": Case(
        Postmark,
        {"key": "tok"},
        lambda server, patch: _postmark(server, patch, lambda outbound: outbound.send_batch(_POSTMARK_SMALL)),
        [each.evolve(message_id=MESSAGE_ID) for each in _TWO],
    ),
    "postmark template": Case(
        Postmark,
        {"key": "tok"},
        lambda server, patch: _postmark(
            server,
            patch,
            lambda outbound: outbound.send_with_template(
                {"sender": "a@example.com", "to": "b@example.com", "template_id": 7, "template_model": {}}
            ),
        ),
        [_STORED.evolve(template=Template(7), message_id=MESSAGE_ID)],
    ),
    "postmark template batch": Case(
        Postmark,
        {"key": "tok"},
        lambda server, patch: _postmark(
            server,
            patch,
            lambda outbound: outbound.send_batch_with_template(
                [dict(_POSTMARK_STORED), {**_POSTMARK_STORED, "to": "c@example.com"}]
            ),
        ),
        [_STORED.evolve(to=to, message_id=MESSAGE_ID) for to in ("b@example.com", "c@example.com")],
    ),
    "ses": Case(
        SES,
        AWS,
        lambda server, patch: _ses(server, patch, lambda client: client.send_email(**_SES_FULL)),
        [_FULL.evolve(attachments=())],
    ),
    "ses mime": Case(
        SES,
        AWS,
        lambda server, patch: _ses(
            server,
            patch,
            lambda client: client.send_email(
                Destination={"ToAddresses": ["b@example.com", "d@example.com"]},
                Content={"Raw": {"Data": render(_MIME).as_bytes()}},
            ),
        ),
        [_MIME],
    ),
    "ses template": Case(
        SES,
        AWS,
        lambda server, patch: _ses(
            server,
            patch,
            lambda client: client.send_email(
                FromEmailAddress="a@example.com",
                Destination={"ToAddresses": ["b@example.com"]},
                Content={"Template": {"TemplateName": "welcome", "TemplateData": '{"name":"李"}'}},
            ),
        ),
        [_STORED],
    ),
    "ses bulk": Case(
        SES,
        AWS,
        lambda server, patch: _ses(
            server,
            patch,
            lambda client: client.send_bulk_email(
                FromEmailAddress="a@example.com",
                DefaultContent={"Template": {"TemplateName": "welcome", "TemplateData": "{}"}},
                BulkEmailEntries=[
                    {
                        "Destination": {"ToAddresses": [to]},
                        "ReplacementEmailContent": {
                            "ReplacementTemplate": {"ReplacementTemplateData": '{"name":"李"}'}
                        },
                        **own,
                    }
                    for to, own in (
                        ("b@example.com", {"ReplacementTags": [{"Name": "k", "Value": "v"}]}),
                        ("c@example.com", {"ReplacementHeaders": [{"Name": "X-A", "Value": "b"}]}),
                    )
                ],
            ),
        ),
        [_STORED.evolve(metadata={"k": "v"}), _STORED.evolve(to="c@example.com", headers={"X-A": "b"})],
    ),
}
