from __future__ import annotations

import email
import email.policy
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.colours import colour, make_edge, run
from tests.policies.letters import Interrupted, each, letter

from mailkit import (
    Address,
    AddressError,
    Capabilities,
    ConfigurationError,
    ConnectError,
    DeliveryError,
    Envelope,
    Message,
    MessageError,
    Redirect,
    RejectedError,
    TransientError,
)
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.events import Redirected
from mailkit.mail_parameters import RcptParameters
from mailkit.policies.entries import entry_key
from mailkit.receipt import Outcome, RecipientResult
from mailkit.testing import Delivered, FakeTransport, TransportContract
from mailkit.transport import Channel

if TYPE_CHECKING:
    from tests.colours import Colour

    from mailkit.edge import Edge
    from mailkit.events import Event
    from mailkit.receipt import Receipt
    from mailkit.transport import Transport

__all__ = ["colour", "run"]

DEV = "dev@corp.example"


class TestContract(TransportContract):
    """Where everybody is allowed, nothing changes."""

    def make_transport(self) -> Transport:
        """A fake one."""
        self.fake = FakeTransport()
        return Redirect(self.fake, DEV, allow=["example.com", "example.org", "example.net"])

    def name_of(self, transport: Transport) -> str:
        """The inner one sends the messages."""
        return str(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake one was given."""
        return [
            Delivered(content=sent.raw, recipients=tuple(each.addr_spec for each in sent.envelope.rcpt_to))
            for sent in self.fake.outbox
        ]


def deliver(redirect: Redirect, message: Message, *, many: bool = False, envelope: Envelope | None = None) -> Outcome:
    """Send one message, by itself or in a stream."""
    channel = redirect.open(BlockingEdge())

    async def send() -> Outcome:
        if many:
            (outcome,) = [outcome async for outcome in channel.send_many(each([message]))]
            return outcome
        try:
            receipt = await channel.send(message, envelope or Envelope.from_message(message))
        except DeliveryError as error:
            return Outcome(message=message, error=error)
        return Outcome(message=message, receipt=receipt)

    return run_sync(send())


def paths(addresses: tuple[Address, ...]) -> list[str]:
    """Return the addresses as they go over the wire."""
    return [address.addr_spec for address in addresses]


both_ways = pytest.mark.parametrize("many", [False, True], ids=["send", "send_many"])


@both_ways
def test_everybody_is_replaced(colour: Colour, run: Any, many: bool) -> None:
    """To, Cc, Bcc and the envelope are the developer's; who was to get it stands in fields of their own."""
    fake, edge = FakeTransport(), make_edge(colour)
    events: list[Event] = []
    edge.listener = events.append
    message = letter(
        to=["Bob <bob@example.org>", "Jürgen <jo@example.net>"], cc="cat@example.org", bcc="arch@example.net"
    )

    async def send() -> Receipt | None:
        channel = Redirect(fake, DEV, subject_prefix="[staging] ").open(edge)
        if many:
            (outcome,) = [outcome async for outcome in channel.send_many(each([message]))]
            assert outcome.message is message
            return outcome.receipt
        return await channel.send(message, Envelope.from_message(message))

    receipt = run(send)
    (sent,) = fake.outbox
    assert paths(sent.envelope.rcpt_to) == [DEV]
    read = email.message_from_bytes(sent.raw, policy=email.policy.default)
    assert read["To"] == DEV
    assert read["Cc"] is None
    assert read["Subject"] == "[staging] Number 0"
    assert read["X-Original-To"] == "Bob <bob@example.org>, Jürgen <jo@example.net>"
    assert (read["X-Original-Cc"], read["X-Original-Bcc"]) == ("cat@example.org", "arch@example.net")
    assert [(each.address, each.status, each.phase, each.text) for each in receipt.recipients] == [
        (address, "accepted", "redirect", f"redirected to {DEV}")
        for address in ("bob@example.org", "jo@example.net", "cat@example.org", "arch@example.net")
    ]
    assert receipt.transport == "fake://"
    (event,) = events
    assert isinstance(event, Redirected)
    assert (event.recipients, event.to, event.transport) == (4, 1, "redirect(fake://)")
    assert event.message_id == message.message_id


@both_ways
def test_who_is_allowed_keeps_his_mail(many: bool) -> None:
    """A domain is allowed in any case and script, an address by itself; a subdomain and all others are not."""
    fake = FakeTransport()
    redirect = Redirect(fake, DEV, allow=["Example.ORG", "faß.test", "qa@example.net"])
    message = letter(
        to=["bob@EXAMPLE.org", "qa@example.net", "eve@example.net"],
        cc=["jo@xn--fa-hia.test", "sub@mail.example.org"],
        bcc=["hidden@example.org", "secret@example.net"],
    )
    outcome = deliver(redirect, message, many=many)
    (sent,) = fake.outbox
    kept = ["bob@example.org", "qa@example.net", "jo@xn--fa-hia.test", "hidden@example.org"]
    assert sorted(paths(sent.envelope.rcpt_to)) == sorted([*kept, DEV])
    assert sent.message is not None
    assert paths(sent.message.to) == ["bob@example.org", "qa@example.net", DEV]
    assert paths(sent.message.cc) == ["jo@xn--fa-hia.test"]
    assert outcome.receipt is not None
    assert {each.address: each.phase for each in outcome.receipt.recipients} == {
        **dict.fromkeys(paths(Envelope.from_message(message).rcpt_to)),
        **dict.fromkeys(["eve@example.net", "sub@mail.example.org", "secret@example.net"], "redirect"),
    }
    names = dict(sent.message.headers)
    assert names["X-Original-To"] == "bob@example.org, qa@example.net, eve@example.net"
    assert "X-Original-Bcc" not in names
    assert b"hidden@" not in sent.raw
    assert b"secret@" not in sent.raw


@both_ways
def test_a_message_to_allowed_people_is_not_touched(many: bool) -> None:
    """It goes out as it is, to whom it is for."""
    fake = FakeTransport()
    message = letter(to="bob@example.org", bcc="cat@example.org")
    deliver(Redirect(fake, DEV, allow="example.org", subject_prefix="[staging] "), message, many=many)
    (sent,) = fake.outbox
    assert sent.message is message
    assert sent.envelope == Envelope.from_message(message)


def test_a_retry_for_some_sends_the_same_message() -> None:
    """An envelope of those who are left changes who gets the message, not a byte of it, nor who may see Bcc."""
    fake = FakeTransport()
    redirect = Redirect(fake, DEV, allow="example.org")
    message = letter(to=["bob@example.org", "eve@example.net"], bcc="secret@example.net")
    for rest in (["bob@example.org"], ["eve@example.net"], ["secret@example.net", "bob@example.org"]):
        deliver(redirect, message, envelope=Envelope("ada@example.com", rest))
    assert [paths(sent.envelope.rcpt_to) for sent in fake.outbox] == [
        ["bob@example.org"],
        [DEV],
        ["bob@example.org", DEV],
    ]
    assert len({sent.raw for sent in fake.outbox}) == 1
    assert b"secret@" not in fake.outbox[0].raw


def test_bcc_is_not_shown_to_a_stranger_in_the_envelope() -> None:
    """Somebody allowed whom only the envelope names gets no field that names who was in Bcc."""
    fake = FakeTransport()
    message = letter(to="eve@example.net", bcc="secret@example.net")
    envelope = Envelope("ada@example.com", ["eve@example.net", "secret@example.net", "bob@example.org"])
    deliver(Redirect(fake, DEV, allow="example.org"), message, envelope=envelope)
    (sent,) = fake.outbox
    assert b"secret@" not in sent.raw
    assert b"X-Original-To: eve@example.net\r\n" in sent.raw


def test_several_developers_share_the_mail() -> None:
    """All of them get it; one who is allowed and named already is not named twice, and may see who was in Bcc."""
    fake = FakeTransport()
    redirect = Redirect(fake, [DEV, "qa@corp.example"], allow="corp.example")
    message = letter(to=["eve@example.net", DEV], bcc="secret@example.net")
    outcome = deliver(redirect, message)
    (sent,) = fake.outbox
    assert sent.message is not None
    assert paths(sent.message.to) == [DEV, "qa@corp.example"]
    assert paths(sent.envelope.rcpt_to) == [DEV, "qa@corp.example"]
    assert ("X-Original-Bcc", "secret@example.net") in sent.message.headers
    assert outcome.receipt is not None
    assert [(each.address, each.phase, each.text) for each in outcome.receipt.recipients] == [
        ("eve@example.net", "redirect", f"redirected to {DEV}: accepted; qa@corp.example: accepted"),
        (DEV, None, ""),
        ("secret@example.net", "redirect", f"redirected to {DEV}: accepted; qa@corp.example: accepted"),
    ]


@both_ways
@pytest.mark.parametrize(("refused", "status"), [([DEV], "accepted"), ([DEV, "qa@corp.example"], "deferred")])
def test_the_best_copy_counts(many: bool, refused: list[str], status: str) -> None:
    """A recipient's mail was accepted if anybody got it in his place, and is tried again only where nobody did."""
    fake = FakeTransport()
    fake.refuse(DEV)
    if len(refused) == 2:
        fake.refuse("qa@corp.example", TransientError("busy", phase="rcpt"))
    outcome = deliver(Redirect(fake, [DEV, "qa@corp.example"]), letter(), many=many)
    ended: Any = outcome.receipt or outcome.error
    (result,) = ended.recipients
    assert (result.address, result.status, result.phase) == ("bob@example.org", status, "redirect")
    assert f"{DEV}: rejected (550 5.1.1" in result.text
    assert outcome.ok is (status == "accepted")


@both_ways
def test_an_error_names_those_who_were_to_get_it(many: bool) -> None:
    """What the developer's server refused is refused for the recipients that he stands for."""
    fake = FakeTransport()
    fake.refuse(DEV)
    outcome = deliver(
        Redirect(fake, DEV, allow="example.org"), letter(to=["eve@example.net", "ann@example.net"]), many=many
    )
    assert isinstance(outcome.error, RejectedError)
    assert [(each.address, each.status, each.code) for each in outcome.error.recipients] == [
        ("eve@example.net", "rejected", 550),
        ("ann@example.net", "rejected", 550),
    ]


@pytest.mark.parametrize("named", [DEV, "bob@example.org"])
def test_who_is_not_spoken_of_stays_so(named: str) -> None:
    """An error that names some recipients only says nothing of the others, nor of those whom they stand for."""
    fake = FakeTransport()
    result = RecipientResult(named, status="not_sent")
    fake.fail_next(ConnectError("lost", recipients=[result]))
    message = letter(to=["bob@example.org", "eve@example.net"])
    error = deliver(Redirect(fake, DEV, allow="example.org"), message).error
    assert isinstance(error, ConnectError)
    assert [each.address for each in error.recipients] == ["eve@example.net" if named == DEV else named]


def test_prepared_bytes_stay_as_they_are(colour: Colour, run: Any) -> None:
    """Their envelope is replaced, and nothing else."""
    fake, edge = FakeTransport(), make_edge(colour)
    raw = b"From: ada@example.com\r\nTo: eve@example.net\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"

    async def send() -> Receipt:
        channel = Redirect(fake, DEV, allow="example.org", subject_prefix="x").open(edge)
        return await channel.send_raw(raw, Envelope("ada@example.com", ["eve@example.net", "bob@example.org"]))

    receipt = run(send)
    (sent,) = fake.outbox
    assert sent.raw == raw
    assert paths(sent.envelope.rcpt_to) == ["bob@example.org", DEV]
    assert [(each.address, each.phase) for each in receipt.recipients] == [
        ("eve@example.net", "redirect"),
        ("bob@example.org", None),
    ]


def test_what_was_asked_for_others_is_not_asked() -> None:
    """Wishes for one recipient go where the recipient goes; those for others are left out, in every way of sending."""
    fake = FakeTransport()
    redirect = Redirect(fake, DEV, allow="example.org")
    wishes = {"bob@example.org": {"notify": "FAILURE"}, "eve@example.net": {"notify": "NEVER"}}
    message = letter(to=["bob@example.org", "eve@example.net"], options={"smtp": {"recipients": wishes, "ret": "HDRS"}})
    for many in (False, True):
        assert deliver(redirect, message, many=many).ok
    for sent in fake.outbox:
        assert sent.envelope.exceptions == {"bob@example.org": RcptParameters(notify="FAILURE")}
        assert sent.envelope.mail_parameters.ret == "HDRS"


@pytest.mark.parametrize(
    "fields",
    [
        {"To": "eve@example.net"},
        {"personalizations": [{"to": [{"email": "eve@example.net"}]}]},
        {"Bcc": "Bob <bob@example.org>, Eve <eve@example.net>"},
        {"recipient-variables": {"eve@example.net": {}}},
        {"to": "no address @all but x@y@z"},
    ],
    ids=str,
)
@both_ways
def test_raw_fields_of_a_provider_are_no_way_out(many: bool, fields: dict[str, Any]) -> None:
    """Options that name somebody who is not allowed are refused: no transport is asked."""
    fake = FakeTransport()
    redirect = Redirect(fake, DEV, allow="example.org")
    for message in (letter(options={"acme": fields}), letter(to="cat@example.net", options={"acme": fields})):
        if many:
            error = deliver(redirect, message, many=True).error
            assert isinstance(error, MessageError)
            assert "options['acme']" in str(error)
        else:
            with pytest.raises(MessageError, match=r"options\['acme'\] name an address"):
                deliver(redirect, message)
    fake.assert_nothing_sent()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-SMTPAPI", '{"to": ["bob@example.org", "eve@example.net"]}'),
        ("x-mc-bccaddress", "eve@example.net"),
        ("X-MSYS-API", '{"bcc": [{"email": "eve@example.net"}]}'),
    ],
)
@both_ways
def test_fields_that_servers_take_recipients_from_are_no_way_out(many: bool, name: str, value: str) -> None:
    """They may name who is allowed; with anybody else in them the message is refused."""
    fake = FakeTransport()
    redirect = Redirect(fake, DEV, allow="example.org")
    assert deliver(redirect, letter(headers={name: value.replace("example.net", "example.org")}), many=many).ok
    assert deliver(redirect, letter(headers={"X-Other": value}), many=many).ok
    fake.reset()
    message = letter(headers={name: value})
    if many:
        assert isinstance(deliver(redirect, message, many=True).error, MessageError)
    else:
        with pytest.raises(MessageError, match=f"the header {name} names an address"):
            deliver(redirect, message)
    fake.assert_nothing_sent()


def test_harmless_options_go_along() -> None:
    """Options without addresses, or with those of allowed people and of the developer, are none of its business."""
    fake = FakeTransport()
    options = {"acme": {"Stream": "news", "Copy": f"bob@example.org; {DEV}", "n": 5, "list": ("@all", True)}}
    deliver(Redirect(fake, DEV, allow="example.org"), letter(to="eve@example.net", options=options))
    assert fake.one().message is not None
    assert fake.one().message.options == options  # type: ignore[union-attr]


def test_fields_that_are_there_already_stay() -> None:
    """A field of the same name is left as it is, so that redirecting twice names the first recipients."""
    fake = FakeTransport()
    twice = Redirect(Redirect(fake, DEV), "first@corp.example")
    deliver(twice, letter(to="eve@example.net"))
    sent = fake.one()
    assert sent.message is not None
    assert sent.message.headers == (("X-Original-To", "eve@example.net"),)
    assert paths(sent.envelope.rcpt_to) == [DEV]
    assert str(twice) == "redirect(redirect(fake://)?to=dev@corp.example)?to=first@corp.example"


def test_a_transport_without_header_fields_gets_none() -> None:
    """Where no fields can be carried, the recipients are replaced all the same; no subject stays none."""
    fake = FakeTransport(capabilities=Capabilities(headers=False))
    message = letter(to="eve@example.net", subject=None)
    assert deliver(Redirect(fake, DEV, subject_prefix="x"), message).ok
    sent = fake.one()
    assert sent.message is not None
    assert sent.message.headers == ()
    assert sent.message.subject is None


def test_a_long_list_is_cut() -> None:
    """Of hundreds of recipients the first ones are named, and the rest are counted."""
    fake = FakeTransport()
    deliver(Redirect(fake, DEV), letter(to=[f"user{number:03}@example.net" for number in range(100)]))
    assert fake.one().message is not None
    ((_, value),) = fake.one().message.headers  # type: ignore[union-attr]
    assert len(value) <= 820
    named = value.count("@")
    assert value.endswith(f" and {100 - named} more")


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_names_inject_nothing(names: list[str]) -> None:
    """Whatever recipients are called, the fields read back as one line each, and nothing else appears."""
    fake = FakeTransport()
    addresses: list[Address] = []
    for number, name in enumerate(names):
        try:
            addresses.append(Address(f"user{number}@example.net", name=name))
        except AddressError:
            continue
    if not addresses:
        return
    deliver(Redirect(fake, DEV), letter(to=addresses[:1], cc=addresses[1:]))
    read = email.message_from_bytes(fake.one().raw, policy=email.policy.compat32)
    assert set(read.keys()) - {"X-Original-Cc"} == {
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
        "X-Original-To",
    } - ({"Content-Transfer-Encoding"} - set(read.keys())) - ({"Content-Type"} - set(read.keys()))  # fmt: skip
    decoded = email.message_from_bytes(fake.one().raw, policy=email.policy.default)
    assert str(decoded["X-Original-To"]).split() == str(addresses[0]).split()


class Struck(Channel):
    """Is interrupted, and says what it leaves, or nothing."""

    def __init__(self, fake: FakeTransport, delivery: Receipt | DeliveryError | None) -> None:
        super().__init__(fake)
        self.delivery = delivery

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Be interrupted."""
        interruption = Interrupted()
        if self.delivery is not None:
            interruption.__dict__["delivery"] = self.delivery
        raise interruption


@pytest.mark.parametrize("kind", ["receipt", "error", "nothing"])
@both_ways
def test_an_interruption_speaks_of_those_who_were_to_get_it(many: bool, kind: str) -> None:
    """What it carries names the recipients that the message was sent to."""
    fake = FakeTransport()
    redirect = Redirect(fake, DEV)
    receipt = deliver(Redirect(fake, DEV, allow="corp.example"), letter(to=DEV)).receipt
    lost = ConnectError("lost", recipients=receipt.recipients if receipt else ())
    delivery = {"receipt": receipt, "error": lost, "nothing": None}[kind]

    class Opening(FakeTransport):
        def open(self, edge: Edge) -> Channel:
            return Struck(fake, delivery)

    channel = Redirect(Opening(), redirect.to).open(BlockingEdge())
    message = letter(to="eve@example.net")

    async def send() -> None:
        if not many:
            await channel.send(message, Envelope.from_message(message))
        async with aclosing(channel.send_many(each([message]))) as outcomes:
            await anext(outcomes)

    with pytest.raises(Interrupted) as caught:
        run_sync(send())
    if many:
        (left,) = caught.value.outcomes  # type: ignore[attr-defined]
        told = left.receipt or left.error
    else:
        told = getattr(caught.value, "delivery", None)
    if kind == "nothing" and not many:
        assert told is None
    else:
        assert [result.address for result in told.recipients] == ["eve@example.net"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([],), ConfigurationError),
        (("nobody",), AddressError),
        ((DEV, ["no domain"]), AddressError),
        ((DEV, ["a@b@c"]), AddressError),
        ((DEV, ["@"]), AddressError),
        ((DEV, (), "bad\r\nBcc: eve@example.net"), MessageError),
    ],
    ids=str,
)
def test_a_redirection_makes_sense(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    """Nobody to redirect to, what is no address or domain, and a prefix of two lines are refused when it is made."""
    to, allow, prefix = (*arguments, (), "")[:1] + (*arguments[1:], (), "")[:1] + (*arguments[2:], "")[:1]
    with pytest.raises(error):
        Redirect(FakeTransport(), to, allow=allow, subject_prefix=prefix)


def test_an_entry_may_be_an_address() -> None:
    """What the application has as an Address is allowed as such."""
    redirect = Redirect(FakeTransport(), Address(DEV), allow=["Bob@Example.org", "@example.net"])
    assert entry_key(Address("Bob@Example.org")) in redirect.allow
    assert redirect.allows(Address("bOB@example.org"))
    assert redirect.allows(Address("anybody@example.net"))
    assert not redirect.allows(Address("eve@example.org"))
