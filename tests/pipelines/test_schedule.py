"""The next candidate: shares hold at every moment, and a strategy's own sequence depends only on the seeds."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.pipelines.schedule import Planned, schedule
from axolotl_synthetic.records import Question, Seed

SEEDS = [Seed(f"s{number}", Question(f"question {number}")) for number in range(3)]


def take(count: int, shares: dict[str, float], seeds: list[Seed] = SEEDS) -> list[Planned]:
    return list(islice(schedule(seeds, shares), count))


@st.composite
def mixes(draw: st.DrawFn) -> dict[str, float]:
    parts = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=3).filter(any))
    return {f"strategy {place}": part / sum(parts) for place, part in enumerate(parts)}


@given(shares=mixes())
def test_after_any_number_of_candidates_each_strategy_is_within_one_of_its_share(shares):
    made = dict.fromkeys(shares, 0)
    for number, planned in enumerate(take(300, shares), start=1):
        made[planned.candidate.strategy] += 1
        for name, share in shares.items():
            assert abs(made[name] - share * number) < 1 + 1e-9


@given(shares=mixes(), count=st.integers(1, 100))
def test_the_sequence_of_a_strategy_does_not_depend_on_the_shares(shares, count):
    def sequence(planned: list[Planned], name: str) -> list[tuple[str, str, int]]:
        return [(one.candidate.id, one.seed.id, one.round) for one in planned if one.candidate.strategy == name]

    mixed = take(count, shares)
    for name in shares:
        of_the_mix = sequence(mixed, name)
        assert of_the_mix == sequence(take(len(of_the_mix), {name: 1.0}), name)


def test_a_strategy_goes_through_the_seeds_in_order_again_and_again():
    planned = take(7, {"one": 1.0})
    assert [one.seed.id for one in planned] == ["s0", "s1", "s2", "s0", "s1", "s2", "s0"]
    assert [one.round for one in planned] == [0, 0, 0, 1, 1, 1, 2]


def test_numbers_count_up_and_ids_never_repeat():
    planned = take(50, {"one": 0.5, "two": 0.3, "three": 0.2})
    assert [one.candidate.number for one in planned] == list(range(50))
    assert len({one.candidate.id for one in planned}) == 50


def test_three_quarters_and_a_quarter_take_turns():
    # Ties go to the first named: 0.75 and 0.25 lag; then 0.5 and 0.5 (a tie); then 0.25 and 0.75; then 1 and 0.
    assert [one.candidate.strategy for one in take(4, {"a": 0.75, "b": 0.25})] == ["a", "a", "b", "a"]


def test_a_share_of_zero_is_never_planned():
    assert {one.candidate.strategy for one in take(20, {"a": 1.0, "b": 0.0})} == {"a"}


def test_by_kind_every_kind_comes_as_often_and_its_seeds_take_turns():
    kinds = {"s0": ["rare"], "s1": ["common"], "s2": ["common"]}
    planned = list(islice(schedule(SEEDS, {"one": 1.0}, lambda seed: kinds[seed.id]), 6))
    assert [one.seed.id for one in planned] == ["s1", "s0", "s2", "s0", "s1", "s0"]
    assert [one.round for one in planned] == [0, 0, 0, 1, 1, 2]
    assert len({one.candidate.id for one in planned}) == 6


def test_a_seed_of_two_kinds_counts_as_both_and_one_of_none_is_left_out():
    kinds = {"s0": ["a", "b"], "s1": ["b"], "s2": []}
    planned = list(islice(schedule(SEEDS, {"one": 1.0}, lambda seed: kinds[seed.id]), 3))
    assert [one.seed.id for one in planned] == ["s0", "s0", "s0"]


def test_without_any_kinds_every_seed_comes_as_often():
    planned = list(islice(schedule(SEEDS, {"one": 1.0}, lambda seed: ()), 4))
    assert [one.seed.id for one in planned] == ["s0", "s1", "s2", "s0"]
