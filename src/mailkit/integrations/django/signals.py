"""What a Django project can listen to."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

__all__ = ["message_failed", "message_sent"]

message_sent: Final = Signal()
"""A message was accepted for at least one recipient. Sent by the backend's class, with ``message`` (Django's),
``receipt`` and ``alias``. A receiver that raises is logged; it cannot make a message look unsent. What receivers send
is not told of."""

message_failed: Final = Signal()
"""A message was accepted for nobody. Sent by the backend's class, with ``message``, ``error`` and ``alias``, also where
`fail_silently` keeps the error from the caller."""
