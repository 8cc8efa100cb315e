"""What every test module shares: hypothesis profiles, and no way out beyond loopback."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# "thorough" is for one's own machine: HYPOTHESIS_PROFILE=thorough nox -s tests
settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # which says as much about the machine as about the test
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def _is_loopback(address: object) -> bool:
    match address:
        case str() | bytes():  # a Unix socket's path
            return True
        case (str() as host, *_):
            return host in _LOOPBACK or host.startswith("127.")
        case _:
            return False


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Fail every connection that would leave the machine, whichever library opens it."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(inner: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if not _is_loopback(address):
                raise AssertionError(f"A test connects to {address!r}. Tests stay on the loopback interface.")
            return inner(self, address)

        return call

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded(connect))
    patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    yield
    patch.undo()


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port at every address of IPv4 at which nobody listens, nor can while the test runs: it is taken."""
    with socket.socket() as bound:
        bound.bind(("", 0))
        yield bound.getsockname()[1]


@pytest.fixture(autouse=True)
def _no_url_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own MAILKIT_URL out of the tests."""
    monkeypatch.delenv("MAILKIT_URL", raising=False)


@pytest.fixture
def untraced() -> Iterator[None]:
    """Run a test without coverage's tracer: one that computes for seconds, and runs no line that no other test does."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)
