from __future__ import annotations

import pickle

import pytest
from attrs import evolve

from mailkit.address import Address
from mailkit.envelope import Envelope
from mailkit.errors import AddressError, MessageError
from mailkit.mail_parameters import MailParameters, RcptParameters
from mailkit.message import Message


def _paths(envelope: Envelope) -> tuple[str | None, list[str]]:
    sender = envelope.mail_from
    return None if sender is None else sender.addr_spec, [path.addr_spec for path in envelope.rcpt_to]


@pytest.mark.parametrize("value", [None, "", "<>"])
def test_the_null_reverse_path_can_be_written_in_three_ways(value: str | None) -> None:
    """None, the empty string and ``<>`` all mean that nothing bounces."""
    assert Envelope(value, "bob@example.org").mail_from is None


@pytest.mark.parametrize("value", [["ada@example.com"], {}, 7, b"ada@example.com"])
def test_what_is_no_address_is_no_reverse_path(value: object) -> None:
    """A list, even of one address, is refused with a mailkit error."""
    with pytest.raises(AddressError):
        Envelope(value, "bob@example.org")  # type: ignore[arg-type]


def test_one_recipient_or_many() -> None:
    """A single address, a list and a generator will do; str and Address can be mixed."""
    assert _paths(Envelope("ada@example.com", "bob@example.org")) == ("ada@example.com", ["bob@example.org"])
    mixed = (each for each in ["bob@example.org", Address("eve@example.net", name="Eve")])
    assert _paths(Envelope("ada@example.com", mixed)) == ("ada@example.com", ["bob@example.org", "eve@example.net"])


def test_a_text_is_one_recipient_and_never_a_list() -> None:
    """No list is taken out of a string."""
    with pytest.raises(AddressError):
        Envelope("ada@example.com", "bob@example.org, eve@example.net")


@pytest.mark.parametrize("nobody", [(), [], iter(())])
def test_an_envelope_without_recipients_is_an_error(nobody: object) -> None:
    """Nobody to send to is noticed before any I/O, and the message says what to give."""
    with pytest.raises(MessageError, match="give at least one of to, cc and bcc"):
        Envelope("ada@example.com", nobody)  # type: ignore[arg-type]


def test_a_repeated_recipient_gets_one_copy() -> None:
    """What is the same on the wire is one recipient: by A-label, whatever the display name; the order is kept."""
    envelope = Envelope(
        None, ["bob@bücher.test", "eve@example.net", Address("bob@xn--bcher-kva.test", name="Bob"), "eve@EXAMPLE.net"]
    )
    assert _paths(envelope) == (None, ["bob@xn--bcher-kva.test", "eve@example.net"])


def test_local_parts_that_differ_in_case_are_two() -> None:
    """Only the domain's case means nothing (RFC 5321 §2.4)."""
    assert len(Envelope(None, ["Bob@example.org", "bob@example.org"]).rcpt_to) == 2


@pytest.mark.parametrize(
    ("fields", "mail_from"),
    [
        ({}, "ada@example.com"),
        ({"sender": "office@example.com"}, "office@example.com"),
        ({"return_path": "bounces@example.com"}, "bounces@example.com"),
        ({"sender": "office@example.com", "return_path": "bounces@example.com"}, "bounces@example.com"),
        ({"return_path": ""}, None),
        ({"sender": "office@example.com", "return_path": ""}, None),
    ],
)
def test_who_gets_the_bounces(fields: dict[str, str], mail_from: str | None) -> None:
    """The return_path, else the sender, else the author; an empty return_path is the null one."""
    message = Message(from_="ada@example.com", to="bob@example.org", **fields)  # type: ignore[arg-type]
    assert _paths(Envelope.from_message(message))[0] == mail_from


def test_to_cc_and_bcc_are_all_recipients() -> None:
    """Bcc is in the envelope, after To and Cc, and a recipient in two of them is one."""
    message = Message(
        from_="ada@example.com", to=["b@example.org", "c@example.org"], cc=["d@example.org", "b@example.org"],
        bcc="e@example.org",
    )  # fmt: skip
    assert _paths(Envelope.from_message(message))[1] == [
        "b@example.org", "c@example.org", "d@example.org", "e@example.org",
    ]  # fmt: skip


def test_a_message_without_an_author_has_no_envelope() -> None:
    """The error says that a mailer's defaults can name the author."""
    with pytest.raises(MessageError, match=r"set from_, or give the mailer defaults=Message\(from_=…\)"):
        Envelope.from_message(Message(to="bob@example.org", sender="office@example.com"))


def test_a_message_without_recipients_has_no_envelope() -> None:
    """Nobody in To, Cc and Bcc is an error."""
    with pytest.raises(MessageError, match="no recipient"):
        Envelope.from_message(Message(from_="ada@example.com"))


@pytest.mark.parametrize(
    ("mail_from", "rcpt_to", "needs"),
    [
        ("ada@example.com", "bob@bücher.test", False),
        ("zoë@example.com", "bob@example.org", True),
        ("ada@example.com", ["bob@example.org", "用户@example.org"], True),
        (None, "bob@example.org", False),
        (None, "zoë@example.org", True),
    ],
)
def test_smtputf8_is_needed_for_local_parts_only(mail_from: str | None, rcpt_to: str, *, needs: bool) -> None:
    """A domain has an ASCII form, a local part has none."""
    assert Envelope(mail_from, rcpt_to).needs_smtputf8 is needs


def test_options_of_the_message_become_parameters() -> None:
    """What is asked for all recipients, and for one of them instead, is found by address."""
    message = Message(
        from_="ada@example.com",
        to=["bob@example.org", "eve@bücher.test"],
        options={"smtp": {"ret": "HDRS", "notify": "FAILURE", "recipients": {"bob@example.org": {"notify": "NEVER"}}}},
    )
    envelope = Envelope.from_message(message)
    bob, eve = envelope.rcpt_to
    assert envelope.mail_parameters == MailParameters(ret="HDRS")
    assert envelope.parameters_for(bob) == RcptParameters(notify="NEVER")
    assert envelope.parameters_for(eve) == RcptParameters(notify="FAILURE")


def test_options_for_a_stranger_are_an_error() -> None:
    """An exception for somebody who gets no copy is a slip; a recipient may be written in any form."""
    given = {"from_": "ada@example.com", "to": "bob@bücher.test"}
    options = {"smtp": {"recipients": {"bob@xn--bcher-kva.test": {"notify": "NEVER"}}}}
    assert Envelope.from_message(Message(**given, options=options)).needs_dsn  # type: ignore[arg-type]
    options["smtp"]["recipients"]["eve@example.net"] = {"notify": "NEVER"}
    with pytest.raises(MessageError, match=r"names eve@example\.net, to whom the message does not go"):
        Envelope.from_message(Message(**given, options=options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parameters", "needs"),
    [
        ({}, False),
        ({"mail_parameters": MailParameters(envid="1")}, True),
        ({"rcpt_parameters": RcptParameters(notify="NEVER")}, True),
        ({"exceptions": {"bob@example.org": RcptParameters(orcpt="rfc822;b@example.org")}}, True),
        ({"mail_parameters": MailParameters(priority=3)}, False),
    ],
)
def test_dsn_is_needed_where_anybody_asks_for_it(parameters: dict[str, object], *, needs: bool) -> None:
    """One recipient's wish is enough."""
    assert Envelope(None, "bob@example.org", **parameters).needs_dsn is needs  # type: ignore[arg-type]


def test_without_exceptions_everybody_has_the_same() -> None:
    """The common case looks nothing up."""
    envelope = Envelope(None, "bob@example.org", rcpt_parameters=RcptParameters(notify="DELAY"))
    assert envelope.parameters_for(envelope.rcpt_to[0]).notify == ("DELAY",)


def test_an_envelope_is_a_value() -> None:
    """It hashes, pickles and is changed by copy, its parameters kept."""
    envelope = Envelope("ada@example.com", "bob@example.org", mail_parameters=MailParameters(ret="FULL"))
    assert pickle.loads(pickle.dumps(envelope)) == envelope
    assert hash(envelope) == hash(
        Envelope("ada@example.com", "bob@example.org", mail_parameters=MailParameters(ret="FULL"))
    )
    changed = evolve(envelope, rcpt_to=["eve@example.net"])
    assert changed.mail_parameters == envelope.mail_parameters
    assert _paths(changed) == ("ada@example.com", ["eve@example.net"])
