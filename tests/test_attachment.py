from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.attachment import Attachment
from mailkit.errors import MessageError
from mailkit.message import Message

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file to attach."""
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF-1.7")
    return file


def test_a_path_gives_name_type_and_size(path: Path) -> None:
    """A file is attached under its own base name, with the type that its ending stands for."""
    for given in (path, str(path)):
        attachment = Attachment.from_path(given)
        assert attachment.filename == "report.pdf"
        assert attachment.media_type == "application/pdf"
        assert attachment.size == 8
        assert attachment.disposition == "attachment"
        assert attachment.content_id is None
        assert not attachment.is_inline
        assert attachment.read() == b"%PDF-1.7"


def test_a_link_keeps_its_own_name(path: Path, tmp_path: Path) -> None:
    """The receiver sees the name that was given, not that of the file to which it leads."""
    (tmp_path / "latest.pdf").symlink_to(path)
    assert Attachment.from_path(tmp_path / "latest.pdf").filename == "latest.pdf"


def test_name_and_type_can_be_given(path: Path) -> None:
    """A given name decides the type, unless that is given as well."""
    assert Attachment.from_path(path, filename="a.txt").media_type == "text/plain"
    named = Attachment.from_path(path, filename="a.txt", media_type="Application/X-Thing")
    assert (named.filename, named.media_type) == ("a.txt", "application/x-thing")


def test_a_root_holds(path: Path, tmp_path: Path) -> None:
    """A path outside of the root is refused."""
    (tmp_path / "public").mkdir()
    with pytest.raises(MessageError, match="lies outside of"):
        Attachment.from_path(path, root=tmp_path / "public")


def test_a_file_name_is_checked_for_a_path_as_well(tmp_path: Path) -> None:
    """A control character in the name of a file is refused; another name helps."""
    file = tmp_path / "a\nb"
    file.write_bytes(b"x")
    with pytest.raises(MessageError, match=r"^filename holds U"):
        Attachment.from_path(file)
    assert Attachment.from_path(file, filename="ab").filename == "ab"


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]])
def test_bytes_are_taken_as_they_are(data: bytes | bytearray | memoryview) -> None:
    """Anything that is bytes becomes bytes that do not change."""
    attachment = Attachment.from_bytes(data, "a.bin")
    assert attachment.read() == b"abc"
    assert list(attachment.iter_blocks(2)) == [b"ab", b"c"]
    with attachment.open() as file:
        assert file.read() == b"abc"


@pytest.mark.parametrize("data", ["/etc/passwd", 5, None, ["x"], io.BytesIO(b"x")])
def test_other_things_are_no_bytes(data: Any) -> None:
    """A str, a number (which bytes() would take for a length) and a stream are refused, with what to use instead."""
    with pytest.raises(MessageError, match="an attachment's data has to be bytes"):
        Attachment.from_bytes(data, "a.bin")


@pytest.mark.parametrize("source", ["/etc/passwd", b"x", None])
def test_an_attachment_is_not_made_of_a_value_directly(source: Any) -> None:
    """Nothing becomes a path by accident: each kind of content has a constructor of its own."""
    with pytest.raises(MessageError, match="use from_path, from_bytes, from_text, from_stream or from_message"):
        Attachment(source)


def test_an_attachment_may_have_no_name() -> None:
    """A name is optional; the type is then that of any bytes."""
    attachment = Attachment.from_bytes(b"x")
    assert attachment.filename is None
    assert attachment.media_type == "application/octet-stream"


def test_text_is_encoded_as_utf_8() -> None:
    """A text becomes UTF-8, and its media type says so."""
    attachment = Attachment.from_text("Grüße\r\n", "a.csv", "text/csv")
    assert attachment.media_type == "text/csv; charset=utf-8"
    assert attachment.read() == "Grüße\r\n".encode()


@pytest.mark.parametrize(
    ("media_type", "charset"),
    [
        ("text/plain; charset=ISO-8859-1", None),
        ("text/plain", "ISO-8859-1"),
        ("text/plain; charset=iso-8859-1", "ISO-8859-1"),
    ],
)
def test_the_charset_can_be_said_in_either_place(media_type: str, charset: str | None) -> None:
    """The charset of a text comes from the media type or from its own argument."""
    attachment = Attachment.from_text("ü", "a.txt", media_type, charset=charset)
    assert attachment.media_type == "text/plain; charset=iso-8859-1"
    assert attachment.read() == b"\xfc"


def test_two_charsets_are_refused() -> None:
    """A charset that contradicts the media type is refused."""
    with pytest.raises(MessageError, match="media_type says charset 'utf-8', charset says 'ascii'"):
        Attachment.from_text("x", "a.txt", "text/plain; charset=utf-8", charset="ascii")


@pytest.mark.parametrize(
    ("text", "charset", "said"),
    [("aé", "ascii", "a character at index 1 that ascii does not have"), ("\ud800", None, "half a character")],
)
def test_what_cannot_be_encoded_is_a_message_error(text: str, charset: str | None, said: str) -> None:
    """A character that the charset lacks is named by its place, without a UnicodeEncodeError."""
    with pytest.raises(MessageError, match=said):
        Attachment.from_text(text, "a.txt", charset=charset)


@pytest.mark.parametrize("text", [None, b"x"])
def test_text_is_a_str(text: Any) -> None:
    """Bytes are no text."""
    with pytest.raises(MessageError, match="an attachment's text has to be a str"):
        Attachment.from_text(text, "a.txt")


def test_a_stream_is_read_at_once() -> None:
    """A stream may be closed or go on as soon as it was attached."""
    stream = io.BytesIO(b"x" * 3_000_000)
    attachment = Attachment.from_stream(stream, "a.bin", content_id="a")
    stream.close()
    assert attachment.size == 3_000_000
    assert attachment.read() == b"x" * 3_000_000
    assert attachment.is_inline


def test_a_stream_has_a_limit() -> None:
    """A stream that is longer than its limit is refused."""
    with pytest.raises(MessageError, match="does not end within its limit"):
        Attachment.from_stream(io.BytesIO(b"12345"), "a.bin", limit=4)


def test_a_str_is_no_stream() -> None:
    """What has no read() is refused by name."""
    with pytest.raises(MessageError, match="an attachment's stream has to be a binary file object, not of type str"):
        Attachment.from_stream("report.pdf")  # type: ignore[arg-type]


def test_a_message_is_attached_whole() -> None:
    """A message becomes a message/rfc822 part that holds its octets."""
    message = Message(from_="a@x.test", to="b@x.test", bcc="carol@x.test", subject="Inner", text="Hi")
    attachment = Attachment.from_message(message, "inner.eml")
    assert attachment.media_type == "message/rfc822"
    assert attachment.disposition == "attachment"
    assert b"\r\nSubject: Inner\r\n" in attachment.read()
    assert b"carol@" not in attachment.read()


@pytest.mark.parametrize(
    "raw", [b"Subject: x\r\nDKIM-Signature: y\r\n\r\nBcc: is a word\r\n", b"X-Bcc: a\n\nBcc: b", b"\r\nBcc: b"]
)
def test_bytes_of_a_message_are_kept(raw: bytes) -> None:
    """The bytes of a message are attached as they are, so that their signatures hold, whatever its text speaks of."""
    assert Attachment.from_message(raw).read() == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"Bcc: c@x.test\r\n\r\nHi",
        b"Subject: x\nbCC : c@x.test\n\nHi",
        b"A: b\r\nResent-Bcc: c@x.test",
        b"A: b\rBCC: c\r\r",
    ],
)
def test_a_message_that_names_its_bcc_is_refused(raw: bytes) -> None:
    """A Bcc field in an attached message would be read by all, so that it has to go first."""
    with pytest.raises(MessageError, match="names its Bcc recipients"):
        Attachment.from_message(raw)


@pytest.mark.parametrize("message", [None, "Subject: x", 3])
def test_what_renders_to_no_bytes_is_no_message(message: Any) -> None:
    """A str is no message."""
    with pytest.raises(MessageError, match="an attached message has to be a Message or bytes"):
        Attachment.from_message(message)


def test_a_content_id_makes_it_inline() -> None:
    """What has a content id is shown in its place, unless told otherwise; and the other way round."""
    assert Attachment.from_bytes(b"x", "a.png", content_id="<logo>").content_id == "logo"
    assert Attachment.from_bytes(b"x", "a.png", content_id="logo").is_inline
    assert not Attachment.from_bytes(b"x", "a.png", content_id="logo", disposition="attachment").is_inline
    assert Attachment.from_bytes(b"x", "a.png", disposition="inline").is_inline


@pytest.mark.parametrize("disposition", ["", "Attachment", "evil; filename=x", "attachment\r\nX: 1", b"inline", 1])
def test_there_are_two_dispositions(disposition: Any) -> None:
    """Anything but the two words is refused."""
    with pytest.raises(MessageError, match=r"^disposition "):
        Attachment.from_bytes(b"x", "a.png", disposition=disposition)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"filename": "a\r\nX: 1"}, "^filename "),
        ({"filename": ".."}, "^filename "),
        ({"media_type": "multipart/mixed"}, "^media_type "),
        ({"media_type": "a/b\r\nX: 1"}, "^media_type "),
        ({"content_id": "a b"}, "^content_id "),
    ],
)
def test_every_value_that_reaches_a_header_is_checked(arguments: dict[str, Any], said: str) -> None:
    """Name, type and content id are checked when the attachment is made, by name."""
    with pytest.raises(MessageError, match=said):
        Attachment.from_bytes(b"x", **arguments)


def test_equal_is_what_arrives_equal(path: Path) -> None:
    """Two attachments are equal if name, type, role and bytes are, wherever the bytes come from."""
    of_bytes = Attachment.from_bytes(b"%PDF-1.7", "report.pdf")
    of_path = Attachment.from_path(path)
    assert of_path == of_path  # noqa: PLR0124 - also itself
    assert of_path == of_bytes == Attachment.from_path(path)
    assert hash(of_path) == hash(of_bytes)
    assert of_bytes != b"%PDF-1.7"


@pytest.mark.parametrize(
    "other",
    [
        Attachment.from_bytes(b"%PDF-1.8", "report.pdf"),
        Attachment.from_bytes(b"%PDF-1.70", "report.pdf"),
        Attachment.from_bytes(b"%PDF-1.7", "other.pdf"),
        Attachment.from_bytes(b"%PDF-1.7", "report.pdf", "application/x-pdf"),
        Attachment.from_bytes(b"%PDF-1.7", "report.pdf", content_id="x"),
        Attachment.from_bytes(b"%PDF-1.7", "report.pdf", disposition="inline"),
    ],
)
def test_any_difference_counts(path: Path, other: Attachment) -> None:
    """A difference in name, type, role or a single byte makes two attachments unequal."""
    assert Attachment.from_path(path) != other


def test_large_contents_are_compared_to_the_end(tmp_path: Path) -> None:
    """A difference in the last of many blocks is found."""
    data = b"x" * 200_000
    (tmp_path / "a.bin").write_bytes(data)
    of_path = Attachment.from_path(tmp_path / "a.bin")
    assert of_path == Attachment.from_bytes(data, "a.bin")
    assert of_path != Attachment.from_bytes(data[:-1] + b"y", "a.bin")


def test_evolve_changes_a_copy(path: Path) -> None:
    """A copy has the same bytes and what was changed; wrong values are refused as ever."""
    attachment = Attachment.from_path(path)
    changed = attachment.evolve(filename="x.pdf", content_id="x", disposition="inline")
    assert (changed.filename, changed.content_id, changed.read()) == ("x.pdf", "x", b"%PDF-1.7")
    assert attachment.filename == "report.pdf"
    with pytest.raises(MessageError, match=r"^filename "):
        attachment.evolve(filename="..")
    with pytest.raises(TypeError):
        attachment.evolve(name="x.pdf")


def test_it_is_frozen() -> None:
    """An attachment does not change."""
    with pytest.raises(AttributeError):
        Attachment.from_bytes(b"x").filename = "a"  # type: ignore[misc]


def test_it_can_be_pickled(path: Path) -> None:
    """A pickled attachment comes back equal, from bytes, from a path, and from a long stream without its file."""
    long = Attachment.from_stream(io.BytesIO(b"x" * 2_000_000), "a.bin")
    for attachment in (Attachment.from_path(path), Attachment.from_bytes(b"x", "a"), long):
        assert pickle.loads(pickle.dumps(attachment)) == attachment


def test_the_repr_shows_no_content() -> None:
    """A repr names the attachment and its size, and not what is in it."""
    assert repr(Attachment.from_bytes(b"secret", "a.txt")) == (
        "Attachment(filename='a.txt', media_type='text/plain', content_id=None, disposition='attachment', size=6)"
    )
