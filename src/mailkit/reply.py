"""What the other side answered: one SMTP reply, or one HTTP status with its explanation."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Reply"]


@frozen
class Reply:
    r"""An answer of a server or a provider.

    The code decides; the enhanced code only explains (RFC 3463 §2: where the two contradict each other, the reply
    code wins).

    Example:
        >>> Reply(550, "no such user", enhanced_code="5.1.1").is_permanent
        True

    Args:
        code: The SMTP reply code (RFC 5321 §4.2) or the HTTP status.
        text: The human-readable part: untrusted, printable, lines joined by ``\n``.
        enhanced_code: The enhanced status code (RFC 3463), such as ``"5.1.1"``, where the server sent one.
    """

    code: int
    text: str = ""
    enhanced_code: str | None = None

    @property
    def is_positive(self) -> bool:
        """Whether the command was accepted (2xx)."""
        return 200 <= self.code <= 299

    @property
    def is_intermediate(self) -> bool:
        """Whether the server asks for more (3xx), such as 354 or 334."""
        return 300 <= self.code <= 399

    @property
    def is_transient(self) -> bool:
        """Whether the same thing may work later (4xx)."""
        return 400 <= self.code <= 499

    @property
    def is_permanent(self) -> bool:
        """Whether the same thing will not work later either (5xx)."""
        return 500 <= self.code <= 599

    def __str__(self) -> str:
        parts = [str(self.code), self.enhanced_code or "", self.text]
        return " ".join(part for part in parts if part)
