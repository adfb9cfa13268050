"""The page about conversations and its example: their YAML loads, and the example's seeds become what the page says."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.prepare import prepare

from fake_replies import SCORE, purpose_of, request_key
from fake_server import FakeServer
from projects import Project

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "plugin" / "docs" / "chat.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "chats"
WORDS = (EXAMPLE / "chats.jsonl").read_text(encoding="utf-8").lower().split()


def test_the_pages_yaml_loads_its_links_exist_and_its_seed_is_one(tmp_path, monkeypatch):
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    settings = load_settings(yaml.safe_load(text)["synthetic"])
    assert settings == load_settings({**yaml.safe_load(text)["synthetic"], "turns": None})
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "plugin" / "docs" / link).exists(), link
    [row] = re.findall(r"^    (\{\"messages\".*?\}\]\})$", PAGE, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("chats.jsonl").write_text(json.dumps(json.loads(row)) + "\n" + json.dumps({"messages": json.loads(row)["messages"][1:]}) + "\n")
    seeds = settings.seeds.model_copy(update={"holdout": 0})
    assert len(prepare(settings.model_copy(update={"seeds": seeds})).seeds.seeds) == 2


def test_the_example_is_what_its_yaml_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load((EXAMPLE / "chats.yml").read_text(encoding="utf-8"))
    prepared = prepare(load_settings(config["synthetic"]))
    assert (len(prepared.seeds.seeds), len(prepared.seeds.held_out)) == (24, 6)
    assert prepared.seeds.problems == ()
    assert {seed.question.turns[0][0] for seed in prepared.seeds.seeds} == {"system"}


def saying(body):
    """Return a random reply of many words."""
    last, key = body["messages"][-1]["content"], request_key(body)
    purpose = purpose_of(body)
    text = " ".join(WORDS[(key * (place + 3) >> 7) % len(WORDS)].strip('"{}[]:,\\') for place in range(24))
    if purpose == "judge":
        return f"Good.\n{SCORE.findall(body['messages'][0]['content'])[-1]} 5"
    if purpose == "self_check":
        return "Yes"
    return f"{last.rpartition('Message: ')[2]} Or {text[:40]}?" if purpose == "rephrase" else f"The {text}."


@pytest.mark.slow
def test_thirty_conversations_become_two_hundred_more(tmp_path):
    project = Project(tmp_path / "p", seeds=1)
    shutil.copytree(EXAMPLE, project.folder / "examples" / "chats")
    block = yaml.safe_load((EXAMPLE / "chats.yml").read_text(encoding="utf-8"))["synthetic"]
    with FakeServer(saying, vary_repeats=True) as server:
        teacher = block.pop("teacher") | {"base_url": server.base_url}
        (project.folder / "config.yml").write_text(yaml.safe_dump({"synthetic": {**block, "teacher": teacher, "output_dir": "out"}}))
        done = project.run()
    assert done.code == 0, done.err
    assert project.manifest["counts"]["accepted"] == 200
    rows = [json.loads(line) for line in project.training_bytes.splitlines()]
    assert len(rows) == 224
    assert all(row["messages"][0]["role"] == "system" for row in rows)
    assert (project.out / "lm_eval" / "synthetic_heldout.yaml").exists()
