"""The rates of a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.smtp.letters import Post, letter

from mailkit import ConfigurationError, Mailer, RateLimitedError
from mailkit.edge.blocking import BlockingEdge
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.smtp.transport import SMTP
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from tests.colours import Colour


@pytest.mark.parametrize("field", ["messages_per_second", "recipients_per_second"])
@pytest.mark.parametrize("value", [0, -1.0])
def test_a_rate_is_positive(field: str, value: float) -> None:
    """Nothing at all, or less, is a configuration error."""
    with pytest.raises(ConfigurationError, match="positive"):
        PoolLimits(**{field: value})  # type: ignore[arg-type]


def test_a_url_carries_the_rates() -> None:
    """Both are parameters, and what is no number is refused with what it should be."""
    from mailkit.url import transport_from_url

    transport = transport_from_url("smtp://mail.example.com?messages_per_second=2.5&recipients_per_second=100")
    assert isinstance(transport, SMTP)
    assert transport.pool == PoolLimits(messages_per_second=2.5, recipients_per_second=100.0)
    with pytest.raises(ConfigurationError, match="positive number a second"):
        transport_from_url("smtp://mail.example.com?messages_per_second=many")


def test_single_messages_keep_to_the_rate(colour: Colour) -> None:
    """Five messages at twenty a second take 200 ms, on one connection."""
    with SMTPServer() as server, Post.to(server, colour, pool=PoolLimits(messages_per_second=20)) as post:
        began = post.edge.now()
        for number in range(5):
            post.send(letter(number))
        assert post.edge.now() - began >= 0.2
        assert len(server.connections) == 1


def test_a_message_that_would_wait_too_long_is_not_sent(colour: Colour) -> None:
    """The second of two messages at one in 1000 s: throttled, nothing is written, and it says for how long."""
    limits = PoolLimits(messages_per_second=0.001, acquire_timeout=1.0)
    with SMTPServer() as server, Post.to(server, colour, pool=limits) as post:
        post.send(letter(1))
        error: Any = post.attempt(letter(2))
        assert isinstance(error, RateLimitedError)
        assert (error.outcome, error.cause, error.retryable) == ("not_sent", "throttled", True)
        assert error.retry_after is not None
        assert 900 < error.retry_after <= 1000
        assert {result.status for result in error.recipients} == {"not_sent"}
        assert len(server.messages) == 1


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("without", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")])
def test_a_stream_keeps_to_the_rate(connections: int, without: tuple[str, ...]) -> None:
    """Over one or several connections together, twenty messages at a hundred a second take at least 190 ms."""
    with SMTPServer(without=without) as server:
        transport = SMTP(server.host, port=server.port, pool=PoolLimits(messages_per_second=100))
        with Mailer(transport) as mailer:
            began = mailer_now()
            outcomes = list(mailer.send_many([letter(number) for number in range(20)], connections=connections))
            assert mailer_now() - began >= 0.19
        assert all(outcome.ok for outcome in outcomes)
        assert len(server.messages) == 20


def mailer_now() -> float:
    """Return the time on the edges' clock."""
    return BlockingEdge().now()
