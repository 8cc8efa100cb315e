"""A transport of one's own, and the ways to name mailkit's."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from mailkit import (
    AuthenticationError,
    Capabilities,
    ConfigurationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    Envelope,
    Mailer,
    MailkitError,
    Message,
    MessageError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    Receipt,
    RecipientResult,
    RejectedError,
    Reply,
    TLSError,
    TransientError,
    Transport,
    UnsupportedFeatureError,
)
from mailkit.edge.records import NameServers
from mailkit.mx import DirectMX
from mailkit.smtp import PoolLimits, Timeouts
from mailkit.transport import Channel

if TYPE_CHECKING:
    from mailkit.edge import Edge


class Nowhere:
    """The least that is a transport."""

    capabilities = Capabilities(attachments=True, tags=1)

    def open(self, edge: Edge) -> Channel:
        return NowhereChannel(self)


class NowhereChannel(Channel):
    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        return Receipt(
            message_id="1@example.com",
            transport="nowhere",
            recipients=tuple(RecipientResult(each.addr_spec, status="accepted") for each in envelope.rcpt_to),
        )


def a_protocol_is_enough() -> Transport:
    Mailer(Nowhere())
    return Nowhere()


def capabilities_are_values() -> None:
    assert_type(Capabilities.everything(), Capabilities)
    assert_type(Capabilities.rfc5322(smtputf8=False), Capabilities)


def errors_are_told_apart_by_type(mailer: Mailer, message: Message) -> str:
    try:
        mailer.send(message)
    except (ConfigurationError, UnsupportedFeatureError, MessageError) as error:
        assert_type(error, ConfigurationError | UnsupportedFeatureError | MessageError)
        return "ours"
    except (AuthenticationError, TLSError, ProtocolError, RejectedError) as error:
        return "theirs" if error.reply is None else assert_type(error.reply, Reply).text
    except (ConnectError, DeliveryTimeout, RateLimitedError, TransientError):
        return "later"
    except OutcomeUnknownError:
        return "who knows"
    except DeliveryError as error:
        return error.outcome
    except MailkitError:
        return "else"
    return "sent"


def straight_to_the_exchangers() -> Transport:
    Mailer(DirectMX())
    return DirectMX(
        "mail.example.com",
        port=2525,
        require_tls=True,
        private_networks=True,
        name_servers=NameServers([("127.0.0.1", 53)], validating=True),
        ca_file="ca.pem",
        source_address=["192.0.2.1", "2001:db8::1"],
        domains_at_once=3,
        timeouts=Timeouts(connect=5.0),
        pool=PoolLimits(max_connections=2),
        transcript=print,
    )
