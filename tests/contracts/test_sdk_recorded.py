"""The same message through an official SDK, recorded against a loopback server, and through us is the same request.

For vendors whose SDKs the shared folder has nothing of: scaleway 2.12.0 and google-api-python-client 2.202.0.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mailkit import Attachment, Message
from mailkit.envelope import Envelope
from mailkit.providers import Gmail, Scaleway
from mailkit.secret import Secret

if TYPE_CHECKING:
    from mailkit.edge.http import Request
    from mailkit.providers.base import ApiTransport

_PROJECT: Final = "6170692e-7363-616c-6577-61792e636f6d"
_SCALEWAY: Final[dict[str, Any]] = {
    "from": {"email": "a@example.com", "name": "Änn"},
    "subject": "s",
    "text": "t",
    "html": "<p>t</p>",
    "to": [{"email": "b@example.com", "name": "Bob"}],
    "cc": [{"email": "c@example.com"}],
    "bcc": [{"email": "d@example.com"}],
    "project_id": _PROJECT,
    "attachments": [{"name": "a.txt", "type": "text/plain", "content": "aGVsbG8="}],
    "additional_headers": [{"key": "X-A", "value": "b"}, {"key": "Reply-To", "value": "r@example.com"}],
}
_MIME: Final = b"To: b@example.com\r\nSubject: s\r\n\r\nt\r\n"
_GMAIL: Final = {"raw": "VG86IGJAZXhhbXBsZS5jb20NClN1YmplY3Q6IHMNCg0KdA0K", "threadId": "7"}


def _request(transport: ApiTransport, message: Message) -> Request:
    assert isinstance(transport.key, Secret)
    request = transport.build_request(message, Envelope.from_message(message))
    return transport.authorize(request, transport.key, datetime.now(UTC))


def _header(request: Request, name: str) -> str:
    value = request.header(name)
    assert value is not None
    return value.reveal()


def test_scaleway() -> None:
    """Path, credentials and payload are the SDK's; its media type says "charset=utf-8" besides, as JSON always is."""
    message = Message(
        from_="Änn <a@example.com>",
        to="Bob <b@example.com>",
        cc="c@example.com",
        bcc="d@example.com",
        reply_to="r@example.com",
        subject="s",
        text="t",
        html="<p>t</p>",
        headers={"X-A": "b"},
        attachments=[Attachment.from_bytes(b"hello", "a.txt")],
    )
    request = _request(Scaleway("11111111-1111-1111-1111-111111111111", project_id=_PROJECT), message)
    assert request.url == "https://api.scaleway.com/transactional-email/v1alpha1/regions/fr-par/emails"
    assert _header(request, "x-auth-token") == "11111111-1111-1111-1111-111111111111"
    assert _header(request, "content-type") == "application/json"
    assert json.loads(request.body or b"") == _SCALEWAY


def test_gmail() -> None:
    """A small message is the SDK's JSON at its path, but for "alt=json", which is the default."""
    transport = Gmail("ya29.x", user="ada@example.com")
    prepared = transport.build_raw_request(_MIME, Envelope("ada@example.com", "b@example.com"))
    assert prepared.url == "https://gmail.googleapis.com/gmail/v1/users/ada%40example.com/messages/send"
    assert json.loads(prepared.body or b"") == {"raw": _GMAIL["raw"]}
    message = Message(from_="ada@example.com", to="b@example.com", text="t", options={"gmail": {"threadId": "7"}})
    request = _request(transport, message)
    assert request.url == prepared.url
    assert _header(request, "authorization") == "Bearer ya29.x"
    payload = json.loads(request.body or b"")
    assert payload.keys() == _GMAIL.keys()
    assert urlsafe_b64decode(payload["raw"]).startswith(b"From: ada@example.com\r\n")


def test_a_large_message_for_gmail() -> None:
    """A large one has the SDK's path and parts: JSON, then the octets, by the same names; lines end with CRLF."""
    large = _MIME + b"t\r\n" * 400_000
    request = Gmail("ya29.x", user="ada@example.com").build_raw_request(
        large, Envelope("ada@example.com", "b@example.com")
    )
    path = "/upload/gmail/v1/users/ada%40example.com/messages/send?uploadType=multipart"
    assert request.url == f"https://gmail.googleapis.com{path}"
    media_type, _, boundary = _header(request, "content-type").partition("; boundary=")
    assert media_type == "multipart/related"
    _, metadata, media, end = (request.body or b"").split(b"--" + boundary.encode())
    assert metadata == b"\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{}\r\n"
    binary = b"\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    assert media == binary + large + b"\r\n"
    assert end == b"--\r\n"
