"""The SMTP password that belongs to a secret access key of AWS."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import digest
from typing import Final

from mailkit.secret import Secret

__all__ = ["ses_password"]

_VERSION: Final = 4
_LENGTH: Final = 33  # octets: the version and a SHA-256


def ses_password(secret: str | Secret, region: str) -> Secret:
    """Return the SMTP password that belongs to a secret access key; an SMTP password is returned as it is.

    SMTP passwords hold for one region, and there is none for temporary credentials:
    https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html.

    Example:
        >>> ses_password("some+secret+key", "eu-central-1").reveal()
        'BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2'

    Args:
        secret: The secret access key, 40 characters, or an SMTP password: 33 octets in Base64, a 4 first.
        region: Such as ``"eu-west-1"``.
    """
    given = Secret.coerce(secret)
    try:
        octets = b64decode(given.reveal(), validate=True)
    except ValueError:
        octets = b""
    if len(octets) == _LENGTH and octets[0] == _VERSION:
        return given
    signature = f"AWS4{given.reveal()}".encode()
    for part in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = digest(signature, part.encode(), sha256)
    return Secret(b64encode(bytes([_VERSION]) + signature).decode("ascii"))
