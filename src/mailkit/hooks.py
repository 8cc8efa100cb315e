"""Functions of the application that hear what happens to its mail, and may refuse a message before it goes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, TypeVar

from attrs import fields, frozen

from mailkit.errors import ConfigurationError
from mailkit.representation import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.events import AfterAttempt, AfterSend, BeforeAttempt, BeforeSend, Event, FailedOver, Retrying

    E = TypeVar("E", bound=Event)
    Hook: TypeAlias = Callable[[E], object] | Iterable[Callable[[E], object]]

__all__ = ["Hooks"]

_LOGS = ("off", "facts", "personal")


def _is_several(given: object) -> TypeGuard[Iterable[object]]:
    return isinstance(given, Iterable)


def _functions(given: object) -> tuple[Callable[[Any], object], ...]:
    """Return the functions of a hook, of which there may be one or several.

    Raises:
        ConfigurationError: One of them is no function, or an async one.
    """
    functions: tuple[Any, ...] = tuple(given) if _is_several(given) else (given,)
    for function in functions:
        if not callable(function):
            msg = f"a hook is a function that takes one event, not {type(function).__name__}"
            raise ConfigurationError(msg)
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004 - not whether, but of what kind
            msg = (
                f"the hook {function!r} is an async function, which nobody would await: give a plain one, which starts "
                "a task or puts the event in a queue if there is something to wait for"
            )
            raise ConfigurationError(msg)
    return functions


@frozen(kw_only=True)
class Hooks:
    """What a mailer calls while it works. Each hook is one plain function or several, and gets one typed event.

    Hooks run in the thread or task that sends, so they should be quick. None of them can lose or double a message:

    - What `before_send` raises keeps the message from being sent, before any I/O: a MailkitError is raised (or becomes
      the message's outcome) as it is, any other exception as the cause of a MessageError. It cannot change a message.
    - What any other hook raises changes nothing: it is logged as an error, with its traceback, to ``mailkit.hooks``.

    Example:
        >>> from mailkit import Mailer, Message
        >>> heard = []
        >>> with Mailer("null://", hooks=Hooks(after_send=heard.append)) as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> heard[0].outcome, heard[0].recipients, heard[0].attempts
        ('accepted', 1, 1)

    Args:
        before_send: Is called with each message that is complete and addressed, before anything of it is written.
        after_send: Is called once for each message, whatever became of it: the error and an interruption included.
        before_attempt: Is called before each attempt at a delivery, where the mailer or a transport tries again.
        after_attempt: Is called after each.
        on_retry: Is called before the wait for another attempt.
        on_failover: Is called when the next transport is asked for what the one before did not send.
        on_event: Is called with each of these events and all others: see :mod:`mailkit.events`.
        log: What is logged to ``mailkit.events``: ``"facts"``: what happened, with the Message-ID and counts.
            ``"personal"``: addresses, the subject and the errors' texts as well. ``"off"``: nothing.

    Raises:
        ConfigurationError: A hook is no function or an async one, or `log` is not known.
    """

    before_send: Hook[BeforeSend] = ()
    after_send: Hook[AfterSend] = ()
    before_attempt: Hook[BeforeAttempt] = ()
    after_attempt: Hook[AfterAttempt] = ()
    on_retry: Hook[Retrying] = ()
    on_failover: Hook[FailedOver] = ()
    on_event: Hook[Event] = ()
    log: Literal["off", "facts", "personal"] = "facts"

    __repr__ = shown

    def __attrs_post_init__(self) -> None:
        if self.log not in _LOGS:
            msg = f'log={self.log!r} is not known: use "facts", "personal" (addresses and subjects too) or "off"'
            raise ConfigurationError(msg)
        # Not by converters, because mypy takes a generic one to be of no type in particular.
        for each in fields(type(self))[:-1]:
            object.__setattr__(self, each.name, _functions(getattr(self, each.name)))

    def functions(self, name: str) -> tuple[Callable[[Any], object], ...]:
        """Return the functions of one hook."""
        functions: tuple[Callable[[Any], object], ...] = getattr(self, name)
        return functions
