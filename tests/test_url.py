from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit.errors import ConfigurationError
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smtp://mail.example.com", "smtp://mail.example.com:587"),
        ("smtp://ada:hunter2@mail.example.com:2525", "smtp://mail.example.com:2525"),
        ("smtps://ada:hunter2@mail.example.com", "smtps://mail.example.com:465"),
        ("smtp://ada:hunter2@[2001:db8::1]", "smtp://[2001:db8::1]:587"),
        ("smtp://ada:hunter2@b%C3%BCcher.test", "smtp://xn--bcher-kva.test:587"),
        ("sendmail://", "sendmail:///usr/sbin/sendmail"),
        ("console://", "console://"),
        ("memory://", "memory://"),
        ("null://", "null://"),
    ],
)
def test_a_transport_names_itself_without_its_secrets(url: str, name: str) -> None:
    """``str`` is a URL with host and port and nothing to hide, and ``repr`` hides it too."""
    transport = transport_from_url(url)
    assert str(transport) == name
    assert "hunter2" not in repr(transport)


@pytest.mark.parametrize("scheme", ["file", "maildir"])
def test_a_folder_is_written_after_three_slashes(scheme: str, tmp_path: Path) -> None:
    """What a transport calls itself is the URL that it was made from."""
    assert str(transport_from_url(f"{scheme}://{tmp_path}")) == f"{scheme}://{tmp_path}"


@pytest.mark.parametrize(
    "url",
    [
        "smtp://",
        "smtp://ada:hunter2@",
        "smtp://ada:hunter2@mail.example.com/inbox",
        "smtp://ada:hunter2@mail.example.com?hunter2=x",
        "smtp://ada:hunter2@mail.example.com?tls=hunter",
        "smtp://ada:hunter2@-mail.example.com",
        "smtps://ada:hunter2@mail.example.com?tls=starttls",
        "smtp://:hunter2@mail.example.com",
        "smtp://ada@mail.example.com",
        "null://ada:hunter2@",
        "memory://ada:hunter2@localhost",
        "console://ada:hunter2@",
        "sendmail://ada:hunter2@localhost",
        "file://ada:hunter2@/var/mail",
        "maildir://ada:hunter2@/var/mail",
        "unknown://ada:hunter2@mail.example.com",
    ],
)
def test_no_error_repeats_the_password(url: str) -> None:
    """Whatever is wrong with a URL, a typed error says so without its password, which is all that it hides."""
    with pytest.raises(ConfigurationError) as caught:
        transport_from_url(url)
    assert "hunter2" not in str(caught.value).replace("parameter 'hunter2'", "")
