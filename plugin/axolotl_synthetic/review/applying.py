"""Apply people's decisions to samples: rows of `samples.jsonl` as the checks left them in, rows with decisions out.

A decision stores what it changed, so that `original` can undo it. Decisions always apply to a sample as the checks left it, so applying
them twice changes nothing.

| people say | the sample |
| --- | --- |
| accept | is accepted, whatever the checks said |
| reject | is rejected, by `review` |
| edit | gets the correction and is checked again after all other samples, also by checks that compare it with them |
| nothing yet | stays; with `unreviewed: drop` it is rejected, by `unreviewed` |

Checks that asked a model about the old text do not apply to a corrected one. Unreviewed samples keep their verdicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from axolotl_synthetic.checks import Check
from axolotl_synthetic.errors import SyntheticError
from axolotl_synthetic.records import Candidate, Decision, Seed, Verdict, judged, not_applicable, question_of, to_sample
from axolotl_synthetic.review.kept import Book, Kept
from axolotl_synthetic.review.page import content_of
from axolotl_synthetic.review.ruling import Ruling, rule
from axolotl_synthetic.review.work import Work

REJECTED_BY_PEOPLE = "review"
UNREVIEWED = "unreviewed"
CHANGED_BY_AN_EDIT = ("question", "messages", "parts", "answer", "final_answer", "status", "reason", "checks")
Row = dict[str, Any]


@dataclass
class Standing:
    """Decisions on the samples of a run so far, as `stand` collects them.

    Attributes:
        rulings: the decision on each decided sample.
        open: samples that were pushed and are not decided.
        outdated: decided samples whose text has changed since, or that no longer exist; their decisions apply again if the text returns.
    """

    rulings: dict[str, Ruling] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    outdated: set[str] = field(default_factory=set)


@dataclass
class Effect:
    """Result of applying: decisions by verdict, failed edits by check, and the number of undecided samples that were dropped."""

    decided: Counter[str] = field(default_factory=Counter)
    failed_edits: Counter[str] = field(default_factory=Counter)
    dropped: int = 0


def original(row: Mapping[str, Any]) -> Row:
    """Return a sample as the checks left it."""
    if row["decision"] is None:
        return {**row, "status": "accepted", "reason": None} if row["reason"] == UNREVIEWED else dict(row)
    restored = {**row, **row["decision"]["before"], "decision": None}
    if restored.get("parts") is None:  # the question was the seed's own
        restored.pop("parts", None)
    return restored


def stand(rows: Iterable[Mapping[str, Any]], book: Book) -> Standing:
    """Collect the decisions on these samples. If a sample was in several datasets, the latest decision counts."""
    records: dict[str, list[Kept]] = {}
    for kept in book.values():
        records.setdefault(kept.id, []).append(kept)
    standing = Standing()
    for row in rows:
        if (known := records.pop(row["id"], None)) is None:
            continue
        content = content_of(original(row))
        rulings = [made for kept in known if kept.content == content and (made := rule(kept.answers, kept.annotators))]
        if rulings:
            standing.rulings[row["id"]] = max(rulings, key=lambda ruling: ruling.when)
        elif any(kept.content == content and not kept.gone for kept in known):
            standing.open.add(row["id"])
        elif any(rule(kept.answers, kept.annotators) for kept in known):
            standing.outdated.add(row["id"])
    standing.outdated |= {sample for sample, known in records.items() if any(rule(kept.answers, kept.annotators) for kept in known)}
    return standing


class Applying:
    """Applies the stored decisions to the samples of one run; `effect` counts the results."""

    def __init__(self, work: Work, book: Book) -> None:
        self._work = work
        self._seeds = {seed.id: seed for seed in work.seeds}
        self._standing = stand(work.rows(), book)
        self.effect = Effect()

    def rows(self) -> Iterator[Row]:
        """Yield the samples with the decisions, in their order."""
        edited = self._edited() if any(ruling.what == "edit" for ruling in self._standing.rulings.values()) else {}
        for row in self._work.rows():
            yield edited[row["id"]] if row["id"] in edited else self._settled(original(row))

    def _settled(self, row: Row) -> Row:
        """Return a sample whose text nobody changed, with its decision."""
        ruling = self._standing.rulings.get(row["id"])
        if ruling is None:
            if self._work.review.unreviewed == "drop" and row["status"] == "accepted" and row["id"] in self._standing.open:
                self.effect.dropped += 1
                return {**row, "status": "rejected", "reason": UNREVIEWED}
            return row
        self.effect.decided[ruling.what] += 1
        changed: Row = {}
        if ruling.what == "reject":
            changed = {"status": "rejected", "reason": REJECTED_BY_PEOPLE}
        elif ruling.what == "accept" and row["answer"]:
            changed = {"status": "accepted", "reason": None}
        return _with_decision(row, ruling, changed)

    def _edited(self) -> dict[str, Row]:
        """Return the edited samples, each checked as if it came after all others."""
        checks = self._work.load_checks()
        ordered = [check for check in checks if check.in_order]
        waiting: list[Row] = []
        for row in map(original, self._work.rows()):
            ruling = self._standing.rulings.get(row["id"])
            if ruling is not None and ruling.what == "edit" and (ruling.answer or row["answer"]):
                waiting.append(row)
            elif ordered and row["answer"] and (ruling.what == "accept" if ruling is not None else row["status"] == "accepted"):
                seed = self._seeds[row["seed_id"]]
                candidate = self._candidate(row, seed)
                for check in ordered:
                    check(candidate, seed)  # only `remember` is needed, but a check may remember only what it has just judged
                    check.remember(candidate)
        return {row["id"]: self._checked(row, self._standing.rulings[row["id"]], checks) for row in waiting}

    def _candidate(self, row: Row, seed: Seed) -> Candidate:
        """Return a sample as the candidate that it was, as far as the row tells."""
        return Candidate(
            *(0, row["id"], row["strategy"], row["seed_id"]),
            question=question_of(row, seed, self._work.task.prompt(seed.question)),
            prompt=row["question"],
            answer=row["answer"],
            final_answer=row["final_answer"],
            requests=tuple(row["requests"]),
            tokens=row.get("tokens", 0),
        )

    def _checked(self, row: Row, ruling: Ruling, checks: Sequence[Check]) -> Row:
        self.effect.decided["edit"] += 1
        seed = self._seeds[row["seed_id"]]
        candidate = self._candidate(row, seed)
        assert candidate.question is not None
        if ruling.question is not None:
            question = replace(candidate.question, text=ruling.question)
            candidate = replace(candidate, question=question, prompt=self._work.task.prompt(question))
        candidate = replace(candidate, answer=ruling.answer or row["answer"], answer_cut_off=False)
        candidate = self._judged(candidate, seed, checks)
        if candidate.status != "accepted":
            self.effect.failed_edits[candidate.reason or ""] += 1
        new = to_sample(candidate, seed)
        return _with_decision(row, ruling, {name: new.get(name) for name in CHANGED_BY_AN_EDIT if name in new or name in row})

    def _judged(self, candidate: Candidate, seed: Seed, checks: Sequence[Check]) -> Candidate:
        assert candidate.answer is not None and candidate.question is not None
        try:
            candidate = replace(candidate, final_answer=self._work.task.final_answer(candidate.answer, candidate.question))
        except SyntheticError:
            raise
        except Exception as error:  # the boundary: one unreadable answer must not end the command
            return candidate.fail(f"task broken: {type(error).__name__}: {error}")
        candidate = judged(candidate, [_verdict(check, candidate, seed) for check in checks if not check.in_order])
        if candidate.status == "accepted":
            ordered = [check for check in checks if check.in_order]
            candidate = judged(candidate, [*candidate.checks, *(check(candidate, seed) for check in ordered)])
            if candidate.status == "accepted":
                for check in ordered:
                    check.remember(candidate)
        return candidate


def _verdict(check: Check, candidate: Candidate, seed: Seed) -> Verdict:
    if check.asks:
        return replace(not_applicable("a person changed the text, and no model is asked about it again"), name=check.name)
    return check(candidate, seed)


def _with_decision(row: Row, ruling: Ruling, changed: Mapping[str, Any]) -> Row:
    different = {name: value for name, value in changed.items() if value != row.get(name)}
    decision = Decision(ruling.what, ruling.who, ruling.when, {name: row.get(name) for name in different}, different)
    return {**row, **different, "decision": asdict(decision) | {"who": list(ruling.who)}}
