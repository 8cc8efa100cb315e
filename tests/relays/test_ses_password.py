"""The SMTP password of Amazon SES, against the vectors of another implementation of AWS's algorithm."""

from __future__ import annotations

import base64

import pytest

from mailkit.relays.ses_password import ses_password
from mailkit.secret import Secret


# From the tests of Terraform's AWS provider (internal/service/iam/access_key_test.go), which creates such passwords.
@pytest.mark.parametrize(
    ("secret", "region", "password"),
    [
        ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("another+secret+key", "eu-central-1", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("some+secret+key", "us-west-1", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("another+secret+key", "us-west-1", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
    ],
)
def test_a_secret_key_makes_a_password(secret: str, region: str, password: str) -> None:
    """It is the one that another implementation makes; made again from itself, it is the same."""
    made = ses_password(secret, region)
    assert made.reveal() == password
    assert ses_password(made, region) == made


def test_what_is_no_password_yet() -> None:
    """Only 33 octets with the version in front are a password: a secret key of 40 characters has 30."""
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for given in (secret, base64.b64encode(b"\x02" + bytes(32)).decode(), base64.b64encode(b"\x04").decode()):
        made = ses_password(given, "eu-west-1")
        assert made != Secret(given)
        assert len(base64.b64decode(made.reveal())) == 33
