"""The command line: ``mailkit send``, ``mailkit verify`` and ``mailkit demo``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import TYPE_CHECKING, Final

from mailkit._version import __version__
from mailkit.errors import DeliveryError, MailkitError, MessageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.message import Message

__all__ = ["main"]

# sysexits.h, so that scripts can tell what to do from the exit status alone.
EX_DATAERR: Final = 65
EX_UNAVAILABLE: Final = 69
EX_IOERR: Final = 74
EX_TEMPFAIL: Final = 75
EX_CONFIG: Final = 78

_URL_HELP: Final = "the transport's URL; better kept in MAILKIT_URL, where other users of this machine cannot see it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: done. 65: the message is wrong. 69: refused for good, or unknown. 74: nobody reads the output. 75: not now, try
    again later. 78: wrong settings, credentials or host name.

    Args:
        arguments: The words after the program's name; ``sys.argv`` where None.
    """
    parsed = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know fewer characters than mail
    try:
        run = {"send": _send, "verify": _verify, "demo": _demo}[parsed.command]
        run(parsed)
        sys.stdout.flush()
    except MailkitError as error:
        sys.stderr.write(f"mailkit: {error}\n")
        return _exit_status(error)
    except BrokenPipeError:
        # "mailkit demo | head" has read enough. What is buffered must not fail once more at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_IOERR
    return 0


def _exit_status(error: MailkitError) -> int:
    if isinstance(error, DeliveryError):
        if error.cause == "configuration":
            return EX_CONFIG
        return EX_TEMPFAIL if error.retryable else EX_UNAVAILABLE
    return EX_DATAERR if isinstance(error, MessageError) else EX_CONFIG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mailkit", description="Send e-mail, and know what happened to it.")
    parser.add_argument("--version", action="version", version=f"mailkit {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    send = _command(
        commands,
        "send",
        "Send one message.",
        "mailkit send --from ada@example.com --to bob@example.org --subject Hello --text 'Hi Bob' --attach report.pdf",
    )
    send.add_argument("--url", help=_URL_HELP)
    send.add_argument("--from", dest="from_", required=True, metavar="ADDRESS", help="the author")
    for name in ("to", "cc", "bcc", "reply-to"):
        send.add_argument(
            f"--{name}", action="append", default=[], metavar="ADDRESS", help="may be given several times"
        )
    send.add_argument("--subject")
    send.add_argument("--text", help='the text; "-" reads it from standard input')
    send.add_argument("--html")
    send.add_argument("--attach", action="append", default=[], metavar="FILE", help="may be given several times")
    verify = _command(
        commands,
        "verify",
        "Connect, negotiate TLS and authenticate, without sending.",
        "MAILKIT_URL=smtp://user:password@mail.example.com mailkit verify",
    )
    verify.add_argument("url", nargs="?", help=_URL_HELP)
    _command(commands, "demo", "Send a real message over SMTP on this machine, and show what happened.", "mailkit demo")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
    name: str,
    summary: str,
    example: str,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _send(parsed: argparse.Namespace) -> None:
    from mailkit.mailer import Mailer

    with Mailer(parsed.url) as mailer:
        receipt = mailer.send(_message(parsed))
    for result in receipt.recipients:
        print(result)
    receipt.raise_for_refused()


def _message(parsed: argparse.Namespace) -> Message:
    from mailkit.attachment import Attachment
    from mailkit.message import Message

    return Message(
        from_=parsed.from_,
        to=parsed.to,
        cc=parsed.cc,
        bcc=parsed.bcc,
        reply_to=parsed.reply_to,
        subject=parsed.subject,
        text=_standard_input() if parsed.text == "-" else parsed.text,
        html=parsed.html,
        attachments=[Attachment.from_path(path) for path in parsed.attach],
    )


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        msg = f"standard input is not {error.encoding} text: convert it, or attach the file with --attach"
        raise MessageError(msg) from None


def _verify(parsed: argparse.Namespace) -> None:
    from mailkit.mailer import Mailer
    from mailkit.policies.retry import RetryPolicy

    with Mailer(parsed.url, retry=RetryPolicy.none()) as mailer:
        info = mailer.verify()
    tls = f"{info.tls_version}, {info.tls_cipher}" if info.tls_version else "none: in clear"
    rows = {
        "transport": info.transport,
        "host": info.host or "-",
        "tls": tls,
        "authenticated by": info.authenticated or "nothing: no credentials were given",
        "mechanisms": " ".join(info.mechanisms) or "-",
        "extensions": ", ".join(info.extensions) or "-",
    }
    for name, value in rows.items():
        print(f"{name:<17} {value}")


def _demo(parsed: argparse.Namespace) -> None:  # noqa: ARG001 - every command has the same shape
    from mailkit.demo import run_demo

    run_demo(print)
