"""Read the user's questions: check, draw and hold out seeds, and report each unusable row with its place.

`rows.py` reads the files, and `databases.py` finds the database that a question is about. The task passes in `problem`, which decides
whether a question suits it.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import string
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.labels import BETWEEN
from axolotl_synthetic.numerals import find_convention
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.seeds.chats import COLUMNS, NoChat, Words, read_chat
from axolotl_synthetic.seeds.columns import fields_line, looks_like_data, recognised, same_word
from axolotl_synthetic.seeds.databases import MissingDatabase, NoDatabase, with_database
from axolotl_synthetic.seeds.labelled import with_labels
from axolotl_synthetic.seeds.rows import BadRow, Row, read_rows
from axolotl_synthetic.wording import number_of
from axolotl_synthetic.yaml_reader import short

if TYPE_CHECKING:  # importing pydantic takes longer than reading most seed files
    from axolotl_synthetic import config
    from axolotl_synthetic.tasks import Task

# More would fill a terminal; `SeedSet.problems` has all of them.
PROBLEMS_SHOWN = 5
_MISSING = object()


@dataclass(frozen=True)
class SeedSet:
    """The seeds of a run.

    Attributes:
        seeds: questions to generate from, in the order drawn.
        held_out: questions kept out of generation, for grading.
        sha256: hash of both, in order.
        problems: one text for each skipped row, as `path:line: what; remedy`, and notes about the draw.
        places: each seed's place in the file, by its id.
        unusable: number of rows skipped because they cannot be read or the task cannot use them. Duplicates are skipped too, but not
            counted.
    """

    seeds: tuple[Seed, ...]
    held_out: tuple[Seed, ...]
    sha256: str
    problems: tuple[str, ...]
    places: Mapping[str, str]
    unusable: int


def read_seeds(
    settings: config.Seeds,
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    problem: Callable[[Seed], str | None],
    seed: int,
    reads_numbers: bool = False,
    labels: Sequence[str] | None = None,
) -> SeedSet:
    """Read, check and draw the seeds.

    Args:
        settings: the `seeds:` block.
        required, optional: the task's names of `seeds.fields`.
        problem: returns why the task cannot use a seed, None if it can.
        seed: seed of the draw. For the same rows, a larger `limit` contains the seeds of a smaller one.
        reads_numbers: True if the task compares numbers, so that the seeds' convention for `,` and `.` matters.
        labels: the closed set of labels, None to collect it from the seeds.

    Raises:
        SeedsError: if there is no such file, it cannot be read, it lacks a column, no row can be used, or a row's database is missing.
    """
    # The default fields are for tasks that have these names.
    if settings.fields != type(settings).model_fields["fields"].default:
        _refuse_unknown_names(settings.fields, required, optional)
    if "messages" in required:
        # Axolotl's names for the two columns.
        named = {"messages": settings.field_messages, "system": settings.field_system}
        fields = {name: column for name, column in settings.fields.items() if name in named}
        settings = settings.model_copy(update={"fields": fields | {name: column for name, column in named.items() if column is not None}})
    elif "system" not in settings.fields:
        # Many files have such a column that is not meant for training, so it must be named in the config.
        optional = tuple(name for name in optional if name != "system")
    if settings.databases is not None and "database" not in (*required, *optional):
        raise SeedsError("synthetic.seeds.databases: this task asks no databases; leave it out")
    notes: list[str] = []
    wanted = {name: settings.fields.get(name, name) for name in (*required, *optional)}
    rows = read_rows(settings.path, settings.name, settings.split, note=notes.append, wanted=wanted, required=required)
    usable, problems, places, unusable = _usable_seeds(rows, settings, required, optional, problem, labels)
    if not usable:
        raise SeedsError(f"synthetic.seeds: no row of {settings.path} can be used{_first_of(notes + problems if problems else [])}")
    problems = notes + problems
    if reads_numbers:
        usable = _with_decimal(usable, settings, problems)
    if "label" in optional:
        usable = with_labels(usable, labels)
    held_out, seeds = _draw(usable, settings, seed)
    if settings.limit is not None and len(seeds) < settings.limit:
        problems.append(
            f"{settings.path}: {number_of(len(seeds), 'seed')} where seeds.limit asks for {settings.limit}; all of them are taken"
        )
    ids = json.dumps([[one.id for one in seeds], [one.id for one in held_out]])
    sha256 = hashlib.sha256(ids.encode()).hexdigest()
    return SeedSet(tuple(seeds), tuple(held_out), sha256, tuple(problems), places, unusable)


def seed_id(question: Question, answer: str | None) -> str:
    """Return a seed's id, which depends on its content only, so that replies stay cached when a file is reordered."""
    content: list[Any] = [question.text, question.choices, question.context, question.database, answer]
    if question.turns:
        content.append(question.turns)
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:12]


def seed_of_row(row: Mapping[str, Any], task: Task, databases: str | None = None) -> Seed:
    """Return the seed in one row whose columns are named as in `seeds.fields`.

    Args:
        row: the columns; those that the task does not name are ignored, except `labels`, the closed set for a labelled text.
        task: decides which columns there are, and which seeds it can use.
        databases: as `seeds.databases`.

    Raises:
        UnusableRow: if the row makes no seed; the text says why, and what to do.
    """
    values = {name: row.get(name, _MISSING) for name in (*task.required, *task.optional)}
    try:
        made = _seed_of(values, task.required, task.problem, databases)
        return with_labels([made], row.get("labels") or ())[0] if "label" in task.optional else made
    except (NoDatabase, MissingDatabase) as error:
        raise UnusableRow(str(error)) from error
    except SeedsError:
        raise UnusableRow("labels: there are fewer than two; give the closed set as a list in a column of that name") from None


def _refuse_unknown_names(fields: Mapping[str, str], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    known = (*required, *optional)
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise SeedsError(f"synthetic.seeds.fields: this task has no {', '.join(unknown)}; it has {', '.join(known)}")


def _usable_seeds(
    rows: Iterable[Row | BadRow],
    settings: config.Seeds,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    problem: Callable[[Seed], str | None],
    labels: Sequence[str] | None,
) -> tuple[list[Seed], list[str], dict[str, str], int]:
    """Return the seeds, problems of skipped rows, each seed's place, and the number of unusable rows."""
    names = (*required, *optional)
    usable: list[Seed] = []
    unusable = 0
    problems: list[str] = []
    places: dict[str, str] = {}
    first_place: dict[Question, str] = {}
    columns: dict[str, bool] = {}  # in order; True if any row holds text there
    reached: set[str] = set()
    words = Words(settings.field_messages, settings.message_property_mappings, settings.roles)
    for row in rows:
        if isinstance(row, BadRow):
            problems.append(f"{row.place}: {row.what}")
            unusable += row.lines
            continue
        for column, cell in row.values.items():
            columns[str(column)] = columns.get(str(column), False) or (isinstance(cell, str) and any(map(str.isalpha, cell)))
        values = {name: _cell(row.values, name, settings) for name in (*required, *optional)}
        reached.update(name for name, value in values.items() if value is not _MISSING)
        try:
            made = _seed_of(values, required, problem, settings.databases, labels, words)
        except (UnusableRow, NoDatabase) as error:
            problems.append(f"{row.place}: {error}")
            unusable += 1
            continue
        except MissingDatabase as error:
            raise SeedsError(f"synthetic.seeds.databases: {row.place}: {error}") from error
        if made.question in first_place:
            problems.append(f"{row.place}: the same question as {first_place[made.question]}; keep one of them")
        else:
            first_place[made.question] = row.place
            usable.append(made)
            places[made.id] = row.place
    if columns:
        _refuse_missing(names, required, reached, settings, columns)
        if "answer" in names and "answer" not in reached and "answer" in (found := recognised(names, settings.fields, columns, reached)):
            line = fields_line(found)
            problems.append(f"{settings.path}: no column holds answers by its name; write `{line}` if {found['answer']!r} does")
    return usable, problems, places, unusable


def _refuse_missing(
    names: Sequence[str], required: Sequence[str], reached: Collection[str], settings: config.Seeds, columns: Mapping[str, bool]
) -> None:
    """Refuse a file that lacks a column, and show the config line that names the right ones.

    An optional column may be missing, unless the config maps it or the file spells it differently: with `Answer` for `answer`, all answers
    would be lost.
    """
    used = {name: settings.fields.get(name, name) for name in names}
    free = {*columns} - {column for name, column in used.items() if name in reached}
    missing = [
        name
        for name, column in used.items()
        if name not in reached and (name in required or column != name or same_word(name, column, free))
    ]
    if missing:
        listed = ", ".join(f"{used[name]!r} (for `{name}`)" for name in sorted(missing))
        raise SeedsError(
            f"synthetic.seeds.fields: no row of {settings.path} has a column {listed}; its columns are {', '.join(map(_named, columns))}; "
            f"{_mapping(missing, recognised(names, settings.fields, columns, reached), settings, columns)}"
        )


def _named(column: str) -> str:
    """Return a column's name, escaped if it has characters that are not visible."""
    return column if len(column) <= 80 and column.isprintable() else short(column)


def _mapping(missing: Sequence[str], found: Mapping[str, str], settings: config.Seeds, columns: Mapping[str, bool]) -> str:
    """Return the remedy for names without a column: the config line that maps every name whose column was recognised."""
    if settings.field_messages is not None and "messages" in missing and "messages" in found:
        # It overrides the same name in `fields`.
        return f"write `field_messages: {short(found['messages'])}`, where this is the one that is meant"
    if all(name in found for name in missing):
        return f"write `{fields_line(found)}`, where these are the ones that are meant"
    if "question" not in missing:
        return "map the task's names to them in seeds.fields, or leave a name out that the file does not have"
    others = "; map the other names, too, where a column holds them" if len(columns) > 1 else ""
    if "question" in found:
        return f"write `{fields_line(found)}`, where these are the ones that are meant{others}"
    if len(columns) == 1 and any(name in column and not column.isidentifier() for name in missing for column in columns):
        return "the file seems to be divided by a character that is not known for it; save it with commas"
    used = {settings.fields.get(name, name) for name in found}
    free = [column for column, holds_text in columns.items() if holds_text and column not in used and not looks_like_data(column)]
    if not free:
        return 'none of them holds text; write a row for each question, such as {"question": "…", "answer": "…"}'
    if settings.path.lower().endswith((".csv", ".tsv")):
        others += "; if the first line is a row and names no columns, write a line above it that does"
    if len(free) > 1:
        return f"map the task's names to the right ones, as in `fields: {{question: COLUMN, answer: COLUMN}}`{others}"
    return f"map the task's names to the right ones, such as `{fields_line({'question': free[0], **found})}`{others}"


def _first_of(problems: list[str]) -> str:
    if not problems:
        return ": it is empty; give a question each row"
    more = len(problems) - PROBLEMS_SHOWN
    return ":\n" + "\n".join(f"  - {one}" for one in problems[:PROBLEMS_SHOWN]) + (f"\n  - and {more} more rows" if more > 0 else "")


def _with_decimal(usable: list[Seed], settings: config.Seeds, problems: list[str]) -> list[Seed]:
    """Set each question's convention for `,` and `.`: the user's, else the one that the seeds' texts follow."""
    decimal = settings.decimal
    if decimal is None:
        found = find_convention(text for seed in usable for text in (seed.question.text, seed.answer or ""))
        decimal = found.decimal
        if found.note is not None:
            problems.append(f"{settings.path}: {found.note}")
    if decimal != "comma":
        return usable
    return [replace(seed, question=replace(seed.question, decimal=decimal)) for seed in usable]


def _draw(usable: list[Seed], settings: config.Seeds, seed: int) -> tuple[list[Seed], list[Seed]]:
    """Return held-out seeds and seeds. The held-out ones are drawn first, so that `limit` does not change them."""
    order = list(usable)
    random.Random(f"{seed}").shuffle(order)
    share = settings.holdout
    count = max(1, round(share * len(order))) if 0 < share < 1 else int(share)
    if count >= len(order):
        raise SeedsError(
            f"synthetic.seeds.holdout: {share:g} keeps all {len(order)} usable rows of {settings.path} out of generation; "
            "lower it or give more seeds"
        )
    rest = order[count:]
    return order[:count], rest if settings.limit is None else rest[: settings.limit]


class UnusableRow(Exception):
    """A row makes no seed; the message says why, with the remedy."""


def _cell(row: Mapping[str, Any], name: str, settings: config.Seeds) -> Any:
    """Return a row's value for one of the task's names; an unmapped chat may be in either of two columns."""
    value = _reach(row, settings.fields.get(name, name))
    if value is _MISSING and name == "messages" and settings.fields.get(name, name) == name:
        return next((found for column in COLUMNS if (found := _reach(row, column)) is not _MISSING), _MISSING)
    return value


def _reach(row: Mapping[str, Any], column: str) -> Any:
    """Return the value in a column; `choices.text` reaches into a nested column, or into each item of a column of objects."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) and part in item for item in value):
            value = [item[part] for item in value]
        else:
            return _MISSING
    return value


def _seed_of(
    values: Mapping[str, Any],
    required: tuple[str, ...],
    problem: Callable[[Seed], str | None],
    databases: str | None = None,
    given: Sequence[str] | None = None,
    words: Words | None = None,
) -> Seed:
    for name in required:
        if values[name] is _MISSING or values[name] is None:
            raise UnusableRow(f"no {name}; fill it in or point seeds.fields.{name} at its column")
    if "text" in required:
        return _labelled(values, problem, given)
    if "messages" in required:
        return _conversed(values, problem, words or Words())
    text = _text("question", values.get("question"))
    if text is None:
        raise UnusableRow("question is empty; fill it in")
    choices = _texts("choices", values.get("choices"))
    labels = _texts("labels", values.get("labels"))
    if choices and not labels:
        if len(choices) > len(string.ascii_uppercase):
            raise UnusableRow(f"{number_of(len(choices), 'choice')}, more than there are letters; give labels")
        labels = tuple(string.ascii_uppercase[: len(choices)])
    if len(choices) != len(labels):
        raise UnusableRow(f"{number_of(len(choices), 'choice')} and {number_of(len(labels), 'label')}; give a label each")
    question = Question(text, choices, labels, _text("context", values.get("context")), _text("database", values.get("database")))
    if (system := _text("system", values.get("system", _MISSING))) is not None:
        question = replace(question, turns=(("system", system),))
    if databases is not None:
        question = with_database(question, databases)
    return _checked(question, _text("answer", values.get("answer"), numbers=True), problem)


def _labelled(values: Mapping[str, Any], problem: Callable[[Seed], str | None], given: Sequence[str] | None) -> Seed:
    """Return a seed from a text with its labels; `label` may be a text or a list of texts."""
    text, value = _text("text", values["text"]), values.get("label")
    if text is None:
        raise UnusableRow("text is empty; fill it in")
    several = isinstance(value, list | tuple) or (isinstance(value, str) and value.lstrip().startswith("["))
    one = None if several else _text("label", value, numbers=True)
    labels = _texts("label", value) if several else () if one is None else (one,)
    if any(BETWEEN in label for label in labels):
        raise UnusableRow('label holds a line break; write several labels as ["one", "two"]')
    question = Question(text, labels=tuple(given or ()))
    return _checked(question, BETWEEN.join(labels) or None, problem)


def _conversed(values: Mapping[str, Any], problem: Callable[[Seed], str | None], words: Words) -> Seed:
    """Return a seed from a chat: the user's last turn, the turns before it, and the assistant's answer."""
    try:
        chat = read_chat(values["messages"], _text("system", values.get("system", _MISSING)), words)
    except NoChat as error:
        raise UnusableRow(str(error)) from None
    return _checked(Question(chat.question, turns=chat.turns), chat.answer, problem)


def _checked(question: Question, answer: str | None, problem: Callable[[Seed], str | None]) -> Seed:
    made = Seed(seed_id(question, answer), question, answer)
    if (against := problem(made)) is not None:
        raise UnusableRow(against)
    return made


def _text(name: str, value: object, *, numbers: bool = False) -> str | None:
    """Return a cell as stripped text, None if it is empty."""
    if value is _MISSING or value is None or (isinstance(value, float) and math.isnan(value)):  # NaN is how tables mark a missing value
        return None
    if numbers and (type(value).__name__ in ("int", "Decimal") or (isinstance(value, float) and math.isfinite(value))):
        value = str(value)
    if not isinstance(value, str):
        what = json.dumps(value) if isinstance(value, bool | float) else type(value).__name__
        raise UnusableRow(f"{name} is {what}, not text; write it as text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnusableRow(f"{name} holds half a character (a lone surrogate); write the file anew as UTF-8") from None
    return value.strip() or None


def _texts(name: str, value: object) -> tuple[str, ...]:
    """Return a cell as a list of texts; a csv cell may hold one as JSON."""
    if value is _MISSING or value is None:
        return ()
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UnusableRow(f'{name} is no list in JSON; write it as ["one", "two"]') from None
    if not isinstance(value, list | tuple):
        raise UnusableRow(f'{name} is {type(value).__name__}, not a list of texts; write it as ["one", "two"]')
    texts = [_text(name, item, numbers=True) for item in value]
    if None in texts:
        raise UnusableRow(f"{name} holds an empty text; fill it in")
    return tuple(text for text in texts if text is not None)
