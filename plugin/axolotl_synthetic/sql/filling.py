"""Make the rows of one filling: a value for every column of every table.

Types, NOT NULL, UNIQUE, primary and foreign keys hold. The same schema, hints and profile give the same rows everywhere. `hints.py` finds
the literals that matter, `values.py` varies values, and `profiles.py` defines the kinds of filling.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from axolotl_synthetic.sql.documents import Path as DocumentPath
from axolotl_synthetic.sql.documents import document
from axolotl_synthetic.sql.hints import Hints
from axolotl_synthetic.sql.profiles import LARGEST_COUNT, Profile, Spread, counts_met, group_sizes, spread_out
from axolotl_synthetic.sql.reader import Cell, Row
from axolotl_synthetic.sql.schema import Column, ForeignKey, Kind, Schema, Table
from axolotl_synthetic.sql.values import base_pool, fitting, near, number_in

Rows = Mapping[str, Sequence[Row]]
_TEXTS = ("text", "any")
# Smallest pool of values, so that columns which share a pool do not have all values in common.
SMALLEST_POOL = 14
# Share of rows with a parent where a foreign key refers to its own table.
HAS_PARENT = 0.8
# Factor on the share of exact literals in columns compared by order, where values must lie on both sides of the literal.
BOUNDED_EXACT = 0.35


@dataclass(frozen=True)
class _Wanted:
    """A column's inputs for choosing values, the same for all fillings.

    `exact` are literals that queries compare it with, and `close` near misses; the rest are arguments of `base_pool`.
    """

    exact: tuple[Cell, ...]
    close: tuple[Cell, ...]
    pool: str
    numeric: bool
    key: bool
    around: tuple[int | float, ...]


class Ground:
    """State shared by all fillings of one schema for the same queries.

    Args:
        schema: the tables.
        hints: of the queries that are to be told apart, and of the schema's own constraints.
    """

    def __init__(self, schema: Schema, hints: Hints) -> None:
        self.schema = schema
        self.hints = hints
        self.counts = counts_met(hints)
        self.shared = _shared_names(schema, hints)
        self.parents_first = _parents_first(schema.tables)
        columns = {_name(table, column): column for table in schema.tables for column in table.columns}
        self.documents: dict[str, list[DocumentPath]] = {}
        for name, path in sorted(hints.documents, key=repr):
            self.documents.setdefault(name, []).append(path)
        self.wanted = {name: self._wanted(column, [columns[one] for one in self.shared[name]], name) for name, column in columns.items()}

    def _wanted(self, column: Column, members: Sequence[Column], name: str) -> _Wanted:
        names = self.shared[name]
        found = sorted({value for about, value in self.hints.values if about in names}, key=repr)
        exact = tuple(dict.fromkeys(value for literal in found for value in fitting(literal, column.kind)))
        close = [value for literal in found for value in near(literal, column.kind)]
        if column.kind in _TEXTS:
            lengths = sorted({length for about, length in self.hints.lengths if about in names})
            close += ["w" * length for wanted in lengths[:4] for length in (wanted - 1, wanted, wanted + 1) if 0 < length < 200]
        return _Wanted(
            exact=exact,
            close=tuple(value for value in dict.fromkeys(close) if value not in exact),
            pool="\0".join(sorted(names)),
            numeric=bool(names & self.hints.numeric) or len({member.kind in _TEXTS for member in members}) == 2,
            key=any(member.unique for member in members),
            around=tuple(sorted({number for value in found if (number := number_in(value)) is not None})),
        )

    def fill(self, profile: Profile) -> Rows:
        """Return rows for every table.

        Args:
            profile: kind of filling.

        Returns:
            Rows by table name, with values in the order of its columns; fewer rows than the profile says where keys allow no more.
        """
        return _Filler(self, profile).rows()


class _Filler:
    def __init__(self, ground: Ground, profile: Profile) -> None:
        self.ground = ground
        self.schema = ground.schema
        self.hints = ground.hints
        self.profile = profile
        self.counts = ground.counts
        self.shared = ground.shared
        self.done: dict[str, dict[str, list[Cell]]] = {}

    def rows(self) -> Rows:
        kept: dict[str, list[Row]] = {}
        for table in self.ground.parents_first:
            made = self._table(table)
            kept[table.name] = _kept(list(zip(*(made[column.name] for column in table.columns), strict=True)), table)
            # Foreign keys may only refer to rows that are kept.
            self.done[table.name] = {column.name: [row[at] for row in kept[table.name]] for at, column in enumerate(table.columns)}
        return {table.name: kept[table.name] for table in self.schema.tables}

    def _seed(self, *about: str) -> str:
        return "\0".join((self.profile.name, *about))

    def _size(self, table: Table) -> int:
        size = self.profile.children if table.foreign_keys else self.profile.parents
        if size > 1:
            size = max([size, *(limit + 3 for limit in self.hints.limits if limit <= LARGEST_COUNT)])
        counted = self.profile.values == "counted" or (
            self.profile.links == "counted" and (table.foreign_keys or any(self._is_link(table, column) for column in table.columns))
        )
        return max(size, sum(group_sizes(self.counts)) + 2) if counted else size

    def _is_link(self, table: Table, column: Column) -> bool:
        """Say whether rows refer to others by the column: it shares its values with other columns, and is not a key itself."""
        return len(self.shared[_name(table, column)]) > 1 and not column.unique

    def _table(self, table: Table) -> dict[str, list[Cell]]:
        size = self._size(table)
        made: dict[str, list[Cell]] = {}
        for key in table.foreign_keys:
            made |= self._references(table, key, size)
        for column in table.columns:
            if column.name not in made:
                made[column.name] = self._values(table, column, size)
        return made

    def _references(self, table: Table, key: ForeignKey, size: int) -> dict[str, list[Cell]]:
        """Return the columns of a foreign key, copied from rows of the table that it refers to."""
        if key.table == table.name or key.table not in self.done:
            return self._references_within(table, key, size)
        rng = random.Random(self._seed(table.name, *key.columns))
        own = {column.name: column for column in table.columns}
        nothing: Row = (None,) * len(key.columns)
        rows = dict.fromkeys(zip(*(self.done[key.table][name] for name in key.parents), strict=True))
        named = [row for row in rows if None not in row]
        rng.shuffle(named)
        if any(set(key.columns) >= set(members) for members in table.uniques):
            chosen = (named + [nothing] * size)[:size]
        else:
            # Leave one row unreferenced, so that NOT IN and outer joins find something.
            chosen = spread_out(rng, named[: max(1, len(named) - 1)], size, self.profile.links, self.counts) or [nothing] * size
            literals = self.ground.wanted[_name(table, own[key.columns[0]])].exact
            if literals and (wanted := [row for row in named if row[0] in literals]):
                chosen = [rng.choice(wanted) if rng.random() < self.profile.exact / 2 else row for row in chosen]
        if self.profile.nulls and not any(own[name].not_null for name in key.columns):
            chosen = [row if rng.random() >= self.profile.nulls else nothing for row in chosen]
        return {name: [row[at] for row in chosen] for at, name in enumerate(key.columns)}

    def _references_within(self, table: Table, key: ForeignKey, size: int) -> dict[str, list[Cell]]:
        """Refer to earlier rows of the same table; a key that is part of a cycle of tables gets only NULLs."""
        own = {column.name: column for column in table.columns}
        if key.table != table.name or len(key.columns) != 1 or key.columns == key.parents:
            return {name: [None] * size for name in key.columns}
        rng = random.Random(self._seed(table.name, *key.columns))
        parents = self._values(table, own[key.parents[0]], size)
        return {key.columns[0]: [parents[rng.randrange(at)] if at and rng.random() < HAS_PARENT else None for at in range(size)]}

    def _values(self, table: Table, column: Column, size: int) -> list[Cell]:
        name = _name(table, column)
        if name in self.ground.documents:
            return self._documents(table, column, self.ground.documents[name], size)
        by = self.ground.wanted[name]
        pool = base_pool(by.pool, column.kind, max(SMALLEST_POOL, size + 4), numeric=by.numeric, key=by.key, around=by.around)
        if column.unique:
            return _all_different(self._seed(table.name, column.name), pool, by.exact, by.close, size)
        share = self.profile.exact * (BOUNDED_EXACT if name in self.hints.bounded else 1)
        nulls = 0.0 if column.not_null else self.profile.nulls
        spread = self._spread(table, column)
        counts = self.counts if spread == "counted" else ()
        seed = self._seed(table.name, column.name)
        return list(_drawn(seed, pool, spread, counts, by.exact, by.close, share, self.profile.near, nulls, size))

    def _documents(self, table: Table, column: Column, paths: Sequence[DocumentPath], size: int) -> list[Cell]:
        """Return JSON documents with values at the paths, chosen as for a column of numbers or of texts."""
        name = _name(table, column)
        literals = sorted({value for about, value in self.hints.values if about == name}, key=repr)
        kind: Kind = "text" if any(number_in(literal) is None for literal in literals) else "any"
        exact = tuple(dict.fromkeys(value for literal in literals for value in fitting(literal, "any")))
        close = tuple(dict.fromkeys(value for literal in literals for value in near(literal, "any") if value not in exact))
        share = self.profile.exact * (BOUNDED_EXACT if name in self.hints.bounded else 1)
        drawn = []
        for path in paths:
            about = repr((name, path))
            around = tuple(sorted(number for literal in literals if (number := number_in(literal)) is not None))
            pool = base_pool(about, kind, max(SMALLEST_POOL, size + 4), numeric=False, key=False, around=around)
            spread = self.profile.decisive if name in self.hints.decisive else self.profile.values
            counts = self.counts if spread == "counted" else ()
            drawn.append(_drawn(self._seed(about), pool, spread, counts, exact, close, share, self.profile.near, self.profile.nulls, size))
        return [document(dict(zip(paths, values, strict=True))) for values in zip(*drawn, strict=True)]

    def _spread(self, table: Table, column: Column) -> Spread:
        if self._is_link(table, column):
            return self.profile.links
        if _name(table, column) in self.hints.decisive:
            return self.profile.decisive
        # In a key of several columns, one must tell the rows apart.
        in_key = any(column.name in members for members in table.uniques)
        return "distinct" if in_key and self.profile.values != "few" else self.profile.values


# Cached, because most columns of a schema are in no query's conditions and get the same values for all queries.
@lru_cache(maxsize=16_384)
def _drawn(
    seed: str,
    pool: tuple[Cell, ...],
    spread: Spread,
    counts: tuple[int, ...],
    exact: tuple[Cell, ...],
    close: tuple[Cell, ...],
    exact_share: float,
    close_share: float,
    nulls: float,
    size: int,
) -> tuple[Cell, ...]:
    """Return values for a column that may repeat them: from the pool, some replaced by literals and some by NULL."""
    rng = random.Random(seed)
    values = spread_out(rng, pool, size, spread, counts)
    if exact or close:
        for at in range(size):
            draw = rng.random()
            if exact and draw < exact_share:
                values[at] = rng.choice(exact)
            elif close and exact_share <= draw < exact_share + close_share:
                values[at] = rng.choice(close)
    return tuple(values if not nulls else (value if rng.random() >= nulls else None for value in values))


def _all_different(seed: str, pool: Sequence[Cell], exact: Sequence[Cell], close: Sequence[Cell], size: int) -> list[Cell]:
    """Return distinct values for a column, with literals among them, but not first."""
    wanted = [*exact[: max(1, size // 2)], *close[: size // 4]]
    values = list(dict.fromkeys([*wanted, *pool]))[:size]
    if wanted:
        random.Random(seed).shuffle(values)
    return values + [None] * (size - len(values))


def _name(table: Table, column: Column) -> str:
    """Return a column's name as in `Hints`."""
    return f"{table.name}.{column.name}".lower()


def _shared_names(schema: Schema, hints: Hints) -> dict[str, frozenset[str]]:
    """Map each column to those that must share its values, or joins would be empty: a foreign key or a query joins them."""
    names = {_name(table, column) for table in schema.tables for column in table.columns}
    shared = {name: {name} for name in names}
    keys = [
        (f"{table.name}.{own}".lower(), f"{key.table}.{parent}".lower())
        for table in schema.tables
        for key in table.foreign_keys
        for own, parent in zip(key.columns, key.parents, strict=True)
    ]
    for group in [*hints.links, *keys]:
        first, *others = [name for name in group if name in names] or [""]
        for other in others:
            small, large = sorted((shared[first], shared[other]), key=len)
            if small is not large:
                large |= small
                for name in small:
                    shared[name] = large
    frozen = {id(each): frozenset(each) for each in shared.values()}
    return {name: frozen[id(each)] for name, each in shared.items()}


def _kept(rows: list[Row], table: Table) -> list[Row]:
    """Return the rows without those that break a key."""
    places = {column.name: at for at, column in enumerate(table.columns)}
    required = [at for at, column in enumerate(table.columns) if column.not_null]
    rows = [row for row in rows if not any(row[at] is None for at in required)]
    for members in table.uniques:
        seen: dict[Row, Row] = {}
        # SQLite treats two NULLs in a UNIQUE column as different.
        for at, row in enumerate(rows):
            value = tuple(row[places[name]] for name in members)
            seen.setdefault(value if None not in value else (*value, at), row)
        rows = list(seen.values())
    return rows


def _parents_first(tables: Sequence[Table]) -> list[Table]:
    """Return the tables, each after those that its foreign keys refer to; a cycle is cut where it begins."""
    by_name = {table.name: table for table in tables}
    ordered: list[Table] = []
    begun: set[str] = set()
    for first in tables:
        # Use an explicit stack: a chain of keys may be longer than Python's recursion limit.
        stack = [] if first.name in begun else [(first, iter(first.foreign_keys))]
        begun.add(first.name)
        while stack:
            _, keys = stack[-1]
            parent = next((by_name[key.table] for key in keys if key.table in by_name and key.table not in begun), None)
            if parent is None:
                ordered.append(stack.pop()[0])
            else:
                begun.add(parent.name)
                stack.append((parent, iter(parent.foreign_keys)))
    return ordered
