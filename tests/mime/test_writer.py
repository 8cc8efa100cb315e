from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from itertools import count
from time import process_time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.attachment import Attachment
from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.message import Message
from mailkit.mime import render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


def numbered() -> Callable[[], str]:
    """Return what gives edge1, edge2 and so on."""
    numbers = count(1)
    return lambda: f"edge{next(numbers)}"


def lines(raw: bytes) -> list[str]:
    """Return the lines of a message."""
    return raw.decode().split("\r\n")


FIXED: dict[str, Any] = {"date": datetime(2026, 5, 2, 10, tzinfo=UTC), "message_id": "1@example.com"}


def test_a_message_with_everything_octet_by_octet() -> None:
    """Order of fields, nesting, encodings, and where the line ends are."""
    message = Message(
        from_="Ada Lövelace <ada@example.com>",
        sender="bot@example.com",
        reply_to=["help@example.com", "desk@example.com"],
        to="Doe <bob@example.org>",
        cc="eve@example.net",
        bcc="secret@example.net",
        return_path="bounce@example.com",
        subject="Grüße",
        text="Grüße\nBob",
        html="<p>Hi</p>\n",
        in_reply_to="0@example.org",
        references=["a@example.org", "0@example.org"],
        list_unsubscribe=ListUnsubscribe("https://example.com/u", one_click=True),
        headers={"X-Campaign": "q3"},
        attachments=[
            Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
            Attachment.from_bytes(b"%PDF", "Résumé.pdf"),
        ],
        **FIXED,
    )
    assert lines(render(message, boundary=numbered()).as_bytes()) == [
        "From: =?utf-8?q?Ada_L=C3=B6velace?= <ada@example.com>",
        "Sender: bot@example.com",
        "Reply-To: help@example.com, desk@example.com",
        "To: Doe <bob@example.org>",
        "Cc: eve@example.net",
        "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
        "Date: Sat, 02 May 2026 10:00:00 +0000",
        "Message-ID: <1@example.com>",
        "In-Reply-To: <0@example.org>",
        "References: <a@example.org> <0@example.org>",
        "List-Unsubscribe: <https://example.com/u>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "X-Campaign: q3",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="edge1"',
        "",
        "--edge1",
        'Content-Type: multipart/related; type="multipart/alternative";',
        ' boundary="edge2"',
        "",
        "--edge2",
        'Content-Type: multipart/alternative; boundary="edge3"',
        "",
        "--edge3",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        "R3LDvMOfZQ0KQm9i",
        "--edge3",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "<p>Hi</p>",
        "",
        "--edge3--",
        "--edge2",
        'Content-Type: image/png; name="logo.png"',
        'Content-Disposition: inline; filename="logo.png"',
        "Content-ID: <logo>",
        "Content-Transfer-Encoding: base64",
        "",
        "iVBORw==",
        "--edge2--",
        "--edge1",
        'Content-Type: application/pdf; name="Resume.pdf"',
        "Content-Disposition: attachment; filename*=UTF-8''R%C3%A9sum%C3%A9.pdf",
        "Content-Transfer-Encoding: base64",
        "",
        "JVBERg==",
        "--edge1--",
        "",
    ]


def test_eight_bit_and_binary_are_named_on_every_level() -> None:
    """RFC 2045 §6.4: each multipart around a wider part says so too."""
    message = Message(from_="a@example.com", text="é", attachments=[Attachment.from_bytes(b"\0\xff", "x.bin")], **FIXED)
    rendered = render(message, eight_bit=True, binary=True, boundary=numbered())
    assert rendered.body_type == "BINARYMIME"
    head, text, attachment = rendered.as_bytes().split(b"--edge1\r\n")
    assert head.endswith(b'boundary="edge1"\r\nContent-Transfer-Encoding: binary\r\n\r\n')
    assert text.endswith(b"Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9\r\n")
    assert attachment.endswith(b"Content-Transfer-Encoding: binary\r\n\r\n\0\xff\r\n--edge1--\r\n")


@pytest.mark.parametrize(
    ("text", "options", "body_type"),
    [("x", {}, "7BIT"), ("é", {}, "7BIT"), ("é", {"eight_bit": True}, "8BITMIME"), ("x", {"eight_bit": True}, "7BIT")],
)
def test_the_body_type_is_what_the_server_has_to_take(text: str, options: dict[str, bool], body_type: str) -> None:
    """Not what it could take."""
    assert render(Message(from_="a@example.com", text=text), **options).body_type == body_type  # type: ignore[arg-type]


def test_an_address_beyond_ascii_needs_smtputf8() -> None:
    """It is written raw if the server takes it, and is an error before any octet is sent if not."""
    message = Message(from_="ada@example.com", to="用户@例え.test", text="Hi")
    with pytest.raises(UnsupportedFeatureError) as caught:
        render(message, eight_bit=True)
    assert caught.value.feature == "smtputf8"
    rendered = render(message, eight_bit=True, smtputf8=True)
    assert rendered.needs_smtputf8
    assert rendered.body_type == "8BITMIME"
    assert "\r\nTo: 用户@xn--r8jz45g.test\r\n".encode() in rendered.as_bytes()
    assert not render(Message(from_="ada@example.com", to="a@例え.test"), smtputf8=True).needs_smtputf8


def test_what_is_missing_is_made_once() -> None:
    """An incomplete message can be written, and written again with the same date, id and boundaries."""
    rendered = render(Message(text="x", html="y"))
    assert rendered.as_bytes() == rendered.as_bytes()
    assert rendered.message_id.endswith("@localhost")
    assert f"Message-ID: <{rendered.message_id}>\r\n".encode() in rendered.as_bytes()
    assert b"\r\nDate: " in b"\r\n" + rendered.as_bytes()
    assert b"From:" not in rendered.as_bytes()
    assert render(Message(from_="a@[192.0.2.1]")).message_id.endswith("@[192.0.2.1]")
    assert render(Message(text="x")).message_id != render(Message(text="x")).message_id


def test_the_same_message_gives_the_same_octets() -> None:
    """With a date, an id and boundaries, nothing is left to chance."""
    message = Message(from_="a@example.com", text="x", html="y", **FIXED)
    assert render(message, boundary=numbered()).as_bytes() == render(message, boundary=numbered()).as_bytes()


@given(text=st.none() | st.text(), html=st.none() | st.text(), data=st.none() | st.binary(), binary=st.booleans())
def test_the_size_is_known_before(text: str | None, html: str | None, data: bytes | None, binary: bool) -> None:
    """It is the number of octets that come out, block by block or at once, and they end with a line end."""
    attachments = [] if data is None else [Attachment.from_bytes(data)]
    rendered = render(Message(from_="a@example.com", text=text, html=html, attachments=attachments), binary=binary)
    raw = rendered.as_bytes()
    assert rendered.size == len(raw)
    assert raw == b"".join(rendered.iter_bytes())
    assert raw.endswith(b"\r\n")


def test_a_large_text_comes_in_blocks() -> None:
    """Nothing that is handed to a connection is larger than 64 KiB."""
    rendered = render(Message(from_="a@example.com", text="line\n" * 100_000))
    sizes = [len(block) for block in rendered.iter_bytes()]
    assert max(sizes) == 1 << 16
    assert sum(sizes) == rendered.size


def test_a_boundary_in_a_part_is_refused() -> None:
    """Whatever the part is, and however deep it lies."""
    for fields in (
        {"text": "x\n--edge1\ny"},
        {"text": "x", "attachments": [Attachment.from_message(b"Subject: x\n\n--edge1\n")]},
    ):
        with pytest.raises(MessageError, match="boundary stands in"):
            render(Message(from_="a@example.com", html="y", **fields), boundary=numbered())
    file = Attachment.from_bytes(b"--edge1", "x.bin")
    with pytest.raises(MessageError, match="boundary stands in"):
        render(Message(from_="a@example.com", attachments=[file]), binary=True, boundary=numbered())


def test_a_text_alone_may_hold_what_it_likes() -> None:
    """Without parts there is no boundary."""
    render(Message(from_="a@example.com", text="--edge1"), boundary=numbered())


def test_a_file_is_read_while_it_is_sent(tmp_path: Path) -> None:
    """A message of 40 MiB needs a few blocks of memory, and can be sent again."""
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.truncate(40 << 20)
    message = Message(from_="a@example.com", text="x", attachments=[Attachment.from_path(path)])
    tracemalloc.start()
    try:
        rendered = render(message)
        assert sum(map(len, rendered.iter_bytes())) == rendered.size
        assert sum(map(len, rendered.iter_bytes())) == rendered.size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


def test_a_file_that_has_changed_is_an_error(tmp_path: Path) -> None:
    """The size that was announced is the size that is sent."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"12345")
    rendered = render(Message(from_="a@example.com", text="x", attachments=[Attachment.from_path(path)]))
    path.write_bytes(b"123456")
    with pytest.raises(MessageError, match="changed"):
        rendered.as_bytes()


def test_it_does_not_show_the_message() -> None:
    """What is printed of it in a log is what the server would be told."""
    shown = repr(render(Message(from_="a@example.com", subject="private", text="secret", **FIXED)))
    assert "secret" not in shown
    assert "private" not in shown
    assert "1@example.com" in shown


def seconds(make: Callable[[int], Message], size: int) -> float:
    """Return how long it takes to write a message."""
    message = make(size)
    best = float("inf")
    for _ in range(5):
        start = process_time()
        render(message).as_bytes()
        best = min(best, process_time() - start)
    return best


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda n: Message(subject="A" * n), 50_000),
        (lambda n: Message(subject="é " * n), 25_000),
        (lambda n: Message(subject="=?" * n), 25_000),
        (lambda n: Message(subject=" " * n + "x"), 50_000),
        (lambda n: Message(subject="a  " * n), 25_000),
        (lambda n: Message(subject="a é " * n), 10_000),
        (lambda n: Message(text="\n" * n), 100_000),
        (lambda n: Message(text="x" * n), 100_000),
        (lambda n: Message(text=" " * n + "x"), 50_000),
        (lambda n: Message(text=".\n" * n), 25_000),
        (lambda n: Message(text="." * n), 50_000),
        (lambda n: Message(text="From \n" * n), 20_000),
        (lambda n: Message(text="é\r" * n), 50_000),
        (lambda n: Message(attachments=[Attachment.from_bytes(bytes(n))]), 100_000),
        (lambda n: Message(attachments=[Attachment.from_message(b"\n" * n)]), 100_000),
        (lambda n: Message(attachments=[Attachment.from_message(b"\r" * n)]), 100_000),
        (lambda n: Message(to=[f"user{i}@example.com" for i in range(n)]), 2_000),
        (lambda n: Message(headers=[("X-A", "é" * 50 + str(i)) for i in range(n)]), 2_000),
    ],
)
@pytest.mark.usefixtures("untraced")
def test_four_times_the_input_takes_about_four_times_the_time(make: Callable[[int], Message], size: int) -> None:
    """Whatever is repeated, the writer is linear: quadratic time would be sixteen times as long, not ten."""
    assert min(seconds(make, 4 * size) / seconds(make, size) for _ in range(3)) <= 10
