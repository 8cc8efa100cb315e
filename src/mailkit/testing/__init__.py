"""What helps to test code that sends mail: a fake transport, a real server that misbehaves on request, and more.

Every name is imported when it is first used, so importing this package costs next to nothing.

Example:
    >>> from mailkit import Mailer, Message
    >>> from mailkit.testing import FakeTransport
    >>> fake = FakeTransport()
    >>> receipt = Mailer(fake).send(Message(from_="ada@example.com", to="bob@example.org", subject="Hello"))
    >>> fake.assert_sent(to="bob@example.org").subject
    'Hello'
    >>> from mailkit.testing import Disconnect, SMTPServer
    >>> with SMTPServer(users={"ada": "secret"}) as server:
    ...     _ = server.script("RCPT", "550 5.1.1 no such user", match="eve@example.net")
    ...     _ = server.script("DOT", Disconnect(after_bytes=3), skip=1)
    ...     server.messages
    ()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.local.sent import Sent
    from mailkit.testing.catching import catch_mail
    from mailkit.testing.certificates import Certificate
    from mailkit.testing.conformance import TransportContract
    from mailkit.testing.fake import FakeTransport
    from mailkit.testing.faults import (
        CloseAfter,
        Disconnect,
        Drip,
        Endless,
        Fault,
        Garbage,
        InjectAfter,
        Phase,
        RawReply,
        Refuse,
        Stall,
        StopReading,
        TruncateTLS,
    )
    from mailkit.testing.mailbox import Mailbox
    from mailkit.testing.received import ConnectionRecord, ReceivedMessage, Violation
    from mailkit.testing.rehearsal import Delivered
    from mailkit.testing.server import SMTPServer
    from mailkit.testing.unittest import MailboxMixin

__all__ = [
    "Certificate",
    "CloseAfter",
    "ConnectionRecord",
    "Delivered",
    "Disconnect",
    "Drip",
    "Endless",
    "FakeTransport",
    "Fault",
    "Garbage",
    "InjectAfter",
    "Mailbox",
    "MailboxMixin",
    "Phase",
    "RawReply",
    "ReceivedMessage",
    "Refuse",
    "SMTPServer",
    "Sent",
    "Stall",
    "StopReading",
    "TransportContract",
    "TruncateTLS",
    "Violation",
    "catch_mail",
]

_HOMES = {
    "catching": ("catch_mail",),
    "certificates": ("Certificate",),
    "conformance": ("TransportContract",),
    "fake": ("FakeTransport",),
    "faults": (
        "CloseAfter",
        "Disconnect",
        "Drip",
        "Endless",
        "Fault",
        "Garbage",
        "InjectAfter",
        "Phase",
        "RawReply",
        "Refuse",
        "Stall",
        "StopReading",
        "TruncateTLS",
    ),
    "mailbox": ("Mailbox",),
    "received": ("ConnectionRecord", "ReceivedMessage", "Violation"),
    "rehearsal": ("Delivered",),
    "server": ("SMTPServer",),
    "unittest": ("MailboxMixin",),
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
_HOME_OF["Sent"] = "mailkit.local.sent"


if not TYPE_CHECKING:  # a type checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for, then keep it (PEP 562)."""
        from importlib import import_module

        try:
            home = _HOME_OF[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, whether or not they were imported yet."""
    return sorted({*globals(), *__all__})
