"""A cap on the accepted samples of one seed."""

from axolotl_synthetic.checks import diversity
from axolotl_synthetic.checks.diversity import Options

from candidates import KEEPS, LONG_SEED, MATH, SEED, candidate


def test_after_so_many_accepted_samples_a_seed_has_enough_and_another_has_not():
    judge = diversity.make(MATH, KEEPS, Options(per_seed=2))
    for strategy in ("answer_augmentation", "new_question"):
        one = candidate(strategy=strategy)
        assert judge(one, SEED).passed is True
        judge.remember(one)
    verdict = judge(candidate(), SEED)
    assert (verdict.passed, verdict.detail) == (False, "the seed has 2 samples already, as many as it may have")
    assert judge(candidate(seed=LONG_SEED), LONG_SEED).passed is True


def test_what_was_rejected_does_not_count():
    judge = diversity.make(MATH, KEEPS, Options(per_seed=1))
    assert judge(candidate(), SEED).passed is True
    assert judge(candidate(), SEED).passed is True
