"""Compare two queries by their results on the database's own rows, and on several generated fillings of its schema.

The gold query's own result may depend on the storage order of rows, for example by ties before a LIMIT or a column outside of GROUP BY.
Such rows are skipped: another query may break the tie differently and be right. `reader.py` runs queries, `filling.py` makes the rows, and
`agreement.py` compares results. Runs in the worker.
"""

from __future__ import annotations

import signal
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from axolotl_synthetic.sql.agreement import count, normalised
from axolotl_synthetic.sql.comparison import Comparison
from axolotl_synthetic.sql.hints import Hints, hints_of
from axolotl_synthetic.sql.images import rearranged
from axolotl_synthetic.sql.profiles import EMPTY, ENOUGH_WITH_ROWS, LARGER, MORE, PROFILES, Profile, profiles_for
from axolotl_synthetic.sql.queries import NotAQuery, at_one_time, order_matters, parsed
from axolotl_synthetic.sql.reader import Clock, Program, QueryFailed, Reader, Result, SQLiteFailed
from axolotl_synthetic.sql.schema import Schema, read_schema
from axolotl_synthetic.sql.suites import Suite, Suites

KEPT_GOLDS = 8_192
KEPT_HINTS = 65_536
KEPT_FILES = 8
KEPT_ROWS = 500  # rows of one result; a longer one is not cached
# Delay of the kernel's timer, which kills the worker, after the deadline that SQLite checks.
GRACE_SECONDS = 0.5
# Time to parse a query: the longest takes some 0.05 s, but some texts keep a parser busy for hours.
READING_SECONDS = 0.5


_Key = tuple[str, frozenset[str]]
"""Profile name, empty for the database's file, and the tables that its fillings have."""


class GoldFailed(Exception):
    """The gold query does not run, so there is nothing to compare with."""


@dataclass(frozen=True)
class Limits:
    """Processor seconds for a query over everything that it is run on; most rows and bytes of one result."""

    seconds: float
    rows: int
    result_bytes: int


@dataclass(frozen=True)
class Judgement:
    """Verdict on a query: whether it passes, and why or why not, for a person to read."""

    stands: bool
    why: str


@dataclass(frozen=True)
class _Place:
    """A database to run queries on: a file, or a filling of a suite. Results are cached under `key`, or not at all if it is None."""

    name: str
    key: _Key | None
    file: str | None = None
    suite: Suite | None = None
    profile: Profile | None = None

    def run(self, reader: Reader, query: str) -> Result:
        if self.file is not None:
            return normalised(reader.of_file(self.file, query))
        assert self.suite is not None and self.profile is not None
        return normalised(reader.of_image(self.suite.image(self.profile), query))


@dataclass
class _Gold:
    """A gold query and its cached results, with rows in their usual order and rearranged.

    `failure` says why it failed on generated rows, if it did.
    """

    text: str
    ordered: bool
    hints: Hints
    program: Program | None = None
    results: dict[_Key, Result | None] = field(default_factory=dict)
    failure: str = ""
    rearranged: dict[_Key, Sequence[Result]] = field(default_factory=dict)
    larger: dict[frozenset[str], list[Profile]] = field(default_factory=dict)
    named: dict[frozenset[str], Schema] = field(default_factory=dict)


class Judging:
    """Judge of queries, with caches for later judgements."""

    def __init__(self) -> None:
        self._suites = Suites()
        self._golds: OrderedDict[tuple[str, str | None, str], _Gold] = OrderedDict()
        self._hints: OrderedDict[tuple[str, str], Hints] = OrderedDict()
        self._files: OrderedDict[str, Sequence[bytes]] = OrderedDict()

    def compiles(self, schema_text: str, query: str, limits: Limits) -> Judgement:
        """Check that SQLite compiles the query for this schema, without any rows."""
        schema = read_schema(schema_text)
        query = at_one_time(query)
        try:
            hints = self._hints_of(schema, query)
            with bounded(limits.seconds), _reader(schema, hints, limits) as reader:
                reader.of_image(self._suites.of(schema, Hints()).image(EMPTY), query)
        except (NotAQuery, QueryFailed) as error:
            return Judgement(False, str(error))
        return Judgement(True, "SQLite takes it")

    def runs(self, schema_text: str, file: str | None, query: str, limits: Limits) -> Judgement:
        """Check that the query runs on the database's rows or, if there are none, on generated ones."""
        schema = read_schema(schema_text)
        query = at_one_time(query)
        try:
            hints = self._hints_of(schema, query)
            suite = self._suites.of(schema.only(hints.tables), hints)
            places = [_file(file)] if file is not None else _fillings(suite, profiles_for(hints)[:2], None)
            with _reader(schema, hints, limits) as reader:
                for place in places:
                    with bounded(limits.seconds):
                        result = place.run(reader, query)
        except (NotAQuery, QueryFailed) as error:
            return Judgement(False, str(error))
        return Judgement(True, f"it runs on {place.name} and gives {count(result)}")

    def compare(
        self, schema_text: str, file: str | None, gold_query: str, query: str, limits: Limits, *, generated: bool = True
    ) -> Judgement:
        """Check that the query gives the gold query's results.

        Args:
            schema_text, file: the database; `file` is None if it has no rows of its own.
            gold_query, query: the two queries.
            limits: limits for each of them.
            generated: True to compare on generated fillings too.

        Raises:
            GoldFailed: if the gold query does not run.
        """
        schema = read_schema(schema_text)
        query = at_one_time(query)
        gold = self._gold(schema, file, at_one_time(gold_query))
        try:
            hints = self._hints_of(schema, query)
        except NotAQuery as error:
            return Judgement(False, str(error))
        comparison = Comparison(ordered=gold.ordered)
        fillings = 0
        with _reader(schema, gold.hints, limits) as theirs, _reader(schema, hints, limits) as mine:
            same = self._is_same_program(schema, gold, query, hints, theirs, mine, limits)
            for place in self._places(schema, file, gold, hints, theirs, limits, comparison) if generated else [_file(file or "")]:
                wanted = self._given(gold, place, theirs, limits)
                if wanted is None:
                    continue
                if same and place.file is None:
                    found = wanted  # both compile to one program for the schema of generated rows; a file's schema may differ
                else:
                    try:
                        with bounded(limits.seconds):
                            found = place.run(mine, query)
                    except QueryFailed as error:
                        return Judgement(False, f"on {place.name}: {error}")
                if not comparison.takes(wanted, found, partial(self._given_rearranged, schema, gold, place, theirs, limits)):
                    return Judgement(False, f"on {place.name}: {comparison.against}")
                fillings += place.file is None
        if gold.failure and not comparison.with_rows:
            raise GoldFailed(gold.failure)
        if not comparison.ends_well():
            return Judgement(False, comparison.against)
        where = [*(["the database's rows"] if file is not None else []), *([f"{fillings} generated fillings"] if generated else [])]
        return Judgement(True, f"it gives what the seed's query gives on {' and on '.join(where)}")

    def _is_same_program(self, schema: Schema, gold: _Gold, query: str, hints: Hints, theirs: Reader, mine: Reader, limits: Limits) -> bool:
        """Say whether both queries compile to the same program, so that their results on generated rows must be equal."""
        if hints != gold.hints:
            return False
        suite = self._suites.of(self._named(schema, gold, hints.tables), gold.hints)
        try:
            with bounded(limits.seconds):
                image = suite.image(PROFILES[0])
                gold.program = gold.program or theirs.program(image, gold.text)
                return gold.program is not None and gold.program == mine.program(image, query)
        except QueryFailed:
            return False  # running the query reports why

    def _places(
        self, schema: Schema, file: str | None, gold: _Gold, hints: Hints, reader: Reader, limits: Limits, comparison: Comparison
    ) -> Iterator[_Place]:
        """Yield databases to compare on, the most telling first; their number depends on how the comparison goes."""
        if file is not None:
            yield _file(file)
        tables = gold.hints.tables | hints.tables
        named = self._named(schema, gold, tables)
        suite = self._suites.of(named, gold.hints)
        standard = _fillings(suite, profiles_for(gold.hints), tables)
        yield from standard
        if tables not in gold.larger:
            with_rows = sum(self._gives_rows(gold, place, reader, limits) for place in standard)
            gold.larger[tables] = []
            for profile in LARGER:
                if with_rows >= ENOUGH_WITH_ROWS:
                    break
                if self._gives_rows(gold, _fillings(suite, [profile], tables)[0], reader, limits):
                    gold.larger[tables].append(profile)
                    with_rows += 1
        yield from _fillings(suite, gold.larger[tables], tables)
        if comparison.passed_over:
            yield from _fillings(suite, [profile for profile in LARGER if profile not in gold.larger[tables]], tables)
        if hints.adds_to(gold.hints):
            yield from _fillings(self._suites.of(named, gold.hints | hints), MORE, None)

    @staticmethod
    def _named(schema: Schema, gold: _Gold, tables: frozenset[str]) -> Schema:
        """Return the schema of these tables only."""
        if tables not in gold.named:
            gold.named[tables] = schema.only(tables)
        return gold.named[tables]

    def _gold(self, schema: Schema, file: str | None, text: str) -> _Gold:
        key = (schema.text, file, text)
        if key not in self._golds:
            try:
                with bounded(READING_SECONDS):
                    tree = parsed(text)
                    hints = hints_of(tree, schema.columns)
            except NotAQuery as error:
                raise GoldFailed(str(error)) from None
            self._golds[key] = _Gold(text, order_matters(tree), hints)
            if len(self._golds) > KEPT_GOLDS:
                self._golds.popitem(last=False)
        self._golds.move_to_end(key)
        return self._golds[key]

    def _hints_of(self, schema: Schema, query: str) -> Hints:
        key = (schema.text, query)
        if key not in self._hints:
            with bounded(READING_SECONDS):
                self._hints[key] = hints_of(parsed(query), schema.columns)
            if len(self._hints) > KEPT_HINTS:
                self._hints.popitem(last=False)
        return self._hints[key]

    def _given(self, gold: _Gold, place: _Place, reader: Reader, limits: Limits) -> Result | None:
        """Return the gold query's result; None if it fails because of generated rows, which then say nothing about it."""
        if place.key is not None and place.key in gold.results:
            return gold.results[place.key]
        result: Result | None = None
        try:
            with bounded(limits.seconds):
                result = place.run(reader, gold.text)
        except QueryFailed as error:
            gold.failure = f"on {place.name}: {error}"
            if not isinstance(error, SQLiteFailed) or not _runs_without_rows(place, reader, gold.text, limits):
                raise GoldFailed(gold.failure) from None
        if place.key is not None and (result is None or len(result.rows) <= KEPT_ROWS):
            gold.results[place.key] = result
        return result

    def _gives_rows(self, gold: _Gold, place: _Place, reader: Reader, limits: Limits) -> bool:
        result = self._given(gold, place, reader, limits)
        return result is not None and bool(result.rows)

    def _given_rearranged(self, schema: Schema, gold: _Gold, place: _Place, reader: Reader, limits: Limits) -> Sequence[Result]:
        """Return the gold query's results with the same rows in other orders."""
        if place.key is not None and place.key in gold.rearranged:
            return gold.rearranged[place.key]
        if place.file is not None:
            images = self._file_rearranged(schema, place.file)
        else:
            assert place.suite is not None and place.profile is not None
            images = place.suite.rearranged(place.profile)
        try:
            with bounded(limits.seconds):
                results = [normalised(reader.of_image(image, gold.text)) for image in images]
        except QueryFailed:
            results = []  # out of time: the result in the usual order decides
        if place.key is not None and all(len(result.rows) <= KEPT_ROWS for result in results):
            gold.rearranged[place.key] = results
        return results

    def _file_rearranged(self, schema: Schema, file: str) -> Sequence[bytes]:
        if file not in self._files:
            self._files[file] = rearranged(schema, file)
            if len(self._files) > KEPT_FILES:
                self._files.popitem(last=False)
        return self._files[file]


def _runs_without_rows(place: _Place, reader: Reader, query: str, limits: Limits) -> bool:
    """Say whether a query that failed on generated rows runs on empty tables."""
    if place.suite is None:
        return False
    try:
        with bounded(limits.seconds):
            reader.of_image(place.suite.image(EMPTY), query)
    except QueryFailed:
        return False
    return True


def _file(file: str) -> _Place:
    return _Place("the database's rows", ("", frozenset()), file=file)


def _fillings(suite: Suite, profiles: Sequence[Profile], tables: frozenset[str] | None) -> list[_Place]:
    """Return a suite's fillings; `tables` are those that it has, None to not cache the results."""
    return [
        _Place(f"generated rows ({profile.name})", None if tables is None else (profile.name, tables), suite=suite, profile=profile)
        for profile in profiles
    ]


def _reader(schema: Schema, hints: Hints, limits: Limits) -> Reader:
    return Reader(schema.names, hints.made | schema.made, Clock(limits.seconds), rows=limits.rows, result_bytes=limits.result_bytes)


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Have the kernel end this process if the work exceeds the limit and SQLite's own clock did not stop it."""
    signal.setitimer(signal.ITIMER_PROF, seconds + GRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextmanager
def bounded_as_a_whole(seconds: float) -> Iterator[None]:
    """Have the kernel end this process if a whole request takes too long, including making rows and reading schemas.

    Uses another timer than `bounded`, so that one can be inside the other.
    """
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds + GRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
