"""Decide whether two results are equal, as Spider's execution match does (Zhong et al., arXiv 2010.02840, `result_eq`).

Rows count with their multiplicity, in any order unless the gold query orders them. Column names are ignored. Columns may have another order
if one such order fits every database that the two queries are compared on. An integer and an equal real are the same; a number and a text
are not. Pure.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from axolotl_synthetic.sql.reader import Cell, Result, Row
from axolotl_synthetic.wording import number_of

# The last digits of a sum of reals depend on the order of its parts (IEEE 754 doubles have 15 to 17 digits).
DIGITS = 9
# Most column orders that are tried: all those of six columns with the same values.
MOST_ORDERS = 720
# With more distinct rows than this, only neighbours are compared for ties, not all pairs; 300 rows have 45,000 pairs.
MOST_PAIRED = 300
Order = tuple[int, ...]


def as_it_stands(result: Result) -> Order:
    """Return the columns' own order."""
    return tuple(range(result.columns))


def normalised(result: Result) -> Result:
    """Return the result with its reals rounded for comparison."""
    if not any(isinstance(cell, float) for row in result.rows for cell in row):
        return result
    return Result(result.columns, tuple(tuple(_rounded(cell) for cell in row) for row in result.rows))


def same(gold: Result, other: Result, order: Order, *, ordered: bool) -> bool:
    """Say whether two normalised results with equally many columns are the same, taking the other's columns in this order."""
    if len(gold.rows) != len(other.rows):
        return False
    rows = _taken(other, order)
    return gold.rows == rows or (not ordered and Counter(gold.rows) == Counter(rows))


def same_but_for_ties(golds: Sequence[Result], other: Result, order: Order) -> bool:
    """Say whether rows equal the gold query's, except for ties: rows that change places when the tables' rows do.

    Args:
        golds: the gold query's results, for several orders of the tables' rows.
        other: the result to judge.
        order: its columns' order.
    """
    rows = _taken(other, order)
    if Counter(golds[0].rows) != Counter(rows):
        return False
    spans = [_spans(result.rows) for result in golds]
    kinds = list(dict.fromkeys(rows))
    pairs = itertools.combinations(kinds, 2) if len(kinds) <= MOST_PAIRED else itertools.pairwise(kinds)
    return not any(all(span[later][1] < span[earlier][0] for span in spans) for earlier, later in pairs)


def possible_orders(gold: Result, other: Result) -> Iterator[Order]:
    """Yield orders of the other's columns in which each column holds the same values as the gold query's."""
    mine, theirs = (
        [frozenset(Counter(row[at] for row in result.rows).items()) for at in range(result.columns)] for result in (gold, other)
    )
    if Counter(mine) == Counter(theirs):
        options = [[at for at, values in enumerate(theirs) if values == wanted] for wanted in mine]
        yield from itertools.islice(_choices(options, ()), MOST_ORDERS)


def difference(gold: Result, other: Result, *, ordered: bool) -> str:
    """Say in a few words how two results differ; `it` is the other's query."""
    if len(gold.rows) != len(other.rows):
        return f"it gives {count(other)} where the seed's query gives {count(gold)}"
    if ordered and Counter(gold.rows) == Counter(other.rows):
        return "it gives the same rows in another order"
    mine, theirs = list((Counter(gold.rows) - Counter(other.rows)).elements()), list((Counter(other.rows) - Counter(gold.rows)).elements())
    if not mine:
        return "its columns stand in an order that differs from rows to rows"
    return f"it gives {_short(theirs[0])} where the seed's query gives {_short(mine[0])}"


def count(result: Result) -> str:
    """Return how many rows a result has, in words."""
    return number_of(len(result.rows), "row")


def _rounded(cell: Cell) -> Cell:
    return float(f"{cell:.{DIGITS}g}") if isinstance(cell, float) else cell


def _taken(result: Result, order: Order) -> tuple[Row, ...]:
    return result.rows if order == as_it_stands(result) else tuple(tuple(row[at] for at in order) for row in result.rows)


def _spans(rows: Sequence[Row]) -> dict[Row, tuple[int, int]]:
    """Return the first and the last index of each row."""
    spans: dict[Row, tuple[int, int]] = {}
    for at, row in enumerate(rows):
        spans[row] = (spans.get(row, (at, at))[0], at)
    return spans


def _choices(options: Sequence[Sequence[int]], taken: Order) -> Iterator[Order]:
    if len(taken) == len(options):
        yield taken
        return
    for at in options[len(taken)]:
        if at not in taken:
            yield from _choices(options, (*taken, at))


def _short(row: Row) -> str:
    text = "(" + ", ".join("NULL" if cell is None else repr(cell) for cell in row) + ")"
    return text if len(text) <= 80 else text[:79] + "…"
