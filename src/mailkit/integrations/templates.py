"""Bodies from an application's own Jinja templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from jinja2 import TemplateNotFound

from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Bodies", "templates_of"]


class Bodies(TypedDict, total=False):
    """The bodies that templates were rendered to, named as :class:`mailkit.Message` takes them."""

    text: str
    html: str


def templates_of(environment: Environment, template: str) -> list[tuple[Literal["text", "html"], str]]:
    """Return which body is in which template: ``TEMPLATE.txt`` and ``TEMPLATE.html``, or the one of them that there is.

    What a template extends or includes is only looked for when it is rendered.

    Raises:
        ConfigurationError: There is neither.
    """
    bodies: list[tuple[Literal["text", "html"], str]] = [("text", f"{template}.txt"), ("html", f"{template}.html")]
    found = [pair for pair in bodies if _has_template(environment, pair[1])]
    if not found:
        raise ConfigurationError(f"there is neither a template {bodies[0][1]!r} nor {bodies[1][1]!r}")
    return found


def _has_template(environment: Environment, name: str) -> bool:
    try:
        environment.get_template(name)
    except TemplateNotFound:
        return False
    return True
