"""From a URL to a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.registry import transport_class
from mailkit.transport_url import TransportURL

if TYPE_CHECKING:
    from mailkit.transport import Transport

__all__ = ["transport_from_url"]


def transport_from_url(text: str) -> Transport:
    """Return the transport that a URL describes; nothing is connected to.

    Example:
        >>> str(transport_from_url("smtp://ada:secret@mail.example.com"))
        'smtp://mail.example.com:587'

    Raises:
        ConfigurationError: The URL is malformed, its scheme unknown, or a part of it wrong. The URL is not repeated in
            the message: it may hold a secret.
    """
    url = TransportURL.parse(text)
    return transport_class(url.scheme).from_url(url)
