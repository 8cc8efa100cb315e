from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.errors import AddressError, MessageError
from mailkit.message import Calendar, ListUnsubscribe, Message, Template

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
_KEY = _LINE.filter(bool)
_NAME = _LINE.filter(lambda name: name == name.strip())
_ADDRESS = st.builds(Address, st.sampled_from(["a@x.test", "用户@例え.test", '"a b"@[192.0.2.1]']), name=_NAME)
_MOMENT = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-3))))  # noqa: DTZ001
_ID = st.from_regex(r"[a-z0-9]{1,9}@[a-z]{1,9}", fullmatch=True)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_ATTACHMENT = st.builds(
    Attachment.from_bytes,
    st.binary(max_size=100),
    st.none() | st.sampled_from(["a.pdf", "résumé.docx", "noending"]),
    st.none() | st.sampled_from(["text/csv; charset=utf-8", "application/x-thing"]),
    disposition=st.none() | st.sampled_from(["inline", "attachment"]),
)
_MESSAGES = st.builds(
    Message,
    from_=st.none() | _ADDRESS,
    sender=st.none() | _ADDRESS,
    to=st.lists(_ADDRESS, max_size=3),
    cc=st.lists(_ADDRESS, max_size=1),
    bcc=st.lists(_ADDRESS, max_size=1),
    reply_to=st.lists(_ADDRESS, max_size=1),
    subject=st.none() | _LINE,
    text=st.none() | _TEXT,
    html=st.none() | _TEXT,
    amp=st.none() | _TEXT,
    calendar=st.none() | st.just(Calendar("BEGIN:VCALENDAR\r\n", method="REPLY")),
    attachments=st.lists(_ATTACHMENT, max_size=2),
    headers=st.lists(st.tuples(st.sampled_from(["X-A", "x-b"]), _LINE), max_size=3),
    date=st.none() | _MOMENT,
    message_id=st.none() | _ID,
    in_reply_to=st.none() | _ID,
    references=st.lists(_ID, max_size=2),
    return_path=st.none() | st.just("") | _ADDRESS,
    list_unsubscribe=st.none() | st.builds(ListUnsubscribe, st.just("https://x.test/u"), one_click=st.booleans()),
    tags=st.lists(_KEY, max_size=3),
    metadata=st.dictionaries(_KEY, _LINE, max_size=2),
    track_opens=st.none() | st.booleans(),
    track_clicks=st.none() | st.booleans(),
    send_at=st.none() | _MOMENT,
    template=st.none()
    | st.builds(Template, st.just("welcome") | st.just(7), st.dictionaries(_TEXT, _JSON, max_size=2)),
    idempotency_key=st.none() | st.just("k-1"),
    options=st.dictionaries(
        st.sampled_from(["ses", "postmark"]), st.dictionaries(_TEXT, _JSON, max_size=2), max_size=2
    ),
)


@given(_MESSAGES)
def test_there_and_back(message: Message) -> None:
    """Every message comes back equal from its dict and from its JSON, and writes the same again."""
    data = message.to_dict()
    assert Message.from_dict(data) == message
    assert Message.from_json(message.to_json()) == message
    assert Message.from_json(message.to_json().encode()) == message
    assert Message.from_dict(data).to_dict() == data == json.loads(message.to_json())


def test_every_field_is_tried() -> None:
    """The strategy of the test above sets each field that a message has."""
    arguments = _MESSAGES.wrapped_strategy.kwargs  # type: ignore[attr-defined]
    assert set(arguments) == {attribute.name for attribute in attrs.fields(Message)}


def test_files_travel_along(tmp_path: Path) -> None:
    """The content of a file is in the dict, so that the file need not be where the dict is read."""
    file = tmp_path / "a.pdf"
    file.write_bytes(b"%PDF")
    message = Message(attachments=Attachment.from_path(file))
    data = message.to_dict()
    assert data["attachments"] == [
        {
            "filename": "a.pdf",
            "media_type": "application/pdf",
            "content_id": None,
            "disposition": "attachment",
            "content": "JVBERg==",
        }
    ]
    assert Message.from_dict(data) == message
    file.unlink()
    assert Message.from_dict(data).attachments[0].read() == b"%PDF"
    with pytest.raises(MessageError, match=r"a\.pdf' cannot be read"):
        message.to_dict()


def test_only_what_is_set_is_written() -> None:
    """The dict has a version and the fields that are set, in JSON's own types."""
    message = Message(from_="Ada <ada@example.com>", to=["bob@example.org"], return_path="", headers={"X-A": "1"})
    assert message.to_dict() == {
        "version": 1,
        "from_": {"email": "ada@example.com", "name": "Ada"},
        "to": [{"email": "bob@example.org"}],
        "headers": [["X-A", "1"]],
        "return_path": "",
    }
    assert Message().to_dict() == {"version": 1}


def test_json_is_a_line_of_ascii() -> None:
    """JSON is one line of ASCII, whatever the message says."""
    written = Message(subject="Grüße", text="a\nb\u2028").to_json()
    assert written.isascii()
    assert written.isprintable()


def test_what_people_write_by_hand_is_read() -> None:
    """Short forms that a message takes are read as well: addresses as text, headers as an object, null for open."""
    message = Message.from_dict(
        {
            "to": "Bob <bob@example.org>",
            "cc": ["a@x.test", {"email": "b@x.test", "name": None}],
            "bcc": {"email": "c@x.test"},
            "headers": {"X-A": "1"},
            "calendar": "BEGIN:VCALENDAR\n",
            "list_unsubscribe": ["https://x.test/u"],
            "template": {"id": 7},
            "attachments": [{"content": "eA=="}],
            "tags": "a",
            "subject": None,
        }
    )
    assert message == Message(
        to="Bob <bob@example.org>", cc=["a@x.test", "b@x.test"], bcc="c@x.test", headers={"X-A": "1"},
        calendar="BEGIN:VCALENDAR\n", list_unsubscribe="https://x.test/u", template=Template(7),
        attachments=Attachment.from_bytes(b"x"), tags="a",
    )  # fmt: skip


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True])
def test_another_version_is_refused(version: object) -> None:
    """A form that this version does not know is not half read."""
    with pytest.raises(MessageError, match="this mailkit reads 1: upgrade it"):
        Message.from_dict({"version": version})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"subjekt": "x"}, "the message has no key 'subjekt': use only amp, attachments, bcc"),
        ({"to": [{"mail": "a@x.test"}]}, "to has no key 'mail': use only email, name"),
        ({"to": [{"name": "A"}]}, "to lacks the key 'email': add it"),
        ({"to": 5}, "to has to be a list, not of type int"),
        ({"to": [5]}, "to has to be an object with the keys email, name, not of type int"),
        ({"from_": ["a@x.test"]}, "from_ has to be an object with the keys email, name, not of type list"),
        ({"from_": {"email": 5}}, "from_: an address or its name was given as int"),
        ({"from_": {"email": "a@x.test", "name": 5}}, "from_: an address or its name was given as int"),
        ({"date": 5}, "date has to be a str such as"),
        ({"date": "yesterday"}, "date 'yesterday' is no time: write"),
        ({"date": "2026-01-01T00:00:00"}, "date 2026-01-01T00:00:00 has no time zone"),
        ({"subject": 5}, "subject has to be a str"),
        ({"text": ["x"]}, "text has to be a str"),
        ({"attachments": "/etc/passwd"}, "attachments has to be a list, not of type str"),
        ({"attachments": ["/etc/passwd"]}, r"attachments\[0\] has to be an object with the keys content, content_id"),
        ({"attachments": [{"path": "/etc/passwd"}]}, r"attachments\[0\] has no key 'path'"),
        ({"attachments": [{"filename": "a"}]}, r"attachments\[0\] lacks the key 'content'"),
        ({"attachments": [{"content": 5}]}, r"attachments\[0\]\.content has to be a str of base64"),
        ({"attachments": [{"content": "e A=="}]}, r"attachments\[0\]\.content is not base64"),
        ({"attachments": [{"content": "eA"}]}, r"attachments\[0\]\.content is not base64"),
        ({"attachments": [{"content": "é"}]}, r"attachments\[0\]\.content is not base64"),
        ({"attachments": [{"content": "", "filename": "a\r\nb"}]}, "filename holds U"),
        ({"attachments": [{"content": "", "disposition": "x"}]}, "disposition 'x' is unknown"),
        ({"headers": "X-A: 1"}, "headers has to be a list"),
        ({"headers": [["X-A"]]}, "a header has to be a pair"),
        ({"headers": {"Bcc": "x@x.test"}}, "headers cannot set Bcc"),
        ({"calendar": 5}, "calendar has to be an object with the keys method, text"),
        ({"calendar": {"text": 5}}, "calendar has to be a str"),
        ({"list_unsubscribe": 5}, "list_unsubscribe has to be an object"),
        ({"list_unsubscribe": {"targets": "https://x.test"}}, "list_unsubscribe.targets has to be a list"),
        ({"list_unsubscribe": {"targets": ["https://x.test"], "one_click": 1}}, "one_click has to be a bool"),
        ({"template": "welcome"}, "template has to be an object with the keys data, id"),
        ({"template": {"id": []}}, "the template's id has to be a str"),
        ({"tags": {"a": 1}}, "tags has to be a str or an iterable of str"),
        ({"metadata": {"a": 1}}, r"metadata\['a'\] has to be a str"),
        ({"options": {"ses": 1}}, r"options\['ses'\] has to be a mapping"),
        ({"track_opens": 1}, "track_opens has to be True, False or None"),
        ([], "the message has to be an object with the keys amp"),
        (None, "the message has to be an object with the keys amp"),
        ({5: 1}, "the message has no key '5'"),
    ],
)
def test_what_a_stranger_writes_is_checked(data: Any, said: str) -> None:
    """A wrong type, an unknown or a missing key is refused, and the error says where and what to write."""
    with pytest.raises(MessageError, match=f"^{said}"):
        Message.from_dict(data)


def test_a_wrong_address_says_where() -> None:
    """A broken address in a dict is an AddressError with the field and the position."""
    with pytest.raises(AddressError, match=r"^to: ") as caught:
        Message.from_dict({"to": [{"email": "a@x.test\n"}]})
    assert caught.value.position == 8


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "cannot be read: Expecting value"),
        ("{", "cannot be read: "),
        (b"\xff{}", "cannot be read: .*utf-8"),
        ("[" * 100_000, "cannot be read: "),
        ('{"subject": NaN}', "holds NaN"),
        ('{"subject": -Infinity}', "holds -Infinity"),
        ('{"subject": "a", "subject": "b"}', "names a key twice"),
        ('{"metadata": {"a": "b", "a": "c"}}', "names a key twice"),
        ('{"options": {"ses": {"a": ' + "9" * 5000 + "}}}", "cannot be read: |beyond 64 bits"),
        ("[]", "has to be an object"),
        ('{"subject": "\\ud800"}', r"subject holds U\+D800"),
        (None, "a message's JSON has to be a str or bytes"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_a_message_error(data: Any, said: str) -> None:
    """Broken, deep, ambiguous and non-standard JSON is refused by mailkit's own error."""
    with pytest.raises(MessageError, match=said):
        Message.from_json(data)


def test_json_has_a_limit() -> None:
    """JSON that is longer than the limit is refused before it is read."""
    written = Message(text="x" * 100).to_json()
    assert Message.from_json(written, limit=len(written)).text == "x" * 100
    with pytest.raises(MessageError, match=f"longer than {len(written) - 1}: raise limit"):
        Message.from_json(written, limit=len(written) - 1)


def test_bytes_in_a_file_become_the_same_bytes() -> None:
    """Every byte value survives base64, also in lengths that need padding."""
    for length in range(255, 259):
        data = (bytes(range(256)) * 2)[:length]
        message = Message(attachments=Attachment.from_bytes(data))
        assert Message.from_json(message.to_json()).attachments[0].read() == data
