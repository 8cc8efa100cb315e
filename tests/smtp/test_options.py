"""Options that show no secret."""

from __future__ import annotations

from mailkit.smtp.login import Login
from mailkit.smtp.options import SMTPOptions


def test_options_show_no_secret() -> None:
    """Neither the login nor the transcript's function is in the representation."""
    options = SMTPOptions(host="h", port=25, login=Login(username="ada", password="hunter2"), transcript=print)  # type: ignore[arg-type]
    assert "hunter2" not in repr(options)
    assert "ada" not in repr(options)
