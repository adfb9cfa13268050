"""Combine the results from several databases into one verdict: do two queries agree everywhere? Pure.

`agreement.py` decides when two single results are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from axolotl_synthetic.sql.agreement import Order, as_it_stands, difference, possible_orders, same, same_but_for_ties
from axolotl_synthetic.sql.reader import Result
from axolotl_synthetic.wording import number_of


class Comparison:
    """Comparison of a query with the gold query, one database after the other.

    Args:
        ordered: True if the order of the gold query's rows matters.

    Attributes:
        against: the difference found, empty until then.
        agreed: number of databases on which both gave the same.
        with_rows: number of those on which they gave any rows.
        passed_over: number of databases where the gold query's own result depends on the storage order of rows.
    """

    def __init__(self, *, ordered: bool) -> None:
        self.against = ""
        self.agreed = 0
        self.with_rows = 0
        self.passed_over = 0
        self._ordered = ordered
        self._seen: list[tuple[Result, Result]] = []
        self._orders: list[Order] | None = None

    def takes(self, gold: Result, other: Result, rearranged: Callable[[], Sequence[Result]]) -> bool:
        """Say whether the two queries may still be equal after these results.

        Args:
            gold, other: their normalised results on one database.
            rearranged: returns the gold query's results for other storage orders of that database's rows. Called only when the two results
                differ.
        """
        if other.columns != gold.columns:
            self.against = f"it gives {_columns(other)} where the seed's query gives {_columns(gold)}"
            return False
        orders = self._orders or [as_it_stands(gold)]
        if orders := [order for order in orders if same(gold, other, order, ordered=self._ordered)] or self._other_orders(gold, other):
            self._orders = orders
            self._seen.append((gold, other))
            self.agreed += 1
            self.with_rows += bool(gold.rows)
            return True
        self.against = difference(gold, other, ordered=self._ordered)
        if self._hangs_on_rows(gold, other, rearranged()):
            self.passed_over += 1
            return True
        return False

    def ends_well(self) -> bool:
        """Return True unless every database with rows was inconclusive."""
        if self.passed_over and not self.with_rows:
            self.against += "; and the seed's own answer hangs on the order of the rows wherever there are any"
            return False
        return True

    def _other_orders(self, gold: Result, other: Result) -> list[Order]:
        """Return orders of the columns in which this and all earlier results agree.

        They are searched once: later orders can only be among them.
        """
        if self._orders is not None and self._orders != [as_it_stands(gold)]:
            return []
        return [
            order
            for order in possible_orders(gold, other)
            if all(same(one, another, order, ordered=self._ordered) for one, another in [*self._seen, (gold, other)])
        ]

    def _hangs_on_rows(self, gold: Result, other: Result, rearranged: Sequence[Result]) -> bool:
        if len(other.rows) not in {len(gold.rows), *(len(result.rows) for result in rearranged)}:
            return False
        if any(Counter(gold.rows) != Counter(result.rows) for result in rearranged):
            return True
        if not self._ordered or all(gold.rows == result.rows for result in rearranged):
            return False
        orders = self._orders or [as_it_stands(gold), *possible_orders(gold, other)]
        return any(same_but_for_ties([gold, *rearranged], other, order) for order in orders)


def _columns(result: Result) -> str:
    return number_of(result.columns, "column")
