"""The simulation of an outage: its numbers are those in the docs, and budget and breaker do what they are for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


def _simulation() -> Any:
    path = Path(__file__).parents[2] / "docs" / "outage_simulation.py"
    specification = importlib.util.spec_from_file_location("outage_simulation", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SIMULATION = _simulation()
CLIENTS, BEGIN, END, LAST = 20, 30.0, 330.0, 400.0


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """The same with fewer clients and a longer outage."""
    return {
        name: SIMULATION.simulate(wrapped, clients=CLIENTS, begin=BEGIN, end=END, last=LAST)
        for name, wrapped in SIMULATION.VARIANTS.items()
    }


def test_every_message_is_accepted_or_an_error(small: dict[str, Any]) -> None:
    """All clients send the same messages, and each of them has one end."""
    assert len({result.sent for result in small.values()}) == 1
    for result in small.values():
        assert result.sent > 1000
        assert result.provider.accepted + result.lost == result.sent


def test_retries_without_a_budget_triple_an_outage(small: dict[str, Any]) -> None:
    """Each message is three requests as long as it lasts, and hardly one more arrives."""
    plain, retried = small["no retries"], small["retries without a budget"]
    assert retried.provider.rate(BEGIN, END) == pytest.approx(3 * plain.provider.rate(BEGIN, END), rel=0.02)
    assert plain.lost - retried.lost < 0.02 * plain.lost


def test_a_budget_bounds_what_an_outage_costs(small: dict[str, Any]) -> None:
    """No client pays for more than 35 retries in it; in its last minute a message is one request."""
    plain, paid = small["no retries"].provider, small["retries with the default budget"].provider
    extra = sum(paid.requests) - sum(plain.requests)
    assert 30 * CLIENTS < extra <= 36 * CLIENTS  # one more for what was earned before and after
    assert paid.rate(END - 60, END) == plain.rate(END - 60, END)


def test_a_breaker_leaves_the_provider_alone(small: dict[str, Any]) -> None:
    """Once it is open, a client asks at most once in half a minute; when the provider is back, so is everybody."""
    broken = small["budget and circuit breaker"].provider
    assert broken.rate(END - 60, END) <= CLIENTS / 30
    back = END + 31
    assert broken.rate(back, LAST) == pytest.approx(small["no retries"].provider.rate(back, LAST), rel=0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("untraced")
def test_the_page_and_the_plot_are_what_is_simulated() -> None:
    """Run ``python docs/outage_simulation.py`` when they are not."""
    results = {name: SIMULATION.simulate(wrapped) for name, wrapped in SIMULATION.VARIANTS.items()}
    assert SIMULATION.PAGE.read_text(encoding="utf-8") == SIMULATION.page(results)
    assert SIMULATION.PLOT.read_text(encoding="utf-8") == SIMULATION.plot(results)
