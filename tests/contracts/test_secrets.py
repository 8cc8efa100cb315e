"""Secrets: in no repr, log, error, transcript or copy, neither as they are nor in base64 or percent-encoded."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
import pytest
from tests.contracts.rows import of_area

from mailkit.address import Address
from mailkit.errors import AddressError, AuthenticationError, DeliveryError, MailkitError
from mailkit.mailer import Mailer
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.providers import Postmark
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contracts.rows import Row

USER, SECRET = "alice", "pa:ss/w?rd+Ünï-42"
TOKEN, KEY = "ya29.a0AfH6-SMB_xx/yy+zz==", "server-token-4711-0815"
MESSAGE = Message(from_="ada@x.test", to="bob@x.test", text="Hi")


def _forms(secret: str) -> set[str]:
    data = secret.encode()
    wrapped = [data, f"\0{USER}\0{secret}".encode(), f"{USER}\0{USER}\0{secret}".encode(), f"{USER}:{secret}".encode()]
    wrapped.append(f"user={USER}\1auth=Bearer {secret}\1\1".encode())
    encoded = {encode(each).decode() for each in wrapped for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return {secret, quote(secret), quote(secret, safe=""), ascii(secret)[1:-1], *(each.rstrip("=") for each in encoded)}


def _assert_hidden(*shown: str) -> None:
    text = "\n".join(shown)
    assert text
    for secret in (SECRET, TOKEN, KEY):
        assert not [form for form in _forms(secret) if form in text]


def _told(error: BaseException) -> str:
    """Return everything that a report of an error could show, the local variables of our own frames excepted."""
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None:
        chain += [repr(current), str(current), repr(vars(current))]
        current = current.__cause__ or current.__context__
    return "\n".join([*chain, "".join(traceback.format_exception(error))])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Everything that any logger says, at the most talkative level."""
    with caplog.at_level(logging.NOTSET):
        yield lambda: "\n".join([caplog.text, *(repr(vars(record)) for record in caplog.records)])


def _repr_of_transport(log: Callable[[], str]) -> None:
    for transport in _transports():
        _assert_hidden(repr(transport), str(transport), f"{transport}", repr([transport]), repr(Mailer(transport)))


def _transports() -> list[Any]:
    quoted = quote(SECRET, safe="")
    return [
        SMTP("mx.test", username=USER, password=SECRET, key_password=SECRET),
        SMTP("mx.test", username=USER, token=TOKEN),
        SMTP("mx.test", proxy=f"http://{USER}:{quoted}@127.0.0.1:3128"),
        transport_from_url(f"smtp://{USER}:{quoted}@mx.test"),
        transport_from_url(f"smtps://{USER}:{quoted}@mx.test"),
        Postmark(KEY),
        transport_from_url(f"postmark://{KEY}@default"),
    ]


def _echo_of_535(log: Callable[[], str]) -> None:
    plain = base64.b64encode(f"\0{USER}\0{SECRET}".encode()).decode()
    with SMTPServer(users={USER: SECRET}, mechanisms=["PLAIN"]) as server:
        server.script("AUTH", f"535 5.7.8 bad credentials for {USER}: {SECRET}, {quote(SECRET, safe='')}, {plain}")
        transport = SMTP(server.host, port=server.port, username=USER, password=SECRET)
        with Mailer(transport) as mailer, pytest.raises(AuthenticationError) as caught:
            mailer.send(MESSAGE)
    assert "***" in str(caught.value)
    _assert_hidden(_told(caught.value), log() or "-", pickle.loads(pickle.dumps(caught.value)).__str__())


def _conversation(mechanism: str, log: Callable[[], str], **credentials: str) -> None:
    accounts: dict[str, Any] = {"tokens": {USER: TOKEN}} if "token" in credentials else {"users": {USER: SECRET}}
    lines: list[str] = []
    with SMTPServer(**accounts, mechanisms=[mechanism]) as server:
        transport = SMTP(
            server.host, port=server.port, username=USER, transcript=lambda line: lines.append(str(line)), **credentials
        )
        with Mailer(transport) as mailer:
            assert mailer.send(MESSAGE).accepted
            assert mailer.verify().authenticated == mechanism
        assert server.connections[0].user == USER
    assert any(line.startswith(f"C: AUTH {mechanism}") for line in lines)
    _assert_hidden(log() or "-", *lines)


def _copies_of_configuration(log: Callable[[], str]) -> None:
    for transport in _transports():
        duplicates = (copy.copy, copy.deepcopy, attrs.asdict, attrs.astuple, attrs.evolve)
        _assert_hidden(*[repr(duplicate(transport)) for duplicate in duplicates])
        for dump in (pickle.dumps, lambda transport: json.dumps(attrs.asdict(transport))):
            with pytest.raises(TypeError) as caught:
                dump(transport)
            _assert_hidden(str(caught.value))


class _Echo(BaseHTTPRequestHandler):
    """Answers with an error that repeats the request's headers, as debugging proxies do."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"ErrorCode": 10, "Message": str(self.headers)}).encode()
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _http_error(log: Callable[[], str]) -> None:
    for status in (401, 422, 429, 500):
        server = HTTPServer(("127.0.0.1", 0), _Echo)
        server.status = status  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            transport = Postmark(KEY, host="127.0.0.1", port=server.server_port)
            with Mailer(transport, retry=RetryPolicy.none()) as mailer, pytest.raises(DeliveryError) as caught:
                mailer.send(MESSAGE)
        finally:
            server.shutdown()
            thread.join(10)
            server.server_close()
        _assert_hidden(_told(caught.value), log() or "-")


def _log_of_an_address(log: Callable[[], str]) -> None:
    hostile = "a@x.test\r\nINFO:root:logged in as admin"
    with pytest.raises(AddressError) as caught:
        Address.parse(hostile)
    logging.getLogger("application").warning("%r %s", caught.value, caught.value)
    assert "\r" not in log()
    assert "\nINFO:root" not in log()
    assert str(caught.value).isprintable()
    assert caught.value.value == hostile  # for whoever wants it, as data


SURFACES: dict[str, Callable[[Callable[[], str]], None]] = {
    "repr(transport)": _repr_of_transport,
    "str(exception) on 535 echo": _echo_of_535,
    "debug log of AUTH PLAIN line": lambda log: _conversation("PLAIN", log, password=SECRET),
    "log of XOAUTH2 token": lambda log: _conversation("XOAUTH2", log, token=TOKEN),
    "pickle/deepcopy/asdict of config": _copies_of_configuration,
    "HTTP error includes request headers": _http_error,
    "logger %r of address with CRLF": _log_of_an_address,
}


@pytest.mark.parametrize("row", of_area("secrets"))
def test_a_surface_shows_no_secret(row: Row, log: Callable[[], str]) -> None:
    """Each surface that the row names, at the most talkative level."""
    assert set(row.value) == {"surface"}
    SURFACES[row.value["surface"]](log)


@pytest.mark.parametrize("mechanism", ["LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_the_other_mechanisms_show_none_either(mechanism: str, log: Callable[[], str]) -> None:
    """Whatever carries the password, the transcript masks it."""
    _conversation(mechanism, log, password=SECRET)


def test_an_unexpected_error_of_ours_would_be_found(log: Callable[[], str]) -> None:
    """The checks above are able to fail: a plain secret in an error is seen."""
    with pytest.raises(AssertionError):
        _assert_hidden(_told(MailkitError(f"the password is {quote(SECRET, safe='')}")))
