"""Run SQL that a model wrote safely, and say whether two queries give the same results. SQLite only.

    sandbox.py      talks to the worker process, and survives what a query does to it
    worker.py       the worker: limits that the kernel enforces; one request a line
    judging.py      compares two queries on the database's rows and on generated fillings
    connections.py  opens databases so that nothing in them can do harm
    reader.py       read-only connections for one query
    queries.py      parses a query with sqlglot, and writes its normal form
    hints.py        finds what generated rows must contain to test a query
    schema.py       tables, columns, keys; CREATE TABLE statements out of files
    profiles.py, filling.py, values.py, documents.py, images.py, suites.py     generated rows
    agreement.py, comparison.py     whether results are equal

Tasks, checks and seeds use this file; all its work goes through the sandbox. The other files are internal to the worker.
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
# The worker refuses longer texts, so it need not be asked.
LONGEST_TEXT = 20_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Database:
    """A database to run queries on.

    Attributes:
        schema: its CREATE TABLE statements.
        file: path of the SQLite file with its rows, None if there are only generated rows.
    """

    schema: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one query.

    Attributes:
        seconds: processor time, in total over everything that it is run on.
        rows: most rows of a result.
        result_bytes: most bytes of a result.
    """

    seconds: float = 5.0
    rows: int = 100_000
    result_bytes: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on a query: whether it passes, and why, for a person to read; `broken` if a bug in our code prevented judging it."""

    stands: bool
    why: str
    broken: bool = False


class GoldFailed(Exception):
    """The gold query does not run, so nothing can be compared with it."""


class BadDatabase(Exception):
    """No tables can be read from a file; the message says why."""


class WorkerBroke(Exception):
    """A bug in our worker; only the current request fails."""


LIMITS = Limits()
TOO_MUCH = "it takes more time or memory than a query may have"


def normal_form(text: str) -> str | None:
    """Return a query on one line, without comments and with keywords in upper case; None if it is not one SELECT of SQLite's."""
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
    """Return the CREATE TABLE statements of a `.sql` file or a SQLite database.

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
    """Check that SQLite compiles the query for this database: all its tables, columns and functions exist, and it only reads."""
    return _verdict("compiles", limits, schema=database.schema, query=query)


def runs(query: str, database: Database, limits: Limits = LIMITS) -> Verdict:
    """Check that the query runs to its end, on the database's rows or, if there are none, on generated ones."""
    return _verdict("runs", limits, schema=database.schema, file=database.file, query=query)


_verdicts: OrderedDict[tuple[Database, str, str, bool], Verdict] = OrderedDict()
# Cache failed gold queries, or every answer to the question would wait for the query to fail again.
_failed_golds: dict[tuple[Database, str, bool, Limits], str] = {}


def compare(gold: str, query: str, database: Database, limits: Limits = LIMITS, *, generated: bool = True) -> Verdict:
    """Check that the query gives the gold query's results on the database's rows and on generated fillings (execution accuracy).

    Args:
        gold: the gold query; order matters only if its outermost SELECT has an ORDER BY.
        query: query to judge.
        database: database to run both on.
        limits: limits for each of the two queries. They are no part of the cache key: a judged pair is not judged again.
        generated: True to compare on generated fillings too if the database has rows of its own.

    Raises:
        GoldFailed: if the gold query does not run.
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
        # Find out which of the two queries it was.
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
