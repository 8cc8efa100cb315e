"""What is said where an integration is imported, and its framework is not installed."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mailkit import ConfigurationError
from mailkit.integrations.framework import importing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Missing:
    """An import system without some modules.

    Args:
        names: Theirs, the top ones.
    """

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        """Say what Python says of what is not installed; what is not in here is for others to find."""
        del path, target
        top = name.partition(".")[0]
        if top in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=top)


@pytest.fixture
def remove() -> Iterator[Callable[..., None]]:
    """What lets modules not be installed, and mailkit's integrations be imported anew, until the test has ended."""
    package = importlib.import_module("mailkit.integrations")
    modules, finders, attributes = dict(sys.modules), list(sys.meta_path), dict(vars(package))

    def forget(*names: str) -> None:
        for name in tuple(sys.modules):
            if name.partition(".")[0] in names or name.startswith("mailkit.integrations."):
                del sys.modules[name]

    def without(*names: str) -> None:
        forget(*names)
        sys.meta_path.insert(0, Missing(*names))

    yield without
    sys.meta_path[:] = finders
    forget()
    sys.modules.update(modules)
    vars(package).clear()
    vars(package).update(attributes)


@pytest.mark.parametrize(
    ("module", "missing", "install"),
    [
        ("flask", ("flask",), "flask"),
        ("flask", ("flask", "blinker", "werkzeug", "jinja2"), "flask"),
        ("quart", ("quart",), "quart"),
        ("starlette", ("starlette",), "starlette"),
        ("fastapi", ("starlette", "fastapi"), "starlette"),
        ("litestar", ("litestar",), "litestar"),
        ("celery", ("celery", "kombu"), "celery"),
        ("dramatiq", ("dramatiq",), "dramatiq"),
        ("rq", ("rq",), "rq"),
        ("django", ("django",), "django"),
        ("django_tasks", ("django", "django_tasks"), "django"),
    ],
)
def test_an_integration_without_its_framework_says_what_to_install(
    module: str, missing: tuple[str, ...], install: str, remove: Callable[..., None]
) -> None:
    """One error, which is Python's own for what is missing, names the framework, and not what that would bring."""
    remove(*missing)
    with pytest.raises(ModuleNotFoundError, match="not installed") as caught:
        importlib.import_module(f"mailkit.integrations.{module}")
    assert str(caught.value).endswith(f"pip install {install}")
    assert caught.value.name == missing[0]


def test_opentelemetry_is_asked_for_when_it_is_used(remove: Callable[..., None]) -> None:
    """The module itself needs nothing; what makes spans names the extra."""
    remove("opentelemetry")
    module = importlib.import_module("mailkit.integrations.opentelemetry")
    with pytest.raises(ConfigurationError, match=r"mailkit-sdk\[otel\]"):
        module.Telemetry()


def test_what_the_framework_itself_misses_is_told_as_it_is() -> None:
    """Its own error names what is missing."""
    with pytest.raises(ModuleNotFoundError, match="No module named 'of_the_framework'"), importing("flask", "Flask"):
        raise ModuleNotFoundError("No module named 'of_the_framework'", name="of_the_framework")
