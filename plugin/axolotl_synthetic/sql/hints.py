"""Find what generated rows must contain to test a query: its literals, how many rows it counts, which columns it joins.

The hints are read from the query's tree; `filling.py` makes the rows. Scopes are ignored: an alias used for two tables in two subqueries
means either, because an extra value in a column does no harm.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from axolotl_synthetic.sql.documents import Path, looks_into

Value = str | int | float
# Range of SQLite's integers.
SMALLEST, LARGEST = -(2**63), 2**63 - 1
Columns = Mapping[str, frozenset[str]]
"""Column names by table name, all in lower case."""
_BY_ORDER = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_COMPARISONS = (*_BY_ORDER, exp.EQ, exp.NEQ, exp.Like, exp.Glob, exp.In, exp.Is)
_DECISIVE = (exp.Ordered, exp.Max, exp.Min)
_CALCULATIONS = (exp.Sum, exp.Avg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Round, exp.Abs)
# Depth to which aliases of aliases and nested subqueries are followed.
_DEPTH = 3


@dataclass(frozen=True)
class Hints:
    """Hints found in a query. A column's name is `table.column`, in lower case.

    Attributes:
        tables: all tables that it names, including those that it defines by WITH.
        made: only those that it defines by WITH.
        values: a column and a literal that it is compared with; LIKE's patterns unchanged.
        lengths: a column and a number that its length is compared with.
        counts: numbers that a count of rows is compared with.
        links: groups of columns that are compared with one another, or meet in a UNION, INTERSECT or EXCEPT; each sorted.
        numeric: columns used in calculations.
        decisive: columns that rows are ordered by, or whose maximum or minimum is taken; ties in them make the result ambiguous.
        bounded: columns compared by order with a literal, where most values should lie on one side or the other of it.
        limits: the LIMITs, each plus its OFFSET.
        documents: a column that holds JSON, and a path in it that the query reads.
    """

    tables: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    values: frozenset[tuple[str, Value]] = frozenset()
    lengths: frozenset[tuple[str, int]] = frozenset()
    counts: frozenset[int] = frozenset()
    links: frozenset[tuple[str, ...]] = frozenset()
    numeric: frozenset[str] = frozenset()
    decisive: frozenset[str] = frozenset()
    bounded: frozenset[str] = frozenset()
    limits: frozenset[int] = frozenset()
    documents: frozenset[tuple[str, Path]] = frozenset()

    def __or__(self, other: Hints) -> Hints:
        return Hints(**{part.name: getattr(self, part.name) | getattr(other, part.name) for part in fields(self)})

    def adds_to(self, other: Hints) -> bool:
        """Say whether these hints have a number or text that the other lacks. Other differences do not justify more rows."""
        return not (
            self.values <= other.values and self.lengths <= other.lengths and self.counts <= other.counts and self.limits <= other.limits
        )

    @cached_property
    def key(self) -> str:
        """Return a text that equal hints share in every process."""
        return repr([sorted(map(repr, getattr(self, part.name))) for part in fields(self)])


def hints_of(tree: exp.Expr, columns: Columns) -> Hints:
    """Return the hints of a query or a CREATE TABLE statement.

    Args:
        tree: sqlglot's tree.
        columns: columns of the database. A quoted word that is none of them is a text: SQLite reads `"France"` as one if there is no such
            column.
    """
    return _Collector(list(tree.walk()), columns).hints()


def hints_of_schema(schema: str, columns: Columns) -> Hints:
    """Return the literals in the CHECK constraints of a schema, without which the constraints would refuse all rows."""
    found = Hints()
    if "check" not in schema.lower():
        return found
    try:
        statements = sqlglot.parse(schema, read="sqlite")
    except (SqlglotError, RecursionError, ValueError):
        return found  # SQLite accepts it although sqlglot cannot parse it; some tables may stay empty
    for statement in statements:
        if isinstance(statement, exp.Create) and statement.find(exp.CheckColumnConstraint):
            found |= hints_of(statement, columns)
    return found


def made_by_views(views: Iterable[str]) -> frozenset[str]:
    """Return lower-case names that CREATE VIEW statements define by WITH, because SQLite asks whether they may be read."""
    found: set[str] = set()
    for view in views:
        if "with" in view.lower():
            try:
                found |= {made.alias.lower() for made in sqlglot.parse_one(view, read="sqlite").find_all(exp.CTE)}
            except (SqlglotError, RecursionError, ValueError):
                continue  # SQLite accepts it although sqlglot cannot parse it; queries that read this view are refused
    return frozenset(found)


@dataclass
class _Side:
    """One side of a comparison: its literals and columns, including the columns that its subqueries return."""

    columns: set[str] = field(default_factory=set)
    literals: set[Value] = field(default_factory=set)
    counted: bool = False
    measured: bool = False


class _Collector:
    def __init__(self, nodes: Sequence[exp.Expr], columns: Columns) -> None:
        self.nodes = nodes
        self.columns = columns
        self.aliases = {node.alias.lower(): node.this for node in nodes if isinstance(node, exp.Alias)}
        self.tables: dict[str, set[str]] = defaultdict(set)
        self.made = {node.alias.lower() for node in nodes if isinstance(node, exp.CTE)}
        self.values: set[tuple[str, Value]] = set()
        self.lengths: set[tuple[str, int]] = set()
        self.counts: set[int] = set()
        self.links: set[tuple[str, ...]] = set()
        self.numeric: set[str] = set()
        self.decisive: set[str] = set()
        self.bounded: set[str] = set()
        self.limits: set[int] = set()
        self.documents: set[tuple[str, Path]] = set()

    def hints(self) -> Hints:
        for node in self.nodes:
            if isinstance(node, exp.Table):
                for called in (node.alias_or_name, node.name):
                    self.tables[called.lower()].add(node.name.lower())
        for node in self.nodes:
            if isinstance(node, _COMPARISONS):
                self.comparison(node)
            elif isinstance(node, exp.SetOperation):
                for one, other in zip(_projections(node.left), _projections(node.right), strict=False):
                    self.link(self.side(one), self.side(other))
            elif isinstance(node, _CALCULATIONS):
                self.numeric |= self.side(node).columns
            elif isinstance(node, _DECISIVE):
                self.decisive |= self.side(node).columns
            elif (looked := looks_into(node)) is not None:
                self.documents |= {(name, looked[1]) for name in self.side(looked[0]).columns}
            if isinstance(node, exp.Query) and (limit := _number(node.args.get("limit")) + _number(node.args.get("offset"))):
                self.limits.add(limit)
        tables = {name for names in self.tables.values() for name in names}
        found = {part.name: frozenset(getattr(self, part.name)) for part in fields(Hints) if part.name != "tables"}
        return Hints(tables=frozenset(tables), **found)

    def comparison(self, node: exp.Expr) -> None:
        sides = [self.side(part) for part in _parts(node)]
        literals = {literal for side in sides for literal in side.literals}
        numbers = {literal for literal in literals if not isinstance(literal, str)}
        for side in sides:
            for name in side.columns:
                if side.measured:
                    self.lengths |= {(name, int(number)) for number in numbers}
                else:
                    self.values |= {(name, literal) for literal in literals}
            if numbers:
                self.numeric |= side.columns
            if literals and isinstance(node, _BY_ORDER):
                self.bounded |= side.columns
        if any(side.counted for side in sides):
            self.counts |= {number for number in numbers if isinstance(number, int)}
        for at, side in enumerate(sides):
            for other in sides[:at]:
                self.link(side, other)

    def link(self, one: _Side, other: _Side) -> None:
        if one.columns and other.columns and len(both := one.columns | other.columns) > 1:
            self.links.add(tuple(sorted(both)))

    def side(self, node: exp.Expr, depth: int = 0) -> _Side:
        found = _Side()
        for part in _within(node):
            if isinstance(part, exp.Column):
                self.column(part, found, depth)
            elif isinstance(part, exp.Literal):
                found.literals |= _value(part)
            elif isinstance(part, exp.Boolean):
                found.literals.add(int(part.this))
            elif isinstance(part, exp.Count):
                found.counted = True
            elif isinstance(part, exp.Length):
                found.measured = True
            elif isinstance(part, exp.Query) and depth < _DEPTH:
                for projection in _projections(part):
                    found.columns |= self.side(projection, depth + 1).columns
        return found

    def column(self, column: exp.Column, found: _Side, depth: int) -> None:
        name = column.name.lower()
        tables = self.tables.get(column.table.lower()) or {table for tables in self.tables.values() for table in tables}
        if owners := [table for table in tables if name in self.columns.get(table, ())]:
            found.columns |= {f"{table}.{name}" for table in owners}
        elif name in self.aliases and depth < _DEPTH:
            inner = self.side(self.aliases[name], depth + 1)
            found.columns |= inner.columns
            found.counted |= inner.counted
            found.measured |= inner.measured
        elif isinstance(column.this, exp.Identifier) and column.this.quoted and not column.table:
            found.literals.add(column.name)


def _parts(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield a node's children."""
    for value in node.args.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, exp.Expr):
                yield part


def _within(node: exp.Expr) -> Iterable[exp.Expr]:
    """Yield the node and all nodes below it; a subquery itself is yielded but not entered."""
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, exp.Subquery):
            part = part.this
        yield part
        if not isinstance(part, exp.Query):
            stack += list(_parts(part))


def _projections(node: exp.Expr) -> list[exp.Expr]:
    while isinstance(node, exp.SetOperation | exp.Subquery):
        node = node.this
    return list(node.expressions) if isinstance(node, exp.Select) else []


def _value(literal: exp.Literal) -> set[Value]:
    """Return the value of a literal as SQLite reads it: an integer beyond 64 bits is real."""
    if literal.is_string:
        return {literal.name}
    sign = -1 if isinstance(literal.parent, exp.Neg) else 1
    try:
        number = sign * float(literal.name)
    except ValueError:
        return set()
    if not math.isfinite(number):
        return set()
    if literal.name.isascii() and literal.name.isdigit() and len(literal.name) < 25:
        whole = sign * int(literal.name)
        return {whole if SMALLEST <= whole <= LARGEST else number}
    return {int(number) if number.is_integer() and abs(number) < 2**53 else number}


def _number(clause: exp.Expr | None) -> int:
    literal = clause.args.get("expression") if clause is not None else None
    return int(literal.name) if isinstance(literal, exp.Literal) and literal.name.isdecimal() and len(literal.name) < 10 else 0
