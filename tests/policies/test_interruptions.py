"""An interruption anywhere, at each single wait of a delivery and of a stream, in every nesting of policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.policies.letters import Interrupted
from tests.policies.nesting import GONE, STRANGER
from tests.policies.scene import Scene, Source, check_left, check_usable, every_nesting, keyed, watch
from tests.policies.world import World, WorldEdge

from mailkit import Envelope
from mailkit.errors import DeliveryError
from mailkit.receipt import Receipt

if TYPE_CHECKING:
    from mailkit.receipt import Outcome

_ACTS = ["ok", "refused", ("accepted", "not_sent"), "throttled", "lost before", "ok", "busy"]


class Mixed(Source):
    """Some messages, among them some for people who are left out or redirected."""

    async def __anext__(self) -> object:  # type: ignore[override]
        message = await super().__anext__()
        if len(self.taken) % 3 == 2:
            message = self.taken[-1] = keyed(200 + len(self.taken), to=["bob@example.org", GONE, STRANGER])
        return message


def interrupted_at(number: int, names: tuple[str, ...], *, in_stream: bool) -> bool:
    """Interrupt the number-th step of a delivery or a stream; look at what is left. Return whether there was one."""
    world = World()
    scene = Scene(names, "blocking")
    edge = WorldEdge(world)
    was_interrupted = False

    async def go() -> None:
        nonlocal was_interrupted
        seen: list[Outcome] = []
        source = Mixed(6)
        message = keyed(50, to=["bob@example.org", STRANGER, "eve@example.net"])
        async with scene.opened(edge) as channel:
            scene.first.acts.extend(_ACTS)
            try:
                world.interrupts_at = world.steps + number
                if in_stream:
                    await watch(channel, source, seen)
                else:
                    scene.check(message, await channel.send(message, Envelope.from_message(message)))
            except Interrupted as interruption:
                was_interrupted = True
                if in_stream:
                    check_left(scene, source, seen, interruption)
                else:
                    delivery = interruption.delivery  # type: ignore[attr-defined]
                    assert isinstance(delivery, Receipt | DeliveryError)
                    scene.check(message, delivery)
            world.interrupts_at = None
            for office in scene.offices:
                office.acts.clear()
            await edge.sleep(100.0)  # until every breaker lets somebody through again
            await check_usable(scene, channel)

    world.run(go())
    return was_interrupted


@every_nesting
def test_an_interruption_anywhere_says_what_it_leaves(names: tuple[str, ...]) -> None:
    """Whatever a delivery waits for: it says what became of the message, which is true, and the channel goes on."""
    number = 1
    while interrupted_at(number, names, in_stream=False):
        number += 1
    assert number > 1


@every_nesting
def test_an_interruption_anywhere_in_a_stream_says_what_it_leaves(names: tuple[str, ...]) -> None:
    """Whatever a stream waits for: it says what became of each message that was taken, and the channel goes on."""
    number = 1
    while interrupted_at(number, names, in_stream=True):
        number += 1
    assert number > 6
