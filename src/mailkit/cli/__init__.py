"""The command line: ``mailkit send``, ``mailkit verify`` and ``mailkit demo``."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING

from mailkit.cli.arguments import parse
from mailkit.cli.sysexits import INPUT_OUTPUT, exit_status
from mailkit.errors import MailkitError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mailkit.errors import DeliveryError
    from mailkit.receipt import Receipt

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: done. 2: the command line is wrong. 65: the message, or a row of the recipients, is wrong. 69: refused for good,
    or unknown. 74: nobody reads the output, or the ledger cannot be written. 75: not now, try again later. 78: wrong
    settings, credentials or host name. 130, 143: interrupted.

    Args:
        arguments: The words after the program's name; ``sys.argv`` where None.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever has started this: what is done is to be done all the same
            setattr(sys, name, io.open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, UP020 - for good
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know fewer characters than mail
    try:
        status = _run(parse(arguments))
        sys.stdout.flush()
    except OSError as error:  # those of a delivery are mailkit's own, and have been told
        if not isinstance(error, BrokenPipeError):  # "mailkit demo | head" has read enough, and knows that
            sys.stderr.write(f"mailkit: input or output failed: {error}\n")
        # What is buffered must not fail once more at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INPUT_OUTPUT
    return status


def _run(parsed: argparse.Namespace) -> int:
    from mailkit.cli.interruption import Terminated

    try:
        return _command(parsed)
    except MailkitError as error:
        if getattr(parsed, "json", False):
            import json

            from mailkit.cli.json_output import as_json

            print(json.dumps(as_json(error)))
        sys.stderr.write(f"mailkit: {error}\n")
        return exit_status(error)
    except KeyboardInterrupt as interruption:
        sys.stderr.write(f"mailkit: interrupted{_left_by(interruption)}\n")
        return 128 + signal.SIGINT  # what a shell says of a program that a signal ended
    except Terminated as terminated:
        sys.stderr.write("mailkit: interrupted\n")
        return 128 + terminated.number


def _left_by(interruption: BaseException) -> str:
    """Return what an interruption says of the message that was being sent."""
    delivery: Receipt | DeliveryError | None = getattr(interruption, "delivery", None)
    if delivery is None:
        return ""
    from mailkit.cli.display import printable

    return "".join(f"\nmailkit: {printable(str(each))}" for each in delivery.recipients)


def _command(parsed: argparse.Namespace) -> int:
    # Each is imported when it is called: "mailkit --version" needs no transport.
    if parsed.command == "send":
        from mailkit.cli.send import run as send

        return send(parsed)
    if parsed.command == "verify":
        from mailkit.cli.verify import run as verify

        return verify(parsed)
    from mailkit.demo import run_demo

    run_demo(print)
    return 0
