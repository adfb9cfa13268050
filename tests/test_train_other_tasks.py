"""Chats, labels and a user's own task end to end: `axolotl train` generates, trains a tiny student on the rows, and grades it."""

import json
import os
import re
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
# The page's task, in a file beside the config.
OWN_TASK, _ = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / "plugin" / "docs" / "tasks.md").read_text(), re.DOTALL)


def chats():
    for topic in TOPICS:
        turns = [("system", "Be brief."), ("user", f"Where are {topic}?"), ("assistant", f"All {topic} are upstairs, by the globe.")]
        yield {"conversations": [{"from": role, "value": text} for role, text in turns]}


def tickets():
    for topic in TOPICS:
        for label, sign in SIGNS.items():
            yield {"text": f"The {sign} for {topic} is wrong.", "label": label}


def requests():
    for row in tickets():
        yield {"question": row["text"], "answer": row["label"]}


def saying(body):
    """Return the reply of a model that knows both."""
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
    if "Say in one sentence what the customer wants" in json.dumps(body["messages"]):
        return f"The customer wants help, case {key % 9973}.\nAnswer: {next(label for label, sign in SIGNS.items() if sign in last)}"
    return next((label for label, sign in SIGNS.items() if sign in last), f"No, {topic} number {key % 9973} is out for now.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "strategy", "rows", "metrics"),
    [
        ("chat", "new_question", chats, ["bits_per_byte"]),
        ("classification", "new_question", tickets, ["acc", "macro_f1"]),
        ("support_ticket.SupportTicket", "answer_augmentation", requests, ["exact_match"]),
    ],
)
def test_training_ends_with_a_graded_student(tmp_path, task, strategy, rows, metrics):
    (tmp_path / "support_ticket.py").write_text(OWN_TASK)
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    with FakeServer(saying, vary_repeats=True) as server:
        block = {
            "task": task,
            "seeds": {"path": "seeds.jsonl", "holdout": 2},
            "strategy": strategy,
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
