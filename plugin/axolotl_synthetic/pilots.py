"""Pilots of several teachers and augmenters: reads which there are, and what the candidates that each made say of it.

`run.py` makes the candidates, `plan/side_by_side.py` has the statistics. Here is what needs a task or the words of a question: which new
questions are different, and which answers agree.

An answer agrees when it ends where its reference does. To a seed's own or reworded question that is the seed's answer; to a new question
what `final_answer` or `self_consistency` held it to, where one of them did; and where a seed has no answer, what more than half of the
pilot's answers to it say, if there are two or more. An answer without a reference counts neither way.
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
    """Settings with one teacher and its augmenter, and where the two are written."""

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
        """Return what the ledger knows the augmenter's replies by."""
        return _sampled(self.settings.model_for("augmenter"))


# Which pairs there are


def read_pairs(config: Path, block: object, files: Sequence[Path]) -> list[Pair]:
    """Return the config's own teacher, or those of its list, and then those of the files.

    Args:
        config: the config's path.
        block: what stands under its `synthetic:`.
        files: YAMLs with a `teacher:`, and perhaps an `augmenter:`, at the top or under `synthetic:`. Without an `augmenter:` the teacher
            is its own, whatever the config says.

    Raises:
        ConfigError: if a file cannot be read or has no teacher, a teacher is wrong, or two of them would share all replies.
    """
    pairs = list(_pairs(config, block))
    for file in files:
        document = read_yaml(file, "the path of a YAML with a `teacher:`")
        pairs += _pairs(file, _with_models(file, block, document))
    _refuse_same(pairs)
    return pairs


def files_named(texts: Sequence[str]) -> list[Path]:
    """Return the paths in lists with commas; a file whose own name has a comma is taken whole.

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
    except (OSError, ValueError):  # too long, or a NUL: it is told when it is read
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
    assert isinstance(block, Mapping)  # it was read as the config's
    kept = {key: value for key, value in block.items() if key not in ROLES}
    return {**kept, **{role: own[role] for role in ROLES if own.get(role) is not None}}


def _refuse_same(pairs: Sequence[Pair]) -> None:
    """Refuse a pair that would find all of its replies in the ledger, as another one's.

    Raises:
        ConfigError: with where both are written.
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
    """Return what the ledger knows a model's replies by."""
    return f"{model.generation.max_new_tokens} {model.generation.parameters} {model_name(model)}"


# What their candidates say


def new_questions(rows: Sequence[Row], seeds: Sequence[Seed]) -> list[Written]:
    """Return the new questions of a pilot, in their order.

    Args:
        rows: its candidates.
        seeds: all of the run's: a new question that has the words of one is not new.
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
    """Return a question without what it is about, such as the schema of the seed's database, which is no work of the augmenter's."""
    if row.get("messages"):
        return "\n".join(message["content"] for message in row["messages"] if message["role"] == "user")
    text = str(row["question"])
    return text.replace(seed.question.context, "") if seed.question.context else text


def agreements(rows: Sequence[Row], seeds: Sequence[Seed], task: Task) -> list[bool]:
    """Return for each answer that has a reference whether it agrees with it; see the top of this file.

    Args:
        rows: a pilot's candidates.
        seeds: all of the run's.
        task: whose final answers are compared.
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
    except Exception:  # the boundary: a user's task that breaks on an answer has told of it in the verdict of a check
        return False


def _verdict(row: Row) -> bool | None:
    """Return the verdict of a check that held the answer to another one; None where none did."""
    verdicts = {one["name"]: one["passed"] for one in row["checks"]}
    return next((verdicts[name] for name in ("final_answer", "self_consistency") if verdicts.get(name) is not None), None)
