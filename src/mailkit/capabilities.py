"""What a transport can express, and what a message asks of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attrs import fields, frozen

from mailkit.errors import UnsupportedFeatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["Capabilities", "unsupported"]


@frozen(kw_only=True, cache_hash=True)
class Capabilities:
    """What a transport can express, so that nothing is ever dropped in silence.

    Numbers are the most that one message may carry; 0 is none.

    Example:
        >>> Capabilities(attachments=True, tags=1).tags
        1

    Args:
        html: An HTML body.
        cc: Recipients in Cc.
        bcc: Recipients in Bcc.
        reply_to: Addresses in Reply-To.
        headers: Header fields of one's own.
        threading: In-Reply-To and References.
        sender: A Sender apart from From.
        return_path: A reverse-path apart from From.
        list_unsubscribe: List-Unsubscribe, also with one click (RFC 8058).
        attachments: Attached files.
        inline: Files shown inside the HTML body (``cid:``).
        amp: An AMP body.
        calendar: A calendar invitation.
        smtputf8: Addresses whose local part is not ASCII (RFC 6531).
        raw: Prepared RFC 5322 bytes through ``send_raw``.
        tags: Tags or categories.
        metadata: Entries of metadata that events carry back.
        track_opens: Choosing for one message whether opens are tracked.
        track_clicks: Choosing for one message whether clicks are tracked.
        send_at: Delivery at a later time.
        template: Templates stored at the provider.
    """

    html: bool = True
    cc: bool = True
    bcc: bool = True
    reply_to: int = 1
    headers: bool = True
    threading: bool = True
    sender: bool = False
    return_path: bool = False
    list_unsubscribe: bool = True
    attachments: bool = False
    inline: bool = False
    amp: bool = False
    calendar: bool = False
    smtputf8: bool = False
    raw: bool = False
    tags: int = 0
    metadata: int = 0
    track_opens: bool = False
    track_clicks: bool = False
    send_at: bool = False
    template: bool = False

    @classmethod
    def everything(cls) -> Capabilities:
        """Return the capabilities of a transport that keeps messages as they are."""
        many = 1_000_000_000
        most: dict[str, Any] = {each.name: many if each.type == "int" else True for each in fields(cls)}
        return cls(**most)

    @classmethod
    def rfc5322(cls, *, smtputf8: bool = True) -> Capabilities:
        """Return the capabilities of a transport that carries RFC 5322 bytes and nothing beside them."""
        return cls(
            reply_to=1_000_000_000,
            sender=True,
            return_path=True,
            attachments=True,
            inline=True,
            amp=True,
            calendar=True,
            smtputf8=smtputf8,
            raw=True,
        )

    def check(self, message: Message, envelope: Envelope, *, transport: str) -> None:
        """Refuse what this transport cannot express, before any I/O.

        Raises:
            UnsupportedFeatureError: The first such feature.
        """
        for feature, used, limit in _limits(self):
            wanted = used(message)
            if wanted > limit:
                raise unsupported(feature, wanted, limit, transport)
        if self.smtputf8:
            return
        named = (message.from_, message.sender, *message.reply_to)  # in the header, whoever the envelope names
        if envelope.needs_smtputf8 or any(each and each.needs_smtputf8 for each in named):
            raise unsupported("smtputf8", 1, 0, transport)


_USES: Mapping[str, Callable[[Message], int]] = {
    "html": lambda message: message.html is not None,
    "cc": lambda message: bool(message.cc),
    "bcc": lambda message: bool(message.bcc),
    "reply_to": lambda message: len(message.reply_to),
    "headers": lambda message: bool(message.headers),
    "threading": lambda message: message.in_reply_to is not None or bool(message.references),
    "sender": lambda message: message.sender is not None,
    "return_path": lambda message: message.return_path is not None,
    "list_unsubscribe": lambda message: message.list_unsubscribe is not None,
    "attachments": lambda message: any(each.disposition == "attachment" for each in message.attachments),
    "inline": lambda message: any(each.disposition == "inline" for each in message.attachments),
    "amp": lambda message: message.amp is not None,
    "calendar": lambda message: message.calendar is not None,
    "tags": lambda message: len(message.tags),
    "metadata": lambda message: len(message.metadata),
    "track_opens": lambda message: message.track_opens is not None,
    "track_clicks": lambda message: message.track_clicks is not None,
    "send_at": lambda message: message.send_at is not None,
    "template": lambda message: message.template is not None,
}


@lru_cache(maxsize=64)
def _limits(capabilities: Capabilities) -> tuple[tuple[str, Callable[[Message], int], int], ...]:
    """Return what has to be looked at in each message: what there is no limit to has not."""
    limits = ((feature, used, getattr(capabilities, feature)) for feature, used in _USES.items())
    return tuple([limit for limit in limits if limit[2] is not True])


def unsupported(feature: str, wanted: int, limit: int, transport: str) -> UnsupportedFeatureError:
    """Return the error that says how much of a feature a transport has."""
    most = f"at most {limit} of them, not {wanted}" if limit else "none"
    return UnsupportedFeatureError(
        f"{transport} cannot express {feature!r} ({most}): leave it out, or send through a transport that can",
        feature=feature,
        transport=transport,
    )
