"""Seconds and memory of near_duplicate and decontamination on many generated questions, run by hand. It reads no data, calls no model.

    python tests/benchmarks/verification_scale.py [--samples 200000] [--held-out 1319] [--kind varied|pattern]

`varied` questions are made of recurring sentences, like a model's. `pattern` questions are a single sentence with other numbers and
names: the worst case for banded MinHash, since they share most of their runs of words. One in fifty is a near duplicate of an earlier one,
and one in a hundred reveals a held-out question; the script prints how many are found.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator

from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.records import NEW_QUESTION, Candidate, Question, Seed
from axolotl_synthetic.tasks import load_task

NAMES = "Ada Ben Chen Dina Emil Fatima Goran Hana Ivo Jara Kofi Lena Milan Noor Olga Pablo Quinn Rosa Sami Tove".split()  # noqa: SIM905
THINGS = (
    "cards coins marbles stamps pens shells beads buttons apples pears plums books bricks eggs tiles ribbons bolts keys seeds maps".split()  # noqa: SIM905
)
PLACES = "market school garden station library kitchen harbour office museum workshop stadium bakery farm theatre".split()  # noqa: SIM905
VERBS = "buys sells finds loses packs paints counts sorts trades borrows lends collects wraps carries".split()  # noqa: SIM905
GOAL_SECONDS, GOAL_MB, GOAL_FOUND = 60.0, 1_000.0, 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--held-out", type=int, default=1_319, help="as many as GSM8K's test set has")
    parser.add_argument("--kind", choices=("varied", "pattern"), default="varied")
    given = parser.parse_args()
    draw = random.Random(7)
    task = load_task("math")
    make = varied if given.kind == "varied" else pattern
    # Questions of one pattern all share more than 13 words; held out, they would leave nothing to compare.
    held_out = [seed(*varied(draw)) for _ in range(given.held_out)]
    samples = list(generated(given.samples, make, held_out, draw))
    words = sum(len(f"{one.prompt} {one.answer}".split()) for one, _ in samples) / len(samples)
    # A run keeps no samples except those in progress, so the garbage collector's passes over these belong to the benchmark.
    gc.collect()
    gc.freeze()
    before = resident_mb()
    began, cpu = time.perf_counter(), time.process_time()
    decontaminate, near = load_checks(
        ["near_duplicate", "decontamination"], task, {NEW_QUESTION: False}, seeds=held_out[:100], held_out=held_out
    )
    found: Counter[tuple[str, str]] = Counter()
    spent: Counter[str] = Counter()
    for candidate, kind in samples:
        at = time.perf_counter()
        clean = decontaminate(candidate, held_out[0]).passed
        spent["decontamination"] += time.perf_counter() - at  # type: ignore[assignment]
        found[kind, "decontamination"] += not clean
        if clean:
            at = time.perf_counter()
            if near(candidate, held_out[0]).passed:
                near.remember(candidate)
            else:
                found[kind, "near_duplicate"] += 1
            spent["near_duplicate"] += time.perf_counter() - at  # type: ignore[assignment]
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kinds = Counter(kind for _, kind in samples)
    print(f"{len(samples):,} {given.kind} questions with answers, {words:.0f} words each, {len(held_out):,} held out")
    parts = ", ".join(f"{name} {value:.1f}" for name, value in spent.items())
    print(f"  {seconds:.1f} s ({parts}; {cpu:.1f} s of CPU; goal {GOAL_SECONDS:.0f})")
    print(f"  memory: the checks took {resident_mb() - before:,.0f} MB, the process's peak with all samples in it was {peak:,.0f} MB")
    caught = {kind: sum(found[kind, name] for name in ("decontamination", "near_duplicate")) / kinds[kind] for kind in kinds}
    for kind, share in sorted(caught.items()):
        print(f"  {kind}: {kinds[kind]:,}, refused {share:.2%}")
    reached = seconds < GOAL_SECONDS and peak < GOAL_MB and min(caught["near"], caught["given away"]) >= GOAL_FOUND
    print("reached" if reached else "NOT REACHED")
    return 0 if reached else 1


def generated(number: int, make, held_out: list[Seed], draw: random.Random) -> Iterator[tuple[Candidate, str]]:  # type: ignore[no-untyped-def]
    earlier: list[tuple[str, str]] = []
    for at in range(number):
        if at % 100 == 99:
            question, answer, kind = almost(draw.choice(held_out).question.text, draw), make(draw)[1], "given away"
        elif at % 50 == 49:
            (question, answer), kind = draw.choice(earlier), "near"
            question = almost(question, draw)
        else:
            (question, answer), kind = make(draw), "new"
            if len(earlier) < 10_000:
                earlier.append((question, answer))
        yield Candidate(at, str(at), NEW_QUESTION, "s", question=Question(question), prompt=question, answer=answer, final_answer="1"), kind


def varied(draw: random.Random) -> tuple[str, str]:
    """Return a question of four sentences and a worked answer of three lines."""
    name, thing = draw.choice(NAMES), draw.choice(THINGS)
    sentences = [
        f"{draw.choice(NAMES)} {draw.choice(VERBS)} {draw.randrange(2, 99)} {draw.choice(THINGS)} and {draw.randrange(2, 99)}"
        f" {draw.choice(THINGS)} at the {draw.choice(PLACES)} near the {draw.choice(PLACES)}."
        for _ in range(3)
    ]
    question = " ".join([*sentences, f"How many {thing} does {name} have in the end?"])
    lines = [f"{name} has {draw.randrange(99)} + {draw.randrange(99)} = {draw.randrange(200)} {draw.choice(THINGS)}." for _ in range(3)]
    return question, "\n".join([*lines, f"#### {draw.randrange(500)}"])


def pattern(draw: random.Random) -> tuple[str, str]:
    """Return one long sentence with three numbers, a name and a thing; two of them share about half of their runs."""
    one, two, name, thing = draw.randrange(2, 9_999), draw.randrange(2, 9_999), draw.choice(NAMES), draw.choice(THINGS)
    question = (
        f"At the start of the week {name} has {one} boxes in the back of the shop, and each of these boxes holds exactly {two} {thing}"
        f" that were delivered on Monday morning by the usual van. If nothing is sold before the weekend and nobody takes anything out of"
        f" the boxes, how many {thing} are there altogether in the back of the shop of {name}?"
    )
    return question, f"Each of the {one} boxes holds {two} {thing}: {one} * {two} = {one * two}.\n#### {one * two}"


def almost(text: str, draw: random.Random) -> str:
    """Change the text's first word and append one: most runs of three words stay the same."""
    words = text.split()
    return " ".join([draw.choice(NAMES), *words[1:], "Say."])


def seed(question: str, answer: str) -> Seed:
    return Seed(str(abs(hash(question)))[:12], Question(question), answer)


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


if __name__ == "__main__":
    sys.exit(main())
