"""Direct to MX: each recipient's domain looked up, and its mail exchangers spoken to without a relay in between."""

from __future__ import annotations

from mailkit.mx.transport import DirectMX

__all__ = ["DirectMX"]
