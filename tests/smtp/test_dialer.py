"""Which host a session is with, when the first is not there, and how it is named and trusted."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.name_server import NameServer
from tests.patience import given_time
from tests.smtp.letters import letter

from mailkit import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    Envelope,
    RejectedError,
    TLSError,
    TransientError,
)
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.smtp.source_addresses import LEFT_OUT
from mailkit.smtp.timeouts import Timeouts
from mailkit.smtp.transport import SMTP
from mailkit.testing import Disconnect, SMTPServer, Stall
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailkit import Receipt
    from mailkit.edge import Edge

DOMAIN = "example.test"
ONE_EACH = PoolLimits(max_messages=1)


class Site:
    """A domain with a name server and mail servers of its own, which it names in their order by SRV."""

    def __init__(self, edge: Edge, run: Any) -> None:
        self.names = NameServer()
        self.edge = edge
        self._run = run
        self._channels: list[Any] = []
        self._stack = ExitStack()
        self._stack.enter_context(self.names)

    def serve(self, count: int = 1, **options: Any) -> list[SMTPServer]:
        """Start mail servers, and name them."""
        servers = [
            self._stack.enter_context(SMTPServer(host=f"127.0.0.{number + 10}", **options)) for number in range(count)
        ]
        for number, server in enumerate(servers):
            self.names.add(f"mx{number}.{DOMAIN}", "A", server.host)
        records = (f"{number} 1 {server.port} mx{number}.{DOMAIN}." for number, server in enumerate(servers))
        self.names.add(f"_submission._tcp.{DOMAIN}", "SRV", *records)
        return servers

    def transport(self, **options: Any) -> SMTP:
        """Return the transport to the domain."""
        given = {"discover": "srv", "tls": "insecure", "name_servers": self.names.name_servers, "pool": ONE_EACH}
        return SMTP(DOMAIN, **(given | options))

    def send(self, number: int = 1, channel: Any = None, **options: Any) -> Receipt:
        """Send a letter."""
        message = letter(number)
        channel = channel or self.transport(**options).open(self.edge)
        self._channels.append(channel)
        receipt: Receipt = self._run(channel.send, message, Envelope.from_message(message))
        return receipt

    def close(self) -> None:
        """Stop everything."""
        for channel in self._channels:
            self._run(channel.close)
        self._stack.close()


@pytest.fixture
def site(edge: Edge, run: Any) -> Iterator[Site]:
    """A site."""
    site = Site(edge, run)
    yield site
    site.close()


def test_the_first_host_takes_the_mail(site: Site) -> None:
    """The host of the lowest priority, at the port that SRV names; the receipt names the domain."""
    first, second = site.serve(2)
    receipt = site.send()
    assert receipt.transport == f"smtp://{DOMAIN}?discover=srv"
    assert (len(first.messages), len(second.connections)) == (1, 0)


@pytest.mark.parametrize("fault", ["554 5.3.2 not here", "421 4.3.2 not now", Disconnect()], ids=["5xx", "4xx", "end"])
def test_a_greeting_that_refuses_leads_to_the_next_host(fault: Any, site: Site) -> None:
    """5xx, 4xx and an end instead of a greeting: the next host gets the message, and nobody hears of it."""
    first, second = site.serve(2)
    first.script("greeting", fault)
    assert site.send().attempts == 1
    assert (len(first.messages), len(second.messages)) == (0, 1)


def test_a_host_that_is_not_there_is_passed_over_for_a_while(site: Site) -> None:
    """The next connection does not try it first; after a minute it does."""
    first, second = site.serve(2)
    first.script("greeting", "554 5.3.2 not here")
    channel = site.transport().open(site.edge)
    for number in range(3):
        site.send(number, channel)
    assert (len(first.connections), len(second.messages)) == (1, 3)
    now = site.edge.now
    site.edge.now = lambda: now() + LEFT_OUT  # type: ignore[method-assign]
    site.send(4, channel)
    assert len(first.messages) == 1


def test_a_host_that_refuses_connections_leads_to_the_next(site: Site) -> None:
    """Nothing listens there any more."""
    first, second = site.serve(2)
    first.close()
    site.send()
    assert len(second.messages) == 1


@given_time(first=0.3)
def test_a_silent_host_leaves_time_for_the_next(site: Site, *, wait: float) -> None:
    """A greeting that never comes ends at its timeout, and the next host still has time to connect."""
    first, second = site.serve(2)
    first.script("greeting", Stall())
    site.send(timeouts=Timeouts(greeting=wait, connect=2.0 + 4 * wait))
    assert len(second.messages) == 1


@given_time(first=1.0)
def test_an_address_that_does_not_answer_does_not_use_up_the_time(site: Site, *, wait: float) -> None:
    """What a host may take to connect is its share: half of the time where there are two."""
    import socket

    (second,) = site.serve(1)
    with ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.99", 0), backlog=0))
        address = full.getsockname()
        while True:
            client = opened.enter_context(socket.socket())
            client.settimeout(0.1)
            try:
                client.connect(address)
            except TimeoutError:
                break
        site.names.add(f"full.{DOMAIN}", "A", address[0])
        site.names.add(
            f"_submission._tcp.{DOMAIN}", "SRV", f"0 1 {address[1]} full.{DOMAIN}.", f"1 1 {second.port} mx0.{DOMAIN}."
        )
        began = site.edge.now()
        site.send(timeouts=Timeouts(connect=wait))
        assert 0.4 * wait < site.edge.now() - began < 0.95 * wait
    assert len(second.messages) == 1


def test_when_no_host_will_do_the_hopeful_error_is_raised_and_the_others_noted(site: Site) -> None:
    """A 4xx among 5xx: try again later; the notes say how each of the others failed."""
    servers = site.serve(3)
    for server, reply in zip(servers, ("554 5.0.0 never", "421 4.0.0 later", "554 5.0.0 never"), strict=True):
        server.script("greeting", reply)
    with pytest.raises(TransientError) as caught:
        site.send()
    error = caught.value
    assert (error.outcome, error.cause, error.phase) == ("not_sent", "transient", "greeting")
    cause = error.__cause__ or error
    notes = [note for each in (error, cause, error.__context__) for note in getattr(each, "__notes__", ())]
    assert len({note for note in notes if "mx0" in note or "mx2" in note}) == 2


def test_when_every_host_says_never_the_last_word_counts(site: Site) -> None:
    """Only 5xx: nobody tries again by itself."""
    for server in site.serve(2):
        server.script("greeting", "554 5.0.0 never")
    with pytest.raises(RejectedError) as caught:
        site.send()
    assert (caught.value.outcome, caught.value.cause) == ("not_sent", "configuration")


def test_a_refused_password_is_not_tried_at_the_next_host(site: Site) -> None:
    """An account must not be locked by asking everywhere."""
    first, second = site.serve(2, users={"ada": "right"})
    with pytest.raises(AuthenticationError):
        site.send(username="ada", password="wrong")
    assert (len(first.connections), len(second.connections)) == (1, 0)


def test_missing_tls_is_not_looked_for_at_the_next_host(site: Site) -> None:
    """What looks like an attack at the first host ends it."""
    first, second = site.serve(2)
    with pytest.raises(TLSError) as caught:
        site.send(tls="starttls")
    assert caught.value.cause == "security"
    assert (len(first.connections), len(second.connections)) == (1, 0)


def test_the_certificate_must_be_the_hosts(site: Site) -> None:
    """In the domain, the certificate is for the host that SRV names: mx0.example.test."""
    (server,) = site.serve(1, tls="starttls", hostname=f"mx0.{DOMAIN}")
    site.send(tls="starttls", ca_file=server.ca_file)
    assert server.messages[0].tls is not None


def test_a_host_outside_of_the_domain_must_have_the_domains_certificate(site: Site) -> None:
    """A forged answer cannot lead to somebody else's valid certificate; server_hostname= says it is meant."""
    (server,) = site.serve(1, tls="starttls", hostname="mail.provider.test")
    site.names.add("mail.provider.test", "A", server.host)
    site.names.add(f"_submission._tcp.{DOMAIN}", "SRV", f"0 1 {server.port} mail.provider.test.")
    with pytest.raises(TLSError, match=DOMAIN) as caught:
        site.send(tls="starttls", ca_file=server.ca_file)
    assert caught.value.cause == "security"
    site.send(tls="starttls", ca_file=server.ca_file, server_hostname="mail.provider.test")
    assert len(server.messages) == 1


def test_the_service_says_how_to_get_tls(site: Site) -> None:
    """A host of _submissions gets TLS from the first byte, although nothing was said about it."""
    (server,) = site.serve(1, tls="implicit", hostname=f"mx0.{DOMAIN}")
    site.names.add(f"_submissions._tcp.{DOMAIN}", "SRV", f"0 1 {server.port} mx0.{DOMAIN}.")
    site.send(tls=None, ca_file=server.ca_file)
    assert len(server.messages) == 1


def test_mail_exchangers_are_tried_in_order(site: Site) -> None:
    """discover="mx": the exchanger of the lowest preference, at the transport's port."""
    (server,) = site.serve(1)
    site.names.add(DOMAIN, "MX", f"20 mx0.{DOMAIN}.", f"10 gone.{DOMAIN}.")
    transport = site.transport(discover="mx", port=server.port)
    assert str(transport) == f"smtp://{DOMAIN}?discover=mx"
    site.send(channel=transport.open(site.edge))
    assert len(server.messages) == 1


def test_own_name_servers_answer_for_a_single_host_too(site: Site) -> None:
    """Without discover, the host's address comes from them; IPv6 and IPv4 are both tried."""
    (server,) = site.serve(1)
    site.names.add("mail.test", "A", server.host)
    site.names.add("mail.test", "AAAA", "::1")
    transport = SMTP("mail.test", port=server.port, tls="insecure", name_servers=site.names.name_servers)
    site.send(channel=transport.open(site.edge))
    assert {kind for name, kind in site.names.asked if name == "mail.test"} == {"A", "AAAA"}
    numeric = SMTP(server.host, port=server.port, tls="insecure", name_servers=site.names.name_servers)
    asked = len(site.names.asked)
    site.send(channel=numeric.open(site.edge))
    assert len(site.names.asked) == asked


def test_one_family_that_cannot_be_asked_for_does_not_hide_the_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error for AAAA and an address for A: that one is used."""
    from mailkit.edge.records import AAAA

    (server,) = site.serve(1)
    resolve = site.edge.resolve_records

    async def broken(name: str, kind: Any, **options: Any) -> Any:
        if kind is AAAA:
            raise ConnectError("no answer", phase="resolve")
        return await resolve(name, kind, **options)

    monkeypatch.setattr(site.edge, "resolve_records", broken)
    site.send()
    assert len(server.messages) == 1


@pytest.mark.parametrize(("fault", "cause"), [(None, "configuration"), ("servfail", "transient")])
def test_a_host_without_an_address_says_who_may_retry(fault: Any, cause: str, site: Site) -> None:
    """No such name is a matter of settings, no answer is not."""
    site.names.fail("mail.test", fault)
    transport = SMTP("mail.test", tls="insecure", name_servers=site.names.name_servers)
    with pytest.raises(ConnectError) as caught:
        site.send(channel=transport.open(site.edge))
    assert (caught.value.cause, caught.value.phase, caught.value.outcome) == (cause, "resolve", "not_sent")


def test_a_domain_without_servers_is_a_configuration_failure(site: Site) -> None:
    """Nothing is guessed: the error says what was asked for."""
    with pytest.raises(ConnectError, match="by SRV") as caught:
        site.send()
    assert (caught.value.cause, caught.value.phase) == ("configuration", "resolve")


@pytest.mark.parametrize(
    ("host", "options", "says"),
    [
        ("192.0.2.1", {"discover": "srv"}, "of a domain"),
        ("example.com", {"discover": "srv", "port": 587}, "leave the port out"),
        ("example.com", {"discover": "dns"}, "discover='dns' is not known"),
        ("example.com", {"discover": "mx", "protocol": "lmtp"}, "of a domain"),
        ("example.com", {"discover": "mx", "unix_path": "/run/x.sock"}, "of a domain"),
    ],
)
def test_what_cannot_be_discovered_is_refused(host: str, options: Any, says: str) -> None:
    """A configuration error when the transport is made."""
    with pytest.raises(ConfigurationError, match=says):
        SMTP(host, **options)


def test_a_url_asks_for_discovery() -> None:
    """Discover is a parameter; MX hosts listen on 25, and nothing about loopback is assumed of a domain."""
    transport = transport_from_url("smtp://example.com?discover=mx")
    assert isinstance(transport, SMTP)
    assert (transport.discover, transport.effective_port, transport.security) == ("mx", 25, "starttls")
    local = SMTP("localhost", discover="srv")
    assert (local.security, local.options().cleartext_allowed) == ("starttls", False)


def test_a_socket_in_the_file_system_needs_no_host(edge: Edge, run: Any, tmp_path: Path) -> None:
    """LMTP over a UNIX domain socket: nothing is looked up, and no source address is chosen."""
    with SMTPServer(lmtp=True, unix_path=tmp_path / "lmtp.sock") as server:
        transport = SMTP("localhost", protocol="lmtp", unix_path=tmp_path / "lmtp.sock", source_address="127.0.0.2")
        channel = transport.open(edge)
        message = letter()
        run(channel.send, message, Envelope.from_message(message))
        run(channel.close)
        assert len(server.messages) >= 1
