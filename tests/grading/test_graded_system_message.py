"""The system message in grading: a student trained with one is asked with it, exactly once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer

from axolotl_synthetic.grading import HELD_OUT_TASK, ModelArgs, evaluate, export_task
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks import load_task

from parrot import save_parrot

BRIEF = "Be brief, {{ please }}."  # not a template
# The parrot says `#### 42` after a new line, and `B` after an s.
TEMPLATE = (
    "{% set first = messages[0] %}{{ messages[-1]['content'] }}"
    "{{ '\n' if first['role'] == 'system' and first['content'] == 'Be brief, {{ please }}.' else 's' }}"
)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_parrot(tmp_path_factory.mktemp("student"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def right(student: Path, folder: Path, system: str | None = None) -> float:
    """Return the share of three questions, with the answers 6, 20 and 42, that are answered correctly."""
    log = folder.parent / "lm_eval.log"
    return evaluate(model=ModelArgs(str(student)), tasks=[HELD_OUT_TASK], include_path=folder, log=log, system=system)[HELD_OUT_TASK].value


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.slow
@pytest.mark.parametrize("everywhere", [None, BRIEF])
def test_the_held_out_questions_come_after_the_system_message_once(offline, student, tmp_path, jars, everywhere):
    export_task(tmp_path / "lm_eval", task=load_task("math"), held_out=jars, max_gen_toks=4, system=BRIEF)
    assert right(student, tmp_path / "lm_eval", everywhere) == pytest.approx(1 / 3)


@pytest.mark.slow
def test_without_one_the_student_is_asked_without(offline, student, tmp_path, jars):
    export_task(tmp_path / "lm_eval", task=load_task("math"), held_out=jars, max_gen_toks=4)
    assert right(student, tmp_path / "lm_eval") == 0


def test_a_task_without_one_is_as_it_was(tmp_path, jars: list[Seed]):
    math = load_task("math")
    export_task(tmp_path / "with", task=math, held_out=jars, system=BRIEF)
    rows = [json.loads(line) for line in (tmp_path / "with" / "heldout.jsonl").read_text().splitlines()]
    assert [row["system"] for row in rows] == [BRIEF] * 3
    # lm-eval reads a field's text if the description is the field's name.
    text = (tmp_path / "with" / "synthetic_heldout.yaml").read_text().replace("!function", "")
    assert yaml.safe_load(text)["description"] == "system"
    export_task(tmp_path / "none", task=math, held_out=jars)
    assert "description" not in (tmp_path / "none" / "synthetic_heldout.yaml").read_text()
    assert "system" not in (tmp_path / "none" / "heldout.jsonl").read_text()


def test_a_chats_own_gives_way_to_it(tmp_path):
    question = Question("And now?", turns=(("system", "Own."), ("user", "Hi"), ("assistant", "Hello")))
    for system in (None, BRIEF):
        export_task(tmp_path / str(system), task=load_task("chat"), held_out=[Seed("s", question, "Go on.")], system=system)
    own, given = (json.loads((tmp_path / str(system) / "heldout.jsonl").read_text())["messages"] for system in (None, BRIEF))
    assert own[0] == {"role": "system", "content": "Own."}
    assert given == [{"role": "system", "content": BRIEF}, *own[1:]]
