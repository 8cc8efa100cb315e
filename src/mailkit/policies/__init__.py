"""What is done around a delivery: trying again."""

from __future__ import annotations

from mailkit.policies.retry import RetryPolicy

__all__ = ["RetryPolicy"]
