"""Whatever exchangers do, in whatever order: the results say what their ledgers say, and nobody gets two copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from hypothesis import given
from hypothesis import strategies as st
from tests.mx.world import World, letter

from mailkit import DeliveryError, Receipt
from mailkit.receipt import Status
from mailkit.testing import CloseAfter, Disconnect, Garbage

if TYPE_CHECKING:
    from mailkit.receipt import RecipientResult

PHASES = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "DOT"]
FAULTS: list[Any] = [
    "421 4.3.2 closing",
    "450 4.2.0 later",
    "550 5.0.0 never",
    Disconnect(),
    Disconnect(rst=True),
    Disconnect(after_bytes=2),
    Garbage(),
    CloseAfter("421 4.3.2 closing"),
    CloseAfter("550 5.0.0 never"),
]
WITHOUT: list[tuple[str, ...]] = [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")]

trouble = st.tuples(st.sampled_from(PHASES), st.sampled_from(FAULTS), st.integers(0, 2), st.sampled_from([1, None]))
hosts = st.lists(st.tuples(st.sampled_from(WITHOUT), st.lists(trouble, max_size=2)), min_size=1, max_size=3)


@given(st.lists(hosts, min_size=1, max_size=2), st.integers(1, 3))
def test_results_are_what_the_ledgers_say(domains: list[list[Any]], recipients: int) -> None:
    """Accepted means accepted by one server; deferred, rejected and not sent mean by none; two have it never."""
    with World(timeout=2.0) as world:
        to: list[str] = []
        for number, exchangers in enumerate(domains):
            names: list[str] = []
            for without, troubles in exchangers:
                name = f"mx{len(world.servers)}.test"
                server = world.server(name, without=without)
                for phase, fault, skip, times in troubles:
                    server.script(phase, fault, skip=skip, times=times)
                names.append(name)
            world.domain(f"d{number}.test", *names)
            to += [f"user{each}@d{number}.test" for each in range(recipients)]
        result = world.attempt(message=letter(*to))
        assert isinstance(result, Receipt | DeliveryError)
        assert [each.address for each in result.recipients] == to
        for each in result.recipients:
            check(world, each)
        statuses = [each.status for each in result.recipients]
        assert isinstance(result, Receipt) == ("accepted" in statuses)
        if isinstance(result, DeliveryError):
            worst = next(each for each in ("unknown", "rejected", "deferred", "not_sent") if each in statuses)
            assert result.outcome == worst


def check(world: World, result: RecipientResult) -> None:
    """Compare one recipient's result with what the servers have."""
    assert result.status in get_args(Status)
    accepted = sum(result.address in message.rcpt_to for server in world.servers for message in server.messages)
    committed = sum(result.address in message.rcpt_to for server in world.servers for message in server.committed)
    assert committed <= 1, "two servers got the whole message"
    if result.status == "accepted":
        assert accepted == 1
    elif result.status != "unknown":
        assert accepted == 0
