"""Read the samples once: count them, and keep the few that are shown or compared. All others leave memory at once.

Draws are uniform and without replacement from a stream of unknown length (reservoir sampling, algorithm R: Vitter, Random Sampling with a
Reservoir, 1985). Their seed is fixed, so that the same samples give the same page.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from axolotl_synthetic.checks import self_consistency
from axolotl_synthetic.checks.words import words
from axolotl_synthetic.records import STRATEGIES

T = TypeVar("T")
# Number shown of accepted samples for each strategy, of rejected ones for each check, and of failed ones for each reason.
SHOWN = 3
# Questions of each strategy to compare with one another and with the seeds; more would not change the mean of all pairs.
COMPARED = 1_000
# Characters shown of a longer text; its length in words counts all of it.
LONGEST_SHOWN = 4_000


class Draw(Generic[T]):
    """Uniform draw of a fixed size from a stream; only drawn items stay in memory."""

    def __init__(self, size: int) -> None:
        self.kept: list[T] = []
        self._size, self._seen, self._random = size, 0, random.Random(0)

    def offer(self, one: T) -> None:
        self._seen += 1
        if len(self.kept) < self._size:
            self.kept.append(one)
        elif (place := self._random.randrange(self._seen)) < self._size:
            self.kept[place] = one


def _shown() -> Draw[Mapping[str, Any]]:
    return Draw(SHOWN)


def _compared() -> Draw[str]:
    return Draw(COMPARED)


@dataclass
class Samples:
    """Counts and draws over all candidates, for the page.

    Attributes:
        ends: candidates by strategy, status and reason (a check's name, or the first word of a failure).
        verdicts: by check: number of passed, failed and not applicable verdicts (True, False, None).
        question_words: accepted samples by strategy and by the number of words of their question.
        answer_words: samples by strategy and acceptance, and by the number of words of their answer; without failed ones.
        asked: distinct questions of a strategy's accepted samples, as hashes.
        compared: a draw of accepted samples' questions, by strategy.
        agreement: candidates by agreeing answers, all answers, and whether they were accepted.
        decisions: people's decisions in review, by verdict.
        labels: candidates by their label and outcome, for labelled texts only.
        shown: a draw of rows for each status and kind: the strategy of an accepted row, the reason of another.
    """

    ends: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    verdicts: dict[str, Counter[bool | None]] = field(default_factory=lambda: defaultdict(Counter))
    question_words: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    answer_words: dict[tuple[str, bool], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    asked: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    compared: dict[str, Draw[str]] = field(default_factory=lambda: defaultdict(_compared))
    agreement: Counter[tuple[int, int, bool]] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    shown: dict[tuple[str, str], Draw[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(_shown))

    @property
    def planned(self) -> int:
        return self.ends.total()

    @property
    def strategies(self) -> list[str]:
        """Return the strategies that have candidates, ours first in their usual order."""
        found = {strategy for strategy, _, _ in self.ends}
        return [*(name for name in STRATEGIES if name in found), *sorted(found.difference(STRATEGIES))]

    def count(self, status: str, strategy: str | None = None) -> int:
        """Return the number of candidates with this status, of one strategy or of all."""
        return sum(number for (of, ended, _), number in self.ends.items() if ended == status and strategy in (None, of))

    def reasons(self, status: str) -> dict[str, int]:
        """Return the number of candidates with this status by reason, the most frequent first."""
        by: Counter[str] = Counter()
        for (_, ended, reason), number in self.ends.items():
            if ended == status:
                by[reason] += number
        return dict(by.most_common())


def gather(rows: Iterable[Mapping[str, Any]], *, labelled: bool = False) -> Samples:
    """Read rows of `samples.jsonl` once, in order.

    Args:
        labelled: True if the final answers are labels of a closed set, which are counted.
    """
    found = Samples()
    for row in rows:
        strategy, status = str(row["strategy"]), str(row["status"])
        accepted = status == "accepted"
        reason = str(row.get("reason") or "").split(":", 1)[0]
        found.ends[strategy, status, "" if accepted else reason] += 1
        found.shown[status, strategy if accepted else reason].offer(row)
        if labelled and row.get("final_answer") is not None:
            found.labels[str(row["final_answer"])][status] += 1
        for verdict in row.get("checks") or ():
            found.verdicts[verdict["name"]][verdict["passed"]] += 1
            if verdict["name"] == self_consistency.NAME and (votes := verdict.get("data")):
                found.agreement[votes["agree"], votes["of"], accepted] += 1
        if row.get("decision"):
            found.decisions[str(row["decision"].get("what"))] += 1
        if row.get("answer") is not None and status != "failed":
            found.answer_words[strategy, accepted][len(words(row["answer"]))] += 1
        if accepted and row.get("question") is not None:
            found.question_words[strategy][len(words(row["question"]))] += 1
            found.asked[strategy].add(hash(row["question"]))
            found.compared[strategy].offer(row["question"])
    return found
