"""The SMTP relays of providers: transports with host, port, TLS and user name filled in.

Example:
    >>> from mailkit.relays import relay
    >>> str(relay("sendgrid", "SG.KEY", region="eu"))
    'smtps://smtp.eu.sendgrid.net:465'
"""

from __future__ import annotations

from mailkit.relays.relay import Relay
from mailkit.relays.rows import RELAYS
from mailkit.relays.transport import relay

__all__ = ["RELAYS", "Relay", "relay"]
