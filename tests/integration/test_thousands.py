"""Thousands of messages to each real server, some refused and some deferred: what is accepted is what arrives, exactly.

The messages differ in what could be mixed up: recipients and their number, subject, body and its length.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mailkit import DeliveryError, Mailer, RetryPolicy
from mailkit.smtp import SMTP

from .letters import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit import Message, Outcome

    from .dovecot import Dovecot
    from .maildir import MaildirTree
    from .opensmtpd import OpenSMTPD
    from .postfix import Postfix

MESSAGES = 1_500


def messages(domain: str, count: int) -> Iterator[Message]:
    """As many messages; of each hundred seven are refused, five deferred and nine partly refused."""
    for number in range(count):
        match number % 100:
            case 3 | 13 | 14 | 15 | 16 | 71 | 99:
                users = ["refused"]
            case 5 | 25 | 45 | 65 | 85:
                users = ["deferred"]
            case 8 | 18 | 28 | 38 | 48 | 58 | 68 | 78 | 88:
                users = [f"first{number % 60}", "refused", f"second{number % 60}", "deferred"]
            case _:
                users = [f"user{number % 60}"]
        text = f"Body of number {number}\n" + f".{number} and more of it\n" * (number % 50)
        yield note([f"{user}@{domain}" for user in users], subject=f"number {number}", text=text)


def check(outcomes: list[Outcome], mailboxes: MaildirTree, domain: str, count: int) -> None:
    """Assert that every outcome is the one expected, and that exactly the accepted copies have been delivered."""
    expected: Counter[tuple[str, str, str]] = Counter()
    for number, (message, outcome) in enumerate(zip(messages(domain, count), outcomes, strict=True)):
        assert outcome.message.subject == message.subject == f"number {number}"
        first = message.to[0].email.partition("@")[0]
        if first in {"refused", "deferred"}:
            assert isinstance(outcome.error, DeliveryError)
            assert outcome.error.outcome == {"refused": "rejected"}.get(first, first)
            continue
        assert outcome.receipt is not None
        good = [each.email for each in message.to if each.email.partition("@")[0] not in {"refused", "deferred"}]
        assert [each.address for each in outcome.receipt.accepted] == good
        expected.update((recipient, f"number {number}", message.text or "") for recipient in good)
    delivered = mailboxes.wait(f"@{domain}", count=expected.total(), seconds=60)
    got = [(each.recipient, each.message) for each in delivered]
    assert Counter((recipient, str(m["Subject"]), m.get_content()) for recipient, m in got) == expected


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("port", ["smtp", "no_chunking"])
def test_postfix(postfix: Postfix, domain: str, port: str, connections: int) -> None:
    """Postfix, by BDAT and by DATA in groups."""
    transport = SMTP("127.0.0.1", port=getattr(postfix.ports, port), tls="insecure")
    with Mailer(transport, retry=RetryPolicy.none()) as mailer:
        outcomes = list(mailer.send_many(messages(domain, MESSAGES), connections=connections))
    check(outcomes, postfix.mailboxes, domain, MESSAGES)


@pytest.mark.parametrize("connections", [1, 4])
def test_dovecot_submission(dovecot: Dovecot, postfix: Postfix, domain: str, connections: int) -> None:
    """Dovecot's submission service over TLS, in front of Postfix."""
    account = dovecot.accounts["any"]
    transport = SMTP(
        "127.0.0.1",
        port=dovecot.ports.submissions,
        tls="implicit",
        ca_file=dovecot.ca_file,
        username=account.username,
        password=account.password,
    )
    with Mailer(transport, retry=RetryPolicy.none()) as mailer:
        outcomes = list(mailer.send_many(messages(domain, MESSAGES), connections=connections))
    check(outcomes, postfix.mailboxes, domain, MESSAGES)


@pytest.mark.parametrize("connections", [1, 4])
def test_dovecot_lmtp(dovecot: Dovecot, domain: str, connections: int) -> None:
    """Dovecot's LMTP, whose answers come one for each recipient."""
    with Mailer(f"lmtp://{dovecot.lmtp_socket}", retry=RetryPolicy.none()) as mailer:
        outcomes = list(mailer.send_many(messages(domain, MESSAGES), connections=connections))
    check(outcomes, dovecot.mailboxes, domain, MESSAGES)


def test_opensmtpd(opensmtpd: OpenSMTPD, domain: str) -> None:
    """OpenSMTPD, one command at a time: after a hundred messages it ends a session, and another takes over."""
    url = f"smtp://127.0.0.1:{opensmtpd.port}"
    with Mailer(url, retry=RetryPolicy.none()) as mailer:
        outcomes = list(mailer.send_many(messages(domain, MESSAGES), connections=4))
    check(outcomes, opensmtpd.mailboxes, domain, MESSAGES)
