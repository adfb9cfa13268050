"""A sample's page in Argilla: fields, questions, suggestions, metadata, guidelines. Pure.

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
from axolotl_synthetic.records import Seed, question_of
from axolotl_synthetic.review.signals import read_signals

VERDICTS = {"accept": "Accept", "edit": "Edit: I correct it below", "reject": "Reject"}
QUALITY = (1, 2, 3, 4, 5)
FIELDS = ("question", "context", "answer", "seed", "checks")
QUESTIONS = ("verdict", "corrected_answer", "corrected_question", "reason", "quality")
CONTENT = "content"
"""Metadata key of the reviewed text's hash, so that a decision never applies to another text."""
NO_ANSWER = "*(the teacher was not asked for an answer)*"
LONGEST_GUIDELINES = 10_000  # characters, Argilla's limit


def content_of(row: Mapping[str, Any]) -> str:
    """Return a short hash of the texts that people judge."""
    text = json.dumps([row["question"], row["answer"]], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record(row: Mapping[str, Any], seed: Seed, seed_prompt: str) -> dict[str, Any]:
    """Return a sample in the form of Argilla's HTTP API, with suggestions by question name.

    Args:
        row: row of `samples.jsonl`, as the checks left it.
        seed, seed_prompt: its seed, and the seed's question as the student reads it.
    """
    asked = question_of(row, seed, seed_prompt).text
    fields = {
        "question": asked,
        "answer": row["answer"] or NO_ANSWER,
        "seed": f"{seed_prompt}\n\n---\n\n{seed.answer or '*(no answer)*'}",
        "checks": _verdicts(row),
    }
    # The context is whatever the student's prompt has besides the question's text.
    if (beside := row["question"].replace(asked, "", 1).strip()) != "":
        fields["context"] = beside
    agreement = read_signals(row).agreement
    metadata = {
        "strategy": row["strategy"],
        "status": row["status"],
        "rejected_by": row["reason"],
        "agreement": agreement,
        "tokens": row.get("tokens"),
        CONTENT: content_of(row),
    }
    accepted = row["status"] == "accepted"
    return {
        "external_id": row["id"],
        "fields": fields,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
        "suggestions": {
            "verdict": {"value": "accept" if accepted else "reject", "agent": "the checks" if accepted else f"the check {row['reason']}"},
            # Prefill the correction boxes, so that people edit the text instead of copying it.
            "corrected_question": {"value": asked, "agent": "as it is"},
            **({"corrected_answer": {"value": row["answer"], "agent": "as it is"}} if row["answer"] else {}),
        },
    }


def _verdicts(row: Mapping[str, Any]) -> str:
    """Return the checks' verdicts as a Markdown list."""
    words = {True: "passed", False: "**failed**", None: "did not apply"}
    lines = [f"- {one['name']}: {words[one['passed']]}" + (f" ({one['detail']})" if one["detail"] else "") for one in row["checks"]]
    return "\n".join(lines) or "no check was run"


def guidelines(settings: Review, task: str) -> str:
    """Return the guidelines that the page shows to reviewers.

    Raises:
        ConfigError: if the file of `review.guidelines` cannot be read, or exceeds Argilla's limit.
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
