"""Schemes of ours and of others: the others' come from a real distribution in a folder of its own."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from mailkit.errors import ConfigurationError
from mailkit.registry import _OURS, ENTRY_POINTS, POLICIES, schemes, transport_class
from mailkit.transport import Transport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME = """
from mailkit.errors import ConfigurationError
from mailkit.receipt import Receipt, RecipientResult
from mailkit.transport import Capabilities, Channel


class Acme:
    capabilities = Capabilities(attachments=True)

    def __init__(self, key, region):
        self.key, self.region = key, region

    @classmethod
    def from_url(cls, url):
        return cls(url.username, **url.parameters(region=str))

    def open(self, edge):
        return AcmeChannel(self)

    def __str__(self):
        return "acme://default"


class AcmeChannel(Channel):
    async def send(self, message, envelope):
        results = [RecipientResult(path.addr_spec, status="accepted") for path in envelope.rcpt_to]
        return Receipt(message_id=message.message_id, transport="acme://default", recipients=results)


NOT_A_TRANSPORT = object()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a distribution: a module, and metadata that name it."""
    (tmp_path / "acme_mail.py").write_text(ACME)
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('this platform is not supported')")
    metadata = tmp_path / "acme_mail-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-mail\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[{ENTRY_POINTS}]\n"
        "acme = acme_mail:Acme\n"
        "acme-gone = acme_gone:Acme\n"
        "acme-renamed = acme_mail:Acmee\n"
        "acme-broken = acme_broken:Acme\n"
        "acme-other = acme_mail:NOT_A_TRANSPORT\n"
        "smtp = acme_mail:Acme\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("acme_mail", "acme_broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("scheme", sorted(_OURS))
def test_every_row_of_ours_leads_to_a_class(scheme: str) -> None:
    """Each scheme names a class that can be made from a URL; none is a name without a class."""
    module, _, name = _OURS[scheme].partition(":")
    assert transport_class(scheme) is getattr(import_module(module), name)
    assert callable(transport_class(scheme).from_url)


@pytest.mark.usefixtures("installed")
def test_an_installed_package_adds_its_scheme() -> None:
    """An entry point is all that it takes for ``acme://KEY@default``."""
    transport = transport_from_url("acme://KEY@default?region=eu")
    assert isinstance(transport, Transport)
    assert (type(transport).__module__, vars(transport)) == ("acme_mail", {"key": "KEY", "region": "eu"})
    assert "acme" in schemes()


@pytest.mark.usefixtures("installed")
def test_a_package_cannot_take_a_scheme_of_ours() -> None:
    """Whoever installs a package that claims ``smtp`` still sends by SMTP."""
    assert type(transport_from_url("smtp://mail.example.com")).__name__ == "SMTP"
    assert schemes().count("smtp") == 1


def test_schemes_are_sorted_and_hold_ours() -> None:
    """The list is for people to read."""
    assert list(schemes()) == sorted(schemes())
    assert set(_OURS) <= set(schemes())


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    """The error shows what could have been meant, and nothing of the URL but its scheme."""
    with pytest.raises(ConfigurationError) as caught:
        transport_from_url("smpt://ada:hunter2@mail.example.com")
    known = f"known are: {', '.join([*schemes(), *(f'{policy}(…)' for policy in sorted(POLICIES))])}"
    assert str(caught.value) == f"no transport serves smpt:// (did you mean smtp://?); {known}"
    with pytest.raises(ConfigurationError) as caught:
        transport_class("pigeonpost")
    assert str(caught.value) == f"no transport serves pigeonpost://; {known}"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("failover://a.test", "no transport serves failover:// (did you mean failover(…)?); known are: "),
        ("failovr(null://)", "behind what is no policy (did you mean failover(…)?); known are: breaker(…), "),
        ("retry(rate-limit(null://))", "malformed at URL 1"),
        (
            "retry(ratelimits(null://))",
            "behind what is no policy (did you mean ratelimit(…)?); known are: ",
        ),
        ("hunter2(null://)", "behind what is no policy; known are: breaker(…), "),
    ],
)
def test_a_misspelt_policy_is_told_from_a_scheme(url: str, told: str) -> None:
    """Each is suggested as it is written, and what was given in front of a parenthesis is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        transport_from_url(url)
    assert told in str(caught.value)


def test_every_policy_leads_to_a_class() -> None:
    """It can be made from the members of a URL, and is called there what it calls itself."""
    for name, place in POLICIES.items():
        module, _, kind = place.partition(":")
        policy = getattr(import_module(f"mailkit.policies.{module}"), kind)
        assert policy.scheme == name
        assert callable(policy.from_members)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ("acme-gone", "is served by acme_gone:Acme, which cannot be imported (ModuleNotFoundError: No module named"),
        ("acme-renamed", "is served by acme_mail:Acmee, which cannot be imported (AttributeError: module"),
        ("acme-broken", "which cannot be imported (RuntimeError: this platform is not supported)"),
        ("acme-other", "is served by acme_mail:NOT_A_TRANSPORT, which has no from_url"),
    ],
)
def test_a_package_that_fails_is_named(scheme: str, told: str) -> None:
    """However a third party's module fails, it ends in a ConfigurationError that names it, and no secret."""
    with pytest.raises(ConfigurationError) as caught:
        transport_from_url(f"{scheme}://ada:hunter2@default")
    assert str(caught.value).startswith(f"{scheme}://")
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_finding_a_scheme_of_ours_asks_no_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points are read from disk, which the everyday schemes do not pay for."""

    def forbidden(**_: object) -> None:
        raise AssertionError("entry points were read")

    monkeypatch.setattr("importlib.metadata.entry_points", forbidden)
    assert transport_class("null").__name__ == "NullTransport"  # type: ignore[attr-defined]
