from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import Address, AddressError, ConfigurationError
from mailkit.policies import FileSuppressionList, MemorySuppressionList, SQLiteSuppressionList, SuppressionList
from mailkit.policies.suppression_list import DEFAULT_REASON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOB, EVE, SUB = Address("bob@example.org"), Address("eve@example.net"), Address("a@sub.example.net")


@pytest.fixture(params=["memory", "sqlite"])
def suppressed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty list of each kind that can be changed."""
    if request.param == "memory":
        yield MemorySuppressionList()
        return
    with SQLiteSuppressionList(tmp_path / "suppressed.db") as found:
        yield found


def test_entries_come_and_go(suppressed: Any) -> None:
    """An address or a domain is suppressed from when it was added until it is removed."""
    assert isinstance(suppressed, SuppressionList)
    suppressed.add("Bob@Example.ORG", "hard bounce")
    suppressed.add("@EXAMPLE.net")
    assert suppressed.reasons([BOB, EVE, SUB]) == ["hard bounce", "on the suppression list", None]
    assert len(suppressed) == 2
    assert suppressed.remove("BOB@example.org")
    assert not suppressed.remove(BOB)
    assert suppressed.reasons([BOB, EVE]) == [None, "on the suppression list"]
    suppressed.add(BOB)
    suppressed.add(BOB, "complained")
    assert suppressed.reasons([BOB]) == ["complained"]


def test_many_entries_come_at_once(suppressed: Any) -> None:
    """They may be texts, pairs or a mapping; one that is wrong keeps all of them out."""
    suppressed.update(["bob@example.org", (EVE, "left"), "@example.com"], "imported")
    assert suppressed.reasons([BOB, EVE, Address("x@example.com")]) == ["imported", "left", "imported"]
    suppressed.update({"bob@example.org": "came back and left again"})
    assert suppressed.reasons([BOB]) == ["came back and left again"]
    with pytest.raises(AddressError):
        suppressed.update(["new@example.org", "not an address"])
    assert suppressed.reasons([Address("new@example.org")]) == [None]


def test_what_is_said_of_the_address_comes_first(suppressed: Any) -> None:
    """Of two reasons the narrower one is given."""
    suppressed.update({"@example.org": "the domain", "bob@example.org": "the address"})
    assert suppressed.reasons([BOB]) == ["the address"]


def test_many_addresses_are_asked_about_at_once(suppressed: Any) -> None:
    """Two thousand recipients are found in one call, each with its own answer."""
    suppressed.update([f"user{number}@example.org" for number in range(0, 2000, 2)])
    found = suppressed.reasons([Address(f"user{number}@example.org") for number in range(2000)])
    assert [reason is None for reason in found] == [bool(number % 2) for number in range(2000)]


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("ada@faß.test", "ADA@XN--FA-HIA.test"),
        ("@faß.test", "x@xn--fa-hia.test"),
        ("JÜRGEN@example.org", "jürgen@example.org"),
        ('"a b"@example.org', '"A B"@example.org'),
        ("@[192.0.2.1]", "x@[192.0.2.1]"),
        (" bob@example.org ", "bob@example.org"),
        ("Bob <bob@example.org>", "bob@example.org"),
    ],
)
def test_spellings_of_one_address_are_one_entry(entry: str, address: str) -> None:
    """Case, IDNA, names and spaces make no difference."""
    assert MemorySuppressionList([entry]).reasons([Address(address)]) == ["on the suppression list"]


@given(st.lists(st.sampled_from(["a@x.test", "A@x.test", "b@x.test", "@x.test", "@y.test", "b@y.test"]), max_size=12))
def test_it_answers_as_a_set_would(entries: list[str]) -> None:
    """Whatever is added, a list in memory answers as a set of lowered entries would."""
    memory = MemorySuppressionList(entries)
    lowered = {entry.lower() for entry in entries}
    for text in ("a@x.test", "b@x.test", "b@y.test", "c@z.test"):
        (reason,) = memory.reasons([Address(text)])
        assert (reason is not None) == (text in lowered or "@" + text.partition("@")[2] in lowered)


@pytest.mark.parametrize("kind", [FileSuppressionList, SQLiteSuppressionList])
def test_a_path_is_a_path(kind: Any) -> None:
    """A number is none."""
    with pytest.raises(ConfigurationError, match="given as int: give the path"):
        kind(5)


@pytest.mark.parametrize("entries", [{"bob@example.org": ""}, [("bob@example.org", "")], {"@example.org": ""}])
def test_an_entry_without_a_reason_is_an_entry(entries: Any) -> None:
    """An empty reason, as of a column that nobody filled in, lets nobody through."""
    suppressed = MemorySuppressionList(entries)
    assert suppressed.reasons([Address("bob@example.org"), Address("eve@example.com")]) == [DEFAULT_REASON, None]
