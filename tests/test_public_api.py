from __future__ import annotations

import ast
import importlib.metadata
import inspect
import pickle
from pathlib import Path

import pytest

import mailkit

_SOURCE = ast.parse(inspect.getsource(mailkit))


def _names_for_type_checkers() -> set[str]:
    """Return what the ``if TYPE_CHECKING`` block of the package imports."""
    (block,) = (
        node
        for node in _SOURCE.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    imports = [statement for statement in block.body if isinstance(statement, ast.ImportFrom)]
    return {alias.name for statement in imports for alias in statement.names}


def test_all_is_sorted_and_free_of_duplicates() -> None:
    """``__all__`` is in alphabetical order and names everything once."""
    assert mailkit.__all__ == sorted(set(mailkit.__all__))


@pytest.mark.parametrize("name", mailkit.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Every name in ``__all__`` can be imported from the package and is the same object each time."""
    value = getattr(mailkit, name)
    assert value is getattr(mailkit, name)
    assert value.__name__ == name


@pytest.mark.parametrize("name", mailkit.__all__)
def test_every_public_name_has_a_docstring_of_its_own(name: str) -> None:
    """Every public class says what it is, in a sentence that is not inherited."""
    assert vars(getattr(mailkit, name)).get("__doc__"), f"{name} has no docstring"


def test_type_checkers_see_exactly_the_public_names() -> None:
    """What is imported lazily at run time is what type checkers are shown."""
    assert _names_for_type_checkers() == set(mailkit.__all__)


def test_dir_lists_names_that_were_not_imported_yet() -> None:
    """Completion in a shell offers every public name."""
    assert set(mailkit.__all__) <= set(dir(mailkit))


def test_a_misspelt_name_is_an_attribute_error() -> None:
    """A name that does not exist is refused with the module's name and its own."""
    with pytest.raises(AttributeError, match="module 'mailkit' has no attribute 'Mailr'"):
        mailkit.Mailr  # type: ignore[attr-defined]  # noqa: B018


def test_a_misspelt_name_cannot_be_imported() -> None:
    """``from mailkit import`` of an unknown name is an ImportError, as for every package."""
    with pytest.raises(ImportError, match="Mailr"):
        from mailkit import Mailr  # type: ignore[attr-defined]  # noqa: F401


def test_the_version_is_the_distribution_s() -> None:
    """The version in the package is the one that was installed."""
    assert mailkit.__version__ == importlib.metadata.version("mailkit-sdk")


def test_the_package_is_marked_as_typed() -> None:
    """``py.typed`` is installed beside the modules (PEP 561)."""
    assert (Path(mailkit.__file__).parent / "py.typed").is_file()


def test_public_classes_are_pickled_by_their_module() -> None:
    """A public class found through the package pickles as the class in its own module."""
    for name in mailkit.__all__:
        value = getattr(mailkit, name)
        assert pickle.loads(pickle.dumps(value)) is value
