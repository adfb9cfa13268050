"""Changed queries for `verification_sql.py`, made on sqlglot's tree.

Mutants should give another result (a constant, a column, an aggregate, a comparison, DISTINCT, ORDER BY, a dropped condition). Rewrites
must give the same (formatting, aliases, case).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

from sqlglot import exp, parse_one

Columns = Mapping[str, list[str]]
"""A table's name in lower case, and its columns."""

COMPARISONS = {
    exp.GT: (exp.GTE, exp.LT), exp.GTE: (exp.GT, exp.LT), exp.LT: (exp.LTE, exp.GT), exp.LTE: (exp.LT, exp.GT),
    exp.EQ: (exp.NEQ, exp.GT), exp.NEQ: (exp.EQ,),
}  # fmt: skip
AGGREGATES = {exp.Max: (exp.Min, exp.Sum), exp.Min: (exp.Max,), exp.Avg: (exp.Sum, exp.Max), exp.Sum: (exp.Avg, exp.Count), exp.Count: ()}


def tree_of(query: str) -> exp.Expression:
    return parse_one(query, read="sqlite")


def mutants(query: str, columns: Columns, rng: random.Random) -> dict[str, str]:
    """Return every mutant of a query, as its text and its change, with at most two other columns in each place."""
    tree = tree_of(query)
    found: dict[str, str] = {}
    nodes = list(tree.walk())
    for at, node in enumerate(nodes):
        for kind, change in _changes(node, columns, rng):
            copy = tree.copy()
            there = list(copy.walk())[at]
            root = exp.Paren(this=copy)
            change(there)
            text = root.this.sql("sqlite")
            if text != tree.sql("sqlite"):
                found.setdefault(text, kind)
    return found


Change = Callable[[exp.Expression], object]


def _changes(node: exp.Expression, columns: Columns, rng: random.Random) -> Iterator[tuple[str, Change]]:
    if isinstance(node, exp.Literal):
        yield from (("constant", change) for change in _other_constants(node))
    elif isinstance(node, exp.Column):
        yield from (("constant" if kind else "column", change) for kind, change in _other_columns(node, columns, rng))
    elif type(node) in COMPARISONS and not _joins(node):
        yield from (("comparison", _becomes(kind)) for kind in COMPARISONS[type(node)])
    elif isinstance(node, exp.Like):
        yield "comparison", _becomes(exp.EQ)
    elif isinstance(node, exp.In | exp.Between):
        if isinstance(node.parent, exp.Not):
            yield "comparison", lambda there: there.parent.replace(there.copy())
        else:
            yield "comparison", lambda there: there.replace(exp.Not(this=there.copy()))
    elif type(node) in AGGREGATES:
        yield from (("aggregate", _becomes(kind)) for kind in AGGREGATES[type(node)])
        if isinstance(node.this, exp.Column):
            yield "DISTINCT", lambda there: there.set("this", exp.Distinct(expressions=[there.this.copy()]))
    elif isinstance(node, exp.Distinct):
        if isinstance(node.parent, exp.Select):
            yield "DISTINCT", lambda there: there.parent.set("distinct", None)
        else:
            yield "DISTINCT", lambda there: there.replace(there.expressions[0].copy())
    elif isinstance(node, exp.Order):
        yield "ORDER BY", lambda there: there.parent.set("order", None)
    elif isinstance(node, exp.Ordered):
        yield "ORDER BY", lambda there: there.set("desc", not there.args.get("desc"))
    elif isinstance(node, exp.Where | exp.Having):
        yield "dropped condition", lambda there: there.parent.set("where" if isinstance(there, exp.Where) else "having", None)
    elif isinstance(node, exp.And | exp.Or):
        yield "dropped condition", lambda there: there.replace(there.left.copy())
        yield "dropped condition", lambda there: there.replace(there.right.copy())
    if isinstance(node, exp.Select) and not node.args.get("distinct"):
        yield "DISTINCT", lambda there: there.set("distinct", exp.Distinct())


def _becomes(kind: type[exp.Expression]) -> Change:
    def change(there: exp.Expression) -> None:
        args = {name: value.copy() for name, value in there.args.items() if name in ("this", "expression") and value is not None}
        there.replace(kind(**{name: value for name, value in args.items() if name in kind.arg_types}))

    return change


def _joins(node: exp.Expression) -> bool:
    return isinstance(node.left, exp.Column) and isinstance(node.right, exp.Column) and isinstance(node.parent, exp.Join)


def _other_constants(node: exp.Literal) -> Iterator[Change]:
    if node.is_string:
        for other in (node.name + "s", node.name[:-1] or "x", "Atlantis"):
            yield lambda there, other=other: there.replace(exp.Literal.string(other))
    else:
        for other in (int(node.name) + 1, max(0, int(node.name) - 1), int(node.name) * 2 + 3) if node.name.isdecimal() else ():
            yield lambda there, other=other: there.replace(exp.Literal.number(other))


def _other_columns(node: exp.Column, columns: Columns, rng: random.Random) -> Iterator[tuple[bool, Change]]:
    """Yield whether it is a text in double quotes, and the change."""
    select = node.find_ancestor(exp.Select)
    tables = {table.alias_or_name.lower(): table.name.lower() for table in select.find_all(exp.Table)} if select else {}
    owners = [tables[node.table.lower()]] if node.table.lower() in tables else list(dict.fromkeys(tables.values()))
    owner = next((table for table in owners if node.name.lower() in map(str.lower, columns.get(table, []))), None)
    if owner is None:
        if node.this.quoted and not node.table:
            for change in _other_constants(exp.Literal.string(node.name)):
                yield True, change
        return
    others = [name for name in columns[owner] if name.lower() != node.name.lower()]
    for other in rng.sample(others, min(2, len(others))):
        yield False, lambda there, other=other: there.set("this", exp.to_identifier(other, quoted=True))


def rewrites(query: str, rng: random.Random) -> dict[str, str]:
    """Return other ways to write the same query, by their names."""
    tree = tree_of(query)
    return {
        "one line": tree.sql("sqlite"),
        "pretty": tree.sql("sqlite", pretty=True),
        "comments, small words": "/* answer */ " + tree.sql("sqlite", normalize_functions="lower").replace(" FROM ", "\n from -- x\n "),
        "aliases of tables": _other_table_aliases(tree.copy()).sql("sqlite"),
        "aliases of columns": _column_aliases(tree.copy()).sql("sqlite"),
        "case of names": _other_case(tree.copy(), rng).sql("sqlite"),
        "quoted names": _quoted(tree.copy()).sql("sqlite"),
    }


def _other_table_aliases(tree: exp.Expression) -> exp.Expression:
    for table in tree.find_all(exp.Table):
        if table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier("x_" + table.alias)))
    for column in tree.find_all(exp.Column):
        if column.table and any(table.alias.lower() == "x_" + column.table.lower() for table in tree.find_all(exp.Table)):
            column.set("table", exp.to_identifier("x_" + column.table))
    return tree


def _column_aliases(tree: exp.Expression) -> exp.Expression:
    """Alias the columns of the outermost query, except `*` and where an ORDER BY or a UNION could confuse them."""
    if isinstance(tree, exp.Select):
        plain = [one.is_star or isinstance(one, exp.Alias) for one in tree.expressions]
        named = [one if kept else exp.alias_(one, f"c_{at}") for at, (one, kept) in enumerate(zip(tree.expressions, plain, strict=True))]
        tree.set("expressions", named)
    return tree


def _other_case(tree: exp.Expression, rng: random.Random) -> exp.Expression:
    for name in tree.find_all(exp.Identifier):
        if not name.quoted:
            name.set("this", rng.choice((str.upper, str.lower, str.swapcase))(name.this))
    return tree


def _quoted(tree: exp.Expression) -> exp.Expression:
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", True)
    return tree
