"""What a retry policy, hooks, the log and OpenTelemetry add to a message that is accepted at once."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from figures import Contestant, Report, Skipped, arguments, installed, side_by_side

import mailkit
from mailkit import Capabilities, Envelope, Hooks, Mailer, Message, Outcome, Receipt, RecipientResult, RetryPolicy
from mailkit.edge.base import run_sync
from mailkit.transport import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mailkit.edge import Edge

WORK = "one message that is accepted at once, above what it costs without a mailer"
UNITS = ("µs, send", "µs, send_many")
MESSAGES = 3000
MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob").completed()
RECEIPT = Receipt(
    message_id="1@host", transport="at-once://", recipients=[RecipientResult("bob@example.org", status="accepted")]
)


class AtOnce:
    """A transport that costs nothing: what is left is what is round it."""

    capabilities = Capabilities.everything()

    def open(self, edge: Edge) -> Channel:
        """Return a channel."""
        del edge
        return AtOnceChannel(self)

    def __str__(self) -> str:
        return "at-once://"


class AtOnceChannel(Channel):
    """It has a receipt ready."""

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Accept the message."""
        return RECEIPT


async def _messages() -> AsyncIterator[Message | Outcome]:
    for _ in range(MESSAGES):
        yield MESSAGE


def _cost(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return 1e6 * (time.process_time() - started) / MESSAGES


def _without_send() -> None:
    """Do what a mailer cannot do without: complete the message, address it, hand it over."""
    channel = AtOnceChannel(AtOnce())

    async def one() -> Receipt:
        message = MESSAGE.completed()
        return await channel.send(message, Envelope.from_message(message))

    for _ in range(MESSAGES):
        run_sync(one())


def _without_send_many() -> None:
    channel = AtOnceChannel(AtOnce())

    async def all_of_them() -> None:
        async for _ in channel.send_many(_messages()):
            pass

    run_sync(all_of_them())


def _send(mailer: Mailer) -> None:
    for _ in range(MESSAGES):
        mailer.send(MESSAGE)


def _send_many(mailer: Mailer) -> None:
    with closing(mailer.send_many([MESSAGE] * MESSAGES)) as outcomes:
        for _ in outcomes:
            pass


def _above(mailer: Mailer) -> tuple[float, float]:
    """Return what a mailer adds; each is measured right beside what it is compared with."""
    return (
        _cost(partial(_send, mailer)) - _cost(_without_send),
        _cost(partial(_send_many, mailer)) - _cost(_without_send_many),
    )


def _mailers(report: Report) -> dict[str, Mailer]:
    transport = AtOnce()
    mailers = {
        "the default: retries, and nobody listens": Mailer(transport),
        "no retries, no log": Mailer(transport, retry=RetryPolicy.none(), hooks=Hooks(log="off")),
        "before_send and after_send": Mailer(transport, hooks=Hooks(before_send=id, after_send=id)),
        "all events": Mailer(transport, hooks=Hooks(on_event=id)),
    }
    try:
        installed("opentelemetry-api")
        from mailkit.integrations.opentelemetry import Telemetry

        mailers["OpenTelemetry's API alone"] = Mailer(transport, hooks=Hooks(on_event=Telemetry()))
    except Skipped as skipped:
        report.skip(str(skipped))
    return mailers


def _logged() -> tuple[float, float]:
    logger = logging.getLogger("mailkit.events")
    handler = logging.Handler()
    handler.emit = handler.format  # type: ignore[assignment]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        return _above(Mailer(AtOnce()))
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=15)
    report = Report("Policies and hooks: what they add to a success (processor time)", given.json)
    contestants = [
        Contestant(name, mailkit.__version__, partial(_above, mailer)) for name, mailer in _mailers(report).items()
    ]
    contestants.append(Contestant("a line of the log for each", mailkit.__version__, _logged))
    table = side_by_side(WORK, UNITS, contestants, rounds=given.rounds, ratios=False)
    table.bound(contestants[0].name, 5.0)
    report.show(table)


if __name__ == "__main__":
    main()
