"""What helps to test code that sends mail: a real server that misbehaves on request, and more.

Every name is imported when it is first used, so importing this package costs next to nothing.

Example:
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
    from mailkit.testing.certificates import Certificate
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
    from mailkit.testing.received import ConnectionRecord, ReceivedMessage, Violation
    from mailkit.testing.server import SMTPServer

__all__ = [
    "Certificate",
    "CloseAfter",
    "ConnectionRecord",
    "Disconnect",
    "Drip",
    "Endless",
    "Fault",
    "Garbage",
    "InjectAfter",
    "Phase",
    "RawReply",
    "ReceivedMessage",
    "Refuse",
    "SMTPServer",
    "Stall",
    "StopReading",
    "TruncateTLS",
    "Violation",
]

_HOMES = {
    "certificates": ("Certificate",),
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
    "received": ("ConnectionRecord", "ReceivedMessage", "Violation"),
    "server": ("SMTPServer",),
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}


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
