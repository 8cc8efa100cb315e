"""mailkit as Django's e-mail backend: ``EMAIL_BACKEND = "mailkit.integrations.django.EmailBackend"``.

With ``"mailkit.integrations.django"`` in ``INSTALLED_APPS``, ``manage.py check`` looks at the settings too.
"""

from __future__ import annotations

from mailkit.integrations.framework import importing

with importing("django", "Django"):
    from mailkit.integrations.django.backend import EmailBackend
    from mailkit.integrations.django.signals import message_failed, message_sent

__all__ = ["EmailBackend", "message_failed", "message_sent"]
