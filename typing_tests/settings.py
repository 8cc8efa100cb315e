"""Transports and their settings, by constructor and by URL."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type

from mailkit.local import (
    ConsoleTransport,
    FileTransport,
    MaildirTransport,
    MemoryTransport,
    NullTransport,
    SendmailTransport,
)
from mailkit.override import Override
from mailkit.registry import FromURL, schemes, transport_class
from mailkit.secret import Secret
from mailkit.smtp import SMTP, PoolLimits, Timeouts, TranscriptLine
from mailkit.transport import Capabilities, ServerInfo, Transport
from mailkit.transport_url import TransportURL, seconds, switch, whole
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mailkit import Envelope, Mailer, Message


def a_server_has_settings() -> None:
    transport = SMTP(
        "mail.example.com",
        port=2525,
        username="ada",
        password=Secret("secret"),
        tls="starttls",
        ca_file="/etc/ca.pem",
        certificate=Path("/etc/client.pem"),
        key="/etc/client.key",
        key_password="secret",
        server_hostname="mx.example.com",
        ssl_context=ssl.create_default_context(),
        ehlo_name="client.example.com",
        recipients="all",
        pipelining=False,
        chunking=False,
        timeouts=Timeouts(connect=1, tls=1, greeting=1, command=1, data_block=1, data_end=60),
        pool=PoolLimits(max_connections=1, max_messages=2, max_age=3, idle_timeout=4, acquire_timeout=5),
        transcript=print,
    )
    assert_type(transport.capabilities, Capabilities)
    assert_type(transport.security, Literal["starttls", "implicit", "opportunistic", "insecure"])
    assert_type(transport.ca_file, Path | None)
    SMTP("mail.example.com", username="ada", token="token")
    SMTP("mail.example.com", username="ada", token=lambda: "token")
    SMTP("mail.example.com", username="ada", token=_token)
    SMTP("mail.example.com", transcript=_show)
    SMTP("mail.example.com", protocol="lmtp")
    SMTP("localhost", protocol="lmtp", unix_path="/run/lmtp.sock")


async def _token() -> str:
    return "token"


def _show(line: TranscriptLine) -> None:
    assert_type(str(line), str)


def what_a_server_said(info: ServerInfo) -> None:
    assert_type((info.transport, info.host), tuple[str, str])
    assert_type((info.tls_version, info.tls_cipher, info.authenticated), tuple[str | None, str | None, str | None])
    assert_type((info.extensions, info.mechanisms), tuple[tuple[str, ...], tuple[str, ...]])
    assert_type(info.timings, Mapping[str, float])
    if info.certificate is not None:
        assert_type((info.certificate.not_after, info.certificate.names), tuple[datetime, tuple[str, ...]])


def local_transports_are_transports() -> list[Transport]:
    return [
        ConsoleTransport(stream="stderr"),
        ConsoleTransport(stream=sys.stdout),
        FileTransport("/var/mail/out"),
        MaildirTransport(Path("/var/mail/out")),
        MemoryTransport(limit=10),
        NullTransport(),
        SendmailTransport("/usr/sbin/sendmail", timeout=10.0),
    ]


def a_url_leads_to_a_transport() -> None:
    assert_type(transport_from_url("smtp://mail.example.com"), Transport)
    url = TransportURL.parse("smtp://ada:secret@mail.example.com?timeout=5")
    assert_type((url.username, url.password), tuple[str | None, Secret | None])
    assert_type((url.scheme, url.host, url.port, url.path), tuple[str, str, int | None, str])
    assert_type(url.query, tuple[tuple[str, str], ...])
    assert_type(url.parameters(timeout=seconds, limit=whole, pipelining=switch, name=str), dict[str, Any])
    url.refuse(path=url.path)
    assert_type(SMTP.from_url(url), SMTP)
    assert_type(schemes(), tuple[str, ...])
    assert_type(transport_class("smtp"), FromURL)


def capabilities_are_checked(message: Message, envelope: Envelope) -> None:
    can = Capabilities(amp=True, calendar=True, inline=True, raw=True, threading=False)
    can.check(message, envelope, transport="acme://default")


def an_override_is_put_back(mailer: Mailer) -> None:
    with Override(mailer.transport) as override:
        assert_type(override, Override)
