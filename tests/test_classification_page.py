"""The page about labelled texts and its example: their YAML loads, and the example's seeds make what the page says."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.prepare import prepare

from fake_replies import purpose_of, request_key
from fake_server import FakeServer
from projects import Project

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "plugin" / "docs" / "classification.md").read_text(encoding="utf-8")
TICKETS = [json.loads(line) for line in (ROOT / "examples" / "tickets" / "tickets.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_pages_yaml_loads_and_its_links_exist():
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    settings = load_settings(yaml.safe_load(text)["synthetic"])
    assert (settings.task, settings.balance, settings.labels) == ("classification", "uniform", None)
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "plugin" / "docs" / link).exists(), link


def test_the_example_is_what_its_yaml_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load((ROOT / "examples" / "tickets" / "tickets.yml").read_text(encoding="utf-8"))
    prepared = prepare(load_settings(config["synthetic"]))
    assert (len(prepared.seeds.seeds), len(prepared.seeds.held_out)) == (49, 18)
    assert prepared.seeds.problems == ()
    assert prepared.seeds.seeds[0].question.labels == ("account", "app", "bike_fault", "billing", "parking", "praise")
    assert len(TICKETS) == 67


def knowing(body):
    """Return the reply of a model that knows the tickets' labels and writes another text for each call."""
    last, key = body["messages"][-1]["content"], request_key(body)
    purpose = purpose_of(body)
    if purpose == "self_check":
        return "Yes"
    if purpose == "new_question":
        return f"{last.rpartition(': ')[2]} comes up {key % 10**6} times in letter {key % 9973}, writes customer {key % 7919}."
    if purpose == "rephrase":
        return f"{last.removeprefix('Reword: ')} So writes {'abcdefghij'[key % 10]}{'klmnopqrst'[key % 7]}{'uvwxyz'[key % 5]}."
    text = last.rpartition("Text: ")[2]
    return next((row["label"] for row in TICKETS if text.startswith(row["text"])), text.split()[0])


@pytest.mark.slow
def test_the_example_becomes_as_many_tickets_of_each_label(tmp_path):
    project = Project(tmp_path / "p", seeds=1)
    shutil.copytree(ROOT / "examples" / "tickets", project.folder / "examples" / "tickets")
    block = yaml.safe_load((ROOT / "examples" / "tickets" / "tickets.yml").read_text(encoding="utf-8"))["synthetic"]
    with FakeServer(knowing, vary_repeats=True) as server:
        teacher = block.pop("teacher") | {"base_url": server.base_url}
        (project.folder / "config.yml").write_text(yaml.safe_dump({"synthetic": {**block, "teacher": teacher, "output_dir": "out"}}))
        done = project.run()
    assert done.code == 0, done.err
    counts = Counter(row["final_answer"] for row in project.samples if row["status"] == "accepted")
    assert sum(counts.values()) == 120
    assert min(counts.values()) >= 18
    assert (project.out / "lm_eval" / "synthetic_heldout.yaml").exists()
