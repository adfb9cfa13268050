"""Write the reference of every key as Markdown, from the JSON Schemas of the pydantic models.

`axolotl synthetic schema --markdown` prints it, and a test checks that `plugin/docs/config.md` is the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from axolotl_synthetic.checks import NAMES
from axolotl_synthetic.config import PROVIDERS, Model, Settings
from axolotl_synthetic.study.settings import Study

Schema = Mapping[str, Any]
HEAD = """# Every key

The keys of the `synthetic:` block, and behind them those of a study, each with its default, what it may be, and its meaning. Unknown keys
are refused. This page is generated: `axolotl synthetic schema --markdown` prints it, and `axolotl synthetic schema` the same for editors,
as a JSON Schema.
"""
# Bounds this large only say that there is one, and are not shown.
FAR = 10**9
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true, false", "null": "null", "object": "block"}


def markdown() -> str:
    """Return the page."""
    sections = [*_of("synthetic", Settings.model_json_schema()), *_of_checks(), *_of("study", Study.model_json_schema())]
    return "\n".join([HEAD, *sections])


def _of(path: str, whole: Schema) -> Iterator[str]:
    """Yield a section for a model, and one for each block in it, in order."""
    definitions: Schema = whole.get("$defs", {})
    models = {model.__name__ for model in PROVIDERS.values()}
    waiting, seen = [(path, whole)], set[str]()
    while waiting:
        path, block = waiting.pop(0)
        yield _section(f"`{path}:`", block, definitions)
        for name, found in block["properties"].items():
            for reference in _references(found):
                if reference in models and not models & seen:
                    # All providers share the keys of `Model`, which are described once.
                    yield from _of_models(f"{path}.{name}", definitions)
                    waiting += [(f"{path}.{name}.{key}", definitions[one]) for key, one in _below_models(definitions, seen)]
                    seen |= models
                elif reference not in seen | models:
                    waiting.append((f"{path}.{name}", definitions[reference]))
                    seen.add(reference)


def _of_models(path: str, definitions: Schema) -> Iterator[str]:
    shared = Model.model_json_schema()
    more = "`augmenter:` and `student:` have the same keys. What else there is depends on `provider:`."
    yield _section(f"`{path}:`, every provider", shared, definitions, more)
    for provider, model in PROVIDERS.items():
        own = {name: found for name, found in definitions[model.__name__]["properties"].items() if name not in shared["properties"]}
        described = {**definitions[model.__name__], "properties": own}
        yield _section(f"`{path}:`, `provider: {provider}`", described, definitions)


def _below_models(definitions: Schema, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the blocks in models, each once, with its key."""
    for model in PROVIDERS.values():
        for key, found in definitions[model.__name__]["properties"].items():
            for reference in _references(found):
                if reference not in seen:
                    seen.add(reference)
                    yield key, reference


def _of_checks() -> Iterator[str]:
    for name in NAMES:
        options = getattr(importlib.import_module(f"axolotl_synthetic.checks.{name}"), "Options", None)
        if options is not None:
            yield _section(f"`synthetic.verify:`, `{{{name}: …}}`", options.model_json_schema(), {})


def _references(found: Schema) -> Iterator[str]:
    """Yield the names of the blocks that a key may hold."""
    if "$ref" in found:
        yield str(found["$ref"]).rpartition("/")[2]
    for way in ("anyOf", "oneOf"):
        for one in found.get(way, ()):
            yield from _references(one)


def _section(title: str, block: Schema, definitions: Schema, more: str = "") -> str:
    required = block.get("required", ())
    rows = [
        f"| `{name}` | {_default(found, name in required)} | {_cell(_values(found))} | {_cell(_meaning(found, definitions))} |"
        for name, found in block["properties"].items()
    ]
    text = " ".join(part for part in (_line(block.get("description", "")), more) if part)
    return "\n".join([f"## {title}", text, "", "| key | default | may be | meaning |", "| --- | --- | --- | --- |", *rows, ""])


def _meaning(found: Schema, definitions: Schema) -> str:
    """Return a key's description; pydantic leaves it to the block if both are the same."""
    block: Schema = definitions.get(next(_references(found), ""), {})
    return str(found.get("description") or block.get("description", ""))


def _default(found: Schema, required: bool) -> str:
    if required or "default" not in found:
        return "required"
    if next(_references(found), None) is not None and isinstance(found["default"], dict):
        return "see below"
    text = yaml.safe_dump(found["default"], default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def _values(found: Schema) -> str:
    """Return in words what a key may hold."""
    if "$ref" in found:
        return "block"
    ways = [one for way in ("anyOf", "oneOf") for one in found.get(way, ())]
    if ways:
        return ", ".join(dict.fromkeys(_values(one) for one in ways))
    if "const" in found or "enum" in found:
        return ", ".join(f"`{value}`" for value in found.get("enum", [found.get("const")]))
    if found.get("type") == "array":
        items = _values(found.get("items", {}))
        return f"list of {items}" if items else "list"
    return " ".join(part for part in (KINDS.get(str(found.get("type")), ""), _bounds(found)) if part)


def _bounds(found: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = {name: found[name] for name in signs if name in found and abs(found[name]) < FAR}
    if {"minimum", "maximum"} <= bounds.keys():
        return f"from {bounds['minimum']:,} to {bounds['maximum']:,}"
    return ", ".join(f"{signs[name]} {bound:,}" for name, bound in bounds.items())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())
