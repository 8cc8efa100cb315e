from __future__ import annotations

import io
import sys

import pytest

from mailkit.cli.display import printable, progress, show_rows

ROWS = {"host": "mx.test [bold]x[/bold]", "extensions": "A, B"}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


@pytest.fixture(params=["rich", "plain"])
def rich(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With rich, and as if it were not installed."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return bool(request.param == "rich")


def test_a_table_on_a_terminal_has_lines_where_rich_is_installed(rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either way, brackets are what they are."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    show_rows(ROWS)
    shown = terminal.getvalue()
    assert ("│" in shown) is rich
    assert "mx.test [bold]x[/bold]" in shown


def test_a_table_in_a_file_is_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is installed."""
    show_rows(ROWS)
    assert capsys.readouterr().out == "host        mx.test [bold]x[/bold]\nextensions  A, B\n"


def test_no_value_reaches_the_terminal_s_own_commands() -> None:
    """What a server said is shown in one line, and obeyed by nothing."""
    assert printable("a\x1b[31m\nb\tc — ü") == r"a\x1b[31m\nb\tc — ü"


def test_progress_is_shown_on_a_terminal(rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar or a line, with what failed, that ends with the last message."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(3) as update:
        for done in (1, 2, 3):
            update(done, done // 3)
    shown = terminal.getvalue()
    assert ("━" in shown) is rich
    assert ("3/3" if rich else "\r3 of 3, 1 failed\n") in shown
    assert "1 failed" in shown


def test_a_plain_line_is_not_written_for_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times a second is enough for people, and nothing is written where nothing was done."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("time.monotonic", lambda: 7.0)
    with progress(1000) as update:
        for done in range(1, 1000):
            update(done, 0)
    assert terminal.getvalue() == "\r1 of 1000\n"
    terminal.truncate(0)
    with progress(0):
        pass
    assert terminal.getvalue().strip("\0") == ""


def test_no_progress_is_shown_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """A log is no place for a bar."""
    with progress(1) as update:
        update(1, 0)
    assert capsys.readouterr().err == ""
