"""Just enough of DER (X.690) to find one's way through a certificate."""

from __future__ import annotations

from typing import Final

from attrs import frozen

__all__ = ["EXPLICIT_0", "OBJECT_IDENTIFIER", "SEQUENCE", "Element", "dotted", "read"]

SEQUENCE: Final = 0x30
OBJECT_IDENTIFIER: Final = 0x06
EXPLICIT_0: Final = 0xA0


@frozen
class Element:
    """One element.

    Args:
        tag: Its identifier octet.
        content: What is inside.
        whole: All of it.
        rest: What follows it.
    """

    tag: int
    content: bytes
    whole: bytes
    rest: bytes


def read(data: bytes, tag: int | None = None) -> Element:
    """Read one element (X.690 §8.1).

    Args:
        data: It begins with the element.
        tag: The identifier octet that it must have; any where None.

    Raises:
        ValueError: It is not there, not of this tag, or cut off.
    """
    if len(data) < 2 or tag not in {None, data[0]}:
        raise ValueError("another element was expected")
    length, start = data[1], 2
    if length & 0x80:  # the long form: the other bits say how many bytes the length has
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    end = start + length
    if end > len(data):
        raise ValueError("the element is cut off")
    return Element(data[0], data[start:end], data[:end], data[end:])


def dotted(content: bytes) -> str:
    """Write the content of an object identifier as people do (X.690 §8.19).

    Raises:
        ValueError: It is empty.
    """
    numbers: list[int] = []
    number = 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    if not numbers:
        raise ValueError("the object identifier is empty")
    top = min(numbers[0] // 40, 2)
    return ".".join(map(str, (top, numbers[0] - 40 * top, *numbers[1:])))
