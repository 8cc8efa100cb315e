"""Trying again as a transport: round one that a mailer, or another policy, is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, final

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.policies.policy import as_number, as_object, as_text, when_unusual
from mailkit.policies.retry_policy import DEFAULT_RETRY, RetryPolicy
from mailkit.policies.wrapper import Wrapping
from mailkit.transport_url import seconds, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attrs import Attribute

    from mailkit.edge import Edge
    from mailkit.transport import Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["DEFAULT_RETRY", "Retry", "RetryPolicy"]


def _is_policy(instance: object, attribute: Attribute[Any], value: object) -> None:  # noqa: ARG001 - attrs gives it
    if not isinstance(value, RetryPolicy):
        raise ConfigurationError(f"Retry takes a RetryPolicy(attempts=…), not {type(value).__name__}")


@final
@frozen
class Retry(Wrapping):
    """A transport that tries again what another one did not send: ``smtp://host?retries=5`` as a URL.

    A mailer retries by itself, round whatever transport it has. This is for one member of several, or for a transport
    that is used without a mailer. A mailer that is given no policy adds none to it, so that attempts do not multiply.

    Example:
        >>> from mailkit import Mailer, Message, Retry, RetryPolicy
        >>> from mailkit.testing import FakeTransport
        >>> with Mailer(Retry(FakeTransport(), RetryPolicy(attempts=5))) as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> receipt.attempts
        1

    Args:
        transport: What is tried.
        policy: How often, how long and how soon.

    Raises:
        ConfigurationError: `transport` is no transport, or `policy` no policy.
    """

    scheme: ClassVar[str] = "retry"

    policy: RetryPolicy = field(default=DEFAULT_RETRY, validator=_is_policy)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``retry(URL)?attempts=5&deadline=60`` describes.

        Raises:
            ConfigurationError: There is not exactly one member, or a parameter is wrong.
        """
        from mailkit.policies.members import only_member

        given = url.parameters(
            attempts=whole, deadline=seconds, on_unknown={"raise": "raise", "retry": "retry"}.__getitem__
        )
        return cls(only_member(cls.scheme, members), RetryPolicy(**given))

    def _parameters(self) -> Mapping[str, str | None]:
        mine, usual = self.policy, RetryPolicy()
        return {
            "attempts": when_unusual(mine.attempts, usual.attempts, as_number),
            "deadline": when_unusual(mine.deadline, usual.deadline, as_number),
            "wait": when_unusual(mine.wait, usual.wait, as_object),
            "stop": when_unusual(mine.stop, usual.stop, as_object),
            "on_unknown": when_unusual(mine.on_unknown, "raise", as_object if callable(mine.on_unknown) else as_text),
            "budget": when_unusual(mine.budget, usual.budget, as_object),
        }

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        from mailkit.policies.retry_channel import RetryChannel

        return RetryChannel(self.transport.open(edge), self.policy, edge, self)
