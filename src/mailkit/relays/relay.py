"""A provider's SMTP relay as a value: hosts, ports, and whose name logs in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, cast

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.relays.ses_password import ses_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.secret import Secret
    from mailkit.smtp.options import Security

__all__ = ["ANY_REGION", "OWN_HOST", "SUFFIX", "NameRule", "Relay"]

NameRule = Literal["given", "fixed", "any", "key"]
"""Whose name logs in: one's own (``"given"``), the same for everybody (``"fixed"``), that one where none is given
(``"any"``), or the key itself, which is the password as well (``"key"``)."""

OWN_HOST: Final = "default"
ANY_REGION: Final = "{region}"
SUFFIX: Final = "+smtp"
_IMPLICIT_TLS: Final = frozenset({465, 2465})  # RFC 8314 §3.3, and the port beside it that firewalls let through
_AWS_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")


@frozen
class Relay:
    """A provider's SMTP relay.

    Example:
        >>> Relay("acme", hosts={"": "smtp.acme.example"}, ports=(587,), source="https://acme.example/smtp").form
        'acme+smtp://USER:PASSWORD@default'

    Args:
        name: As in ``name+smtp://``.
        hosts: Its host in each region, the first one by default; ``{region}`` stands for a region of AWS.
        ports: Where it listens: the first one by default; TLS from the first byte on 465 and 2465, else STARTTLS.
        names: Whose name logs in.
        username: The name, where it is not one's own.
        source: Where the provider says so.
    """

    name: str
    hosts: Mapping[str, str] = field(kw_only=True)
    ports: tuple[int, ...] = field(kw_only=True)
    source: str = field(kw_only=True)
    names: NameRule = field(default="given", kw_only=True)
    username: str = field(default="", kw_only=True)

    @property
    def scheme(self) -> str:
        """The scheme of its URLs."""
        return self.name + SUFFIX

    @property
    def form(self) -> str:
        """What its URLs look like."""
        login = {"given": "USER:PASSWORD"}.get(self.names, "KEY")
        return f"{self.scheme}://{login}@{OWN_HOST}" + ("?region=eu-west-1" if ANY_REGION in self.hosts else "")

    def where(
        self, host: str | None, port: int | None, tls: str | None, *, region: str | None
    ) -> tuple[str, int, Security | None]:
        """Return host, port and TLS policy: the provider's own, as far as they are not given.

        Raises:
            ConfigurationError: There is no such region.
        """
        own = self._host(region)
        if port is None:
            fitting = (each for each in self.ports if tls is None or (each in _IMPLICIT_TLS) == (tls == "implicit"))
            port = next(fitting, self.ports[0])
        if tls is None and port in _IMPLICIT_TLS:
            tls = "implicit"
        return own if host in {None, OWN_HOST} else str(host), port, cast("Security | None", tls)

    def _host(self, region: str | None) -> str:
        pattern = self.hosts.get(ANY_REGION)
        if pattern is not None:
            if region is None or not _AWS_REGION.fullmatch(region):
                raise ConfigurationError(f'{self.scheme}:// wants a region such as "eu-west-1", not {region!r}')
            return pattern.format(region=region)
        if region is None:
            return next(iter(self.hosts.values()))
        if not region or region not in self.hosts:
            known = ", ".join(filter(None, self.hosts)) or "none"
            raise ConfigurationError(f"{self.scheme}:// has no region {region!r}; known are: {known}")
        return self.hosts[region]

    def login(
        self,
        username: str | None,
        password: str | Secret | None,
        *,
        has_token: bool,
        region: str | None,
    ) -> tuple[str, str | Secret | None]:
        """Return who logs in, and with which password.

        Raises:
            ConfigurationError: One of them is missing, or not the provider's.
        """
        name, secret = username or None, password or None
        if name is not None and secret is None and not has_token and self.names != "given":
            secret = name
            name = name if self.names == "key" else self.username
        if name is None or (secret is None and not has_token):
            wanted = "a user name and its password" if self.names == "given" else "a key"
            raise ConfigurationError(f"{self.scheme}:// wants {wanted}: {self.form}")
        if self.names == "fixed" and name != self.username:
            raise ConfigurationError(f"{self.scheme}:// logs in as {self.username!r}, whoever it is: {self.form}")
        if not name.isprintable():
            raise ConfigurationError(f"the user name or key of {self.scheme}:// holds a control character: remove it")
        if self.name == "ses" and secret is not None:
            secret = ses_password(secret, str(region))
        return name, secret
