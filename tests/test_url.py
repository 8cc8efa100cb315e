from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit.errors import ConfigurationError
from mailkit.policies.rate_limit import RateLimit
from mailkit.policies.retry import Retry
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smtp://mail.example.com", "smtp://mail.example.com:587"),
        ("smtp://ada:hunter2@mail.example.com:2525", "smtp://mail.example.com:2525"),
        ("smtps://ada:hunter2@mail.example.com", "smtps://mail.example.com:465"),
        ("smtp://ada:hunter2@[2001:db8::1]", "smtp://[2001:db8::1]:587"),
        ("smtp://ada:hunter2@b%C3%BCcher.test", "smtp://xn--bcher-kva.test:587"),
        ("sendmail://", "sendmail:///usr/sbin/sendmail"),
        ("console://", "console://"),
        ("memory://", "memory://"),
        ("null://", "null://"),
    ],
)
def test_a_transport_names_itself_without_its_secrets(url: str, name: str) -> None:
    """``str`` is a URL with host and port and nothing to hide, and ``repr`` hides it too."""
    transport = transport_from_url(url)
    assert str(transport) == name
    assert "hunter2" not in repr(transport)


@pytest.mark.parametrize("scheme", ["file", "maildir"])
def test_a_folder_is_written_after_three_slashes(scheme: str, tmp_path: Path) -> None:
    """What a transport calls itself is the URL that it was made from."""
    assert str(transport_from_url(f"{scheme}://{tmp_path}")) == f"{scheme}://{tmp_path}"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("failover(smtp://ada:hunter2@a.test null://)", "failover(smtp://a.test:587 null://)"),
        ("FailOver( null://\n\tnull:// )", "failover(null:// null://)"),
        ("failover(null://)?failures=3&reset-after=60", "failover(null://)?failures=3&reset_after=60"),
        ("failover(null://)?breaker=off", "failover(null://)?breaker=off"),
        ("failover(null://)?breaker=on", "failover(null://)"),
        ("roundrobin(null:// null://)?failures=1", "roundrobin(null:// null://)?failures=1"),
        ("roundrobin(null://)?breaker=off", "roundrobin(null://)?breaker=off"),
        ("weighted(3*null:// 1*memory://)", "weighted(3*null:// 1*memory://)"),
        ("weighted(1*null://)?breaker=off", "weighted(1*null://)?breaker=off"),
        ("retry(null://)?attempts=5&deadline=60&on-unknown=retry", "retry(null://)?attempts=5&deadline=60&on_unknown=retry"),
        ("breaker(null://)?reset_after=0.5", "breaker(null://)?reset_after=0.5"),
        ("smtp://ada:hunt(er2)@a.test", "smtp://a.test:587"),
        ("route(bücher.test=null:// *=memory://)", "route(xn--bcher-kva.test=null:// *=memory://)"),
        ("route(example.com=null:// *.Test=memory:// *=null://)",
         "route(example.com=null:// *.test=memory:// *=null://)"),
        ("route(news=null://)?by=tag", "route(news=null://)?by=tag"),
        ("failover(weighted(2*roundrobin(null:// null://)?breaker=off 1*null://) null://)",
         "failover(weighted(2*roundrobin(null:// null://)?breaker=off 1*null://) null://)"),
    ],
)  # fmt: skip
def test_policies_are_composed_of_urls(url: str, name: str) -> None:
    """A policy names itself as it is written, which reads back as the same, and shows no secret of its members."""
    transport = transport_from_url(url)
    assert str(transport) == name
    assert str(transport_from_url(name)) == name
    assert "hunter2" not in repr(transport)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("failover(", "malformed at URL 1"),
        ("failover(null://", "malformed at URL 1"),
        ("failover(null:// null://(x", "malformed at URL 2"),
        ("failover(null://(null://)", "malformed at URL 1"),
        ("failover()", "has no URL inside"),
        ("failover( )", "has no URL inside"),
        ("failover(failover())", "has no URL inside"),
        ("failover(null://) null://", "behind its last parenthesis"),
        ("failover(null://))", "behind its last parenthesis"),
        ("hunter2(null://)", "what is no policy; known are: breaker"),
        ("failover(hunter2(null://))", "what is no policy; known are: breaker"),
        ("failover(null:// hunter2:// null://)", "URL 2: no transport serves"),
        ("failover(smtp://ada:hunter2@a.test:x)", "URL 1: the smtp:// URL is malformed"),
        ("failover(smtp://ada:hunt(er2@a.test)", "percent-encode"),
        ("failover(3*null://)", "neither weights nor routes"),
        ("roundrobin(a.test=null://)", "neither weights nor routes"),
        ("weighted(null://)", "a weight before each URL"),
        ("weighted(a.test=null://)", "a weight before each URL"),
        ("weighted(0*null://)", "positive whole number"),
        ("weighted(99991*null:// 99989*null://)", "turns until everybody had his share"),
        ("route(null://)", "a name before each URL"),
        ("route(3*null://)", "a name before each URL"),
        ("route(a.test=null:// a.test=null://)", "'a.test' twice"),
        ("route(a.test=null:// A.TEST=null://)", "two routes for a.test"),
        ("route(*=null://)", "needs at least one transport"),
        ("route(a..test=null://)", "no domain for a route"),
        ("route(a.test=null://)?by=hunter2", "'by' of route(…) is not valid"),
        ("breaker(null:// null://)", "takes one URL, not 2"),
        ("breaker(null://)?failures=0", "'failures' of breaker(…) is not a positive whole number"),
        ("failover(null://)?colour=red", "failover(…) has no parameter 'colour'"),
        ("failover(null://)?breaker", "parameters of failover(…) are malformed"),
        ("failover(null://)?breaker=off&failures=3", "leave one out"),
        ("failover(" * 17 + "null://" + ")" * 17, "16 deep"),
    ],
)
def test_a_malformed_policy_is_explained(url: str, message: str) -> None:
    """The error says which part of it is wrong, and repeats nothing that may be secret."""
    with pytest.raises(ConfigurationError) as caught:
        transport_from_url(url)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value).replace("serves hunter2://", "")


@pytest.mark.parametrize(
    ("url", "attempts", "messages"),
    [
        ("null://?retries=5", 6, None),
        ("null://?rate=10/s", None, 10.0),
        ("null://?rate=300/m&retries=1", 2, 5.0),
        ("failover(null:// null://)?rate=36000/h&failures=2", None, 10.0),
    ],
)
def test_every_url_may_have_a_rate_and_retries(url: str, attempts: int | None, messages: float | None) -> None:
    """They wrap whatever the URL is of, the retries outside, and the transport's own parameters stay its own."""
    transport = transport_from_url(url)
    if attempts is not None:
        assert isinstance(transport, Retry)
        assert transport.policy.attempts == attempts
        transport = transport.transport
    if messages is not None:
        assert isinstance(transport, RateLimit)
        assert transport.messages == messages
        transport = transport.transport
    assert str(transport) in {"null://", "failover(null:// null://)?failures=2"}


@pytest.mark.parametrize(
    "query", ["rate=10", "rate=10/d", "rate=0/s", "rate=x/s", "retries=0", "retries=x", "rate=1/s&rate=1/s"]
)
def test_a_rate_or_retries_that_cannot_be_read_are_refused(query: str) -> None:
    """The error says how they are written."""
    with pytest.raises(ConfigurationError, match="null://"):
        transport_from_url(f"null://?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "smtp://",
        "smtp://ada:hunter2@",
        "smtp://ada:hunter2@mail.example.com/inbox",
        "smtp://ada:hunter2@mail.example.com?hunter2=x",
        "smtp://ada:hunter2@mail.example.com?tls=hunter",
        "smtp://ada:hunter2@-mail.example.com",
        "smtps://ada:hunter2@mail.example.com?tls=starttls",
        "smtp://:hunter2@mail.example.com",
        "smtp://ada@mail.example.com",
        "null://ada:hunter2@",
        "memory://ada:hunter2@localhost",
        "console://ada:hunter2@",
        "sendmail://ada:hunter2@localhost",
        "file://ada:hunter2@/var/mail",
        "maildir://ada:hunter2@/var/mail",
        "unknown://ada:hunter2@mail.example.com",
    ],
)
def test_no_error_repeats_the_password(url: str) -> None:
    """Whatever is wrong with a URL, a typed error says so without its password, which is all that it hides."""
    with pytest.raises(ConfigurationError) as caught:
        transport_from_url(url)
    assert "hunter2" not in str(caught.value).replace("parameter 'hunter2'", "")
