"""SMTP: a sans-IO engine, the conversation over a stream, the pool and the transport."""

from __future__ import annotations

from mailkit.smtp.engine import TranscriptLine
from mailkit.smtp.options import Timeouts
from mailkit.smtp.pool import PoolLimits
from mailkit.smtp.transport import SMTP

__all__ = ["SMTP", "PoolLimits", "Timeouts", "TranscriptLine"]
