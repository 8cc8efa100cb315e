"""A lock for a few steps that wait for nothing, whoever takes them: a thread, or a task of any event loop."""

from __future__ import annotations

from threading import Lock as Mutex

__all__ = ["Mutex"]
