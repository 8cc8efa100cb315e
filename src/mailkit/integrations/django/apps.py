"""The Django application: it has nothing but system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

__all__ = ["MailkitConfig"]


class MailkitConfig(AppConfig):
    """``"mailkit.integrations.django"`` in ``INSTALLED_APPS``."""

    name: str = "mailkit.integrations.django"
    label: str = "mailkit"

    def ready(self) -> None:
        """Register the checks."""
        from mailkit.integrations.django.checks import check_settings

        register(check_settings)
