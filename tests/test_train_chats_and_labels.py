"""Conversations and labelled texts all the way: `axolotl train` generates, trains a tiny student on the rows, and grades it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fake_replies import SCORE, purpose_of, request_key
from fake_server import FakeServer
from tiny_model import axolotl_config, save_tiny_model

TOPICS = ("maps", "bees", "trains", "bread", "boats", "clocks", "birds", "songs", "stones", "kites", "lamps", "ferns")
SIGNS = {"billing": "invoice", "shipping": "parcel"}


def chats():
    for topic in TOPICS:
        turns = [("system", "Be brief."), ("user", f"Where are {topic}?"), ("assistant", f"All {topic} are upstairs, by the globe.")]
        yield {"conversations": [{"from": role, "value": text} for role, text in turns]}


def tickets():
    for topic in TOPICS:
        for label, sign in SIGNS.items():
            yield {"text": f"The {sign} for {topic} is wrong.", "label": label}


def saying(body):
    """Return what a model would say that knows both."""
    last, key = body["messages"][-1]["content"], request_key(body)
    purpose = purpose_of(body)
    topic = TOPICS[key % len(TOPICS)]
    if purpose == "judge":
        return f"Good.\n{SCORE.findall(body['messages'][0]['content'])[-1]} 5"
    if purpose == "self_check":
        return "Yes"
    if purpose == "new_question":
        sign = SIGNS.get(last.rpartition("label: ")[2].strip())
        return f"Are there {topic} like {key % 9973}?" if sign is None else f"My {sign} {key % 9973} for {topic} is not here."
    return next((label for label, sign in SIGNS.items() if sign in last), f"No, {topic} number {key % 9973} is out for now.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "rows", "metrics"), [("chat", chats, ["bits_per_byte"]), ("classification", tickets, ["acc", "macro_f1"])]
)
def test_training_ends_with_a_graded_student(tmp_path, task, rows, metrics):
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    with FakeServer(saying, vary_repeats=True) as server:
        block = {
            "task": task,
            "seeds": {"path": "seeds.jsonl", "holdout": 2},
            "strategy": "new_question",
            "budget": {"samples": 8},
            "teacher": {"base_url": server.base_url, "model": "fake-model", "generation": {"max_new_tokens": 64}},
            "grade": {"max_new_tokens": 16},
        }
        config = axolotl_config(
            save_tiny_model(tmp_path / "model"), tmp_path, plugins=["axolotl_synthetic.SyntheticPlugin"], synthetic=block
        )
        (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
        environment = {**os.environ, "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
        command = [str(Path(sys.executable).with_name("axolotl")), "train", "config.yml", "--launcher", "python"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    graded = json.loads((tmp_path / "synthetic" / "grade.json").read_text())
    assert [row["metric"] for row in graded["rows"]] == metrics
    assert {row["questions"] for row in graded["rows"]} == {2}
