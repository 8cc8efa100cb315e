"""An envelope as JMAP writes it, with the parameters that SMTP has for it (RFC 8621 §7)."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.address import Address
    from mailkit.envelope import Envelope

__all__ = ["envelope_object", "needed_extensions"]


def envelope_object(envelope: Envelope) -> dict[str, Any]:
    """Return the ``envelope`` of a submission. Values are as they are: encoding them for SMTP is for the server.

    Example:
        >>> from mailkit import Envelope
        >>> envelope_object(Envelope(None, ["bob@example.org"]))
        {'mailFrom': {'email': ''}, 'rcptTo': [{'email': 'bob@example.org'}]}
    """
    return {
        "mailFrom": _address(envelope.mail_from, _mail_parameters(envelope)),
        "rcptTo": [_address(path, _rcpt_parameters(envelope, path)) for path in envelope.rcpt_to],
    }


def needed_extensions(envelope: Envelope, *, smtputf8: bool) -> list[tuple[str, str]]:
    """Return the keywords that the server has to offer, each with the feature of the message that asks for it.

    Args:
        envelope: The envelope.
        smtputf8: Whether the message itself needs SMTPUTF8, whatever the envelope does.
    """
    # How long a message may be held back has a place of its own in the session.
    needed = [each for each in envelope.mail_parameters.extensions if each[0] != "FUTURERELEASE"]
    needed += [("DSN", "dsn")] * envelope.needs_dsn
    return needed + [("SMTPUTF8", "smtputf8")] * (smtputf8 or envelope.needs_smtputf8)


def _address(path: Address | None, parameters: Mapping[str, str | None]) -> dict[str, Any]:
    email = "" if path is None else path.addr_spec
    return {"email": email, "parameters": dict(parameters)} if parameters else {"email": email}


def _mail_parameters(envelope: Envelope) -> dict[str, str | None]:
    asked = envelope.mail_parameters
    found: dict[str, str | None] = {"SMTPUTF8": None} if envelope.needs_smtputf8 else {}
    if asked.require_tls:
        found["REQUIRETLS"] = None
    texts = {
        "RET": asked.ret,
        "ENVID": asked.envid,
        "MT-PRIORITY": None if asked.priority is None else str(asked.priority),
        "BY": None if asked.deliver_by is None else f"{asked.deliver_by};{asked.deliver_by_mode}",
        "AUTH": asked.submitter,
        # RFC 4865 §5.2.1
        "HOLDUNTIL": None if asked.hold_until is None else f"{asked.hold_until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    return {**found, **{name: text for name, text in texts.items() if text is not None}}


def _rcpt_parameters(envelope: Envelope, path: Address) -> dict[str, str | None]:
    asked = envelope.parameters_for(path)
    texts = {"NOTIFY": None if asked.notify is None else ",".join(asked.notify), "ORCPT": asked.orcpt}
    return {name: text for name, text in texts.items() if text is not None}
