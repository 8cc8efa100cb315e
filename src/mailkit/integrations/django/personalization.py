"""django-anymail's names for what providers can do: tags, metadata, tracking, stored templates with data for each."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from mailkit.errors import MessageError
from mailkit.message import Message, Template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.core.mail import EmailMessage

__all__ = ["fields_for_providers", "personalized"]

_MERGE: Final = ("merge_data", "merge_metadata", "merge_headers")


def fields_for_providers(given: EmailMessage, provider: str | None) -> dict[str, Any]:
    """Return the fields of a Message that stand on a Django message under anymail's names.

    Args:
        given: The message.
        provider: Whose raw fields ``esp_extra`` has; None where the transport is no provider's.

    Raises:
        MessageError: ``esp_extra`` belongs to nobody, or ``merge_data`` has no template.
    """
    fields: dict[str, Any] = {}
    for name in ("track_opens", "track_clicks"):
        if (value := getattr(given, name, None)) is not None:
            fields[name] = value
    if tags := getattr(given, "tags", None):
        fields["tags"] = [str(tag) for tag in tags]
    if metadata := getattr(given, "metadata", None):
        fields["metadata"] = _strings(metadata)
    if (send_at := getattr(given, "send_at", None)) is not None:
        fields["send_at"] = _moment(send_at)
    if sender := getattr(given, "envelope_sender", None):
        fields["return_path"] = str(sender)
    template_id = getattr(given, "template_id", None)
    if template_id is not None:
        fields["template"] = Template(template_id, dict(getattr(given, "merge_global_data", None) or {}))
    elif getattr(given, "merge_data", None) or getattr(given, "merge_global_data", None):
        raise MessageError("merge_data fills in a provider's stored template: set template_id, or render the texts")
    if options := _options(given, provider):
        fields["options"] = options
    return fields


def personalized(given: EmailMessage, message: Message) -> list[Message]:
    """Return the message as it is, or one for each recipient in To where it has data of each.

    Raises:
        MessageError: It has data of each, and Cc or Bcc, who would get a copy of every one.
    """
    merged = [name for name in _MERGE if getattr(given, name, None) is not None]
    if not merged:
        return [message]
    if message.cc or message.bcc:
        raise MessageError(f"{merged[0]} makes a message for each recipient in To: send copies in Cc and Bcc apart")
    return [_for_one(given, message, address.email) for address in message.to]


def _for_one(given: EmailMessage, message: Message, address: str) -> Message:
    changes: dict[str, Any] = {"to": [each for each in message.to if each.email == address]}
    data, metadata, headers = (_of(given, name, address) for name in _MERGE)
    if message.template is not None:
        changes["template"] = Template(message.template.id, {**message.template.data, **data})
    if metadata:
        changes["metadata"] = {**message.metadata, **_strings(metadata)}
    if headers:
        changes["headers"] = [*message.headers, *_strings(headers).items()]
    return message.evolve(**changes)


def _of(given: EmailMessage, name: str, address: str) -> Mapping[str, Any]:
    everybody: Mapping[str, Mapping[str, Any]] = getattr(given, name, None) or {}
    return everybody.get(address, {})


def _strings(given: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in given.items()}


def _options(given: EmailMessage, provider: str | None) -> dict[str, Any]:
    options: dict[str, Any] = dict(getattr(given, "mailkit_options", None) or {})
    if extra := getattr(given, "esp_extra", None):
        if provider is None:
            raise MessageError(
                "esp_extra is for a provider's HTTP API, and this transport is none: name the provider, as in "
                'message.mailkit_options = {"postmark": {…}}'
            )
        options[provider] = {**options.get(provider, {}), **extra}
    return options


def _moment(value: date | float) -> datetime:
    if isinstance(value, datetime):
        return value if timezone.is_aware(value) else timezone.make_aware(value)
    if isinstance(value, date):
        return timezone.make_aware(datetime(value.year, value.month, value.day))  # noqa: DTZ001 - made aware here
    return datetime.fromtimestamp(value, UTC)
