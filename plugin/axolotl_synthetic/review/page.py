"""What people see of a sample in Argilla, and what they are asked: fields, questions, suggestions, metadata, guidelines. Pure.

The names are Argilla's; `client.py` sends them, and `ruling.py` reads the answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import Review
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Candidate, Seed
from axolotl_synthetic.review.signals import read_signals

VERDICTS = {"accept": "Accept", "edit": "Edit: I correct it below", "reject": "Reject"}
QUALITY = (1, 2, 3, 4, 5)
FIELDS = ("question", "context", "answer", "seed", "checks")
QUESTIONS = ("verdict", "corrected_answer", "corrected_question", "reason", "quality")
CONTENT = "content"
"""Metadata beside the filters: which text was reviewed, so that a decision is never taken for one about another text."""
NO_ANSWER = "*(the teacher was not asked for an answer)*"
LONGEST_GUIDELINES = 10_000  # characters, Argilla's limit


def content_of(row: Mapping[str, Any]) -> str:
    """A short hash of what people judge of a sample."""
    text = json.dumps([row["question"], row["answer"]], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record(row: Mapping[str, Any], candidate: Candidate, seed: Seed, seed_prompt: str, tokens: int) -> dict[str, Any]:
    """A sample as Argilla's HTTP API takes it, with suggestions by the names of the questions.

    Args:
        row: of `samples.jsonl`, as the checks left it.
        candidate: the same with its question in parts.
        seed, seed_prompt: what it was made of, and that as the student reads it.
        tokens: prompt and completion tokens of its calls.
    """
    assert candidate.question is not None
    fields = {
        "question": candidate.question.text,
        "answer": row["answer"] or NO_ANSWER,
        "seed": f"{seed_prompt}\n\n---\n\n{seed.answer or '*(no answer)*'}",
        "checks": _verdicts(row),
    }
    # What stands beside the question is whatever the task shows of it besides its text.
    if (beside := row["question"].replace(candidate.question.text, "", 1).strip()) != "":
        fields["context"] = beside
    agreement = read_signals(row).agreement
    metadata = {
        "strategy": row["strategy"],
        "status": row["status"],
        "rejected_by": row["reason"],
        "agreement": agreement,
        "tokens": tokens,
        CONTENT: content_of(row),
    }
    accepted = row["status"] == "accepted"
    return {
        "external_id": row["id"],
        "fields": fields,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
        "suggestions": {
            "verdict": {"value": "accept" if accepted else "reject", "agent": "the checks" if accepted else f"the check {row['reason']}"},
            # What is to be corrected stands there already, to be changed instead of copied.
            "corrected_question": {"value": candidate.question.text, "agent": "as it is"},
            **({"corrected_answer": {"value": row["answer"], "agent": "as it is"}} if row["answer"] else {}),
        },
    }


def _verdicts(row: Mapping[str, Any]) -> str:
    """The checks' verdicts as a Markdown list."""
    words = {True: "passed", False: "**failed**", None: "did not apply"}
    lines = [f"- {one['name']}: {words[one['passed']]}" + (f" ({one['detail']})" if one["detail"] else "") for one in row["checks"]]
    return "\n".join(lines) or "no check was run"


def guidelines(settings: Review, task: str) -> str:
    """What the page tells whoever reviews.

    Raises:
        ConfigError: if the file of `review.guidelines` cannot be read, or is longer than Argilla takes.
    """
    if settings.guidelines is None:
        return resources.files(__package__).joinpath("guidelines.md").read_text(encoding="utf-8").replace("{task}", task)
    path = Path(settings.guidelines).expanduser()
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"synthetic.review.guidelines: {path} cannot be read: {error.strerror}; give a Markdown file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"synthetic.review.guidelines: {path} is not UTF-8 ({error.reason}); save it as UTF-8") from error
    except ValueError as error:
        raise ConfigError(f"synthetic.review.guidelines: {str(path)!r} is no path ({error}); give a Markdown file") from error
    if not text:
        raise ConfigError(f"synthetic.review.guidelines: {path} is empty; write what reviewers shall know, or leave `guidelines` out")
    if len(text) > LONGEST_GUIDELINES:
        raise ConfigError(
            f"synthetic.review.guidelines: {path} has {len(text):,} characters, and Argilla takes {LONGEST_GUIDELINES:,}; shorten it"
        )
    return text
