"""What an envelope asks for beside delivery: the Mail-parameters and Rcpt-parameters of RFC 5321 §4.1.1.11.

Where they come from: RFC 3461 (delivery status notifications), RFC 8689 (REQUIRETLS), RFC 6710 (MT-PRIORITY), RFC 2852
(DELIVERBY), RFC 4865 (FUTURERELEASE), RFC 4954 §5 (AUTH=). A server that does not offer the extension is never sent the
message without the parameter: it is refused instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import Factory, field, frozen

from mailkit.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

__all__ = ["MailParameters", "Notify", "RcptParameters", "parameters_of"]

Notify = Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]
"""When to tell the sender what became of a message (RFC 3461 §4.1): ``"NEVER"`` alone, or any of the others."""

_NOTIFY: Final = ("NEVER", "SUCCESS", "FAILURE", "DELAY")
_LONGEST_DELIVER_BY: Final = 999_999_999  # by-time, RFC 2852 §4: at most nine digits


def _notify(value: str | Iterable[str] | None) -> tuple[Notify, ...] | None:
    if value is None:
        return None
    wanted = {value.upper()} if isinstance(value, str) else {each.upper() for each in value}
    if not wanted or wanted - set(_NOTIFY) or ("NEVER" in wanted and len(wanted) > 1):
        msg = f"notify={sorted(wanted)!r} is not known: use NEVER alone, or any of SUCCESS, FAILURE and DELAY"
        raise MessageError(msg)
    return tuple(name for name in _NOTIFY if name in wanted)


def _ret(value: str | None) -> Literal["FULL", "HDRS"] | None:
    known: dict[str, Literal["FULL", "HDRS"]] = {"FULL": "FULL", "HDRS": "HDRS"}
    if value is None:
        return None
    if value.upper() not in known:
        msg = f"ret={value!r} is not known: use FULL or HDRS"
        raise MessageError(msg)
    return known[value.upper()]


@frozen(kw_only=True)
class RcptParameters:
    """What is asked for one recipient.

    Example:
        >>> RcptParameters(notify=["failure", "delay"]).notify
        ('FAILURE', 'DELAY')

    Args:
        notify: When to tell the sender what became of the message (RFC 3461 §4.1).
        orcpt: The recipient as the author addressed it, with its type: ``"rfc822;bob@example.org"`` (RFC 3461 §4.2).

    Raises:
        MessageError: `notify` is not known.
    """

    notify: tuple[Notify, ...] | None = field(default=None, converter=_notify)
    orcpt: str | None = None

    @property
    def needs_dsn(self) -> bool:
        """Whether the server has to offer DSN."""
        return self.notify is not None or self.orcpt is not None


def _extensions(parameters: MailParameters) -> tuple[tuple[str, str], ...]:
    asked = (
        ("REQUIRETLS", "require_tls", parameters.require_tls),
        ("MT-PRIORITY", "priority", parameters.priority is not None),
        ("DELIVERBY", "deliver_by", parameters.deliver_by is not None),
        ("FUTURERELEASE", "send_at", parameters.hold_until is not None),
        ("AUTH", "submitter", parameters.submitter is not None),
    )
    return tuple((keyword, feature) for keyword, feature, is_needed in asked if is_needed)


@frozen(kw_only=True)
class MailParameters:
    """What is asked for the message as a whole.

    Example:
        >>> MailParameters(require_tls=True, priority=4).priority
        4

    Args:
        ret: What a failure notification returns: ``"FULL"`` or ``"HDRS"`` (RFC 3461 §4.3).
        envid: The sender's own name for this delivery, which notifications repeat (RFC 3461 §4.4).
        require_tls: Whether every server on the way must use verified TLS, or bounce (RFC 8689).
        priority: From -9 to 9; 0 is normal (RFC 6710 §4.1).
        deliver_by: Seconds within which it should be delivered (RFC 2852 §4).
        deliver_by_mode: What happens else: ``"N"`` notifies the sender, ``"R"`` returns the message.
        hold_until: Before when it must not be delivered (RFC 4865 §5.2.1); an aware datetime.
        submitter: Who submitted it first: an address, or ``"<>"`` for "not known" (RFC 4954 §5).

    Raises:
        MessageError: One of them is out of its range.
    """

    ret: Literal["FULL", "HDRS"] | None = field(default=None, converter=_ret)
    envid: str | None = None
    require_tls: bool = False
    priority: int | None = None
    deliver_by: int | None = None
    deliver_by_mode: Literal["N", "R"] = "N"
    hold_until: datetime | None = None
    submitter: str | None = None
    extensions: tuple[tuple[str, str], ...] = field(
        init=False, eq=False, repr=False, default=Factory(_extensions, takes_self=True)
    )
    """What the server has to offer for it beside DSN: keywords, each with the message's field that asks for it."""

    def __attrs_post_init__(self) -> None:
        if self.priority is not None and not -9 <= self.priority <= 9:
            msg = f"priority={self.priority} is out of range: use -9 (low) to 9 (high), 0 is normal"
            raise MessageError(msg)
        if self.deliver_by is not None and not 0 < self.deliver_by <= _LONGEST_DELIVER_BY:
            msg = f"deliver_by={self.deliver_by} is not a positive number of seconds below a billion"
            raise MessageError(msg)
        if self.deliver_by_mode not in {"N", "R"}:
            msg = f"deliver_by_mode={self.deliver_by_mode!r} is not known: use N (notify) or R (return)"
            raise MessageError(msg)
        if self.hold_until is not None and self.hold_until.tzinfo is None:
            msg = "hold_until has no time zone, so it names no moment: use an aware datetime"
            raise MessageError(msg)

    @property
    def needs_dsn(self) -> bool:
        """Whether the server has to offer DSN."""
        return self.ret is not None or self.envid is not None


_MAIL_OPTIONS: Final = ("ret", "envid", "require_tls", "priority", "deliver_by", "deliver_by_mode", "submitter")
_RCPT_OPTIONS: Final = ("notify", "orcpt")


def parameters_of(
    options: Mapping[str, Any], hold_until: datetime | None
) -> tuple[MailParameters, RcptParameters, dict[str, RcptParameters]]:
    """Read a message's ``options["smtp"]``: for the message, for every recipient, and for some by address.

    Example:
        >>> parameters_of({"notify": "FAILURE", "recipients": {"bob@example.org": {"notify": "NEVER"}}}, None)[1].notify
        ('FAILURE',)

    Raises:
        MessageError: An option is unknown or wrong.
    """
    each = options.get("recipients", {})
    _refuse_unknown(options, (*_MAIL_OPTIONS, *_RCPT_OPTIONS, "recipients"))
    for given in each.values():
        _refuse_unknown(given, _RCPT_OPTIONS)
    mail = MailParameters(hold_until=hold_until, **{name: options[name] for name in _MAIL_OPTIONS if name in options})
    rcpt = RcptParameters(**{name: options[name] for name in _RCPT_OPTIONS if name in options})
    return mail, rcpt, {address: RcptParameters(**given) for address, given in each.items()}


def _refuse_unknown(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        msg = f"options['smtp'] has no {', '.join(unknown)}; it knows: {', '.join(sorted(known))}"
        raise MessageError(msg)
