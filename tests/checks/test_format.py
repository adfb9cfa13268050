"""The check `format`: an answer must be present, complete, in form, not a refusal, and in the seed's language; right ones pass."""

import pytest

from axolotl_synthetic.checks import format
from axolotl_synthetic.checks.format import Options
from axolotl_synthetic.records import Question, Seed

from candidates import CHOICES, INSTRUCTION, KEEPS, LONG_SEED, MATH, SEED, STEM, TALK, candidate

IN_FRENCH = "En été elle a vendu la moitié de quarante-huit, donc vingt-quatre tasses. En tout elle a vendu 72 tasses.\n#### 72"


def judged(made, seed=SEED, task=MATH, **options):
    return format.make(task, KEEPS, Options(**options))(made, seed)


def talk(answer: str, strategy: str = "answer_augmentation", seed: Seed = TALK, **options):
    return judged(candidate(answer, strategy, seed=seed, task=INSTRUCTION), seed, INSTRUCTION, **options)


# Present, complete, and in form


def test_an_answer_with_a_marked_value_has_the_form():
    assert judged(candidate()).passed is True


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (candidate(None), "no answer"),
        (candidate(" \n\t "), "no answer"),
        (candidate("There are sixty cards or so"), "marks no final answer"),
        (candidate(answer_cut_off=True), "cut off"),
        (candidate("So it is " + "60, " * 60_000 + "\n#### 60"), "240,017 characters, more than 200,000"),
        (candidate("It is 60\x00.\n#### 60"), "does not show (U+0000)"),
        (candidate("It is \u202e06\u202c.\n#### 60"), "does not show (U+202E)"),
        (candidate("#### 6\u200b0"), "does not show (U+200B)"),
        (candidate("#### ٦٠", "new_question"), "digits that the seed does not use"),
    ],
)
def test_an_answer_without_the_form_is_rejected_with_the_reason(made, why):
    verdict = judged(made)
    assert verdict.passed is False
    assert why in verdict.detail


def test_digits_of_another_script_are_right_where_the_seed_uses_them():
    seed = Seed("ar", Question("كم عدد البطاقات في ٦ علب؟"), "#### ٦٠")
    assert judged(candidate("#### ٦٠", seed=seed), seed).passed is True


# Several final answers


@pytest.mark.parametrize(
    "answer",
    [
        "#### 61\n#### 60",
        "#### 60\nIgnore that. The answer is 61.",
        "\\boxed{59} or \\boxed{60}",
        "\\boxed{61}\n#### 60",
        "Answer: 61\n\n#### 60",
        "#### 60 minutes\n#### 61 minutes",
        "#### $60\n#### 60%",
    ],
)
def test_an_answer_that_says_two_things_at_its_end_is_rejected(answer):
    assert " as well as " in judged(candidate(answer)).detail


@pytest.mark.parametrize(
    "answer",
    [
        "The answer is 60.\n#### 60",
        "So the answer is \\boxed{60}.\n#### 60.0",
        "First \\boxed{6} jars.\nThen ten cards.\nSo six times ten.\nThat makes\n#### 60",
        # Worked steps may mention answers that are not the final one; six of GSM8K's solutions do.
        "We want the answer in percent: 100% * 6 / 18 = 33.333%, so about 33%\n#### 33",
        "#### Step 1\nSix jars.\n#### 60",
        "#### 60 minutes\nThe answer is 1 hour.",
    ],
)
def test_an_answer_that_leads_up_to_its_final_one_passes(answer):
    assert judged(candidate(answer)).passed is True


def test_two_letters_are_two_answers_and_a_list_of_the_choices_is_none():
    assert judged(candidate("Answer: A\nAnswer: B", seed=STEM, task=CHOICES), STEM, CHOICES).passed is False
    listed = "A. steel flask, it is closed\nB. thin glass, it is not\nC. paper cup, it is not\nAnswer: A"
    assert judged(candidate(listed, seed=STEM, task=CHOICES), STEM, CHOICES).passed is True


# Refusals

REFUSALS = [
    "I'm sorry, but I can't assist with that.",
    "I’m sorry, I cannot help with this request.",
    "I am unable to provide an answer to this question.",
    "I cannot answer that.",
    "I can't help with that request. Is there something else?",
    "As an AI language model, I cannot provide medical advice.",
    "As an AI, I'm not able to assist with this.",
    "Unfortunately, I can't provide that information.",
    "Sorry, I won't help with this.",
    "I apologize, but I must decline to answer.",
    "I don't feel comfortable providing that.",
    "My apologies, but I can't help with this.",
    "I'm afraid I can't do that.",
    "Thank you for asking, but I cannot give you medical advice.",
    "I'm sorry, as an AI language model, I cannot do so.",
    "Hello! I won't be able to help with that.",
    "I can't assist with that, but I'd be happy to help with something else.",
    "That's not something I can help with.",
    "I do not have enough information to answer this question.",
    "I don't know.",
    "Ich kann Ihnen dabei leider nicht helfen.",
    "Je ne peux pas répondre à cette question.",
    "Извините, но я не могу помочь с этим.",
    "对不起，我无法回答这个问题。",
    "Lo siento, pero no puedo ayudar con eso.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
    "抱歉，我无法回答这个问题。",
    "申し訳ありませんが、お手伝いできません。",
]
NO_REFUSALS = [
    "I'm sorry to hear that you are ill! Here are three red fruits: apples, cherries, strawberries.",
    "Dear Anna, I'm sorry, but I can't come to your party on Friday.",
    "I can name three: apples, cherries and strawberries.",
    "Apples, cherries, strawberries. I cannot think of a fourth.",
    "As an AI language model, I have no favourite, but apples, cherries and strawberries are red.",
    "A thief cannot help himself.",
    "I can't help but name apples, cherries and strawberries.",
    "I cannot do this in my head, so here is a list: apples, cherries, strawberries.",
    "I cannot answer that without a garden, but apples, cherries and strawberries are red.",
    "I do not know many fruits, so I name apples, cherries and strawberries.",
    "I will not answer the phone, said the cat, and ate three cherries.",
    "You can't help but like these: apples, cherries, strawberries.",
    "Sorry is a hard word. Apples, cherries, strawberries.",
    "No. Tomatoes are fruits, too.",
]


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_refusal_is_rejected_as_one(answer):
    assert "the answer is a refusal" in talk(answer).detail


@pytest.mark.parametrize("answer", NO_REFUSALS)
def test_what_only_sounds_like_a_refusal_passes(answer):
    assert talk(answer).passed is True


def test_a_long_answer_is_none_however_it_begins():
    assert talk("I cannot answer that in one word. " + "Red fruits are apples and cherries. " * 40).passed is True


def test_refusals_can_be_wanted():
    assert talk(REFUSALS[0], refusals=False).passed is True


# The language


def test_an_answer_in_another_language_than_the_seed_is_rejected():
    verdict = judged(candidate(IN_FRENCH, seed=LONG_SEED), LONG_SEED)
    assert (verdict.passed, verdict.detail) == (False, "the answer is in another language than the seed's (fr, not en)")
    assert judged(candidate(IN_FRENCH, seed=LONG_SEED), LONG_SEED, language=False).passed is True


@pytest.mark.parametrize("strategy", ["question_rephrase", "new_question"])
def test_so_is_a_question(strategy):
    asked = "Mira a vendu des tasses à 48 clientes au printemps, puis la moitié en été. Combien de tasses a-t-elle vendues en tout?"
    made = candidate(LONG_SEED.answer, strategy, seed=LONG_SEED, question=asked)
    assert judged(made, LONG_SEED).detail == "the question is in another language than the seed's (fr, not en)"


def test_the_seeds_own_language_is_right_whichever_it_is():
    seed = Seed(
        "fr",
        Question("Mira a vendu des tasses à 48 clientes au printemps, puis la moitié en été. Combien de tasses a-t-elle vendues en tout?"),
        IN_FRENCH,
    )
    assert judged(candidate(IN_FRENCH, seed=seed), seed).passed is True
    in_english = "In summer she sold half as many as she did in spring, which makes twenty-four, so that is how she came to 72.\n#### 72"
    assert "(en, not fr)" in judged(candidate(in_english, seed=seed), seed).detail


def test_a_short_answer_is_in_any_language():
    assert judged(candidate("Also 72.\n#### 72", seed=LONG_SEED), LONG_SEED).passed is True


def test_a_translation_is_held_to_the_language_of_the_seeds_own_answer():
    german = "Die Äpfel fallen im Herbst von den Bäumen, und die Kinder sammeln sie im Garten ihrer Großmutter auf."
    english = "The apples fall from the trees in autumn, and the children gather them in the garden of their grandmother."
    seed = Seed("t", Question(f"Translate into German: {english}"), german)
    assert talk(german, seed=seed).passed is True
    assert "(en, not de)" in talk(english.replace("garden", "yard"), seed=seed).detail
    # The language is unknown with other instructions, or without an answer.
    assert talk(english, "new_question", seed=seed).passed is True
    assert talk(german, seed=Seed("t", seed.question)).passed is True
