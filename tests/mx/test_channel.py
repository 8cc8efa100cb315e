"""Messages to several domains, from their names to one receipt, in three colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import RejectedError
from tests.mx.world import BOB, EVE, IDA, letter, statuses

if TYPE_CHECKING:
    from tests.mx.world import World


def test_each_domain_gets_its_message_from_its_own_exchanger(world: World) -> None:
    """Recipients of three domains are three deliveries and one receipt, in the order of the envelope."""
    for domain in ("example.org", "example.net", "example.edu"):
        world.server(f"mx.{domain}")
        world.domain(domain, f"mx.{domain}")
    to = (BOB, EVE, IDA, "sue@example.org")
    receipt = world.send(*to)
    assert [each.address for each in receipt.recipients] == list(to)
    assert statuses(receipt) == ["accepted"] * 4
    assert [server.messages[0].rcpt_to for server in world.servers] == [
        (BOB, "sue@example.org"),
        (EVE,),
        (IDA,),
    ]
    assert receipt.transport == "mx://client.example.com"
    assert receipt.message_id == receipt.message_id.strip("<>") != ""
    assert receipt.provider_id is None
    assert all(each.provider_id for each in receipt.recipients)
    assert len({server.messages[0].data for server in world.servers}) == 1
