"""The parts of `examples/study`: correct problems, a task that reads their answers, the student's guesses, the design, the server.

Teacher, student and the study itself take half an hour: `examples/study/run.sh`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.records import Question
from axolotl_synthetic.study.design import cells, lines
from axolotl_synthetic.study.settings import load_study
from axolotl_synthetic.tasks import load_task

from tiny_model import save_tiny_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "study"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module, and models.py imports family
    spec.loader.exec_module(module)
    return module


family, models = load("family"), load("models")
task = family.Stories()


def test_a_story_of_two_sums_is_told_solved_and_guessed():
    kind = next(kind for kind in family.KINDS if kind.steps == "*-")
    one = family.Story(kind, "Ada", "pens", "bags", (3, 5, 4))
    assert one.told(0) == "Ada has 3 bags with 5 pens each and gives away 4 pens. How many pens are left?"
    # 3 * 5 = 15, 15 - 4 = 11.
    assert one.sums() == [(3, "*", 5, 15), (15, "-", 4, 11)]
    assert one.solved(random.Random(0)).endswith("\n#### 11")
    assert one.guessed() == "#### 15"


@given(st.integers())
def test_every_story_is_answered_by_its_last_sum_however_it_is_told(number):
    draw = random.Random(number)
    one = family.story(draw)
    told = [one.told(way) for way in range(4)]
    for text in told:
        assert [int(found) for found in re.findall(r"\d+", text)] == list(one.numbers)
    assert len(set(told)) == 4
    for x, operator, y, z in one.sums():
        assert z == {"+": x + y, "-": x - y, "*": x * y}[operator] and z >= 1
    solved = one.solved(draw)
    assert task.final_answer(solved, Question(told[0])) == str(one.sums()[-1][3])


@given(st.integers())
def test_a_guess_is_right_where_there_is_one_sum(number):
    one = family.story(random.Random(number))
    right = one.guessed() == f"#### {one.sums()[-1][3]}"
    # A second sum adds or subtracts at least one.
    assert right == (len(one.kind.steps) == 1)


def test_what_the_student_reads_first_is_most_often_a_guess():
    draw = random.Random(1)
    answers = [models.students_lesson(draw)[1] for _ in range(4_000)]
    beginnings = [answer.split()[0] for answer in answers]
    # 35 % guesses, against six openings of 11 % each.
    assert max(set(beginnings), key=beginnings.count) == "####"
    assert beginnings.count("####") / len(answers) == pytest.approx(0.35, abs=0.03)


def test_the_seeds_are_different_questions_that_the_task_takes(tmp_path):
    models.write_seeds(tmp_path / "seeds.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "seeds.jsonl").read_text().splitlines()]
    assert len({row["question"] for row in rows}) == len(rows) == models.SEEDS
    assert all(task.final_answer(row["answer"], Question(row["question"])) is not None for row in rows)


def test_the_study_is_of_36_cells_by_the_task_of_the_example(monkeypatch):
    study = load_study(EXAMPLE / "study.yml")
    assert sum(len(cells(study, line)) for line in lines(study)) == 2 * 3 * 3 * 2
    monkeypatch.syspath_prepend(str(EXAMPLE))
    assert load_task("family.Stories").name == "stories"


@pytest.mark.slow
def test_the_teachers_server_answers_in_batches_and_ends_with_its_commands_code(tmp_path):
    save_tiny_model(tmp_path / "tiny")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    asking = tmp_path / "ask.py"
    asking.write_text(
        "import json, sys, urllib.request\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def ask(text):\n"
        "    body = json.dumps({'messages': [{'role': 'user', 'content': text}], 'max_tokens': 5, 'temperature': 0})\n"
        "    request = urllib.request.Request(f'http://127.0.0.1:{sys.argv[1]}/v1/chat/completions', body.encode())\n"
        "    return json.load(urllib.request.urlopen(request, timeout=60))\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(json.dumps(list(pool.map(ask, ['a', 'a', 'longer than a', 'a', 'b', 'c', 'd', 'a']))))\n"
        "sys.exit(7)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, EXAMPLE / "serve.py", tmp_path / "tiny", port, sys.executable, asking, port],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        timeout=300,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    replies = json.loads(done.stdout)
    texts = [reply["choices"][0]["message"]["content"] for reply in replies]
    # Greedy decoding: the same question has the same answer, whatever else is in the batch.
    assert len({texts[place] for place in (0, 1, 3, 7)}) == 1
    for reply in replies:
        assert reply["usage"]["completion_tokens"] <= 5 and reply["choices"][0]["finish_reason"] in ("stop", "length")
    # A byte is a token: `<|im_start|>user\n`, the text, `<|im_end|>\n`, `<|im_start|>assistant\n`.
    assert replies[2]["usage"]["prompt_tokens"] - replies[0]["usage"]["prompt_tokens"] == len("longer than a") - 1


def test_the_study_of_rounds_has_an_arm_for_each_thing_that_it_compares():
    study = load_study(EXAMPLE / "rounds.yml")
    looks = {name: None if arm.rounds is None else arm.rounds.by for name, arm in study.compared.items()}
    assert looks == {
        **{"answer_augmentation": None, "new_question": None, "by_loss": "loss", "by_nothing": "uniform"},
        **{"unverified": None, "unverified_answers": None},
    }
    assert [name for name, arm in study.compared.items() if arm.verify == []] == ["unverified", "unverified_answers"]
    # 2 strategies and 4 arms, 3 budgets, 3 repeats; each number of samples has a line of its own where students are trained in between.
    assert sum(len(cells(study, line)) for line in lines(study)) == 54
