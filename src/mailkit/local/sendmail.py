"""SendmailTransport: mail is handed to this machine's own mail system, through its sendmail command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, final

from attrs import field, frozen

from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryTimeout,
    MessageError,
    OutcomeUnknownError,
)
from mailkit.local.channel import LocalChannel
from mailkit.local.exit_status import error_for_exit
from mailkit.local.letter import local_line_ends
from mailkit.local.storage import path_text, url_of
from mailkit.transport import Capabilities
from mailkit.transport_url import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.local.letter import Letter
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel
    from mailkit.transport_url import TransportURL

__all__ = ["SendmailTransport"]

_MAX_ARGUMENTS: Final = 1 << 18
"""Octets of a command line that every system takes, the environment beside it: about 8,000 addresses."""


def _program(path: str | os.PathLike[str]) -> Path:
    program = Path(path_text(path, "the sendmail program"))
    # A name without a path would be looked up in PATH, which others may have changed.
    if not program.is_absolute():
        raise ConfigurationError(f"{str(program)!r} is no absolute path: write it out, as in '/usr/sbin/sendmail'")
    return program


@final
@frozen
class SendmailTransport:
    """Hands each message to a sendmail command: ``sendmail://``, ``sendmail:///usr/sbin/sendmail?timeout=60``.

    Postfix, Exim, OpenSMTPD, msmtp and others bring one. There is no shell: the command is
    ``sendmail -i -f <sender> -- <recipient> …``, the message its standard input, with LF line ends, and its exit status
    (sysexits.h) the answer. "Accepted" means that the mail system has taken the message, for all recipients or none.

    Example:
        >>> str(SendmailTransport())
        'sendmail:///usr/sbin/sendmail'

    Args:
        program: The command's absolute path.
        timeout: Seconds that one message may take; by default the mailer's `timeout`.

    Raises:
        ConfigurationError: `program` is no absolute path, or `timeout` not positive.
    """

    program: Path = field(default=Path("/usr/sbin/sendmail"), converter=_program)
    timeout: float | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise ConfigurationError(
                "the timeout of sendmail is a positive number of seconds: leave it out for the mailer's"
            )

    @property
    def capabilities(self) -> Capabilities:
        """What RFC 5322 can say. Whether addresses beyond ASCII are taken is known to the mail system alone."""
        return Capabilities.rfc5322()

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Return the transport that a URL describes.

        Raises:
            ConfigurationError: A part of the URL means nothing here.
        """
        if url.host:
            raise ConfigurationError(
                "sendmail:// takes no host: write three slashes before the path, as in sendmail:///usr/sbin/sendmail"
            )
        url.refuse(user=url.username, password=url.password, port=url.port)
        parameters = url.parameters(timeout=seconds)
        return cls(url.path, **parameters) if url.path else cls(**parameters)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return LocalChannel(self, edge, self._put, check=self._check)

    def _check(self) -> None:
        if not (self.program.is_file() and os.access(self.program, os.X_OK)):
            raise ConnectError(
                f"{str(self.program)!r} is no program that can be run here: install a mail system, or give its path",
                cause="configuration",
                phase="connect",
            )

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        argv = _command_line(self.program, letter.envelope)
        content = _Content(letter)
        timeout = edge.timeout if self.timeout is None else self.timeout
        try:
            status, said = await edge.run_process(argv, content.blocks(), deadline=edge.now() + timeout)
        except DeliveryTimeout as error:
            if not content.is_written:
                raise  # killed before the end of its input: it cannot have taken the message for a whole one
            raise OutcomeUnknownError(
                f"{self.program} had the whole message and did not answer within {timeout:g} s: look into the mail"
                " queue before it is sent again, and allow it more time with timeout=",
                phase="data",
            ) from error
        failure = error_for_exit(status, said, program=str(self.program), is_written=content.is_written)
        if failure is not None:
            raise failure
        return letter.accepted(str(self))

    def __str__(self) -> str:
        return url_of("sendmail", self.program)


class _Content:
    """The message on its way into the program, and whether all of it has arrived there.

    The commit point is the end of the input. The edge asks for a next block only when the program has taken the one
    before, and closes the pipe when there is none.
    """

    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self.is_written = False

    def blocks(self) -> Iterator[bytes]:
        yield from local_line_ends(self._letter.blocks())
        self.is_written = True


def _command_line(program: Path, envelope: Envelope) -> list[str]:
    """Return the command: no option can be made of an address.

    Raises:
        MessageError: An address starts with "-", or there are more than fit.
    """
    sender = "<>" if envelope.mail_from is None else envelope.mail_from.addr_spec
    recipients = [address.addr_spec for address in envelope.rcpt_to]
    for address in (sender, *recipients):
        # Legal in RFC 5321, and not everything that is called sendmail honours "--" (CVE-2016-10033, CVE-2016-10045).
        if address.startswith("-"):
            raise MessageError(
                f"the address {address!r} starts with '-', which a sendmail command may take for an option: use another"
                " address, or send over SMTP"
            )
    # "-i": a line with a single dot does not end the message.
    argv = [os.fspath(program), "-i", "-f", sender, "--", *recipients]
    if sum([len(os.fsencode(argument)) + 9 for argument in argv]) > _MAX_ARGUMENTS:
        raise MessageError(
            f"{len(recipients)} recipients do not fit on the sendmail command's line: split the message, or send over"
            " SMTP"
        )
    return argv
