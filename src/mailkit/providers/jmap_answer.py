"""What a JMAP server answers to the calls that send a message: created, or why not (RFC 8620 §3.4, §5.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from mailkit.providers.jmap_calls import EMAIL, IMPORT, SUBMISSION_SET, SUBMIT
from mailkit.providers.jmap_errors import METHOD_ERRORS, SET_ERRORS, STALE
from mailkit.providers.status import NOT_SENT, UNKNOWN
from mailkit.receipt import RecipientResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailkit.edge.http import Response
    from mailkit.envelope import Envelope
    from mailkit.providers.status import Verdict

__all__ = ["Answer", "Problem", "Summary", "undelivered"]

_REPLY = re.compile(r"([2-5][0-9]{2})(?: ([245]\.[0-9]{1,3}\.[0-9]{1,3}))? ?(.*)", re.DOTALL)


@frozen(kw_only=True)
class Problem:
    """Why something was not created.

    Args:
        type: The error's type.
        verdict: What that says about the message.
        text: What the server says: the type, and its description.
        invalid: The recipients that the server takes for invalid.
        existing: The id of the message that there is already.
        properties: What of the record is not valid.
    """

    type: str
    verdict: Verdict
    text: str
    invalid: frozenset[str] = frozenset()
    existing: str | None = None
    properties: frozenset[str] = frozenset()


class Answer:
    """The responses to method calls.

    Args:
        document: The ``Response`` object.

    Raises:
        Exception: It is none: KeyError, TypeError, ValueError.
    """

    def __init__(self, document: Any) -> None:
        self.session_state: str | None = document.get("sessionState")
        self._first: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for name, arguments, call in document["methodResponses"]:
            # A call may have several: an implicit Email/set comes after what it belongs to (RFC 8621 §7.5).
            self._first.setdefault(call, (name, arguments))

    def arguments(self, call: str, name: str) -> Mapping[str, Any]:
        """Return what the method answered.

        Raises:
            KeyError: It answered nothing, or an error.
        """
        found, arguments = self._first[call]
        if found != name:
            raise KeyError(name)
        return arguments

    def error(self, call: str) -> str | None:
        """Return the type of the error that a call as a whole ended in."""
        name, arguments = self._first.get(call, ("", {}))
        return str(arguments.get("type")) if name == "error" else None

    def created(self, call: str, name: str) -> Mapping[str, Any] | None:
        """Return what the server says of the record that a call created; its creation id is that of the call."""
        found, arguments = self._first.get(call, ("", {}))
        created = cast("Mapping[str, Mapping[str, Any]]", arguments.get("created") or {})
        return created.get(call) if found == name else None

    def problem(self) -> Problem:
        """Return why nothing was submitted.

        Raises:
            KeyError: The answer does not say that nothing was.
        """
        submitting = self._problem(SUBMIT, SUBMISSION_SET)
        if EMAIL not in self._first or self.created(EMAIL, IMPORT) is not None:
            return submitting
        importing = self._problem(EMAIL, IMPORT)
        # Whatever became of the message in the mailbox: what was not submitted was not sent.
        verdict = NOT_SENT if importing.verdict is UNKNOWN else importing.verdict
        return Problem(type=importing.type, verdict=verdict, text=importing.text, existing=importing.existing)

    def _problem(self, call: str, name: str) -> Problem:
        error = self.error(call)
        if error is not None:
            return Problem(
                type=error,
                verdict=METHOD_ERRORS.get(error, METHOD_ERRORS["serverFail"]),
                text=_text(self._first[call][1]),
            )
        said: Mapping[str, Any] = self.arguments(call, name)["notCreated"][call]
        kind = str(said["type"])
        existing = said.get("existingId")
        return Problem(
            type=kind,
            verdict=SET_ERRORS.get(kind, UNKNOWN),
            text=_text(said),
            invalid=frozenset(map(str, said.get("invalidRecipients") or ())),
            existing=None if existing is None else str(existing),
            properties=frozenset(map(str, said.get("properties") or ())),
        )


@frozen(kw_only=True)
class Summary:
    """What there is to do after an answer to the calls that send a message, whatever it means for the message.

    Args:
        is_gone: Whether the server knows the URL or the credentials no more.
        is_stale: Whether it was sent nowhere, because what was looked up before is out of date.
        session_state: The state of the session now.
        imported: The id of the message that was put into the account.
        resubmit: The id of the message to be sent by another request, as it was not by this one: it was there already,
            or the server does not know it by its creation id.
    """

    is_gone: bool = False
    is_stale: bool = False
    session_state: str | None = None
    imported: str | None = None
    resubmit: str | None = None

    @classmethod
    def of(cls, response: Response) -> Summary:
        """Read as much of an answer as can be read."""
        if not 200 <= response.status <= 299:
            is_there = response.status not in {404, 410}
            return cls(is_gone=response.status == 401 or not is_there, is_stale=not is_there)
        try:
            return cls._read(Answer(response.json()))
        except Exception:  # noqa: BLE001 - what comes from outside may have any form
            return cls()

    @classmethod
    def _read(cls, answer: Answer) -> Summary:
        email = answer.created(EMAIL, IMPORT)
        imported = None if email is None else str(email["id"])
        if answer.created(SUBMIT, SUBMISSION_SET) is not None:
            return cls(session_state=answer.session_state, imported=imported)
        problem = answer.problem()
        is_unknown = imported is not None and problem.properties == frozenset({"emailId"})
        return cls(
            is_stale=problem.type in STALE and not is_unknown,
            session_state=answer.session_state,
            imported=imported,
            resubmit=imported if is_unknown else problem.existing if problem.type == "alreadyExists" else None,
        )


def _text(error: Mapping[str, Any]) -> str:
    properties = cast("Sequence[Any]", error.get("properties") or ())
    named = [error.get("type"), error.get("description"), ", ".join(map(str, properties))]
    return " ".join([str(each) for each in named if each])


def undelivered(record: Mapping[str, Any], envelope: Envelope) -> list[RecipientResult]:
    """Return the recipients whom a submission was refused for at once, where the server knows so soon.

    Raises:
        Exception: Its ``deliveryStatus`` cannot be read: AttributeError, TypeError.
    """
    statuses = cast("Mapping[str, Mapping[str, Any]]", record.get("deliveryStatus") or {})
    return [
        _refused(path.addr_spec, str(statuses[path.addr_spec].get("smtpReply") or ""))
        for path in envelope.rcpt_to
        if path.addr_spec in statuses and statuses[path.addr_spec].get("delivered") == "no"
    ]


def _refused(address: str, reply: str) -> RecipientResult:
    match = _REPLY.fullmatch(reply)
    code, enhanced, text = match.groups() if match else (None, None, reply)
    return RecipientResult(
        address,
        status="rejected",
        code=None if code is None else int(code),
        enhanced_code=enhanced,
        text=text,
        phase="response",
    )
