"""Reading what a server delivered, and waiting for it."""

from __future__ import annotations

import email
import email.policy
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from .processes import wait_until

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

__all__ = ["Delivered", "MaildirTree"]

# What the servers write above the message as it came in (RFC 5321 §4.4 and the delivery agents' own).
_TRACE_FIELDS: Final = frozenset((b"return-path", b"x-original-to", b"delivered-to", b"received"))


@frozen
class Delivered:
    """One file of a maildir."""

    #: Whose copy it is, as :func:`same_for_all` writes addresses.
    recipient: str
    #: The file as it is, with the server's line ends (LF) and trace fields.
    data: bytes = field(repr=False)

    @property
    def message(self) -> EmailMessage:
        """The message, parsed by the standard library."""
        parsed: EmailMessage = email.message_from_bytes(self.data, policy=email.policy.default)
        return parsed

    @property
    def return_path(self) -> str:
        """The envelope's sender; empty for a bounce."""
        return str(self.message["Return-Path"]).strip().removeprefix("<").removesuffix(">")

    @property
    def content(self) -> bytes:
        """The bytes as the client sent them: CRLF, and without the trace fields on top.

        A message that a client sent with trace fields of its own at its very beginning would lose those too.
        """
        lines = self.data.split(b"\n")
        start = 0
        while start < len(lines) and _is_trace(lines[start]):
            start += 1
            while start < len(lines) and lines[start][:1] in {b" ", b"\t"}:
                start += 1
        return b"\r\n".join(lines[start:])


class MaildirTree:
    """The maildirs below a folder.

    They are ``domain/user`` each, or ``name`` for many users; then the delivery agent's Delivered-To says
    whose a message is. Servers move a finished file into ``new`` by one rename: what is there is complete.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[Path, Delivered] = {}

    def all(self) -> list[Delivered]:
        """Everything delivered so far."""
        for folder in self.root.glob("*/new"):
            self._read_new(folder, owner=None)
        for folder in self.root.glob("*/*/new"):
            user = folder.parent
            self._read_new(folder, owner=f"{user.name}@{user.parent.name}")
        return list(self._seen.values())

    def _read_new(self, folder: Path, *, owner: str | None) -> None:
        for path in folder.iterdir():
            if path not in self._seen:
                data = path.read_bytes()
                self._seen[path] = Delivered(same_for_all(owner or _delivered_to(data)), data)

    def of(self, recipient: str) -> list[Delivered]:
        """What was delivered so far to ``recipient``: an address, or ``"@domain"`` for all of them."""
        end = same_for_all(recipient)
        return [
            delivered
            for delivered in self.all()
            if delivered.recipient == end or (end.startswith("@") and delivered.recipient.endswith(end))
        ]

    def wait(self, recipient: str, *, count: int = 1, seconds: float = 30.0) -> list[Delivered]:
        """Wait until ``count`` messages have been delivered to ``recipient`` (see :meth:`of`).

        Raises:
            AssertionError: There were fewer after ``seconds``, or there are more.
        """
        enough = wait_until(lambda: len(self.of(recipient)) >= count, seconds=seconds)
        found = self.of(recipient)
        if not enough or len(found) > count:
            raise AssertionError(f"{recipient} has {len(found)} messages, not {count}, after {seconds} s")
        return found

    def one(self, recipient: str, *, seconds: float = 30.0) -> Delivered:
        """Wait for the one message to ``recipient``."""
        return self.wait(recipient, seconds=seconds)[0]


def same_for_all(address: str) -> str:
    """Write an address, or ``"@domain"``, in the one way that all its forms share: no capitals, A-labels."""
    local, _, domain = address.casefold().rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


def _is_trace(line: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() in _TRACE_FIELDS


def _delivered_to(data: bytes) -> str:
    head = data.partition(b"\n\n")[0]
    for line in head.split(b"\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"delivered-to":
            return value.strip().decode()
    raise AssertionError(f"no Delivered-To in\n{head.decode(errors='backslashreplace')}")
