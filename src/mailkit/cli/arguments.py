"""The words of the command line, and the help that explains them.

argparse, because it is there: a command that people run on servers, in cron and in containers should need nothing that
the library does not need.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, NoReturn

from mailkit._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["parse", "parser"]

_URL_HELP: Final = "the transport's URL; better kept in MAILKIT_URL, where other users of this machine cannot see it"
_SEVERAL: Final = "may be given several times"

_SEND_EXAMPLE: Final = (
    "mailkit send --from ada@example.com --to bob@example.org --subject Hello --text 'Hi Bob' --attach report.pdf"
)
_MORE_SEND_EXAMPLES: Final = """
a message of its own for each row of a file, with a ledger:
  mailkit send --from ada@example.com --csv guests.csv --subject 'Dear {name}' --text-file letter.txt
  mailkit send --from ada@example.com --csv guests.csv --subject 'Dear {name}' --text-file letter.txt --resume"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what makes no sense ends the program with status 2 and the usage.

    Args:
        arguments: The words after the program's name; ``sys.argv`` where None.
    """
    reader = parser()
    parsed, unknown = reader.parse_known_args(arguments)
    if unknown:  # only what they are called: what follows an option that is none may be a password
        names = [word.partition("=")[0] if word.startswith("-") else "…" for word in unknown]
        reader.error(f"unrecognized arguments: {' '.join(names)}")
    if parsed.command == "send" and (problem := _problem(parsed)) is not None:
        reader.error(problem)
    return parsed


class _Reader(argparse.ArgumentParser):
    """A reader whose errors repeat no secret."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end the program."""
        from mailkit.cli.credentials import masked

        super().error(masked(message))


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    reader = _Reader(prog="mailkit", description="Send e-mail, and know what happened to it.")
    reader.add_argument("--version", action="version", version=f"mailkit {__version__}")
    commands = reader.add_subparsers(dest="command", required=True)
    _send(_command(commands, "send", "Send one message, or one to each row of a CSV file.", _SEND_EXAMPLE))
    verify = _command(
        commands,
        "verify",
        "Connect, negotiate TLS and authenticate, without sending, and show what was learned.",
        "MAILKIT_URL=smtp://user:password@mail.example.com mailkit verify",
    )
    verify.add_argument("url", nargs="?", help=_URL_HELP)
    _common(verify)
    _command(commands, "demo", "Send a real message over SMTP on this machine, and show what happened.", "mailkit demo")
    return reader


def _command(
    commands: argparse._SubParsersAction[_Reader],  # pyright: ignore[reportPrivateUsage]
    name: str,
    summary: str,
    example: str,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}" + (f"\n{_MORE_SEND_EXAMPLES}" if name == "send" else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--ask-password", action="store_true", help="ask for the password or key that the URL lacks")
    command.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def _send(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", help=_URL_HELP)
    _common(command)
    command.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    message = command.add_argument_group("the message")
    message.add_argument("--from", dest="from_", required=True, metavar="ADDRESS", help="the author")
    for name in ("to", "cc", "bcc", "reply-to"):
        message.add_argument(f"--{name}", action="append", default=[], metavar="ADDRESS", help=_SEVERAL)
    message.add_argument("--subject")
    text = message.add_mutually_exclusive_group()
    text.add_argument("--text", help='the text; "-" reads it from standard input')
    text.add_argument("--text-file", metavar="FILE", help="a file with the text")
    html = message.add_mutually_exclusive_group()
    html.add_argument("--html", help='the HTML; "-" reads it from standard input')
    html.add_argument("--html-file", metavar="FILE", help="a file with the HTML")
    several = (
        ("--attach", "FILE", "a file to attach"),
        ("--embed", "NAME=FILE", "an image that the HTML shows as cid:NAME"),
        ("--header", "NAME:VALUE", "a further header field"),
        ("--tag", "WORD", "a tag for the provider's statistics"),
        ("--metadata", "NAME=VALUE", "what comes back with the provider's events"),
        ("--list-unsubscribe", "URL", "where the unsubscribe button leads"),
    )
    for option, metavar, explanation in several:
        message.add_argument(option, action="append", default=[], metavar=metavar, help=f"{explanation}; {_SEVERAL}")
    message.add_argument("--one-click", action="store_true", help="a POST to the URL unsubscribes (RFC 8058)")
    message.add_argument(
        "--message",
        metavar="FILE",
        help='send a prepared message as it is, from --from to --to; "-" is standard input',
    )
    _mailing(command.add_argument_group("a mailing"))


def _mailing(mailing: argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]
    mailing.add_argument("--csv", metavar="FILE", help="send to each row; {column} in the message is what the row has")
    mailing.add_argument("--delimiter", default=",", help="what is between two columns; by default a comma")
    mailing.add_argument("--email-column", default="email", metavar="NAME", help='the address; by default "email"')
    mailing.add_argument("--name-column", default="name", metavar="NAME", help='the display name; by default "name"')
    mailing.add_argument("--ledger", metavar="FILE", help="what became of each row; by default FILE.ledger")
    mailing.add_argument("--resume", action="store_true", help="go on with the run of that ledger")
    mailing.add_argument("--retry-unknown", action="store_true", help="send again to those in doubt: some get it twice")
    mailing.add_argument("--allow-changes", action="store_true", help="go on although the message is another now")
    mailing.add_argument("--allow-duplicates", action="store_true", help="send to an address once for each of its rows")
    mailing.add_argument("--connections", type=_positive, default=1, metavar="N", help="connections to use at once")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


_positive.__name__ = "positive whole number"  # argparse puts it into its message

_OF_MESSAGE: Final = (
    *("cc", "bcc", "reply_to", "subject", "text", "text_file", "html", "html_file", "attach", "embed", "header", "tag"),
    *("metadata", "list_unsubscribe", "one_click", "csv"),
)
_OF_MAILING: Final = ("ledger", "resume", "retry_unknown", "allow_changes", "allow_duplicates")


def _problem(parsed: argparse.Namespace) -> str | None:
    """Return what of the words contradicts what."""

    def given(names: Sequence[str]) -> str | None:
        return next((f"--{name.replace('_', '-')}" for name in names if getattr(parsed, name)), None)

    texts = (parsed.text, parsed.text_file, parsed.html, parsed.html_file)
    problems = {
        "--message is a whole message, sent as it is from --from to --to": parsed.message and given(_OF_MESSAGE),
        "with --csv each message goes to one row's address": parsed.csv and given(("to", "cc", "bcc")),
        "without --csv this is no mailing": not parsed.csv and given(_OF_MAILING),
        "without --resume nobody is in doubt": not parsed.resume and given(("retry_unknown",)),
        "standard input can be read once": "-" if texts.count("-") > 1 else None,
        "one character is between two columns": parsed.delimiter if len(parsed.delimiter) != 1 else None,
    }
    return next((f"{reason}: leave out {wrong}" for reason, wrong in problems.items() if wrong), None)
