"""A finished run without a teacher: real seeds, ledger, samples, training file and manifest; the test provides the samples."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from axolotl_synthetic import run
from axolotl_synthetic.config import Settings, load_settings
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.records import Question, to_json
from axolotl_synthetic.seeds import seed_id

Row = dict[str, Any]


def seed(number: int) -> dict[str, str]:
    """Return a question that no other number has: 2 to 41 jars, 3 and more cards."""
    jars, cards = 2 + number % 40, 3 + number // 40
    return {
        "question": f"Ada has {jars} jars with {cards} cards each. How many cards are there?",
        "answer": f"{jars} * {cards} = {jars * cards}\n#### {jars * cards}",
    }


def gold(number: int) -> int:
    return (2 + number % 40) * (3 + number // 40)


def sample(number: int, *, wrong: bool = False, **changed: Any) -> Row:
    """Return a judged answer to seed `number`: right and accepted, or off by one and rejected by `final_answer`."""
    question, right = seed(number)["question"], gold(number)
    said = right + wrong
    detail = f"{said} is not the seed's {right}" if wrong else f"{said} agrees with the seed's {right}"
    row = {
        **{"id": f"answer_augmentation-{number}", "strategy": "answer_augmentation"},
        **{"seed_id": seed_id(Question(question), seed(number)["answer"]), "question": question},
        **{"answer": f"There are {said} in sheet {number}.\n#### {said}", "final_answer": str(said)},
        **{"status": "rejected" if wrong else "accepted", "reason": "final_answer" if wrong else None},
        "checks": [
            {"name": "format", "passed": True, "detail": ""},
            {"name": "final_answer", "passed": not wrong, "detail": detail},
        ],
        **{"requests": [], "tokens": 0, "teacher": "a-teacher", "augmenter": None, "decision": None},
    }
    return {**row, **changed}


def settings(folder: Path, **block: Any) -> Settings:
    return load_settings(
        {
            "seeds": {"path": str(folder / "seeds.jsonl")},
            "strategy": "answer_augmentation",
            "output_dir": str(folder / "out"),
            **block,
        }
    )


def finish(folder: Path, samples: Iterable[Row], *, rows: Iterable[Row] | None = None, **block: Any) -> Settings:
    """Let `run.generate` finish a run whose pipeline makes these samples, from the 300 seeds above or from these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    given = map(seed, range(300)) if rows is None else rows
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    made = settings(folder, **block)
    generate(made, samples)
    return made


def generate(made: Settings, samples: Iterable[Row]) -> run.Outcome:
    """Run `run.generate` with these samples instead of the pipeline's."""

    def pipeline(prepared: run.Prepared, **_: Any) -> None:
        with open(made.folder / run.SPOOL, "w", encoding="utf-8") as file:
            file.writelines(to_json(row) + "\n" for row in samples)
        with Ledger(made.folder / run.LEDGER) as ledger:
            ledger.begin_run()
            ledger.report(ended_by="samples")

    with mock.patch.object(run, "_run_pipeline", pipeline):
        return run.generate(made)
