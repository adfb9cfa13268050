"""`system:` through the real command: in the training file, the pairs and the held-out task, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from test_generate_verified import Varied

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError

from fake_replies import MathReplies, purpose_of
from fake_server import FakeServer
from projects import Project

SYSTEM = {"role": "system", "content": "You count cards."}


def rows_of(project: Project, kind: str) -> list[dict[str, Any]]:
    text = (project.out / project.manifest["files"][kind]["path"]).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_system_message_comes_before_each_question_and_changing_it_asks_nobody(tmp_path):
    project = Project(tmp_path, seeds=6)
    more: dict[str, Any] = {"budget": {"samples": 12}, "seeds": {"path": "seeds.jsonl", "holdout": 2}, "preferences": True}
    with FakeServer(Varied(MathReplies(wrong=0.4))) as server:
        project.configure(server, **more)
        project.run()
        without, count = rows_of(project, "train"), server.count
        held_out = project.out / "lm_eval" / "heldout.jsonl"
        assert "system" not in held_out.read_text()
        project.configure(server, **more, system=SYSTEM["content"])
        done = project.run()
        assert done.code == 0, done.err
        assert server.count == count
    assert rows_of(project, "train") == [{**row, "messages": [SYSTEM, *row["messages"]]} for row in without]
    assert all(row["messages"][0] == SYSTEM for row in rows_of(project, "preferences"))
    assert all(row["prompt"][0] == SYSTEM for row in rows_of(project, "kto"))
    assert [json.loads(line)["system"] for line in held_out.read_text().splitlines()] == [SYSTEM["content"]] * 2
    # Neither the teacher's prompts nor the judged texts have it.
    assert SYSTEM["content"] not in json.dumps(project.ledger("SELECT messages FROM prompts"), default=repr)
    assert SYSTEM["content"] not in (project.out / "samples.jsonl").read_text()


def test_seeds_without_system_prompts_cannot_give_theirs(tmp_path):
    project = Project(tmp_path, seeds=3)
    project.configure("http://127.0.0.1:9/v1", system="seed")
    done = project.run("plan")
    assert done.code == 2
    assert "synthetic.system: seed: no seed of the task math has a system message of its own" in done.err


def test_an_empty_system_message_is_refused():
    with pytest.raises(ConfigError, match=r"synthetic\.system"):
        load_settings({"system": ""})


CHATS = [
    {
        "messages": [
            {"role": "system", "content": f"You are clerk {number}."},
            {"role": "user", "content": f"Where is shelf {number}?"},
            {"role": "assistant", "content": f"Shelf {number} is by door {number}."},
        ]
    }
    for number in range(4)
]


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Return a function that runs chats with a given system message and returns the rows of one of its files."""
    project = Project(tmp_path_factory.mktemp("chats"))
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CHATS))
    judged = MathReplies(harsh=0.5)

    def reply(body: dict[str, Any], key: int) -> str:
        return judged(body, key) if purpose_of(body) == "judge" else f"It is on floor {key % 997}, by the window of {key % 1009} panes."

    with FakeServer(Varied(reply)) as server:

        def run(kind: str = "train", **more: Any) -> list[dict[str, Any]]:
            project.configure(server, task="chat", budget={"queries": 40}, verify=["format", {"judge": {"threshold": 4}}], **more)
            done = project.run()
            assert done.code == 0, done.err
            return rows_of(project, kind)

        yield run


def systems(rows: list[dict[str, Any]], key: str = "messages") -> set[str]:
    assert all([turn["role"] for turn in row[key]].count("system") == 1 for row in rows)
    return {row[key][0]["content"] for row in rows}


OWN = {row["messages"][0]["content"] for row in CHATS}


@pytest.mark.parametrize("more", [{}, {"system": "seed"}])
def test_a_chat_has_its_own_unless_told_otherwise(chats, more):
    assert systems(chats(**more)) == OWN


def test_a_text_takes_the_place_of_the_chats_own(chats):
    assert systems(chats(system=SYSTEM["content"])) == {SYSTEM["content"]}


def test_pairs_of_chats_are_in_the_chats_own_words(chats):
    pairs = chats("preferences", preferences=True)
    assert pairs and systems(pairs) <= OWN
    assert {pair["reason"] for pair in pairs} == {"judge"}
    assert [turn.keys() for turn in pairs[0]["messages"]] == [{"role", "content"}] * 2
    assert systems(chats("kto", preferences=True), "prompt") == OWN


@pytest.mark.parametrize(("more", "said"), [({}, "Own."), ({"system": "Given."}, "Given.")])
def test_an_instruction_with_a_system_message_keeps_it_or_gets_another(tmp_path, more, said):
    project = Project(tmp_path, seeds=3)
    rows = [{"question": f"Name {number} fruits.", "context": "Of summer.", "answer": "Plums.", "system": "Own."} for number in (2, 3, 4)]
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seeds = {"path": "seeds.jsonl", "fields": {"system": "system"}}
    with FakeServer(Varied(lambda body, key: f"Plums and {key % 997} cherries.")) as server:
        project.configure(server, task="instruction", budget={"samples": 4}, seeds=seeds, **more)
        done = project.run()
        assert done.code == 0, done.err
    made = rows_of(project, "train")
    assert len(made) == 7
    for row in made:
        assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
        assert row["messages"][0]["content"] == said and row["messages"][1]["content"].endswith("fruits.\n\nOf summer.")
