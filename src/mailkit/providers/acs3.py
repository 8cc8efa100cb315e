"""Signatures as Alibaba Cloud wants them: ACS3-HMAC-SHA256.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hmac
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlsplit

from mailkit.providers.sigv4 import host_field
from mailkit.secret import Secret

if TYPE_CHECKING:
    from datetime import datetime

    from mailkit.edge.http import Request

__all__ = ["signature_headers"]

_ALGORITHM: Final = "ACS3-HMAC-SHA256"


def signature_headers(
    request: Request,
    *,
    key: Secret,
    secret: Secret,
    session_token: Secret | None = None,
    nonce: str,
    now: datetime,
) -> dict[str, str | Secret]:
    """Return the header fields that sign a request: all that it has, its body, and these.

    Args:
        request: Complete, with ``x-acs-action`` and ``x-acs-version``; nothing may be changed in it afterwards.
        key: The access key's id.
        secret: The access key's secret.
        session_token: What comes along with temporary credentials.
        nonce: What no other request has: Alibaba Cloud takes each one once.
        now: The time, aware; Alibaba Cloud takes it for a quarter of an hour.
    """
    body_hash = sha256(request.body or b"").hexdigest()
    added: dict[str, str | Secret] = {
        "x-acs-date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": body_hash,
    }
    if session_token is not None:
        added |= {"x-acs-accesskey-id": key, "x-acs-security-token": session_token}
    url = urlsplit(request.url)
    fields: dict[str, list[str]] = {"host": [host_field(url)]}
    for name, value in (*request.headers, *((name, Secret.coerce(value)) for name, value in added.items())):
        fields.setdefault(name.lower(), []).append(value.reveal())
    names = ";".join(sorted(fields))
    canonical = "\n".join(
        [
            request.method,
            url.path or "/",
            "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(_parameters(url.query))]),
            *[f"{name}:{','.join(sorted(fields[name]))}" for name in sorted(fields)],
            "",
            names,
            body_hash,
        ]
    )
    to_sign = f"{_ALGORITHM}\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(secret.reveal().encode(), to_sign.encode(), "sha256").hex()
    added["Authorization"] = Secret(
        f"{_ALGORITHM} Credential={key.reveal()},SignedHeaders={names},Signature={signature}"
    )
    return added


def _parameters(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _quoted(text: str) -> str:
    return quote(text, safe="~")
