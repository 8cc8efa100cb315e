from __future__ import annotations

import os
import signal
import threading

import pytest

from mailkit.cli.interruption import StopRequest, Terminated, stoppable


def test_the_first_signal_is_a_request_and_the_second_one_an_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first says so, and raises where the program asks for it; the second one does not wait for anything."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stoppable() as request:
        request.check()
        signal.raise_signal(signal.SIGINT)
        assert request.number == signal.SIGINT
        assert "mailkit: stopping" in capfd.readouterr().err
        with pytest.raises(Terminated) as caught:
            request.check()
        assert caught.value.number == signal.SIGINT
        ends: list[int] = []
        monkeypatch.setattr(os, "_exit", ends.append)
        signal.raise_signal(signal.SIGTERM)
        assert ends == [128 + signal.SIGTERM]
        assert "mailkit: stopped: the same command and --resume go on\n" in capfd.readouterr().err
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_elsewhere_than_in_the_main_thread_signals_stay_as_they_are() -> None:
    """Only there can they be handled."""
    seen: list[StopRequest] = []

    def work() -> None:
        with stoppable() as request:
            seen.append(request)

    handler = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert seen[0].number is None
    assert signal.getsignal(signal.SIGTERM) is handler


def test_what_was_ignored_stays_ignored() -> None:
    """A run under nohup survives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable() as request:
            signal.raise_signal(signal.SIGHUP)
        assert request.number is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
