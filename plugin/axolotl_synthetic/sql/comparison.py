"""Gathers the evidence of several databases into one answer: do two queries give the same everywhere? Pure.

When two single results are the same stands in `agreement.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from axolotl_synthetic.sql.agreement import Order, as_it_stands, difference, possible_orders, same, same_but_for_ties
from axolotl_synthetic.sql.reader import Result
from axolotl_synthetic.wording import number_of


class Comparison:
    """Of a query with the gold query, one database after the other.

    Args:
        ordered: whether the gold query's rows have an order that matters.

    Attributes:
        against: what tells the two apart, once something has.
        agreed: databases on which both gave the same.
        with_rows: … and there were rows to give.
        passed_over: databases on which the gold query's own answer hangs on the order in which rows lie.
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
        """Whether the two may still be the same query after these results.

        Args:
            gold, other: what they gave on one database, normalised.
            rearranged: what the gold query gives when that database's rows lie in other orders. It is called only when the two
                results differ.
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
        """Whether nothing told the two apart, and something could have."""
        if self.passed_over and not self.with_rows:
            self.against += "; and the seed's own answer hangs on the order of the rows wherever there are any"
            return False
        return True

    def _other_orders(self, gold: Result, other: Result) -> list[Order]:
        """Orders of the columns in which this and everything before is the same. Looked for once: later ones are among them."""
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
