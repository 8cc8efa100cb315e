"""Who hears the events of one mailer: its hooks and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mailkit import events
from mailkit.errors import MailkitError, MessageError
from mailkit.event_log import EventLog, log_failed_hook
from mailkit.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mailkit.events import BeforeSend, Event
    from mailkit.hooks import Hooks

__all__ = ["Listener"]

_HOOK_FOR: Final[Mapping[type[Event], str]] = {
    events.AfterSend: "after_send",
    events.BeforeAttempt: "before_attempt",
    events.AfterAttempt: "after_attempt",
    events.Retrying: "on_retry",
    events.FailedOver: "on_failover",
}
_OF_ATTEMPTS: Final = ("before_attempt", "after_attempt")
_OF_MESSAGES: Final = ("before_send", "after_send", "on_event", *_OF_ATTEMPTS)


class Listener:
    """What a mailer's edge tells what happens.

    Args:
        hooks: The application's functions, and what is logged.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._before_send = hooks.functions("before_send")
        self._for_all = hooks.functions("on_event")
        self._for_one: dict[type[Event], Iterable[Callable[[Any], object]]] = {
            kind: hooks.functions(name) for kind, name in _HOOK_FOR.items()
        }
        self._log = None if hooks.log == "off" else EventLog(personal=hooks.log == "personal")
        self._hooks_follow = any(hooks.functions(name) for name in _OF_MESSAGES)
        self._hooks_follow_closely = any(hooks.functions(name) for name in _OF_ATTEMPTS) or any(
            getattr(function, "follows_closely", True) for function in self._for_all
        )

    @property
    def follows(self) -> bool:
        """Whether somebody wants to hear of each message, also where all goes well."""
        return self._hooks_follow or (self._log is not None and self._log.follows)

    @property
    def follows_closely(self) -> bool:
        """Whether somebody wants to hear of each attempt too."""
        return self._hooks_follow_closely or (self._log is not None and self._log.follows_closely)

    def __call__(self, event: Event) -> None:
        """Tell everybody whom it concerns.

        Raises:
            MailkitError: A hook refuses the message that is about to be sent.
        """
        if self._log is not None:
            _call(self._log, event)
        for hook in self._for_all:
            _call(hook, event)
        for hook in self._for_one.get(type(event), ()):
            _call(hook, event)
        if isinstance(event, events.BeforeSend):
            for guard in self._before_send:
                _ask(guard, event)


def _call(hook: Callable[[Any], object], event: Event) -> None:
    try:
        hook(event)
    except Exception:  # noqa: BLE001 - what has happened to the message has happened; it is not in silence
        log_failed_hook(hook, event.title)


def _ask(guard: Callable[[BeforeSend], object], event: BeforeSend) -> None:
    """Let a hook refuse a message. One that fails has not let it pass: that nothing was sent is certain here."""
    try:
        answer = guard(event)
    except MailkitError:
        raise
    except Exception as error:
        name = getattr(guard, "__qualname__", type(guard).__qualname__)
        msg = f"the message was not sent, because the hook {name} failed before it: {type(error).__name__}"
        raise MessageError(msg) from error
    if isinstance(answer, Message):
        msg = (
            "the message was not sent, because before_send returned another one: a hook cannot change what is sent; "
            "change it before send, with Message.evolve or the mailer's defaults"
        )
        raise MessageError(msg)
