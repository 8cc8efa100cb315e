from __future__ import annotations

import argparse
import getpass

import pytest

from mailkit import cli
from mailkit.cli.credentials import chosen_url
from mailkit.errors import ConfigurationError
from mailkit.testing import SMTPServer


def _chosen(url: str | None, *, ask_password: bool = False) -> str | None:
    return chosen_url(argparse.Namespace(url=url, ask_password=ask_password))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What somebody types in; the prompts that they saw are behind it."""
    answers = ["hunter2"]

    def ask(prompt: str) -> str:
        answers.append(prompt)
        return answers[0]

    monkeypatch.setattr(getpass, "getpass", ask)
    return answers


@pytest.mark.parametrize(
    "url",
    [
        "smtp://ada:hunter2@mail.example.com",
        "smtps://ada:hunter2@[::1]:465",
        "postmark://hunter2@default",
        "sendgrid+smtp://ada:hunter2@default",
        "failover(smtp://mx.example.com postmark://hunter2@default)",
    ],
)
def test_a_secret_on_the_command_line_is_warned_of(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody on the machine can read it; the warning does not repeat it."""
    assert _chosen(url) == url
    warning = capsys.readouterr().err
    assert warning.startswith("mailkit: warning: the URL on the command line holds a secret")
    assert "hunter2" not in warning


@pytest.mark.parametrize(
    "url", [None, "null://", "smtp://mail.example.com", "smtp://ada@mail.example.com", "ses+smtp://a@default"]
)
def test_what_holds_no_secret_is_no_warning(url: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A user name is none."""
    assert _chosen(url) == url
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("url", "completed", "prompt"),
    [
        (
            "smtp://ada@mail.example.com:587?timeout=5",
            "smtp://ada:p%40ss%2F@mail.example.com:587?timeout=5",
            "Password of ada: ",
        ),
        ("postmark://default", "postmark://p%40ss%2F@default", "Key: "),
        ("ses://KEY@default?region=eu-west-1", "ses://KEY:p%40ss%2F@default?region=eu-west-1", "Password of KEY: "),
    ],
)
@pytest.mark.parametrize("source", ["argument", "environment"])
def test_a_password_is_asked_for(
    url: str, completed: str, prompt: str, source: str, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to its place in the URL, percent-encoded, wherever the rest comes from."""
    typed[0] = "p@ss/"
    if source == "environment":
        monkeypatch.setenv("MAILKIT_URL", url)
    assert _chosen(url if source == "argument" else None, ask_password=True) == completed
    assert typed[1:] == [prompt]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (None, "give one without its secret, or set MAILKIT_URL"),
        ("smtp://mail.example.com", "needs a user name: write the URL like smtp://user@"),
        ("smtp://ada:hunter2@mail.example.com", "the URL has one already: leave one of them out"),
        ("failover(smtp://a@x.test null://)", "completes one URL"),
        ("rubbish", "completes one URL"),
    ],
)
def test_where_there_is_no_place_for_it_nobody_is_asked(
    url: str | None, told: str, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error says how to write the URL."""
    monkeypatch.delenv("MAILKIT_URL", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        _chosen(url, ask_password=True)
    assert told in str(caught.value)
    assert len(typed) == 1


@pytest.mark.parametrize("error", [EOFError(), OSError("no terminal"), None])
def test_nobody_there_to_ask_is_an_error(error: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in cron."""

    def ask(prompt: str) -> str:
        if error is not None:
            raise error
        return ""

    monkeypatch.setattr(getpass, "getpass", ask)
    with pytest.raises(ConfigurationError, match="no secret was typed in: start the command on a terminal"):
        _chosen("postmark://default", ask_password=True)


def test_a_typed_password_logs_in(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The server gets it, and nobody sees it."""
    with SMTPServer(tls="starttls", users={"ada": "hunter2"}) as server:
        url = f"smtp://ada@{server.host}:{server.port}?tls=starttls&ca_file={server.ca_file}"
        assert cli.main(["verify", url, "--ask-password"]) == 0
    shown = capsys.readouterr()
    assert "SCRAM-SHA-256" in shown.out
    assert "hunter2" not in shown.out + shown.err
