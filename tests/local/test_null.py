from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit.attachment import Attachment
from mailkit.errors import ConfigurationError, MessageError
from mailkit.local import NullTransport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Send, SendRaw

    from mailkit.message import Message

from tests.local.conftest import RAW


def test_everything_is_accepted(send: Send, send_raw: SendRaw, message: Message) -> None:
    """Every recipient of every message is accepted."""
    receipt = send(NullTransport(), message)
    assert [each.address for each in receipt.accepted] == ["bob@example.org", "archive@example.net"]
    assert send_raw(NullTransport(), RAW).accepted


def test_a_broken_message_is_noticed(send: Send, message: Message, tmp_path: Path) -> None:
    """A message whose attachment has gone is not accepted, although nobody would have read it."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    broken = message.evolve(attachments=[Attachment.from_path(path)])
    path.unlink()
    with pytest.raises(MessageError):
        send(NullTransport(), broken)


def test_its_url() -> None:
    """``null://`` is the whole of its URL."""
    assert transport_from_url("null://") == NullTransport()
    assert str(NullTransport()) == "null://"
    with pytest.raises(ConfigurationError, match="no parameter 'speed'"):
        transport_from_url("null://?speed=1")
    with pytest.raises(ConfigurationError, match="takes no host"):
        transport_from_url("null://example.com")
