"""An LLM judge's score of the answer by a rubric, for answers that no other check can tell right from wrong.

The score is read only from the last line of the judge's reply, after a mark that is computed from the candidate's own text. The author of
that text cannot have known the mark, so nothing in it can pass as a score or as the end of the text. A judgement that cannot be read fails
the candidate; it is never read as a low score.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jinja2 import Environment, StrictUndefined, Template
from pydantic import Field, model_validator

from axolotl_synthetic.checks import Ask, Judge
from axolotl_synthetic.config import Block, PathText
from axolotl_synthetic.errors import ConfigError, RefusedCall
from axolotl_synthetic.records import Candidate, Message, Request, Seed, Verdict, failed, passed
from axolotl_synthetic.spoken import judged_in

if TYPE_CHECKING:
    from axolotl_synthetic.strategies import Source
    from axolotl_synthetic.tasks import Task

FOLDER = Path(__file__).parent
LONGEST_RUBRIC = 20_000
SHOWN = 120


class Options(Block):
    """Which model judges, by which rubric, and which score is enough."""

    rubric: PathText | None = None
    """A text file that says what a good answer is; null: the package's own, for open instructions."""
    scale: list[int] = Field(default=[1, 5], min_length=2, max_length=2)
    """The worst and the best score."""
    threshold: int = 4
    """The lowest score that is accepted."""
    by: Literal["teacher", "augmenter"] = "teacher"
    """Which of the two models judges."""

    @model_validator(mode="after")
    def validate_scale(self) -> Options:
        low, high = self.scale
        if not 0 <= low < high <= 100:
            raise ValueError(f"scale: {self.scale}: give the worst and the best score, such as [1, 5]; from 0 to 100")
        if not low < self.threshold <= high:
            raise ValueError(f"threshold: {self.threshold}: must be above {low} and at most {high}, or the judge decides nothing")
        return self


def files(options: Options) -> list[Path]:
    """Return the rubric's file, if the options name one."""
    return [] if options.rubric is None else [Path(options.rubric).expanduser()]


def problem(options: Options, task: Task) -> str | None:
    """Return the problem with the rubric, which must be readable before the first call."""
    try:
        _rubric(options)
    except ConfigError as error:
        return str(error)
    return None


def calls(options: Options, strategy: str, round: int) -> int:
    """Return the number of calls: one."""
    return 1


async def inquire(candidate: Candidate, source: Source, task: Task, ask: Ask, options: Options) -> Candidate:
    """Return the candidate with the judge's reply.

    Raises:
        RefusedCall: if the reply holds no score. It fails the candidate like a call without a reply. So a judge that scores no candidate in
            a row ends the run, which would otherwise spend its whole budget on answers that cannot be accepted.
    """
    reply = await ask(Request("judge", options.by, judged_in(messages(candidate, options), task)))
    if reply.cut_off:
        raise RefusedCall("judge", "its reply was cut off before its score")
    if score(reply.text, candidate, options) is None:
        raise RefusedCall("judge", f"its reply does not end in a score: {' '.join(reply.text.split())[-SHOWN:]!r}")
    return replace(candidate, judgement=reply.text)


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """Return the check's judge."""
    chosen = options or Options()

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if candidate.judgement is None:
            return failed("there is no answer to judge")
        given = score(candidate.judgement, candidate, chosen)
        if given is None:
            raise ValueError("the judgement cannot be read")
        low, high = chosen.scale
        said = f"{given} on a scale from {low} to {high}"
        data = {"score": given, "threshold": chosen.threshold, "scale": [low, high]}
        return passed(said, **data) if given >= chosen.threshold else failed(f"{said}, below {chosen.threshold}", **data)

    return judge


def messages(candidate: Candidate, options: Options) -> tuple[Message, ...]:
    """Return the messages that ask the judge."""
    low, high = options.scale
    values = {"mark": mark(candidate), "rubric": _rubric(options), "low": low, "high": high}
    question = candidate.question
    # The student receives the system message and earlier turns, so the judge must see them.
    asked = question.transcript if question is not None and question.turns else candidate.prompt
    values |= {"question": asked, "answer": candidate.answer}
    return tuple({"role": role, "content": template.render(values).strip()} for role, template in _templates())


def mark(candidate: Candidate) -> str:
    """Return twelve hexadecimal digits that depend on the whole text they fence, and on nothing that changes between runs."""
    text = "\0".join([candidate.id, candidate.prompt or "", candidate.answer or ""])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def score(reply: str, candidate: Candidate, options: Options) -> int | None:
    """Return the score in a judge's reply, None unless its last line is a score on the scale."""
    lines = reply.strip().splitlines()
    last = lines[-1].strip().strip("*`").strip() if lines else ""
    found = re.fullmatch(rf"Score {mark(candidate)}: ([0-9]{{1,3}})", last)
    if found is None:
        return None
    low, high = options.scale
    return int(found[1]) if low <= int(found[1]) <= high else None


def _rubric(options: Options) -> str:
    return _read_rubric(FOLDER / "judge_rubric.md" if options.rubric is None else Path(options.rubric).expanduser())


@cache
def _read_rubric(path: Path) -> str:
    where = f".rubric: {path}"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ConfigError(f"{where}: there is no such file in {Path.cwd()}; paths are relative to the working directory") from None
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}; check the file and its rights") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    if not text:
        raise ConfigError(f"{where}: is empty; write what a good answer is, and what each score means")
    if len(text) > LONGEST_RUBRIC:
        raise ConfigError(f"{where}: has {len(text):,} characters, more than {LONGEST_RUBRIC:,}; shorten it: every judge reads it")
    return text


@cache
def _templates() -> tuple[tuple[str, Template], ...]:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    system, user = (FOLDER / "judge_prompt.md").read_text(encoding="utf-8").split("[user]\n")
    return ("system", environment.from_string(system.removeprefix("[system]\n"))), ("user", environment.from_string(user))
