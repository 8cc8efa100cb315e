"""Reaching servers: proxies, relays of providers, several source addresses and hosts, name servers, rates."""

from __future__ import annotations

from typing import Literal, assert_type

from attrs import evolve

from mailkit.edge import TLS
from mailkit.providers import Postmark
from mailkit.relays import RELAYS, Relay, relay
from mailkit.smtp import SMTP, NameServers, PoolLimits, Proxy, Timeouts


def a_proxy_is_a_url_or_a_value() -> None:
    proxy = Proxy.parse("socks5://user:secret@127.0.0.1:1080")
    assert_type(proxy, Proxy)
    assert_type(proxy.effective_port, int)
    Proxy(scheme="https", host="proxy.example.com", port=3128, username="ada", password="secret", tls=TLS())
    SMTP("mail.example.com", proxy=proxy)
    SMTP("mail.example.com", proxy="http://127.0.0.1:3128")
    assert_type(SMTP("mail.example.com", proxy="environment").proxy, Proxy | Literal["environment"] | None)
    assert_type(SMTP("mail.example.com").effective_proxy, Proxy | None)


def http_apis_take_the_same_proxies() -> None:
    assert_type(Postmark("TOKEN", proxy="http://127.0.0.1:3128").proxy, Proxy | None)
    Postmark("TOKEN", proxy=Proxy.parse("socks5://127.0.0.1:1080"))
    Postmark("TOKEN", proxy=3128)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def relays_are_smtp_transports() -> None:
    assert_type(relay("sendgrid", "KEY", region="eu", port=587), SMTP)
    assert_type(evolve(relay("brevo", "ada", "secret"), timeouts=Timeouts(command=5.0)), SMTP)
    relay("gmail", "ada@gmail.com", token=lambda: "TOKEN")
    assert_type(RELAYS["sendgrid"], Relay)


def source_addresses_are_one_or_several() -> None:
    SMTP("mail.example.com", source_address="192.0.2.1")
    SMTP("mail.example.com", source_address=["192.0.2.1", "2001:db8::1"])
    SMTP("mail.example.com", source_address=(each for each in ("192.0.2.1",)))
    assert_type(SMTP("mail.example.com", source_address=None).source_address, str | tuple[str, ...] | None)


def hosts_are_found_in_dns() -> None:
    SMTP("example.com", discover="srv")
    SMTP("example.com", discover="mx", name_servers=NameServers([("127.0.0.1", 53)], validating=True))
    SMTP("example.com", discover="dns")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def rates_are_limits_of_the_pool() -> None:
    SMTP("mail.example.com", pool=PoolLimits(messages_per_second=0.5, recipients_per_second=100))


def one_mechanism_may_be_named() -> None:
    SMTP("mail.example.com", username="ada", password="secret", mechanism="SCRAM-SHA-256")
    SMTP("mail.example.com", username="ada", password="secret", mechanism="NTLM")
    SMTP("mail.example.com", mechanism="GSSAPI")
    SMTP("mail.example.com", username="ada", password="secret", mechanism="SCRAM")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
