"""The README is true: its YAML loads, and each of its commands is run here, in its order, on a tiny student and a local server."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic.checks import NAMES
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.study.settings import Study

from fake_server import FakeServer
from tiny_model import axolotl_config, save_tiny_model

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines() if line.split("#")[0].strip()]


def test_the_yaml_is_valid():
    whole, study, *others = (yaml.safe_load(text) for text in blocks("yaml"))
    whole, sql, review, teacher = (load_settings(one.get("synthetic", one)) for one in (whole, *others))
    assert Study.model_validate(study["study"]).samples == [50, 200, 800]
    assert whole.seeds.holdout == 50
    assert sql.task == "text_to_sql"
    assert teacher.teacher.query == {"api-version": "2024-10-21"}
    # What it calls the defaults are the defaults.
    assert review.review == load_settings({"review": {}}).review


def test_the_table_of_checks_has_every_option_with_its_default():
    section = README.split("## Verification")[1].split("\n## ")[0]
    table = {cells[0].strip("` "): cells[2] for line in section.splitlines() if len(cells := line.strip("|").split("|")) == 3}
    told = {name: dict(re.findall(r"`(\w+)(?:: ([^`]+))?`", table.get(name, ""))) for name in NAMES}
    schemas = {name: getattr(importlib.import_module(f"axolotl_synthetic.checks.{name}"), "Options", None) for name in NAMES}
    options = {name: {} if schema is None else schema.model_fields for name, schema in schemas.items()}
    assert {name: list(one) for name, one in told.items()} == {name: list(one) for name, one in options.items()}
    for name, fields in options.items():
        for option, field in fields.items():
            default = told[name][option]
            assert field.is_required() == (default == "")
            assert field.is_required() or yaml.safe_load(default) == field.default, f"{name}.{option}"


def test_the_commands_of_make_exist():
    for command in commands():
        if command.startswith("make "):
            done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_every_file_that_is_linked_exists():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    rows = [
        {"question": f"There are {a} jars with {b} cards each. How many cards are there?", "answer": f"{a} * {b} = {a * b}\n#### {a * b}"}
        for a in range(2, 8)
        for b in range(2, 6)
    ]
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = save_tiny_model(folder / "model")
    with FakeServer() as server:
        block = yaml.safe_load(blocks("yaml")[0])
        synthetic = block["synthetic"]
        # What a reader fills in: a server that is there, and sizes for a test.
        synthetic["teacher"] |= {"base_url": server.base_url, "generation": {"max_new_tokens": 64}}
        synthetic["seeds"] |= {"holdout": 4}
        synthetic["budget"] = {"samples": 12}
        (folder / "config.yml").write_text(yaml.safe_dump({**axolotl_config(model, folder), **block}))
        yield folder, server


def run(folder: Path, command: str) -> str:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_every_axolotl_command_runs(workplace):
    folder, server = workplace
    # Those of the review need an Argilla: tests/review/ runs them.
    asked = [command for command in commands() if command.startswith("axolotl ") and " review " not in command]
    assert [command.split()[1:3] for command in asked] == [
        *(["synthetic", "plan"], ["synthetic", "preview"], ["synthetic", "generate"], ["synthetic", "status"], ["synthetic", "show"]),
        *(["train", "config.yml"], ["synthetic", "grade"], ["synthetic", "report"], ["synthetic", "push"]),
    ]
    said = {command: run(folder, command) for command in asked}
    status, grade = (said[f"axolotl synthetic {name} config.yml"] for name in ("status", "grade"))
    assert "12 of 12 accepted (100%)" in status
    assert "synthetic_heldout" in grade
    assert (folder / "synthetic" / "report.html").stat().st_size > 10_000
    # The preview's calls were not paid for again, and training found the run finished.
    assert server.count == 12
    graded = json.loads((folder / "synthetic" / "grade.json").read_text())
    assert graded["rows"][0]["questions"] == 4
