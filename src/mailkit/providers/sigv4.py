"""Signatures as AWS wants them: Signature Version 4.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from mailkit.secret import Secret

if TYPE_CHECKING:
    from datetime import datetime
    from urllib.parse import SplitResult

    from mailkit.edge.http import Request

__all__ = ["host_field", "signature_headers"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def signature_headers(
    request: Request,
    *,
    key: Secret,
    secret: Secret,
    session_token: Secret | None = None,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str | Secret]:
    """Return the header fields that sign a request: all that it has, its body, and these.

    Args:
        request: Complete, its URL percent-encoded; nothing may be changed in it afterwards.
        key: The access key's id.
        secret: The secret access key.
        session_token: What comes along with temporary credentials.
        region: Such as ``"eu-west-1"``.
        service: The service's signing name, such as ``"ses"``.
        now: The time, aware; AWS takes it for a few minutes.
    """
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added: dict[str, str | Secret] = {"X-Amz-Date": stamp}
    if session_token is not None:
        added["X-Amz-Security-Token"] = session_token
    url = urlsplit(request.url)
    fields: dict[str, list[str]] = {"host": [host_field(url)]}
    for name, value in (*request.headers, *((name, Secret.coerce(value)) for name, value in added.items())):
        fields.setdefault(name.lower(), []).append(" ".join(value.reveal().split()))
    names = ";".join(sorted(fields))
    canonical = "\n".join(
        [
            request.method,
            # The path is encoded once more than in the URL, for all services but S3.
            quote(url.path or "/", safe="/~"),
            "&".join(sorted(url.query.split("&"))),
            *[f"{name}:{','.join(fields[name])}" for name in sorted(fields)],
            "",
            names,
            sha256(request.body or b"").hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, stamp, scope, sha256(canonical.encode()).hexdigest()])
    signing_key = f"AWS4{secret.reveal()}".encode()
    for part in scope.split("/"):
        signing_key = _hmac(signing_key, part)
    signature = _hmac(signing_key, to_sign).hex()
    added["Authorization"] = Secret(
        f"{_ALGORITHM} Credential={key.reveal()}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return added


def host_field(url: SplitResult) -> str:
    """Return the Host field that HTTP clients make of a URL: in lower case, without the scheme's own port."""
    host = url.netloc.lower()
    return host.removesuffix(f":{url.port}") if url.port == _DEFAULT_PORTS.get(url.scheme) else host


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
