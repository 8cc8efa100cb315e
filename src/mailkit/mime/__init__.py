"""Message → RFC 5322 octets, and a standard library message → the fields of a Message."""

from __future__ import annotations

from mailkit.mime.writer import BodyType, Rendered, render

__all__ = ["BodyType", "Rendered", "render"]
