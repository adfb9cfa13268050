"""`axolotl synthetic schema`: what it prints takes every YAML of ours that the block's own model takes, and refuses what that refuses."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from axolotl_synthetic import schema
from axolotl_synthetic.cli import synthetic

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
