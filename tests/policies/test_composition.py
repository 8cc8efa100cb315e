"""URLs inside policies, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailkit.errors import ConfigurationError
from mailkit.policies.composition import Composition, parse_composition
from mailkit.url import transport_from_url

KNOWN = ("failover", "weighted", "route")


def _shape(parsed: Composition | str) -> object:
    if isinstance(parsed, str):
        return parsed
    return (parsed.url.scheme, dict(parsed.url.query), [(label, _shape(member)) for label, member in parsed.members])


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("smtp://host", "smtp://host"),
        ("smtp://ada:se(cr)et@host", "smtp://ada:se(cr)et@host"),
        ("failover(a:// b://)", ("failover", {}, [("", "a://"), ("", "b://")])),
        (" FAILOVER(\n a://\n b://\n)\n", ("failover", {}, [("", "a://"), ("", "b://")])),
        ("failover(a://?x=1&y=2 b://u:p@h:1/p)?z=3", ("failover", {"z": "3"}, [("", "a://?x=1&y=2"), ("", "b://u:p@h:1/p")])),
        ("failover(a://)?x=", ("failover", {"x": ""}, [("", "a://")])),
        ("weighted(3*a:// 10*b://)", ("weighted", {}, [("3*", "a://"), ("10*", "b://")])),
        ("route(a.test=a:// *.b.test=b:// *=c://?d=e)",
         ("route", {}, [("a.test=", "a://"), ("*.b.test=", "b://"), ("*=", "c://?d=e")])),
        ("weighted(2*failover(a:// b://)?x=1 1*c://)",
         ("weighted", {}, [("2*", ("failover", {"x": "1"}, [("", "a://"), ("", "b://")])), ("1*", "c://")])),
        ("failover(failover(failover(a://)))",
         ("failover", {}, [("", ("failover", {}, [("", ("failover", {}, [("", "a://")]))]))])),
    ],
)  # fmt: skip
def test_a_composition_is_read(text: str, shape: object) -> None:
    """Names, labels, members and parameters, each where it belongs; and a plain URL is left alone."""
    assert _shape(parse_composition(text, KNOWN)) == shape


pieces = st.sampled_from(
    [*KNOWN, "roundrobin", "(", ")", " ", "\n", "null://", "memory://", "3*", "a.test=", "*=", "?", "&", "x=1",
     "breaker=off", "failures=2", "by=tag", "smtp://ada:hunter2@a.test", "%28", "é"]
)  # fmt: skip


@given(st.lists(pieces, max_size=14).map("".join))
@example("failover(" * 5000)
@example("failover(" + "null:// " * 2000 + ")")
def test_whatever_is_written_is_read_or_explained(text: str) -> None:
    """A transport that names itself readably, or a typed error; neither shows what may be secret."""
    try:
        transport = transport_from_url(text)
    except ConfigurationError as error:
        assert "hunter2" not in str(error)  # noqa: PT017 - either of the two may happen
    else:
        assert "hunter2" not in str(transport)
        assert str(transport_from_url(str(transport))) == str(transport)
