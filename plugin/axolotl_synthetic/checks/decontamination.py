"""Check that a sample gives away no question of the grading: the held-out seeds, or the questions in the user's files.

Either of two tests rejects a sample. One finds a run of 13 words shared with a question or a worked answer (the length is that of Brown
et al. 2020, appendix C, arXiv 2005.14165). The other finds a question that is nearly one of theirs, which also covers short questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.checks.words import Alike, SharedRuns, asked
from axolotl_synthetic.config import Block, PathText
from axolotl_synthetic.errors import ConfigError, SeedsError
from axolotl_synthetic.records import Candidate, Question, Seed, Verdict, failed, not_applicable, passed
from axolotl_synthetic.seeds.rows import FORMATS, BadRow, read_rows

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

TEXT_FORMATS = (".txt", ".md")


class Options(Block):
    """Which overlaps reject a sample, and the files to compare with besides the held-out seeds."""

    files: list[PathText] = Field(default=[])
    """Further questions that the student will be graded on: jsonl, json, csv or parquet; txt and md, a text a line."""
    columns: list[str] | None = None
    """The files' columns to compare with; null: all that hold text."""
    words: int = Field(default=13, ge=5, le=100)
    """The shortest run of words that gives a text away. In scripts without spaces two Chinese characters, three kana, or three letters
    of Thai, Lao, Burmese, Khmer or Tibetan count as a word."""
    threshold: float = Field(default=0.8, ge=0.5, le=1)
    """Reject a question that is at least this similar to one of them (Jaccard similarity of the runs of three words)."""


def files(options: Options) -> list[Path]:
    """Return the files that the options name."""
    return [Path(name).expanduser() for name in options.files]


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None, held_out: Sequence[Seed] = ()) -> Judge:
    """Return the check's judge.

    Raises:
        ConfigError: if a file cannot be read or holds no text.
    """
    chosen = options or Options()
    runs, questions = SharedRuns(chosen.words), Alike(chosen.threshold)
    for seed in held_out:
        name = f"the held-out seed {seed.id}"
        questions.add(name, questions.sketch(asked(seed.question)))
        solution = task.solution(seed) if _is_prose(task) else None
        runs.add(name, [*_texts(seed.question), *([] if solution is None else [solution])])
    for file in chosen.files:
        for place, text in _of_file(file, chosen.columns):
            questions.add(place, questions.sketch(text))
            runs.add(place, [text])

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if not len(questions):
            return not_applicable("no seeds are held out and no files are named")
        if candidate.question is None:
            return not_applicable("there is no question")
        if (near := questions.nearest(questions.sketch(asked(candidate.question)))) is not None:
            return failed(f"its question is {near[1]:.0%} like that of {near[0]}", similarity=round(near[1], 4))
        answer = candidate.answer if _is_prose(task) else None
        # Earlier turns are the seed's own, unless the whole conversation is new.
        said = [text for role, text in candidate.question.turns if (role, text) not in seed.question.turns]
        for text in (*_texts(candidate.question), *said, answer or ""):
            if (shared := runs.find(text)) is not None:
                return failed(f"it shares {chosen.words} words with {shared[1]}: {shared[0]!r}")
        return passed()

    return judge


def _texts(question: Question) -> tuple[str, ...]:
    return (question.text, *question.choices)


def _is_prose(task: Task) -> bool:
    # Queries to one database naturally share long runs of words.
    return bool(getattr(task, "prose", True))


def _of_file(name: str, columns: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    """Yield the texts of a file, each with its position."""
    path = "synthetic.verify.decontamination.files"
    file, count = Path(name).expanduser(), 0
    if not file.is_file():
        raise ConfigError(f"{path}: there is no file {name} in {Path.cwd()}; paths are relative to the working directory")
    try:
        for place, text in _lines(file, name) if file.suffix.lower() in TEXT_FORMATS else _cells(name, columns):
            count += 1
            yield place, text
    except SeedsError as error:
        said = str(error).removeprefix("synthetic.seeds.path: ").replace(", ".join(FORMATS), ", ".join((*FORMATS, *TEXT_FORMATS)))
        raise ConfigError(f"{path}: {said}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {name} cannot be read: {error}; check the file and its rights, and save it as UTF-8") from error
    if not count:
        where = f" in {', '.join(columns)}; see verify.decontamination.columns" if columns else ""
        raise ConfigError(f"{path}: {name} holds no text{where}")


def _lines(file: Path, name: str) -> Iterator[tuple[str, str]]:
    with open(file, encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{name}:{number}", line


def _cells(name: str, columns: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    for row in read_rows(name):
        if isinstance(row, BadRow):
            # Read the whole file or refuse it: a skipped row could be given away.
            raise ConfigError(f"synthetic.verify.decontamination.files: {row.place}: {row.what}")
        for column in row.values if columns is None else columns:
            for text in _strings(row.values.get(column)):
                yield row.place, text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
