"""The smallest Django project that sends mail: imported first by whatever tests the backend."""

from __future__ import annotations

import warnings

import django
from django.conf import settings

BACKEND = "mailkit.integrations.django.EmailBackend"

if not settings.configured:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in 6.1 EMAIL_BACKEND itself is what warns, of MAILERS to come
        settings.configure(
            EMAIL_BACKEND=BACKEND,
            DEFAULT_FROM_EMAIL="shop@example.com",
            INSTALLED_APPS=["mailkit.integrations.django"],
            USE_TZ=True,
        )
        django.setup()

HAS_MAILERS = django.VERSION >= (6, 1)
