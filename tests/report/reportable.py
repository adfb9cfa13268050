"""A folder as a run leaves it, made by hand: seeds, config, ledger, samples, manifest, grade; each part may be left out.

It has three candidates of each strategy but one, with the results and numbers that the tests name. Texts contain markup to inject.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import yaml

from axolotl_synthetic import run
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.ledger import Ledger

HOSTILE = (
    "</pre></article><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<svg onload=\"document.title='owned'\"></svg><style>body{display:none}</style>"
    '<iframe src="https://example.invalid/"></iframe><a href="javascript:document.title=\'owned\'">here</a>'
    "<form action='https://example.invalid/'></form><!-- {{ 7 * 7 }} {% raw %} &lt;b&gt; ]]> \x00\x1b[31m \u202edlrow\u202c $\\alpha$"
)
WIDE = "w" * 600  # a word wider than any line
SEEDS = [
    {"question": "Mia has 3 bags with 4 marbles each. How many marbles are there?", "answer": "3 * 4 = 12\n#### 12"},
    {"question": "A train goes 60 km in one hour. How far does it go in 2 hours?", "answer": "60 * 2 = 120\n#### 120"},
]


def verdict(name: str, passed: bool | None, detail: str = "", **data: Any) -> dict[str, Any]:
    return {"name": name, "passed": passed, "detail": detail, **({"data": data} if data else {})}


def row(number: int, strategy: str, status: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a row of `samples.jsonl`."""
    return {
        **{"id": f"{strategy}-{number}", "strategy": strategy, "seed_id": "s", "question": SEEDS[number % 2]["question"]},
        **{"answer": "one two three\n#### 12", "final_answer": "12", "status": status, "reason": reason, "checks": []},
        **{"requests": [], "teacher": "big", "augmenter": None, "decision": None},
        **more,
    }


ROWS = [
    row(
        0,
        "answer_augmentation",
        "accepted",
        checks=[verdict("format", True), verdict("final_answer", True, "12 agrees with the seed's 12")],
    ),
    row(1, "answer_augmentation", "rejected", "final_answer", checks=[verdict("format", True), verdict("final_answer", False, HOSTILE)]),
    row(2, "answer_augmentation", "failed", "timeout: 600 s", question=None, answer=None, final_answer=None),
    row(
        *(0, "question_rephrase", "accepted"),
        question=f"Asked anew: {HOSTILE}",
        answer=f"{HOSTILE} {WIDE}\n#### 12",
        checks=[verdict("format", True), verdict("self_consistency", True, '4 of 5 answers (80%) say 12; votes: ["12"]', agree=4, of=5)],
        decision={"what": "edit", "who": ["ada"], "when": "2026-01-02T03:04:05Z", "before": {"answer": HOSTILE}, "after": {"answer": "x"}},
    ),
    row(
        1,
        "question_rephrase",
        "rejected",
        "format",
        answer="",
        final_answer=None,
        checks=[verdict("format", False, "marks no final answer")],
    ),
    row(
        *(2, "question_rephrase", "rejected", "self_consistency"),
        checks=[
            verdict("format", True),
            verdict("self_consistency", False, "no majority: 2 of 5 answers (40%) say 12, and as many 3", agree=2, of=5),
        ],
    ),
    row(
        0, "new_question", "accepted", question="What is 5 plus 6?", checks=[verdict("format", True), verdict("final_answer", None, "off")]
    ),
]

# started, purpose, role, outcome, attempt, prompt tokens, completion tokens, seconds, USD
CALLS = [
    (1000.0, "answer", "teacher", "ok", 0, 10, 5, 2.0, 0.25),
    (1001.0, "answer", "teacher", "failed", 0, None, None, None, None),
    (1003.0, "answer", "teacher", "ok", 1, 10, 7, 4.0, 0.5),
    (1010.0, "rephrase", "augmenter", "ok", 0, 20, 8, 1.0, 1.0),
    # 1011 is the end of the last of these; the run was stopped for 989 s
    (2000.0, "rephrase", "augmenter", "sent", 0, None, None, None, None),
    (2001.0, "answer", "teacher", "unsent", 0, None, None, None, None),
    (2004.0, "answer", "teacher", "ok", 0, 30, 9, 3.0, 0.25),
]

MANIFEST = {
    **{"format": 1, "status": "complete", "budget_ratio": 1.5, "seeds": {"count": 2, "held_out": 1, "sha256": "0"}},
    "strategy": {"answer_augmentation": 0.5, "question_rephrase": 0.25, "new_question": 0.25},
    "queries": {"total": 6, "reused": 3, "retried": 1},
    **{"counts": {"planned": 5, "accepted": 3, "rejected": 1, "failed": 1}, "rejections": {}},
    **{"tokens": {"prompt": 70, "completion": 29}, "usd": 2.0},
    "files": {"train": {"path": "train-0.jsonl", "rows": 5, "sha256": "0"}},
}
GRADE = {
    **{"base": "small", "student": "small, taught"},
    "rows": [
        {
            **{"task": "synthetic_heldout", "metric": "exact_match", "questions": 40, "base": 0.25, "base_stderr": 0.03},
            **{"student": 0.75, "student_stderr": 0.04, "difference": 0.5, "difference_stderr": 0.05},
        }
    ],
}


def write_ledger(path: Path, calls: list[tuple[Any, ...]] = CALLS) -> Path:
    """Write a ledger that holds these calls."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Ledger(path).close()
    database = sqlite3.connect(path)
    with database:
        database.execute("INSERT INTO prompts (hash, messages) VALUES (x'00', '[]')")
        database.executemany(
            "INSERT INTO calls (started, purpose, role, outcome, attempt, prompt_tokens, completion_tokens, seconds, usd,"
            " key, model, prompt, parameters, max_new_tokens, sample) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, x'00', 'big', 1, '{}', 9, 0)",
            calls,
        )
    database.close()
    return path


def config(folder: Path, **block: Any) -> Path:
    """Write a config beside the folder, with its seeds."""
    (folder / "seeds.jsonl").write_text("".join(json.dumps(seed) + "\n" for seed in SEEDS))
    whole = {"seeds": {"path": str(folder / "seeds.jsonl")}, "output_dir": str(folder / "out"), "budget": {"samples": 3}, **block}
    (folder / "config.yml").write_text(yaml.safe_dump({"synthetic": whole}))
    return folder / "config.yml"


def make(
    folder: Path,
    *,
    samples: str | None = "samples.jsonl",
    rows: list[dict[str, Any]] = ROWS,
    ledger: bool = True,
    manifest: dict[str, Any] | None = MANIFEST,
    grade: dict[str, Any] | None = GRADE,
    card: str | None = "---\ntags: []\n---\n# A card\n",
    **block: Any,
) -> Path:
    """Make the folder and return its config; a part that is None or False is left out."""
    out = folder / "out"
    out.mkdir(parents=True)
    path = config(folder, **block)
    if samples is not None:
        (out / samples).write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    if ledger:
        write_ledger(out / "ledger.sqlite")
    for name, content in (("manifest.json", manifest), ("grade.json", grade)):
        if content is not None:
            (out / name).write_text(json.dumps(content))
    if card is not None:
        (out / "README.md").write_text(card)
    return path


def find(path: Path) -> run.Found:
    """Return the report's input."""
    return run.find(load_settings(yaml.safe_load(path.read_text())["synthetic"]))
