"""Who a message really comes from and goes to: the MAIL FROM and RCPT TO of RFC 5321 §2.3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import Factory, field, frozen

from mailkit.address import Address
from mailkit.errors import MessageError
from mailkit.mail_parameters import MailParameters, RcptParameters, parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailkit.message import Message

__all__ = ["Envelope"]

_NO_MAIL_PARAMETERS = MailParameters()
_NO_RCPT_PARAMETERS = RcptParameters()


def _reverse_path(value: str | Address | None) -> Address | None:
    return None if value is None or (isinstance(value, str) and value in {"", "<>"}) else Address.coerce(value)


def _forward_paths(values: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    addresses = Address.parse_many(values)
    if len(addresses) == 1:
        return addresses
    # Two recipients with one wire form would get two copies from some servers and one from others.
    return tuple({address.addr_spec: address for address in addresses}.values())


def _needs_smtputf8(envelope: Envelope) -> bool:
    paths = envelope.rcpt_to if envelope.mail_from is None else (envelope.mail_from, *envelope.rcpt_to)
    return any(path.needs_smtputf8 for path in paths)


def _needs_dsn(envelope: Envelope) -> bool:
    by_recipient = (envelope.rcpt_parameters, *envelope.exceptions.values())
    return envelope.mail_parameters.needs_dsn or any(parameters.needs_dsn for parameters in by_recipient)


@frozen
class Envelope:
    """The envelope that a server sees, whatever the header fields say.

    Example:
        >>> Envelope("bounces@example.com", ["bob@example.org", "eve@example.net"]).rcpt_to
        (Address('bob@example.org'), Address('eve@example.net'))

    Args:
        mail_from: The reverse-path, to which bounces go; None or ``""`` is the null reverse-path ``<>``.
        rcpt_to: The forward-paths: one address or any iterable of them. A repeated one counts once.
        mail_parameters: What is asked for the message as a whole, of servers that speak SMTP.
        rcpt_parameters: What is asked for every recipient.
        exceptions: What is asked for some recipients instead, by address.

    Raises:
        AddressError: One of them is not a valid mailbox.
        MessageError: There is no recipient.
    """

    mail_from: Address | None = field(converter=_reverse_path)
    rcpt_to: tuple[Address, ...] = field(converter=_forward_paths)
    mail_parameters: MailParameters = field(default=_NO_MAIL_PARAMETERS, kw_only=True)
    rcpt_parameters: RcptParameters = field(default=_NO_RCPT_PARAMETERS, kw_only=True)
    exceptions: Mapping[str, RcptParameters] = field(factory=dict[str, RcptParameters], kw_only=True, hash=False)
    needs_smtputf8: bool = field(init=False, eq=False, repr=False, default=Factory(_needs_smtputf8, takes_self=True))
    """Whether a local part is not ASCII, so that only an SMTPUTF8 server can take it (RFC 6531)."""
    needs_dsn: bool = field(init=False, eq=False, repr=False, default=Factory(_needs_dsn, takes_self=True))
    """Whether delivery status notifications are asked for (RFC 3461)."""

    def __attrs_post_init__(self) -> None:
        if not self.rcpt_to:
            msg = "the envelope has no recipient: give at least one of to, cc and bcc"
            raise MessageError(msg)

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """Return the envelope that the message's header fields imply.

        The reverse-path is the message's ``return_path``, else its ``sender``, else its ``from_``. The forward-paths
        are To, Cc and Bcc: Bcc leaves the message here and only here.

        Raises:
            MessageError: The message has no ``from_``, or no recipient.
        """
        if message.from_ is None:
            msg = "the message has no From address: set from_, or give the mailer defaults=Message(from_=…)"
            raise MessageError(msg)
        mail_from = message.sender or message.from_ if message.return_path is None else message.return_path
        rcpt_to = (*message.to, *message.cc, *message.bcc)
        options = message.options.get("smtp")
        if options is None and message.send_at is None:
            return cls(mail_from, rcpt_to)
        mail, rcpt, some = parameters_of(options or {}, message.send_at)
        exceptions = {Address.parse(address).addr_spec: parameters for address, parameters in some.items()}
        strangers = sorted(set(exceptions) - {address.addr_spec for address in rcpt_to})
        if strangers:
            msg = f"options['smtp']['recipients'] names {', '.join(strangers)}, to whom the message does not go"
            raise MessageError(msg)
        return cls(mail_from, rcpt_to, mail_parameters=mail, rcpt_parameters=rcpt, exceptions=exceptions)

    def parameters_for(self, recipient: Address) -> RcptParameters:
        """Return what is asked for one recipient."""
        return self.exceptions.get(recipient.addr_spec, self.rcpt_parameters)
