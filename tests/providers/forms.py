"""Forms, read back: what a provider of forms gets."""

from __future__ import annotations

import json
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from mailkit.providers.multipart import File

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["form_of"]


def form_of(
    body: bytes, media_type: str, *, several: Collection[str] = (), as_json: Collection[str] = ()
) -> dict[str, Any]:
    """Return a form's fields by name.

    Args:
        body: The request's body.
        media_type: Its Content-Type.
        several: Names that may come several times, and are lists.
        as_json: Names whose values are JSON.
    """
    form: dict[str, Any] = {}
    for name, value in _pairs(body, media_type):
        read = json.loads(value) if name in as_json and isinstance(value, str) else value
        if name in several:
            form.setdefault(name, []).append(read)
        else:
            assert name not in form, f"{name} comes twice"
            form[name] = read
    return form


def _pairs(body: bytes, media_type: str) -> list[tuple[str, str | File]]:
    if media_type == "application/x-www-form-urlencoded":
        text = body.decode("ascii")
        return list(parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict"))
    assert media_type.startswith("multipart/form-data; boundary=")
    boundary = media_type.partition("=")[2].encode()
    *parts, end = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]
    assert end == b"--\r\n"
    return [_part(part) for part in parts]


def _part(part: bytes) -> tuple[str, str | File]:
    assert part.startswith(b"\r\n")
    head, _, content = part[2:].partition(b"\r\n\r\n")
    fields = BytesParser(policy=policy.HTTP).parsebytes(head + b"\r\n\r\n")
    assert fields["Content-Disposition"].content_disposition == "form-data"
    name, filename = (fields.get_param(each, header="Content-Disposition") for each in ("name", "filename"))
    assert isinstance(name, str)
    if filename is None:
        return name, content.decode()
    assert isinstance(filename, str)
    return name, File(filename, content, fields.get_content_type())
