"""One pass over the samples: the counts are right, and only a few samples are kept."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.checks import self_consistency
from axolotl_synthetic.report import samples

from candidates import KEEPS, MATH, SEED, candidate
from reportable import ROWS, row


def test_candidates_are_counted_by_strategy_end_and_reason():
    found = samples.gather(ROWS)
    assert found.planned == 7
    assert found.ends == {
        ("answer_augmentation", "accepted", ""): 1,
        ("answer_augmentation", "rejected", "final_answer"): 1,
        ("answer_augmentation", "failed", "timeout"): 1,
        ("question_rephrase", "accepted", ""): 1,
        ("question_rephrase", "rejected", "format"): 1,
        ("question_rephrase", "rejected", "self_consistency"): 1,
        ("new_question", "accepted", ""): 1,
    }
    assert (found.count("accepted"), found.count("rejected"), found.count("failed")) == (3, 3, 1)
    assert found.count("rejected", "question_rephrase") == 2


def test_strategies_stand_in_the_packages_order_and_those_of_others_behind():
    rows = [row(0, name, "accepted") for name in ("zigzag", "new_question", "answer_augmentation")]
    assert samples.gather(rows).strategies == ["answer_augmentation", "new_question", "zigzag"]


def test_verdicts_are_counted_by_check_with_those_that_did_not_apply():
    verdicts = samples.gather(ROWS).verdicts
    assert verdicts["format"] == Counter({True: 5, False: 1})
    assert verdicts["final_answer"] == Counter({True: 1, False: 1, None: 1})


def test_words_are_counted_of_accepted_questions_and_of_all_answers_but_failed_ones():
    rows = [
        row(0, "new_question", "accepted", question="What is 5 plus 6?", answer="It is 11."),
        row(1, "new_question", "rejected", "format", question="two words", answer=""),
        row(2, "new_question", "failed", "timeout", answer="cut"),
    ]
    found = samples.gather(rows)
    assert found.question_words == {"new_question": Counter({5: 1})}
    assert found.answer_words == {("new_question", True): Counter({3: 1}), ("new_question", False): Counter({0: 1})}


def test_agreement_and_decisions_are_read_out_of_the_rows():
    found = samples.gather(ROWS)
    assert found.agreement == {(4, 5, True): 1, (2, 5, False): 1}
    assert found.decisions == {"edit": 1}


def test_the_votes_are_counted_as_the_check_gives_them():
    judge = self_consistency.make(MATH, KEEPS)
    for votes, expected in ((("60", "60", "7"), (2, 3)), (("60", "7"), (1, 2)), ((None, None), (0, 2))):
        data = judge(candidate(votes=votes), SEED).data
        assert (data["agree"], data["of"]) == expected
    assert judge(candidate(), SEED).data == {}


def test_different_questions_are_counted_once():
    found = samples.gather([row(number, "answer_augmentation", "accepted") for number in range(6)])
    assert len(found.asked["answer_augmentation"]) == 2
    assert len(found.compared["answer_augmentation"].kept) == 6


@given(st.integers(0, 60), st.integers(1, 20))
def test_a_draw_keeps_as_many_as_it_may_and_nothing_twice(offered, size):
    draw = samples.Draw(size)
    for number in range(offered):
        draw.offer(number)
    assert len(draw.kept) == len(set(draw.kept)) == min(offered, size)
    assert set(draw.kept) <= set(range(offered))


def test_a_draw_takes_the_last_as_often_as_the_first():
    # 2,000 draws of 1 of 4: 500 of each expected; five standard deviations are 5 * sqrt(2000 * 1/4 * 3/4) = 97.
    seen: Counter[int] = Counter()
    one = samples.Draw(1)
    for _ in range(2000):
        one.kept, one._seen = [], 0
        for number in range(4):
            one.offer(number)
        seen[one.kept[0]] += 1
    assert all(abs(seen[number] - 500) < 97 for number in range(4))


def test_labels_are_counted_where_the_final_answers_are_labels():
    rows = [
        row(0, "new_question", "accepted", final_answer="billing"),
        row(1, "new_question", "rejected", "final_answer", final_answer="billing"),
        row(2, "new_question", "rejected", "format", final_answer=None),
    ]
    assert samples.gather(rows, labelled=True).labels == {"billing": Counter({"accepted": 1, "rejected": 1})}
    assert samples.gather(rows).labels == {}
