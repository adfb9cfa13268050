"""Which kinds of filling queries are put to, and how many times a value stands in a column of one.

After the test suites of Zhong et al., "Semantic Evaluation for Text-to-SQL with Distilled Test Suites" (arXiv 2010.02840): random
fillings around the literals of the gold query. There hundreds are drawn and a few kept that catch most wrong queries; here there is
one for each way in which a wrong query agrees by chance. The rows are made in `filling.py`.
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
# A number of rows that a query compares with, or limits to, is met up to this; beyond, it would take thousands.
LARGEST_COUNT = 250


@dataclass(frozen=True)
class Profile:
    """One kind of filling.

    A spread says how often a value comes in a column: `distinct` has none twice; `stairs` has one once, another twice, and so on, so
    that no two groups are equally large; `close` has none as large either, but all nearly so, so that a condition which leaves rows out
    makes another group the largest; `few` has two or three, so that everything ties; `counted` has groups as large as a query
    counts.

    Attributes:
        name: also what its random numbers are drawn from.
        parents, children: rows of a table without and with foreign keys; more where a query limits to or counts more.
        values: how the values of a column are spread.
        links: … of one that rows refer to others by.
        decisive: … of one that a query puts rows in order by, or takes the largest of.
        nulls: share of NULLs where a column takes them.
        exact, near: shares of the query's own literals, and of their neighbours, in a column that it compares with them.
        reversed: the rows lie in the table in the opposite order, without keys that would put them in another.
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
# Where a query takes the first or the largest of some rows: few rows are among those, so that it is mostly another row's if all are.
RARE = Profile("rare literals", 15, 30, "stairs", "stairs", "distinct", exact=0.12, near=0.25)
# Where a query limits its rows: which come first must hang on every condition, and on the order.
CLOSE: tuple[Profile, ...] = (
    Profile("close groups", 12, 30, "close", "close", "distinct"),
    Profile("close groups, values", 10, 36, "stairs", "close", "stairs", exact=0.3, near=0.3, reversed=True),
    Profile("close groups, few rows", 8, 20, "close", "close", "close", exact=0.25, near=0.25),
)
# Where a query counts rows: those that refer to the same row, and those that are alike.
COUNTED: tuple[Profile, ...] = (
    Profile("counted", 9, 16, "distinct", "counted", "distinct"),
    Profile("counted, alike", 9, 16, "counted", "distinct", "distinct", reversed=True),
)
# Tried one after the other while a query gives no rows on most of the above, and where a candidate gives others than the seed's query
# but that one's own hang on how rows lie.
LARGER: tuple[Profile, ...] = tuple(
    Profile(f"larger {number}", 16 + 4 * number, 40 + 10 * number, ("stairs", "few")[number % 2], "stairs", "distinct", exact=0.6, near=0.2)
    for number in range(8)
)
ENOUGH_WITH_ROWS = 4
# For what a candidate compares with and the seed's query does not.
MORE: tuple[Profile, ...] = (
    Profile("its literals", 12, 30, "stairs", "stairs", "distinct", exact=0.7, near=0.2),
    Profile("its literals, few", 10, 20, "few", "stairs", "few", exact=0.5, near=0.3, reversed=True),
)


def profiles_for(hints: Hints) -> tuple[Profile, ...]:
    """The fillings that a query with these hints is put to."""
    rare = (RARE,) if hints.decisive and hints.values else ()
    return (*PROFILES, *rare, *(CLOSE if hints.limits else ()), *(COUNTED if counts_met(hints) else ()))


def counts_met(hints: Hints) -> tuple[int, ...]:
    """The numbers of rows that queries count, as far as rows of ours can meet them; the two largest alone."""
    return tuple(sorted(count for count in hints.counts if 0 < count <= LARGEST_COUNT)[-2:])


def group_sizes(counts: Sequence[int]) -> list[int]:
    """How large groups are to be so that each count is just missed, just met and just passed."""
    return [size for count in counts for size in (count - 1, count, count + 1) if size]


def spread_out(rng: random.Random, pool: Sequence[T], size: int, spread: Spread, counts: Sequence[int] = ()) -> list[T]:
    """So many values out of a pool, shuffled.

    Args:
        rng: decides.
        pool: different values; none gives none.
        size: how many.
        spread: how often one value comes, see `Profile`.
        counts: what `counted` is to meet.
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
    # A pool may have fewer values than there are groups; what `counted` leaves over makes one more group.
    values = (values + [pool[-1]] * size)[:size] if spread == "counted" else (values * size)[-size:]
    rng.shuffle(values)
    return values


def _stairs(rng: random.Random, size: int) -> list[int]:
    """1, 2, 3, … and what is left; up to two steps fewer than there could be, so that columns differ in how many values they have."""
    most = (math.isqrt(8 * size + 1) - 1) // 2  # 1 + 2 + … + n is n (n + 1) / 2
    count = rng.randint(max(1, most - 2), most)
    steps = list(range(1, count))
    return [*steps, size - sum(steps)]


def _close(rng: random.Random, size: int) -> list[int]:
    """Sizes of three to six groups, each one row larger than the one before it, the last larger by what is left over."""
    count = min(rng.randint(3, 6), (math.isqrt(8 * size + 1) - 1) // 2)
    smallest = (size - count * (count - 1) // 2) // count
    steps = [smallest + at for at in range(count - 1)]
    return [*steps, size - sum(steps)]
