"""The kinds of fillings that queries are tested on, and how often values repeat in their columns.

They follow the test suites of Zhong et al., "Semantic Evaluation for Text-to-SQL with Distilled Test Suites" (arXiv 2010.02840), which are
random fillings around the gold query's literals. The authors draw hundreds and keep the few that catch most wrong queries. Here, one
profile covers each way in which a wrong query may agree by chance. `filling.py` makes the rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from axolotl_synthetic.sql.hints import Hints

T = TypeVar("T")
Spread = Literal["distinct", "stairs", "close", "few", "counted"]
# Largest number of rows, in a query's comparison or limit, that fillings reach; more would take thousands of rows.
LARGEST_COUNT = 250


@dataclass(frozen=True)
class Profile:
    """One kind of filling.

    A spread says how often values repeat in a column:
    - `distinct`: never.
    - `stairs`: one value once, another twice, and so on, so that no two groups are equally large.
    - `close`: groups of slightly different sizes, so that a condition which drops rows makes another group the largest.
    - `few`: two or three values in all, so that everything ties.
    - `counted`: groups as large as the numbers that a query compares counts with.

    Attributes:
        name: also the seed of its random numbers.
        parents, children: rows of a table without and with foreign keys; more if a query limits to or counts more.
        values: spread of ordinary columns.
        links: spread of columns by which rows refer to others.
        decisive: spread of columns that a query orders by, or takes the maximum or minimum of.
        nulls: share of NULLs where a column allows them.
        exact, near: shares of the query's literals, and of their neighbours, in columns compared with them.
        reversed: True to store rows in reverse order, without keys that would order them.
    """

    name: str
    parents: int
    children: int
    values: Spread
    links: Spread
    decisive: Spread
    nulls: float = 0.0
    exact: float = 0.45
    near: float = 0.2
    reversed: bool = False


EMPTY = Profile("none", 0, 0, "distinct", "distinct", "distinct")
PROFILES: tuple[Profile, ...] = (
    Profile("stairs", 12, 24, "stairs", "stairs", "distinct"),
    Profile("more stairs", 15, 26, "stairs", "stairs", "stairs", reversed=True),
    Profile("distinct", 9, 16, "distinct", "stairs", "distinct", exact=0.25),
    Profile("literals", 12, 30, "stairs", "stairs", "distinct", exact=0.75, near=0.15, reversed=True),
    Profile("few", 12, 24, "few", "stairs", "distinct"),
    Profile("ties", 9, 18, "few", "few", "few", exact=0.5, reversed=True),
    Profile("nulls", 12, 22, "stairs", "stairs", "stairs", nulls=0.25),
    Profile("few, nulls", 10, 20, "few", "stairs", "distinct", nulls=0.2, exact=0.6),
    Profile("one", 1, 1, "distinct", "distinct", "distinct", exact=0.8),
    EMPTY,
)
# For queries that take the first or largest of the rows that meet a condition: few rows meet it, so ignoring the condition mostly gives
# another row.
RARE = Profile("rare literals", 15, 30, "stairs", "stairs", "distinct", exact=0.12, near=0.25)
# For queries with a LIMIT: which rows come first must depend on every condition, and on the order.
CLOSE: tuple[Profile, ...] = (
    Profile("close groups", 12, 30, "close", "close", "distinct"),
    Profile("close groups, values", 10, 36, "stairs", "close", "stairs", exact=0.3, near=0.3, reversed=True),
    Profile("close groups, few rows", 8, 20, "close", "close", "close", exact=0.25, near=0.25),
)
# For queries that count rows: rows that refer to the same row, and rows with equal values.
COUNTED: tuple[Profile, ...] = (
    Profile("counted", 9, 16, "distinct", "counted", "distinct"),
    Profile("counted, alike", 9, 16, "counted", "distinct", "distinct", reversed=True),
)
# Tried in turn while a query gives no rows on most profiles above. All are tried if a candidate's result differed but the gold query's own
# depends on the storage order.
LARGER: tuple[Profile, ...] = tuple(
    Profile(f"larger {number}", 16 + 4 * number, 40 + 10 * number, ("stairs", "few")[number % 2], "stairs", "distinct", exact=0.6, near=0.2)
    for number in range(8)
)
ENOUGH_WITH_ROWS = 4
# For literals of a candidate that the seed's query lacks.
MORE: tuple[Profile, ...] = (
    Profile("its literals", 12, 30, "stairs", "stairs", "distinct", exact=0.7, near=0.2),
    Profile("its literals, few", 10, 20, "few", "stairs", "few", exact=0.5, near=0.3, reversed=True),
)


def profiles_for(hints: Hints) -> tuple[Profile, ...]:
    """Return the profiles to test a query with these hints on."""
    rare = (RARE,) if hints.decisive and hints.values else ()
    return (*PROFILES, *rare, *(CLOSE if hints.limits else ()), *(COUNTED if counts_met(hints) else ()))


def counts_met(hints: Hints) -> tuple[int, ...]:
    """Return the numbers of rows that queries count and fillings can reach; at most the two largest."""
    return tuple(sorted(count for count in hints.counts if 0 < count <= LARGEST_COUNT)[-2:])


def group_sizes(counts: Sequence[int]) -> list[int]:
    """Return group sizes that just miss, just meet and just exceed each count."""
    return [size for count in counts for size in (count - 1, count, count + 1) if size]


def spread_out(rng: random.Random, pool: Sequence[T], size: int, spread: Spread, counts: Sequence[int] = ()) -> list[T]:
    """Return `size` values from a pool, shuffled.

    Args:
        rng: source of randomness.
        pool: distinct values; if empty, so is the result.
        size: number of values.
        spread: how often values repeat, see `Profile`.
        counts: counts that `counted` must meet.
    """
    if not pool or not size:
        return []
    if spread == "distinct":
        return rng.sample(pool, size) if size <= len(pool) else rng.choices(pool, k=size)
    if spread == "few":
        return rng.choices(pool[:3], k=size)
    sizes = {"counted": lambda: group_sizes(counts), "stairs": lambda: _stairs(rng, size), "close": lambda: _close(rng, size)}
    groups = sizes[spread]()
    chosen = rng.sample(pool[: len(groups) + 2], min(len(groups), len(pool)))
    values = [value for times, value in zip(groups, chosen, strict=False) for _ in range(times)]
    # A pool may have fewer values than there are groups; `counted` fills up with one more group.
    values = (values + [pool[-1]] * size)[:size] if spread == "counted" else (values * size)[-size:]
    rng.shuffle(values)
    return values


def _stairs(rng: random.Random, size: int) -> list[int]:
    """Return group sizes 1, 2, 3, … and the rest, up to two fewer than possible, so that columns differ in their number of values."""
    most = (math.isqrt(8 * size + 1) - 1) // 2  # 1 + 2 + … + n is n (n + 1) / 2
    count = rng.randint(max(1, most - 2), most)
    steps = list(range(1, count))
    return [*steps, size - sum(steps)]


def _close(rng: random.Random, size: int) -> list[int]:
    """Return three to six group sizes, each one larger than the one before; the last also takes the rest."""
    count = min(rng.randint(3, 6), (math.isqrt(8 * size + 1) - 1) // 2)
    smallest = (size - count * (count - 1) // 2) // count
    steps = [smallest + at for at in range(count - 1)]
    return [*steps, size - sum(steps)]
