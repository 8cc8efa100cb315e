"""A message on its way through a task queue: what is to be sent, through which mailer, and who is still to get it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from attrs import asdict, evolve, field, fields, frozen

from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, MessageError
from mailkit.message import Message
from mailkit.receipt import RecipientResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DEFAULT", "MAX_SIZE", "MailJob"]

DEFAULT: Final = "default"
"""The name of the mailer that is used where none is named."""

MAX_SIZE: Final = 10 << 20
"""The longest job that is put into a queue, in octets of JSON: base64 makes four of three octets of an attachment."""

T = TypeVar("T")

_VERSION: Final = 1


def _strings(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


def _results(values: Iterable[RecipientResult]) -> tuple[RecipientResult, ...]:
    return tuple(values)


def _of(kind: type[T], value: object) -> T:
    if type(value) is not kind:  # not isinstance: True is no number here
        raise TypeError(f"{value!r:.100} is no {kind.__name__}")
    return value


@frozen(kw_only=True, repr=False)
class MailJob:
    """One message for one mailer. Its Date, Message-ID and idempotency key are those of every attempt.

    Args:
        id: What the queue's deliveries of one job have in common.
        mailer: The name of a mailer, which each worker knows by itself: never a URL, which may hold a secret.
        message: The message, complete.
        left: The addresses of the recipients who are still to get it.
        attempt: The number of the attempt that comes next; the first is 1.
        settled: What became of the recipients who do not get it any more, and were not accepted.
        doubtful: The addresses of recipients who may have got it in an earlier attempt.
        postponed: How often the next attempt was put off, because the journal could not be asked.
    """

    id: str
    mailer: str
    message: Message
    left: tuple[str, ...] = field(converter=_strings)
    attempt: int = 1
    settled: tuple[RecipientResult, ...] = field(default=(), converter=_results)
    doubtful: tuple[str, ...] = field(default=(), converter=_strings)
    postponed: int = 0

    @classmethod
    def of(cls, message: Message, *, mailer: str = DEFAULT, defaults: Message | None = None) -> Self:
        """Return the job of sending a message, in which nothing is open any more.

        Args:
            message: The message.
            mailer: The name of a mailer.
            defaults: What fills in what the message leaves open.

        Raises:
            ConfigurationError: `mailer` is no name.
            MessageError: The message has no author or no recipient.
        """
        if not mailer or "://" in mailer:
            raise ConfigurationError(
                "a job names its mailer, as mailers={…} of the worker does: a URL may hold a secret, and has no place "
                "in a queue"
            )
        completed = message.completed(defaults)
        left = (path.addr_spec for path in Envelope.from_message(completed).rcpt_to)
        return cls(id=os.urandom(16).hex(), mailer=mailer, message=completed, left=left)

    def payload(self, *, max_size: int | None = None) -> dict[str, Any]:
        """Return the job as JSON has it.

        Args:
            max_size: How many octets of JSON it may have; None for any number.

        Raises:
            MessageError: It is longer, or an attachment cannot be read.
        """
        data = {
            "version": _VERSION,
            "id": self.id,
            "mailer": self.mailer,
            "attempt": self.attempt,
            "postponed": self.postponed,
            "message": self.message.to_dict(),
            **self.progress(),
        }
        if max_size is not None and (size := len(json.dumps(data, separators=(",", ":")))) > max_size:
            raise MessageError(
                f"the message is a job of {size} octets, and {max_size} may be: put the attachments where a link can "
                "point to, or raise max_size=… if your broker takes it"
            )
        return data

    def progress(self) -> dict[str, Any]:
        """Return who is left, and what became of the others, as JSON has it."""
        return {
            "left": list(self.left),
            "settled": [asdict(result, filter=lambda _, value: value is not None) for result in self.settled],
            "doubtful": list(self.doubtful),
        }

    @classmethod
    def from_payload(cls, data: Mapping[str, Any]) -> Self:
        """Return the job that :meth:`payload` wrote.

        Raises:
            MessageError: That is no job, or one of a later version.
        """
        try:
            version = data["version"]
            if version != _VERSION:
                raise MessageError(f"the job is of version {version!r}, and this mailkit reads {_VERSION}: upgrade it")
            job = cls(
                id=_of(str, data["id"]),
                mailer=_of(str, data["mailer"]),
                message=Message.from_dict(data["message"]),
                left=(),
                attempt=_of(int, data["attempt"]),
                postponed=_of(int, data["postponed"]),
            )
            return job.after(data)
        except (KeyError, TypeError) as error:
            raise MessageError(f"the job cannot be read: {error!r}. Enqueue messages with MailQueue.enqueue") from None

    def after(self, progress: Mapping[str, Any]) -> Self:
        """Return the job with what :meth:`progress` wrote."""
        known = {attribute.name for attribute in fields(RecipientResult)}
        settled = [
            RecipientResult(**{name: value for name, value in result.items() if name in known})
            for result in progress["settled"]
        ]
        return evolve(self, left=progress["left"], settled=settled, doubtful=progress["doubtful"])

    @property
    def envelope(self) -> Envelope:
        """Who it is from, and who is still to get it.

        Raises:
            MessageError: Nobody of these is a recipient of the message.
        """
        whole = Envelope.from_message(self.message)
        return evolve(whole, rcpt_to=tuple(path for path in whole.rcpt_to if path.addr_spec in self.left))

    def __repr__(self) -> str:
        """Show what queues log and display: nothing of what the message says, or to whom."""
        return f"MailJob({self.message.message_id!r}, mailer={self.mailer!r}, attempt={self.attempt})"
