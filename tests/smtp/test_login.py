"""Credentials, given or fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import ConfigurationError
from mailkit.secret import Secret
from mailkit.smtp.login import Login

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import Edge


def test_given_credentials(edge: Edge, run: Callable[..., object]) -> None:
    """A password or a token that is given is used as it is, and asking again gives nothing new."""
    login = Login(username="ada", password=Secret("hunter2"))
    assert not login.is_renewable
    assert run(login.credentials, edge).password == Secret("hunter2")  # type: ignore[attr-defined]
    assert run(Login(username="ada", token=Secret("t")).credentials, edge).token == Secret("t")  # type: ignore[attr-defined]


def test_a_function_is_asked_each_time(edge: Edge, run: Callable[..., object]) -> None:
    """A token that a function returns is fetched anew for each login."""
    tokens = iter(["one", "two"])
    login = Login(username="ada", token=lambda: next(tokens))
    assert login.is_renewable
    assert [run(login.credentials, edge).token.reveal() for _ in range(2)] == ["one", "two"]  # type: ignore[attr-defined]


def test_a_function_may_be_asynchronous(edge: Edge, run: Callable[..., object], colour: str) -> None:
    """An awaitable token is awaited; inside Mailer, where nothing is, the error says what to use instead."""

    async def fetch() -> str:
        return "fetched"

    login = Login(username="ada", token=fetch)
    assert run(login.credentials, edge).token.reveal() == "fetched"  # type: ignore[attr-defined]


def test_what_no_mechanism_could_carry_is_refused_early() -> None:
    """A user name with a control character is refused before anything is connected to."""
    with pytest.raises(ConfigurationError, match="control character"):
        Login(username="a\r\nb", password=Secret("x"))
    with pytest.raises(ConfigurationError, match="password or token"):
        Login(username="ada")


def test_a_fetched_token_is_checked_like_a_given_one(edge: Edge, run: Callable[..., object]) -> None:
    """A function that returns what cannot be a token is named as the source of the fault."""
    with pytest.raises(ConfigurationError, match="token is empty or holds"):
        run(Login(username="ada", token=lambda: "two words").credentials, edge)


def test_a_login_shows_no_secret() -> None:
    """Password and token are not in the representation."""
    login = Login(username="ada", password=Secret("hunter2"), token=Secret("tok3n"))
    assert repr(login) == "Login(username='ada', mechanism=None)"
