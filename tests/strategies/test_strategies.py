"""The three strategies: their calls, the order of these, and the result of unreadable replies."""

import asyncio

import pytest

from axolotl_synthetic.errors import RefusedCall
from axolotl_synthetic.records import STRATEGIES, Candidate, Question, Reply, Request, Seed
from axolotl_synthetic.strategies import WORKED_EXAMPLES, Source, load_strategies, worked_examples
from axolotl_synthetic.tasks import load_task

MATH = load_task("math")
SEED = Seed("s", Question("6 jars with 10 cards each. How many cards?"), "6 * 10 = 60\n#### 60")
REPLIES = {
    "answer": "6 * 10 = 60\n#### 60",
    "rephrase": "There are 6 jars and each holds 10 cards. How many cards are there?",
    "new_question": "There are 4 boxes with 5 pens each. How many pens are there?",
    "self_check": "Yes",
}


def run(
    name: str, replies: dict[str, object] | None = None, round_: int = 3, reuse_answer: bool = False
) -> tuple[Candidate, list[Request]]:
    asked: list[Request] = []
    said = {**REPLIES, **(replies or {})}

    async def ask(request: Request) -> Reply:
        asked.append(request)
        reply = said[request.purpose]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Reply) else Reply(reply)

    source = Source(SEED, (), round_, reuse_answer)
    made = asyncio.run(load_strategies()[name](Candidate(0, "id", name, SEED.id), source, MATH, ask))
    return made, asked


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("answer_augmentation", [("answer", "teacher")]),
        ("question_rephrase", [("rephrase", "augmenter"), ("answer", "teacher")]),
        ("new_question", [("new_question", "augmenter"), ("self_check", "augmenter"), ("answer", "teacher")]),
    ],
)
def test_the_calls_of_a_sample_are_the_papers(name, calls):
    made, asked = run(name)
    assert [(request.purpose, request.role) for request in asked] == calls
    assert load_strategies()[name].calls == len(calls)
    assert made.answer == REPLIES["answer"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_call_carries_the_round_as_its_sample_number(name):
    assert {request.sample for request in run(name, round_=7)[1]} == {7}


def test_answer_augmentation_keeps_the_question():
    assert run("answer_augmentation")[0].question == SEED.question


def test_question_rephrase_asks_the_teacher_the_reworded_question():
    made, asked = run("question_rephrase")
    assert made.prompt == REPLIES["rephrase"]
    assert REPLIES["rephrase"] in asked[-1].messages[-1]["content"]


def test_question_rephrase_can_keep_the_seeds_answer_and_save_the_second_call():
    made, asked = run("question_rephrase", reuse_answer=True)
    assert [request.purpose for request in asked] == ["rephrase"]
    assert (made.prompt, made.answer) == (REPLIES["rephrase"], SEED.answer)


def test_a_question_that_its_author_does_not_stand_by_is_not_answered():
    made, asked = run("new_question", {"self_check": "No"})
    assert [request.purpose for request in asked] == ["new_question", "self_check"]
    assert (made.answer, made.self_check, made.status) == (None, "No", None)


@pytest.mark.parametrize(("name", "purpose"), [("question_rephrase", "rephrase"), ("new_question", "new_question")])
@pytest.mark.parametrize("reply", [Reply("  "), Reply("There are 4 boxes with", "length")])
def test_a_question_that_cannot_be_read_fails_the_candidate_before_the_next_call(name, purpose, reply):
    made, asked = run(name, {purpose: reply})
    assert made.status == "failed"
    assert "holds no" in made.reason
    assert len(asked) == 1


def test_a_call_that_fails_is_the_engines_to_handle():
    with pytest.raises(RefusedCall):
        run("answer_augmentation", {"answer": RefusedCall("content_filter")})


def test_a_cut_off_answer_is_marked_for_the_checks():
    assert run("answer_augmentation", {"answer": Reply("6 * 10", "length")})[0].answer_cut_off


def test_an_answer_is_what_is_left_without_thoughts_and_is_counted_so():
    # 40 characters of thoughts and 10 of the answer: a fifth of the 50 tokens.
    made, _ = run("answer_augmentation", {"answer": Reply("<think>" + "t" * 40 + "</think>" + "a" * 10, completion_tokens=50)})
    assert (made.answer, made.answer_tokens) == ("a" * 10, 10)


@pytest.mark.parametrize(("name", "purpose"), [("question_rephrase", "rephrase"), ("new_question", "new_question")])
def test_a_question_is_read_behind_the_augmenters_thoughts_and_no_later_prompt_has_them(name, purpose):
    made, asked = run(name, {purpose: Reply(f"<think>hidden 77</think>\n{REPLIES[purpose]}<|im_end|>")})
    assert made.prompt == run(name)[0].prompt
    assert "hidden" not in str([request.messages for request in asked])


def test_a_judgement_is_read_behind_the_thoughts():
    made, asked = run("new_question", {"self_check": Reply("<think>Is it so? Yes</think>No")})
    assert (made.self_check, len(asked)) == ("No", 2)


def seeds(count: int, *, answered: bool = True) -> list[Seed]:
    return [Seed(str(number), Question(f"q{number}"), "#### 1" if answered else None) for number in range(count)]


def test_worked_examples_never_show_the_seed_itself():
    many = seeds(30)
    examples = worked_examples(many, 42)
    for seed in many:
        shown = examples.beside(seed)
        assert len(shown) == WORKED_EXAMPLES
        assert seed.id not in {one.id for one in shown}


def test_seeds_are_shown_the_same_examples_so_that_prompts_begin_alike():
    many = seeds(30)
    examples = worked_examples(many, 42)
    outside = [seed for seed in many if seed not in examples.drawn]
    assert len({examples.beside(seed) for seed in outside}) == 1


def test_seeds_without_answers_are_no_worked_examples():
    assert worked_examples(seeds(30, answered=False), 42).drawn == ()


def test_few_seeds_give_few_examples():
    two = seeds(2)
    assert [one.id for one in worked_examples(two, 42).beside(two[0])] == ["1"]


def labelled(*labels: str) -> list[Seed]:
    return [Seed(str(place), Question(f"q{place}"), label) for place, label in enumerate(labels)]


def kinds(seed: Seed) -> tuple[str, ...]:
    return (str(seed.answer),)


def test_of_labelled_texts_one_of_each_label_is_shown():
    many = labelled(*["common"] * 40, *"abcde")
    examples = worked_examples(many, 42, None, kinds)
    assert examples.shown == 6
    shown = [seed.answer for seed in examples.beside(many[0]) if seed.id != many[0].id]
    assert len(set(shown)) == 6


def test_more_examples_show_each_label_in_turn_and_of_very_many_labels_only_twelve():
    examples = worked_examples(labelled(*["a"] * 10, *["b"] * 10), 42, 6, kinds)
    assert sorted(str(seed.answer) for seed in examples.drawn[:6]) == ["a"] * 3 + ["b"] * 3
    assert worked_examples(labelled(*map(str, range(30))), 42, None, kinds).shown == 12
