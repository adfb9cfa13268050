"""`spider_execution`: Spider's questions with databases given by path, decoded greedily, and scored by the result of a reply's query."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from axolotl_synthetic import grading
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.grading import spider

from parrot import save_parrot
from shop import make_shop

TASKS = Path(grading.__file__).with_name("tasks")
ASKED = [
    ("How many singers are there?", "SELECT count(*) FROM singer"),
    ("How many concerts are there?", "SELECT count(*) FROM concert"),
    ("Which singers are older than 30?", "SELECT name FROM singer WHERE age > 30"),
]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Write Spider's layout: a folder for each database, and its questions in one JSON file."""
    place = tmp_path / "database" / "shop" / "shop.sqlite"
    place.parent.mkdir(parents=True)
    make_shop(place)
    write(tmp_path, ASKED)
    return {"databases": f"{tmp_path}/database/{{database}}/{{database}}.sqlite", "questions": f"{tmp_path}/dev.json"}


def write(folder: Path, asked: list[tuple[str, str]]) -> None:
    rows = [{"db_id": "shop", "question": question, "query": query} for question, query in asked]
    (folder / "dev.json").write_text(json.dumps(rows))


def test_the_model_reads_what_the_student_was_trained_on(files):
    rows = spider.dataset(**files)["test"]
    assert [spider.gold(row) for row in rows] == [query for _, query in ASKED]
    assert spider.prompt(rows[0]).startswith("CREATE TABLE singer (") and spider.prompt(rows[0]).endswith(ASKED[0][0])


@pytest.mark.parametrize(
    ("reply", "on_its_rows", "on_generated_ones_too"),
    [
        ("```sql\nSELECT T1.name FROM singer AS T1 WHERE NOT T1.age <= 30\n```", 1.0, 1.0),
        # The same three of the four singers are older than 29 and older than 30.
        ("```sql\nSELECT name FROM singer WHERE age > 29\n```", 1.0, 0.0),
        ("You want SELECT name FROM singer WHERE age > 30.", 1.0, 1.0),
        ("```sql\nSELECT name FROM singer WHERE age > 40\n```", 0.0, 0.0),
        ("```sql\nSELECT load_extension('x')\n```", 0.0, 0.0),
        ("I do not know.", 0.0, 0.0),
        # The first is right, at the limits of dates and integers; the second finds nobody of that name.
        ("```sql\nSELECT name FROM singer WHERE age > 30 AND age <= 9223372036854775807\n```", 1.0, 1.0),
        ("```sql\nSELECT name FROM singer WHERE age > 30 AND name <= '9999-12-31'\n```", 0.0, 0.0),
        ("```sql\nSELECT name FROM singer WHERE age > 30 AND age < 99999999999999999999\n```", 1.0, 1.0),
    ],
)
def test_a_reply_scores_by_what_its_query_gives(files, reply, on_its_rows, on_generated_ones_too):
    row = spider.dataset(**files)["test"][2]
    assert spider.grade(row, [reply]) == {"execution_accuracy": on_its_rows, "test_suite_accuracy": on_generated_ones_too}


def test_a_question_that_nobody_could_be_right_about_is_left_out(files, tmp_path):
    write(tmp_path, [*ASKED, ("Which songs are there?", "SELECT song FROM singer")])
    assert len(spider.dataset(**files)["test"]) == 3


def test_databases_must_be_named_and_be_there(files, tmp_path, monkeypatch):
    monkeypatch.delenv("SPIDER_DATABASES", raising=False)
    with pytest.raises(ConfigError, match=r"where are Spider's databases\? Add --metadata"):
        spider.dataset(questions=files["questions"])
    monkeypatch.setenv("SPIDER_DATABASES", f"{tmp_path}/nowhere/{{database}}.sqlite")
    with pytest.raises(ConfigError, match=r"dev\.json.*1.*there is no database .*/nowhere/shop\.sqlite"):
        spider.dataset(questions=files["questions"])


def test_rows_that_are_none_of_spiders_are_named(files, tmp_path):
    (tmp_path / "dev.json").write_text('[{"question": "How many?"}]')
    with pytest.raises(ConfigError, match=r"dev\.json.* has no query, db_id; give Spider's own file"):
        spider.dataset(**files)


@pytest.mark.slow
def test_plain_lm_eval_runs_it_with_databases_given_by_path(files, tmp_path):
    # The model always answers with the first question's query. There happen to be four concerts as well as four singers.
    model = save_parrot(tmp_path / "model", "```sql\nselect count(id) from singer\n```")
    arguments = ["--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu", "--apply_chat_template"]
    arguments += ["--include_path", str(TASKS), "--tasks", "spider_execution", "--metadata", json.dumps(files)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    arguments += ["--gen_kwargs", "max_gen_toks=40"]  # the tiny model has no room for more
    command = [sys.executable, "-P", "-m", "lm_eval", *arguments, "--output_path", str(tmp_path / "scores")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [written] = (tmp_path / "scores").rglob("results_*.json")
    scores = json.loads(written.read_text())
    assert scores["results"]["spider_execution"]["execution_accuracy,none"] == pytest.approx(2 / 3)
    assert scores["results"]["spider_execution"]["test_suite_accuracy,none"] == pytest.approx(1 / 3)
    assert scores["configs"]["spider_execution"]["generation_kwargs"]["do_sample"] is False
