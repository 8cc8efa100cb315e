"""The rules of the architecture that import-linter's contracts (pyproject.toml) cannot express."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mailkit

_PACKAGE = Path(mailkit.__file__).parent
_MODULES = sorted(_PACKAGE.rglob("*.py"))
_OUTSIDE = [path for path in _MODULES if path.relative_to(_PACKAGE).parts[0] not in {"edge", "testing"}]


def _name(path: Path) -> str:
    return path.relative_to(_PACKAGE).as_posix()


def test_the_blocking_edge_awaits_nothing() -> None:
    """``edge/blocking.py`` is made of ``async def`` and has no ``await``: run_sync steps it in one go."""
    tree = ast.parse((_PACKAGE / "edge" / "blocking.py").read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    assert any(isinstance(node, ast.AsyncFunctionDef) for node in nodes)
    assert not [node.lineno for node in nodes if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)]


@pytest.mark.parametrize("path", _OUTSIDE, ids=_name)
def test_modules_import_from_their_own_place(path: Path) -> None:
    """No module imports from the package itself, which would load by name what a layer hides."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "mailkit"
        for alias in node.names
        if alias.name in mailkit.__all__
    ]
    assert not found


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_modules_are_of_a_readable_size(path: Path) -> None:
    """No module has more than 400 lines: one idea a file."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_modules_are_named_after_a_feature(path: Path) -> None:
    """No module or folder is called utils, helpers, common, core or manager."""
    vague = {"utils", "helpers", "common", "core", "manager"}
    assert not vague & set(path.relative_to(_PACKAGE).with_suffix("").parts)
