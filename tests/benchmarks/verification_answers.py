"""Verification on real data, run by hand: gold answers must pass, wrong ones must be refused; also its speed.

    python tests/benchmarks/verification_answers.py --gsm8k train.jsonl --arc train.jsonl

GSM8K's rows have `question` and `answer`, ARC's `question`, `choices.text`, `choices.label` and `answerKey`. The data is not copied.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from axolotl_synthetic import config
from axolotl_synthetic.checks import DEFAULTS, load_checks
from axolotl_synthetic.checks.gold import as_candidate, failing_seeds
from axolotl_synthetic.checks.near_duplicate import NearDuplicates, Options
from axolotl_synthetic.checks.quantities import UNITS
from axolotl_synthetic.records import Candidate, Question, Seed, Verdict
from axolotl_synthetic.seeds import SeedSet, read_seeds
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.tasks import Task, load_task

KEEPS = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
HELD_OUT = 0.1
# Changes of number words, and other ways to write them; all in whole words.
CHANGED = {
    "three": "five", "four": "six", "five": "seven", "six": "eight", "seven": "nine", "eight": "six", "nine": "seven", "ten": "eleven",
    "twelve": "eleven", "fifteen": "sixteen", "twenty": "thirty", "twice": "three times", "double": "triple", "triple": "double",
    "half": "a third", "a quarter": "a fifth", "a dozen": "fifteen",
}  # fmt: skip
THE_SAME = (
    ("twice", "two times"), ("twice", "2 times"), ("twice as many", "double the number"), ("double", "twice"), ("triple", "three times"),
    ("half of", "50% of"), ("half", "one half"), ("a dozen", "12"), ("a dozen", "twelve"), ("two dozen", "24"), ("a quarter", "25%"),
    ("a third", "1/3"), ("two[ -]thirds", "2/3"), ("three[ -](quarters|fourths)", "75%"), ("one", "a"), ("a", "one"), ("the two", "both"),
    *((word, str(number)) for word, number in UNITS.items() if 2 <= number <= 10),
)  # fmt: skip
failures: list[str] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gsm8k", type=Path)
    parser.add_argument("--arc", type=Path)
    given = parser.parse_args()
    if given.gsm8k is None and given.arc is None:
        parser.error("give --gsm8k or --arc")
    if given.gsm8k is not None:
        gsm8k(given.gsm8k)
    if given.arc is not None:
        arc(given.arc)
    for failure in failures:
        print(f"NOT REACHED: {failure}")
    return 1 if failures else 0


def gsm8k(path: Path) -> None:
    task = load_task("math")
    seeds, rows = everything(task, path)
    print(f"GSM8K: {rows} rows, {len(seeds)} seeds")
    gold = candidates(seeds, task)
    judge = only("final_answer", task)
    right, seconds = timed(judge, gold, seeds)
    reach("gold answers that pass final_answer", sum(v.passed is True for v in right) / rows, 0.999)
    wrong = [with_answer(candidate, another_number(candidate.answer or ""), task) for candidate in gold]
    refused, more = timed(judge, wrong, seeds)
    reach("answers with the number changed that are refused", sum(v.passed is False for v in refused) / rows, 0.999)
    rate(2 * len(seeds), seconds + more)
    false_refusals(seeds, task)
    number_words(seeds, task)
    held_out(path, task)
    near_duplicates(seeds, task)


def arc(path: Path) -> None:
    task = load_task("multiple_choice")
    fields = {"question": "question", "choices": "choices.text", "labels": "choices.label", "answer": "answerKey"}
    seeds = [arc_seed(number, row) for number, row in enumerate(json_rows(path))]
    rows = len(seeds)
    print(f"ARC-Challenge: {rows} rows, {len(seeds)} seeds")
    judge = only("final_answer", task)
    right, seconds = timed(judge, candidates(seeds, task), seeds)
    reach("gold letters that pass final_answer", sum(v.passed is True for v in right) / rows, 1.0)
    others = [
        (with_answer(candidate, f"Answer: {label}", task), seed)
        for candidate, seed in zip(candidates(seeds, task), seeds, strict=True)
        for label in seed.question.labels
        if label != task.gold_answer(seed)
    ]
    refused, more = timed(judge, [one for one, _ in others], [seed for _, seed in others])
    reach(f"other letters ({len(others)}) that are refused", sum(v.passed is False for v in refused) / len(others), 1.0)
    rate(len(seeds) + len(others), seconds + more)
    false_refusals(seeds, task)
    held_out(path, task, fields)
    near_duplicates(seeds, task)


def json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        yield from map(json.loads, file)


def arc_seed(number: int, row: dict[str, Any]) -> Seed:
    """Return an ARC seed, made here because one question occurs twice in the data and the package would use it once."""
    choices, labels = tuple(row["choices"]["text"]), tuple(row["choices"]["label"])
    return Seed(f"row-{number + 1}", Question(row["question"], choices, labels), row["answerKey"])


def everything(task: Task, path: Path, fields: dict[str, str] | None = None) -> tuple[tuple[Seed, ...], int]:
    """Return all seeds and the number of rows; an unusable row counts as a gold answer that does not pass."""
    found = read(task, path, fields, holdout=0)
    for problem in found.problems:
        print(f"  {problem}")
    with open(path, encoding="utf-8") as file:
        return found.seeds, sum(1 for _ in file)


def read(task: Task, path: Path, fields: dict[str, str] | None, holdout: float) -> SeedSet:
    block = {"path": str(path), "holdout": holdout} | ({"fields": fields} if fields else {})
    settings = config.Seeds.model_validate(block)
    return read_seeds(settings, required=task.required, optional=task.optional, problem=task.problem, seed=42)


def candidates(seeds: Sequence[Seed], task: Task) -> list[Candidate]:
    return [candidate for seed in seeds if (candidate := as_candidate(seed, task)) is not None]


def with_answer(candidate: Candidate, answer: str, task: Task) -> Candidate:
    assert candidate.question is not None
    return replace(candidate, answer=answer, final_answer=task.final_answer(answer, candidate.question))


def another_number(answer: str) -> str:
    """Return the worked answer with its last number increased by one, without thousands' separators."""
    match = list(re.finditer(r"-?\d[\d,]*(?:\.\d+)?", answer))[-1]
    value = float(match[0].replace(",", "")) + 1
    return f"{answer[: match.start()]}{value:.10g}{answer[match.end() :]}"


def only(name: str, task: Task) -> Callable[[Candidate, Seed], Verdict]:
    [check] = load_checks([name], task, KEEPS)
    return check


def timed(judge: Callable[[Candidate, Seed], Verdict], some: Sequence[Candidate], seeds: Sequence[Seed]) -> tuple[list[Verdict], float]:
    """Return the verdicts and the seconds for reading the final answers and judging."""
    task = load_task("multiple_choice" if seeds[0].question.choices else "math")
    began = time.perf_counter()
    verdicts = [judge(with_answer(one, one.answer or "", task), seed) for one, seed in zip(some, seeds, strict=True)]
    return verdicts, time.perf_counter() - began


def false_refusals(seeds: Sequence[Seed], task: Task) -> None:
    """Apply each default check to the gold pairs, as answers to the seeds' questions and as samples with their own question."""
    checks = [check for check in load_checks(None, task, KEEPS, seeds=seeds) if not check.in_order]
    print(f"  defaults: {', '.join(DEFAULTS)}")
    gold = candidates(seeds, task)
    for strategy in KEEPS:
        began = time.perf_counter()
        refused: Counter[str] = Counter()
        for candidate, seed in zip(gold, seeds, strict=True):
            question = candidate.question
            assert question is not None
            own = question if strategy == "answer_augmentation" else replace(question, text=f"{question.text} ")
            for verdict in [check(replace(candidate, strategy=strategy, question=own), seed) for check in checks]:
                # The seed's own question as a reply is a copy, and is refused as such.
                if verdict.passed is False and "a copy of the seed" not in verdict.detail:
                    refused[verdict.name] += 1
                    if refused.total() <= 5:
                        print(f"    {seed.id} {verdict.name}: {verdict.detail[:200]}")
        seconds = time.perf_counter() - began
        print(f"  false refusals as {strategy}: {dict(refused) or 'none'} ({len(gold) / seconds:,.0f} a second, all checks together)")
    began = time.perf_counter()
    failing = list(failing_seeds(seeds, task, checks))
    print(f"  seeds that fail before a run: {len(failing)} of {len(seeds)}, found in {time.perf_counter() - began:.1f} s")


def number_words(seeds: Sequence[Seed], task: Task) -> None:
    """Refuse questions with one number word changed, but accept those that write it in another way."""
    judge = only("rephrase_fidelity", task)

    def refused(seed: Seed, text: str) -> bool:
        own = replace(seed.question, text=f"Consider this. {text}")
        return judge(Candidate(0, "x", "question_rephrase", seed.id, question=own), seed).passed is False

    found: dict[str, list[bool]] = {word: [] for word in CHANGED}
    for word, other in CHANGED.items():
        for seed in seeds:
            text = seed.question.text
            places = re.finditer(rf"(?<![\w-]){word}(?![\w-])", text, re.IGNORECASE)
            found[word] += [refused(seed, text[: place.start()] + other + text[place.end() :]) for place in places]
    shares = ", ".join(f"{word} {sum(each)}/{len(each)}" for word, each in found.items())
    everywhere = [one for each in found.values() for one in each]
    print(f"  a changed number word is refused: {sum(everywhere)}/{len(everywhere)} ({sum(everywhere) / len(everywhere):.1%}); {shares}")
    same = [
        (seed, text)
        for word, other in THE_SAME
        for seed in seeds
        if (text := re.sub(rf"(?<![\w-]){word}(?![\w-])", other, seed.question.text, flags=re.IGNORECASE)) != seed.question.text
    ]
    wrongly = [text for seed, text in same if refused(seed, text)]
    print(f"  one that is only written in another way: {len(wrongly)} of {len(same):,} refused")
    for text in wrongly[:3]:
        print(f"    {text[:200]}")


def held_out(path: Path, task: Task, fields: dict[str, str] | None = None) -> None:
    """Count the seeds that reveal a held-out tenth of their own kind."""
    found = read(task, path, fields, HELD_OUT)
    began = time.perf_counter()
    checks = load_checks(["decontamination"], task, KEEPS, held_out=found.held_out)
    failing = list(failing_seeds(found.seeds, task, checks))
    seconds = time.perf_counter() - began
    print(f"  with {len(found.held_out)} held out: {len(failing)} of {len(found.seeds)} seeds give one away ({seconds:.1f} s)")
    for seed, verdict in failing[:12]:
        print(f"    {seed.id}: {verdict.detail[:240]}")


def near_duplicates(seeds: Sequence[Seed], task: Task) -> None:
    """Count the data's own questions that are near duplicates of an earlier one."""
    for threshold in (0.7, 0.8, 0.9):
        check = NearDuplicates(Options(threshold=threshold), ())
        found = []
        for candidate, seed in zip(candidates(seeds, task), seeds, strict=True):
            own = replace(candidate, id=seed.id, strategy="new_question", question=replace(seed.question, text=f"{seed.question.text} "))
            verdict = check(own, seed)
            if verdict.passed is False:
                found.append((seed, verdict))
            else:
                check.remember(own)
        print(f"  near_duplicate at {threshold}: {len(found)} of {len(seeds)} refused")
        for seed, verdict in found[:3]:
            print(f"    {seed.id}: {verdict.detail[:200]}")


def reach(what: str, share: float, goal: float) -> None:
    print(f"  {what}: {share:.4%} (goal {goal:.1%})")
    if share < goal:
        failures.append(f"{what}: {share:.4%}, goal {goal:.1%}")


def rate(verdicts: int, seconds: float) -> None:
    print(f"  final answers read and judged: {verdicts / seconds:,.0f} a second (goal 2,000)")
    if verdicts / seconds < 2_000:
        failures.append(f"{verdicts / seconds:,.0f} verdicts a second, goal 2,000")


if __name__ == "__main__":
    sys.exit(main())
