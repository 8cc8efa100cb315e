"""Several transports: failover, turns, shares, routes, circuit breakers."""

from __future__ import annotations

from typing import assert_type

from mailkit import (
    Address,
    AsyncMailer,
    Capabilities,
    CircuitBreaker,
    Failover,
    Mailer,
    Message,
    RoundRobin,
    Route,
    Transport,
    Weighted,
)
from mailkit.policies import Breaker
from mailkit.providers import Postmark
from mailkit.smtp import SMTP
from mailkit.receipt import RecipientResult


def failover(first: Transport, second: Transport) -> Transport:
    policy = Failover(first, second)
    Failover(first)
    Failover(*[first, second], breaker=None)
    Failover(first, second, breaker=Breaker(failures=3, reset_after=60.0))
    assert_type(policy.transports, tuple[Transport, ...])
    assert_type(policy.breaker, Breaker | None)
    assert_type(policy.capabilities, Capabilities)
    Mailer(policy)
    AsyncMailer(policy)
    return policy


def turns(first: Transport, second: Transport) -> Transport:
    RoundRobin(first, second, breaker=Breaker())
    weighted = Weighted({first: 3, second: 1}, breaker=None)
    Weighted([(first, 3), (second, 1)])
    Weighted({SMTP("mail.example.com"): 3, Postmark("TOKEN"): 1})
    assert_type(weighted.weights, tuple[tuple[Transport, int], ...])
    return RoundRobin(first, weighted)


def choose(message: Message | None, recipient: Address) -> str | None:
    return None if message is None else recipient.domain


def routes(first: Transport, second: Transport) -> Transport:
    Route({"example.com": first})
    Route({"example.com": first, "*.example.com": first}, default=second)
    Route({"newsletter": first}, by="tag", default=second)
    Route({"eu": first}, by=lambda message, recipient: "eu" if recipient.domain.endswith(".eu") else None)
    return Route({"eu": first}, by=choose, default=second)


def breaker(transport: Transport) -> Transport:
    policy = CircuitBreaker(transport, failures=3, reset_after=60.0)
    assert_type(policy.failures, int)
    assert_type(policy.breaker, Breaker)
    return policy


def who_took_it(result: RecipientResult) -> str | None:
    return assert_type(result.transport, str | None)
