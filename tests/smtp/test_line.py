"""The connections of a lane, and their end when another thread is at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.colours import run_in
from tests.smtp.letters import Post

from mailkit import ConnectError
from mailkit.smtp.line import Line
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    import pytest
    from tests.colours import Colour

    from mailkit.smtp.session import Session


def taken(post: Post) -> int:
    """How many slots of the pool are taken."""
    return len(post.channel._pool.connections().slots._holders)  # type: ignore[attr-defined]


def test_no_connection_is_taken_when_all_is_over(colour: Colour) -> None:
    """Who asks a line that was closed hears so, and nothing is connected to."""
    with SMTPServer() as server, Post.to(server, colour) as post:

        async def ask() -> None:
            line = Line(post.channel._pool)
            await line.close()
            assert isinstance(await line.reach(), ConnectError)
            assert line.session is None

        run_in(colour, ask)
        assert server.connections == ()
        assert taken(post) == 0


def test_a_connection_that_comes_when_all_is_over_is_given_back(
    colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is closed while it connects keeps nothing."""
    with SMTPServer() as server, Post.to(server, colour) as post:

        async def ask() -> None:
            pool = post.channel._pool
            line, connect = Line(pool), pool._connect

            async def late() -> Session:
                session = await connect()
                line.is_over = True
                return session

            monkeypatch.setattr(pool, "_connect", late)
            assert isinstance(await line.reach(), ConnectError)
            assert line.session is None

        run_in(colour, ask)
        assert len(server.connections) == 1
        assert taken(post) == 0


def test_what_is_lent_is_hung_up_on_and_then_given_back(colour: Colour) -> None:
    """Closing a line that another thread is at leaves it nothing to write on, and its slot to that thread."""
    with SMTPServer() as server, Post.to(server, colour) as post:

        async def lend() -> None:
            line = Line(post.channel._pool)

            async def work() -> None:
                assert await line.reach() is None
                session = line.session
                assert session is not None
                assert line.may_go_on
                await line.close()
                assert not line.may_go_on
                assert not session.is_usable
                assert taken(post) == 1

            await line.lend(work)
            assert line.session is None
            assert taken(post) == 0

        run_in(colour, lend)
        assert server.wait_until(lambda one: one.connections[0].closed)


def test_what_is_lent_and_holds_nothing(colour: Colour) -> None:
    """Closing it leaves nothing to be done by the other thread but to hear that all is over."""
    with SMTPServer() as server, Post.to(server, colour) as post:

        async def lend() -> None:
            line = Line(post.channel._pool)

            async def work() -> None:
                await line.close()
                assert not line.may_go_on
                assert isinstance(await line.reach(), ConnectError)

            await line.lend(work)

        run_in(colour, lend)
        assert server.connections == ()
