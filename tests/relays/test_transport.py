"""Relays by URL and by function: what may be given, what is refused, and a message through one."""

from __future__ import annotations

import re

import pytest
from attrs import evolve

from mailkit import AuthenticationError, Envelope, Mailer, Message, RetryPolicy
from mailkit.errors import ConfigurationError, UnsupportedFeatureError
from mailkit.providers import AokSend
from mailkit.relays import RELAYS, relay
from mailkit.secret import Secret
from mailkit.smtp import SMTP, Timeouts
from mailkit.testing import SMTPServer
from mailkit.url import transport_from_url

KEY = "KEY-dE4db33f"
MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")


def smtp(text: str) -> SMTP:
    """Return what a URL makes."""
    transport = transport_from_url(text)
    assert isinstance(transport, SMTP)
    return transport


@pytest.mark.parametrize(
    ("text", "port", "security"),
    [
        ("sendgrid+smtp://K@default", 465, "implicit"),
        ("sendgrid+smtp://K@default:587", 587, "starttls"),
        ("sendgrid+smtp://K@default:2525", 2525, "starttls"),
        ("sendgrid+smtp://K@default?tls=starttls", 587, "starttls"),
        ("sendgrid+smtp://K@default:2525?tls=implicit", 2525, "implicit"),
        ("resend+smtp://K@default:2465", 2465, "implicit"),
        ("postmark+smtp://K@default:465", 465, "implicit"),
        ("postmark+smtp://K@default?tls=implicit", 587, "implicit"),
        ("mailjet+smtp://K:S@default?tls=implicit", 465, "implicit"),
        ("mailjet+smtp://K:S@default?tls=insecure", 587, "insecure"),
        ("ses+smtp://K:S@vpce.example.com?region=eu-west-1", 465, "implicit"),
        ("ses+smtp://K:S@127.0.0.1:1025?region=eu-west-1", 1025, "opportunistic"),
    ],
)
def test_ports_and_policies(text: str, port: int, security: str) -> None:
    """The port says whether TLS is implicit, a policy picks a port that fits it, and both may be given."""
    transport = smtp(text)
    assert (transport.effective_port, transport.security) == (port, security)


def test_parameters_are_those_of_smtp() -> None:
    """What smtp:// knows, a relay knows; what neither knows is refused with all names, ``region`` among them."""
    transport = smtp(
        "mailgun+smtp://u:p@default?region=eu&timeout=5&max-connections=3&mechanism=plain&proxy=socks5%3A%2F%2F127.0.0.1"
    )
    assert transport.host == "smtp.eu.mailgun.org"
    assert (transport.timeouts.command, transport.pool.max_connections, transport.mechanism) == (5.0, 3, "PLAIN")
    assert str(transport.proxy) == "socks5://127.0.0.1:1080"
    with pytest.raises(ConfigurationError, match=r"mailgun\+smtp:// has no parameter 'colour'.*region") as caught:
        smtp("mailgun+smtp://u:SECRET-1@default?colour=red")
    assert "SECRET-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sendgrid+smtp://default", r"wants a key: sendgrid\+smtp://KEY@default"),
        ("sendgrid+smtp://ada:SECRET-1@default", "logs in as 'apikey'"),
        ("mailgun+smtp://default", r"wants a user name and its password: mailgun\+smtp://USER:PASSWORD@default"),
        ("mailgun+smtp://SECRET-1@default", "wants a user name and its password"),
        ("mailgun+smtp://:SECRET-1@default", "wants a user name and its password"),
        ("mailgun+smtp://u:SECRET-1@default?region=mars", "has no region 'mars'; known are: us, eu"),
        ("mailgun+smtp://u:SECRET-1@default?region=", "has no region ''; known are: us, eu"),
        ("brevo+smtp://u:SECRET-1@default?region=eu", "has no region 'eu'; known are: none"),
        ("brevo+smtp://u:SECRET-1@default/path", "takes no path"),
        ("ses+smtp://u:SECRET-1@default", 'wants a region such as "eu-west-1", not None'),
        ("ses+smtp://u:SECRET-1@default?region=evil.test", "not 'evil.test'"),
        ("ses+smtp://u:SECRET-1@", r"needs a host: ses\+smtp://USER:PASSWORD@default\?region=eu-west-1"),
        ("postmark+smtp://SECRET-1%0d%0a@default", "control character"),
        ("postmark+smtp://SECRET-1@default?mechanism=XOAUTH2", "XOAUTH2 takes a token"),
    ],
)
def test_what_cannot_be_right(text: str, said: str) -> None:
    """The error says what is missing and shows the URL's form, and never what may be a secret."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        smtp(text)
    assert "SECRET-1" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(RELAYS))
def test_every_form_works(name: str) -> None:
    """The URL that errors advise is one that can be used."""
    assert smtp(RELAYS[name].form).username


def test_tokens() -> None:
    """A token comes by URL with its mechanism, or from a function."""
    by_url = smtp("gmail+smtp://ada%40gmail.com:TOKEN@default?mechanism=xoauth2")
    assert (by_url.token, by_url.password, by_url.mechanism) == (Secret("TOKEN"), None, "XOAUTH2")
    made = relay("microsoft365", "ada@example.com", token=lambda: "TOKEN")
    assert made.host == "smtp.office365.com"
    assert callable(made.token)
    assert made.password is None


def test_the_function() -> None:
    """It takes what a URL says, and the rest is set by ``evolve``."""
    made = relay("sendgrid", KEY, region="eu", port=2525)
    assert made == smtp(f"sendgrid+smtp://{KEY}@default:2525?region=eu")
    assert evolve(made, timeouts=Timeouts(command=5.0)).timeouts.command == 5.0
    assert relay("mandrill", KEY, host="127.0.0.1", tls="starttls").security == "starttls"
    with pytest.raises(ConfigurationError, match="no SMTP relay 'acme'; known are: alibaba, "):
        relay("acme", KEY)


@pytest.mark.parametrize("name", sorted(RELAYS))
def test_no_secret_is_shown(name: str) -> None:
    """Neither the transport nor its login shows the key, also where it is the user name."""
    transport = smtp(RELAYS[name].form.replace("KEY", KEY).replace("PASSWORD", KEY))
    shown = f"{transport} {transport!r} {transport.login()!r} {transport.options()!r}"
    assert KEY not in shown
    assert transport.password is not None
    assert transport.password.reveal() not in shown


def test_a_message_through_a_relay() -> None:
    """A relay's URL with another host sends a message there, logged in as the provider wants it."""
    with (
        SMTPServer(users={"apikey": KEY}) as server,
        Mailer(f"sendgrid+smtp://{KEY}@127.0.0.1:{server.port}") as mailer,
    ):
        receipt = mailer.send(MESSAGE)
    assert receipt.accepted
    (received,) = server.messages
    assert b"Subject: Hello" in received.data
    assert received.user == "apikey"


def test_a_refused_key_is_not_shown() -> None:
    """Where the key is the user name too, the error of a failed login does not name it."""
    with (
        SMTPServer(users={"other": "other"}) as server,
        Mailer(f"postmark+smtp://{KEY}@127.0.0.1:{server.port}", retry=RetryPolicy.none()) as mailer,
        pytest.raises(AuthenticationError, match="refused the credentials of the key") as caught,
    ):
        mailer.send(MESSAGE)
    assert KEY not in f"{caught.value} {caught.value!r} {caught.value.reply}"


def test_aoksend_names_the_relay() -> None:
    """What AokSend's HTTP API cannot send, the relay can that its error names."""
    transport = AokSend("APP-KEY")
    with pytest.raises(UnsupportedFeatureError) as caught:
        transport.payload(MESSAGE, Envelope.from_message(MESSAGE))
    (url,) = re.findall(r"\S+\+smtp://\S+", str(caught.value))
    assert url == RELAYS["aoksend"].form
    smtp(url).capabilities.check(MESSAGE, Envelope.from_message(MESSAGE), transport=url)
