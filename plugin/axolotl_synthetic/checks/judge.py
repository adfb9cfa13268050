"""What does an LLM judge give the answer, by a rubric? For answers that nothing else can tell right from wrong.

The judge's score is read from the last line of its reply alone, in one form, behind a mark that is made of the candidate's own
text: whoever wrote that text cannot have known the mark, so nothing in it reads as a score or as its end. A judgement that cannot
be read fails the candidate; it is never taken for a low score.
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
    """Who judges, by what, and what is good enough."""

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
    """See `checks.files_read`."""
    return [] if options.rubric is None else [Path(options.rubric).expanduser()]


def problem(options: Options, task: Task) -> str | None:
    """See `checks`: its rubric must be there before the first call."""
    try:
        _rubric(options)
    except ConfigError as error:
        return str(error)
    return None


def calls(options: Options, strategy: str, round: int) -> int:
    """See `checks.Inquiry.calls`."""
    return 1


async def inquire(candidate: Candidate, source: Source, task: Task, ask: Ask, options: Options) -> Candidate:
    """Return the candidate with the judge's reply.

    Raises:
        RefusedCall: if the reply holds no score. It fails the candidate as a call without a reply does: a judge of whom no candidate in a
            row gets a score ends the run, or it would pay for answers to the end of its budget that nobody can accept.
    """
    reply = await ask(Request("judge", options.by, judged_in(messages(candidate, options), task)))
    if reply.cut_off:
        raise RefusedCall("judge", "its reply was cut off before its score")
    if score(reply.text, candidate, options) is None:
        raise RefusedCall("judge", f"its reply does not end in a score: {' '.join(reply.text.split())[-SHOWN:]!r}")
    return replace(candidate, judgement=reply.text)


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """The check."""
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
    """What the judge is asked."""
    low, high = options.scale
    values = {"mark": mark(candidate), "rubric": _rubric(options), "low": low, "high": high}
    question = candidate.question
    # A student reads a system message as such, and a judge has to know it.
    asked = question.transcript if question is not None and question.turns else candidate.prompt
    values |= {"question": asked, "answer": candidate.answer}
    return tuple({"role": role, "content": template.render(values).strip()} for role, template in _templates())


def mark(candidate: Candidate) -> str:
    """Twelve hexadecimal digits that depend on the whole text they fence, and on nothing that changes between runs."""
    text = "\0".join([candidate.id, candidate.prompt or "", candidate.answer or ""])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def score(reply: str, candidate: Candidate, options: Options) -> int | None:
    """The score in a judge's reply, None where its last line is anything but one on the scale."""
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
