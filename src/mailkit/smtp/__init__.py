"""SMTP: a sans-IO engine, the conversation over a stream, the pool and the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.edge.records import NameServers
    from mailkit.proxy import Proxy
    from mailkit.smtp.engine import TranscriptLine
    from mailkit.smtp.pool_limits import PoolLimits
    from mailkit.smtp.timeouts import Timeouts
    from mailkit.smtp.transport import SMTP

__all__ = ["SMTP", "NameServers", "PoolLimits", "Proxy", "Timeouts", "TranscriptLine"]

_HOMES = {
    "SMTP": "mailkit.smtp.transport",
    "NameServers": "mailkit.edge.records",
    "PoolLimits": "mailkit.smtp.pool_limits",
    "Proxy": "mailkit.proxy",
    "Timeouts": "mailkit.smtp.timeouts",
    "TranscriptLine": "mailkit.smtp.engine",
}


if not TYPE_CHECKING:  # a type checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for, then keep it (PEP 562)."""
        from importlib import import_module

        if name not in _HOMES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
