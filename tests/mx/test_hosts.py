"""How many exchangers a channel remembers, and for how long their connections stay open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from tests.colours import run_in

from mailkit.mx import hosts as module
from mailkit.mx.host_security import HostSecurity
from mailkit.mx.transport import COURTESY

if TYPE_CHECKING:
    import pytest
    from tests.mx.world import World

CLEAR = HostSecurity(level="opportunistic")
STRICT = HostSecurity(level="encrypted")


def test_a_host_is_one_by_its_name_and_security(world: World) -> None:
    """Connections made for less security are never used where more is wanted; addresses may change."""
    hosts = world.open()._network.hosts

    async def get() -> None:
        first = await hosts.get("mx.test", CLEAR, ("127.0.0.2",))
        assert await hosts.get("mx.test", CLEAR, ("127.0.0.3",)) is first
        assert first.addresses == ("127.0.0.3",)
        assert await hosts.get("mx.test", STRICT, ("127.0.0.2",)) is not first

    run_in(world.colour, get)


def test_idle_connections_are_closed(world: World) -> None:
    """Whoever was not spoken to for the idle timeout is hung up on, with a goodbye, when somebody else is."""
    first, second = world.server("mx1.test"), world.server("mx2.test")
    world.domain("one.test", "mx1.test")
    world.domain("two.test", "mx2.test")
    world.send("a@one.test")
    world.later(COURTESY.idle_timeout - 1)
    world.send("a@two.test")
    assert len(world.open()._network.hosts._hosts) == 2
    world.later(2)
    world.send("a@two.test")
    assert list(world.open()._network.hosts._hosts) == [("mx2.test", CLEAR)]
    assert first.wait_until(lambda server: "QUIT" in server.transcript)
    assert "QUIT" not in second.transcript


def test_the_number_of_hosts_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more hosts than there may be, the one used longest ago is closed."""
    monkeypatch.setattr(module, "MOST", 2)
    for number in (1, 2, 3):
        world.server(f"mx{number}.test")
        world.domain(f"d{number}.test", f"mx{number}.test")
    world.open(pool=evolve(COURTESY, idle_timeout=1000.0))
    for number in (1, 2, 3):
        world.later(1)
        world.send(f"a@d{number}.test")
    assert [name for name, _ in world.open()._network.hosts._hosts] == ["mx2.test", "mx3.test"]
    assert world.servers[0].wait_until(lambda server: "QUIT" in server.transcript)


def test_what_another_thread_has_closed_is_not_closed_again(world: World) -> None:
    """A host that loses its place while it is being looked at is left to whoever took it."""
    hosts = world.open()._network.hosts
    run_in(world.colour, hosts.get, "mx1.test", CLEAR, ("127.0.0.2",))
    world.later(COURTESY.idle_timeout + 1)
    taken = hosts._hosts

    class Racing(dict):  # type: ignore[type-arg]
        def copy(self) -> dict:  # type: ignore[type-arg]
            found = dict(self)
            self.pop(("mx1.test", CLEAR), None)
            return found

    hosts._hosts = Racing(taken)
    run_in(world.colour, hosts.get, "mx2.test", CLEAR, ("127.0.0.2",))
    assert list(hosts._hosts) == [("mx2.test", CLEAR)]


def test_closing_hangs_up_on_everybody(world: World) -> None:
    """After ``close`` no connection is left, and the channel may be used again."""
    server = world.server("mx.test")
    world.domain("example.org", "mx.test")
    world.send("bob@example.org")
    run_in(world.colour, world.open().close)
    assert server.wait_until(lambda server: "QUIT" in server.transcript)
    world.send("bob@example.org")
    assert (server.accepted_count, len(server.connections)) == (2, 2)
