"""The decision: hand-computed cases from the paper's numbers, its laws, and its explanation.

The cases are computed as follows. The budget ratio r is samples / seeds. The lead changes between 27 and 51 at 100 seeds, whose geometric
mean is 37.1; at 17.6 for 1,000 and at 16.4 for 7,473. Between these the middle is interpolated on a straight line over log |S|; outside
it is constant. The band reaches from middle / 1.374 to middle * 1.374, where 1.374 is the square root of 51 / 27. Below it all samples are
answers, above it all are new prompts, and within it the share of new prompts is ln(r / low) / ln(51 / 27), rounded to hundredths.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.plan import Case, Plan, decide
from axolotl_synthetic.plan.augmenter import billions, strength
from axolotl_synthetic.plan.costs import CALLS, Length, assume
from axolotl_synthetic.plan.crossing import band, crossover, seeds_for_answers, share_of_new_prompts
from axolotl_synthetic.strategies import load_strategies

DECISION = (Path(__file__).parents[1] / "plugin" / "docs" / "decision.md").read_text(encoding="utf-8")
LENGTHS = {
    "answer": Length(prompt=400, completion=100, worst_prompt=1_800),
    "rephrase": Length(prompt=100, completion=25, worst_prompt=600),
    "new_question": Length(prompt=200, completion=25, worst_prompt=1_000),
    "self_check": Length(prompt=80, completion=40, worst_prompt=500),
}
PRICE = {"input": 1.0, "output": 2.0}


def plan(seeds: int, calls=None, student=None, checkable=True, answered=1.0, solutions=None, one_answer=False, **block) -> Plan:
    settings = load_settings({"teacher": {"model": "Big-70B", "price": PRICE}, **block})
    augmenter = settings.model_for("augmenter").model
    case = Case(seeds, "Big-70B", augmenter, student, checkable, answered, solutions, one_answer)
    return decide(settings, case, assume(settings, LENGTHS, calls))


def shares(seeds: int, **block) -> dict[str, float]:
    return dict(plan(seeds, **block).strategy)


WEAK = {"model": "Big-70B", "strength": "weak", "price": PRICE}

# |S|, Q, and the share of new prompts. The bands: 27 to 51 up to 100 seeds; 300 seeds: 37.1 - 19.5 * 0.477 = 27.8, so 20.2 to 38.2;
# 1,000: 12.8 to 24.2; 2,000: 17.6 - 1.2 * 0.345 = 17.2, so 12.5 to 23.6; 7,473 and more: 11.9 to 22.5.
CASES = [
    (10, 10, 0),  # r = 1
    (10, 100, 0),  # 10
    (10, 270, 0),  # 27, the band's end
    (10, 300, 0.17),  # 30: ln(30 / 27) / 0.636 = 0.105 / 0.636
    (10, 500, 0.97),  # 50: ln(50 / 27) / 0.636 = 0.616 / 0.636
    (10, 510, 1),  # 51, the band's other end
    (10, 1_000, 1),  # 100
    (10, 1_000_000, 1),  # 100,000
    (20, 400, 0),  # 20
    (20, 800, 0.62),  # 40: 0.393 / 0.636
    (20, 10_000, 1),  # 500
    (50, 1_000, 0),  # 20
    (50, 1_855, 0.5),  # 37.1, the middle
    (50, 100_000, 1),  # 2,000
    (100, 10, 0),  # 0.1
    (100, 1_000, 0),  # 10
    (100, 2_700, 0),  # 27
    (100, 3_000, 0.17),  # 30: "about 3k to 5k samples"
    (100, 3_711, 0.5),  # 37.1
    (100, 4_500, 0.8),  # 45: ln(45 / 27) / 0.636 = 0.511 / 0.636
    (100, 5_100, 1),  # 51
    (100, 10_000, 1),  # 100
    (100, 50_000, 1),  # 500: still improving there
    (100, 1_000_000, 1),  # 10,000
    (300, 6_000, 0),  # 20, below 20.2
    (300, 7_500, 0.33),  # 25: ln(25 / 20.23) / 0.636 = 0.212 / 0.636
    (300, 9_000, 0.62),  # 30: ln(30 / 20.23) / 0.636 = 0.394 / 0.636
    (300, 12_000, 1),  # 40, above 38.2
    (1_000, 10, 0),  # 0.01
    (1_000, 10_000, 0),  # 10
    (1_000, 12_800, 0),  # 12.8, and the band begins at 12.81
    (1_000, 15_000, 0.25),  # 15: ln(15 / 12.81) / 0.636 = 0.158 / 0.636
    (1_000, 17_600, 0.5),  # 17.6, the middle
    (1_000, 20_000, 0.7),  # 20: ln(20 / 12.81) / 0.636 = 0.446 / 0.636
    (1_000, 25_000, 1),  # 25, above 24.2
    (1_000, 100_000, 1),  # 100
    (1_000, 1_000_000, 1),  # 1,000
    (2_000, 20_000, 0),  # 10
    (2_000, 40_000, 0.74),  # 20: ln(20 / 12.51) / 0.636 = 0.470 / 0.636
    (2_000, 60_000, 1),  # 30
    (7_473, 10, 0),  # 0.001
    (7_473, 10_000, 0),  # 1.3
    (7_473, 74_730, 0),  # 10
    (7_473, 100_000, 0.18),  # 13.4: ln(13.38 / 11.93) / 0.636 = 0.115 / 0.636
    (7_473, 122_557, 0.5),  # 16.4, the middle
    (7_473, 150_000, 0.82),  # 20.1: ln(20.07 / 11.93) / 0.636 = 0.520 / 0.636
    (7_473, 200_000, 1),  # 26.8
    (7_473, 1_000_000, 1),  # 134
    (10_000, 10, 0),  # 0.001
    (10_000, 100_000, 0),  # 10
    (10_000, 200_000, 0.81),  # 20: ln(20 / 11.93) / 0.636 = 0.516 / 0.636
    (10_000, 1_000_000, 1),  # 100
]


@pytest.mark.parametrize("verify", [None, []], ids=["verified", "unverified"])
@pytest.mark.parametrize("augmenter", ["strong", "weak"])
@pytest.mark.parametrize(("seeds", "samples", "share"), CASES)
def test_the_decision_is_the_one_worked_out_by_hand(seeds, samples, share, augmenter, verify):
    # A weak augmenter rewords and a strong one invents; verification brought nothing significant, so it changes nothing.
    block = {"budget": {"samples": samples}, "verify": verify, "augmenter": WEAK if augmenter == "weak" else None}
    new_prompts = {"strong": "new_question", "weak": "question_rephrase"}[augmenter]
    expected = {"answer_augmentation": pytest.approx(1 - share), new_prompts: share}
    assert shares(seeds, **block) == {name: one for name, one in expected.items() if one != 0}


@pytest.mark.parametrize(
    ("budget", "augmenter", "share"),
    [
        # With 100 seeds: the calls, the new questions at 3 calls each, and their number per seed.
        ({"queries": 8_100}, None, 0),  # 2,700: 27
        ({"queries": 9_000}, None, 0.17),  # 3,000: 30
        ({"queries": 12_000}, None, 0.62),  # 4,000: 40
        ({"queries": 15_300}, None, 1),  # 5,100: 51
        # Reworded questions take 2.
        ({"queries": 5_400}, WEAK, 0),
        ({"queries": 8_000}, WEAK, 0.62),
        ({"queries": 10_200}, WEAK, 1),
        # Tokens: 200 + 25 for a question, 80 + 40 for its check, 400 + 100 for the answer are 845; the last needs room for 3 calls of
        # 1,000 + 512, that is 4,536, of which 3,691 stay unused: 4,000 * 845 + 3,691.
        ({"tokens": 4_000 * 845 + 3_691}, None, 0.62),
        # Dollars: (680 * 1 + 165 * 2) / 1e6 = 0.00101; the last needs 3 * (1,000 + 512 * 2) / 1e6 = 0.006072, 0.005062 more.
        ({"usd": 4_000 * 0.00101 + 0.005062}, None, 0.62),
        # The first limit counts.
        ({"samples": 100_000, "queries": 9_000}, None, 0.17),
        ({"samples": 3_000, "queries": 1_000_000}, None, 0.17),
    ],
)
def test_other_limits_count_in_new_prompts_that_they_buy(budget, augmenter, share):
    made = shares(100, budget=budget, augmenter=augmenter)
    assert 1 - made.get("answer_augmentation", 0) == pytest.approx(share)


def test_checks_that_ask_more_make_a_budget_of_calls_buy_less():
    # Five answers for a vote: 7 calls per new question. 21,000 calls are 3,000 of them, while 3 calls each would make 7,000.
    calls = {name: {**purposes, "answer": 5} for name, purposes in CALLS.items()}
    assert plan(100, budget={"queries": 21_000}).strategy == {"new_question": 1.0}
    assert plan(100, calls, budget={"queries": 21_000}).strategy == {"answer_augmentation": 0.83, "new_question": 0.17}


def test_the_calls_are_those_that_the_strategies_make():
    assert {name: sum(calls.values()) for name, calls in CALLS.items()} == {name: one.calls for name, one in load_strategies().items()}


@pytest.mark.parametrize(
    ("seeds", "middle", "low", "high"),
    [
        (100, 37.11, 27.0, 51.0),  # sqrt(27 * 51)
        (316, 27.36, 19.91, 37.60),  # halfway to 1,000 over the logarithm: (37.11 + 17.6) / 2
        (1_000, 17.6, 12.81, 24.19),
        (7_473, 16.4, 11.93, 22.54),
        (10, 37.11, 27.0, 51.0),  # outside the measured sizes: as at the nearest
        (1_000_000, 16.4, 11.93, 22.54),
    ],
)
def test_the_crossing_is_the_papers_and_lies_between_where_it_was_not_measured(seeds, middle, low, high):
    assert crossover(seeds) == pytest.approx(middle, abs=0.02)
    assert band(seeds) == pytest.approx((low, high), abs=0.02)


# Laws

SEEDS = st.integers(1, 20_000)
LIMITS = {
    "samples": st.integers(1, 10_000_000),
    "queries": st.integers(1, 10_000_000),
    "tokens": st.integers(1, 10**10),
    "usd": st.floats(0.001, 100_000),
}


@st.composite
def budgets(draw) -> tuple[dict, dict]:
    """Draw a budget, and one that is as large or larger in each of its limits."""
    names = draw(st.lists(st.sampled_from(sorted(LIMITS)), min_size=1, unique=True))
    small, large = {}, {}
    for name in names:
        small[name], large[name] = sorted((draw(LIMITS[name]), draw(LIMITS[name])))
    return small, large


@given(seeds=SEEDS, both=budgets(), weak=st.booleans())
def test_shares_add_up_and_a_larger_budget_never_takes_fewer_new_prompts(seeds, both, weak):
    made = [plan(seeds, budget=budget, augmenter=WEAK if weak else None) for budget in both]
    for one in made:
        assert sum(one.strategy.values()) == pytest.approx(1)
        assert all(0 < share <= 1 for share in one.strategy.values())
    less, more = (1 - one.strategy.get("answer_augmentation", 0.0) for one in made)
    assert less <= more
    assert made[0].budget_ratio <= made[1].budget_ratio


@given(seeds=st.lists(SEEDS, min_size=2, max_size=2).map(sorted), samples=LIMITS["samples"])
def test_the_same_samples_of_more_seeds_never_take_more_new_prompts(seeds, samples):
    few, many = (share_of_new_prompts(size, samples / size) for size in seeds)
    assert many <= few


@given(seeds=st.lists(SEEDS, min_size=2, max_size=2).map(sorted), ratio=st.floats(0.001, 100_000))
def test_the_same_ratio_with_more_seeds_never_takes_fewer_new_prompts(seeds, ratio):
    few, many = (share_of_new_prompts(size, ratio) for size in seeds)
    assert few <= many


# The augmenter


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("meta-llama/Llama-3.1-70B-Instruct", 70),
        ("meta-llama/Llama-2-7b-chat-hf", 7),
        ("SmolLM2-135M-Instruct", 0.135),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 56),
        ("mistralai/Mixtral-8x22B-v0.1", 176),
        ("Qwen/Qwen2.5-0.5B", 0.5),
        ("Qwen/Qwen2.5-7B-Instruct-1M", 7),  # the other is the context
        ("Qwen/Qwen3-30B-A3B", 30),  # the other is the active parameters
        ("llama3.1:8b", 8),
        ("TheBloke_vicuna_13B_4bit", 13),
        ("inclusionAI/Ling-1T", 1_000),
        ("gpt-4o-mini", None),
        ("microsoft/phi-3-mini-4k-instruct", None),
        ("Qwen1.5-MoE-A2.7B", None),
        ("", None),
    ],
)
def test_a_size_is_read_out_of_a_models_name(name, size):
    assert billions(name) == (None if size is None else pytest.approx(size))


@pytest.mark.parametrize(
    ("said", "augmenter", "teacher", "weak"),
    [
        (None, "Llama-3.1-8B", "Llama-3.1-70B", True),
        ("strong", "Llama-3.1-8B", "Llama-3.1-70B", False),
        ("weak", "Llama-3.1-70B", "Llama-3.1-8B", True),
        (None, "Llama-3.1-70B", "Llama-3.1-8B", False),
        (None, "Llama-3.1-70B", "Qwen2.5-70B", False),
        (None, "Llama-2-7b", "Mixtral-8x7B", True),
        (None, "SmolLM2-135M", "Qwen2.5-0.5B", True),
        (None, "gpt-4o-mini", "Llama-3.1-70B", False),  # unknown, so assumed to be strong
        (None, "Llama-2-7b", "gpt-4o", False),
        (None, "Llama-2-7b", "Llama-2-7b", False),
    ],
)
def test_an_augmenter_that_is_smaller_by_its_name_is_weak_unless_the_config_says_otherwise(said, augmenter, teacher, weak):
    assert strength(said, augmenter=augmenter, teacher=teacher).weak is weak


def test_what_is_not_known_of_an_augmenter_is_said():
    assert "no size is known of gpt-4o-mini" in strength(None, augmenter="gpt-4o-mini", teacher="Llama-3.1-70B").why
    assert "the paper's weak one was a 7B" in strength(None, augmenter="Llama-2-7b", teacher="Llama-2-7b").why
    assert "the paper" not in strength(None, augmenter="Llama-70b", teacher="Llama-70b").why


def test_a_smaller_augmenter_rewords_and_the_papers_loss_is_quoted():
    made = plan(100, budget={"samples": 10_000}, augmenter={"model": "Small-8B"})
    assert made.strategy == {"question_rephrase": 1.0}
    (why,) = [reason for reason in made.reasons if reason.startswith("augmenter")]
    assert "Small-8B is smaller than Big-70B" in why
    assert "about 15 %" in why
    assert plan(100, budget={"samples": 10_000}, augmenter={"model": "Small-8B", "strength": "strong"}).strategy == {"new_question": 1.0}


# A strategy that the user names


def test_a_strategy_that_the_user_names_is_left_alone_and_told_what_auto_would_take():
    named = {"answer_augmentation": 0.5, "new_question": 0.5, "question_rephrase": 0.0}
    made = plan(100, strategy=named, budget={"queries": 12_000})
    assert made.strategy == {"answer_augmentation": 0.5, "new_question": 0.5}
    assert made.budget_ratio == pytest.approx(60)  # 2 calls per sample on average: 6,000 samples
    assert made.reasons[0] == "the config names the strategy"
    assert made.reasons[1].startswith("`strategy: auto` would take answer_augmentation 38%, new_question 62%")


def test_new_questions_of_a_weak_augmenter_are_warned_of_when_the_user_names_them():
    assert any("about 15 %" in reason for reason in plan(100, strategy="new_question", augmenter=WEAK).reasons)
    assert not any("about 15 %" in reason for reason in plan(100, strategy="answer_augmentation", augmenter=WEAK).reasons)


# The words


def reasons(seeds: int, **block) -> str:
    return "\n".join(plan(seeds, **block).reasons)


@pytest.mark.parametrize(("seeds", "said"), [(20, True), (99, True), (100, False), (500, False), (7_473, False), (7_474, True)])
def test_a_number_of_seeds_outside_the_measured_ones_is_said(seeds, said):
    assert ("outside the 100 to 7,473" in reasons(seeds)) is said


@pytest.mark.parametrize(("seeds", "said"), [(100, False), (105, False), (300, True), (950, False), (3_000, True), (7_000, False)])
def test_a_number_of_seeds_between_the_measured_ones_is_said(seeds, said):
    assert (f"not measured: {seeds:,} seeds;" in reasons(seeds)) is said
    assert ("; 100 and 1,000 were\n" in reasons(seeds)) is (said and seeds < 1_000)
    assert "were were" not in reasons(seeds)


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("NousResearch/Llama-2-7b-chat-hf", "student: Llama 2 7B, the paper's own"),
        ("mistralai/Mistral-7B-v0.1", "about 12"),
        ("Qwen/Qwen2.5-0.5B", "not measured: the student Qwen/Qwen2.5-0.5B"),
        (None, "not measured: your student"),
    ],
)
def test_how_far_the_student_is_from_the_papers_is_said_and_decides_nothing(student, said):
    assert said in reasons(100, student=student)
    assert shares(1_000, student=student, budget={"samples": 17_600}) == {"answer_augmentation": 0.5, "new_question": 0.5}


@pytest.mark.parametrize(
    ("task", "said"), [("math", "GSM8K"), ("multiple_choice", "ARC-Challenge"), ("instruction", "not measured: the task instruction")]
)
def test_how_far_the_task_is_from_the_papers_is_said(task, said):
    assert said in next(reason for reason in plan(100, task=task).reasons if "task" in reason)


@pytest.mark.parametrize(("seeds", "said"), [(50, "much"), (1_000, "much"), (2_000, "less"), (7_473, "little")])
def test_how_much_the_choice_matters_is_said(seeds, said):
    assert f"the choice matters {said}" in reasons(seeds)


def test_the_finding_and_its_numbers_are_quoted():
    text = reasons(300, budget={"samples": 9_000})
    assert "27 to 51 samples a seed for 100 seeds, at 17.6 on average for 1,000, at 16.4 for the full sets" in text
    assert "27.8 for 300 seeds (interpolated over the logarithm of their number), 20.2 to 38.2" in text
    assert "9,000 samples / 300 seeds = 30.0" in text
    assert "inferred" in text
    assert "62% new questions" in text
    assert "our own choice" in text
    assert "beyond 50,000 samples" in reasons(100, budget={"samples": 10_000})


def test_a_ratio_beyond_the_papers_is_said():
    assert "more than 500 samples a seed" in reasons(10, budget={"samples": 6_000})
    assert "more than 500 samples a seed" not in reasons(10, budget={"samples": 5_000})


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({}, "wrong answers are dropped"),
        ({"verify": ["format"]}, "wrong answers stay in"),
        ({"verify": [{"final_answer": None}]}, "wrong answers are dropped"),
        ({"checkable": False, "task": "instruction"}, "cannot be told right from wrong"),
        ({"answered": 0.0}, "cannot be told right from wrong"),
    ],
)
def test_what_verification_changes_is_said(case, said):
    (text,) = [reason for reason in plan(100, **case).reasons if reason.startswith("verification")]
    assert said in text
    assert "about 10 %" in text


@pytest.mark.parametrize(
    ("case", "is_said"),
    [
        ({"solutions": 4}, True),
        ({"solutions": 40}, True),  # 200 / 40: five seeds per answer
        ({"solutions": 41}, False),
        ({"solutions": 4, "answered": 0.09}, False),  # 18 seeds have one
        ({"solutions": None}, False),
        ({"solutions": 4, "strategy": "question_rephrase"}, False),
        ({"solutions": 4, "strategy": {"answer_augmentation": 0.5, "new_question": 0.5}}, True),
        ({"solutions": 4, "budget": {"samples": 200 * 60}}, False),  # all new questions
    ],
)
def test_answers_out_of_a_small_set_are_warned_of_where_more_of_them_are_asked_for(case, is_said):
    said = " ".join(plan(200, **{"budget": {"samples": 300}, **case}).reasons)
    assert ("different ones among" in said) is is_said
    assert ("only 4 different ones among 200 seeds" in said) is (is_said and case["solutions"] == 4)


def test_a_limit_on_calls_shows_what_it_buys_of_either():
    text = reasons(100, budget={"queries": 12_000})
    assert (
        "4,000 samples / 100 seeds = 40.0, for the limit on queries buys so many new questions, at 3 calls each (1 call for an answer)"
        in text
    )


def test_what_costs_nothing_sets_no_end():
    # A free augmenter rewords, and the seeds' own answers are kept: no dollar is ever spent.
    free = {**WEAK, "price": {"input": 0.0, "output": 0.0}}
    calls = {**CALLS, "question_rephrase": {"rephrase": 1, "answer": 0}}
    made = plan(100, calls, augmenter=free, budget={"usd": 1.0})
    assert made.strategy == {"question_rephrase": 1.0}
    assert made.budget_ratio is None
    assert "costs nothing" in "\n".join(made.reasons)


def test_the_readmes_table_of_the_crossing_is_the_codes():
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d,]+) to ([\d,]+) \|$", DECISION, re.MULTILINE)
    assert len(rows) == 5
    for row in rows:
        seeds, low, middle, high, least, most = (float(number.replace(",", "")) for number in row)
        expected = (*band(int(seeds)), crossover(int(seeds)))
        assert (low, high, middle) == pytest.approx(expected, abs=0.051)
        assert (least, most) == pytest.approx((seeds * expected[0], seeds * expected[1]), abs=0.51)


@pytest.mark.parametrize(("samples", "warns"), [(1_900, False), (2_000, True)])
def test_twenty_answers_to_one_question_are_warned_of_where_none_is_right_or_wrong(samples, warns):
    made = plan(100, checkable=False, task="instruction", budget={"samples": samples})
    assert made.strategy == {"answer_augmentation": 1.0}
    said = [reason for reason in made.reasons if "answers to the same question" in reason]
    assert bool(said) is warns
    assert not warns or said[0].startswith("answers: this would mean about 20 answers to the same question, for each seed")


def test_a_named_strategy_is_warned_of_by_its_own_number_of_answers():
    # Half of 5,000 samples are answers: 25 for each of 100 seeds.
    shares = {"answer_augmentation": 0.5, "new_question": 0.5}
    made = plan(100, checkable=False, task="instruction", strategy=shares, budget={"samples": 5_000})
    assert any("about 25 answers to the same question" in reason for reason in made.reasons)


def test_many_answers_to_one_question_are_wanted_where_they_can_be_checked():
    made = plan(100, task="math", budget={"samples": 2_600})
    assert not any("answers to the same question" in reason for reason in made.reasons)


@pytest.mark.parametrize("samples", [50, 2_000, 50_000])
def test_where_a_question_has_one_answer_only_new_texts_are_made(samples):
    made = plan(100, one_answer=True, task="classification", budget={"samples": samples})
    assert made.strategy == {"new_question": 1.0}
    assert "a text has one label" in made.reasons[0]


# The evidence against the paper's crossing (arXiv 2607.01727)


@pytest.mark.parametrize(
    ("samples", "seeds", "wanted"),
    [
        # With 100 seeds answers lead up to a ratio of 27, which 2,700 samples do not exceed.
        (2_700, 100, 100),
        # 1,587 seeds: 17.6 - 1.2 * ln(1.587) / ln(7.473) = 17.324, so answers lead up to 17.324 / 1.3744 = 12.605; 20,000 / 1,587 = 12.602.
        (20_000, 1_000, 1_587),
        (50, 100, 100),
    ],
)
def test_so_many_seeds_make_answers_alone_the_better_choice(samples, seeds, wanted):
    found = seeds_for_answers(samples, seeds)
    assert found is not None
    assert samples / found <= band(found)[0]
    assert found == seeds or samples / (found - 1) > band(found - 1)[0]
    assert found == wanted


def test_without_a_limit_on_samples_no_number_of_seeds_is_enough():
    assert seeds_for_answers(math.inf, 100) is None


@pytest.mark.parametrize("strategy", ["auto", "new_question"])
def test_new_questions_at_a_high_ratio_are_said_to_be_contested_with_what_more_seeds_would_change(strategy):
    said = reasons(1_000, budget={"samples": 20_000}, strategy=strategy)
    assert "contested: arXiv 2607.01727" in said
    assert "by the rule 587 more real seeds would make answers alone the better choice here" in said
    assert "`axolotl synthetic study`" in said


@pytest.mark.parametrize(
    ("why", "seeds", "block"),
    [
        ("a low ratio", 1_000, {"budget": {"samples": 10_000}}),
        ("answers alone", 1_000, {"budget": {"samples": 20_000}, "strategy": "answer_augmentation"}),
        ("nothing to check", 1_000, {"budget": {"samples": 20_000}, "checkable": False}),
        ("labels", 1_000, {"budget": {"samples": 20_000}, "one_answer": True}),
    ],
)
def test_nothing_is_contested_with(why, seeds, block):
    assert "contested" not in reasons(seeds, **block)
