"""MTA-STS (RFC 8461): what a domain's record and policy say, read strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Policy", "parse_policy", "record_id"]

LONGEST_AGE: Final = 31_557_600
"""Seconds: a year (RFC 8461 §3.2)."""

# RFC 8461 §3.1. Records of something else may stand beside it; two of these are none.
_VERSION: Final = re.compile(rb"v=STSv1[ \t]*;")
_RECORD: Final = re.compile(
    rb"v=STSv1(?:[ \t]*;[ \t]*[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+)+[ \t]*;?[ \t]*"
)
_ID: Final = re.compile(rb";[ \t]*id=([A-Za-z0-9]{1,32})(?=[ \t]*(?:;|\Z))")

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MX: Final = re.compile(rf"(?=.{{1,255}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_FIELD: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*?)[ \t]*")
_MAX_AGE: Final = re.compile(r"[0-9]{1,10}")

Mode = Literal["enforce", "testing", "none"]


@frozen(kw_only=True)
class Policy:
    """A domain's policy.

    Args:
        mode: Whether it binds (``"enforce"``), is only being tried, or is withdrawn.
        mx: The mail exchangers, as names or as ``*.example.com``.
        max_age: For how many seconds it holds.
    """

    mode: Mode
    mx: tuple[str, ...]
    max_age: int

    def allows(self, host: str) -> bool:
        """Whether the policy names a host; ``*`` stands for exactly one label (RFC 8461 §4.1)."""
        name = host.rstrip(".").lower()
        return name in self.mx or f"*.{name.partition('.')[2]}" in self.mx


def record_id(texts: Iterable[bytes]) -> str | None:
    """Return the id in a domain's ``_mta-sts`` record, or None where there is no record, or not exactly one."""
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) != 1 or not _RECORD.fullmatch(records[0]):
        return None
    found = _ID.findall(records[0])
    return found[0].decode("ascii") if len(found) == 1 else None


def parse_policy(body: bytes) -> Policy | None:
    """Read a policy file (RFC 8461 §3.2), or return None where it is none: then nothing of it counts.

    Lines end with LF or CRLF. What is unknown is left aside, of what comes twice (but mx) the first counts.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    fields: dict[str, str] = {}
    mx: list[str] = []
    for line in text.replace("\r\n", "\n").rstrip("\n \t").split("\n"):
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        name, value = field.groups()
        if name == "mx":
            mx.append(value.lower())
        else:
            fields.setdefault(name, value)
    return _policy(fields, mx)


def _policy(fields: dict[str, str], mx: list[str]) -> Policy | None:
    modes: dict[str, Mode] = {"enforce": "enforce", "testing": "testing", "none": "none"}
    mode, max_age = modes.get(fields.get("mode", "")), fields.get("max_age", "")
    if fields.get("version") != "STSv1" or mode is None or not _MAX_AGE.fullmatch(max_age):
        return None
    if not all(map(_MX.fullmatch, mx)) or (not mx and mode != "none"):
        return None
    return Policy(mode=mode, mx=tuple(mx), max_age=min(int(max_age), LONGEST_AGE))
