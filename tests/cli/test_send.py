"""``mailkit send`` for one message; what is common to all commands is in test_cli.py."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from mailkit import cli
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESSES = ("--from", "ada@example.com", "--to", "bob@example.org")
PREPARED = (
    b"From: ada@example.com\r\nTo: undisclosed-recipients:;\r\nSubject: As it is\r\nX-Odd:  two  spaces\r\n\r\nHi\r\n"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SMTPServer]:
    """A server, to which the environment's URL leads."""
    with SMTPServer() as running:
        monkeypatch.setenv("MAILKIT_URL", running.url)
        yield running


def _standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_texts_come_from_files(server: SMTPServer, tmp_path: Path) -> None:
    """Text and HTML, with or without a byte order mark; braces are braces where there is no CSV."""
    (tmp_path / "letter.txt").write_text("\ufeffGrüße {name}", encoding="utf-8")
    (tmp_path / "letter.html").write_text("<p>{name}", encoding="utf-8")
    files = ("--text-file", str(tmp_path / "letter.txt"), "--html-file", str(tmp_path / "letter.html"))
    assert cli.main(["send", *ADDRESSES, *files, "--subject", "{name}"]) == 0
    message = server.messages[0].parse()
    assert message["Subject"] == "{name}"
    assert [part.get_content().strip() for part in message.iter_parts()] == ["Grüße {name}", "<p>{name}"]


@pytest.mark.parametrize("option", ["--text", "--text-file", "--html", "--html-file"])
def test_one_of_the_texts_may_come_from_standard_input(
    option: str, server: SMTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is called "-"."""
    _standard_input(monkeypatch, b"<p>Hi")
    assert cli.main(["send", *ADDRESSES, option, "-"]) == 0
    part = server.messages[0].parse()
    assert part.get_content().strip() == "<p>Hi"
    assert part.get_content_subtype() == ("html" if "html" in option else "plain")


def test_images_headers_and_the_unsubscribe_button_are_options(server: SMTPServer, tmp_path: Path) -> None:
    """Each may be given several times."""
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    assert cli.main([
        "send", *ADDRESSES, "--html", '<img src="cid:logo">', "--embed", f"logo={tmp_path / 'logo.png'}",
        "--header", "X-Campaign: autumn", "--header", "X-Other:a:b", "--one-click",
        "--list-unsubscribe", "https://example.com/u", "--list-unsubscribe", "mailto:leave@example.com",
    ]) == 0  # fmt: skip
    message = server.messages[0].parse()
    assert (message["X-Campaign"], message["X-Other"]) == ("autumn", "a:b")
    assert message["List-Unsubscribe"] == "<https://example.com/u>, <mailto:leave@example.com>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [part["Content-ID"] for part in message.walk() if part.get_content_type() == "image/png"] == ["<logo>"]


def test_tags_and_metadata_are_for_providers(server: SMTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """They are in the message, and a transport that has no place for them says so."""
    words = ["send", *ADDRESSES, "--tag", "news", "--tag", "autumn", "--metadata", "quarter=q3", "--metadata", "x=a=b"]
    assert cli.main([*words, "--url", "console://"]) == 0
    shown = capsys.readouterr().out
    assert "tags: news, autumn\n" in shown
    assert "metadata: {'quarter': 'q3', 'x': 'a=b'}" in shown
    assert cli.main(words) == 65
    assert "cannot express 'tags'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--text-file", "/nowhere/letter.txt"], "cannot read /nowhere/letter.txt: No such file"),
        (["--header", "X-Campaign"], "--header 'X-Campaign' has no name and value: write it like 'X-Campaign: autumn'"),
        (["--metadata", "=q3"], "write it like quarter=q3"),
        (["--embed", "logo.png"], "write it like logo=logo.png"),
        (["--one-click", "--list-unsubscribe", "mailto:leave@example.com"], "one_click needs an https target"),
    ],
)
def test_an_option_that_is_wrong_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As a message that is wrong."""
    assert cli.main(["send", "--url", "null://", *ADDRESSES, *words]) == 65
    assert told in capsys.readouterr().err


def test_a_file_of_another_encoding_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not guessed."""
    (tmp_path / "letter.txt").write_bytes(b"Gr\xfc\xdfe")
    assert cli.main(["send", "--url", "null://", *ADDRESSES, "--text-file", str(tmp_path / "letter.txt")]) == 65
    assert "letter.txt is not UTF-8 text: convert it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--message", "a.eml", "--subject", "x"], "sent as it is from --from to --to: leave out --subject"),
        (["--message", "a.eml", "--csv", "guests.csv"], "leave out --csv"),
        (["--csv", "guests.csv", "--to", "x@example.org"], "one row's address: leave out --to"),
        (["--resume"], "without --csv this is no mailing: leave out --resume"),
        (["--csv", "guests.csv", "--retry-unknown"], "without --resume nobody is in doubt: leave out --retry-unknown"),
        (["--text", "-", "--html", "-"], "standard input can be read once: leave out -"),
        (["--text", "x", "--text-file", "y"], "not allowed with argument"),
        (["--csv", "guests.csv", "--delimiter", ";;"], "one character is between two columns: leave out ;;"),
        (["--csv", "guests.csv", "--connections", "0"], "invalid positive whole number value: '0'"),
        (["--csv", "guests.csv", "--connections", "x"], "invalid positive whole number value: 'x'"),
    ],
)
def test_words_that_contradict_each_other_end_in_usage(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["send", "--from", "ada@example.com", *words])
    assert caught.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("source", ["file", "-"])
@pytest.mark.parametrize("sender", ["bounces@example.com", ""])
def test_a_prepared_message_is_sent_as_it_is(
    source: str, sender: str, server: SMTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its octets and the envelope of the command line; an empty --from is the null reverse-path."""
    (tmp_path / "letter.eml").write_bytes(PREPARED)
    _standard_input(monkeypatch, PREPARED)
    path = str(tmp_path / "letter.eml") if source == "file" else "-"
    to = ("--to", "bob@example.org", "--to", "eve@example.net")
    assert cli.main(["send", "--message", path, "--from", sender, *to]) == 0
    (received,) = server.messages
    assert received.data == PREPARED
    assert (received.mail_from, received.rcpt_to) == (sender, ("bob@example.org", "eve@example.net"))


def test_a_prepared_message_needs_a_recipient(server: SMTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Its header fields are not read for one."""
    assert cli.main(["send", "--message", "letter.eml", "--from", "ada@example.com"]) == 65
    assert "give --to for each recipient" in capsys.readouterr().err


def test_a_receipt_can_be_json(server: SMTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, with what became of each recipient; a partial refusal is told by the status as well."""
    server.script("RCPT", "550 5.1.1 no such user", match="eve@example.net")
    assert cli.main(["send", *ADDRESSES, "--to", "eve@example.net", "--text", "Hi", "--json"]) == 69
    shown = capsys.readouterr()
    receipt = json.loads(shown.out)
    assert receipt["transport"] == server.url
    assert [(each["address"], each["status"], each["code"]) for each in receipt["recipients"]] == [
        ("bob@example.org", "accepted", 250),
        ("eve@example.net", "rejected", 550),
    ]
    assert shown.err.startswith("mailkit: 1 of 2 recipients were not accepted")


@pytest.mark.parametrize("words", [["--text", "Hi\x1b[31m"], ["--message", "-"]])
def test_a_dry_run_shows_the_message_and_sends_nothing(
    words: list[str], server: SMTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With or without a URL; the terminal obeys nothing of it."""
    for url in (server.url, ""):
        monkeypatch.setenv("MAILKIT_URL", url)
        _standard_input(monkeypatch, PREPARED)
        assert cli.main(["send", *ADDRESSES, *words, "--dry-run"]) == 0
        shown = capsys.readouterr().out
        assert "bytes from ada@example.com to bob@example.org --" in shown
        assert "accepted" not in shown
        assert "\x1b" not in shown
    _standard_input(monkeypatch, PREPARED)
    assert cli.main(["send", *ADDRESSES, *words, "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"dry_run": True, "transport": "dry-run", "recipients": ["bob@example.org"]}
    assert server.connections == ()


def test_a_dry_run_knows_the_limits_of_the_transport(
    server: SMTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it could not express, or a URL that is wrong, is an error as in earnest."""
    assert cli.main(["send", *ADDRESSES, "--tag", "news", "--dry-run"]) == 65
    assert f"{server.url} cannot express 'tags'" in capsys.readouterr().err
    assert cli.main(["send", *ADDRESSES, "--url", "smpt://mx.test", "--dry-run"]) == 78
