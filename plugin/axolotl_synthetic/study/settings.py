"""STUDY.yml: its fields and defaults. All problems of a file are reported at once, each with its path, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from axolotl_synthetic.config import MOST, Block, Checks, Launcher, PathText, Rounds, Settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import STRATEGIES, Role
from axolotl_synthetic.yaml_reader import read_yaml

Count = Annotated[int, Field(ge=1, le=MOST, strict=True)]
Strategy = Literal["answer_augmentation", "question_rephrase", "new_question"]


class Limits(Block):
    """Limits of the whole study. A line that reaches one ends there, and its larger cells are marked as failed."""

    queries: Count | None = None
    """Calls of every kind, retries included."""
    tokens: int | None = Field(default=None, ge=1, le=MOST * MOST, strict=True)
    """Prompt and completion tokens together."""
    usd: float | None = Field(default=None, gt=0, le=MOST)
    """US dollars; needs the models' `price`."""


class Arm(Block):
    """One way to make samples, compared with the others of a study. Unset fields are as for a strategy of `strategies`."""

    strategy: Strategy
    """The strategy that makes its samples."""
    rounds: Rounds | None = None
    """As in the block: divide the budget, and ask more about the student's worst seeds. Null: none, whatever the config says."""
    verify: Checks | None = None
    """As in the block; `[]` verifies nothing. Null: as the config says."""

    @property
    def is_in_rounds(self) -> bool:
        """Return whether its samples depend on their number, so that smaller cells are not the beginning of larger ones."""
        return self.rounds is not None and self.rounds.trains


class Study(Block):
    """The content of `study:`."""

    config: PathText
    """The Axolotl YAML with the `synthetic:` block."""
    seed_sizes: list[Count] = Field(min_length=1)
    """Numbers of seeds: |S|."""
    samples: list[Count] = Field(min_length=1)
    """Numbers of accepted samples: Q."""
    strategies: list[Strategy] = Field(default=list(STRATEGIES), min_length=1)  # type: ignore[arg-type]
    """The strategies to compare."""
    arms: dict[Annotated[str, Field(pattern=r"^[A-Za-z]\w{0,59}$")], Arm] = Field(default={})
    """Further ways to compare, by names of your own: {by_loss: {strategy: new_question, rounds: {by: loss}}}."""
    repeats: int = Field(default=3, ge=1, le=1_000)
    """How often to make each cell, each time with another draw of seeds and another training seed."""
    output_dir: PathText = "./study"
    """The folder of the study's files."""
    target_accuracy: float | None = Field(default=None, gt=0, lt=1)
    """A share of right answers; the study reports the cheapest way to it. Null: steps of ten percent."""
    budget: Limits = Limits()
    """Limits of the study's cost; by default there are none."""
    launcher: Launcher | None = None
    """As in `axolotl train --launcher`; null: Axolotl's own default."""
    keep_students: bool = False
    """Keep the trained models, one for each cell; otherwise each is removed after grading."""

    @field_validator("arms")
    @classmethod
    def validate_arms(cls, value: dict[str, Arm]) -> dict[str, Arm]:
        if (name := next((name for name in value if name in STRATEGIES), None)) is not None:
            raise ValueError(f"{name} is the name of a strategy, which `strategies` compares; choose another")
        return value

    @field_validator("seed_sizes", "samples", "strategies")
    @classmethod
    def validate_no_repetition(cls, value: list[Any]) -> list[Any]:
        for one in value:
            if value.count(one) > 1:
                raise ValueError(f"names {one} {value.count(one)} times; name it once")
        return value if isinstance(value[0], str) else sorted(value)

    @property
    def folder(self) -> Path:
        return Path(self.output_dir).expanduser()

    @property
    def compared(self) -> Mapping[str, Arm]:
        """Return everything to compare, by name: each strategy as it is, and the arms."""
        return {**{name: Arm(strategy=name) for name in self.strategies}, **self.arms}


def load_study(path: Path) -> Study:
    """Read a STUDY.yml.

    Raises:
        ConfigError: with every problem of the file, one per line.
    """
    document = read_yaml(path, "the path of your STUDY.yml")
    if not isinstance(document, dict) or not isinstance(document.get("study"), dict):
        raise ConfigError(f"{path}: has no `study:` block; add one with `config:`, `seed_sizes:` and `samples:`")
    raw = document["study"]
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        # Each item of a list has its own problem. A union would report one for each branch, but there are no unions here.
        refuse(path, [_describe(detail) for detail in error.errors(include_url=False)])
        raise AssertionError from error


def refuse(path: Path | str, problems: Sequence[str]) -> None:
    """Raise an error with all problems, if there are any."""
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{path}: the study has {count}:\n" + "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems)))


def problems_with(study: Study, settings: Settings, training: Mapping[str, Any], *, has_final_answer: bool, rows: int) -> Iterator[str]:
    """Yield the problems between a study and its config.

    Args:
        study: the study's settings.
        settings, training: the config's `synthetic:` block, and the whole config.
        has_final_answer: whether the task's held-out seeds can be graded.
        rows: usable rows of the seeds' file that are not held out.
    """
    for key in ("base_model", "output_dir"):
        if not training.get(key):
            yield f"{study.config}: {key}: is missing; a study trains and grades, which needs Axolotl's `base_model` and `output_dir`"
    if not settings.seeds.holdout and not settings.grade.tasks:
        yield (
            f"{study.config}: synthetic.seeds.holdout: {settings.seeds.holdout:g}: nothing is held out to grade by; set it (100 or more"
            " make the error bars short), or name an lm-eval task in `synthetic.grade.tasks`"
        )
    elif not has_final_answer and not settings.grade.tasks:
        yield (
            f"{study.config}: synthetic.task: {settings.task!r}: its answers cannot be told right from wrong, so the held-out seeds"
            " grade nothing; name an lm-eval task in `synthetic.grade.tasks`"
        )
    if rows < study.seed_sizes[-1]:
        held = f" beside {settings.seeds.holdout:g} held out" if settings.seeds.holdout else ""
        yield (
            f"study.seed_sizes: {study.seed_sizes[-1]}: {settings.seeds.path} has {rows} usable seeds{held}; ask for at most {rows}, hold"
            " out fewer, or give more seeds"
        )
    if study.budget.usd is not None:
        roles: tuple[Role, ...] = ("teacher", "augmenter")
        for role in roles:
            if settings.model_for(role).known_price is None:
                yield f"study.budget.usd: {study.budget.usd:g}: cannot be kept without synthetic.{role}.price in {study.config}"
                break


def _describe(detail: ErrorDetails) -> str:
    """Describe one problem in a line: its path, the value and the remedy."""
    location = list(detail["loc"])
    path = ".".join(["study", *(str(part) for part in location)])
    if detail["type"] == "extra_forbidden":
        known = list((Limits if location[:-1] == ["budget"] else Study).model_fields)
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        return f"{path}: unknown key; {f'did you mean `{close[0]}`?' if close else 'known here: ' + ', '.join(known)}"
    if detail["type"] == "missing":
        return f"{path}: is required: {REQUIRED[str(location[-1])]}"
    context = detail.get("ctx", {})
    message = str(context["error"]) if "error" in context else detail["msg"][:1].lower() + detail["msg"][1:]
    value = repr(detail["input"])
    return f"{path}: {value if len(value) <= 80 else value[:79] + '…'}: {message}"


REQUIRED = {
    "config": "the path of your Axolotl YAML with its `synthetic:` block",
    "seed_sizes": "numbers of seeds, such as [20, 100]",
    "samples": "numbers of samples, such as [50, 200, 800]",
}
