"""What is known of each relay: a row of data, and where the provider says so.

Looked up in 2026-11, in the providers' own pages and libraries as far as they could be read, else in what their users
configure; `source` is the provider's own page, where a change would show first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.relays.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RELAYS"]

_ROWS: Final = (
    Relay(
        "alibaba",
        hosts={
            "cn-hangzhou": "smtpdm.aliyun.com",
            "ap-southeast-1": "smtpdm-ap-southeast-1.aliyuncs.com",
            "us-east-1": "smtpdm-us-east-1.aliyuncs.com",
            "eu-central-1": "smtpdm-eu-central-1.aliyuncs.com",
        },
        ports=(465, 80, 25),
        source="https://www.alibabacloud.com/help/en/direct-mail/smtp-endpoints",
    ),
    # Its documentation is behind a login; host and port are those that its users have.
    Relay("aoksend", hosts={"": "smtp.aoksend.com"}, ports=(587, 465), source="https://www.aoksend.com/"),
    Relay(
        "brevo",
        hosts={"": "smtp-relay.brevo.com"},
        ports=(465, 587, 2525),
        source="https://developers.brevo.com/docs/smtp-integration",
    ),
    Relay(
        "cloudflare",
        hosts={"": "smtp.mx.cloudflare.net"},
        ports=(465,),
        names="fixed",
        username="api_token",
        source="https://developers.cloudflare.com/email-service/api/send-emails/smtp/",
    ),
    Relay(
        "fastmail",
        hosts={"": "smtp.fastmail.com"},
        ports=(465, 587),
        source="https://www.fastmail.help/hc/en-us/articles/1500000278342",
    ),
    Relay(
        "gmail",
        hosts={"": "smtp.gmail.com"},
        ports=(465, 587),
        source="https://developers.google.com/workspace/gmail/imap/imap-smtp",
    ),
    Relay(
        "lettermint",
        hosts={"": "smtp.lettermint.co"},
        ports=(465, 587),
        names="fixed",
        username="lettermint",
        source="https://lettermint.co/docs/guides/send-email-with-smtp",
    ),
    Relay(
        "mailersend",
        hosts={"": "smtp.mailersend.net"},
        ports=(587, 2525),
        source="https://www.mailersend.com/help/smtp-relay",
    ),
    Relay(
        "mailgun",
        hosts={"us": "smtp.mailgun.org", "eu": "smtp.eu.mailgun.org"},
        ports=(465, 587, 2525),
        source="https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    ),
    Relay(
        "mailjet",
        hosts={"": "in-v3.mailjet.com"},
        ports=(587, 465, 2525),
        source="https://dev.mailjet.com/smtp-relay/configuration/",
    ),
    Relay(
        "mailtrap",
        hosts={"transactional": "live.smtp.mailtrap.io", "bulk": "bulk.smtp.mailtrap.io"},
        ports=(587, 2525),
        names="fixed",
        username="api",
        source="https://docs.mailtrap.io/email-api-smtp/setup/smtp-integration",
    ),
    Relay(
        "mandrill",
        hosts={"": "smtp.mandrillapp.com"},
        ports=(465, 587, 2525),
        names="any",
        username="mandrill",
        source="https://mailchimp.com/developer/transactional/docs/smtp-integration/",
    ),
    Relay(
        "microsoft365",
        hosts={"": "smtp.office365.com"},
        ports=(587,),
        source="https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission",
    ),
    Relay(
        "outlook",
        hosts={"": "smtp-mail.outlook.com"},
        ports=(587,),
        source="https://support.microsoft.com/office/pop-imap-and-smtp-settings-for-outlook-com-d088b986-291d-42b8-9564-9c414e2aa040",
    ),
    Relay(
        "postmark",
        hosts={"transactional": "smtp.postmarkapp.com", "broadcast": "smtp-broadcasts.postmarkapp.com"},
        ports=(587, 2525),
        names="key",
        source="https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
    ),
    Relay(
        "resend",
        hosts={"": "smtp.resend.com"},
        ports=(465, 587, 2465, 2587),
        names="fixed",
        username="resend",
        source="https://resend.com/docs/send-with-smtp",
    ),
    Relay(
        "scaleway",
        hosts={"": "smtp.tem.scaleway.com"},
        ports=(465, 587, 2465, 2587),
        source="https://www.scaleway.com/en/docs/transactional-email/reference-content/smtp-configuration/",
    ),
    Relay(
        "sendcloud",
        hosts={"": "smtp.sendcloud.net"},
        ports=(587, 2525, 25),
        source="https://www.sendcloud.net/doc/email_v2/send_email/",
    ),
    Relay(
        "sendgrid",
        hosts={"global": "smtp.sendgrid.net", "eu": "smtp.eu.sendgrid.net"},
        ports=(465, 587, 2525),
        names="fixed",
        username="apikey",
        source="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    ),
    Relay(
        "ses",
        hosts={"{region}": "email-smtp.{region}.amazonaws.com"},
        ports=(465, 587, 2465, 2587),
        source="https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html",
    ),
    Relay(
        "sparkpost",
        hosts={"us": "smtp.sparkpostmail.com", "eu": "smtp.eu.sparkpostmail.com"},
        ports=(587, 2525),
        names="fixed",
        username="SMTP_Injection",
        source="https://developers.sparkpost.com/api/smtp/",
    ),
    Relay(
        "tencent",
        hosts={
            "ap-hongkong": "smtp.qcloudmail.com",
            "ap-guangzhou": "gz-smtp.qcloudmail.com",
            "ap-singapore": "sg-smtp.qcloudmail.com",
        },
        ports=(465,),
        source="https://www.tencentcloud.com/document/product/1084/44457",
    ),
)

RELAYS: Final[Mapping[str, Relay]] = {each.name: each for each in _ROWS}
"""Every relay by name."""
