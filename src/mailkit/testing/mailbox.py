"""Mailbox: a FakeTransport that is also the sequence of what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from attrs import frozen

from mailkit.testing.fake import FakeTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailkit.local import Sent

__all__ = ["Mailbox"]


@frozen(eq=False, kw_only=True)
class Mailbox(FakeTransport):
    """What the pytest fixture `mailbox` gives a test: everything that any mailer sends while the test runs.

    Example:
        >>> mailbox = Mailbox()
        >>> len(mailbox), list(mailbox)
        (0, [])
    """

    def __len__(self) -> int:
        return len(self.outbox)

    def __iter__(self) -> Iterator[Sent]:
        return iter(list(self.outbox))

    @overload
    def __getitem__(self, index: int) -> Sent: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sent]: ...

    def __getitem__(self, index: int | slice) -> Sent | Sequence[Sent]:
        return self.outbox[index]

    def __str__(self) -> str:
        return "mailbox://"
