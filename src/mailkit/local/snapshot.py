"""A message as text that is the same in every run, to be kept beside a test and compared with."""

from __future__ import annotations

import difflib
import email
import email.policy
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from mailkit.errors import ConfigurationError
from mailkit.local.readable import escaped

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage

    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["UPDATE", "check_snapshot", "snapshot"]

UPDATE: Final = "MAILKIT_UPDATE_SNAPSHOTS"
"""The environment variable that lets snapshots be written instead of compared."""

# What differs in every run, or is how the content was packed for the way rather than what it is.
_NORMALISED: Final = {"date": "(a date)", "message-id": "<(an id)>"}
_PACKING: Final = frozenset({"mime-version", "content-type", "content-transfer-encoding"})

_BESIDE: Final = (
    "tags",
    "metadata",
    "track_opens",
    "track_clicks",
    "send_at",
    "template",
    "idempotency_key",
    "options",
)
"""Fields of a message that only providers see, and no header says."""


def snapshot(
    raw: bytes,
    envelope: Envelope,
    message: Message | None = None,
    *,
    replace: Mapping[str | re.Pattern[str], str] | None = None,
) -> str:
    """Return a message as text: its envelope, header fields and parts, decoded, without what differs in every run.

    Date and Message-ID have a stand-in, boundaries and transfer encodings are left out, other files than texts are
    shown by size and hash.

    Args:
        raw: The octets.
        envelope: Who it is from and to.
        message: The message, for what only providers see of it.
        replace: What else differs, a text or a compiled pattern, and what is shown in its place.
    """
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    sender = "" if envelope.mail_from is None else envelope.mail_from.addr_spec
    lines = [f"MAIL FROM:<{sender}>", *[f"RCPT TO:<{each.addr_spec}>" for each in envelope.rcpt_to], ""]
    lines += _fields(parsed)
    if message is not None:
        lines += [f"({name}: {shown})" for name, shown in _beside(message)]
    lines += _parts(parsed, "")
    text = escaped("\n".join(lines)) + "\n"
    for old, new in (replace or {}).items():
        text = text.replace(old, new) if isinstance(old, str) else old.sub(new, text)
    return text


def check_snapshot(text: str, path: str | os.PathLike[str], *, update: bool | None = None) -> None:
    """Compare a snapshot with the file that keeps it.

    Args:
        text: The snapshot.
        path: The file.
        update: Write the file instead; where None, the environment's ``MAILKIT_UPDATE_SNAPSHOTS=1`` says so.

    Raises:
        AssertionError: They differ, or there is no such file.
        ConfigurationError: The file cannot be read or written.
    """
    __tracebackhide__ = True
    file = Path(path)
    if os.environ.get(UPDATE, "") not in {"", "0"} if update is None else update:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise ConfigurationError(f"cannot write the snapshot {file}: {error.strerror or error}") from None
        return
    try:
        kept = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AssertionError(f"there is no snapshot {file} yet: run once with {UPDATE}=1, and look at it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the snapshot {file}: {error}") from None
    if kept != text:
        difference = "\n".join(difflib.unified_diff(kept.split("\n"), text.split("\n"), str(file), "sent", lineterm=""))
        raise AssertionError(f"the message is not as in {file}; if it is right, run with {UPDATE}=1:\n{difference}")


def _fields(part: EmailMessage) -> Iterator[str]:
    for name, value in part.items():
        if name.lower() not in _PACKING:
            yield f"{name}: {_NORMALISED.get(name.lower(), value)}"


def _beside(message: Message) -> Iterator[tuple[str, str]]:
    said: dict[str, Any] = message.evolve(attachments=()).to_dict()
    for name in _BESIDE:
        if said.get(name) is not None:
            yield name, json.dumps(said[name], ensure_ascii=False)


def _parts(part: EmailMessage, number: str) -> Iterator[str]:
    yield ""
    yield f"--- {number} {_title(part)}".replace("  ", " ")
    if not part.is_multipart():
        yield _content(part)
        return
    children = cast("list[EmailMessage]", part.get_payload())
    if part.get_content_type() == "message/rfc822":
        yield from _fields(children[0])
    for index, child in enumerate(children, 1):
        yield from _parts(child, f"{number}.{index}" if number else str(index))


def _title(part: EmailMessage) -> str:
    charset = part.get_content_charset()
    content_id = part["Content-ID"]
    facts = (
        part.get_content_type(),
        charset and f"charset={charset}",
        part.get_content_disposition(),
        part.get_filename(),
        content_id and f"cid:{str(content_id).strip('<> ')}",
    )
    return ", ".join([str(fact) for fact in facts if fact])


def _content(part: EmailMessage) -> str:
    if part.get_content_maintype() == "text":
        try:
            return str(part.get_content()).replace("\r\n", "\n").removesuffix("\n")
        except (LookupError, UnicodeError):
            pass  # prepared octets in an unknown charset
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return f"({len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]})"
