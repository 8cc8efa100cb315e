"""The e-mail backend: Django's messages through mailkit's mailers."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from attrs import fields
from django.core.mail.backends.base import BaseEmailBackend

from mailkit.errors import DeliveryError, MailkitError
from mailkit.integrations.django.configuration import Options, from_settings, mailer_for
from mailkit.integrations.django.conversion import Prepared, converted
from mailkit.integrations.django.signals import message_failed, message_sent
from mailkit.receipt import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django.core.mail import EmailMessage

    from mailkit.mailer import Mailer
    from mailkit.message import Message
    from mailkit.receipt import Outcome

__all__ = ["EmailBackend"]

P = ParamSpec("P")
Result = Receipt | MailkitError

_telling: Final[ContextVar[bool]] = ContextVar("mailkit_django_telling", default=False)
"""Whether receivers are running. What they send is not told of, or there would be no end: Django logs a receiver that
fails, and mails what it logs to ``ADMINS``."""

_KNOWN: Final = frozenset(each.name for each in fields(Options))


class EmailBackend(BaseEmailBackend):
    """Sends Django's messages.

    Where to is said by ``MAILKIT_URL``, by the ``EMAIL_*`` settings of Django's own backend, or by the ``OPTIONS`` of
    an entry in ``MAILERS``. Connections outlive the backend, which Django makes anew for each message.

    After sending, a message has ``mailkit_receipt``: a :class:`mailkit.Receipt`, or None. (``mailkit_receipts`` has all
    of them where ``merge_data`` made several messages.) Errors are mailkit's own, such as
    :class:`mailkit.DeliveryError`.

    Args:
        fail_silently: Whether a message that could not be delivered is only counted. Wrong settings, credentials and
            messages are errors all the same.
        alias: The name of the entry in ``MAILERS``.
        options: The fields of :class:`mailkit.integrations.django.configuration.Options`.

    Raises:
        ConfigurationError: The settings do not say how to send.
    """

    def __init__(
        self,
        fail_silently: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        *,
        alias: str | None = None,
        **options: Any,
    ) -> None:
        own = {name: options.pop(name) for name in tuple(options) if name in _KNOWN}
        if alias is None:
            ignored = set(options.pop("_ignore_unknown_kwargs", ()))
            Options.refuse_unknown(set(options) - ignored)
            super().__init__()
        else:
            super().__init__(alias=alias, **options)  # which reports what is unknown, with the alias
        self.fail_silently = fail_silently
        self.alias = alias
        self._options = from_settings(Options(**own), alias)
        self._mailer = mailer_for(self._options)

    @property
    def mailer(self) -> Mailer:
        """What it sends with, shared by every backend with the same settings."""
        return self._mailer

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send messages; return how many were accepted for at least one recipient.

        One message that fails does not keep the others back: all are sent, then the first error is raised.

        Raises:
            MessageError: A message cannot be sent.
            DeliveryError: A message was accepted for nobody, unless `fail_silently`.
        """
        sent, errors = 0, list[MailkitError]()
        for message, results in self._send([each for each in email_messages if each.recipients()]):
            failures = [each for each in results if isinstance(each, MailkitError)]
            receipts = tuple(each for each in results if isinstance(each, Receipt))
            vars(message).update(mailkit_receipts=receipts, mailkit_receipt=receipts[0] if receipts else None)
            self._tell(message, receipts, failures)
            sent += bool(receipts)
            errors += [error for error in failures if not (self.fail_silently and _may_pass(error))]
        if errors:
            first, *others = errors
            for other in others:
                first.add_note(f"mailkit: another message failed: {other}")
            raise first
        return sent

    def _send(self, given: Sequence[EmailMessage]) -> Iterator[tuple[EmailMessage, list[Result]]]:
        plans = [(each, self._converted(each)) for each in given]
        several = [message for _, plan in plans if isinstance(plan, list) for message in plan]
        outcomes = self._mailer.send_many(several) if len(several) > 1 else None
        for each, plan in plans:
            if isinstance(plan, MailkitError):
                yield each, [plan]
            elif isinstance(plan, Prepared):
                yield each, [_result(self._mailer.send_raw, plan.data, plan.envelope)]
            elif outcomes is None:
                yield each, [_result(self._mailer.send, plan[0])]
            else:
                yield each, [_settled(next(outcomes)) for _ in plan]

    def _converted(self, message: EmailMessage) -> list[Message] | Prepared | MailkitError:
        try:
            return converted(message, provider=getattr(self._mailer.transport, "name", None))
        except MailkitError as error:
            return error

    def _tell(self, message: EmailMessage, receipts: Sequence[Receipt], failures: Sequence[MailkitError]) -> None:
        if _telling.get():
            return
        token = _telling.set(True)
        try:
            for receipt in receipts:
                message_sent.send_robust(type(self), message=message, receipt=receipt, alias=self.alias)
            for error in failures:
                message_failed.send_robust(type(self), message=message, error=error, alias=self.alias)
        finally:
            _telling.reset(token)


def _result(send: Callable[P, Receipt], *arguments: P.args, **keywords: P.kwargs) -> Result:
    try:
        return send(*arguments, **keywords)
    except MailkitError as error:
        return error


def _settled(outcome: Outcome) -> Result:
    result = outcome.receipt or outcome.error
    assert result is not None  # noqa: S101 - it is one of the two
    return result


def _may_pass(error: MailkitError) -> bool:
    """Whether it is a failure that ``fail_silently`` means: the mail's, not the settings'."""
    return isinstance(error, DeliveryError) and error.cause != "configuration"
