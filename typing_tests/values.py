"""Values, down to their last attribute: what a caller may read, and as what."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from datetime import UTC, datetime
from typing import Any, Literal, assert_type

import tenacity

from mailkit import (
    Address,
    AddressError,
    AsyncMailer,
    Attachment,
    DeliveryError,
    Envelope,
    Mailer,
    Message,
    MessageBuilder,
    Outcome,
    RecipientResult,
    Reply,
    RetryPolicy,
    Template,
    UnsupportedFeatureError,
)
from mailkit.errors import Cause, DeliveryOutcome
from mailkit.mail_parameters import MailParameters, Notify, RcptParameters
from mailkit.message import Calendar, ListUnsubscribe
from mailkit.receipt import Progress, Status
from mailkit.secret import Secret


def an_address_has_parts(address: Address) -> None:
    assert_type(Address.coerce("ada@example.com"), Address)
    assert_type(Address.coerce(address), Address)
    assert_type(Address.parse_many("ada@example.com"), tuple[Address, ...])
    assert_type(Address.parse_many(["ada@example.com", address]), tuple[Address, ...])
    assert_type((address.local_part, address.domain, address.ascii_domain), tuple[str, str, str])
    assert_type(address.needs_smtputf8, bool)


def an_attachment_is_read(attachment: Attachment) -> None:
    assert_type(Attachment.from_stream(io.BytesIO(b"x"), "x.bin", limit=1000), Attachment)
    assert_type(Attachment.from_text("a;b", "a.csv", "text/csv", charset="utf-8"), Attachment)
    assert_type(Attachment.from_message(b"Subject: x\r\n\r\n"), Attachment)
    assert_type(Attachment.from_message(Message(from_="ada@example.com")), Attachment)
    assert_type(Attachment.from_path("a.png", content_id="a", disposition="inline", root="/srv"), Attachment)
    assert_type(attachment.evolve(filename="b.png"), Attachment)
    assert_type((attachment.filename, attachment.media_type), tuple[str | None, str])
    assert_type(attachment.disposition, Literal["attachment", "inline"])
    assert_type((attachment.size, attachment.is_inline, attachment.read()), tuple[int, bool, bytes])
    assert_type(attachment.iter_blocks(4096), Iterator[bytes])
    with attachment.open() as file:
        assert_type(file.read(), bytes)


def a_message_has_fields(message: Message) -> None:
    Message(amp="<html ⚡4email>", calendar="BEGIN:VCALENDAR", list_unsubscribe=["https://example.com/u"])
    Message(calendar=Calendar("BEGIN:VCALENDAR", method="REQUEST"), headers=[("X-A", "1"), ("X-A", "2")])
    Message(list_unsubscribe=ListUnsubscribe("https://example.com/u", one_click=True), return_path="")
    assert_type(message.completed(Message(), date=datetime.now(UTC), message_id="1@example.com"), Message)
    assert_type((message.size, message.amp), tuple[int, str | None])
    assert_type(message.calendar, Calendar | None)
    assert_type(message.headers, tuple[tuple[str, str], ...])
    assert_type(message.metadata, Mapping[str, str])
    assert_type(message.list_unsubscribe, ListUnsubscribe | None)
    assert_type(message.template, Template | None)
    assert_type(message.return_path, Address | Literal[""] | None)
    assert_type(Calendar.coerce("BEGIN:VCALENDAR").method, str)
    assert_type(ListUnsubscribe.coerce("https://example.com/u").targets, tuple[str, ...])
    template = Template("welcome", {"name": "Bob"})
    assert_type((template.id, template.data), tuple[str | int, Mapping[str, Any]])


def a_builder_chains() -> None:
    builder = (
        MessageBuilder()
        .from_("ada@example.com").sender("office@example.com").to("bob@example.org").date(datetime.now(UTC))
        .message_id("2@example.com").in_reply_to("1@example.com").references("0@example.com", "1@example.com")
        .return_path("bounces@example.com").amp("<html ⚡4email>").calendar("BEGIN:VCALENDAR")
        .track_opens(False).track_clicks().send_at(datetime.now(UTC)).template("welcome", {"name": "Bob"})
        .idempotency_key("1").options("postmark", MessageStream="outbound")
    )  # fmt: skip
    assert_type(builder, MessageBuilder)


def an_envelope_has_parameters(address: Address) -> None:
    notify: Notify = "NEVER"
    envelope = Envelope(
        "ada@example.com",
        ["bob@example.org"],
        mail_parameters=MailParameters(
            ret="HDRS", envid="1", require_tls=True, priority=3, deliver_by=60, deliver_by_mode="R",
            hold_until=datetime.now(UTC), submitter="<>",
        ),
        rcpt_parameters=RcptParameters(notify=["FAILURE", "DELAY"], orcpt="rfc822;bob@example.org"),
        exceptions={"bob@example.org": RcptParameters(notify=notify)},
    )  # fmt: skip
    assert_type(envelope.parameters_for(address), RcptParameters)
    assert_type(envelope.parameters_for(address).notify, tuple[Notify, ...] | None)
    assert_type(envelope.mail_parameters.ret, Literal["FULL", "HDRS"] | None)
    assert_type((envelope.needs_smtputf8, envelope.needs_dsn), tuple[bool, bool])


def a_reply_says_what_it_is(reply: Reply, result: RecipientResult) -> None:
    assert_type((reply.code, reply.text, reply.enhanced_code), tuple[int, str, str | None])
    kinds = (reply.is_positive, reply.is_intermediate, reply.is_transient, reply.is_permanent)
    assert_type(kinds, tuple[bool, bool, bool, bool])
    assert_type((result.phase, result.retry_after), tuple[str | None, float | None])
    assert_type(result.status, Status)


def an_error_has_all_the_facts(error: DeliveryError, address: AddressError, feature: UnsupportedFeatureError) -> None:
    assert_type(error.outcome, DeliveryOutcome)
    assert_type(error.cause, Cause | None)
    assert_type((error.phase, error.attempts, error.message_id), tuple[str | None, int, str | None])
    DeliveryError("busy", outcome="deferred", cause="throttled", retry_after=5.0, recipients=[], reply=Reply(450))
    assert_type((address.value, address.position), tuple[str, int | None])
    assert_type((feature.feature, feature.transport), tuple[str, str])


def a_secret_is_revealed_on_purpose(secret: Secret) -> None:
    assert_type(Secret.coerce("x"), Secret)
    assert_type(Secret.coerce(secret).reveal(), str)


def a_policy_takes_tenacity_s_objects_and_functions(error: DeliveryError) -> None:
    policy = RetryPolicy(
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=10), stop=tenacity.stop_after_delay(9)
    )
    RetryPolicy(
        wait=lambda state: state.attempt_number * 1.0, stop=lambda state: state.attempt_number > 2, deadline=None
    )
    assert_type(RetryPolicy.none(), RetryPolicy)
    assert_type(policy.allows(error), bool)
    assert_type(policy.undecided, frozenset[Status])


def a_stream_is_closed_at_will(mailer: Mailer, message: Message) -> None:
    def told(progress: Progress) -> None:
        assert_type((progress.done, progress.failed, progress.latest), tuple[int, int, Outcome])

    outcomes = mailer.send_many([message], window=8, on_progress=told)
    assert_type(outcomes, Generator[Outcome, None, None])
    with closing(outcomes):
        assert_type(next(outcomes), Outcome)


async def an_async_stream_too(mailer: AsyncMailer, message: Message) -> None:
    outcomes = mailer.send_many([message], on_progress=print)
    assert_type(outcomes, AsyncGenerator[Outcome, None])
    async with aclosing(outcomes):
        assert_type(await anext(outcomes), Outcome)
