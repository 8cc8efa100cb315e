"""What is sent: letters that every contestant can build, each with another recipient and another subject."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["AUTHOR", "AUTHOR_NAME", "Letter", "endless_letters", "letters"]

AUTHOR = "zoe@example.com"
AUTHOR_NAME = "Zoë Müller"

_TEXT = """Hello {name},

thank you for your order {number}. It leaves our warehouse today, and should be with you within two working days.
You can follow it here: https://shop.example.com/orders/{number}

If anything is wrong with it, just answer this message: a human being reads it.

Kind regards
Your team
"""
_HTML = """<html><body>
<p>Hello {name},</p>
<p>thank you for your order <b>{number}</b>. It leaves our warehouse today,
and should be with you within two working days.</p>
<p><a href="https://shop.example.com/orders/{number}">Follow it</a></p>
<p>If anything is wrong with it, just answer this message: a human being reads it.</p>
<p>Kind regards<br>Your team</p>
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """The parts of a message, as an application has them."""

    to: tuple[tuple[str, str], ...]
    """Name and address of each recipient."""
    subject: str
    text: str
    html: str
    attachment: bytes | Path | None = None

    @property
    def addresses(self) -> list[str]:
        """The recipients' addresses."""
        return [address for _, address in self.to]


def letters(
    number: int, *, recipients: int = 1, attachment: bytes | Path | None = None, alike: bool = False
) -> list[Letter]:
    """Return letters.

    Args:
        number: How many.
        recipients: How many recipients each has.
        attachment: What goes along.
        alike: Whether they are all the same, so that whoever remembers what it has written gains by it.
    """
    return [_letter(0 if alike else index, recipients, attachment) for index in range(number)]


def endless_letters() -> Iterator[Letter]:
    """Yield letters to one recipient each, no two alike, without end."""
    for number in count():
        yield _letter(number, 1, None)


def _letter(number: int, recipients: int, attachment: bytes | Path | None) -> Letter:
    people = tuple(
        (f"Bjørn {number} Ångström", f"bjorn.{number}.{index}@example{number % 40}.org") for index in range(recipients)
    )
    name = people[0][0].encode("ascii", "replace").decode()
    return Letter(
        to=people,
        subject=f"Größe bestätigt: Bestellung {number}",
        text=_TEXT.format(name=name, number=number),
        html=_HTML.format(name=name, number=number),
        attachment=attachment,
    )
