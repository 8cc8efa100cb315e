"""Retrying: policies, budgets, waits, and functions that find out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_type

import tenacity

from mailkit import AsyncMailer, Capabilities, Mailer, Receipt, Retry, RetryPolicy, Transport
from mailkit.policies import Doubt, FullJitter, RetryBudget

if TYPE_CHECKING:
    from mailkit import Message


def find_out(doubt: Doubt) -> Receipt | Literal["not_sent", "unknown"] | None:
    message: Message | None = doubt.message
    return "not_sent" if message is None and doubt.envelope.rcpt_to else None


def wait(state: tenacity.RetryCallState) -> float:
    return float(state.attempt_number)


def stop(state: tenacity.RetryCallState) -> bool:
    return state.attempt_number > 3


def policies() -> None:
    RetryPolicy(attempts=3, deadline=30.0, wait=tenacity.wait_random_exponential(multiplier=0.5, max=10))
    RetryPolicy(wait=tenacity.wait_fixed(1) + tenacity.wait_random(0, 1), stop=tenacity.stop_after_delay(5))
    RetryPolicy(wait=wait, stop=stop, deadline=None)
    RetryPolicy(wait=FullJitter())
    RetryPolicy(wait=FullJitter(transient=(0.5, 5.0), throttled=(5.0, 30.0)))
    RetryPolicy(on_unknown="raise")
    RetryPolicy(on_unknown="retry")
    RetryPolicy(on_unknown=find_out)
    RetryPolicy(on_unknown=lambda doubt: "unknown")
    RetryPolicy(budget=RetryBudget(tokens=100, transient=10, throttled=2))
    RetryPolicy(budget=None)
    assert_type(RetryPolicy.none(), RetryPolicy)
    assert_type(RetryPolicy().attempts, int)
    assert_type(RetryPolicy().budget, RetryBudget | None)


def as_a_transport(transport: Transport) -> Transport:
    retry = Retry(transport)
    Retry(transport, RetryPolicy(attempts=5))
    Retry(transport, policy=RetryPolicy.none())
    assert_type(retry.capabilities, Capabilities)
    assert_type(retry.policy, RetryPolicy)
    Mailer(Retry(Retry(transport)))
    AsyncMailer(retry, retry=RetryPolicy.none())
    return retry
