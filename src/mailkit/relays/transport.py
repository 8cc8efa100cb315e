"""From a relay's name or URL to a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mailkit.errors import ConfigurationError
from mailkit.relays.relay import SUFFIX
from mailkit.relays.rows import RELAYS
from mailkit.smtp.mechanism_names import WITH_TOKEN
from mailkit.smtp.transport import PARAMETERS, SMTP

if TYPE_CHECKING:
    from mailkit.secret import Secret
    from mailkit.smtp.login import TokenSource
    from mailkit.smtp.options import Security
    from mailkit.transport_url import TransportURL

__all__ = ["RelayURL", "relay"]


class RelayURL:
    """What the URLs of all relays mean.

    Example:
        >>> from mailkit import Mailer
        >>> str(Mailer("postmark+smtp://TOKEN@default").transport)
        'smtp://smtp.postmarkapp.com:587'
    """

    @staticmethod
    def from_url(url: TransportURL) -> SMTP:
        """Read ``name+smtp://KEY@default`` or ``name+smtp://USER:PASSWORD@default``; parameters are those of SMTP.

        Raises:
            ConfigurationError: A part of the URL is wrong, or who logs in is missing.
        """
        found = RELAYS[url.scheme.removesuffix(SUFFIX)]
        given = url.parameters(region=str, **PARAMETERS)
        region, mechanism, tls = (given.get(name) for name in ("region", "mechanism", "tls"))
        if not url.host:
            raise ConfigurationError(f"{url.scheme}:// needs a host: {found.form}")
        host, port, tls = found.where(url.host, url.port, tls, region=region)
        password: str | Secret | None = None if mechanism in WITH_TOKEN else url.password
        token = url.password if mechanism in WITH_TOKEN else None
        username, password = found.login(url.username, password, has_token=token is not None, region=region)
        own = {"region", "mechanism", "tls"}
        rest = [(name, text) for name, text in url.query if name not in own]
        rest += [] if tls is None else [("tls", str(tls))]
        plain = evolve(url, username=None, password=None, host=host, port=port, query=tuple(rest))
        return evolve(SMTP.from_url(plain), username=username, password=password, token=token, mechanism=mechanism)


def relay(
    name: str,
    username: str,
    password: str | Secret | None = None,
    *,
    token: str | Secret | TokenSource | None = None,
    region: str | None = None,
    host: str | None = None,
    port: int | None = None,
    tls: Security | None = None,
) -> SMTP:
    """Return the transport to a provider's SMTP relay; ``attrs.evolve`` sets what else SMTP knows.

    Example:
        >>> str(relay("mailgun", "postmaster@mg.example.com", "secret", region="eu"))
        'smtps://smtp.eu.mailgun.org:465'

    Args:
        name: The provider, as in its URL: ``"sendgrid"``.
        username: The user name; where the provider knows only keys, the key.
        password: The password. Of Amazon SES also the secret access key, which it is made from.
        token: An OAuth 2.0 access token instead, or a function that returns one, for Gmail, Microsoft 365 and Outlook.
        region: The region, where there are several; the first one where None.
        host: A host to use instead of the provider's own.
        port: A port to use instead of the provider's first one: TLS from the first byte on 465 and 2465.
        tls: The policy to use instead.

    Raises:
        ConfigurationError: There is no such relay or region, or who logs in is missing.
    """
    found = RELAYS.get(name)
    if found is None:
        raise ConfigurationError(f"there is no SMTP relay {name!r}; known are: {', '.join(RELAYS)}")
    where, port, security = found.where(host, port, tls, region=region)
    username, password = found.login(username, password, has_token=token is not None, region=region)
    return SMTP(where, port=port, tls=security, username=username, password=password, token=token)
