"""A Django message → a Message, or its bytes where Django can say what a Message cannot."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from django import VERSION
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.timezone import get_current_timezone

from mailkit.address import Address
from mailkit.envelope import Envelope
from mailkit.errors import MessageError
from mailkit.integrations.django.attachments import attachments_of, octets_of, text_of
from mailkit.integrations.django.personalization import fields_for_providers, personalized
from mailkit.message import Message
from mailkit.mime.foreign_fields import ForeignField
from mailkit.mime.reader import fields_of_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Prepared", "converted"]

_LINE_END: Final = re.compile(r"[\r\n]")
_FORMS: Final = {"text/plain": "text", "text/html": "html", "text/x-amp-html": "amp", "text/calendar": "calendar"}


@frozen
class Prepared:
    """A message that Django has written itself.

    Args:
        data: Its RFC 5322 bytes.
        envelope: Who gets it.
    """

    data: bytes
    envelope: Envelope


def converted(given: EmailMessage, *, provider: str | None = None) -> list[Message] | Prepared:
    """Return what to send for a message of Django's: one Message, or one for each recipient where it is personalised.

    What no Message can express (a ``message()`` or ``recipients()`` of its own, a To header that is not its recipients,
    an alternative of another type) goes out as Django writes it.

    Args:
        given: The message; one of django-anymail's attribute names may be on it.
        provider: Whose raw fields ``esp_extra`` has.

    Raises:
        MessageError: It cannot be sent. Where a line end in a header is why, it is what Django raises for that too.
    """
    try:
        return _converted(given, provider)
    except MessageError as error:
        if VERSION < (6, 0) and any(map(_LINE_END.search, _header_texts(given))):
            raise _header_error()(str(error)) from None
        raise


@cache
def _header_error() -> type[MessageError]:
    """Return what programs written for Django before 6.0 catch; later it is ValueError, which all of ours are."""
    from django.core.mail import BadHeaderError

    class HeaderError(MessageError, BadHeaderError):
        pass

    return HeaderError


def _header_texts(given: EmailMessage) -> Iterator[str]:
    yield from map(str, (given.subject, given.from_email, *given.to, *given.cc, *given.bcc, *given.reply_to))
    yield from map(str, given.extra_headers.values())


def _converted(given: EmailMessage, provider: str | None) -> list[Message] | Prepared:
    headers = {str(name): value for name, value in given.extra_headers.items()}
    if any(name.lower() == "bcc" for name in headers):
        raise MessageError("Bcc is no header field, which everybody would read: use bcc=")
    more = fields_for_providers(given, provider)
    if _has_more_to_say(given, headers):
        if more:
            raise MessageError(
                f"this message goes out as Django writes it, which leaves no place for {', '.join(sorted(more))}: use "
                "plain bodies and headers, or leave them out"
            )
        return Prepared(octets_of(given.message()), _envelope(given))
    fields: dict[str, Any] = {"date": _now(), "subject": str(given.subject), **_addresses(given, headers)}
    fields |= _bodies(given, is_template="template" in more)
    if headers:
        fields |= fields_of_header(
            ForeignField(name, _text(value), is_encoded=True, parameters=None)
            for name, value in headers.items()
            if name.lower() not in {"from", "reply-to"}
        )
    if "sender" in fields:
        fields["return_path"] = _author(given)  # Django's envelope is from_email's, whoever sends for him
    return personalized(given, Message(**fields | more))


def _text(value: object) -> str:
    return format_datetime(value) if isinstance(value, datetime) else str(value)


def _has_more_to_say(given: EmailMessage, headers: Mapping[str, object]) -> bool:
    forms = _forms(given)
    return (
        type(given).message is not EmailMessage.message
        or type(given).recipients is not EmailMessage.recipients
        or any(name.lower() in {"to", "cc"} for name in headers)
        or any(form not in _FORMS for form in forms)
        or len(set(forms)) < len(forms)
    )


def _alternatives(given: EmailMessage) -> Sequence[tuple[object, object]]:
    alternatives: Sequence[tuple[object, object]] = getattr(given, "alternatives", ())
    return alternatives


def _forms(given: EmailMessage) -> list[str]:
    forms = [str(mimetype) for _, mimetype in _alternatives(given)]
    return [f"text/{given.content_subtype}", *forms] if given.body or not forms else forms


def _addresses(given: EmailMessage, headers: Mapping[str, object]) -> dict[str, Any]:
    own = {name.lower(): str(value) for name, value in headers.items() if name.lower() in {"from", "reply-to"}}
    fields: dict[str, Any] = {
        "from_": own.get("from", str(given.from_email)),
        "to": tuple([str(each) for each in given.to if each]),
        "cc": tuple([str(each) for each in given.cc if each]),
        "bcc": tuple([str(each) for each in given.bcc if each]),
        "reply_to": own.get("reply-to") or tuple([str(each) for each in given.reply_to]),
    }
    if "from" in own:
        fields["return_path"] = _author(given)
    return fields


def _author(given: EmailMessage) -> Address:
    return Address.parse(str(given.from_email))


def _bodies(given: EmailMessage, *, is_template: bool) -> dict[str, Any]:
    bodies: dict[str, Any] = {}
    if given.body or not (is_template or _alternatives(given) or given.attachments):
        bodies[_FORMS[f"text/{given.content_subtype}"]] = text_of(given.body or "", "the body")
    for content, mimetype in _alternatives(given):
        bodies[_FORMS[str(mimetype)]] = text_of(content, "an alternative")
    if given.attachments:
        bodies["attachments"] = attachments_of(given.attachments)
    return bodies


def _envelope(given: EmailMessage) -> Envelope:
    return Envelope(str(given.from_email), [str(each) for each in given.recipients()])


def _now() -> datetime:
    is_local = getattr(settings, "EMAIL_USE_LOCALTIME", False)
    return datetime.now(get_current_timezone() if is_local else UTC)
