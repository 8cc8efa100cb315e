"""Whoever asks for a connection may judge the peer of its TLS, before anything is said inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from tests.smtp.letters import transport_to

from mailkit import TLSError
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.handshake import shake_hands
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import Edge, TLSInfo


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_the_peer_is_judged_before_a_word_is_said(edge: Edge, run: Callable[..., Any], mode: Any) -> None:
    """The function sees what TLS settled on; what it raises ends the handshake, with nothing said inside TLS."""
    seen: list[TLSInfo] = []

    def check(info: TLSInfo) -> None:
        seen.append(info)
        if len(seen) == 2:
            raise TLSError("not the one")

    with SMTPServer(tls=mode) as server:
        options = evolve(transport_to(server, tls=mode, ca_file=server.ca_file).options(), check_peer=check)

        async def meet() -> None:
            stream = await edge.connect_tcp(server.host, server.port, deadline=edge.now() + 5)
            conversation = Conversation(stream, edge, options)
            try:
                await shake_hands(conversation)
            finally:
                await conversation.close()

        run(meet)
        with pytest.raises(TLSError, match="not the one") as caught:
            run(meet)
        assert caught.value.phase == ("tls" if mode == "implicit" else "starttls")
        assert seen[0].peer_certificate
        assert server.wait_until(lambda server: len(server.connections) == 2)
        assert server.connections[1].transcript.count("EHLO") == (1 if mode == "starttls" else 0)
