"""The steps of `axolotl_synthetic.steps` in real pipelines: the example over HTTP, one saved and loaded again, one that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from distilabel.pipeline import Pipeline
from distilabel.steps import KeepColumns, LoadDataFromDicts, LoadDataFromFileSystem

from axolotl_synthetic.steps import AnswerAugmentation, NewQuestion, Verify, WriteAxolotl

from fake_server import FakeServer
from scripted_llm import ScriptedLLM

EXAMPLE = Path(__file__).parents[2] / "examples" / "distilabel_pipeline" / "pipeline.py"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_example_writes_what_its_checks_accept(tmp_path):
    with FakeServer() as server:
        environment = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k", "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, str(EXAMPLE)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        # Six questions, two samples of each, three calls per sample. The server gives equal requests the same reply, so every second sample
        # repeats the first.
        assert server.count == 36, done.stderr
    assert "6 of 12 rows are in train.jsonl" in done.stdout
    rows = lines(tmp_path / "train.jsonl")
    assert [row["id"].rsplit("-", 1)[1] for row in rows] == ["0"] * 6
    assert len({row["seed_id"] for row in rows}) == 6
    for row in rows:
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
        assert row["messages"][1]["content"].splitlines()[-1].startswith("#### ")
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40


def test_a_saved_pipeline_names_the_public_module_and_runs_when_it_is_loaded(tmp_path):
    said = {"new_question": ["What is 2 + 2?", "What is 2 + 3?"], "self_check": "Yes", "answer": "#### 4", "judge": "4"}
    (tmp_path / "problems.jsonl").write_text('{"problem": "1 + 1?"}\n{"problem": "1 + 2?"}\n')
    with Pipeline("saved", cache_dir=tmp_path / "cache") as pipeline:
        load = LoadDataFromFileSystem(data_files=str(tmp_path / "problems.jsonl"))
        new = NewQuestion(llm=ScriptedLLM(says=said), augmenter=ScriptedLLM(says=said), input_mappings={"question": "problem"})
        verify = Verify(checks=["self_check", {"length": {"at_most": 9}}], input_mappings={"question": "problem"})
        write = WriteAxolotl(path=str(tmp_path / "train.jsonl"))
        load >> new >> verify >> KeepColumns(columns=["problem", *write.inputs]) >> write
    pipeline.save(tmp_path / "pipeline.yaml", format="yaml")
    saved = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    modules = {step["step"]["type_info"]["module"] for step in saved["pipeline"]["steps"]}
    assert modules == {"axolotl_synthetic.steps", "distilabel.steps.columns.keep", "distilabel.steps.generators.huggingface"}
    loaded = Pipeline.from_yaml(tmp_path / "pipeline.yaml")
    assert loaded.dump()["pipeline"] == pipeline.dump()["pipeline"]
    rows = loaded.run(use_cache=False)["default"]["train"]
    assert [(row["problem"], row["instruction"], row["status"]) for row in rows] == [
        ("1 + 1?", "What is 2 + 2?", "accepted"),
        ("1 + 2?", "What is 2 + 3?", "accepted"),
    ]
    assert [row["messages"][0]["content"] for row in lines(tmp_path / "train.jsonl")] == ["What is 2 + 2?", "What is 2 + 3?"]


def test_columns_keep_their_types_when_all_rows_of_the_first_batches_fail(tmp_path):
    # distilabel 1.5.3 infers the types of the whole table from its first 50 rows.
    hostile = "</s> {{ 7 * 7 }} '); DROP TABLE x; -- \t\u200d🙂"
    rows = [{"question": f"{n} + 1?{' Break it.' if n < 60 else ''}", "answer": str(n + 1)} for n in range(120)]
    with Pipeline("failing", cache_dir=tmp_path / "cache") as pipeline:
        llm = ScriptedLLM(says={"answer": [f"{hostile}\n#### 61", "<think>", None]}, marked="Break it.")
        answers = AnswerAugmentation(llm=llm, input_batch_size=20)
        LoadDataFromDicts(data=rows, batch_size=20) >> answers >> Verify() >> WriteAxolotl(path=str(tmp_path / "train.jsonl"))
    made = pipeline.run(use_cache=False)["default"]["train"].to_list()
    assert [row["question"] for row in made] == [row["question"] for row in rows]
    assert [row["status"] for row in made[:60]] == ["failed"] * 60
    # 60 + 1 is 61; the other two of three have no answer, and the following rows answer 61 to other sums.
    assert [row["status"] for row in made[60:66]] == ["accepted", "failed", "failed", "rejected", "failed", "failed"]
    assert {row["reason"] for row in made[:60]} == {"RuntimeError: the model broke on this"}
    (line,) = lines(tmp_path / "train.jsonl")
    assert line["messages"][1]["content"] == f"{hostile}\n#### 61".strip()
