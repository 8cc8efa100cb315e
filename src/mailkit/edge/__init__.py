"""The edges: the only place where mailkit touches sockets, clocks, threads, processes and event loops."""

from __future__ import annotations

from mailkit.edge.base import TLS, Edge, Lock, Slots, Stream, TLSInfo, run_sync

__all__ = ["TLS", "Edge", "Lock", "Slots", "Stream", "TLSInfo", "run_sync"]
