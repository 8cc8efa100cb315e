"""The proxy that the environment names, for those who ask for it: nothing here is read otherwise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConfigurationError
from mailkit.proxy.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["proxy_from_environment"]

# As curl does for mail; lower case first, which a CGI request header cannot set.
_VARIABLES: Final = ("smtp_proxy", "SMTP_PROXY", "all_proxy", "ALL_PROXY")
_EXCEPTIONS: Final = ("no_proxy", "NO_PROXY")


def proxy_from_environment(host: str, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy of ``SMTP_PROXY``, or else ``ALL_PROXY``, unless ``NO_PROXY`` lists `host`.

    ``NO_PROXY`` is a list with commas: a name stands for itself and all below it, ``*`` for every host.

    Args:
        host: The host to be reached.
        environ: The variables.

    Raises:
        ConfigurationError: The variable holds no proxy's URL.
    """
    name = next((name for name in _VARIABLES if environ.get(name)), None)
    exceptions = next((environ[name] for name in _EXCEPTIONS if name in environ), "")
    if name is None or _is_listed(host, exceptions):
        return None
    try:
        return Proxy.parse(environ[name])
    except ConfigurationError as error:
        raise ConfigurationError(f"the environment variable {name} cannot be used: {error}") from None


def _is_listed(host: str, exceptions: str) -> bool:
    bare = host.lower().rstrip(".")
    names = (name.strip().lower().lstrip(".").rstrip(".") for name in exceptions.split(","))
    return any(name in {"*", bare} or bare.endswith(f".{name}") for name in names if name)
