"""`axolotl synthetic schema`: its schema accepts and refuses the same YAML as the block's own model."""

import importlib
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from axolotl_synthetic import checks, config, schema
from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.study import settings as study

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    path
    for folder in ("examples", "recipes")
    for path in (ROOT / folder).rglob("*.y*ml")
    if "out" not in path.parts and "synthetic:" in path.read_text(encoding="utf-8")
)


def printed(*arguments):
    result = CliRunner().invoke(synthetic, ["schema", *arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def problems(document, of):
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(of).iter_errors(document)]


def test_what_the_command_prints_is_a_schema_itself():
    jsonschema.Draft202012Validator.check_schema(printed())
    jsonschema.Draft202012Validator.check_schema(printed("--study"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_yaml_of_examples_and_recipes_passes(path):
    assert problems(yaml.safe_load(path.read_text(encoding="utf-8")), schema.of_config()) == []


@pytest.mark.parametrize(
    "block",
    [
        {"strategy": {"answer_augmentation": 0.5, "new_question": 0.5}},
        {"verify": ["format", {"self_consistency": {"votes": 3}}]},
        {"budget": {"usd": 5, "samples": 10}},
        {"teacher": {"provider": "embedded"}, "augmenter": {"model": "m", "base_url": "http://localhost:1/v1"}},
        {"teacher": {"generation": {"temperature": None, "stop": "END"}}},
    ],
)
def test_other_forms_that_the_block_takes_pass(block):
    assert problems({"base_model": "m", "synthetic": block}, schema.of_config()) == []


@pytest.mark.parametrize(
    ("block", "at"),
    [
        ({"tsak": "math"}, "$.synthetic"),
        ({"budget": {"samples": 0}}, "$.synthetic.budget.samples"),
        ({"grade": {"limit": "many"}}, "$.synthetic.grade.limit"),
        ({"seeds": {"holdout": -1}}, "$.synthetic.seeds.holdout"),
    ],
)
def test_what_the_block_refuses_is_refused_at_its_place(block, at):
    (problem,) = problems({"synthetic": block}, schema.of_config())
    assert problem.startswith(f"{at}: ")


def test_each_key_has_its_meaning_beside_it():
    block = schema.of_config()["properties"]["synthetic"]
    assert block["properties"]["strategy"]["description"].startswith("One strategy, shares of several")
    assert "description" in block["properties"]["seeds"] or "$ref" in block["properties"]["seeds"]


PAGE = ROOT / "plugin" / "docs" / "config.md"


def test_the_reference_of_every_key_is_current():
    result = CliRunner().invoke(synthetic, ["schema", "--markdown"])
    assert result.exit_code == 0, result.output
    assert PAGE.read_text(encoding="utf-8") == result.stdout, "run `make reference`"


def test_the_reference_has_every_key_of_every_block_with_its_meaning():
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert all(len(row) == 4 and all(cell.strip("| ") for cell in row) for row in rows)
    keys = {row[0].strip("|` ") for row in rows}
    blocks = [config.Settings, config.Model, study.Study, study.Limits, *config.PROVIDERS.values()]
    blocks += [value for value in vars(config).values() if isinstance(value, type) and issubclass(value, config.Block)]
    assert {name for block in blocks for name in block.model_fields} <= keys
    options = [getattr(importlib.import_module(f"axolotl_synthetic.checks.{name}"), "Options", None) for name in checks.NAMES]
    assert {name for one in options if one is not None for name in one.model_fields} <= keys


@pytest.mark.parametrize(
    "row",
    [
        "| `temperature` | `0.7` | number from 0 to 2, null | Sampling temperature; the paper's is 0.7. Null: not sent, for models"
        " that refuse it. |",
        "| `usd` | `null` | number > 0, null | US dollars; needs the models' `price`. |",
        "| `seeds` | see below | block | The user's own questions. |",
        "| `config` | required | text | The Axolotl YAML with the `synthetic:` block. |",
        "| `balance` | `seeds` | `seeds`, `uniform` | Classification: samples are made of every seed as often (`seeds`), or for every label"
        " (`uniform`). |",
    ],
)
def test_a_row_of_the_reference(row):
    assert row in PAGE.read_text(encoding="utf-8").splitlines()
