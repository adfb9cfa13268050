"""New questions on the pattern of ours, checked and written for Axolotl, among distilabel's own steps. The README says how to run it."""

import json
from pathlib import Path

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import KeepColumns, LoadDataFromDicts

from axolotl_synthetic.steps import NewQuestion, Verify, WriteAxolotl

QUESTIONS = [json.loads(line) for line in (Path(__file__).parent / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
COLUMNS = ["instruction", "generation", "sample_id", "strategy", "seed_id", "status", "reason", "messages"]

with Pipeline("new-questions") as pipeline:
    # The server and the key are those of OPENAI_BASE_URL and OPENAI_API_KEY.
    llm = OpenAILLM(model="gpt-4o-mini", generation_kwargs={"max_new_tokens": 512, "temperature": 0.7})
    load = LoadDataFromDicts(data=QUESTIONS)
    new = NewQuestion(llm=llm, num_generations=2, examples=QUESTIONS[:5])
    verify = Verify(checks=["self_check", "format", "duplicate", {"near_duplicate": {"threshold": 0.9}}], seeds=QUESTIONS)
    keep = KeepColumns(columns=COLUMNS)
    write = WriteAxolotl(path="train.jsonl")
    load >> new >> verify >> keep >> write

if __name__ == "__main__":
    rows = pipeline.run(use_cache=False)["default"]["train"]
    print(sum(row["status"] == "accepted" for row in rows), "of", len(rows), "rows are in train.jsonl")
