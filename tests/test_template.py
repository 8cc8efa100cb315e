from __future__ import annotations

import pytest

from mailkit.errors import MessageError
from mailkit.template import Template


@pytest.mark.parametrize("template_id", ["welcome", "d-1f0a", 0, 1234567])
def test_an_id_is_a_name_or_a_number(template_id: str | int) -> None:
    """Providers name templates by text or by number, and neither becomes the other."""
    template = Template(template_id)
    assert template.id == template_id
    assert type(template.id) is type(template_id)
    assert template.data == {}


@pytest.mark.parametrize("template_id", ["", "é", "a\n", -1, True, None, 1.5])
def test_what_is_no_id_is_refused(template_id: object) -> None:
    """Empty, non-ASCII, negative and other values name no template."""
    with pytest.raises(MessageError, match=r"^the template's id "):
        Template(template_id)  # type: ignore[arg-type]


def test_the_data_are_frozen_json() -> None:
    """A change of what was passed in does not reach the template, which is hashable."""
    items = [{"name": "Tea"}]
    template = Template("receipt", {"items": items})
    items.clear()
    assert template.data["items"][0]["name"] == "Tea"
    assert hash(template) == hash(Template("receipt", {"items": [{"name": "Tea"}]}))


@pytest.mark.parametrize("data", [[], "x", {"a": object()}])
def test_data_that_are_no_json_are_refused(data: object) -> None:
    """Data have to be a mapping of what JSON has."""
    with pytest.raises(MessageError, match=r"^the template's data"):
        Template("receipt", data)  # type: ignore[arg-type]


def test_the_repr_leaves_the_data_out() -> None:
    """What fills the gaps may be personal and stays out of logs."""
    assert repr(Template("welcome", {"name": "Bob"})) == "Template(id='welcome')"
