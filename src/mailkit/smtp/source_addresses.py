"""From which of this machine's addresses to connect: each in turn, and for a while not from one that cannot."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import count
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["LEFT_OUT", "SourceAddresses", "check_source_address"]

LEFT_OUT: Final = 60.0
"""Seconds for which an address, or a host, that could not connect is passed over, while there are others."""


def check_source_address(value: str | Iterable[str] | None) -> str | tuple[str, ...] | None:
    """Return one address as it is, several as a tuple.

    Raises:
        ConfigurationError: One is no IP address, one is given twice, or there is none.
    """
    if value is None:
        return None
    given = (value,) if isinstance(value, str) else tuple(value)
    for address in given:
        try:
            ip_address(address)
        except ValueError:
            raise ConfigurationError(
                f"source_address {address!r} is no IP address; give one of this machine's own"
            ) from None
    if not given or len(set(given)) < len(given):
        raise ConfigurationError("source_address names no address, or one twice; give each once, or None")
    return value if isinstance(value, str) else given


class SourceAddresses:
    """The addresses of one transport.

    Threads and tasks share it; two that come at once may get the same address, which does no harm.

    Args:
        given: One, several or none.
        now: The edge's clock.
    """

    def __init__(self, given: str | tuple[str, ...] | None, now: Callable[[], float]) -> None:
        addresses = (given,) if isinstance(given, str) else given or ()
        families: dict[int, list[str]] = {}
        for address in addresses:
            families.setdefault(ip_address(address).version, []).append(address)
        self._rotas = [_Rota(family, now) for family in families.values()]

    @property
    def most(self) -> int:
        """How many choices there are."""
        return max((len(rota.addresses) for rota in self._rotas), default=1)

    def choose(self) -> tuple[str, ...]:
        """Return the next one of each family: which of them is bound to depends on the destination's address."""
        return tuple(rota.choose() for rota in self._rotas)

    def note_failure(self, chosen: tuple[str, ...]) -> None:
        """Leave out for a while what could not connect."""
        for rota in self._rotas:
            rota.leave_out(chosen)


class _Rota:
    """The addresses of one family.

    Args:
        addresses: At least one.
        now: The edge's clock.
    """

    def __init__(self, addresses: list[str], now: Callable[[], float]) -> None:
        self.addresses = addresses
        self._now = now
        self._turns = count()
        self._out_until: dict[str, float] = {}

    def choose(self) -> str:
        first = next(self._turns)
        now = self._now()
        in_turn = [self.addresses[(first + offset) % len(self.addresses)] for offset in range(len(self.addresses))]
        # There is always one: see below.
        return next((each for each in in_turn if self._out_until.get(each, 0.0) <= now), in_turn[0])

    def leave_out(self, chosen: tuple[str, ...]) -> None:
        now = self._now()
        self._out_until.update((each, now + LEFT_OUT) for each in chosen if each in self.addresses)
        if all(self._out_until.get(each, 0.0) > now for each in self.addresses):
            self._out_until.clear()  # when none can connect, it is the server's fault, not theirs
