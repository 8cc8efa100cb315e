"""What AWS's tools find their credentials in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["aws_role"]


def aws_role(name: str, until: datetime) -> dict[str, Any]:
    """Return what a container's metadata service answers for a role, with secrets made of its name."""
    return {
        "AccessKeyId": name,
        "SecretAccessKey": f"{name}-secret",
        "Token": f"{name}-token",
        "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
