"""Signatures as Tencent Cloud wants them: TC3-HMAC-SHA256.

https://www.tencentcloud.com/document/api/1084/39391
"""

from __future__ import annotations

import hmac
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mailkit.providers.sigv4 import host_field
from mailkit.secret import Secret

if TYPE_CHECKING:
    from datetime import datetime

    from mailkit.edge.http import Request

__all__ = ["signature_headers"]

_ALGORITHM: Final = "TC3-HMAC-SHA256"
_SIGNED: Final = "content-type;host"  # all that it asks for, and all that its own libraries sign


def signature_headers(
    request: Request,
    *,
    key: Secret,
    secret: Secret,
    session_token: Secret | None = None,
    service: str,
    now: datetime,
) -> dict[str, str | Secret]:
    """Return the header fields that sign a request with its Content-Type, its host and its body.

    Args:
        request: Complete, with a Content-Type; neither that nor the body may be changed afterwards.
        key: The SecretId.
        secret: The SecretKey.
        session_token: What comes along with temporary credentials.
        service: The service's signing name, such as ``"ses"``.
        now: The time, aware; Tencent Cloud takes it for five minutes.
    """
    seconds = int(now.timestamp())
    # The date has to be that of these seconds in UTC, whatever the zone of `now`.
    day = now.astimezone(UTC).strftime("%Y-%m-%d")
    url = urlsplit(request.url)
    media_type = request.header("content-type")
    canonical = "\n".join(
        [
            request.method,
            url.path or "/",
            url.query,
            f"content-type:{media_type.reveal() if media_type is not None else ''}",
            f"host:{host_field(url)}",
            "",
            _SIGNED,
            sha256(request.body or b"").hexdigest(),
        ]
    )
    scope = f"{day}/{service}/tc3_request"
    to_sign = "\n".join([_ALGORITHM, str(seconds), scope, sha256(canonical.encode()).hexdigest()])
    signing_key = f"TC3{secret.reveal()}".encode()
    for part in scope.split("/"):
        signing_key = _hmac(signing_key, part)
    signature = _hmac(signing_key, to_sign).hex()
    added: dict[str, str | Secret] = {"X-TC-Timestamp": str(seconds)}
    if session_token is not None:
        added["X-TC-Token"] = session_token
    added["Authorization"] = Secret(
        f"{_ALGORITHM} Credential={key.reveal()}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}"
    )
    return added


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
