from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mailkit import cli
from mailkit.cli import verify as module
from mailkit.testing import SMTPServer
from mailkit.transport import PeerCertificate, ServerInfo

if TYPE_CHECKING:
    from typing import Literal


def _verify(*words: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert cli.main(["verify", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_everything_about_the_connection_is_there(
    tls: Literal["starttls", "implicit"], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS, the certificate with its days, the extensions, how it logged in, and how long each phase took."""
    with SMTPServer(tls=tls, users={"ada": "hunter2"}, hostname="mx.example.test") as server:
        parameters = f"ca_file={server.ca_file}" + ("&tls=starttls" if tls == "starttls" else "")
        monkeypatch.setenv("MAILKIT_URL", f"{server.url_for('ada')}?{parameters}")
        said = _verify(capsys=capsys)
    assert (said["transport"], said["host"]) == (server.url.partition("?")[0], "mx.example.test")
    assert said["tls"]["version"] == "TLSv1.3"
    assert said["tls"]["cipher"].startswith("TLS_")
    certificate = said["certificate"]
    assert "127.0.0.1" in certificate["names"]
    assert certificate["issuer"].startswith("CN=")
    assert certificate["not_before"] < certificate["not_after"]
    assert certificate["days_left"] >= 0
    assert said["authenticated"] == "SCRAM-SHA-256-PLUS"
    assert "PLAIN" in said["mechanisms"]
    assert "PIPELINING" in said["extensions"]
    phases = {
        "starttls": ["connect", "greeting", "ehlo", "starttls", "auth"],
        "implicit": ["connect", "tls", "greeting", "ehlo", "auth"],
    }
    assert list(said["seconds"]) == phases[tls]
    assert all(0 <= seconds < 60 for seconds in said["seconds"].values())


def test_what_is_not_there_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """In clear, and of a transport that is no server."""
    with SMTPServer() as server:
        said = _verify(server.url, capsys=capsys)
    assert (said["tls"], said["certificate"], said["authenticated"]) == (None, None, None)
    assert _verify("null://", capsys=capsys)["seconds"] == {}


def test_an_error_is_json_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    """With what a program needs to decide; people read the line on standard error."""
    with SMTPServer() as server:
        server.script("greeting", "421 4.3.2 shutting down")
        assert cli.main(["verify", server.url, "--json"]) == 75
    shown = capsys.readouterr()
    said = json.loads(shown.out)
    assert (said["error"], said["outcome"], said["retryable"]) == ("TransientError", "not_sent", True)
    assert said["phase"] == "greeting"
    assert shown.err.startswith("mailkit: ")


@pytest.mark.parametrize(
    ("last", "told"),
    [(datetime(2999, 1, 2, tzinfo=UTC), "2001-02-03 to 2999-01-02, "), (datetime(2020, 1, 2, tzinfo=UTC), "expired ")],
)
def test_people_read_how_long_a_certificate_is_valid(last: datetime, told: str) -> None:
    """Or since when it is not."""
    certificate = PeerCertificate(subject="", issuer="", not_before=datetime(2001, 2, 3, tzinfo=UTC), not_after=last)
    rows = module._rows(ServerInfo(transport="smtp://mx.test", tls_version="TLSv1.3", certificate=certificate))
    assert told in rows["valid"]
    assert rows["valid"].endswith(("days left", "days ago"))
    assert (rows["certificate"], rows["issuer"], rows["names"]) == ("(no subject)", "(no issuer)", "-")
