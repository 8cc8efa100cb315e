"""The message that the command line describes: one for everybody, or one for each row of a CSV file."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from attrs import field, frozen

from mailkit.attachment import Attachment
from mailkit.cli.fields import fill, for_html, for_url, names_in
from mailkit.errors import MessageError
from mailkit.message import ListUnsubscribe, Message

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from mailkit.address import Address

__all__ = ["Composition", "file_text", "open_standard_input", "standard_input"]


@frozen(kw_only=True)
class Composition:
    """What all messages of one command have in common, with or without fields in it.

    Args:
        fixed: The message without what may hold fields.
        texts: What may: ``subject``, ``text`` and ``html``.
        headers: Further header fields.
        metadata: What comes back with events.
        targets: Where the "unsubscribe" button leads.
        one_click: Whether a POST there unsubscribes.
    """

    fixed: Message
    texts: Mapping[str, str]
    headers: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, str] = field(factory=dict[str, str])
    targets: tuple[str, ...] = ()
    one_click: bool = False

    @classmethod
    def of(cls, parsed: argparse.Namespace) -> Composition:
        """Read what the arguments name.

        Raises:
            MessageError: A file cannot be read, or something in it is wrong.
        """
        texts = {
            "subject": parsed.subject,
            "text": _text(parsed.text, parsed.text_file),
            "html": _text(parsed.html, parsed.html_file),
        }
        return cls(
            fixed=Message(
                from_=parsed.from_,
                to=parsed.to,
                cc=parsed.cc,
                bcc=parsed.bcc,
                reply_to=parsed.reply_to,
                tags=parsed.tag,
                attachments=[
                    *[Attachment.from_path(path) for path in parsed.attach],
                    *[Attachment.from_path(path, content_id=name) for name, path in map(_embedded, parsed.embed)],
                ],
            ),
            texts={name: text for name, text in texts.items() if text is not None},
            headers=tuple([_pair(each, ":", "--header", "'X-Campaign: autumn'") for each in parsed.header]),
            metadata=dict([_pair(each, "=", "--metadata", "quarter=q3") for each in parsed.metadata]),
            targets=tuple(parsed.list_unsubscribe),
            one_click=parsed.one_click,
        )

    def message(self, **addressed: Any) -> Message:
        """Return the message as it stands: braces are braces.

        Raises:
            MessageError: It is wrong.
        """
        return self._message(lambda text, _: text, **addressed)

    def message_for(self, recipient: Address, values: Mapping[str, str], *, message_id: str) -> Message:
        """Return the message for one recipient, its fields filled in.

        Raises:
            MessageError: What came of it is wrong, such as a subject of two lines.
        """
        return self._message(lambda text, escape: fill(text, values, escape), to=recipient, message_id=message_id)

    def _message(self, filled: Callable[[str, Callable[[str], str]], str], **addressed: Any) -> Message:
        texts = {name: filled(text, for_html if name == "html" else str) for name, text in self.texts.items()}
        targets = [filled(target, for_url) for target in self.targets]
        return self.fixed.evolve(
            **texts,
            headers=[(name, filled(value, str)) for name, value in self.headers],
            metadata={name: filled(value, str) for name, value in self.metadata.items()},
            list_unsubscribe=ListUnsubscribe(targets, one_click=self.one_click) if targets else None,
            **addressed,
        )

    def check_fields(self, columns: tuple[str, ...], path: Path) -> None:
        """Check that there is a column for every field, before the first recipient gets anything.

        Raises:
            MessageError: There is none.
        """
        for text in self._filled_texts():
            for name in sorted(names_in(text) - set(columns)):
                raise MessageError(
                    f"{{{name}}} is in the message, and {path} has no such column, but "
                    f"{', '.join(map(repr, columns))}: correct it, or write {{{{{name}}}}} for braces that stay"
                )

    def _filled_texts(self) -> tuple[str, ...]:
        return (*self.texts.values(), *[value for _, value in self.headers], *self.metadata.values(), *self.targets)

    def fingerprint(self) -> str:
        """Return a hash of everything that recipients see, attached files included."""
        said = {
            "fixed": self.fixed.evolve(attachments=()).to_dict(),
            "texts": dict(self.texts),
            "headers": self.headers,
            "metadata": dict(self.metadata),
            "list_unsubscribe": (self.targets, self.one_click),
            "attachments": [
                (each.filename, each.media_type, each.content_id, _digest(each)) for each in self.fixed.attachments
            ],
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def file_text(path: str) -> str:
    """Return the text of a file, or of standard input where it is called ``-``.

    Raises:
        MessageError: It cannot be read, or is no UTF-8.
    """
    if path == "-":
        return standard_input()
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MessageError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise MessageError(f"{path} is not UTF-8 text: convert it, or attach the file with --attach") from None


def standard_input() -> str:
    """Return the text on standard input.

    Raises:
        MessageError: It is closed, or in another encoding than the terminal's.
    """
    stream = open_standard_input()
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="strict")  # without a locale Python lets everything pass
    try:
        return stream.read().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        msg = f"standard input is not {error.encoding} text: convert it, or attach the file with --attach"
        raise MessageError(msg) from None


def open_standard_input() -> TextIO:
    """Return standard input.

    Raises:
        MessageError: It is closed.
    """
    stream: TextIO | None = sys.stdin
    if stream is None:
        raise MessageError("standard input is closed: there is nothing to read")
    return stream


def _text(text: str | None, path: str | None) -> str | None:
    if path is not None:
        return file_text(path)
    return standard_input() if text == "-" else text


def _pair(given: str, separator: str, option: str, example: str) -> tuple[str, str]:
    name, found, value = given.partition(separator)
    if not (found and name.strip()):
        raise MessageError(f"{option} {given!r} has no name and value: write it like {example}")
    return name.strip(), value.strip()


def _embedded(given: str) -> tuple[str, str]:
    return _pair(given, "=", "--embed", "logo=logo.png")


def _digest(attachment: Attachment) -> str:
    digest = hashlib.sha256()
    for block in attachment.iter_blocks():
        digest.update(block)
    return digest.hexdigest()
