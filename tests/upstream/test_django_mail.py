"""Django's own tests of mail, run on what mailkit makes of its messages, and through mailkit's backend.

``MAILKIT_DJANGO_TESTS`` names the folder ``tests`` of Django's source distribution; ``nox -s django`` gets it.
"""

from __future__ import annotations

import email
import os
import sys
import warnings
from contextlib import nullcontext
from email import policy
from functools import partial
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from tests.upstream.differences import BACKEND_DIFFERENCES, MESSAGE_DIFFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

sys.path.insert(0, os.environ["MAILKIT_DJANGO_TESTS"])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    settings.configure(SECRET_KEY="of no use", INSTALLED_APPS=[], DATABASES={})
    django.setup()
    from django.core.mail import EmailMessage
    from django.test.utils import setup_test_environment

    setup_test_environment(debug=False)
    import mail.tests as messages

    if django.VERSION >= (6, 1):
        import mail.test_backends as backends

        tests_of_messages, of_any_backend = messages.EmailMessageTests, backends.SharedEmailBackendTests
    else:
        backends = messages
        tests_of_messages, of_any_backend = messages.MailTests, messages.BaseEmailBackendTests

from mailkit.integrations.django import EmailBackend
from mailkit.integrations.django.conversion import Prepared, converted

pytestmark = pytest.mark.filterwarnings("ignore")  # of Django's own tests, about Django's own old ways

_written_by_django = EmailMessage.message


class _Rewritten:
    """``EmailMessage.message``, from what mailkit sends for the message."""

    def __init__(self) -> None:
        self._converting = False

    def __call__(self, given: EmailMessage, **arguments: Any) -> Any:
        if self._converting:  # what goes out as Django writes it
            return _written_by_django(given, **arguments)
        self._converting = True
        try:
            made = converted(given)
        finally:
            self._converting = False
        data = made.data if isinstance(made, Prepared) else made[0].completed().as_bytes()
        data = data.replace(b"\r\n", b"\n")
        if django.VERSION < (6,):
            return email.message_from_bytes(data)
        return email.message_from_bytes(data, policy=arguments.get("policy", policy.default))


def differing(test: Callable[..., None], reason: str) -> Callable[..., None]:
    """Return a test that passes while Django's fails, and fails when it passes: then the reason is none any more."""

    def differs(self: Any) -> None:
        try:
            test(self)
        except Exception:  # noqa: BLE001 - in whatever way
            return
        pytest.fail(f"Django's test passes; take it off the differences, where it stands for: {reason}")

    return differs


def without(base: type, differences: Mapping[str, str]) -> dict[str, Any]:
    """Return what a subclass of Django's tests has to override."""
    found = {name: differing(getattr(base, name), why) for name, why in differences.items() if hasattr(base, name)}
    # Each of a test's subtests fails it, so that a difference is seen as one.
    return {**found, "subTest": lambda *_, **__: nullcontext()}


def of_djangos_class() -> dict[str, None]:
    """Return the tests that look at attributes of Django's SMTP backend, or at what it calls of smtplib."""
    return {
        name: None
        for name in vars(backends.SMTPBackendTests)
        if name[:5] == "test_" and not hasattr(of_any_backend, name)
    }


rewritten = _Rewritten()


class TestMessages(tests_of_messages):  # type: ignore[misc, valid-type]
    """What Django expects of a message, of the bytes that mailkit sends for it."""

    locals().update(without(tests_of_messages, MESSAGE_DIFFERENCES))

    def setUp(self) -> None:
        """Put mailkit's bytes in the place of Django's."""
        super().setUp()
        EmailMessage.message = lambda *given, **arguments: rewritten(*given, **arguments)  # noqa: PLW0108 - a function becomes a method  # type: ignore[method-assign]
        self.addCleanup(partial(setattr, EmailMessage, "message", _written_by_django))


class TestBackend(backends.SMTPBackendTests):  # type: ignore[misc, valid-type]
    """What Django expects of an SMTP backend, of ours."""

    email_backend = "mailkit.integrations.django.EmailBackend"
    backend_class = EmailBackend
    locals().update(of_djangos_class() | without(backends.SMTPBackendTests, BACKEND_DIFFERENCES))
