"""The edges: the only place where mailkit touches sockets, clocks, threads, processes and event loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.edge.base import Edge, Lock, Slots, Stream, run_sync

if TYPE_CHECKING:
    from mailkit.edge.tls_options import TLS, TLSInfo

__all__ = ["TLS", "Edge", "Lock", "Slots", "Stream", "TLSInfo", "run_sync"]


if not TYPE_CHECKING:  # a type checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Import what only connecting needs when it is first asked for, then keep it (PEP 562)."""
        if name not in {"TLS", "TLSInfo"}:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from mailkit.edge import tls_options

        value = globals()[name] = getattr(tls_options, name)
        return value
