"""README and manual are true: their YAML loads, their links work, and their commands run in order, on a tiny student and a local server.

Pages with their own test (chats, classification, tasks, teachers, training, review) are read there.
"""

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


MANUAL = ROOT / "plugin"
PAGES = [ROOT / "README.md", MANUAL / "README.md", *sorted((MANUAL / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


def page(name: str) -> str:
    return (MANUAL / "docs" / f"{name}.md").read_text(encoding="utf-8")


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[str]:
    return [line.split("#")[0].strip() for block in blocks("bash", text) for line in block.splitlines() if line.split("#")[0].strip()]


def settings(text: str):
    made = yaml.safe_load(text)
    return load_settings(made.get("synthetic", made))


def test_the_yaml_of_readme_and_manual_is_valid():
    [short], [whole] = blocks("yaml", README), blocks("yaml", (MANUAL / "README.md").read_text(encoding="utf-8"))
    assert settings(short).seeds.holdout == settings(whole).seeds.holdout == 50
    # The longer one shows the actual defaults.
    assert settings(whole).grade == load_settings({}).grade and settings(whole).weight is None


def test_the_yaml_of_the_pages_is_valid():
    [study] = blocks("yaml", page("study"))
    assert Study.model_validate(yaml.safe_load(study)["study"]).samples == [50, 200, 800]
    # The arms in its comment are valid.
    arms = re.search(r"# (arms: .*)", study)
    assert arms is not None and set(Study.model_validate({**yaml.safe_load(study)["study"], **yaml.safe_load(arms[1])}).arms) == {
        "by_loss",
        "unverified",
    }
    [sql], [review], [rounds, of_rounds] = (blocks("yaml", page(name)) for name in ("text_to_sql", "review", "rounds"))
    assert settings(sql).task == "text_to_sql" and settings(rounds).rounds is not None
    assert Study.model_validate(yaml.safe_load(of_rounds)["study"]).arms["by_loss"].is_in_rounds
    assert settings(review).review == load_settings({"review": {}}).review
    teacher = next(text for text in blocks("yaml", page("teachers")) if "headers_env: {api-key: AZURE_OPENAI_API_KEY}    #" in text)
    assert settings(teacher).teacher.query == {"api-version": "2024-10-21"}


def test_the_table_of_checks_has_every_option_with_its_default():
    table = {cells[0].strip("` "): cells[2] for line in page("checks").splitlines() if len(cells := line.strip("|").split("|")) == 3}
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
    asked = [command for text in PAGES for command in commands(text.read_text(encoding="utf-8")) if command.startswith("make ")]
    assert {"make quickstart", "make test"} <= set(asked)
    for command in asked:
        done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_its_heading(path):
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        name, _, heading = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings], link


def test_every_page_of_the_manual_is_in_its_table():
    listed = set(re.findall(r"\]\(docs/(\w[\w-]*)\.md\)", (MANUAL / "README.md").read_text(encoding="utf-8")))
    assert {path.stem for path in (MANUAL / "docs").glob("*.md")} == listed


def test_the_readme_is_one_page():
    assert len(README.splitlines()) <= 110


def test_the_badges_say_what_is_tested():
    names = [line.split() for line in (ROOT / ".ci" / "sets").read_text().splitlines() if not line.startswith("#")]
    axolotl = " | ".join(sorted(name.removeprefix("axolotl-") for name, *_ in names))
    pythons = " | ".join(sorted({one for _, *versions in names for one in versions}))
    for badge, said in (("axolotl", axolotl), ("python", pythons), ("licence", "Apache-2.0")):
        assert f': {said}"' in (MANUAL / "docs" / "badges" / f"{badge}.svg").read_text()


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
        block = yaml.safe_load(blocks("yaml", README)[0])
        synthetic = block["synthetic"]
        # Values that a reader fills in: an existing server, and sizes for a test.
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


def of_axolotl(text: str) -> list[str]:
    return [command for command in commands(text) if command.startswith("axolotl ")]


def test_the_axolotl_commands_of_the_readme_run(workplace):
    folder, server = workplace
    asked = of_axolotl(README)
    assert [command.split()[1:3] for command in asked] == [
        *(["synthetic", "plan"], ["synthetic", "preview"], ["train", "config.yml"], ["synthetic", "report"]),
    ]
    for command in asked:
        run(folder, command)
    assert (folder / "synthetic" / "report.html").stat().st_size > 10_000
    # The preview's calls were not paid for again.
    assert server.count == 12
    graded = json.loads((folder / "synthetic" / "grade.json").read_text())
    assert graded["rows"][0]["questions"] == 4


@pytest.mark.slow
def test_the_axolotl_commands_of_the_manual_run(workplace):
    folder, server = workplace
    asked = of_axolotl((MANUAL / "README.md").read_text(encoding="utf-8"))
    assert set(of_axolotl(README)) <= set(asked)
    assert [command.split()[1:3] for command in asked] == [
        *(["synthetic", "plan"], ["synthetic", "preview"], ["synthetic", "generate"], ["synthetic", "status"], ["synthetic", "show"]),
        *(["train", "config.yml"], ["synthetic", "grade"], ["synthetic", "report"], ["synthetic", "push"]),
    ]
    said = {command: run(folder, command) for command in asked}
    status, grade = (said[f"axolotl synthetic {name} config.yml"] for name in ("status", "grade"))
    assert "12 of 12 accepted (100%)" in status
    assert "synthetic_heldout" in grade
    # Training found the run finished.
    assert server.count == 12
