"""Whatever provider the registry knows has its test data, its documentation and its name in the package."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from tests.providers.kit import ProviderContract

import mailkit.providers
from mailkit.providers.base import ApiTransport
from mailkit.registry import schemes, transport_class

_DOCS = Path(__file__).parents[2] / "docs" / "providers"


def _providers() -> list[type[ApiTransport]]:
    found: dict[str, type[ApiTransport]] = {}
    for scheme in schemes():
        served = transport_class(scheme)
        if isinstance(served, type) and issubclass(served, ApiTransport):
            found[served.name] = served
    return [found[name] for name in sorted(found)]


PROVIDERS = _providers()


def test_there_are_providers() -> None:
    """The registry is read as it should be."""
    assert {"postmark", "resend"} <= {each.name for each in PROVIDERS}


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_every_provider_is_held_to_the_contract(provider: type[ApiTransport]) -> None:
    """A provider has a test module of its name, with a class that holds it to ProviderContract."""
    stem = provider.__module__.rpartition(".")[2]
    module = import_module(f"tests.providers.test_{stem}")
    contracts = [
        each for each in vars(module).values() if isinstance(each, type) and issubclass(each, ProviderContract)
    ]
    assert provider in [getattr(each, "transport_class", None) for each in contracts]


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_every_provider_can_be_imported_by_name(provider: type[ApiTransport]) -> None:
    """``from mailkit.providers import Name`` works, and the scheme is the provider's name."""
    assert provider.__name__ in mailkit.providers.__all__
    assert getattr(mailkit.providers, provider.__name__) is provider
    assert transport_class(provider.name) is provider


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_every_provider_says_what_it_takes(provider: type[ApiTransport]) -> None:
    """Its docstring has a URL, what is not possible, and limits with the date they were read."""
    text = provider.__doc__ or ""
    assert f"{provider.name}://" in text
    assert "Not possible:" in text
    assert "Limits (read 20" in text


def test_only_what_is_exported_is_offered() -> None:
    """A name that is none of the package's is an AttributeError, as anywhere."""
    assert dir(mailkit.providers) == sorted(mailkit.providers.__all__)
    with pytest.raises(AttributeError, match="Acme"):
        _ = mailkit.providers.Acme
