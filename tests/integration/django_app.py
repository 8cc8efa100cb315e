"""A Django project whose tasks are in a database: ``python -m tests.integration.django_app db_worker`` runs them.

The settings come from the environment.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import django
from django.conf import settings
from django.core.management import execute_from_command_line

from mailkit.integrations.queue_retry import QueueRetry
from mailkit.policies import FullJitter


def configure() -> None:
    """Set Django up."""
    settings.configure(
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["MAILKIT_TEST_DATABASE"]},
        },
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": os.environ["MAILKIT_TEST_REDIS"],
            }
        },
        DEFAULT_FROM_EMAIL="shop@example.com",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[*([] if find_spec("django.tasks") else ["django_tasks"]), "django_tasks_db"],
        TASKS={"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}},
        MAILKIT_QUEUE={"retry": QueueRetry(wait=FullJitter(transient=(0.01, 0.05)), lost_after=0)},
        USE_TZ=True,
    )
    django.setup()


def enqueue(address: str, copy: str) -> None:
    """Put a message into the queue, and print the number of its task."""
    from mailkit import Message
    from mailkit.integrations.django_tasks import enqueue

    print(enqueue(Message(to=[address, copy], subject="Hello", text="Hi Bob")).id)


if __name__ == "__main__":
    configure()
    if sys.argv[1] == "enqueue":
        enqueue(*sys.argv[2:])
    else:
        execute_from_command_line(sys.argv)
