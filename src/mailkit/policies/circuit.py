"""Whether a transport is worth asking: closed (yes), open (no), half-open (one message, to find out).

Only the transport moves its breaker, never a message: what says that nothing was reached, or that nobody knows, counts
against it; a rejected or deferred recipient, a full quota, a message that cannot be expressed and an interruption count
neither way. One lost connection counts once, however many messages were on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self

from attrs import frozen

from mailkit.errors import ConfigurationError, ConnectError, DeliveryError
from mailkit.events import BreakerChanged
from mailkit.policies.policy import as_number, when_unusual
from mailkit.policies.positive import is_positive, is_whole
from mailkit.receipt import RecipientResult
from mailkit.transport_url import seconds, switch, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.errors import Cause
    from mailkit.events import BreakerState
    from mailkit.message import Message
    from mailkit.transport_url import TransportURL

__all__ = ["Breaker", "Circuit", "Permit", "verdict_on"]

Verdict = Literal["works", "failed", "hopeless", "nothing"]
"""What the end of a delivery says about the transport. Hopeless: it goes on until somebody changes a setting."""

_SHOWN: Final = 200
"""How many characters of the failure that opened a breaker its error repeats."""


@frozen(kw_only=True)
class Breaker:
    """When a transport is not asked any more, and for how long.

    Example:
        >>> Breaker(failures=3, reset_after=60.0).failures
        3

    Args:
        failures: Transport-level failures in a row that open it. One that only a change of settings can end
            (credentials, a certificate, a name that DNS does not know) opens it at once.
        reset_after: Seconds after which one message is let through to find out; a longer Retry-After counts instead.

    Raises:
        ConfigurationError: One of them is not positive.
    """

    failures: int = 5
    reset_after: float = 30.0

    def __attrs_post_init__(self) -> None:
        if not (is_whole(self.failures) and is_positive(self.reset_after) and self.reset_after < float("inf")):
            raise ConfigurationError(
                "a circuit breaker opens after at least one failure, and for a positive number of seconds: use "
                "failures=5 and reset_after=30.0 or other such numbers, or no breaker"
            )

    @classmethod
    def from_url(cls, url: TransportURL) -> Self | None:
        """Read ``?failures=3&reset_after=60`` or ``?breaker=off``.

        Raises:
            ConfigurationError: A parameter is unknown or wrong.
        """
        given = url.parameters(breaker=switch, failures=whole, reset_after=seconds)
        if given.pop("breaker", True):
            return cls(**given)
        if given:
            raise ConfigurationError(f"{url.name} has breaker=off beside settings of the breaker: leave one out")
        return None

    @property
    def parameters(self) -> Mapping[str, str | None]:
        """What :meth:`from_url` reads back; None where one is as usual."""
        return {
            "failures": when_unusual(self.failures, Breaker().failures, as_number),
            "reset_after": when_unusual(self.reset_after, Breaker().reset_after, as_number),
        }


class Permit:
    """The leave to try, as long as a breaker stays in one state.

    Args:
        state: That state.
        until: When the state "open" ends, and in "half-open" when another message may find out.
        why: The failure that opened the breaker, in words.
    """

    __slots__ = ("_change", "_failures", "_origin", "_probe", "state", "until", "why")

    def __init__(self, state: BreakerState, until: float = 0.0, why: str = "") -> None:
        self.state: BreakerState = state
        self.until: float = until
        self.why: str = why
        self._failures: list[bool] = []
        self._origin: BaseException | None = None
        # Tokens in lists, whose append and pop are atomic: unlike a lock, they need no waiting, so that a cancelled
        # task can still say how it ended.
        self._change = [True]
        self._probe = [True]

    @property
    def failures(self) -> int:
        """How many failures in a row there have been in this state."""
        return len(self._failures)

    def count(self, error: BaseException) -> bool:
        """Count a failure, unless the one before has the same origin; return whether it counted."""
        # One lost connection is an error for each message on it, and they share their cause.
        origin = error.__cause__
        if origin is not None and origin is self._origin:
            return False
        self._origin = origin
        self._failures.append(True)
        return True

    def forget_failures(self) -> None:
        """Begin to count anew."""
        if self._failures:
            self._failures, self._origin = [], None

    def take_change(self) -> bool:
        """Whether the caller is the one who ends this state."""
        return _taken(self._change)

    def take_probe(self) -> bool:
        """Whether the caller is the one whose message finds out."""
        return _taken(self._probe)

    @property
    def has_probe(self) -> bool:
        """Whether nobody is finding out."""
        return bool(self._probe)

    def give_probe_back(self) -> None:
        """Let another message find out: this one said nothing."""
        self._probe.append(True)


def _taken(tokens: list[bool]) -> bool:
    try:
        return tokens.pop()
    except IndexError:
        return False


class Circuit:
    """A breaker at work, for one transport on one edge; it may be used by threads and tasks at the same time.

    Args:
        breaker: When it opens and for how long.
        edge: Whose clock it goes by, and whose listener is told.
        name: The transport's name, without secrets.
    """

    def __init__(self, breaker: Breaker, edge: Edge, name: str) -> None:
        self._breaker = breaker
        self._edge = edge
        self._name = name
        self._now = Permit("closed")

    @property
    def state(self) -> BreakerState:
        """Whether messages are let through."""
        return self._now.state

    @property
    def may_pass(self) -> bool:
        """Whether a message that came now would be let through, as far as can be said beforehand."""
        permit = self._now
        if permit.state == "closed" or (permit.state == "half-open" and permit.has_probe):
            return True
        return self._edge.now() >= permit.until

    def admit(self) -> Permit | None:
        """Let a message through, or not. Who is given a permit enters how it ended with it."""
        permit = self._now
        if permit.state != "closed" and (now := self._edge.now()) >= permit.until:
            # Also half-open: whoever was to find out may never come back, as a stream that nobody reads on.
            self._change(permit, Permit("half-open", now + self._breaker.reset_after, permit.why))
            permit = self._now
        if permit.state == "closed" or (permit.state == "half-open" and permit.take_probe()):
            return permit
        return None

    def refusal(self, message: Message | None, envelope: Envelope) -> ConnectError:
        """Return the error for a message that was not let through."""
        permit = self._now
        wait = max(0.0, permit.until - self._edge.now()) if permit.state == "open" else None
        until = "one message is finding out" if wait is None else f"one message is let through in {wait:.3g} s"
        recipients = [
            RecipientResult(path.addr_spec, status="not_sent", phase="breaker", retry_after=wait)
            for path in envelope.rcpt_to
        ]
        return ConnectError(
            f"{self._name} was not asked: its circuit breaker is {permit.state}, and {until} ({permit.why})",
            phase="breaker",
            retry_after=wait,
            recipients=recipients,
            transport=self._name,
            attempts=0,
            message_id=None if message is None else message.message_id,
        )

    def enter(self, permit: Permit, verdict: Verdict, error: BaseException | None = None) -> None:
        """Enter how a message ended that was let through.

        What was let through before the state changed says nothing of the new one.
        """
        if verdict == "nothing":
            if permit.state == "half-open":
                permit.give_probe_back()
        elif verdict == "works":
            if permit.state == "half-open":
                self._change(permit, Permit("closed"))
            else:
                permit.forget_failures()
        elif error is not None and permit.count(error) and self._is_enough(permit, verdict):
            self._open(permit, error)

    def _is_enough(self, permit: Permit, verdict: Verdict) -> bool:
        return permit.state == "half-open" or verdict == "hopeless" or permit.failures >= self._breaker.failures

    def _open(self, permit: Permit, error: BaseException) -> None:
        wait = self._breaker.reset_after
        if isinstance(error, DeliveryError) and error.retry_after is not None:
            wait = max(wait, error.retry_after)
        why = str(error) if len(str(error)) <= _SHOWN else f"{str(error)[:_SHOWN]}…"
        self._change(permit, Permit("open", self._edge.now() + wait, why), error, wait)

    def _change(
        self, before: Permit, after: Permit, error: BaseException | None = None, wait: float | None = None
    ) -> None:
        if not before.take_change():
            return
        self._now = after
        if self._edge.listener is not None and before.state != after.state:
            self._edge.notify(
                BreakerChanged(
                    transport=self._name,
                    before=before.state,
                    after=after.state,
                    failures=before.failures,
                    wait=wait,
                    cause=_cause(error),
                    error=error if isinstance(error, DeliveryError | ConfigurationError) else None,
                )
            )


def verdict_on(error: BaseException) -> Verdict:
    """Return what an error says about the transport that raised it."""
    if isinstance(error, ConfigurationError):
        return "hopeless"
    if not isinstance(error, DeliveryError) or error.attempts == 0:  # nobody was asked: another breaker is open, say
        return "nothing"
    if error.outcome == "unknown":
        return "failed"
    if error.outcome != "not_sent" or error.cause == "throttled":
        return "nothing"
    return "failed" if error.cause == "transient" else "hopeless"


def _cause(error: BaseException | None) -> Cause | None:
    if isinstance(error, DeliveryError):
        return error.cause
    return "configuration" if isinstance(error, ConfigurationError) else None
