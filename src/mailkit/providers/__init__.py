"""Transports for providers with HTTP APIs: one file each, imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.providers.alibaba import Alibaba
    from mailkit.providers.aoksend import AokSend
    from mailkit.providers.brevo import Brevo
    from mailkit.providers.cloudflare import Cloudflare
    from mailkit.providers.gmail import Gmail
    from mailkit.providers.jmap import JMAP
    from mailkit.providers.lettermint import Lettermint
    from mailkit.providers.mailersend import MailerSend
    from mailkit.providers.mailgun import Mailgun
    from mailkit.providers.mailjet import Mailjet
    from mailkit.providers.mailtrap import Mailtrap
    from mailkit.providers.mandrill import Mandrill
    from mailkit.providers.microsoftgraph import MicrosoftGraph
    from mailkit.providers.postal import Postal
    from mailkit.providers.postmark import Postmark
    from mailkit.providers.resend import Resend
    from mailkit.providers.scaleway import Scaleway
    from mailkit.providers.sendcloud import SendCloud
    from mailkit.providers.sendgrid import SendGrid
    from mailkit.providers.ses import SES
    from mailkit.providers.sparkpost import SparkPost
    from mailkit.providers.tencent import Tencent

__all__ = [
    "JMAP",
    "SES",
    "Alibaba",
    "AokSend",
    "Brevo",
    "Cloudflare",
    "Gmail",
    "Lettermint",
    "MailerSend",
    "Mailgun",
    "Mailjet",
    "Mailtrap",
    "Mandrill",
    "MicrosoftGraph",
    "Postal",
    "Postmark",
    "Resend",
    "Scaleway",
    "SendCloud",
    "SendGrid",
    "SparkPost",
    "Tencent",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower()}"), name)


def __dir__() -> list[str]:
    return __all__
