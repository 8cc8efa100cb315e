"""ApiTransport: what it takes, where it sends to, and what a provider of one's own has to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import field, frozen
from tests.http_server import Answer, HTTPServer

from mailkit import Capabilities, Envelope, Mailer, Message, Receipt, RetryPolicy
from mailkit.errors import ConfigurationError, DeliveryError, OutcomeUnknownError
from mailkit.providers import Postmark
from mailkit.providers.base import ApiTransport, Request, Response
from mailkit.secret import Secret
from mailkit.transport_url import TransportURL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob").completed()


class Acme(ApiTransport):
    """A provider of somebody else's, written to the documented contract and nothing more."""

    capabilities = Capabilities(attachments=True, tags=1)

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Write JSON by hand."""
        return Request("POST", f"{self.base_url}/v1/send", body=b'{"to": "%d"}' % len(envelope.rcpt_to))

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read the id."""
        return self.accepted(message, envelope, provider_id=response.json()["id"])


@frozen
class Regional(ApiTransport):
    """One with regions, a secret and a field of its own."""

    endpoints: ClassVar[Mapping[str, str]] = {"us": "https://api.example.com/v3", "eu": "https://eu.example.com/v3"}
    takes_secret: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"domain": str}
    path: ClassVar[str] = "/send"

    domain: str | None = field(default=None, kw_only=True)

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Write next to nothing."""
        return {"domain": self.domain}


def _url(text: str) -> TransportURL:
    return TransportURL.parse(text)


def test_a_provider_of_ones_own_sends() -> None:
    """The three things of the contract suffice; the key travels as a bearer token."""
    with HTTPServer(lambda _request: Answer(200, {"id": 7})) as server:
        transport = Acme.from_url(_url(f"acme://KEY@127.0.0.1:{server.port}"))
        with Mailer(transport) as mailer:
            receipt = mailer.send(_MESSAGE)
    assert receipt.provider_id == "7"
    assert receipt.transport == f"acme://127.0.0.1:{server.port}"
    assert server.requests[0].headers["authorization"] == "Bearer KEY"


def test_a_provider_without_a_host_of_its_own_wants_one() -> None:
    """``default`` means the provider's own, and there is none."""
    with pytest.raises(ConfigurationError, match="no host of its own"):
        _ = Acme("KEY").base_url


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, "https://api.example.com/v3"),
        ({"region": "eu"}, "https://eu.example.com/v3"),
        ({"host": "default"}, "https://api.example.com/v3"),
        ({"host": "relay.example.org"}, "https://relay.example.org/v3"),
        ({"host": "relay.example.org", "port": 8443}, "https://relay.example.org:8443/v3"),
        ({"host": "127.0.0.1", "port": 80}, "http://127.0.0.1:80/v3"),
        ({"host": "::1", "port": 80}, "http://[::1]:80/v3"),
        ({"host": "localhost", "tls": "required"}, "https://localhost/v3"),
        ({"host": "192.0.2.1"}, "https://192.0.2.1/v3"),
    ],
)
def test_where_it_sends_to(fields: dict[str, Any], base_url: str) -> None:
    """TLS everywhere but on a loopback host; the path before all paths stays."""
    transport = Regional("KEY", secret="SECRET", **fields)
    assert transport.base_url == base_url
    request = transport.build_request(_MESSAGE, Envelope.from_message(_MESSAGE))
    assert request.url == base_url + "/send"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "regional://default"),
        ({"region": "eu"}, "regional://default?region=eu"),
        ({"host": "::1", "port": 80}, "regional://[::1]:80"),
    ],
)
def test_its_name(fields: dict[str, Any], name: str) -> None:
    """It says where, and nothing secret; so does its repr."""
    transport = Regional("KEY-1", secret="SECRET-2", **fields)
    assert str(transport) == name
    assert "KEY-1" not in repr(transport)
    assert "SECRET-2" not in repr(transport)


def test_a_url_sets_every_field() -> None:
    """Key and secret are the user and the password; the parameters are the provider's fields and those of all."""
    text = "regional://KEY:SECRET@default?region=eu&domain=mg.example.com&timeout=5&ca-file=/ca.pem"
    transport = Regional.from_url(_url(text))
    wanted = Regional("KEY", secret="SECRET", region="eu", domain="mg.example.com", timeout=5.0, ca_file="/ca.pem")
    assert transport == wanted
    assert hash(transport) == hash(wanted)


@pytest.mark.parametrize(
    "text",
    [
        "regional://default",
        "regional://KEY@default",
        "regional://KEY:SECRET@default/path",
        "regional://KEY:SECRET@default?region=mars",
        "regional://KEY:SECRET@default?sandbox=on",
        "regional://KEY:SECRET@default?colour=red",
        "regional://KEY:SECRET@default?timeout=nan",
        "regional://KEY:SECRET@default?tls=insecure",
        "regional://KEY%0D%0AX:SECRET@default",
        "regional://KEY:SECRET%00@default",
    ],
)
def test_a_url_that_cannot_be_right(text: str) -> None:
    """What is missing, unknown or not for it is refused, and no secret repeated."""
    with pytest.raises(ConfigurationError) as caught:
        Regional.from_url(_url(text))
    assert "SECRET%00" not in str(caught.value)


@pytest.mark.parametrize("fields", [{"timeout": 0.0}, {"timeout": float("inf")}, {"secret": "x"}, {"host": "a b"}])
def test_fields_that_cannot_be_right(fields: dict[str, Any]) -> None:
    """They are refused when the transport is made."""
    with pytest.raises(ConfigurationError):
        Postmark("KEY", **fields)


def test_a_provider_that_says_nothing_is_told_what_to_write() -> None:
    """The error names the two functions."""
    with pytest.raises(NotImplementedError, match="payload nor build_request"):
        ApiTransport("KEY", host="127.0.0.1").build_request(_MESSAGE, Envelope.from_message(_MESSAGE))


def test_a_provider_that_reads_nothing_accepts() -> None:
    """2xx is enough, for one message and for several."""

    class Terse(Regional):
        batch_size: ClassVar[int] = 10
        batch_path: ClassVar[str] = "/batch"

    with HTTPServer(lambda _request: Answer(202)) as server:
        transport = Terse("KEY", secret="SECRET", host="127.0.0.1", port=server.port)
        with Mailer(transport) as mailer:
            assert mailer.send(_MESSAGE).accepted
            assert all(outcome.ok for outcome in mailer.send_many([_MESSAGE, _MESSAGE]))
    assert [request.path for request in server.requests] == ["/v3/send", "/v3/batch"]
    assert server.requests[1].json() == [{"domain": None}] * 2


def test_a_request_to_somewhere_else_gets_no_key() -> None:
    """A provider's mistake, or a host that overrides half of it, sends no key to another host."""

    class Stray(Acme):
        def build_request(self, message: Message, envelope: Envelope) -> Request:
            return Request("POST", "https://elsewhere.example/send", body=b"{}")

    with Mailer(Stray("KEY", host="127.0.0.1", port=9)) as mailer, pytest.raises(ConfigurationError, match="elsewhere"):
        mailer.send(_MESSAGE)


def test_a_provider_may_bring_its_own_credentials() -> None:
    """A request that has an Authorization header keeps it; a transport without a key adds none."""
    request = Request("POST", "https://api.example.com/", headers={"Authorization": "Basic x"})
    transport = Acme("KEY", host="127.0.0.1")
    now: Any = None
    assert transport.authorize(request, Secret("KEY"), now) is request
    bare = Request("POST", "https://api.example.com/")
    assert transport.authorize(bare, None, now) is bare


def test_a_key_that_is_missing() -> None:
    """A provider without a key is refused when it is made, unless it is reached over a host that may add one."""
    with pytest.raises(ConfigurationError, match="wants a key and has none"):
        Postmark(None)
    assert Postmark(None, host="gateway.example.com").key is None


@pytest.mark.parametrize("is_async", [False, True])
def test_a_token_may_come_from_a_function(is_async: bool) -> None:
    """It is asked for every request; one that is no token is refused."""
    tokens = ["first", "second", "br\noken", None]

    def plain() -> Any:
        return tokens.pop(0)

    async def later() -> Any:
        return tokens.pop(0)

    with HTTPServer(lambda _request: Answer(200, {"id": 1})) as server:
        transport = Acme(later if is_async else plain, host="127.0.0.1", port=server.port)
        with Mailer(transport) as mailer:
            mailer.send(_MESSAGE)
            mailer.send(_MESSAGE)
            with pytest.raises(ConfigurationError, match="line end"):
                mailer.send(_MESSAGE)
            with pytest.raises(ConfigurationError, match="returned None"):
                mailer.send(_MESSAGE)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]


def test_a_vendors_rows_are_more_exact() -> None:
    """A row of its own takes the place of the table's, but not where half a request was answered."""
    from mailkit.providers.status import NOT_SENT, UNKNOWN

    class Exact(Acme):
        statuses: ClassVar[Mapping[int, Any]] = {503: NOT_SENT}

    transport = Exact("KEY", host="127.0.0.1")
    assert transport.refine(Response(503), UNKNOWN) is NOT_SENT
    assert transport.refine(Response(500), UNKNOWN) is UNKNOWN
    assert transport.refine(Response(503, request_written=False), UNKNOWN) is UNKNOWN


def test_errors_with_status_200() -> None:
    """Where the body decides, an error inside a success is one, and what cannot be read is unknown."""
    from mailkit.providers.status import REJECTED

    class Late(Acme):
        accepts_in_body: ClassVar[bool] = True

        def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
            if response.json()["code"] != 200:
                raise self.refusal(REJECTED, response, message, envelope)
            return self.accepted(message, envelope, ids={"bob@example.org": "id-1"})

    def sent(body: Any) -> Receipt:
        with HTTPServer(lambda _request: Answer(200, body)) as server:
            transport = Late("KEY", host="127.0.0.1", port=server.port)
            with Mailer(transport, retry=RetryPolicy.none()) as mailer:
                return mailer.send(_MESSAGE)

    assert sent({"code": 200}).accepted[0].provider_id == "id-1"
    with pytest.raises(DeliveryError) as caught:
        sent({"code": 40, "message": "no KEY"})
    assert caught.value.outcome == "rejected"
    assert "no ***" in str(caught.value)
    with pytest.raises(OutcomeUnknownError):
        sent(b"<html>")


def test_an_id_that_is_not_printable_is_made_so() -> None:
    """Ids come from outside: the message's, and each recipient's."""
    receipt = Acme("KEY", host="127.0.0.1").accepted(
        _MESSAGE,
        Envelope.from_message(_MESSAGE),
        provider_id="a\nb\ud800",
        ids={"bob@example.org": "c\x1b[2J\u202e\ud800"},
    )
    assert receipt.provider_id == "a\\nb?"
    assert receipt.accepted[0].provider_id == "c\\x1b[2J\\u202e?"


def test_a_number_is_an_id() -> None:
    """A recipient's id may be a number, as a message's may; who has none has none."""
    message = _MESSAGE.evolve(to=["bob@example.org", "eve@example.net"])
    receipt = Acme("KEY", host="127.0.0.1").accepted(
        message, Envelope.from_message(message), ids={"bob@example.org": 7}
    )
    assert [each.provider_id for each in receipt.accepted] == ["7", None]
