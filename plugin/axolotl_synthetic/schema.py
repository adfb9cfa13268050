"""JSON Schemas of the `synthetic:` block and of a study, from their pydantic models, for completion and checks in editors."""

from __future__ import annotations

from typing import Any

from axolotl_synthetic.config import Settings
from axolotl_synthetic.study.settings import Study

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def of_config() -> dict[str, Any]:
    """Return the schema of an Axolotl YAML with the block. It allows all other keys, because it does not know Axolotl's own."""
    return _document("synthetic", Settings.model_json_schema(), "An Axolotl YAML with a `synthetic:` block.")


def of_study() -> dict[str, Any]:
    """Return the schema of STUDY.yml."""
    return _document("study", Study.model_json_schema(), "A study of axolotl-synthetic.")


def _document(key: str, block: dict[str, Any], description: str) -> dict[str, Any]:
    definitions = block.pop("$defs", {})
    return {
        "$schema": DIALECT,
        "description": description,
        "type": "object",
        "properties": {key: block},
        "required": [key],
        "$defs": definitions,
    }
