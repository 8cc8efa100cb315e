"""Bodies from an application's own Jinja templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from jinja2 import TemplateNotFound

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Bodies", "has_template"]


class Bodies(TypedDict, total=False):
    """The bodies that templates were rendered to, named as :class:`mailkit.Message` takes them."""

    text: str
    html: str


def has_template(environment: Environment, name: str) -> bool:
    """Whether there is such a template. What it extends or includes is only looked for when it is rendered."""
    try:
        environment.get_template(name)
    except TemplateNotFound:
        return False
    return True
