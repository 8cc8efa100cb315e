from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.local.conftest import ENVELOPE, RAW

from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.errors import DeliveryError, MessageError, TransientError, UnsupportedFeatureError
from mailkit.local.channel import LocalChannel
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.message import Message
    from mailkit.receipt import Receipt


class Shelf:
    """A transport whose letters lie in a list, unless it has something to raise."""

    def __init__(self, capabilities: Capabilities | None = None, error: DeliveryError | None = None) -> None:
        self.capabilities = capabilities or Capabilities.everything()
        self.letters: list[Letter] = []
        self.error = error
        self.unchecked = False

    def __str__(self) -> str:
        return "shelf://"

    def open(self, edge: Edge) -> LocalChannel:
        """Return a channel."""
        return LocalChannel(self, edge, self._put, check=None if self.unchecked else self._check)

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        if self.error is not None:
            raise self.error
        self.letters.append(letter)
        return letter.accepted(str(self))

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


def test_a_message_is_completed_and_rendered(edge: Edge, run: Any, message: Message) -> None:
    """A letter has the message with Date and Message-ID, the octets that belong to it, and their number."""
    shelf = Shelf()
    receipt = run(shelf.open(edge).send, message, Envelope.from_message(message))
    (letter,) = shelf.letters
    assert letter.message is not None
    assert letter.message.message_id == letter.message_id == receipt.message_id
    octets = b"".join(letter.blocks())
    assert len(octets) == letter.size
    assert letter.message_id.encode() in octets


def test_prepared_bytes_are_a_letter_without_a_message(edge: Edge, run: Any) -> None:
    """What is sent raw arrives as it is, with the Message-ID that stands in it."""
    shelf = Shelf()
    receipt = run(shelf.open(edge).send_raw, RAW, ENVELOPE)
    (letter,) = shelf.letters
    assert (letter.message, b"".join(letter.blocks()), receipt.message_id) == (None, RAW, "raw@example.com")


def test_what_the_transport_cannot_express_is_refused_first(edge: Edge, run: Any, message: Message) -> None:
    """A feature that the transport does not have is refused before anything is put anywhere."""
    shelf = Shelf(Capabilities())
    with pytest.raises(UnsupportedFeatureError) as caught:
        run(shelf.open(edge).send, message.evolve(tags=["x"]), ENVELOPE)
    assert (caught.value.feature, caught.value.transport, shelf.letters) == ("tags", "shelf://", [])


def test_prepared_bytes_need_a_transport_that_takes_them(edge: Edge, run: Any) -> None:
    """Without the capability, prepared bytes are refused as a feature that the transport does not have."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        run(Shelf(Capabilities()).open(edge).send_raw, RAW, ENVELOPE)
    assert caught.value.feature == "raw"


def test_an_address_beyond_ascii_needs_a_transport_that_takes_it(edge: Edge, run: Any) -> None:
    """The envelope of prepared bytes is checked for SMTPUTF8 as that of a message is."""
    envelope = Envelope("ada@example.com", "jürgen@example.org")
    with pytest.raises(UnsupportedFeatureError) as caught:
        run(Shelf(Capabilities(raw=True)).open(edge).send_raw, RAW, envelope)
    assert caught.value.feature == "smtputf8"
    assert run(Shelf(Capabilities(raw=True, smtputf8=True)).open(edge).send_raw, RAW, envelope).accepted


def test_an_attachment_that_has_changed_is_an_error_before_delivery(
    edge: Edge, run: Any, message: Message, tmp_path: Path
) -> None:
    """A file that is not what it was when it was attached stops the message, with an error that names the file."""
    path = tmp_path / "report.pdf"
    path.write_bytes(b"12345")
    changed = message.evolve(attachments=[Attachment.from_path(path)])
    path.write_bytes(b"1")
    shelf = Shelf()

    async def deliver() -> None:
        await shelf.open(edge).send(changed, ENVELOPE)
        b"".join(shelf.letters[0].blocks())

    with pytest.raises(MessageError, match=r"report\.pdf"):
        run(deliver)


def test_an_error_says_what_became_of_whom(edge: Edge, run: Any, message: Message) -> None:
    """A delivery error carries each recipient, the transport's name and the Message-ID."""
    shelf = Shelf(error=TransientError("busy"))
    complete = message.completed()
    with pytest.raises(TransientError) as caught:
        run(shelf.open(edge).send, complete, Envelope.from_message(complete))
    error = caught.value
    assert [(each.address, each.status) for each in error.recipients] == [
        ("bob@example.org", "deferred"),
        ("archive@example.net", "deferred"),
    ]
    assert (error.transport, error.message_id) == ("shelf://", complete.message_id)


def test_verify_says_that_there_is_no_way(edge: Edge, run: Any) -> None:
    """``verify`` returns the transport's name, or raises what stands in the way, under that name."""
    assert run(Shelf().open(edge).verify).transport == "shelf://"
    with pytest.raises(DeliveryError) as caught:
        run(Shelf(error=DeliveryError("no room")).open(edge).verify)
    assert caught.value.transport == "shelf://"


def test_verify_has_nothing_to_say_where_nothing_can_stand_in_the_way(edge: Edge, run: Any) -> None:
    """A transport without a check is always ready."""
    shelf = Shelf(error=DeliveryError("no room"))
    shelf.unchecked = True
    assert run(shelf.open(edge).verify).transport == "shelf://"
