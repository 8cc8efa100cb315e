"""Simulates an outage with 1,000 clients; writes ``docs/explanation/outage.svg`` and the numbers in ``outages.md``.

Run ``python docs/outage_simulation.py`` from the repository's root. The retry policies, budgets and breakers are the
real ones; only the clock, the provider and what lies between are simulated. A test says when the page is not up to
date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from attrs import define, field

ROOT: Final = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the simulated world is the tests' own

from tests.policies.world import World, WorldEdge  # noqa: E402

from mailkit import Capabilities, CircuitBreaker, Envelope, Message, Receipt, RecipientResult, RetryPolicy  # noqa: E402
from mailkit.errors import DeliveryError, TransientError  # noqa: E402
from mailkit.policies import Retry  # noqa: E402
from mailkit.transport import Channel  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailkit.edge import Edge
    from mailkit.transport import Transport

__all__ = ["PAGE", "PLOT", "VARIANTS", "Provider", "main", "page", "plot", "simulate"]

PAGE: Final = ROOT / "docs" / "explanation" / "outages.md"
PLOT: Final = ROOT / "docs" / "explanation" / "outage.svg"

CLIENTS: Final = 1000
EVERY: Final = 5.0
"""Seconds between two messages of a client, on average."""
BEGIN: Final = 30.0
END: Final = 210.0
LAST: Final = 270.0
"""When the outage begins, when it ends, and when clients stop sending, in seconds."""
LATENCY: Final = 0.05
BIN: Final = 5
"""Seconds that a point of the plot is an average over."""

_BEGIN: Final = "<!-- numbers: written by docs/outage_simulation.py -->\n"
_END: Final = "<!-- end of the numbers -->\n"

VARIANTS: Final[Mapping[str, Callable[[Transport], Transport]]] = {
    "no retries": lambda provider: Retry(provider, RetryPolicy.none()),
    "retries without a budget": lambda provider: Retry(provider, RetryPolicy(budget=None)),
    "retries with the default budget": lambda provider: Retry(provider, RetryPolicy()),
    "budget and circuit breaker": lambda provider: Retry(CircuitBreaker(provider), RetryPolicy()),
}
"""By name: what each client has round the provider."""
COLOURS: Final = ("#666666", "#c1272d", "#0a5fb4", "#008055")


@define(eq=False)
class Provider:
    """Whom everybody sends through: while it is down, it answers that it cannot now.

    Args:
        begin: When that begins.
        end: When it ends.
        last: How long the simulation is.
    """

    begin: float
    end: float
    last: float
    requests: list[int] = field(init=False)
    """How many requests reached it, by second."""
    accepted: int = 0
    capabilities: Capabilities = field(factory=Capabilities)

    def __attrs_post_init__(self) -> None:
        self.requests = [0] * (int(self.last) + 120)

    def open(self, edge: Edge) -> Channel:
        """Return a channel to it."""
        return _ProviderChannel(self, edge)

    def __str__(self) -> str:
        return "provider://"

    def rate(self, begin: float, end: float) -> float:
        """Return how many requests a second there were."""
        return sum(self.requests[int(begin) : int(end)]) / (end - begin)

    def peak(self, begin: float, end: float) -> int:
        """Return how many requests there were in the worst second."""
        return max(self.requests[int(begin) : int(end)])


class _ProviderChannel(Channel):
    def __init__(self, provider: Provider, edge: Edge) -> None:
        super().__init__(provider)
        self._provider = provider
        self._edge = edge

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        provider, now = self._provider, self._edge.now()
        provider.requests[int(now)] += 1
        await self._edge.sleep(LATENCY)
        (path,) = envelope.rcpt_to
        if provider.begin <= now < provider.end:
            result = RecipientResult(path.addr_spec, status="not_sent")
            raise TransientError("503", outcome="not_sent", recipients=[result], transport=str(provider))
        provider.accepted += 1
        result = RecipientResult(path.addr_spec, status="accepted")
        return Receipt(message_id=message.message_id or "", transport=str(provider), recipients=[result])


@define
class Result:
    """What came of a simulation."""

    provider: Provider
    sent: int
    """How many messages there were."""
    lost: int
    """How many of them ended in an error, which the application has to deal with."""


def simulate(
    wrapped: Callable[[Transport], Transport],
    *,
    clients: int = CLIENTS,
    begin: float = BEGIN,
    end: float = END,
    last: float = LAST,
) -> Result:
    """Let every client send through a transport of its own, at random times, always the same."""
    world = World(seed=5)
    world.time = 0.0
    edge = WorldEdge(world)
    provider = Provider(begin, end, last)
    message = Message(from_="ada@example.com", to="bob@example.org", text="Hi", message_id="1@example.com").completed()
    envelope = Envelope.from_message(message)
    result = Result(provider, 0, 0)

    async def send(channel: Channel) -> None:
        try:
            await channel.send(message, envelope)
        except DeliveryError:
            result.lost += 1

    async def live(random: Random, channel: Channel) -> None:
        # Nothing but products of random numbers, which are the same on every machine.
        await edge.sleep(random.random() * EVERY)
        while edge.now() < last:
            result.sent += 1
            world.spawn(send(channel))
            await edge.sleep(random.random() * 2 * EVERY)

    for number in range(clients):
        world.spawn(live(Random(number), wrapped(provider).open(edge)))
    world.run_until(last + 100)
    return result


def plot(results: Mapping[str, Result]) -> str:
    """Draw the requests a second as SVG."""
    width, height, left, top, bottom = 860, 430, 62, 58, 46
    highest = 100 * (1 + max(result.provider.peak(0, LAST) for result in results.values()) // 100)

    def x(seconds: float) -> float:
        return round(left + (width - left - 20) * seconds / LAST, 1)

    def y(rate: float) -> float:
        return round(height - bottom - (height - bottom - top) * rate / highest, 1)

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            'font-size="13" role="img">'
        ),
        "<title>Requests that reach a provider each second, before, during and after an outage</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        (
            f'<rect x="{x(BEGIN)}" y="{top}" width="{round(x(END) - x(BEGIN), 1)}" height="{height - bottom - top}" '
            'fill="#f3e3e3"/>'
        ),
        f'<text x="{x((BEGIN + END) / 2)}" y="{top + 16}" text-anchor="middle" fill="#803030">outage</text>',
    ]
    for rate in range(0, highest + 1, 100):
        parts += [
            f'<line x1="{left}" x2="{width - 20}" y1="{y(rate)}" y2="{y(rate)}" stroke="#dddddd"/>',
            f'<text x="{left - 8}" y="{y(rate) + 4}" text-anchor="end" fill="#333333">{rate}</text>',
        ]
    parts += [
        f'<text x="{x(at)}" y="{height - bottom + 18}" text-anchor="middle" fill="#333333">{at}</text>'
        for at in range(0, int(LAST) + 1, 30)
    ]
    parts += [
        f'<text x="{x(LAST / 2)}" y="{height - 8}" text-anchor="middle" fill="#333333">seconds</text>',
        (
            f'<text transform="translate(16 {(height - bottom + top) / 2}) rotate(-90)" text-anchor="middle" '
            'fill="#333333">requests a second</text>'
        ),
    ]
    for place, ((name, result), colour) in enumerate(zip(results.items(), COLOURS, strict=True)):
        points = " ".join(
            f"{x(at + BIN / 2)},{y(result.provider.rate(at, at + BIN))}" for at in range(0, int(LAST), BIN)
        )
        across, down = left + 20 + 400 * (place % 2), 20 + 20 * (place // 2)
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<line x1="{across}" x2="{across + 28}" y1="{down}" y2="{down}" stroke="{colour}" stroke-width="3"/>',
            f'<text x="{across + 36}" y="{down + 4}" fill="#333333">{name}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _numbers(results: Mapping[str, Result]) -> str:
    usual = results["no retries"].provider.rate(BEGIN, END)
    lines = [
        (
            "| each client has | requests a second in the outage | times the messages | in its last minute | "
            "worst second after it | messages that ended in an error |"
        ),
        f"|---|{'---:|' * 5}",
    ]
    for name, result in results.items():
        provider = result.provider
        during, late = provider.rate(BEGIN, END), provider.rate(END - 60, END)
        lines.append(
            f"| {name} | {during:.0f} | {during / usual:.2f} | {late:.0f} | {provider.peak(END, LAST)} | "
            f"{result.lost:,} of {result.sent:,} |"
        )
    return "\n".join([*lines, ""])


def page(results: Mapping[str, Result]) -> str:
    """Return the page with the numbers of these results."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}{_numbers(results)}{_END}{after}"


def main() -> None:
    """Simulate, and write."""
    results = {name: simulate(wrapped) for name, wrapped in VARIANTS.items()}
    PLOT.write_text(plot(results), encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
