"""Every transport of ours keeps the contract, and the contract notices when one does not."""

from __future__ import annotations

import io
import re
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.errors import ConfigurationError
from mailkit.local import ConsoleTransport, FileTransport, MaildirTransport, MemoryTransport, NullTransport
from mailkit.local.sendmail import SendmailTransport
from mailkit.smtp import SMTP
from mailkit.testing import Delivered, FakeTransport, Mailbox, SMTPServer, TransportContract
from mailkit.transport import Capabilities

# ruff: noqa: D102 - each class says how to make a transport and what arrived, and nothing else

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.local import Sent
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel, Transport

pytest_plugins = ["pytester"]


def _from(outbox: Sequence[Sent]) -> list[Delivered]:
    return [
        Delivered(content=sent.raw, recipients=tuple([each.addr_spec for each in sent.envelope.rcpt_to]))
        for sent in outbox
    ]


class TestFake(TransportContract):
    def make_transport(self) -> Transport:
        self.fake = FakeTransport()
        return self.fake

    def delivered(self) -> Sequence[Delivered]:
        return _from(self.fake.outbox)


class TestNarrowFake(TestFake):
    """A transport that can express next to nothing."""

    def make_transport(self) -> Transport:
        narrow = Capabilities(
            html=False, cc=False, bcc=False, reply_to=0, headers=False, threading=False, list_unsubscribe=False, tags=2
        )
        self.fake = FakeTransport(capabilities=narrow)
        return self.fake


class TestClosingFake(TestFake):
    """A transport whose channels send nothing once they are closed."""

    def make_transport(self) -> Transport:
        self.fake = ClosingFake()
        return self.fake


class ClosingFake(FakeTransport):
    def open(self, edge: Edge) -> Channel:
        channel = super().open(edge)

        async def refuse(message: Message, envelope: Envelope) -> Receipt:
            raise ConfigurationError(f"the channel of {self} is closed")

        async def close() -> None:
            channel.send = refuse  # type: ignore[method-assign]

        channel.close = close  # type: ignore[method-assign]
        return channel


class TestMailbox(TestFake):
    def make_transport(self) -> Transport:
        self.fake = Mailbox()
        return self.fake


class TestMemory(TransportContract):
    def make_transport(self) -> Transport:
        self.memory = MemoryTransport()
        return self.memory

    def delivered(self) -> Sequence[Delivered]:
        return _from(self.memory.outbox)


class TestNull(TransportContract):
    def make_transport(self) -> Transport:
        return NullTransport()

    def delivered(self) -> None:
        return None


class TestConsole(TransportContract):
    def make_transport(self) -> Transport:
        self.stream = io.StringIO()
        return ConsoleTransport(self.stream)

    def delivered(self) -> Sequence[Delivered]:
        shown = re.split(r"^-- mailkit: .* bytes from .* to (.*?) ?-*\n", self.stream.getvalue(), flags=re.MULTILINE)
        return [
            Delivered(content=content.replace("\n", "\r\n").encode(), recipients=tuple(recipients.split(", ")))
            for recipients, content in zip(shown[1::2], shown[2::2], strict=True)
        ]


class TestFile(TransportContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "out"

    def make_transport(self) -> Transport:
        return FileTransport(self.folder)

    def delivered(self) -> Sequence[Delivered]:
        return [Delivered(content=path.read_bytes()) for path in sorted(self.folder.glob("*"))]


class TestMaildir(TestFile):
    def make_transport(self) -> Transport:
        return MaildirTransport(self.folder)

    def delivered(self) -> Sequence[Delivered]:
        paths = sorted((self.folder / "new").glob("*"))
        return [Delivered(content=path.read_bytes().replace(b"\n", b"\r\n")) for path in paths]


class TestSendmail(TransportContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "out"
        self.folder.mkdir()

    def make_transport(self) -> Transport:
        program = self.folder / "sendmail"
        # "$$" is the process's number: each delivery has files of its own, in the order of their ages.
        program.write_text(
            f"#!/bin/sh\ncd {self.folder}\n"
            'while [ "$1" != -- ]; do shift; done\nshift\n'
            'cat >$$.tmp\necho "$@" >$$.to\nmv $$.tmp $$.eml\n'
        )  # fmt: skip
        program.chmod(0o700)
        return SendmailTransport(program)

    def delivered(self) -> Sequence[Delivered]:
        paths = sorted(self.folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [
            Delivered(
                content=path.read_bytes().replace(b"\n", b"\r\n"),
                recipients=tuple(path.with_suffix(".to").read_text(encoding="utf-8").split()),
            )
            for path in paths
        ]


class TestSMTP(TransportContract):
    secrets = ("hunter2",)

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        extensions = ("FUTURERELEASE 86400 2099-01-01T00:00:00Z",)
        with SMTPServer(users={"ada": "hunter2"}, extensions=extensions) as self.server:
            yield

    def make_transport(self) -> Transport:
        return SMTP(self.server.host, port=self.server.port, username="ada", password="hunter2", tls="insecure")

    def delivered(self) -> Sequence[Delivered]:
        return [Delivered(content=each.data, recipients=each.rcpt_to) for each in self.server.messages]


_MODULE = """\
from anyio import get_cancelled_exc_class
from attrs import evolve

from mailkit import Capabilities, Envelope, Message
from mailkit.testing import Delivered, FakeTransport, TransportContract


class Broken(FakeTransport):
    pass


class TestBroken(TransportContract):
    secrets = ("hunter2",)

    def make_transport(self):
        self.fake = Broken()
        return self.fake

    def delivered(self):
        def recipients(sent):
            return tuple(each.addr_spec for each in sent.envelope.rcpt_to)

        return [Delivered(content=sent.raw, recipients=recipients(sent)) for sent in self.fake.outbox]
"""

_BROKEN = {
    "test_its_name_is_one_line_without_secrets": """
        def __str__(self):
            return "fake://hunter2@default"
    """,
    "test_pickling_gives_no_secret_away": """
        def __reduce__(self):
            return (str, ("hunter2",))
    """,
    "test_a_message_arrives": """
        async def _put(self, letter, edge):
            return letter.accepted("another://")
    """,
    "test_the_envelope_decides_who_gets_it": """
        async def _put(self, letter, edge):
            implied = Envelope.from_message(letter.message)
            return await super()._put(evolve(letter, envelope=implied), edge)
    """,
    "test_bcc_is_for_nobody_to_see": """
        async def _put(self, letter, edge):
            named = b"Bcc: " + b", ".join(each.addr_spec.encode() for each in letter.message.bcc) + b"\\r\\n"
            return await super()._put(evolve(letter, blocks=lambda: iter([named, *letter.blocks()])), edge)
    """,
    "test_a_feature_works_or_is_refused": """
        def __init__(self):
            super().__init__(capabilities=Capabilities(tags=1))

        def open(self, edge):
            channel = super().open(edge)
            channel.transport = FakeTransport()
            return channel
    """,
    "test_a_message_that_cannot_be_read_is_refused": """
        def open(self, edge):
            async def send(message, envelope):
                return await send_whole(message.evolve(attachments=()), envelope)
            channel = super().open(edge)
            send_whole, channel.send = channel.send, send
            return channel
    """,
    "test_many_messages_have_their_outcomes_in_order": """
        def open(self, edge):
            async def send_many(messages, **_):
                outcomes = [each async for each in in_order(messages)]
                for outcome in reversed(outcomes):
                    yield outcome
            channel = super().open(edge)
            in_order, channel.send_many = channel.send_many, send_many
            return channel
    """,
    "test_prepared_bytes_arrive_unchanged_or_are_refused": """
        async def _put(self, letter, edge):
            changed = [block.replace(b"  ", b" ") for block in letter.blocks()]
            return await super()._put(evolve(letter, blocks=lambda: iter(changed)), edge)
    """,
    "test_prepared_bytes_with_bcc_are_refused": """
        def open(self, edge):
            async def send_raw(data, envelope):
                message = Message(from_="ada@example.com", to="bob@example.org")
                return await channel.send(message, envelope)
            channel = super().open(edge)
            channel.send_raw = send_raw
            return channel
    """,
    "test_verifying_sends_nothing": """
        def open(self, edge):
            async def verify():
                message = Message(from_="ada@example.com", to="bob@example.org")
                await channel.send(message, Envelope.from_message(message))
                return await verify_only()
            channel = super().open(edge)
            verify_only, channel.verify = channel.verify, verify
            return channel
    """,
    "test_closing_twice_is_closing_once": """
        def open(self, edge):
            async def close():
                closed.append(1)
                if len(closed) > 1:
                    raise ValueError("closed already")
            closed = []
            channel = super().open(edge)
            channel.close = close
            return channel
    """,
    "test_a_closed_channel_sends_or_says_why_not": """
        def open(self, edge):
            async def send(message, envelope):
                raise OSError("bad file descriptor")
            async def close():
                channel.send = send
            channel = super().open(edge)
            channel.close = close
            return channel
    """,
    "test_one_channel_serves_many_at_once": """
        async def _put(self, letter, edge):
            receipt = await super()._put(letter, edge)
            if len(self.outbox) == 8:
                self.outbox.pop()
            return receipt
    """,
    "test_one_transport_serves_two_channels": """
        def open(self, edge):
            async def close():
                self.reset()
            channel = super().open(edge)
            channel.close = close
            return channel
    """,
    "test_a_cancelled_message_leaves_the_channel_usable": """
        def open(self, edge):
            async def send(message, envelope):
                try:
                    return await send_once(message, envelope)
                except get_cancelled_exc_class():
                    channel.send = None
                    raise
            channel = super().open(edge)
            send_once, channel.send = channel.send, send
            return channel
    """,
}


@pytest.mark.parametrize("name", _BROKEN)
def test_the_contract_notices_a_transport_that_breaks_it(name: str, pytester: pytest.Pytester) -> None:
    """For each rule there is a transport that breaks it, for which its test fails in every colour."""
    _run_contract(pytester, _BROKEN[name], name).assert_outcomes(**_all_failed(name))


def _all_failed(name: str) -> dict[str, int]:
    colours = {
        "test_its_name_is_one_line_without_secrets": 1,
        "test_pickling_gives_no_secret_away": 1,
        "test_prepared_bytes_arrive_unchanged_or_are_refused": 6,
        "test_a_cancelled_message_leaves_the_channel_usable": 2,
    }
    if name == "test_a_feature_works_or_is_refused":
        # It lets 14 features through that it does not have, or has one of and not two; the other 6 it has.
        return {"failed": 3 * 14, "passed": 3 * 6}
    return {"failed": colours.get(name, 3)}


def test_the_contract_holds_for_a_transport_that_keeps_it(pytester: pytest.Pytester) -> None:
    """The transport that the broken ones derive from breaks nothing."""
    result = _run_contract(pytester, "pass\n", "test_")
    assert result.parseoutcomes().keys() == {"passed"}


def test_a_class_that_says_too_little_is_told_so(pytester: pytest.Pytester) -> None:
    """Without make_transport() and delivered() the tests fail, and say what is missing."""
    pytester.makepyfile(
        """
        from mailkit.testing import FakeTransport, TransportContract

        class TestNothing(TransportContract):
            pass

        class TestHalf(TransportContract):
            def make_transport(self):
                return FakeTransport()
        """
    )
    result = pytester.runpytest_inprocess("-k", "test_a_message_arrives", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*TestNothing has no make_transport()*", "*TestHalf has no delivered()*"])


def _run_contract(pytester: pytest.Pytester, body: str, name: str) -> Any:
    source = _MODULE.replace("    pass\n", indent(dedent(body), "    "))
    (pytester.path / "test_broken.py").write_text(source, encoding="utf-8")
    return pytester.runpytest_inprocess("-k", name, "-p", "no:cacheprovider", "-q")
