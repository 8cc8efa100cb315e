"""What providers have in common whose requests have one content, and for each message a recipient and little else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tests.providers.kit import ProviderContract

from mailkit import Attachment, Mailer, RetryPolicy, Template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest
    from tests.http_server import Answer

    from mailkit import Message

__all__ = ["ALONE", "APART", "OneContentContract"]

_TEMPLATE: Final = {"template": Template("welcome", {"a": "b"}), "subject": None, "text": None}

APART: Final[Sequence[Mapping[str, Any]]] = (
    {"subject": "Other"},
    {"text": "Other"},
    {"html": "Other"},
    {"headers": {"X-A": "1"}},
    {"from_": "eve@example.com"},
    {"reply_to": "eve@example.com"},
    {"track_opens": True},
    {"track_clicks": True},
    {"send_at": datetime(2026, 12, 1, tzinfo=UTC)},
    _TEMPLATE,
)
"""Changes that every such provider keeps apart."""
ALONE: Final[Sequence[Mapping[str, Any]]] = (
    {"cc": "cleo@example.org"},
    {"attachments": [Attachment.from_bytes(b"a", "a.txt")]},
    {"to": "BOB@example.org"},  # a second message to Bob
)
"""Changes with which a message goes alone at every such provider."""


class OneContentContract(ProviderContract):
    """A provider that writes the content of a request once."""

    apart: ClassVar[Sequence[Mapping[str, Any]]] = APART
    """Changes with which a message shares no request with those without, but does with its like."""
    alone: ClassVar[Sequence[Mapping[str, Any]]] = ALONE
    """Changes with which it shares none at all."""

    def outcomes(self, *messages: Message, answer: Answer | None = None, **fields: Any) -> list[Any]:
        """Send messages in a stream, in as few requests as can be; return what became of each."""
        self.answer = answer
        transport = self.make_transport(**{**self.batch_fields, **fields})
        with Mailer(transport, retry=RetryPolicy.none()) as mailer:
            return list(mailer.send_many(messages, connections=1))

    def test_what_cannot_share_a_request(self, subtests: pytest.Subtests) -> None:
        """Messages with another content or setting are not in one request, nor is what only one can say."""
        for changes, is_alone in [*[(each, False) for each in self.apart], *[(each, True) for each in self.alone]]:
            with subtests.test(str(changes)[:100]):
                self._server.requests.clear()
                other = self.make_message(**{"to": "dan@example.org", **changes})
                assert all(outcome.ok for outcome in self.outcomes(self.make_message(), other))
                assert len(self._server.requests) == 2
                self._server.requests.clear()
                bob = "bob@example.org" if changes.get("to") == "BOB@example.org" else "BOB@example.org"
                assert all(outcome.ok for outcome in self.outcomes(other, other.evolve(to=bob)))
                assert len(self._server.requests) == (2 if is_alone else 1)
