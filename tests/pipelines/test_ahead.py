"""Rounds that are asked ahead of their decision: the same candidates as without, in a few waves."""

from __future__ import annotations

import random
import time

import pytest

from axolotl_synthetic.pipelines.ahead import Ahead
from axolotl_synthetic.pipelines.exhaustion import Exhaustion
from axolotl_synthetic.records import ANSWER_AUGMENTATION, Candidate

Texts = dict[str, list[bytes]]
"""Texts of each seed's rounds."""


def candidate(seed: str, round: int) -> Candidate:
    return Candidate(round, f"{seed}-{round}", ANSWER_AUGMENTATION, seed)


def one_by_one(texts: Texts) -> set[str]:
    """Return the candidates of a run in which each ends before the next begins."""
    exhaustion = Exhaustion(lambda seed: None, len(texts), 1)
    made = set()
    for round in range(len(next(iter(texts.values())))):
        for seed, said in texts.items():
            if not exhaustion.decide(ANSWER_AUGMENTATION, seed, round):
                exhaustion.started(ANSWER_AUGMENTATION, seed, round)
                exhaustion.ended(ANSWER_AUGMENTATION, seed, round, said[round])
                made.add(f"{seed}-{round}")
    return made


def in_waves(texts: Texts, draw: random.Random, late: float = 0.0) -> tuple[set[str], list[int]]:
    """Run in waves: start all that may start, end them in any order, some a wave later. Return the candidates and the waves' sizes."""
    exhaustion = Exhaustion(lambda seed: None, len(texts), 1)
    ahead = Ahead(exhaustion)
    plan = [(seed, round) for round in range(len(next(iter(texts.values())))) for seed in texts]
    made: list[str] = []
    waves: list[int] = []
    under_way: list[tuple[str, int]] = []
    at = 0
    while at < len(plan) or under_way:
        wave = 0
        while at < len(plan) and (may := ahead.may_start((ANSWER_AUGMENTATION, plan[at][0]), plan[at][1])) is not None:
            if may:
                under_way.append(plan[at])
                wave += 1
            at += 1
        waves.append(wave)
        draw.shuffle(under_way)
        keep = int(len(under_way) * late) if wave else 0
        ended, under_way = under_way[keep:], under_way[:keep]
        for seed, round in ended:
            exhaustion.ended(ANSWER_AUGMENTATION, seed, round, texts[seed][round])
            made += [one.id for one, is_ours in ahead.ended((ANSWER_AUGMENTATION, seed), round, candidate(seed, round)) if is_ours]
    assert len(made) == len(set(made))
    return set(made), waves


@pytest.mark.parametrize("late", [0.0, 0.3])
@pytest.mark.parametrize("seeds", [1, 7, 60, 700])
def test_the_candidates_are_those_of_a_run_without_waves(seeds, late):
    draw = random.Random(seeds)
    rounds = min(600, 12_000 // seeds)
    # Some seeds have one or two different texts, some repeat themselves after a while, and some are always new.
    texts: Texts = {}
    for number in range(seeds):
        variety = draw.choice([1, 2, 5, rounds // 3 + 1, 10 * rounds])
        texts[f"s{number}"] = [b"%d" % draw.randrange(variety) if variety < 10 * rounds else b"%d" % round for round in range(rounds)]
    made, _ = in_waves(texts, draw, late)
    assert made == one_by_one(texts)


def test_seeds_that_always_say_something_new_take_a_few_waves_and_not_one_for_every_two_rounds():
    texts = {f"s{number}": [b"%d" % round for round in range(40)] for number in range(1_000)}
    made, waves = in_waves(texts, random.Random(1))
    assert len(made) == 40_000
    # Three rounds can be asked at once, and then as many as have ended.
    assert waves == [3_000, 3_000, 6_000, 12_000, 16_000]


def test_a_single_seed_with_many_rounds_takes_no_time_that_grows_with_their_square():
    texts = {"s": [b"%d" % round for round in range(40_000)]}
    began = time.process_time()
    made, waves = in_waves(texts, random.Random(1))
    assert (len(made), len(waves)) == (40_000, 8)
    # It takes a second; a loop over all open rounds took minutes.
    assert time.process_time() - began < 20


def test_a_seed_that_repeats_itself_is_asked_at_most_twice_as_often():
    exhaustion = Exhaustion(lambda seed: None, 600, 1)
    ahead, name, started = Ahead(exhaustion), (ANSWER_AUGMENTATION, "s"), []
    for _ in range(5):
        wave = []
        while ahead.may_start(name, len(started)):
            wave.append(len(started))
            started.append(len(started))
        for round in wave:
            exhaustion.ended(*name, round, b"the same")
            ahead.ended(name, round, candidate("s", round))
    # Rounds 1 to 3 say nothing new, which decides the fourth, as the lag is one round: three are asked, and three ahead.
    assert started == list(range(6))
