"""Routes: each recipient's copy through the transport of his route, and one receipt for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.policies.cast import ANN, BOB, CAT, Player, collect, letter, mixed
from tests.policies.clock import SimulatedBlocking

from mailkit.edge.base import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import (
    AddressError,
    ConfigurationError,
    DeliveryError,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    UnsupportedFeatureError,
)
from mailkit.local import NullTransport
from mailkit.message import Message
from mailkit.policies.failover import Failover
from mailkit.policies.route import Route
from mailkit.receipt import Outcome, Receipt
from mailkit.testing import Delivered, FakeTransport, TransportContract
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.address import Address
    from mailkit.transport import Transport


class Trial:
    """A route over three players: example.com to the first, example.org to the second, all others to the third."""

    def __init__(self, *acts: Any, default: bool = True, **settings: Any) -> None:
        self.edge = SimulatedBlocking()
        acts = acts or ("ok", "ok", "ok")
        self.players = [Player(name=name, acts=[act]) for name, act in zip("abc", acts, strict=True)]
        a, b, c = self.players
        routes = {"example.com": a, "example.org": b}
        self.transport = Route(routes, default=c if default else None, **settings)
        self.channel = self.transport.open(self.edge)

    @property
    def asked(self) -> list[list[tuple[str, ...]]]:
        """For whom each was asked."""
        return [player.asked for player in self.players]

    def send(self, *to: str, **fields: Any) -> Receipt:
        """Send one message."""
        message = letter(*to, **fields)
        return run_sync(self.channel.send(message, Envelope.from_message(message)))

    def fail(self, *to: str, **fields: Any) -> Any:
        """Send one message that fails."""
        with pytest.raises(MailkitError) as caught:
            self.send(*to, **fields)
        return caught.value


def _told(ended: Receipt | DeliveryError) -> list[tuple[str, str, str | None]]:
    return [(result.address, result.status, result.transport) for result in ended.recipients]


# -- whose route -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("example.com", "exact"),
        ("EXAMPLE.com", "exact"),
        ("mail.example.com", "below"),
        ("a.b.example.com", "below"),
        ("sub.mail.example.com", "longer"),
        ("other.com", "com"),
        ("com.test", "default"),
        ("bücher.test", "idn"),
        ("xn--bcher-kva.test", "idn"),
        ("[192.0.2.1]", "literal"),
        ("[192.0.2.2]", "default"),
    ],
)
def test_a_domain_has_the_longest_route_that_matches(domain: str, name: str) -> None:
    """A domain itself, then what is below it, the longest first; in any case, in Unicode or in ASCII."""
    names = ["exact", "below", "longer", "com", "idn", "literal", "default"]
    players = {each: Player(name=each) for each in names}
    route = Route(
        {
            "Example.com": players["exact"],
            "*.example.com": players["below"],
            "*.mail.example.com": players["longer"],
            "*.com": players["com"],
            "bücher.test": players["idn"],
            "[192.0.2.1]": players["literal"],
        },
        default=players["default"],
    )
    message = letter(f"bob@{domain}")
    receipt = run_sync(route.open(SimulatedBlocking()).send(message, Envelope.from_message(message)))
    assert receipt.transport == f"{name}://"


def test_a_recipient_without_a_route_is_refused_before_anything_is_sent() -> None:
    """To nobody, since half a message is worse than none."""
    trial = Trial(default=False)
    error = trial.fail(ANN, CAT)
    assert isinstance(error, MessageError)
    assert CAT in str(error)
    assert trial.asked == [[], [], []]


def test_tags_choose_a_route() -> None:
    """The first tag that is one; without any it is the default, as for prepared bytes."""
    a, b, c = (Player(name=name) for name in "abc")
    channel = Route({"news": a, "bills": b}, by="tag", default=c).open(SimulatedBlocking())
    for tags in (["news"], ["x", "bills", "news"], ["x"], []):
        message = letter(tags=tags)
        run_sync(channel.send(message, Envelope.from_message(message)))
    run_sync(channel.send_raw(b"", Envelope(None, [ANN])))
    assert [len(player.asked) for player in (a, b, c)] == [1, 1, 3]


def _by_name(message: Message | None, recipient: Address) -> str | None:
    if recipient.local_part == "cat":
        return None
    return "raw" if message is None else recipient.local_part


def test_a_function_chooses_a_route() -> None:
    """It sees the message, None for prepared bytes, and the recipient; None is the default."""
    players = {name: Player(name=name) for name in ("ann", "bob", "raw", "default")}
    routes = {name: player for name, player in players.items() if name != "default"}
    channel = Route(routes, by=_by_name, default=players["default"]).open(SimulatedBlocking())
    message = letter(ANN, BOB, CAT)
    run_sync(channel.send(message, Envelope.from_message(message)))
    run_sync(channel.send_raw(b"", Envelope(None, [ANN, CAT])))
    assert {name: player.asked for name, player in players.items()} == {
        "ann": [(ANN,)], "bob": [(BOB,)], "raw": [(ANN,)], "default": [(CAT,), (CAT,)],
    }  # fmt: skip


def _raising(error: Exception) -> Callable[[Message | None, Address], str | None]:
    def choose(message: Message | None, recipient: Address) -> str | None:
        raise error

    return choose


@pytest.mark.parametrize(
    ("by", "kind"),
    [
        (_raising(KeyError("x")), MessageError),
        (_raising(AddressError("x")), AddressError),
        (lambda _message, _recipient: "nowhere", ConfigurationError),
    ],
)
def test_a_function_that_fails_fails_its_message_alone(by: Any, kind: type[Exception]) -> None:
    """What it raises is a typed error, a route that there is not is one too, and a stream goes on."""
    player = Player()
    channel = Route({"a": player}, by=by, default=player).open(SimulatedBlocking())
    message = letter()
    with pytest.raises(kind):
        run_sync(channel.send(message, Envelope.from_message(message)))
    assert [type(outcome.error) for outcome in collect(channel, [message, message])] == [kind, kind]
    assert player.asked == []


# -- one message, several ways -----------------------------------------------------------------------------------------


def test_one_route_for_all_is_one_delivery() -> None:
    """The receipt is that of the transport, as it is."""
    trial = Trial()
    receipt = trial.send(ANN, "eve@example.com")
    assert trial.asked == [[(ANN, "eve@example.com")], [], []]
    assert (receipt.transport, receipt.attempts) == ("a://", 1)
    assert {result.transport for result in receipt.recipients} == {None}


def test_recipients_of_different_routes_have_a_copy_each() -> None:
    """Nobody twice, nobody forgotten, the same message for all, and one receipt that says who took whom."""
    trial = Trial()
    message = Message(from_="ada@example.com", to=[BOB, ANN], cc=CAT, bcc="eve@example.com", text="Hi")
    receipt = run_sync(trial.channel.send(message, Envelope.from_message(message)))
    assert trial.asked == [[(ANN, "eve@example.com")], [(BOB,)], [(CAT,)]]
    assert _told(receipt) == [
        (BOB, "accepted", None), (ANN, "accepted", "a://"), (CAT, "accepted", "c://"),
        ("eve@example.com", "accepted", "a://"),
    ]  # fmt: skip
    assert (receipt.transport, receipt.attempts) == ("b://", 3)
    first, second, third = (player.messages[0] for player in trial.players)
    assert first == second == third
    assert isinstance(first, Message)
    assert (receipt.message_id, first.to) == (first.message_id, message.to)


@pytest.mark.parametrize(
    ("acts", "statuses"),
    [
        (("ok", "refused", "busy"), ["accepted", "not_sent", "deferred"]),
        (("no", "ok", "lost"), ["rejected", "accepted", "unknown"]),
        (("broken", "ok", "cannot"), ["rejected", "accepted", "rejected"]),
        (("ok", "not set up", "ok"), ["accepted", "not_sent", "accepted"]),
    ],
)
def test_what_fails_on_one_way_stops_no_other(acts: tuple[str, ...], statuses: list[str]) -> None:
    """Each recipient is told about."""
    assert [result.status for result in Trial(*acts).send(ANN, BOB, CAT).recipients] == statuses


@pytest.mark.parametrize(
    ("acts", "kind", "outcome", "cause", "retry_after"),
    [
        (("refused", "slow down", "bad password"), DeliveryError, "not_sent", "transient", None),
        (("slow down", "slow down", "bad password"), DeliveryError, "not_sent", "throttled", 7.0),
        (("not set up", "bad password", "not set up"), DeliveryError, "not_sent", "configuration", None),
        (("refused", "busy", "refused"), DeliveryError, "deferred", "transient", None),
        (("refused", "broken", "refused"), RejectedError, "rejected", None, None),
        (("no", "lost", "refused"), OutcomeUnknownError, "unknown", None, None),
        (("broken", "broken", "broken"), MessageError, None, None, None),
        (("cannot", "cannot", "not set up"), UnsupportedFeatureError, None, None, None),
    ],
)  # fmt: skip
def test_where_nobody_was_accepted_the_error_says_the_worst(
    acts: tuple[str, ...], kind: type, outcome: str | None, cause: str | None, retry_after: float | None
) -> None:
    """With what each way said as its cause."""
    error = Trial(*acts).fail(ANN, BOB, CAT)
    assert isinstance(error, kind)
    if isinstance(error, DeliveryError):
        assert (error.outcome, error.cause, error.retry_after) == (outcome, cause, retry_after)
        assert [result.address for result in error.recipients] == [ANN, BOB, CAT]
        assert isinstance(error.__cause__, ExceptionGroup)
        assert error.message_id == "1@example.com"


def test_a_doubt_is_safe_to_repeat_where_each_of_them_is() -> None:
    """A recipient has the same route the next time, where the key is known."""
    assert Trial("lost", "lost", "ok").fail(ANN, BOB).idempotent
    assert not Trial("lost", "taken and lost", "ok").fail(ANN, BOB).idempotent
    assert Trial("lost", "ok", "ok").fail(ANN).idempotent


def test_what_one_of_the_transports_cannot_express_is_sent_to_nobody() -> None:
    """It is found out before anything is sent, also for prepared bytes."""
    trial = Trial()
    trial.players[1].capabilities = Capabilities()
    channel = trial.transport.open(trial.edge)
    message = letter(ANN, BOB, tags=["x"])
    with pytest.raises(UnsupportedFeatureError) as caught:
        run_sync(channel.send(message, Envelope.from_message(message)))
    assert (caught.value.feature, caught.value.transport) == ("tags", "b://")
    with pytest.raises(UnsupportedFeatureError) as caught:
        run_sync(channel.send_raw(b"", Envelope(None, [ANN, BOB])))
    assert (caught.value.feature, caught.value.transport) == ("raw", "b://")
    assert trial.asked == [[], [], []]


def test_prepared_bytes_have_routes_too() -> None:
    """The same bytes for all."""
    trial = Trial("ok", "no", "broken")
    receipt = run_sync(trial.channel.send_raw(b"x", Envelope(None, [ANN, BOB, CAT])))
    assert [result.status for result in receipt.recipients] == ["accepted", "rejected", "rejected"]
    assert [player.messages for player in trial.players] == [[b"x"]] * 3


def test_an_interruption_says_what_became_of_each_part() -> None:
    """Sent, in doubt, and not begun."""
    trial = Trial("ok", KeyboardInterrupt(), "ok")
    with pytest.raises(KeyboardInterrupt) as caught:
        trial.send(ANN, BOB, CAT)
    delivery: Receipt = caught.value.__dict__["delivery"]
    assert [result.status for result in delivery.recipients] == ["accepted", "unknown", "not_sent"]


def test_a_transport_of_several_routes_is_opened_once() -> None:
    """And has all of their recipients in one delivery."""
    player = Player()
    channel = Route({"example.com": player, "example.org": player}, default=player).open(SimulatedBlocking())
    message = letter(ANN, BOB, CAT)
    run_sync(channel.send(message, Envelope.from_message(message)))
    assert player.asked == [(ANN, BOB, CAT)]
    run_sync(channel.close())
    assert player.closed == 1


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_keeps_the_streams_of_its_routes() -> None:
    """Messages of one route go as one stream, messages of several part by part, and all outcomes come in order."""
    trial = Trial()
    messages = [
        letter(*to, number=number) for number, to in enumerate([(ANN,), (BOB,), (ANN, BOB), (CAT,), (ANN,)] * 3)
    ]
    outcomes = collect(trial.channel, messages)
    assert [outcome.message for outcome in outcomes] == messages
    assert all(outcome.ok for outcome in outcomes)
    assert [player.streams for player in trial.players] == [[6], [3], [3]]
    assert [len(player.asked) for player in trial.players] == [9, 6, 3]


def test_a_message_of_a_stream_without_a_route_stops_nobody() -> None:
    """Its outcome says so, in its place."""
    trial = Trial(default=False)
    outcomes = collect(trial.channel, [letter(ANN), letter(ANN, CAT), letter(BOB)])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), MessageError, type(None)]


def test_an_interrupted_stream_says_what_became_of_each_part() -> None:
    """Whatever was sent of a message is in its outcome."""
    trial = Trial(mixed("accepted"), KeyboardInterrupt(), "ok")
    with pytest.raises(KeyboardInterrupt) as caught:
        collect(trial.channel, [letter(ANN, BOB)])
    (left,) = caught.value.__dict__["outcomes"]
    assert isinstance(left, Outcome)
    ended = left.receipt or left.error
    assert isinstance(ended, Receipt | DeliveryError)
    told = {result.address: result.status for result in ended.recipients}
    assert told[BOB] == "unknown"
    assert (told[ANN] == "accepted") is bool(trial.players[0].took)


# -- as a value --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("routes", "settings"),
    [
        ({}, {}), ([], {}), ("example.com", {}), ({"example.com": "smtp://host"}, {}), ({"": NullTransport()}, {}),
        ({"a..b": NullTransport()}, {}), ({"*.": NullTransport()}, {}), ({"a@b": NullTransport()}, {}),
        ({3: NullTransport()}, {}), ({"a.test": NullTransport(), "A.test": NullTransport()}, {}),
        ({"a.test": NullTransport()}, {"by": "subject"}), ({"a.test": NullTransport()}, {"default": "smtp://host"}),
        ({"*": NullTransport()}, {}),
    ],
)  # fmt: skip
def test_routes_that_make_no_sense_are_refused(routes: Any, settings: dict[str, Any]) -> None:
    """Transports by valid domains, and one of three ways to choose."""
    with pytest.raises(ConfigurationError):
        Route(routes, **settings)


def test_it_is_a_value() -> None:
    """It can be compared and hashed, cannot be changed, and says what it is without secrets."""
    routes: dict[str, Transport] = {"example.com": NullTransport()}
    route = Route(routes, default=NullTransport())
    assert route == Route({"EXAMPLE.COM": NullTransport()}, default=NullTransport())
    assert hash(route) == hash(Route(dict(routes), default=NullTransport()))
    routes["example.org"] = NullTransport()
    assert "example.org" not in route.routes
    assert str(route) == "route(example.com=null:// *=null://)"
    assert str(Route(routes, by=_by_name)) == "route(example.com=null:// example.org=null://)?by=<_by_name>"
    assert route.capabilities == NullTransport().capabilities
    assert not route.open(SimulatedBlocking()).is_all_or_nothing


def test_routes_nest() -> None:
    """A route may lead to a failover, whose receipt names who took the message."""
    a, b = Player(name="a", acts=["refused"]), Player(name="b")
    channel = Route({"example.com": Failover(a, b)}, default=NullTransport()).open(SimulatedBlocking())
    message = letter(ANN, CAT)
    receipt = run_sync(channel.send(message, Envelope.from_message(message)))
    assert _told(receipt) == [(ANN, "accepted", None), (CAT, "accepted", "null://")]
    assert receipt.transport == "b://"


class TestContract(TransportContract):
    """A route keeps every promise of a transport."""

    def make_transport(self) -> Transport:
        """Two ways to one fake."""
        self.fake = FakeTransport()
        return Route({"example.net": self.fake}, default=self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake has."""
        return [Delivered(content=sent.raw) for sent in self.fake.outbox]

    def name_of(self, transport: Transport) -> str:
        """The fake's name."""
        del transport
        return "fake://"
