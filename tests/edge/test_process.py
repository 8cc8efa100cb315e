from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.colours import make_edge, run_in
from tests.patience import patiently

from mailkit.errors import ConfigurationError, ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailkit.edge import Edge

pytestmark = pytest.mark.skipif(not hasattr(select, "poll"), reason="this system has no poll()")


def python(code: str) -> list[str]:
    """Return a command line that runs some Python."""
    return [sys.executable, "-S", "-c", code]


def test_a_program_reads_its_input_and_its_status_is_returned(edge: Edge, run: Any, tmp_path: Path) -> None:
    """Every block arrives in order, standard error and exit status come back, standard output goes nowhere."""
    out = tmp_path / "out"
    argv = ["sh", "-c", 'cat > "$1"; echo noise; printf "caf\\303\\251 \\377\\n" >&2; exit 75', "sh", str(out)]
    data = [b"From: a\n", b"", b"\n", b"x" * 300_000]
    status, text = run(lambda: edge.run_process(argv, iter(data), deadline=edge.now() + 10))
    assert (status, text) == (75, "caf\u00e9 \\xff\n")
    assert out.read_bytes() == b"".join(data)


def test_arguments_meet_no_shell(edge: Edge, run: Any) -> None:
    """Characters that a shell would act on are arguments like any other."""
    code = "import sys; sys.stderr.write(sys.argv[1])"
    argv = [*python(code), "; rm -rf $(pwd) `id` \n*"]
    assert run(lambda: edge.run_process(argv, [], deadline=edge.now() + 10)) == (0, argv[-1])


def test_much_input_and_much_output_do_not_block_each_other(edge: Edge, run: Any) -> None:
    """A program that complains at length before and while it reads comes to its end; what it says is bounded."""
    code = (
        "import os, sys\n"
        "os.write(2, b'e' * 300_000)\n"
        "n = 0\n"
        "while d := os.read(0, 65536):\n"
        "    n += len(d); os.write(2, b'f' * len(d))\n"
        "sys.exit(n == 2_000_000)"
    )
    data = [b"x" * 100_000] * 20
    status, text = run(lambda: edge.run_process(python(code), data, deadline=edge.now() + 20))
    assert status == 1
    assert text == "e" * 64 * 1024


def test_a_program_need_not_read_its_input(edge: Edge, run: Any) -> None:
    """One that ends, or closes its input, early is no error here: its status says what it means."""
    code = "import os, time; os.close(0); os.write(2, b'no thanks'); time.sleep(0.1); os._exit(69)"
    data = [b"x" * 1_000_000] * 3
    assert run(lambda: edge.run_process(python(code), data, deadline=edge.now() + 10)) == (69, "no thanks")


def test_a_program_that_closes_its_pipes_is_waited_for(edge: Edge, run: Any) -> None:
    """The end of its standard error is not the end of the program."""
    code = "import os, time; os.close(0); os.close(2); time.sleep(0.15); os._exit(7)"
    assert run(lambda: edge.run_process(python(code), [], deadline=edge.now() + 10)) == (7, "")


def test_a_child_that_keeps_the_pipes_is_not_waited_for(edge: Edge, run: Any) -> None:
    """A program that leaves a process of its own behind, with our pipes, has ended when it has ended."""
    argv = ["sh", "-c", "sleep 60 & echo $! >&2; exit 3"]
    started = edge.now()
    status, text = run(lambda: edge.run_process(argv, [], deadline=edge.now() + 90))
    os.kill(int(text), signal.SIGKILL)
    assert status == 3
    assert edge.now() - started < 45


@pytest.mark.parametrize("data", [[], [b"x" * 1_000_000]])
def test_a_program_that_hangs_is_killed_at_the_deadline(
    data: list[bytes], edge: Edge, run: Any, tmp_path: Path
) -> None:
    """Whether it reads or not, the deadline kills it and it is reaped."""
    pid = tmp_path / "pid"
    argv = ["sh", "-c", f"echo $$ > {pid}; exec sleep 30"]

    def attempt(wait: float) -> None:
        with pytest.raises(DeliveryTimeout, match="sh did not end before the deadline"):
            run(lambda: edge.run_process(argv, data, deadline=edge.now() + wait))
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    patiently(attempt, first=0.3)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_kills_the_program(backend: Any, tmp_path: Path) -> None:
    """A cancelled call leaves no process behind."""
    edge = make_edge(backend)
    pid = tmp_path / "pid"
    argv = ["sh", "-c", f"echo $$ > {pid}; exec sleep 30"]

    async def conversation() -> None:
        async with anyio.create_task_group() as group:

            async def cancel_when_it_runs() -> None:
                while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110 - the other side is a process
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()

            group.start_soon(cancel_when_it_runs)
            await edge.run_process(argv, [], deadline=edge.now() + 25)
        assert group.cancel_scope.cancelled_caught

    run_in(backend, conversation)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_data_that_fails_never_looks_complete(edge: Edge, run: Any, tmp_path: Path) -> None:
    """When the input cannot be produced, the program is killed before it sees an end, and the error comes out."""
    out = tmp_path / "out"
    code = f"import sys; sys.stdin.buffer.read(); open({str(out)!r}, 'w')"

    def blocks() -> Iterator[bytes]:
        yield b"half a mess"
        raise ConnectionAbortedError("the disk is gone")

    with pytest.raises(ConnectionAbortedError, match="the disk is gone"):
        run(lambda: edge.run_process(python(code), blocks(), deadline=edge.now() + 10))
    assert not out.exists()


def test_a_program_that_is_not_there_is_a_configuration_failure(edge: Edge, run: Any, tmp_path: Path) -> None:
    """A missing file, or one that may not be executed, says which and what to do."""
    (tmp_path / "plain").write_text("")
    for path in (tmp_path / "missing", tmp_path / "plain", tmp_path / "plain" / "x"):
        with pytest.raises(ConnectError, match=r"cannot be started.*install it") as caught:
            run(lambda path=path: edge.run_process([str(path)], [], deadline=edge.now() + 5))
        assert (caught.value.cause, caught.value.phase) == ("configuration", "connect")
        assert str(path) in str(caught.value)


def test_a_system_that_can_start_no_program_may_later(edge: Edge, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many processes is transient."""

    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError(errno.EAGAIN, "no")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(ConnectError, match=r"'sendmail' cannot be started.*EAGAIN") as caught:
        run(lambda: edge.run_process(["sendmail"], [], deadline=edge.now() + 5))
    assert caught.value.cause == "transient"


@pytest.mark.parametrize("argv", [["a\0b"], ["true", "a\0b"], ["true", "\ud800"], []])
def test_what_is_no_command_line_is_refused(argv: list[str], edge: Edge, run: Any) -> None:
    """NUL, lone surrogates and an empty command line are configuration errors."""
    with pytest.raises(ConfigurationError, match="cannot be a command line"):
        run(lambda: edge.run_process(argv, [], deadline=edge.now() + 5))


def test_a_system_without_poll_runs_no_programs(edge: Edge, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pipes cannot be waited for, the error says what to do instead."""
    monkeypatch.delattr(select, "poll")
    with pytest.raises(ConfigurationError, match="POSIX systems only"):
        run(lambda: edge.run_process(["true"], [], deadline=edge.now() + 5))
