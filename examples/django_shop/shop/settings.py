"""The shop's settings: where to send is in the environment's MAILKIT_URL."""

from __future__ import annotations

import os
import secrets

import django

SECRET_KEY = os.environ.get("SECRET_KEY") or secrets.token_hex(32)
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
INSTALLED_APPS = ["mailkit.integrations.django"]  # for "manage.py check"
USE_TZ = True
DEFAULT_FROM_EMAIL = "The Shop <shop@example.com>"

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "mailkit.integrations.django.EmailBackend"}}
else:
    EMAIL_BACKEND = "mailkit.integrations.django.EmailBackend"
