"""The samples that people see: each policy, and that the same samples and seed give the same choice."""

from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.config import Select
from axolotl_synthetic.review.selection import Choice, choices, select
from axolotl_synthetic.review.signals import Signals


def choice(name, *, strategy="answer_augmentation", reason=None, **signals):
    return Choice(name, strategy, reason, Signals(**signals))


def chosen(among, policy, count=200, seed=42):
    return select(among, Select(policy=policy, count=count), seed)


def test_uncertain_takes_low_agreement_first_then_the_judge_then_dissent_then_rare_strategies():
    among = [
        choice("sure", agreement=1.0, score=5, dissent=0.0),
        choice("rare", agreement=1.0, score=5, dissent=0.0, strategy="new_question"),
        choice("disputed", agreement=1.0, score=5, dissent=0.3),
        choice("judged", agreement=1.0, score=4, dissent=0.0),
        choice("split", agreement=0.4, score=5, dissent=0.0),
        choice("far below", agreement=1.0, score=1, threshold=4, dissent=0.0),
    ]
    # Margins to the threshold of 4: judged 0, far below 3, all others 1.
    assert chosen(among, "uncertain") == ["split", "judged", "disputed", "rare", "sure", "far below"]


def test_without_a_rejected_score_the_lowest_that_passed_stands_for_the_threshold():
    among = [choice("best", score=5), choice("just", score=3), choice("good", score=4)]
    assert chosen(among, "uncertain") == ["just", "good", "best"]


def test_one_in_five_is_a_rejected_sample():
    among = [choice(f"a{n}", dissent=0.5 - n / 100) for n in range(20)]
    among += [choice(f"r{n}", reason="final_answer", dissent=0.5 - n / 100) for n in range(20)]
    first_ten = chosen(among, "uncertain", 10)
    assert first_ten == ["a0", "a1", "a2", "a3", "r0", "a4", "a5", "a6", "a7", "r1"]


def test_when_one_kind_runs_out_the_other_takes_its_places():
    among = [choice("a0"), choice("a1"), *(choice(f"r{n}", reason="format") for n in range(9))]
    assert len(chosen(among, "random", 8)) == 8
    assert len(chosen(among, "random", 50)) == 11


def test_exact_repetitions_are_not_worth_a_look_unless_asked_for():
    among = [choice("twice", reason="duplicate"), choice("once")]
    assert chosen(among, "uncertain") == chosen(among, "random") == ["once"]
    assert set(chosen(among, "stratified")) == set(chosen(among, "all")) == {"once", "twice"}


def test_stratified_takes_the_same_number_of_each_strategy_and_each_kind_of_rejection():
    among = [choice(f"a{n}") for n in range(50)]
    among += [choice(f"n{n}", strategy="new_question") for n in range(3)]
    among += [choice(f"r{n}", reason="final_answer") for n in range(50)]
    # 15 samples of three kinds: five each, and the two that new_question cannot fill go to the others.
    kinds = [name[0] for name in chosen(among, "stratified", 15)]
    assert (kinds.count("n"), kinds.count("a"), kinds.count("r")) == (3, 6, 6)


def test_all_takes_all_whatever_the_count_in_their_order():
    among = [choice("b", reason="format"), choice("a"), choice("c")]
    assert chosen(among, "all", 1) == ["b", "a", "c"]


def test_a_failed_sample_has_nothing_to_look_at():
    row = {"id": "x", "strategy": "s", "reason": None, "question": "2 + 2?", "checks": []}
    rows = [{**row, "status": "accepted"}, {**row, "status": "failed"}, {**row, "status": "rejected", "question": None}]
    assert len(choices(rows)) == 1


SAMPLES = st.lists(
    st.builds(
        Choice,
        st.integers(0, 999).map(str),
        st.sampled_from(["answer_augmentation", "new_question"]),
        st.sampled_from([None, None, "final_answer", "duplicate"]),
        st.builds(Signals, st.sampled_from([None, 0.4, 1.0]), st.sampled_from([None, 3.0, 5.0])),
    ),
    unique_by=lambda one: one.id,
    max_size=40,
)
POLICIES = st.sampled_from(["uncertain", "random", "stratified"])


@given(SAMPLES, POLICIES, st.integers(1, 30), st.integers(0, 5), st.randoms())
def test_the_order_of_the_samples_does_not_matter_and_no_sample_comes_twice(among, policy, count, seed, random):
    once = chosen(among, policy, count, seed)
    shuffled = list(among)
    random.shuffle(shuffled)
    assert chosen(shuffled, policy, count, seed) == once
    assert len(set(once)) == len(once) <= count


@given(SAMPLES, POLICIES, st.integers(1, 20), st.integers(0, 20))
def test_a_larger_count_contains_the_choice_of_a_smaller_one(among, policy, count, more):
    assert chosen(among, policy, count + more)[:count] == chosen(among, policy, count)


def test_another_seed_is_another_random_choice():
    among = [choice(str(n)) for n in range(100)]
    assert chosen(among, "random", 10, seed=1) != chosen(among, "random", 10, seed=2)
