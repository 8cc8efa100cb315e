from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailkit.envelope import Envelope
from mailkit.local.letter import Letter, local_line_ends

_BLOCKS = st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b""])).map(b"".join))


@given(_BLOCKS)
def test_line_ends_do_not_depend_on_how_the_octets_are_cut(blocks: list[bytes]) -> None:
    """Each CRLF becomes one LF, and nothing else changes, wherever a block ends."""
    assert b"".join(local_line_ends(blocks)) == b"".join(blocks).replace(b"\r\n", b"\n")


def test_an_accepted_letter_names_every_recipient() -> None:
    """The receipt of an accepted letter has every recipient of the envelope, in its order, as accepted."""
    envelope = Envelope("ada@example.com", ["bob@example.org", "eve@example.net"])
    letter = Letter(envelope=envelope, message=None, message_id="1@x.test", size=0, blocks=lambda: iter(()))
    receipt = letter.accepted("somewhere://", provider_id="7")
    assert [(each.address, each.status) for each in receipt.recipients] == [
        ("bob@example.org", "accepted"),
        ("eve@example.net", "accepted"),
    ]
    assert (receipt.message_id, receipt.transport, receipt.provider_id) == ("1@x.test", "somewhere://", "7")
