"""The transport as a value, and its URLs."""

from __future__ import annotations

import pickle
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from mailkit import Capabilities, ConfigurationError
from mailkit.edge.records import NameServers
from mailkit.mx import DirectMX
from mailkit.mx.channel import MXChannel
from mailkit.mx.host_security import HostSecurity
from mailkit.mx.transport import COURTESY
from mailkit.smtp import PoolLimits, Timeouts
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from mailkit.edge import Edge


def test_it_is_a_value() -> None:
    """Equal settings are equal, can be a key, and survive pickling."""
    direct = DirectMX("mail.example.com", name_servers=NameServers([("127.0.0.1", 53)]), source_address="127.0.0.1")
    assert pickle.loads(pickle.dumps(direct)) == direct
    assert {direct: 1}[
        DirectMX("mail.example.com", name_servers=direct.name_servers, source_address=["127.0.0.1"])
    ] == 1
    assert str(direct) == "mx://mail.example.com"
    assert direct.capabilities == Capabilities.rfc5322(smtputf8=True)


@pytest.mark.parametrize("source_address", [None, "127.0.0.1", ["127.0.0.1", "::1"]])
def test_change_is_a_copy(source_address: str | list[str] | None) -> None:
    """A copy differs in what was changed, and in nothing else."""
    direct = DirectMX("mail.example.com", source_address=source_address)
    changed = evolve(direct, port=2525)
    assert (changed.port, changed.source_address) == (2525, direct.source_address)
    assert evolve(changed, port=25) == direct


def test_it_opens_channels(edge: Edge) -> None:
    """Opening does no I/O."""
    direct = DirectMX("mail.example.com")
    channel = direct.open(edge)
    assert isinstance(channel, MXChannel)
    assert channel.transport is direct


def test_the_defaults() -> None:
    """Port 25, no private networks, few connections that do not lie idle."""
    direct = DirectMX("mail.example.com")
    assert (direct.port, direct.private_networks, direct.require_tls) == (25, False, False)
    assert direct.pool == COURTESY
    assert direct.source_address == ()


def test_this_machine_s_own_name_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full name is greeted with."""
    monkeypatch.setattr(platform, "node", lambda: "web1.example.com")
    assert str(transport_from_url("mx://")) == "mx://web1.example.com"


@pytest.mark.parametrize("node", ["laptop", "", "web_1.example.com", "192.0.2.1"])
def test_a_machine_without_a_full_name_needs_one(node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchangers are not greeted with a nickname or a number; the error says how to give a name."""
    monkeypatch.setattr(platform, "node", lambda: node)
    with pytest.raises(ConfigurationError, match="ehlo_name="):
        DirectMX()
    assert str(DirectMX("[192.0.2.1]")) == "mx://[192.0.2.1]"


def test_every_parameter_of_the_url() -> None:
    """Each one ends up where it belongs."""
    url = (
        "mx://mail.example.com?port=2525&timeout=7&source_address=192.0.2.1,2001:db8::1&require_tls=on"
        "&private_networks=on&name_servers=127.0.0.1:5353,[::1]:53,192.0.2.53&ca_file=/etc/ca.pem&domains_at_once=3"
        "&max_connections=2&max_messages=9&max_age=60&idle_timeout=4&messages_per_second=5&recipients_per_second=6"
    )
    assert transport_from_url(url) == DirectMX(
        "mail.example.com",
        port=2525,
        source_address=("192.0.2.1", "2001:db8::1"),
        require_tls=True,
        private_networks=True,
        name_servers=NameServers([("127.0.0.1", 5353), ("::1", 53), ("192.0.2.53", 53)]),
        ca_file=Path("/etc/ca.pem"),
        domains_at_once=3,
        timeouts=Timeouts(connect=7.0, tls=7.0, greeting=7.0, command=7.0, data_block=7.0),
        pool=PoolLimits(
            max_connections=2,
            max_messages=9,
            max_age=60.0,
            idle_timeout=4.0,
            messages_per_second=5.0,
            recipients_per_second=6.0,
        ),
    )


@pytest.mark.parametrize(
    "url",
    [
        "mx://ada@mail.example.com",
        "mx://ada:hunter2@mail.example.com",
        "mx://mail.example.com:25",
        "mx://mail.example.com/path",
        "mx://mail.example.com?tls=insecure",
        "mx://mail.example.com?username=ada",
        "mx://mail_1.example.com",
        "mx://mail.example.com?port=0",
        "mx://mail.example.com?port=70000",
        "mx://mail.example.com?domains_at_once=1000",
        "mx://mail.example.com?name_servers=dns.example.com",
        "mx://mail.example.com?name_servers=127.0.0.1:x",
        "mx://mail.example.com?name_servers=127.0.0.1:0",
        "mx://mail.example.com?name_servers=",
        "mx://mail.example.com?source_address=localhost",
        "mx://mail.example.com?require_tls=yes",
    ],
)
def test_what_a_url_may_not_say(url: str) -> None:
    """Credentials, a second place for the port, unknown parameters and impossible values are refused."""
    with pytest.raises(ConfigurationError) as caught:
        transport_from_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("level", "tls", "verify", "ca_file"),
    [
        ("opportunistic", "opportunistic", False, None),
        ("encrypted", "starttls", False, None),
        ("dane", "starttls", False, None),
        ("verified", "starttls", True, Path("/etc/ca.pem")),
    ],
)
def test_what_conversations_are_told(level: str, tls: str, verify: bool, ca_file: Path | None) -> None:
    """Security decides about STARTTLS and certificates; nothing of it allows credentials or clear text."""
    direct = DirectMX("mail.example.com", ca_file="/etc/ca.pem")
    options = direct.options_for("mx.test", HostSecurity(level=level))  # type: ignore[arg-type]
    assert (options.tls, options.tls_options.verify, options.tls_options.ca_file) == (tls, verify, ca_file)
    assert (options.host, options.port, options.name) == ("mx.test", 25, "mx://mail.example.com")
    assert options.ehlo_name == "mail.example.com"
    assert options.login is None
    assert not options.cleartext_allowed
