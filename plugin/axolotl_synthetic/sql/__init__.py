"""Runs SQL that a model wrote, safely, and says whether two queries give the same. SQLite alone.

    sandbox.py      asks the worker, a process of its own, and survives what a query does to it
    worker.py       that process: limits of the kernel's; one request a line
    judging.py      compares two queries on the database's rows and on generated fillings
    connections.py  opens databases so that nothing in them can do harm
    reader.py       one connection that can do nothing but read, for one query
    queries.py      sqlglot: one query or none, and its normal form
    hints.py        … and what rows put it to the test
    schema.py       tables, columns, keys; CREATE TABLE statements out of files
    profiles.py, filling.py, values.py, documents.py, images.py, suites.py     generated rows
    agreement.py, comparison.py     whether results are the same

What is here is what tasks, checks and seeds use; all of it goes through the sandbox. The other files are the worker's own.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from axolotl_synthetic.sql.sandbox import WorkerDied, ask

KEPT_VERDICTS = 65_536
# No need to ask the worker: it refuses shorter ones.
LONGEST_TEXT = 20_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Database:
    """Where queries are run.

    Attributes:
        schema: its CREATE TABLE statements.
        file: the SQLite file with its rows, None where only generated rows are there.
    """

    schema: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use.

    Attributes:
        seconds: processor time, on everything that it is run on together.
        rows: of a result.
        result_bytes: of a result.
    """

    seconds: float = 5.0
    rows: int = 100_000
    result_bytes: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a query: whether it stands, and why, in words that a person can read; `broken` when that is a mistake of ours."""

    stands: bool
    why: str
    broken: bool = False


class GoldFailed(Exception):
    """The query that another one was to be compared with does not run."""


class BadDatabase(Exception):
    """No tables can be read out of a file: why."""


class WorkerBroke(Exception):
    """A mistake of ours in the worker: it costs what was asked about, and nothing else."""


LIMITS = Limits()
TOO_MUCH = "it takes more time or memory than a query may have"


def normal_form(text: str) -> str | None:
    """A query on one line with large keywords, without comments; None if the text is not one SELECT of SQLite's."""
    return None if len(text) > LONGEST_TEXT else _normal_form(text)


@lru_cache(maxsize=16_384)
def _normal_form(text: str) -> str | None:
    try:
        query = _ask("normal_form", LIMITS, query=text).get("query")
    except (WorkerDied, WorkerBroke):
        return None
    return None if query is None else str(query)


@lru_cache(maxsize=1_024)
def schema_of(file: str) -> str:
    """The CREATE TABLE statements of a `.sql` file or a SQLite database.

    Raises:
        BadDatabase: if there are none to read.
    """
    try:
        reply = _ask("schema", LIMITS, file=str(Path(file).resolve()))
    except WorkerDied:
        raise BadDatabase(f"reading its tables {TOO_MUCH.removeprefix('it ')}") from None
    except WorkerBroke as error:
        raise BadDatabase(str(error)) from None
    if "problem" in reply:
        raise BadDatabase(reply["problem"])
    return str(reply["schema"])


def compiles(query: str, database: Database, limits: Limits = LIMITS) -> Verdict:
    """Whether SQLite takes the query for this database: every table, column and function is there, and it only reads."""
    return _verdict("compiles", limits, schema=database.schema, query=query)


def runs(query: str, database: Database, limits: Limits = LIMITS) -> Verdict:
    """Whether the query runs to its end, on the database's rows or, where there are none, on generated ones."""
    return _verdict("runs", limits, schema=database.schema, file=database.file, query=query)


_verdicts: OrderedDict[tuple[Database, str, str, bool], Verdict] = OrderedDict()
# Why: every answer to its question would wait for it to fail again.
_failed_golds: dict[tuple[Database, str, bool, Limits], str] = {}


def compare(gold: str, query: str, database: Database, limits: Limits = LIMITS, *, generated: bool = True) -> Verdict:
    """Whether the query gives what the gold query gives: execution accuracy on the database's rows and on generated fillings.

    Args:
        gold: decides whether order matters: only if its outermost SELECT has an ORDER BY.
        query: what to judge.
        database: where.
        limits: each of the two queries has them for itself. A pair that was judged is not judged again, whatever its limits.
        generated: whether to compare on generated fillings too, where the database has rows of its own.

    Raises:
        GoldFailed: if the gold query does not run, so that there is nothing to compare with.
    """
    generated = generated or database.file is None
    key = (database, gold, query, generated)
    if (known := _verdicts.get(key)) is not None:
        return known
    if (failed := _failed_golds.get((database, gold, generated, limits))) is not None:
        raise GoldFailed(failed)
    try:
        verdict = _compared(gold, query, database, limits, generated)
    except GoldFailed as error:
        _failed_golds[database, gold, generated, limits] = str(error)
        raise
    _verdicts[key] = verdict
    if len(_verdicts) > KEPT_VERDICTS:
        _verdicts.popitem(last=False)
    return verdict


def _compared(gold: str, query: str, database: Database, limits: Limits, generated: bool) -> Verdict:
    where = {"schema": database.schema, "file": database.file}
    try:
        reply = _ask("compare", limits, gold=gold, query=query, generated=generated, **where)
    except (WorkerDied, WorkerBroke) as error:
        # Which of the two was it?
        alone = runs(gold, database, limits)
        if not alone.stands:
            raise GoldFailed(f"the seed's query does not run: {alone.why}") from None
        return _without_reply(error)
    if "gold" in reply:
        raise GoldFailed(f"the seed's query does not run: {reply['gold']}")
    return _read(reply)


def _verdict(op: str, limits: Limits, **request: Any) -> Verdict:
    try:
        return _read(_ask(op, limits, **request))
    except (WorkerDied, WorkerBroke) as error:
        return _without_reply(error)


def _without_reply(error: WorkerDied | WorkerBroke) -> Verdict:
    return Verdict(False, str(error), broken=True) if isinstance(error, WorkerBroke) else Verdict(False, TOO_MUCH)


def _read(reply: dict[str, Any]) -> Verdict:
    return Verdict(False, reply["problem"]) if "problem" in reply else Verdict(reply["stands"], reply["why"])


def _ask(op: str, limits: Limits, **request: Any) -> dict[str, Any]:
    reply = ask({"op": op, **asdict(limits), **request}, seconds=limits.seconds)
    if "broken" in reply:
        said = f"the worker that runs SQL is broken: {reply['broken']}; please report this"
        _log.warning("%s", said)
        raise WorkerBroke(said)
    return reply
