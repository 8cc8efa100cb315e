"""Each row of the table, and each of its regions, leads to the host, port, TLS policy and user that are expected."""

from __future__ import annotations

import re

import pytest

from mailkit.registry import schemes
from mailkit.relays import RELAYS
from mailkit.smtp import SMTP
from mailkit.url import transport_from_url

KEY = "KEY-dE4db33f"

# user information, region; host, port, policy, user name, password
EXPECTED = {
    "alibaba": [
        ("a%40b.test:pw", None, "smtpdm.aliyun.com", 465, "implicit", "a@b.test", "pw"),
        ("a%40b.test:pw", "cn-hangzhou", "smtpdm.aliyun.com", 465, "implicit", "a@b.test", "pw"),
        ("u:pw", "ap-southeast-1", "smtpdm-ap-southeast-1.aliyuncs.com", 465, "implicit", "u", "pw"),
        ("u:pw", "us-east-1", "smtpdm-us-east-1.aliyuncs.com", 465, "implicit", "u", "pw"),
        ("u:pw", "eu-central-1", "smtpdm-eu-central-1.aliyuncs.com", 465, "implicit", "u", "pw"),
    ],
    "aoksend": [("u:pw", None, "smtp.aoksend.com", 587, "starttls", "u", "pw")],
    "brevo": [("u:pw", None, "smtp-relay.brevo.com", 465, "implicit", "u", "pw")],
    "cloudflare": [(KEY, None, "smtp.mx.cloudflare.net", 465, "implicit", "api_token", KEY)],
    "fastmail": [("u:pw", None, "smtp.fastmail.com", 465, "implicit", "u", "pw")],
    "gmail": [("u%40gmail.com:pw", None, "smtp.gmail.com", 465, "implicit", "u@gmail.com", "pw")],
    "lettermint": [(KEY, None, "smtp.lettermint.co", 465, "implicit", "lettermint", KEY)],
    "mailersend": [("u:pw", None, "smtp.mailersend.net", 587, "starttls", "u", "pw")],
    "mailgun": [
        ("u:pw", None, "smtp.mailgun.org", 465, "implicit", "u", "pw"),
        ("u:pw", "us", "smtp.mailgun.org", 465, "implicit", "u", "pw"),
        ("u:pw", "eu", "smtp.eu.mailgun.org", 465, "implicit", "u", "pw"),
    ],
    "mailjet": [("u:pw", None, "in-v3.mailjet.com", 587, "starttls", "u", "pw")],
    "mailtrap": [
        (KEY, None, "live.smtp.mailtrap.io", 587, "starttls", "api", KEY),
        (KEY, "transactional", "live.smtp.mailtrap.io", 587, "starttls", "api", KEY),
        (KEY, "bulk", "bulk.smtp.mailtrap.io", 587, "starttls", "api", KEY),
    ],
    "mandrill": [
        (KEY, None, "smtp.mandrillapp.com", 465, "implicit", "mandrill", KEY),
        (f"anybody:{KEY}", None, "smtp.mandrillapp.com", 465, "implicit", "anybody", KEY),
    ],
    "microsoft365": [("u:pw", None, "smtp.office365.com", 587, "starttls", "u", "pw")],
    "outlook": [("u:pw", None, "smtp-mail.outlook.com", 587, "starttls", "u", "pw")],
    "postmark": [
        (KEY, None, "smtp.postmarkapp.com", 587, "starttls", KEY, KEY),
        (KEY, "transactional", "smtp.postmarkapp.com", 587, "starttls", KEY, KEY),
        ("access:secret", "broadcast", "smtp-broadcasts.postmarkapp.com", 587, "starttls", "access", "secret"),
    ],
    "resend": [(KEY, None, "smtp.resend.com", 465, "implicit", "resend", KEY)],
    "scaleway": [("project:pw", None, "smtp.tem.scaleway.com", 465, "implicit", "project", "pw")],
    "sendcloud": [("u:pw", None, "smtp.sendcloud.net", 587, "starttls", "u", "pw")],
    "sendgrid": [
        (KEY, None, "smtp.sendgrid.net", 465, "implicit", "apikey", KEY),
        (f"apikey:{KEY}", "global", "smtp.sendgrid.net", 465, "implicit", "apikey", KEY),
        (KEY, "eu", "smtp.eu.sendgrid.net", 465, "implicit", "apikey", KEY),
    ],
    "ses": [
        (
            *("AKID:some+secret+key", "eu-central-1", "email-smtp.eu-central-1.amazonaws.com", 465, "implicit"),
            *("AKID", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ),
    ],
    "sparkpost": [
        (KEY, None, "smtp.sparkpostmail.com", 587, "starttls", "SMTP_Injection", KEY),
        (KEY, "us", "smtp.sparkpostmail.com", 587, "starttls", "SMTP_Injection", KEY),
        (KEY, "eu", "smtp.eu.sparkpostmail.com", 587, "starttls", "SMTP_Injection", KEY),
    ],
    "tencent": [
        ("u:pw", None, "smtp.qcloudmail.com", 465, "implicit", "u", "pw"),
        ("u:pw", "ap-hongkong", "smtp.qcloudmail.com", 465, "implicit", "u", "pw"),
        ("u:pw", "ap-guangzhou", "gz-smtp.qcloudmail.com", 465, "implicit", "u", "pw"),
        ("u:pw", "ap-singapore", "sg-smtp.qcloudmail.com", 465, "implicit", "u", "pw"),
    ],
}


def test_every_row_is_expected() -> None:
    """No relay and no region of one is without a line above, and each has a scheme."""
    assert set(EXPECTED) == set(RELAYS)
    for name, rows in EXPECTED.items():
        regions = {row[1] for row in rows}
        assert {region for region in RELAYS[name].hosts if region and "{" not in region} <= regions, name
    assert {f"{name}+smtp" for name in RELAYS} == {scheme for scheme in schemes() if scheme.endswith("+smtp")}


@pytest.mark.parametrize(("name", "row"), [(name, row) for name, rows in EXPECTED.items() for row in rows])
def test_a_url_leads_there(name: str, row: tuple[str, str | None, str, int, str, str, str]) -> None:
    """The URL makes an SMTP transport with everything filled in."""
    user, region, host, port, policy, username, password = row
    transport = transport_from_url(f"{name}+smtp://{user}@default" + (f"?region={region}" if region else ""))
    assert isinstance(transport, SMTP)
    assert (transport.host, transport.effective_port, transport.security) == (host, port, policy)
    assert transport.username == username
    assert transport.password is not None
    assert transport.password.reveal() == password
    assert transport.mechanism is None, "the best that the server offers"


@pytest.mark.parametrize("name", sorted(RELAYS))
def test_every_row_says_where_it_is_from(name: str) -> None:
    """A row has the provider's page, hosts that are names, and ports without repetition."""
    row = RELAYS[name]
    assert row.name == name
    assert row.source.startswith("https://")
    assert all(
        re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host.format(region="eu-west-1")) for host in row.hosts.values()
    )
    assert len(set(row.ports)) == len(row.ports) > 0
    assert bool(row.username) == (row.names in {"fixed", "any"})
