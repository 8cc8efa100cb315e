from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from tests.colours import COLOURS, Colour
from tests.sending import send, send_many

from mailkit import events
from mailkit.envelope import Envelope
from mailkit.errors import ConnectError, DeliveryError, OutcomeUnknownError, RejectedError, TransientError
from mailkit.event_log import EventLog
from mailkit.events import AfterSend, BeforeSend, BreakerChanged, Event, Retrying
from mailkit.hooks import Hooks
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.receipt import Receipt, RecipientResult
from mailkit.testing import FakeTransport

MESSAGE = Message(
    from_="ada@example.com", to="bob@example.org", bcc="eve@example.net", subject="Top secret", text="words"
)
ENVELOPE = Envelope.from_message(MESSAGE)
PERSONAL = ("ada@", "bob@", "eve@", "secret", "words")
NOW = RetryPolicy(wait=lambda state: 0.0)


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> None:
    """Everything is logged."""
    caplog.set_level(logging.DEBUG, "mailkit")


def _after(**how: Any) -> AfterSend:
    return AfterSend(
        message_id="1@example.com", transport="fake://", recipients=2, message=MESSAGE, envelope=ENVELOPE,
        duration=0.0123456789, **how,
    )  # fmt: skip


def _receipt(*statuses: Any) -> Receipt:
    results = [RecipientResult(f"{number}@example.org", status=status) for number, status in enumerate(statuses)]
    return Receipt(message_id="1@example.com", transport="fake://", recipients=results)


def _log(event: Event, caplog: pytest.LogCaptureFixture, **how: Any) -> logging.LogRecord:
    EventLog(**how)(event)
    (record,) = caplog.records
    return record


def test_a_line_is_the_title_and_the_facts(caplog: pytest.LogCaptureFixture) -> None:
    """It can be read by people, searched for by title, and taken apart by blanks and "="."""
    record = _log(_after(receipt=_receipt("accepted", "accepted")), caplog)
    assert record.getMessage() == (
        "mailkit.send.accepted message_id=1@example.com transport=fake:// recipients=2 duration=0.012346 "
        "accepted=2 attempts=1"
    )
    assert (record.name, record.levelno) == ("mailkit.events", logging.INFO)


def test_a_record_has_the_facts_for_whoever_writes_json(caplog: pytest.LogCaptureFixture) -> None:
    """The title is ``event``, the facts are the mapping ``mailkit``, of numbers and words."""
    record: Any = _log(_after(error=ConnectError("refused by bob@example.org", phase="connect")), caplog)
    assert record.event == "mailkit.send.not_sent"
    assert json.loads(json.dumps(record.mailkit)) == {
        "message_id": "1@example.com", "transport": "fake://", "recipients": 2, "duration": 0.012346, "accepted": 0,
        "attempts": 1, "cause": "transient", "phase": "connect", "error": "ConnectError",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (BeforeSend(transport="fake://", message=MESSAGE, envelope=ENVELOPE), "DEBUG"),
        (_after(receipt=_receipt("accepted", "accepted")), "INFO"),
        (_after(receipt=_receipt("accepted", "rejected")), "WARNING"),
        (_after(error=TransientError("busy")), "WARNING"),
        (_after(error=RejectedError("no")), "WARNING"),
        (_after(error=OutcomeUnknownError("lost")), "ERROR"),
        (events.BeforeAttempt(transport="fake://", attempt=1, message=None, envelope=ENVELOPE), "DEBUG"),
        (events.AfterAttempt(transport="fake://", attempt=1, duration=1.0, error=RejectedError("no")), "DEBUG"),
        (Retrying(transport="fake://", attempt=1, wait=1.0, outcome="deferred"), "INFO"),
        (events.RetryWithheld(transport="fake://", attempt=1, outcome="deferred"), "WARNING"),
        (events.FailedOver(transport="fake://", to="other://"), "WARNING"),
        (events.PassedOver(transport="fake://", reason="unsupported"), "INFO"),
        (BreakerChanged(transport="fake://", before="closed", after="open"), "WARNING"),
        (BreakerChanged(transport="fake://", before="open", after="half-open"), "INFO"),
        (events.Throttled(transport="fake://", limit="10 messages/s"), "DEBUG"),
        (events.Suppressed(transport="fake://"), "INFO"),
        (events.Redirected(transport="fake://"), "INFO"),
        (events.Deduplicated(transport="fake://"), "INFO"),
        (Event(transport="fake://"), "INFO"),
    ],
    ids=lambda value: value.title if isinstance(value, Event) else value,
)
def test_each_event_has_a_level(event: Event, level: str, caplog: pytest.LogCaptureFixture) -> None:
    """What goes well is information, what was not sent a warning, what may have been sent an error to look into."""
    assert _log(event, caplog).levelname == level


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_what_is_below_the_level_is_not_written(level: str, caplog: pytest.LogCaptureFixture) -> None:
    """The logger's level decides, and says whether each message is to be followed."""
    caplog.set_level(level, "mailkit")
    log = EventLog()
    log(_after(error=OutcomeUnknownError("lost")))
    log(_after(error=RejectedError("no")))
    log(_after(receipt=_receipt("accepted", "accepted")))
    log(BeforeSend(transport="fake://", message=MESSAGE, envelope=ENVELOPE))
    assert len(caplog.records) == 4 - ["DEBUG", "INFO", "WARNING", "ERROR"].index(level)
    assert (log.follows, log.follows_closely) == (level in {"DEBUG", "INFO"}, level == "DEBUG")


# -- personal data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
def test_no_personal_data_is_logged_by_default(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """Neither addresses nor the subject nor an error's text, whatever happens to the messages."""
    partly, busy, down = FakeTransport(), FakeTransport(), FakeTransport()
    partly.refuse("eve@example.net")
    send(colour, partly, MESSAGE)
    busy.fail_next(TransientError("busy for bob@example.org"))
    busy.fail_next(RejectedError("no bob@example.org here"))
    send_many(colour, busy, [MESSAGE, MESSAGE], retry=NOW)
    down.fail_next(ConnectError("lost bob@example.org"), times=3)
    with pytest.raises(DeliveryError):
        send(colour, down, MESSAGE, retry=NOW)
    titles = {record.__dict__["event"] for record in caplog.records}
    assert {"mailkit.send.accepted", "mailkit.send.rejected", "mailkit.send.not_sent", "mailkit.retry"} <= titles
    written = "\n".join(f"{record.getMessage()} {record.__dict__['mailkit']}" for record in caplog.records)
    assert not [word for word in PERSONAL if word in written]


@pytest.mark.parametrize("colour", COLOURS)
def test_personal_data_is_logged_where_that_is_asked_for(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """Who it was from and to, the subject, and what the error says."""
    fake = FakeTransport()
    fake.fail_next(RejectedError("no bob@example.org here"))
    with pytest.raises(RejectedError):
        send(colour, fake, MESSAGE, hooks=Hooks(log="personal"))
    facts = caplog.records[-1].__dict__["mailkit"]
    assert facts["mail_from"] == "ada@example.com"
    assert facts["rcpt_to"] == "bob@example.org,eve@example.net"
    assert facts["subject"] == "Top secret"
    assert facts["text"] == "no bob@example.org here"
    assert 'subject="Top secret"' in caplog.text
    assert "words" not in caplog.text


def test_a_null_reverse_path_is_an_empty_word(caplog: pytest.LogCaptureFixture) -> None:
    """Prepared bytes have no subject, and a bounce comes from nobody."""
    event = BeforeSend(transport="fake://", message=None, envelope=Envelope(None, "bob@example.org"))
    assert 'mail_from="" rcpt_to=bob@example.org' in _log(event, caplog, personal=True).getMessage()


@pytest.mark.parametrize("colour", COLOURS)
def test_nothing_is_logged_where_that_is_asked_for(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """``log="off"`` leaves the log to whoever has a hook."""
    heard: list[Event] = []
    send(colour, FakeTransport(), MESSAGE, hooks=Hooks(log="off"))
    send(colour, FakeTransport(), MESSAGE, hooks=Hooks(log="off", after_send=heard.append))
    assert (len(caplog.records), len(heard)) == (0, 1)


@pytest.mark.parametrize(
    "word", ["two words", 'a"quote', "a=b", "back\\slash", "line\nbreak", "é", "\x7f", "\x1b[31m", "\u2028", ""]
)
def test_a_value_cannot_forge_a_line(word: str, caplog: pytest.LogCaptureFixture) -> None:
    """What is no plain word is quoted as JSON: one line of printable ASCII, which reads back as it was."""
    message = _log(Event(transport=word), caplog).getMessage()
    assert message.isascii()
    assert message.isprintable()
    assert json.loads(message.removeprefix("mailkit transport=").removesuffix(" recipients=0")) == word


# -- applications that configure no logging ----------------------------------------------------------------------------

_PROGRAM = """
import sys
from mailkit import Hooks, Mailer, Message, RejectedError
from mailkit.testing import FakeTransport

def broken(event):
    raise ZeroDivisionError("in the hook")

fake = FakeTransport()
fake.fail_next(RejectedError("no"))
message = Message(from_="a@example.com", to="b@example.org", text="Hi")
with Mailer(fake, hooks=Hooks(after_send=broken) if "broken" in sys.argv else Hooks()) as mailer:
    try:
        mailer.send(message)
    except RejectedError:
        print("rejected")
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


def test_nothing_is_printed_where_no_logging_is_configured() -> None:
    """A failure is the caller's error, and no line on standard error besides."""
    done = _run()
    assert (done.stdout, done.stderr) == ("rejected\n", "")


def test_a_hook_that_fails_is_seen_where_no_logging_is_configured() -> None:
    """Nothing goes wrong in silence: the traceback is on standard error, once."""
    done = _run("broken")
    assert done.stdout == "rejected\n"
    assert done.stderr.startswith("a hook failed and was ignored: hook=broken event=mailkit.send.rejected\nTraceback")
    assert done.stderr.count("ZeroDivisionError: in the hook") == 1


def test_a_mailer_does_not_load_logging_for_nobody() -> None:
    """Where the application has not imported logging, there is nobody to write for."""
    code = (
        "import sys\nfrom mailkit import Mailer, Message\n"
        "with Mailer('memory://') as mailer:\n"
        "    mailer.send(Message(from_='a@example.com', to='b@example.org', text='Hi'))\n"
        "sys.exit('logging' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_nobody_is_written_for_where_logging_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is dropped, and the mailer need not follow each step."""
    monkeypatch.delitem(sys.modules, "logging")
    log = EventLog()
    log(Event(transport="fake://"))
    assert not log.follows


@pytest.mark.parametrize("colour", COLOURS)
def test_a_log_that_fails_changes_nothing(colour: Colour, capsys: pytest.CaptureFixture[str]) -> None:
    """A filter that raises is not the mail's trouble: the receipt comes back, and standard error says what failed."""

    class Broken(logging.Handler):
        def filter(self, record: logging.LogRecord) -> bool:
            raise ZeroDivisionError

    handler = Broken()
    logging.getLogger("mailkit").addHandler(handler)
    try:
        receipt = send(colour, FakeTransport(), MESSAGE)
    finally:
        logging.getLogger("mailkit").removeHandler(handler)
    assert receipt.accepted
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_null_handler_is_added_once() -> None:
    """However many mailers there are, and not where the application has a handler of its own."""
    logger = logging.getLogger("mailkit.events")
    for _ in range(3):
        EventLog()(Event(transport="fake://"))
    assert [type(handler) for handler in logger.handlers].count(logging.NullHandler) <= 1
    assert logger.handlers
