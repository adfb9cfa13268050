"""The held-out seeds as an lm-eval task: the export, the grading of replies, and that plain lm-eval runs it anywhere."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from axolotl_synthetic import grading
from axolotl_synthetic.checks import final_answer
from axolotl_synthetic.errors import ConfigError, StorageError
from axolotl_synthetic.grading import export_task
from axolotl_synthetic.records import Candidate, Question, Seed
from axolotl_synthetic.tasks import load_task

from shop import asked, make_shop
from stub_task import Always42


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "heldout.jsonl").read_text().split("\n")[:-1]]


def metrics(folder: Path):
    spec = importlib.util.spec_from_file_location("exported_metrics", folder / "metrics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lm_eval(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real command without a network."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-P", "-m", "lm_eval", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_a_seed_without_a_gold_answer_is_not_exported(tmp_path, jars):
    assert export_task(tmp_path, task=load_task("math"), held_out=jars) == "synthetic_heldout"
    assert [row["id"] for row in rows(tmp_path)] == ["seed-0", "seed-1", "seed-2"]


def test_the_student_is_asked_what_it_was_trained_on(tmp_path, jars):
    task = load_task("math")
    export_task(tmp_path, task=task, held_out=jars)
    assert metrics(tmp_path).prompt(rows(tmp_path)[0]) == task.prompt(jars[0].question)


@pytest.mark.parametrize(
    ("reply", "loose", "strict"),
    [
        ("2 * 3 = 6\n#### 6", 1.0, 1.0),
        ("So the answer is \\boxed{6.0}", 1.0, 1.0),
        ("2 jars of 3 make 6 cards in all.", 1.0, 0.0),
        ("It is 6.\n#### 7", 0.0, 0.0),
        ("There are six jars and I do not know.", 0.0, 0.0),
        ("", 0.0, 0.0),
        ("<think>Is it 7?\n#### 7</think>2 * 3 = 6\n#### 6", 1.0, 1.0),
        ("<think>2 * 3 = 6\n#### 6</think>\n#### 7", 0.0, 0.0),
        ("<think>2 * 3 = 6\n#### 6", 0.0, 0.0),  # cut off before it answers
    ],
)
def test_a_math_reply_scores_by_equivalence_to_the_gold_answer(tmp_path, jars, reply, loose, strict):
    export_task(tmp_path, task=load_task("math"), held_out=jars)
    assert metrics(tmp_path).grade(rows(tmp_path)[0], [reply]) == {"exact_match": loose, "strict_match": strict}


@pytest.mark.parametrize(
    ("gold", "written", "right"),
    [
        ("0.5", "1/2", True),
        ("1/2", r"\frac{1}{2}", True),
        ("1,000", "1000", True),
        ("1000", "$1,000.00", True),
        ("0.5", "50%", True),
        ("0.5", "1/3", False),
        ("1,000", "1", False),
    ],
)
def test_math_is_graded_by_the_equivalence_that_verified_the_samples(tmp_path, gold, written, right):
    assert gold != written  # comparing texts would call each of them wrong
    math, seed = load_task("math"), Seed("s", Question("How much is left?"), f"It is left over.\n#### {gold}")
    export_task(tmp_path, task=math, held_out=[seed])
    reply = f"What is left is this.\n#### {written}"
    assert metrics(tmp_path).grade(rows(tmp_path)[0], [reply]) == {"exact_match": float(right), "strict_match": float(right)}
    read = math.final_answer(reply, seed.question)
    sample = Candidate(0, "id", "answer_augmentation", "s", seed.question, answer=reply, final_answer=read)
    assert final_answer.make(math, {"answer_augmentation": True})(sample, seed).passed is right


@pytest.mark.parametrize(
    ("reply", "loose", "strict"),
    [
        ("#### 3600", 1.0, 1.0),
        ("#### 3.600 Schrauben", 1.0, 1.0),
        ("Das sind 3.600.", 1.0, 0.0),
        ("Das sind 3,6.", 0.0, 0.0),
        ("#### 3,6", 0.0, 0.0),
    ],
)
def test_a_reply_is_graded_by_the_decimal_comma_of_the_seeds(tmp_path, reply, loose, strict):
    seed = Seed("s", Question("Wie viele?", decimal="comma"), "12 * 300 = 3.600\n#### 3.600 Schrauben")
    export_task(tmp_path, task=load_task("math"), held_out=[seed])
    assert metrics(tmp_path).grade(rows(tmp_path)[0], [reply]) == {"exact_match": loose, "strict_match": strict}


def test_a_multiple_choice_reply_may_name_the_text_of_the_right_choice(tmp_path):
    question = Question("Which is a fruit?", choices=("a stone", "an apple"), labels=("A", "B"))
    task = load_task("multiple_choice")
    export_task(tmp_path, task=task, held_out=[Seed("s", question, "B")])
    (row,) = rows(tmp_path)
    assert row["choices"] == ["a stone", "an apple"]
    right, wrong = (metrics(tmp_path).grade(row, [f"Answer: {letter}"])["exact_match"] for letter in "BA")
    assert (right, wrong) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("reply", "loose", "strict"),
    [
        ("It takes singer.\n```sql\nSELECT name FROM singer WHERE NOT age <= 30\n```", 1.0, 1.0),
        ("The query is `select name from singer where age>30`.", 1.0, 0.0),
        ("```sql\nSELECT name FROM singer WHERE age >= 30\n```", 0.0, 0.0),
        ("```sql\nDROP TABLE singer\n```", 0.0, 0.0),
    ],
)
def test_a_query_scores_by_what_it_gives(tmp_path, reply, loose, strict):
    seed = Seed("q", asked("Which singers are older than 30?"), "SELECT name FROM singer WHERE age > 30")
    export_task(tmp_path, task=load_task("text_to_sql"), held_out=[seed])
    assert metrics(tmp_path).grade(rows(tmp_path)[0], [reply]) == {"exact_match": loose, "strict_match": strict}


def test_a_database_that_is_gone_is_no_wrong_answer(tmp_path):
    file = make_shop(tmp_path / "shop.sqlite").file
    seed = Seed("q", asked("How many singers are there?", file), "SELECT count(*) FROM singer")
    export_task(tmp_path, task=load_task("text_to_sql"), held_out=[seed])
    Path(file).unlink()
    (row,) = metrics(tmp_path).dataset()["test"]
    with pytest.raises(ConfigError, match=r"shop\.sqlite: the database that a held-out question is about is not there; put it back"):
        metrics(tmp_path).grade(row, ["```sql\nSELECT 1\n```"])


def test_the_rows_name_no_folder_of_this_machine_and_the_database_is_found_all_the_same(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "dbs").mkdir()
    file = make_shop(tmp_path / "dbs" / "shop.sqlite").file
    seed = Seed("q", asked("How many singers are there?", file), "SELECT count(*) FROM singer")
    monkeypatch.chdir(run)
    export_task(Path("lm_eval"), task=load_task("text_to_sql"), held_out=[seed])
    assert str(tmp_path) not in (run / "lm_eval" / "heldout.jsonl").read_text()
    reply = "```sql\nSELECT count(*) FROM singer WHERE 1\n```"
    monkeypatch.chdir("/")
    (row,) = metrics(run / "lm_eval").dataset()["test"]
    assert row["database_file"] == file
    assert metrics(run / "lm_eval").grade(row, [reply])["strict_match"] == 1.0
    # Moved elsewhere: follow the message's advice, which lm-eval passes from `--metadata`.
    shutil.move(run / "lm_eval", tmp_path / "a" / "b" / "moved")
    (row,) = metrics(tmp_path / "a" / "b" / "moved").dataset()["test"]
    with pytest.raises(ConfigError, match=r"""--metadata '{"databases": "dbs/{database}\.sqlite"}'"""):
        metrics(tmp_path / "a" / "b" / "moved").grade(row, [reply])
    monkeypatch.chdir(tmp_path)
    (row,) = metrics(tmp_path / "a" / "b" / "moved").dataset(databases="dbs/{database}.sqlite")["test"]
    assert metrics(tmp_path / "a" / "b" / "moved").grade(row, [reply])["strict_match"] == 1.0


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
def test_a_question_that_holds_a_line_separator_is_one_row(tmp_path, separator):
    text = f"2 jars hold{separator}3 cards each. How many cards?"
    export_task(tmp_path, task=load_task("math"), held_out=[Seed("s", Question(text), "6")])
    (row,) = metrics(tmp_path).dataset()["test"]
    assert row["question"] == text
    assert metrics(tmp_path).grade(row, ["#### 6"])["strict_match"] == 1.0


def test_a_class_of_the_user_is_named_by_its_path(tmp_path, jars):
    export_task(tmp_path, task=Always42(), held_out=jars)
    assert rows(tmp_path)[0]["task"] == "stub_task.Always42"


def test_a_class_that_inherits_a_built_in_name_is_still_named_by_its_path(tmp_path, jars):
    class Math42(Always42):
        name = "math"

    export_task(tmp_path, task=Math42(), held_out=jars)
    assert rows(tmp_path)[0]["task"].endswith("Math42")


def test_the_same_seeds_give_the_same_bytes(tmp_path, jars):
    for name in ("one", "two"):
        export_task(tmp_path / name, task=load_task("math"), held_out=jars)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_no_unfinished_file_is_left(tmp_path, jars):
    export_task(tmp_path, task=load_task("math"), held_out=jars)
    assert sorted(contents(tmp_path)) == ["heldout.jsonl", "metrics.py", "synthetic_heldout.yaml"]


def test_a_task_without_final_answers_exports_nothing(tmp_path, jars):
    assert export_task(tmp_path / "lm_eval", task=load_task("instruction"), held_out=jars) is None
    assert not (tmp_path / "lm_eval").exists()


def test_an_earlier_export_is_removed_when_no_seed_is_held_out_any_more(tmp_path, jars):
    export_task(tmp_path, task=load_task("math"), held_out=jars)
    assert export_task(tmp_path, task=load_task("math"), held_out=[]) is None
    assert contents(tmp_path) == {}


def test_a_folder_that_cannot_be_written_is_named(tmp_path, jars):
    (tmp_path / "lm_eval").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="lm_eval"):
        export_task(tmp_path / "lm_eval", task=load_task("math"), held_out=jars)


def test_lm_eval_validate_passes_the_exported_tasks(tmp_path, jars):
    # In 0.4.11 it only checks whether the index has them; the next test runs them.
    choice = Seed("c", Question("Which is a fruit?", choices=("a stone", "an apple"), labels=("A", "B")), "B")
    export_task(tmp_path / "math", task=load_task("math"), held_out=jars, task_name="heldout_math")
    export_task(tmp_path / "choice", task=load_task("multiple_choice"), held_out=[choice], task_name="heldout_choice")
    query = Seed("q", asked("How many singers are there?"), "SELECT count(*) FROM singer")
    export_task(tmp_path / "sql", task=load_task("text_to_sql"), held_out=[query], task_name="heldout_sql")
    shutil.copytree(Path(grading.__file__).with_name("tasks"), tmp_path / "package")
    names = "heldout_math,heldout_choice,heldout_sql,spider_execution"
    done = lm_eval("validate", "--include_path", str(tmp_path), "--tasks", names)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "All tasks found and valid"


def test_plain_lm_eval_runs_the_folder_after_it_was_moved_and_from_elsewhere(tmp_path, jars, tiny_model):
    export_task(tmp_path / "run" / "lm_eval", task=Always42(), held_out=jars, max_gen_toks=4)
    shutil.move(tmp_path / "run" / "lm_eval", tmp_path / "moved")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    arguments = ["--model", "hf", "--model_args", f"pretrained={tiny_model},dtype=float32", "--device", "cpu", "--apply_chat_template"]
    arguments += ["--include_path", str(tmp_path / "moved"), "--tasks", "synthetic_heldout", "--output_path", str(tmp_path / "scores")]
    done = lm_eval(*arguments, cwd=elsewhere)
    assert done.returncode == 0, done.stderr[-2000:]
    (written,) = (tmp_path / "scores").rglob("results_*.json")
    # One of the three answers (6, 20, 42) is 42.
    assert json.loads(written.read_text())["results"]["synthetic_heldout"]["exact_match,none"] == pytest.approx(1 / 3)


def test_the_longest_reply_is_512_tokens_and_more_where_a_held_out_answer_needs_it(tmp_path, jars):
    def longest(held_out, **more) -> int:
        export_task(tmp_path, task=load_task("math"), held_out=held_out, **more)
        return int(re.search(r"max_gen_toks: (\d+)", (tmp_path / "synthetic_heldout.yaml").read_text())[1])

    assert longest(jars) == 512
    # 4,000 bytes are about 1,000 tokens, and a reply may be twice as long.
    long = replace(jars[0], answer="x" * 3_993 + "\n#### 6")
    assert longest([*jars, long]) == 2_000
    assert longest([*jars, long], max_gen_toks=64) == 64
