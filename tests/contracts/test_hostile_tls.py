"""TLS that fails: nothing goes to whom we do not know, and an end that could be forged is no success."""

from __future__ import annotations

import ssl
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from tests.contracts.encounter import PASSWORD, USER, Encounter, quickly
from tests.contracts.rows import of_area

from mailkit.errors import DeliveryError, DeliveryTimeout, OutcomeUnknownError, TLSError
from mailkit.testing import Disconnect, SMTPServer, Stall, TruncateTLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contracts.rows import Row

TLS_ROWS = of_area("tls")


def _tls_encounters(scenario: str) -> Iterator[tuple[Encounter, Callable[[SMTPServer], object]]]:
    """Yield what the scenario means, over STARTTLS and with TLS from the first byte."""
    certificates = {"self-signed cert": "self-signed", "expired cert": "expired", "hostname mismatch": "wrong-host"}
    login = {"users": {USER: PASSWORD}}
    for mode in ("starttls", "implicit"):
        client = {"tls": mode, "username": USER, "password": PASSWORD}
        server: dict[str, Any] = {"tls": mode, **login}
        match scenario:
            case "self-signed cert" | "expired cert" | "hostname mismatch":
                yield (
                    Encounter("tls", server={**server, "certificate": certificates[scenario]}, **client),
                    lambda _: None,
                )
            case "TLS 1.0 only server":
                yield Encounter("tls", server={**server, "maximum_tls": ssl.TLSVersion.TLSv1}, **client), lambda _: None
            case "server closes during handshake":
                yield Encounter("tls", server=server, **client), lambda server: server.script("TLS", Disconnect())
            case "TLS stall: handshake bytes never arrive":
                yield Encounter("tls", server=server, **client), lambda server: server.script("TLS", Stall())
            case "TLS truncation after final dot (no close_notify)":
                yield Encounter("tls", server=server, **client), lambda server: server.script("DOT", TruncateTLS())
            case "STARTTLS on 465 plaintext / implicit on 587":
                other: dict[str, Any] = {"tls": "implicit" if mode == "starttls" else "starttls", **login}
                yield Encounter("tls", server=other, **client), lambda _: None
            case _:
                pytest.fail(f"nothing here plays {scenario!r}")


@pytest.mark.parametrize("row", TLS_ROWS)
@quickly
def test_tls_that_fails_sends_nothing_in_clear(row: Row) -> None:
    """A typed error in time; neither credentials nor mail to whom we do not know; and truncation is never success."""
    scenario = row.value["scenario"]
    assert set(row.value) == {"scenario"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0, on the server's side
        played = 0
        for encounter, prepare in _tls_encounters(scenario):
            with encounter:
                prepare(encounter.server)
                began = time.monotonic()
                ended = encounter.end()
                assert time.monotonic() - began < 2 * encounter.seconds + 1
                assert isinstance(ended, DeliveryError)
                encounter.assert_nothing_shows(ended)
                verbs = {verb for record in encounter.server.connections for verb in record.verbs}
                if "truncation" in scenario:
                    assert isinstance(ended, OutcomeUnknownError)
                else:
                    assert ended.outcome == "not_sent"
                    assert isinstance(ended, TLSError | DeliveryTimeout)
                    assert not verbs & {"AUTH", "MAIL", "RCPT", "DATA", "BDAT"}
                encounter.server.release()
                encounter.assert_all_closed()
            played += 1
    assert played == 2
