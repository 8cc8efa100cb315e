from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import ConfigurationError
from mailkit.secret import Secret
from mailkit.transport_url import TransportURL, rate, seconds, switch, whole

PASSWORD = "hunter2"


def refused(text: str) -> str:
    """Return the error's message, after looking for the password in everything that it carries."""
    with pytest.raises(ConfigurationError) as caught:
        TransportURL.parse(text)
    everything = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert PASSWORD not in everything
    assert caught.value.__context__ is None
    return str(caught.value)


def test_a_url_is_taken_apart() -> None:
    """Every part is where it belongs; the scheme's and the host's case mean nothing."""
    url = TransportURL.parse("SMTP://ada:secret@Mail.Example.COM:2525/inbox?tls=opportunistic&timeout=5")
    assert (url.scheme, url.username, url.password) == ("smtp", "ada", Secret("secret"))
    assert (url.host, url.port, url.path) == ("mail.example.com", 2525, "/inbox")
    assert url.query == (("tls", "opportunistic"), ("timeout", "5"))


def test_what_is_not_there_is_none() -> None:
    """An absent user is None, an empty one is empty."""
    url = TransportURL.parse("null://")
    assert (url.username, url.password, url.host, url.port, url.path, url.query) == (None, None, "", None, "", ())
    empty = TransportURL.parse("smtp://:@mail.example.com")
    assert (empty.username, empty.password) == ("", Secret(""))


def test_user_and_password_are_percent_decoded() -> None:
    """Every character can stand in a password, UTF-8 and the delimiters included; a plus stays a plus."""
    url = TransportURL.parse("smtp://zo%C3%AB%40x.test:p%40%3A%2F%3F%23%5B%25+w@mail.example.com")
    assert url.username == "zoë@x.test"
    assert url.password == Secret("p@:/?#[%+w")


@given(username=st.text(min_size=1), password=st.text())
def test_any_credentials_survive(username: str, password: str) -> None:
    """What urllib quotes is what is read back."""
    from urllib.parse import quote

    try:
        text = f"smtp://{quote(username, safe='')}:{quote(password, safe='')}@mail.example.com:25"
    except UnicodeEncodeError:  # a lone surrogate, which no URL can hold
        return
    if "." in username and "@" not in username and password.isdigit() and len(password) <= 5:
        return  # looks like a host and a port: see below
    url = TransportURL.parse(text)
    assert (url.username, url.password) == (username, Secret(password))
    assert (url.host, url.port) == ("mail.example.com", 25)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("smtp://[2001:db8::1]:25", "2001:db8::1", 25),
        ("smtp://[::1]", "::1", None),
        ("smtp://ada:secret@[::1]:587", "::1", 587),
        ("smtp://192.0.2.1", "192.0.2.1", None),
        ("smtp://b%C3%BCcher.test", "bücher.test", None),
    ],
)
def test_hosts_of_every_kind(text: str, host: str, port: int | None) -> None:
    """IPv6 addresses stand in brackets, names beyond ASCII are percent-encoded."""
    url = TransportURL.parse(text)
    assert (url.host, url.port) == (host, port)


@pytest.mark.parametrize(
    "port", ["25@evil.test", "0", "65536", "-1", "+25", "2_5", "25x", "99999999999999999999", "%32"]
)
def test_a_port_that_is_none_is_refused(port: str) -> None:
    """So is one that brings a second host along, with credentials and without."""
    message = refused(f"smtp://ada:{PASSWORD}@mx.test:{port}")
    assert message.startswith("the smtp:// URL is malformed: check the port (1 to 65535)")
    with pytest.raises(ConfigurationError):
        TransportURL.parse(f"smtp://mx.test:{port}")


@pytest.mark.parametrize("before", ["mx.test:25", "localhost:587", "LOCALHOST:1", "192.0.2.1:65535"])
def test_a_host_and_port_before_the_at_sign_are_not_taken_for_credentials(before: str) -> None:
    """Where "25@evil.test" was put in for a port, the login would go to evil.test."""
    assert 'percent-encode one digit of the password (1 is "%31")' in refused(f"smtp://{before}@evil.test")


def test_a_short_number_can_still_be_a_password() -> None:
    """A user without a dot, an address, a longer number: none of them looks like a host with its port."""
    for credentials in ("ada:1234", "ada%40mx.test:1234", "ada.l:123456", "ada.l:%31234x"):
        assert TransportURL.parse(f"smtp://{credentials}@mx.test").host == "mx.test"


@pytest.mark.parametrize(
    "text",
    [
        f"smtp://ada:{PASSWORD}@mx.test\r\nX: y",
        f"smtp://ada:{PASSWORD}\0@mx.test",
        f"smtp://ada:{PASSWORD}@mx.test\t",
        f"smtp://ada:{PASSWORD} @mx.test",
        f" smtp://ada:{PASSWORD}@mx.test",
        f"smtp://zoë:{PASSWORD}@mx.test",
        f"smtp://ada:{PASSWORD}@mx.test\u2028",
        f"smtp://ada:{PASSWORD}@mx\x7f.test",
    ],
)
def test_only_printable_ascii_without_spaces_is_a_url(text: str) -> None:
    """Control characters that urllib would remove in silence are refused."""
    assert "printable ASCII without spaces" in refused(text)


@pytest.mark.parametrize(
    "text", ["", "mx.test", "smtp:mx.test", "smtp:/mx.test", "://mx.test", f"ada:{PASSWORD}@mx.test"]
)
def test_a_url_begins_with_a_scheme(text: str) -> None:
    """Without ``scheme://`` there is nothing to choose a transport by; the text is not repeated."""
    assert refused(text).endswith('there is no scheme before "://"')


@pytest.mark.parametrize("text", [f"ada:{PASSWORD}@smtp://mx.test", f"{PASSWORD}:x://mx.test", "sm.tp://mx.test"])
def test_what_stands_before_the_colon_is_a_scheme_or_nothing(text: str) -> None:
    """A password that slipped before the scheme is not shown as one."""
    assert refused(text).endswith('there is no scheme before "://"')


@pytest.mark.parametrize(
    "text",
    [
        f"smtp://ada:{PASSWORD}@[::1",
        f"smtp://ada:{PASSWORD}[@mx.test",
        f"smtp://ada:12?x{PASSWORD}@mx.test",
        f"smtp://ada:12?{PASSWORD}=@mx.test",
        f"smtp://ada:12#{PASSWORD}@mx.test",
        f"smtp://ada:12/{PASSWORD}@mx.test?x=@",
        f"smtp://ada:x@{PASSWORD}@mx.test",
        f"smtp://ada:{PASSWORD}%FF@mx.test",
        f"smtp://%FF:{PASSWORD}@mx.test",
        f"smtp://ada:{PASSWORD}@mx%FF.test",
        f"smtp://ada:{PASSWORD}@mx%40evil.test",
        f"smtp://ada:{PASSWORD}@mx%0D%0A.test",
        f"smtp://ada:{PASSWORD}@mx.test?tls",
        f"smtp://ada:{PASSWORD}@mx.test?tls=%FF",
        f"smtp://ada:{PASSWORD}@mx.test/%FF",
        f"smtp://ada:{PASSWORD}@mx.test#",
        f"smtp://ada:{PASSWORD}/x@mx.test",
    ],
)
def test_a_malformed_url_is_refused_without_repeating_any_of_it(text: str) -> None:
    """A forgotten percent-encoding moves a piece of the password elsewhere: no piece is shown, wherever it landed."""
    assert "percent-encoding" in refused(text)


def test_neither_str_nor_repr_show_credentials() -> None:
    """Nor do the parameters, which may hold a secret too."""
    url = TransportURL.parse("smtp://ada:secret@mail.example.com:25/x?token=s3cret")
    for shown in (str(url), repr(url)):
        assert shown == "TransportURL(scheme='smtp', host='mail.example.com', port=25, path='/x')"


def test_parameters_are_read_by_their_functions() -> None:
    """A dash in a name is as good as an underscore; what is absent is left out."""
    url = TransportURL.parse("smtp://mx.test?ca-file=/etc/ca.pem&timeout=2.5&max_messages=10&pipelining=off&r=0.5")
    known = {
        "r": rate,
        "ca_file": str,
        "timeout": seconds,
        "max_messages": whole,
        "pipelining": switch,
        "ehlo_name": str,
    }
    assert url.parameters(**known) == {
        "ca_file": "/etc/ca.pem", "timeout": 2.5, "max_messages": 10, "pipelining": False, "r": 0.5,
    }  # fmt: skip


def test_an_unknown_parameter_lists_the_known_ones() -> None:
    """A slip is shown with what was meant by it, if there is such a name, and beside all that are known, sorted."""
    url = TransportURL.parse("smtp://mx.test?tsl=off")
    with pytest.raises(ConfigurationError, match=r"'tsl' \(did you mean 'tls'\?\); it knows: timeout, tls$"):
        url.parameters(tls=str, timeout=seconds)
    with pytest.raises(ConfigurationError, match=r"^smtp:// has no parameter 'tsl'; it knows: timeout$"):
        url.parameters(timeout=seconds)
    with pytest.raises(ConfigurationError, match=r"^smtp:// has no parameter 'tsl'; it knows: none$"):
        url.parameters()


@pytest.mark.parametrize("text", ["tls=a&tls=b", "ca-file=a&ca_file=b"])
def test_a_repeated_parameter_is_refused(text: str) -> None:
    """Which of two values is meant nobody knows."""
    with pytest.raises(ConfigurationError, match="twice: keep one"):
        TransportURL.parse(f"smtp://mx.test?{text}").parameters(tls=str, ca_file=str)


@pytest.mark.parametrize(
    ("read", "text", "wanted"),
    [
        *((seconds, text, "a positive number of seconds") for text in ("0", "-1", "nan", "inf", "x", "")),
        *((rate, text, "a positive number a second") for text in ("0", "-1", "nan", "inf", "x", "")),
        *((whole, text, "a positive whole number") for text in ("0", "-1", "1.5", "²", "٣", "9" * 5000, "")),
        *((switch, text, "on or off") for text in ("true", "1", "")),
        (lambda text: {}[text], "x", "valid"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused(read: object, text: str, wanted: str) -> None:
    """The error says what would be right, and does not show what was wrong: it may be a secret."""
    url = TransportURL(scheme="acme", query=(("name", text),))
    with pytest.raises(ConfigurationError) as caught:
        url.parameters(name=read)  # type: ignore[arg-type]
    assert str(caught.value) == f"the parameter 'name' of acme:// is not {wanted}"


def test_parts_that_mean_nothing_can_be_refused() -> None:
    """Each part is named, and none is shown; what is absent or empty is fine."""
    url = TransportURL.parse(f"null://ada:{PASSWORD}@?")
    url.refuse(host=url.host, port=url.port)
    with pytest.raises(ConfigurationError, match=r"^null:// takes no password: leave it out$"):
        url.refuse(host=url.host, password=url.password)
