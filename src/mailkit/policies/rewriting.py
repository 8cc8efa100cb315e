"""A message as it is redirected: other recipients in its header, and the original ones in fields of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from mailkit.address import Address
from mailkit.errors import AddressError, MessageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailkit.message import Message
    from mailkit.policies.redirect import Redirect

__all__ = ["rewritten"]

_LONGEST: Final = 800
"""Characters of a field that names original recipients: several providers refuse fields not much longer than that."""

_RECIPIENTS_ELSEWHERE: Final = frozenset({"x-mc-bccaddress", "x-msys-api", "x-smtpapi"})
"""Fields by which Mandrill's, SparkPost's and SendGrid's servers are told of further recipients."""

_BETWEEN_ADDRESSES: Final = re.compile(r"[\s<>\"'(),;]+")


def rewritten(message: Message, redirect: Redirect, *, hides_bcc: bool, names_originals: bool) -> Message:
    """Return the message as it goes out: unchanged where everybody in it is allowed.

    It depends on the message, and not on whom this delivery is for, so that a retry sends the same.

    Args:
        message: The message.
        redirect: Who is allowed, and who gets it instead of the others.
        hides_bcc: Whether this delivery goes to somebody who must not see who was in Bcc.
        names_originals: Whether the transport can carry header fields.

    Raises:
        MessageError: Its ``options``, or a field that a server takes recipients from, name somebody who is not allowed.
    """
    _check_options(message, redirect)
    _check_headers(message, redirect)
    everybody = (*message.to, *message.cc, *message.bcc)
    kept = [each for each in everybody if redirect.allows(each)]
    if len(kept) == len(everybody):
        return message
    ours = {each.addr_spec for each in redirect.to}
    shows_bcc = not hides_bcc and all(each.addr_spec in ours for each in kept)
    to = [each for each in message.to if redirect.allows(each)]
    named = {each.addr_spec for each in to}
    changes: dict[str, Any] = {
        "to": (*to, *[each for each in redirect.to if each.addr_spec not in named]),
        "cc": [each for each in message.cc if redirect.allows(each)],
        "bcc": [each for each in message.bcc if redirect.allows(each)],
        "options": _without_strangers(message, redirect),
    }
    if names_originals:
        present = {name.lower() for name, _ in message.headers}
        fields = [(name, value) for name, value in _originals(message, shows_bcc) if name.lower() not in present]
        changes["headers"] = (*message.headers, *fields)
    if redirect.subject_prefix and message.subject is not None:
        changes["subject"] = redirect.subject_prefix + message.subject
    return message.evolve(**changes)


def _originals(message: Message, shows_bcc: bool) -> Iterator[tuple[str, str]]:  # noqa: FBT001 - private
    for name, addresses in (("To", message.to), ("Cc", message.cc), ("Bcc", message.bcc if shows_bcc else ())):
        if addresses:
            yield f"X-Original-{name}", _listed(addresses)


def _listed(addresses: tuple[Address, ...]) -> str:
    listed, left = str(addresses[0]), len(addresses) - 1
    for address in addresses[1:]:
        if len(listed) + len(str(address)) + 2 > _LONGEST:
            return f"{listed} and {left} more"
        listed, left = f"{listed}, {address}", left - 1
    return listed


def _without_strangers(message: Message, redirect: Redirect) -> Mapping[str, Mapping[str, Any]]:
    """Return the options without what SMTP was to be asked for those who do not get the message."""
    smtp = message.options.get("smtp", {})
    if "recipients" not in smtp:
        return message.options
    mine = {address: asked for address, asked in smtp["recipients"].items() if redirect.allows(Address.parse(address))}
    return {**message.options, "smtp": {**smtp, "recipients": mine}}


def _check_options(message: Message, redirect: Redirect) -> None:
    # A provider's raw fields replace ours, recipients included; which of them do, only the provider knows.
    for provider, fields in message.options.items():
        if provider != "smtp" and any(_is_outside(token, redirect) for token in _tokens(fields)):
            raise MessageError(
                f"options[{provider!r}] name an address that mail is redirected away from, and a provider's own fields "
                "are not rewritten: leave it out, or allow its domain"
            )


def _check_headers(message: Message, redirect: Redirect) -> None:
    for name, value in message.headers:
        if name.lower() in _RECIPIENTS_ELSEWHERE and any(_is_outside(token, redirect) for token in _tokens(value)):
            raise MessageError(
                f"the header {name} names an address that mail is redirected away from, and may be how a server finds "
                "recipients: leave it out, or allow its domain"
            )


def _tokens(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from (token for token in _BETWEEN_ADDRESSES.split(value) if "@" in token[1:-1])
    elif isinstance(value, Mapping):
        for key, each in cast("Mapping[object, object]", value).items():
            yield from _tokens(key)
            yield from _tokens(each)
    elif isinstance(value, list | tuple):
        for each in cast("Iterable[object]", value):
            yield from _tokens(each)


def _is_outside(token: str, redirect: Redirect) -> bool:
    try:
        address = Address.parse(token)
    except AddressError:
        return True
    return not redirect.allows(address) and address.addr_spec not in {each.addr_spec for each in redirect.to}
