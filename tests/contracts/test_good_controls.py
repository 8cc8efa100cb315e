"""What is unusual and right: nothing of it may be refused, and it arrives as what it was."""

from __future__ import annotations

import pytest
from tests.contracts import reading
from tests.contracts.placing import assert_nothing_injected, build
from tests.contracts.rows import GOOD, Row

from mailkit.mailer import Mailer
from mailkit.policies.retry import RetryPolicy
from mailkit.testing import SMTPServer

FIELDS = {"to_addr", "from_name", "subject", "filename", "text_body"}


@pytest.mark.usefixtures("shared")
def test_every_control_is_of_a_known_field() -> None:
    """A field that nobody here knows makes this fail, so that no row is skipped in silence."""
    assert {(row.field, row.enc) for row in GOOD} == {(field, "text") for field in FIELDS}
    assert {row.allowed for row in GOOD} == {frozenset({"accept"})}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in GOOD])
def test_an_unusual_value_is_delivered(row: Row) -> None:
    """It goes over the wire, and three parsers read back what was given."""
    with SMTPServer() as server:
        with Mailer(server.url, retry=RetryPolicy.none()) as mailer:
            message = build(row.field, row.value)
            receipt = mailer.send(message)
        assert not receipt.refused
        assert_nothing_injected(server, row.field)
        received = server.messages[0]
    match row.field:
        case "to_addr":
            local, _, domain = received.rcpt_to[0].rpartition("@")
            assert local == row.value.rpartition("@")[0]
            assert domain == message.to[0].ascii_domain
            assert message.to[0].domain == row.value.rpartition("@")[2].lower()
        case "from_name":
            assert reading.senders(received.data) == [[(row.value, "a@x.test")]] * reading.PARSERS
        case "subject":
            assert reading.subjects(received.data) == [row.value] * reading.PARSERS
        case "filename":
            assert reading.files(received.data) == [[(row.value, b"data")]] * reading.PARSERS
        case _:
            expected = row.value.replace("\r\n", "\n").removesuffix("\n")
            assert [body.removesuffix("\n") for body in reading.bodies(received.data)] == [expected] * reading.PARSERS
