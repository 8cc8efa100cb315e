"""What an interruption tells of a stream of messages, brought together with what was taken of the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.receipt import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailkit.message import Message

__all__ = ["matched"]


def matched(taken: Iterable[Message | Outcome], told: Sequence[Outcome]) -> list[Outcome | None]:
    """Return what is told of each message that was taken and not answered; None of one that nothing is told of.

    An interruption may come in between two layers, when the one below has given an outcome away and the one above has
    not got it yet: then what is told begins with a later message than what was taken. So the messages are compared, and
    not only counted.

    Args:
        taken: The messages, in order; an outcome for one that was decided before.
        told: The outcomes that the interruption carries, in the same order.
    """
    items = list(taken)
    start = next((place for place, item in enumerate(items) if told and _is_about(told[0], item)), 0)
    places = range(-start, len(items) - start)
    return [told[place] if 0 <= place < len(told) else None for place in places]


def _is_about(outcome: Outcome, item: Message | Outcome) -> bool:
    message = item.message if isinstance(item, Outcome) else item
    mine = outcome.message
    return mine is message or (mine.message_id is not None and mine.message_id == message.message_id)
