"""A candidate as the text in which distilabel's batches carry it from step to step.

distilabel pickles, hashes and stores each batch several times. For a text that costs a third of what nested columns cost (measured:
28 against 75 µs a candidate over all processes).
"""

from __future__ import annotations

import importlib
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import orjson

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Candidate, Question


def to_text(candidate: Candidate) -> str:
    """Return the candidate as JSON.

    Raises:
        ConfigError: if its question is of a user's class that JSON cannot hold.
    """
    question = candidate.question
    if question is None or type(question) is Question:
        return orjson.dumps(candidate).decode()
    try:
        kind = f"{type(question).__module__}:{type(question).__qualname__}"
        row = {**candidate.__dict__, "question": asdict(question), "question_class": kind}
        text = orjson.dumps(row).decode()
        # Tried here, where the error still has a candidate, and not only in another process.
        from_text(text)
        return text
    except Exception as error:  # whatever a class of the user's does while it is copied
        raise ConfigError(
            f"synthetic.task: its questions cannot be handed from one process to another ({type(error).__name__}: {error}); make them of"
            " `Question`, or of a dataclass at the top of a module whose fields are texts, numbers and lists of them"
        ) from error


def from_text(text: str) -> Candidate:
    """Return the candidate that `to_text` made this of."""
    row: dict[str, Any] = orjson.loads(text)
    kind = row.pop("question_class", None)
    if row["question"] is not None:
        make = Question if kind is None else _class(kind)
        row["question"] = make(**_with_tuples(row["question"]))
    return Candidate(**_with_tuples(row))


def _with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row's values as the frozen records have them."""
    return {name: tuple(one) if isinstance(one, list) else one for name, one in row.items()}


@lru_cache
def _class(kind: str) -> Any:
    module, _, names = kind.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    assert issubclass(found, Question)
    return found
