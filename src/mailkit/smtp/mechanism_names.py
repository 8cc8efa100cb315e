"""The SASL mechanisms by name: what each one takes, in which order they are preferred, what has to be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MECHANISM_NAMES", "NEEDS_TLS", "WITH_PASSWORD", "WITH_TOKEN", "MechanismName", "check_installed"]

MechanismName: TypeAlias = Literal[
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "CRAM-MD5", "PLAIN", "LOGIN", "NTLM", "GSSAPI"
]

MECHANISM_NAMES: Final[tuple[MechanismName, ...]] = get_args(MechanismName)

WITH_TOKEN: Final[tuple[MechanismName, ...]] = ("OAUTHBEARER", "XOAUTH2")
WITH_PASSWORD: Final[tuple[MechanismName, ...]] = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "CRAM-MD5",
    "PLAIN",
    "LOGIN",
    "NTLM",  # where nothing else is offered: it needs a package more, and guards nothing that TLS does not
)

NEEDS_TLS: Final = frozenset(("OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN", "NTLM"))
"""Those that show the secret, and the one whose hashes tell it to whoever tries passwords."""

# The extra, and the modules that it brings.
_EXTRAS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "NTLM": ("ntlm", ("spnego",)),
    "GSSAPI": ("gssapi", ("spnego", "gssapi", "krb5")),
}


def check_installed(name: str) -> None:
    """Check that the package that speaks a mechanism is there.

    Raises:
        ConfigurationError: It is not; says how to install it.
    """
    if name not in _EXTRAS:
        return
    from importlib.util import find_spec

    extra, modules = _EXTRAS[name]
    if None in map(find_spec, modules):
        raise ConfigurationError(f"{name} needs a package that is not installed: pip install 'mailkit-sdk[{extra}]'")
