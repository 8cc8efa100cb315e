"""The demo, as a newcomer sees it."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from urllib.parse import quote

import pytest

from mailkit import cli
from mailkit.demo import PASSWORD, USER, _png, run_demo


@pytest.fixture(scope="module")
def shown() -> str:
    """What the demo shows."""
    lines: list[str] = []
    run_demo(lines.append)
    return "\n".join(lines)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """``mailkit demo`` needs nothing and ends well."""
    assert cli.main(["demo"]) == 0
    assert "A mail server is listening on 127.0.0.1:" in capsys.readouterr().out


def test_both_mailers_send(shown: str) -> None:
    """Sync and async, each with its conversation, its receipt and what arrived."""
    for call in ("Mailer.send said:", "await AsyncMailer.send said:", "What arrived, 1 of 2:", "What arrived, 2 of 2:"):
        assert shown.count(f"\n{call}") == 1
    assert shown.count("and returned the receipt:") == 2
    for address in ("bob@example.test", "eve@xn--bcher-kva.test", "archive@example.test"):
        assert len(re.findall(rf"^  {re.escape(address)}: accepted \(250 ", shown, re.MULTILINE)) == 2


def test_the_conversation_is_shown(shown: str) -> None:
    """Greeting, STARTTLS, EHLO again inside TLS, AUTH, and the envelope."""
    sync = shown.partition("Mailer.send said:")[2].partition("and returned")[0]
    said = [line.strip() for line in sync.splitlines() if line.strip()]
    for expected in ("220", "EHLO", "STARTTLS", "AUTH SCRAM-SHA-256", "MAIL FROM:<", "RCPT TO:<bob@example.test>"):
        assert any(expected in line for line in said), expected
    assert sum("EHLO" in line for line in said) == 2
    first, second = (
        next(index for index, line in enumerate(said) if word in line) for word in ("STARTTLS", "AUTH SCR")
    )
    assert first < second


def _forms(secret: str) -> set[str]:
    data = secret.encode()
    forms = {secret, quote(secret), quote(secret, safe=""), binascii.hexlify(data).decode(), repr(secret)[1:-1]}
    for plain in (data, f"\0{USER}\0{secret}".encode(), f"{USER}\0{USER}\0{secret}".encode()):
        forms |= {base64.b64encode(plain).decode().rstrip("="), base64.urlsafe_b64encode(plain).decode().rstrip("=")}
    return forms


def test_no_form_of_the_password_is_shown(shown: str) -> None:
    """Neither as it is nor in base64, percent-encoded or in hex; the place where it went is masked."""
    assert not [form for form in _forms(PASSWORD) if form in shown]
    assert re.search(r"^  C: AUTH SCRAM-SHA-256(-PLUS)? \*\*\*$", shown, re.MULTILINE)


def test_what_arrived_is_read_back(shown: str) -> None:
    """The recipients' view: decoded names and subject, no Bcc, the parts with their names and texts."""
    for number, name in enumerate(("Mailer", "AsyncMailer"), start=1):
        arrived = shown.partition(f"What arrived, {number} of 2:")[2].partition("What arrived")[0]
        lines = [line.strip() for line in arrived.splitlines()]
        assert f'From:       "Zoë Ångström ({name})" <zoe@xn--exmple-cua.test>' in lines
        assert f"Subject:    Grüße von {name} — 你好 👋" in lines
        assert "Bcc:        (none)" in lines
        assert any(line.startswith("security  TLSv1.3, authenticated as zoë@exämple.test") for line in lines)
        assert "archive@example.test" in next(line for line in lines if line.startswith("envelope"))
        assert [line for line in lines if line.startswith("multipart/")] == [
            "multipart/mixed", "multipart/related", "multipart/alternative",
        ]  # fmt: skip
        assert "| ." in lines
        assert "| A line with a single dot survives." in lines
        assert any(re.fullmatch(r"image/png, \d+ bytes, inline: łogo\.png", line) for line in lines)
        assert any(re.fullmatch(r"text/csv, \d+ bytes, attachment: Bericht résumé 2026\.csv", line) for line in lines)
        assert "| näme;wért" in lines


def test_the_picture_is_a_picture() -> None:
    """Its chunks have right checksums and its pixels are as many as it says (RFC 2083)."""
    data = _png()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    position = 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        assert int.from_bytes(checksum) == zlib.crc32(kind + body)
        chunks[kind] = body
        position += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height = (int.from_bytes(chunks[b"IHDR"][start : start + 4]) for start in (0, 4))
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == height * (width + 1)
    assert set(pixels) == {0, 0x20, 0xE0}
