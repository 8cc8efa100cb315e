from __future__ import annotations

import pytest

from mailkit.cli.fields import fill, for_html, for_url, names_in

VALUES = {"name": "Bob & <Eve>", "First name": "Zoë", "stadt": "Köln", "x": "{name}"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Dear {name},", "Dear Bob & <Eve>,"),
        ("{First name}{stadt}", "ZoëKöln"),
        ("{{name}} and {name}", "{name} and Bob & <Eve>"),
        ("{x}", "{name}"),
        ("p {color: red} @media{a{b:c}} {} { name } {0} {name!r} {name.__class__} ${HOME:-x}", None),
    ],
)
def test_a_field_is_a_column_in_braces_and_nothing_else_is(text: str, filled: str | None) -> None:
    """Values are put in once and never looked at again; CSS, JSON and Python's own formats stay what they are."""
    assert fill(text, VALUES) == (text if filled is None else filled)


def test_the_names_are_those_that_would_be_filled() -> None:
    """Escaped braces name nothing."""
    assert names_in("{name} {{other}} {First name} p {color: red}") == {"name", "First name"}


def test_a_name_without_a_column_is_no_value() -> None:
    """Whoever fills has checked the names before."""
    with pytest.raises(KeyError):
        fill("{nmae}", VALUES)


def test_values_are_escaped_for_where_they_stand() -> None:
    """In HTML no value opens a tag or ends an attribute; in a URL none ends its part."""
    assert fill("<b title='{name}'>", VALUES, for_html) == "<b title='Bob &amp; &lt;Eve&gt;'>"
    assert for_html("\"'") == "&quot;&#x27;"
    assert fill("https://example.com/?u={u}&x=1", {"u": "a&b=c/ü#"}, for_url) == (
        "https://example.com/?u=a%26b%3Dc%2F%C3%BC%23&x=1"
    )
