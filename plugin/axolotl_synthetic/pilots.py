"""Pilots of several teachers and augmenters: reads the pairs, and evaluates the candidates that each made.

`run.py` makes the candidates, `plan/side_by_side.py` has the statistics. This file has what needs a task or a question's words: which new
questions differ, and which answers agree.

An answer agrees if it has the same final answer as its reference. For a seed's own or reworded question the reference is the seed's
answer. For a new question it is the answer with which `final_answer` or `self_consistency` compared it, if one did. If a seed has no
answer,
it is the majority of the pilot's answers to it, if there are at least two. Answers without a reference are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axolotl_synthetic.checks.words import asked, shingles, words
from axolotl_synthetic.config import ModelSettings, Settings, load_candidates
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.plan.pilot import Row, tells
from axolotl_synthetic.plan.side_by_side import Written
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, Seed
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.tasks import Task
from axolotl_synthetic.teachers import model_name
from axolotl_synthetic.yaml_reader import read_yaml

ROLES = ("teacher", "augmenter")


@dataclass(frozen=True)
class Pair:
    """Settings with one teacher and its augmenter, and the file that names them."""

    settings: Settings
    source: str

    @property
    def teacher(self) -> str:
        return model_name(self.settings.teacher)

    @property
    def augmenter(self) -> str:
        return model_name(self.settings.model_for("augmenter"))

    @property
    def writer(self) -> str:
        """Return the key of the augmenter's replies in the ledger."""
        return _sampled(self.settings.model_for("augmenter"))


# The pairs


def read_pairs(config: Path, block: object, files: Sequence[Path]) -> list[Pair]:
    """Return the config's own teacher, or those of its list, and then those of the files.

    Args:
        config: the config's path.
        block: the config's `synthetic:` block.
        files: YAMLs with a `teacher:`, and perhaps an `augmenter:`, at the top or under `synthetic:`. Without an `augmenter:` the teacher
            is its own, whatever the config says.

    Raises:
        ConfigError: if a file cannot be read or has no teacher, a teacher is wrong, or two pairs would share all replies.
    """
    pairs = list(_pairs(config, block))
    for file in files:
        document = read_yaml(file, "the path of a YAML with a `teacher:`")
        pairs += _pairs(file, _with_models(file, block, document))
    _refuse_same(pairs)
    return pairs


def files_named(texts: Sequence[str]) -> list[Path]:
    """Return the paths in comma-separated lists; a file whose own name has a comma is taken whole.

    Raises:
        ConfigError: if a list names nothing.
    """
    found = []
    for text in texts:
        names = [text] if _is_file(text) else [name.strip() for name in text.split(",") if name.strip()]
        if not names:
            raise ConfigError(f"--teachers: {text!r} names no file; write `--teachers a.yml,b.yml`")
        found += [Path(name) for name in names]
    return found


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or a NUL: reading it reports the error
        return False


def _pairs(file: Path, block: object) -> Iterator[Pair]:
    try:
        found = load_candidates(block)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    for place, settings in enumerate(found, 1):
        yield Pair(settings, f"{file}, teacher {place}" if len(found) > 1 else str(file))


def _with_models(file: Path, block: object, document: object) -> Mapping[str, Any]:
    """Return the config's block with the models of a file."""
    own = document.get("synthetic", document) if isinstance(document, Mapping) else None
    if not isinstance(own, Mapping) or own.get("teacher") is None:
        raise ConfigError(
            f"{file}: has no `teacher:`; write one, and an `augmenter:` if it is to be another model, at the top of the file or under"
            " `synthetic:`"
        )
    if own is document and (unknown := [str(key) for key in own if key not in ROLES]):
        raise ConfigError(
            f"{file}: unknown key `{unknown[0]}`; a file of `--teachers` has `teacher:` and `augmenter:`, or is a whole config whose block"
            " stands under `synthetic:`"
        )
    assert isinstance(block, Mapping)  # it passed validation as the config's block
    kept = {key: value for key, value in block.items() if key not in ROLES}
    return {**kept, **{role: own[role] for role in ROLES if own.get(role) is not None}}


def _refuse_same(pairs: Sequence[Pair]) -> None:
    """Refuse a pair that would get all of its replies from the ledger because another pair has the same models.

    Raises:
        ConfigError: with the files of both.
    """
    known: dict[tuple[str, ...], Pair] = {}
    for pair in pairs:
        settings = pair.settings
        key = tuple(_sampled(model) for model in (settings.teacher, settings.model_for("augmenter")))
        if (other := known.setdefault(key, pair)) is not pair:
            raise ConfigError(
                f"{pair.source}: the teacher {pair.teacher} is that of {other.source} again, with the same augmenter and `generation`; the"
                " ledger knows a model by its name, so that one would be shown the other's replies: remove it, or have its server call the"
                " model by another name (`--served-model-name` of vLLM)"
            )


def _sampled(model: ModelSettings) -> str:
    """Return the key of a model's replies in the ledger."""
    return f"{model.generation.max_new_tokens} {model.generation.parameters} {model_name(model)}"


# Evaluation of their candidates


def new_questions(rows: Sequence[Row], seeds: Sequence[Seed]) -> list[Written]:
    """Return the new questions of a pilot, in their order.

    Args:
        rows: its candidates.
        seeds: all of the run's: a question with the same words as one of them is not new.
    """
    by_id = {seed.id: seed for seed in seeds}
    known = {words(asked(seed.question)) for seed in seeds}
    found = []
    for row in rows:
        if row["strategy"] != NEW_QUESTION or not row["question"] or not tells(row):
            continue
        text = _asked(row, by_id[row["seed_id"]])
        said = words(text)
        found.append(Written(frozenset(shingles(text)), said not in known, row["status"] == "accepted"))
        known.add(said)
    return found


def _asked(row: Row, seed: Seed) -> str:
    """Return a question without its context, such as the database's schema, which the augmenter did not write."""
    if row.get("messages"):
        return "\n".join(message["content"] for message in row["messages"] if message["role"] == "user")
    text = str(row["question"])
    return text.replace(seed.question.context, "") if seed.question.context else text


def agreements(rows: Sequence[Row], seeds: Sequence[Seed], task: Task) -> list[bool]:
    """Return for each answer that has a reference whether it agrees; see the top of this file.

    Args:
        rows: a pilot's candidates.
        seeds: all of the run's.
        task: compares the final answers.
    """
    if not task.has_final_answer:
        return []
    by_id = {seed.id: seed for seed in seeds}
    keeps = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
    found: list[bool] = []
    alone: dict[str, list[str | None]] = {}
    for row in rows:
        if row["answer"] is None or not tells(row):
            continue
        seed = by_id[row["seed_id"]]
        gold = task.gold_answer(seed) if keeps[row["strategy"]] else None
        if gold is not None:
            found.append(_same(task, gold, row["final_answer"], seed))
        elif (held := _verdict(row)) is not None:
            found.append(held)
        elif row["strategy"] == ANSWER_AUGMENTATION:
            alone.setdefault(seed.id, []).append(row["final_answer"])
    for seed_id, answers in alone.items():
        if len(answers) > 1:
            for one in answers:
                same = sum(one is not None and _same(task, one, other, by_id[seed_id]) for other in answers)
                found.append(same > len(answers) / 2)
    return found


def _same(task: Task, one: str, other: str | None, seed: Seed) -> bool:
    try:
        return other is not None and task.equivalent(one, other, seed.question)
    except Exception:  # an error in a user's task must not end the pilot; a check's verdict already reports it
        return False


def _verdict(row: Row) -> bool | None:
    """Return the verdict of a check that compared the answer with another one; None without such a check."""
    verdicts = {one["name"]: one["passed"] for one in row["checks"]}
    return next((verdicts[name] for name in ("final_answer", "self_consistency") if verdicts.get(name) is not None), None)
