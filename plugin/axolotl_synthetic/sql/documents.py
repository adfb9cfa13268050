"""JSON for columns that a query reads JSON from: the paths that it reads, and documents with values there.

A plain word in such a column would end the query ("malformed JSON") and test nothing. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from axolotl_synthetic.sql.reader import Cell

Path = tuple[str | int, ...]
"""Keys and array indices, from the outside in; ends in LENGTH if the query asks for an array's length."""
LENGTH = "#"
# Longest array to generate.
LONGEST_ARRAY = 30
_EXTRACTS = (exp.JSONExtract, exp.JSONExtractScalar, exp.JSONType)
_FUNCTIONS = {
    *("json", "json_array_length", "json_error_position", "json_extract", "json_insert", "json_patch", "json_pretty", "json_remove"),
    *("json_replace", "json_set", "json_type", "json_valid"),
}


def looks_into(node: exp.Expr) -> tuple[exp.Column, Path] | None:
    """Return the column that a call reads as JSON, and the path it reads; None for other nodes."""
    path: Path = ()
    if isinstance(node, exp.Anonymous) and node.name.lower() in _FUNCTIONS and node.expressions:
        path = (*_steps(node.expressions[1] if len(node.expressions) > 1 else None), *((LENGTH,) if "length" in node.name.lower() else ()))
        node = node.expressions[0]
    elif isinstance(node, exp.ParseJSON):
        node = node.this
    elif not isinstance(node, _EXTRACTS):
        return None
    while isinstance(node, _EXTRACTS):
        path = (*_steps(node.args.get("expression")), *path)
        node = node.this
    return (node, path) if isinstance(node, exp.Column) else None


def _steps(path: exp.Expr | None) -> Path:
    found: list[str | int] = []
    if isinstance(path, exp.JSONPath):
        for part in path.expressions:
            if isinstance(part, exp.JSONPathKey | exp.JSONPathSubscript) and isinstance(part.this, str | int):
                found.append(part.this)
    elif isinstance(path, exp.Literal) and path.is_string:
        found += [step for step in path.name.removeprefix("$").split(".") if step and "[" not in step]
    return tuple(found)


def document(values: Mapping[Path, Cell]) -> str:
    """Return a JSON text that holds these values at their paths."""
    whole: Any = {}
    for path, value in sorted(values.items(), key=lambda item: (len(item[0]), repr(item[0]))):
        if path[-1:] == (LENGTH,):
            path, value = path[:-1], [1] * (value if isinstance(value, int) and 0 <= value <= LONGEST_ARRAY else len(str(value)) % 4)  # type: ignore[assignment]
        whole = _with(whole, path, value)
    return json.dumps(whole, ensure_ascii=False)


def _with(whole: Any, path: Path, value: Any) -> Any:
    """Return the document with the value at the path, replacing values of another shape on the way."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = whole if isinstance(whole, list) else []
        at = min(max(step, 0), LONGEST_ARRAY)
        items += [None] * (at + 1 - len(items))
        items[at] = _with(items[at], rest, value)
        return items
    members = whole if isinstance(whole, dict) else {}
    return {**members, step: _with(members.get(step), rest, value)}
