"""Vendors' machine-readable contracts: read, patched where they are known to be wrong, and made strict.

The contracts themselves say little about unknown fields, so every object that lists its properties and says nothing
about others is closed here: a misspelt field is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml
from attrs import frozen
from openapi_schema_validator import OAS30Validator, OAS31Validator

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Contract", "at", "problems"]

Patch = Callable[[Any], None]


@frozen
class Contract:
    """Where the schema of a request's body is.

    Args:
        file: The file below ``vendors/specs``.
        pointer: The path of keys from its top to the schema; none where the file is the schema.
        patches: Corrects what is known to be wrong with the file, in place.
    """

    file: str
    pointer: tuple[str | int, ...] = ()
    patches: tuple[Patch, ...] = ()


def at(document: Any, *keys: str | int) -> Any:
    """Return a part of a document, following references within it."""
    found = document
    for key in keys:
        found = _followed(document, found)[key]
    return _followed(document, found)


def _followed(document: Any, found: Any) -> Any:
    while isinstance(found, Mapping) and isinstance(found.get("$ref"), str):
        target = document
        for key in found["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        found = target
    return found


def problems(folder: Path, contract: Contract, payload: Any) -> list[str]:
    """Return what a contract has against a payload, with the place of each."""
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in _validator(folder, contract).iter_errors(payload)
    ]


@lru_cache(maxsize=4)
def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_LOADER)


@lru_cache(maxsize=64)
def _validator(folder: Path, contract: Contract) -> Any:
    document = deepcopy(_read(folder / contract.file))
    for patch in contract.patches:
        patch(document)
    schema = deepcopy(at(document, *contract.pointer))
    _close(document, set())
    _close(schema, set())
    # References are resolved within the schema, so what they point to comes along.
    whole = {**{key: value for key, value in document.items() if key in _HOLDERS}, **schema}
    is_old = str(document.get("openapi", "")).startswith("3.0") or "swagger" in document
    return (OAS30Validator if is_old else OAS31Validator)(whole)


_HOLDERS = ("components", "definitions", "$defs")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where libyaml is there, ten times as fast


def _close(schema: Any, seen: set[int]) -> None:
    """Close every object that names its properties, but for parts of an allOf, which do not know each other's."""
    if id(schema) in seen:
        return
    seen.add(id(schema))
    if isinstance(schema, list):
        for each in schema:
            _close(each, seen)
    elif isinstance(schema, dict):
        composed = any(name in schema for name in ("allOf", "oneOf", "anyOf"))
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and not composed:
            schema["additionalProperties"] = False
        for name, each in schema.items():
            if name == "allOf":
                for part in each:
                    _close(part.get("properties"), seen)
            elif name not in {"example", "examples", "default", "enum"}:
                _close(each, seen)
