"""Events as lines of the standard library's logging, to the logger ``mailkit.events``.

A line is the event's title and its facts: ``mailkit.send.accepted message_id=… transport=… recipients=1 …``. A record
has the title as ``event`` and the facts as the mapping ``mailkit``, for whoever writes JSON. Without a configuration of
logging nothing of them is printed; what goes wrong in hooks, on ``mailkit.hooks``, is.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from attrs import fields

from mailkit import events
from mailkit.errors import MailkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger

    from mailkit.envelope import Envelope
    from mailkit.events import Event
    from mailkit.message import Message

__all__ = ["EventLog", "facts_of", "log_failed_hook", "personal_facts_of"]

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40  # as logging has them, which may not be imported at all

_BARE: Final = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without blanks, quotes, "=" and backslashes


def _level_after_send(event: Any) -> int:
    if event.outcome == "accepted":
        return INFO if event.accepted == event.recipients else WARNING
    # The caller hears of all of them. What may have been sent is for somebody to look into.
    return ERROR if event.outcome == "unknown" else WARNING


_LEVELS: Final[Mapping[type[Event], int | Callable[[Any], int]]] = {
    events.BeforeSend: DEBUG,
    events.AfterSend: _level_after_send,
    events.BeforeAttempt: DEBUG,
    events.AfterAttempt: DEBUG,
    events.Retrying: INFO,
    events.RetryWithheld: WARNING,
    events.FailedOver: WARNING,
    events.PassedOver: INFO,
    events.BreakerChanged: lambda event: WARNING if event.after == "open" else INFO,
    events.Throttled: DEBUG,
    events.Suppressed: INFO,
    events.Redirected: INFO,
    events.Deduplicated: INFO,
}
_IN_THE_TITLE: Final = {"outcome": (events.AfterSend, events.AfterAttempt), "after": (events.BreakerChanged,)}


class EventLog:
    """Writes events to the logger ``mailkit.events``.

    Args:
        personal: Whether addresses, subjects and the texts of errors may be written.
    """

    def __init__(self, *, personal: bool = False) -> None:
        self._personal = personal
        self._logger: Logger | None = None

    @property
    def follows(self) -> bool:
        """Whether the events of messages that go well are written."""
        return self._writes(INFO)

    @property
    def follows_closely(self) -> bool:
        """Whether those of their attempts are, too."""
        return self._writes(DEBUG)

    def _writes(self, level: int) -> bool:
        logger = self._logger or self._find_logger()
        return logger is not None and logger.isEnabledFor(level)

    def __call__(self, event: Event) -> None:
        """Write an event, if its level is enabled."""
        logger = self._logger or self._find_logger()
        if logger is None:
            return
        level = _LEVELS.get(type(event), INFO)
        number = level(event) if callable(level) else level
        if not logger.isEnabledFor(number):
            return
        facts = facts_of(event)
        if self._personal:
            facts |= personal_facts_of(event)
        line = " ".join(f"{name}={_written(value)}" for name, value in facts.items())
        logger.log(number, "%s %s", event.title, line, extra={"event": event.title, "mailkit": facts})

    def _find_logger(self) -> Logger | None:
        # Who has not imported logging has no handlers: importing it would cost every mailer more than it is worth.
        if "logging" in sys.modules:
            self._logger = _logger()
        return self._logger


def _logger() -> Logger:
    import logging

    logger = logging.getLogger("mailkit.events")
    if not logger.handlers:
        # Whoever configures no logging reads no events. That is not for "mailkit" as a whole: a failure that nobody
        # else hears of belongs on standard error, where logging puts it without any handler.
        logger.addHandler(logging.NullHandler())
    return logger


def facts_of(event: Event) -> dict[str, Any]:
    """Return what an event says of itself, without what its title says already and what is not known."""
    facts: dict[str, Any] = {}
    for each in fields(type(event)):
        value = getattr(event, each.name)
        if each.repr and value is not None and not isinstance(event, _IN_THE_TITLE.get(each.name, ())):
            facts[each.name] = round(value, 6) if isinstance(value, float) else value
    error: BaseException | None = getattr(event, "error", None)
    if error is not None:
        facts["error"] = type(error).__name__
    return facts


def personal_facts_of(event: Event) -> dict[str, Any]:
    """Return what is known of the people and the words of a message, besides."""
    facts: dict[str, Any] = {}
    envelope: Envelope | None = getattr(event, "envelope", None)
    message: Message | None = getattr(event, "message", None)
    error: BaseException | None = getattr(event, "error", None)
    if envelope is not None:
        facts["mail_from"] = "" if envelope.mail_from is None else envelope.mail_from.addr_spec
        facts["rcpt_to"] = ",".join([path.addr_spec for path in envelope.rcpt_to])
    if message is not None and message.subject is not None:
        facts["subject"] = message.subject
    if isinstance(error, MailkitError):
        facts["text"] = str(error)
    return facts


def _written(value: object) -> str:
    """Return a value as one word of a line, quoted where it would not be one."""
    text = str(value)
    if _BARE.fullmatch(text):
        return text
    import json

    # One line of ASCII: no line break and no control character forges an entry.
    return json.dumps(text).replace("\x7f", "\\u007f")


def log_failed_hook(hook: object, title: str) -> None:
    """Log the exception that is being handled, which a hook has raised; on standard error if no log is configured."""
    import logging

    logger = logging.getLogger("mailkit.hooks")
    name = getattr(hook, "__qualname__", type(hook).__qualname__)
    what, about = "a hook failed and was ignored: hook=%s event=%s", (_written(name), title)
    try:
        logger.error(what, *about, exc_info=sys.exc_info())
    except Exception:  # noqa: BLE001 - a log that fails itself must not turn what was sent into an error either
        # What logging does with a handler that fails: a traceback on standard error, unless that was switched off.
        logging.Handler().handleError(logger.makeRecord(logger.name, ERROR, __file__, 0, what, about, None))
