"""What every transport promises holds for direct delivery, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.mx.world import World

from mailkit.mx import DirectMX
from mailkit.testing import Delivered, TransportContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class TestDirectMX(TransportContract):
    """Two domains, one exchanger."""

    world: World

    @pytest.fixture(autouse=True)
    def _world(self) -> Iterator[None]:
        with World() as world:
            world.server("mx.test")
            for domain in ("example.org", "example.net", "example.com"):
                world.domain(domain, "mx.test")
            self.world = world
            yield

    def make_transport(self) -> DirectMX:
        """Return a transport into the world."""
        return DirectMX(
            "client.example.com", port=self.world.port, private_networks=True, name_servers=self.world.dns.servers
        )

    def delivered(self) -> Sequence[Delivered] | None:
        """Return what the exchanger has got, the copies for several domains as one message."""
        found: dict[bytes, list[str]] = {}
        for message in self.world.servers[0].messages:
            found.setdefault(message.data, []).extend(message.rcpt_to)
        return [Delivered(content=content, recipients=tuple(to)) for content, to in found.items()]
