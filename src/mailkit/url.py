"""From a URL to a transport, and to policies round transports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mailkit.errors import ConfigurationError
from mailkit.registry import POLICIES, transport_class
from mailkit.transport_url import TransportURL, frequency, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailkit.policies.composition import Composition
    from mailkit.transport import Transport

__all__ = ["transport_from_url"]


def transport_from_url(text: str) -> Transport:
    """Return the transport that a URL describes; nothing is connected to.

    Example:
        >>> str(transport_from_url("smtp://ada:secret@mail.example.com"))
        'smtp://mail.example.com:587'
        >>> str(transport_from_url("failover(smtp://ada:secret@mail.example.com null://)"))
        'failover(smtp://mail.example.com:587 null://)'

    Raises:
        ConfigurationError: The URL is malformed, its scheme or policy unknown, or a part of it wrong. The URL is not
            repeated in the message: it may hold a secret.
    """
    if "(" in text:  # nearly no URL has one, and then what reads policies need not be loaded
        from mailkit.policies.composition import parse_composition

        composed = parse_composition(text, POLICIES)
        if not isinstance(composed, str):
            return _composed(composed)
    url = TransportURL.parse(text)
    own, common = _parted(url)
    return _wrapped(transport_class(own.scheme).from_url(own), common)


def _composed(composition: Composition) -> Transport:
    members: list[tuple[str, Transport]] = []
    for number, (label, member) in enumerate(composition.members, 1):
        try:
            members.append((label, transport_from_url(member) if isinstance(member, str) else _composed(member)))
        except ConfigurationError as error:
            raise ConfigurationError(f"{composition.url.name}, URL {number}: {error}") from None
    module, _, kind = POLICIES[composition.url.scheme].partition(":")
    own, common = _parted(composition.url)
    policy: Any = getattr(import_module(f"mailkit.policies.{module}"), kind)
    return _wrapped(policy.from_members(members, own), common)


# -- what every URL may say beside its own parameters ------------------------------------------------------------------


def _parted(url: TransportURL) -> tuple[TransportURL, Mapping[str, Any]]:
    """Return the URL without the parameters that every URL may have, and these."""
    common = [(name, value) for name, value in url.query if name in _COMMON]
    if not common:
        return url, {}
    own = tuple((name, value) for name, value in url.query if name not in _COMMON)
    return evolve(url, query=own), evolve(url, query=tuple(common)).parameters(**_COMMON)


def _wrapped(transport: Transport, common: Mapping[str, Any]) -> Transport:
    """Return the transport inside of what these parameters ask for: each attempt of a retry counts for the rate."""
    if "rate" in common:
        from mailkit.policies.rate_limit import RateLimit

        transport = RateLimit(transport, messages=common["rate"])
    if "retries" in common:
        from mailkit.policies.retry import Retry, RetryPolicy

        transport = Retry(transport, RetryPolicy(attempts=1 + common["retries"]))
    return transport


_COMMON: Final[Mapping[str, Callable[[str], Any]]] = {"rate": frequency, "retries": whole}
