"""The version, written once: the build backend and ``mailkit.__version__`` read it here."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
