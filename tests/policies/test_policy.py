"""How policies are written, and that what is written is read back as the same."""

from __future__ import annotations

import logging
import pickle
import re
import time
from copy import copy, deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from tests.policies.letters import letter

from mailkit import (
    Address,
    CircuitBreaker,
    Concurrency,
    Deduplicate,
    Failover,
    Hooks,
    Mailer,
    RateLimit,
    Redirect,
    Retry,
    RetryPolicy,
    RoundRobin,
    Route,
    Suppress,
    Weighted,
)
from mailkit.errors import ConfigurationError, ConnectError, MailkitError, MessageError
from mailkit.local import ConsoleTransport, FileTransport, NullTransport
from mailkit.policies import (
    Breaker,
    FileSuppressionList,
    FullJitter,
    MemoryDeduplicationStore,
    MemorySuppressionList,
    RetryBudget,
    SQLiteDeduplicationStore,
    SQLiteSuppressionList,
)
from mailkit.policies.policy import Policy, as_frequency, as_text
from mailkit.providers import Postmark
from mailkit.smtp import SMTP
from mailkit.testing import FakeTransport
from mailkit.transport import name_of
from mailkit.transport_url import frequency
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailkit.events import Event
    from mailkit.message import Message
    from mailkit.transport import Transport

NULL = NullTransport()

counts = st.integers(1, 10**6)
spans = st.floats(1e-6, 1e9) | st.integers(1, 10**9).map(float)
rates = spans | st.builds(lambda many, every: many / every, st.integers(1, 10**6), st.sampled_from([1, 60, 3600]))
paths = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9).map(
    lambda text: str(Path(f"/var/{text}").absolute())
)
names = st.sampled_from(["", "Dev", "Team, the", 'A "b" (c)', "Jörg Ä", "a+b = 50% & more"])
mailboxes = st.sampled_from(["dev@example.com", "a+b@x.test", '"a,b c"@x.test', "jörg@bücher.test", "d@[192.0.2.1]"])
addresses = st.builds(lambda email, name: Address(email, name=name), mailboxes, names)
allowed = st.sampled_from(["example.com", "bücher.test", "Ada@Example.org", '"a,b"@x.test', "ß@x.test", "[192.0.2.1]"])
breakers = st.none() | st.builds(Breaker, failures=counts, reset_after=spans)
tags = st.text(min_size=1, max_size=6)
domains = st.sampled_from(["example.com", "*.example.com", "bücher.test", "*.test", "[192.0.2.1]"])
retries = st.builds(RetryPolicy, attempts=counts, deadline=spans, on_unknown=st.sampled_from(["raise", "retry"]))
leaves = st.sampled_from(
    [NULL, ConsoleTransport(), SMTP("a.test", port=587), SMTP("::1", port=25), FileTransport("/tmp/a (b) é")]
)


def _round(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return every policy round some transports, with everything that a URL can say."""
    several = st.lists(inner, min_size=1, max_size=3)
    bounds = st.none() | rates
    by_tag = st.dictionaries(tags, inner, min_size=1, max_size=3)
    people = st.lists(addresses, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda members, breaker: Failover(*members, breaker=breaker), several, breakers),
        st.builds(lambda members, breaker: RoundRobin(*members, breaker=breaker), several, breakers),
        st.builds(Weighted, st.lists(st.tuples(inner, st.integers(1, 99)), min_size=1, max_size=3), breaker=breakers),
        st.builds(Route, st.dictionaries(domains, inner, min_size=1), default=st.none() | inner),
        st.builds(Route, by_tag, by=st.just("tag"), default=st.none() | inner),
        st.builds(CircuitBreaker, inner, failures=counts, reset_after=spans),
        st.builds(Retry, inner, retries),
        st.builds(RateLimit, inner, messages=rates, recipients=bounds, octets=bounds, burst=counts),
        st.builds(RateLimit, inner, octets=rates, max_wait=st.none() | spans),
        st.builds(Concurrency, inner, counts, max_wait=st.none() | spans),
        st.builds(Redirect, inner, people, allow=st.lists(allowed), subject_prefix=_prefixes),
        st.builds(Suppress, inner, st.builds(FileSuppressionList, paths) | st.builds(SQLiteSuppressionList, paths)),
        st.builds(Deduplicate, inner, spans, store=st.none() | st.builds(SQLiteDeduplicationStore, paths),
                  on_unknown=st.sampled_from(["raise", "retry"]), max_wait=st.none() | spans),
    )  # fmt: skip


_prefixes = st.sampled_from(["", "[staging] ", "Prüfung (+1) 50%: "])
policies = st.recursive(leaves, _round, max_leaves=5)


@given(policies)
@example(Redirect(NULL, "dev@example.com", allow=['"a,b"@x.test']))
@example(Failover(Route({"a/b (c)=d:e?f*g&h%20": NULL}, by="tag", default=NULL)))
def test_what_a_policy_is_written_as_makes_the_same(policy: Transport) -> None:
    """Every policy, every parameter and every nesting that a URL can say, from value to URL to an equal value."""
    written = str(policy)
    assert written.isascii()
    assert written.isprintable()
    again = transport_from_url(written)
    assert again == policy
    assert hash(again) == hash(policy)
    assert str(again) == written


@pytest.mark.parametrize(
    "policy",
    [
        Suppress(NULL, FileSuppressionList("/x.txt")),
        Suppress(NULL, SQLiteSuppressionList("/x.db")),
        Deduplicate(NULL, store=SQLiteDeduplicationStore("/x.db", clock=time.monotonic)),
        Route({"a.test": Failover(NULL, RoundRobin(NULL, breaker=None))}, default=Weighted({NULL: 2})),
        Retry(RateLimit(Concurrency(CircuitBreaker(Redirect(NULL, "dev@b.test")), 2), messages=3)),
    ],
    ids=["file", "list", "store", "several", "one"],
)
def test_a_policy_goes_to_another_process_as_a_value(policy: Transport) -> None:
    """Copied or pickled it is equal, with whatever it has open left behind."""
    for again in (pickle.loads(pickle.dumps(policy)), deepcopy(policy), copy(policy)):
        assert again == policy
        assert hash(again) == hash(policy)
        assert str(again) == str(policy)


def test_policies_over_other_files_are_others() -> None:
    """What is equal is the same kind of list or store over the same file, by the same clock."""
    stores = [SQLiteDeduplicationStore("/x"), SQLiteDeduplicationStore("/y"), SQLiteSuppressionList("/x")]
    others = [SQLiteDeduplicationStore("/x", clock=time.monotonic), FileSuppressionList("/x"), _OwnList("/x")]
    assert len({*stores, *others, None}) == 7


def test_a_policy_has_members() -> None:
    """Who writes one says which, as there is nothing to write otherwise."""
    with pytest.raises(NotImplementedError):
        str(Policy())


@given(rates)
@example(1.7976931348623157e308)
@example(5e-324)
def test_a_rate_is_written_as_it_is_read(rate: float) -> None:
    """To the last bit."""
    assert frequency(as_frequency(rate)) == rate


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("null://?rate=10/s", "ratelimit(null://)?messages=10/s"),
        ("null://?rate=100/m", "ratelimit(null://)?messages=100/m"),
        ("null://?rate=0.5/s", "ratelimit(null://)?messages=30/m"),
        ("null://?retries=5", "retry(null://)?attempts=6"),
        ("null://?rate=1000/h&retries=2", "retry(ratelimit(null://)?messages=1000/h)"),
        ("ratelimit(null://)?octets=1e9/s&burst=2&max-wait=5", "ratelimit(null://)?octets=1000000000/s&burst=2&max_wait=5"),
        ("concurrency(null://)?limit=04", "concurrency(null://)?limit=4"),
        ("redirect(null://)?to=Dev%20%3Cdev@a.test%3E,%22b,c%22@a.test&allow=b.test,a@b.test&subject-prefix=%5Bx%5D%20",
         "redirect(null://)?to=Dev%20%3Cdev@a.test%3E,%22b,c%22@a.test&allow=a@b.test,b.test&subject_prefix=%5Bx%5D%20"),
        ("suppress(null://)?file=/a%20b/c.txt", "suppress(null://)?file=/a%20b/c.txt"),
        ("suppress(null://)?database=/x.db", "suppress(null://)?database=/x.db"),
        ("deduplicate(null://)?window=86400&database=/x.db", "deduplicate(null://)?window=86400&database=/x.db"),
        ("route(news%20letter=null:// %2A=null:// *=memory://)?by=tag",
         "route(news%20letter=null:// %2A=null:// *=memory://)?by=tag"),
    ],
)  # fmt: skip
def test_what_is_as_usual_is_left_out(url: str, written: str) -> None:
    """A number is written in its shortest form, and ``?rate=`` and ``?retries=`` as the policies that they are."""
    assert str(transport_from_url(url)) == written
    assert str(transport_from_url(written)) == written


@pytest.mark.parametrize(
    ("url", "policy"),
    [
        ("retry(null://)?attempts=5&deadline=60&on-unknown=retry",
         Retry(NULL, RetryPolicy(attempts=5, deadline=60.0, on_unknown="retry"))),
        ("concurrency(null://)?limit=4", Concurrency(NULL, 4)),
        ("concurrency(null://)?limit=1&max_wait=0.5", Concurrency(NULL, 1, max_wait=0.5)),
        ("ratelimit(null://)?messages=600/m&burst=5", RateLimit(NULL, messages=10, burst=5)),
        ("ratelimit(null://)?recipients=2/s&octets=3600/h&max-wait=7",
         RateLimit(NULL, recipients=2, octets=1, max_wait=7)),
        ("redirect(null://)?to=dev@b.test", Redirect(NULL, "dev@b.test")),
        ("redirect(null://)?to=dev@b.test,a@b.test&allow=b.test,c@d.test&subject_prefix=%5Bx%5D%20",
         Redirect(NULL, ["dev@b.test", "a@b.test"], allow=["b.test", "c@d.test"], subject_prefix="[x] ")),
        ("suppress(null://)?file=/etc/list.txt", Suppress(NULL, FileSuppressionList("/etc/list.txt"))),
        ("suppress(null://)?database=/var/list.db", Suppress(NULL, SQLiteSuppressionList("/var/list.db"))),
        ("deduplicate(null://)", Deduplicate(NULL)),
        ("deduplicate(null://)?window=60&on_unknown=retry&max_wait=5",
         Deduplicate(NULL, 60.0, on_unknown="retry", max_wait=5.0)),
        ("deduplicate(null://)?database=/var/sent.db",
         Deduplicate(NULL, store=SQLiteDeduplicationStore("/var/sent.db"))),
    ],
)  # fmt: skip
def test_a_policy_can_be_written_as_a_url(url: str, policy: Transport) -> None:
    """What a URL says is what the arguments say."""
    assert transport_from_url(url) == policy


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("concurrency(null://)", "needs a limit"),
        ("concurrency(null://)?limit=secret", "'limit' of concurrency"),
        ("concurrency(2*null://)?limit=1", "neither weights nor routes"),
        ("ratelimit(null://)", "needs a bound"),
        ("ratelimit(null://)?messages=secret", "'messages' of ratelimit"),
        ("ratelimit(null:// null://)?messages=1/s", "takes one URL, not 2"),
        ("redirect(null://)?allow=corp.example", "needs somebody"),
        ("redirect(null://)?to=secret", "'to' of redirect"),
        ("redirect(null://)?to=%22secret,@b.test", "'to' of redirect"),
        ("redirect(null://)?to=a@b.test&allow=secret@x@y", "'allow' of redirect"),
        ("redirect(null://)?to=a@b.test&subject_prefix=secret%0d", "'subject_prefix' of redirect"),
        ("suppress(null://)", "needs one list"),
        ("suppress(null://)?file=secret&database=secret", "needs one list"),
        ("deduplicate(null://)?on_unknown=secret", "'on_unknown' of deduplicate"),
        ("deduplicate(null://)?window=-1", "'window' of deduplicate"),
        ("route(%FF=null://)?by=tag", "percent-encode it as UTF-8"),
        ("route(*=null:// *=null:// a.test=null://)", "has '*' twice"),
        (f"weighted({'9' * 5000}*null://)", "a weight before each URL"),
    ],
    ids=lambda value: value[:60],
)
def test_a_policy_that_is_written_wrongly_says_what_is(url: str, said: str) -> None:
    """It names the policy or the parameter, and repeats nothing of the URL."""
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        transport_from_url(url)
    assert "secret" not in str(caught.value)


def _order_of(message: Message) -> str | None:
    return message.idempotency_key


class _Store(MemoryDeduplicationStore):
    def __repr__(self) -> str:
        return "_Store(password='hunter2')"


class _OwnList(FileSuppressionList):
    """A list in a file, which does something else with it."""


@pytest.mark.parametrize(
    ("policy", "written"),
    [
        (Retry(NULL, RetryPolicy(deadline=None)), "retry(null://)?deadline=<none>"),
        (Retry(NULL, RetryPolicy(wait=tenacity.wait_fixed(1))), "retry(null://)?wait=<wait_fixed>"),
        (Retry(NULL, RetryPolicy(stop=tenacity.stop_never)), "retry(null://)?stop=<_stop_never>"),
        (Retry(NULL, RetryPolicy(on_unknown=lambda _: "unknown")), "retry(null://)?on_unknown=<lambda>"),
        (Retry(NULL, RetryPolicy(budget=None)), "retry(null://)?budget=<none>"),
        (Retry(NULL, RetryPolicy(budget=RetryBudget(tokens=9))), "retry(null://)?budget=<RetryBudget>"),
        (Route({"a b": NULL}, by=lambda *_: "a b"), "route(a%20b=null://)?by=<lambda>"),
        (RateLimit(NULL, messages=1, burst=1.5), "ratelimit(null://)?messages=1/s&burst=1.5"),
        (Suppress(NULL, MemorySuppressionList()), "suppress(null://)?list=<MemorySuppressionList>"),
        (Suppress(NULL, _OwnList("/x")), "suppress(null://)?list=<_OwnList>"),
        (Deduplicate(NULL, key=_order_of), "deduplicate(null://)?key=<_order_of>"),
        (Deduplicate(NULL, key=partial(_order_of)), "deduplicate(null://)?key=<partial>"),
        (Deduplicate(NULL, store=_Store()), "deduplicate(null://)?store=<_Store>"),
        (Deduplicate(NULL, store=SQLiteDeduplicationStore("/x", clock=time.monotonic)),
         "deduplicate(null://)?store=<SQLiteDeduplicationStore>"),
    ],
)  # fmt: skip
def test_what_no_url_can_say_is_no_url(policy: Transport, written: str) -> None:
    """It is named, in brackets and without what it shows of itself; reading that is refused, not something else."""
    assert str(policy) == written
    with pytest.raises(ConfigurationError):
        transport_from_url(written)


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (RetryPolicy, {"attempts": [0, -1, 1.5, "3", None, True, [], NAN], "deadline": [0, -1.0, NAN, "3", True, []],
                       "wait": [3, "3"], "stop": [3], "budget": [3, 500], "on_unknown": [None, "send", [], {}]}),
        (RetryBudget, {name: [0, 1.5, "3", None, True] for name in ("tokens", "transient", "throttled", "success")}),
        (FullJitter, dict.fromkeys(("transient", "throttled"), (5, (1,), (2, 1), (0, 1), (1, "x"), (NAN, 1)))),
        (Breaker, {"failures": [0, 1.5, "3", None, True, NAN], "reset_after": [0, "3", None, True, NAN, INFINITE]}),
        (partial(CircuitBreaker, NULL), {"failures": [0, "3", True], "reset_after": [-1, "3", INFINITE]}),
        (partial(Failover, NULL), {"breaker": [3, "on", True, CircuitBreaker(NULL)]}),
        (partial(RoundRobin, NULL), {"breaker": [3, "on", True, CircuitBreaker(NULL)]}),
        (partial(Weighted, {NULL: 1}), {"breaker": [3, "on", True, CircuitBreaker(NULL)]}),
        (partial(Route, by="tag"), {"routes": [{"": NULL}, {3: NULL}, {None: NULL}, {}, [NULL], None]}),
        (partial(Route, {"a.test": NULL}), {"by": [None, 3, "name", [], {}], "default": ["null://", NullTransport]}),
        (Retry, {"transport": [None, "null://", NullTransport]}),
        (partial(Retry, NULL), {"policy": [None, 3, RetryPolicy]}),
        (partial(RateLimit, NULL), dict.fromkeys(("messages", "recipients", "octets"), (0, "3", NAN, 10**400))),
        (partial(RateLimit, NULL, messages=1), {"burst": [0, 0.5, "3", None, NAN], "max_wait": [0, "3", INFINITE]}),
        (partial(Concurrency, NULL), {"limit": [0, 1.5, "3", True, NAN]}),
        (partial(Redirect, NULL), {"to": [None, (), "dev", 3, b"a@b.test", {"a@b.test": 1}]}),
        (partial(Redirect, NULL, "a@b.test"), {"allow": [None, 5, b"x", {"x.test": 1}, [5], "", "*.x.test", "a b.test"],
                                               "subject_prefix": [None, "a\r\nBcc: x@y.test"]}),
        (partial(Suppress, NULL), {"suppressed": [None, ["a@b.test"], MemorySuppressionList]}),
        (partial(Deduplicate, NULL), {"window": [0, "3", NAN], "store": [3, MemoryDeduplicationStore],
                                      "on_unknown": [None, "send", []], "key": [None, "id"], "max_wait": [0, "3"]}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_when_it_is_given(make: Any, given: Mapping[str, Iterable[Any]]) -> None:
    """With an error of ours, not with Python's, and not at the first failure of a delivery."""
    for name, values in given.items():
        for value in values:
            with pytest.raises((ConfigurationError, MessageError)):
                make(**{name: value})


def test_whom_a_redirect_allows_may_be_an_address() -> None:
    """As an Address, alone or among others, where a text is one as well."""
    ada = Address("Ada@Example.org", name="Ada")
    assert (
        Redirect(NULL, "a@b.test", allow=ada)
        == Redirect(NULL, "a@b.test", allow=[ada])
        == Redirect(NULL, "a@b.test", allow="ada@example.org")
    )


def test_a_policy_can_be_changed_by_a_copy() -> None:
    """What was read once is read again, an address in quotes among it."""
    redirect = Redirect(NULL, "dev@example.com", allow=['"A,b c"@x.test', "example.com", "Jörg@x.test"])
    assert evolve(redirect) == redirect
    assert evolve(redirect, to="qa@example.com").allow == redirect.allow


def test_logs_name_nobody() -> None:
    """What a policy is called there, at any depth, has no parameter and so no address; and no secret, as ever."""
    inner = Redirect(Postmark("SECRET-TOKEN"), "dev@example.com", allow="ada@example.org")
    policy = Failover(Retry(Weighted({inner: 3})), Route({"example.com": inner}, default=NULL), breaker=None)
    assert name_of(policy) == (
        "failover(retry(weighted(3*redirect(postmark://default))) "
        "route(example.com=redirect(postmark://default) *=null://))"
    )
    assert str(policy).count("to=dev@example.com&allow=ada@example.org") == 2
    assert "SECRET" not in str(policy) + repr(policy)
    assert name_of(NULL) == "null://"


def test_events_and_logs_have_those_names(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens, no address of a policy's parameters is logged."""
    first, second = FakeTransport(), FakeTransport()
    first.fail_next(ConnectError("refused"))
    away = [Redirect(each, "dev@example.com", allow="ada@example.org") for each in (first, second)]
    policy = Concurrency(RateLimit(Retry(Failover(*away, breaker=Breaker(failures=1))), messages=1000), 1)
    events: list[Event] = []
    caplog.set_level(logging.DEBUG)
    with Mailer(policy, hooks=Hooks(on_event=events.append)) as mailer:
        mailer.send(letter(1))
        assert all(outcome.ok for outcome in mailer.send_many([letter(2), letter(3)]))
    told = {type(event).__name__ for event in events}
    assert {"BeforeSend", "AfterSend", "BeforeAttempt", "FailedOver", "BreakerChanged", "Redirected"} <= told
    shown = caplog.text + " ".join(event.transport for event in events)
    assert "redirect(fake://)" in shown
    assert "dev@" not in shown
    assert "ada@example.org" not in shown


@example("to", "\ud800@x.test")
@given(st.sampled_from(["to", "allow", "subject_prefix"]), st.text(alphabet=st.characters(codec=None), max_size=20))
def test_any_text_of_a_parameter_is_read_or_refused(name: str, text: str) -> None:
    """With a typed error, never with another one."""
    others = "" if name == "to" else "to=a@b.test&"
    try:
        policy = transport_from_url(f"redirect(null://)?{others}{name}={as_text(text)}")
    except MailkitError as error:
        assert isinstance(error, ConfigurationError)  # noqa: PT017 - either may happen
    else:
        assert transport_from_url(str(policy)) == policy
