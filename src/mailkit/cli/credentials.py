"""Where the transport's URL comes from: the environment, the command line, and a prompt for what is secret in it."""

from __future__ import annotations

import getpass
import os
import re
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mailkit.errors import ConfigurationError
from mailkit.post import ENVIRONMENT

if TYPE_CHECKING:
    import argparse

__all__ = ["chosen_url", "masked"]

_USER_INFO: Final = re.compile(r"([A-Za-z][A-Za-z0-9+-]*)://([^/?#()\s@]*)@")
_USER_NAMES: Final = ("smtp", "smtps", "lmtp", "mx")  # and the relays, "+smtp": elsewhere the user part is the key
_EXPOSED: Final = (
    "mailkit: warning: the URL on the command line holds a secret, which every user of this machine can read while the "
    f"command runs: put it into {ENVIRONMENT}, or leave the secret out and give --ask-password\n"
)


def chosen_url(parsed: argparse.Namespace) -> str | None:
    """Return the URL to use; None leaves it to the mailer, which says what is missing.

    A secret in the arguments is warned of, on standard error.

    Raises:
        ConfigurationError: A secret is to be asked for, and there is no place for it, or nobody to ask.
    """
    given: str | None = parsed.url
    if given is not None and any(_holds_secret(*found) for found in _USER_INFO.findall(given)):
        sys.stderr.write(_EXPOSED)
    if not parsed.ask_password:
        return given
    url = given or os.environ.get(ENVIRONMENT, "")
    if not url:
        raise ConfigurationError(f"--ask-password completes a URL: give one without its secret, or set {ENVIRONMENT}")
    return _completed(url)


def masked(text: str) -> str:
    """Return a text in which no URL shows who logs in with what: what is wrong with arguments ends up in logs."""
    return _USER_INFO.sub(r"\1://…@", text)


def _names_users(scheme: str) -> bool:
    return scheme.lower() in _USER_NAMES or scheme.lower().endswith("+smtp")


def _holds_secret(scheme: str, user_info: str) -> bool:
    return ":" in user_info or (bool(user_info) and not _names_users(scheme))


def _completed(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    if not colon or "(" in scheme:
        raise ConfigurationError(
            f"--ask-password completes one URL, not a policy round several: put it into {ENVIRONMENT}"
        )
    found = _USER_INFO.match(url)
    user = found[2] if found else ""
    if ":" in user:
        raise ConfigurationError(
            "--ask-password asks for a password, and the URL has one already: leave one of them out"
        )
    if _names_users(scheme) and not user:
        raise ConfigurationError(
            f"--ask-password needs a user name: write the URL like {scheme}://user@mail.example.com"
        )
    host = rest[len(user) + 1 :] if found else rest
    secret = quote(_asked(f"Password of {user}: " if user else "Key: "), safe="")
    return f"{scheme}://{user}:{secret}@{host}" if user else f"{scheme}://{secret}@{host}"


def _asked(prompt: str) -> str:
    try:
        secret = getpass.getpass(prompt)
    except (EOFError, OSError):
        secret = ""
    if not secret:
        raise ConfigurationError(f"no secret was typed in: start the command on a terminal, or set {ENVIRONMENT}")
    return secret
