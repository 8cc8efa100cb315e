from __future__ import annotations

import errno

import pytest

from mailkit.edge.failures import cannot_connect, connection_lost, reason_of, timed_out
from mailkit.errors import ConnectError, DeliveryTimeout


@pytest.mark.parametrize(
    "code",
    [
        errno.ECONNREFUSED,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.EPIPE,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.EADDRINUSE,
    ],
)
def test_what_may_pass_is_transient(code: int) -> None:
    """The network's and the system's troubles may be tried again."""
    error = cannot_connect(OSError(code, "x"), "mx.test:25", "check it")
    assert isinstance(error, ConnectError)
    assert (error.cause, error.phase, error.outcome) == ("transient", "connect", "not_sent")
    assert errno.errorcode[code] in str(error)
    assert str(error).startswith("cannot connect to mx.test:25: ")
    assert str(error).endswith("; check it")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_what_a_setting_must_change_is_configuration(code: int) -> None:
    """Permissions and addresses that are not ours do not pass by themselves."""
    assert cannot_connect(OSError(code, "x"), "mx.test:25", "check it").cause == "configuration"


@pytest.mark.parametrize("error", [ConnectionResetError(104, "x"), BrokenPipeError(32, "x"), OSError("odd")])
def test_a_lost_connection_names_the_peer_and_no_phase(error: OSError) -> None:
    """Whoever knows the phase adds it."""
    lost = connection_lost(error, "192.0.2.1:25")
    assert (lost.cause, lost.phase) == ("transient", None)
    assert "192.0.2.1:25 was lost" in str(lost)


def test_a_reason_is_found_for_every_error() -> None:
    """A number's name, else the text, else the type."""
    assert reason_of(OSError(errno.EPIPE, "ignored")) == "Broken pipe (EPIPE)"
    assert reason_of(OSError(99999, "odd")) == "odd"
    assert reason_of(OSError("just text")) == "just text"
    assert reason_of(BrokenPipeError()) == "BrokenPipeError"


def test_a_passed_deadline_is_a_timeout_of_a_phase() -> None:
    """DeliveryTimeout carries the phase and says what to do."""
    error = timed_out("mx.test did not answer", "connect")
    assert isinstance(error, DeliveryTimeout)
    assert error.phase == "connect"
    assert str(error).startswith("mx.test did not answer before the deadline; ")
    assert "timeout=" in str(error)
