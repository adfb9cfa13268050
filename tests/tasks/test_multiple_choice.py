"""Multiple choice: a letter counts if it is marked, a choice's text counts as its letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks.multiple_choice import TASK

BOARDS = Question(
    "Which board slides best down a hill?", ("dry boards", "wet boards", "A cat's tongue", "boards with wax"), ("A", "B", "C", "D")
)
GENES = Question("Which genes?", ("WW or Ww", "WW or ww"), ("A", "B"))
NUMBERED = Question("How many legs?", ("2", "3", "4", "8"), ("1", "2", "3", "4"))


def final(text: str, question: Question = BOARDS) -> str | None:
    return TASK.final_answer(text, question)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Dry wood rubs more.\nAnswer: A", "A"),
        ("Answer: b", "B"),
        ("Answer: (B)", "B"),
        ("Answer: B, not A", "B"),
        ("Answer: B rather than A", "B"),
        ("Answer: B, a wet surface", "B"),
        ("Answer: B. A is wrong, since dry wood rubs", "B"),
        ("Answer: B or maybe A", None),
        ("Answer: B (or A)", None),
        ("Answer: B. A", None),
        ("Answer: B is incorrect", None),
        ("**Answer:** B.", "B"),
        ("**Answer: B**", "B"),
        ("Answer: B. wet boards", "B"),
        ("Answer: Wet Boards.", "B"),
        ("The correct answer is option D.", "D"),
        ("The correct choice is (D) boards with wax", "D"),
        ("The answer is B because water conducts.", "B"),
        ("The answer is boards with wax, since wax is slippery.", "D"),
        ("The answer is boards with wax because wax is slippery.", "D"),
        (r"So \boxed{\text{B}}", "B"),
        ("#### B", "B"),
        ("B", "B"),
        ("(b)", "B"),
        ("wet boards", "B"),
        ("Water helps.\nB. wet boards", "B"),
        ("Answer: A\nNo, wait.\nAnswer: B", "B"),
        ("Answer: B\nI hope the answer is of help.", "B"),
        ("A cat licks its boards.", None),
        ("The answer is a dog.", None),
        ("The answer is A cat's tongue", "C"),
        ("Answer: A or B", None),
        ("Answer: A, B", None),
        ("Answer: B,A,C,D", None),
        ("B,A,C,D", None),
        ("#### B,A", None),
        ("答案：B", "B"),
        ("正确答案是B。", "B"),
        ("答え：B", "B"),
        ("정답: B", "B"),
        ("Antwort: B", "B"),
        ("Die richtige Antwort ist B.", "B"),
        ("Ответ: B", "B"),
        ("La réponse est B", "B"),
        ("Respuesta: B, A", None),
        ("Answer: B. dry boards", None),
        ("A. dry boards\nB. wet boards\nC. A cat's tongue\nD. boards with wax", None),
        ("Answer: E", None),
        ("Answer:", None),
        ("I think B is likely", None),
        ("", None),
    ],
)
def test_what_a_reply_marks_as_its_answer(text, label):
    assert final(text) == label


def test_a_label_goes_before_a_choice_that_reads_like_one():
    assert final("Answer: 2", NUMBERED) == "2"
    assert final("Answer: 8", NUMBERED) == "4"
    assert final("Answer: 3.5", NUMBERED) is None


def test_choices_that_differ_by_case_alone_are_told_apart():
    assert TASK.problem(Seed("s", GENES, "B")) is None
    assert final("Answer: WW or Ww", GENES) == "A"
    assert final("Answer: WW or ww", GENES) == "B"
    assert final("Answer: ww or ww", GENES) is None


def test_the_student_reads_stem_and_lettered_choices():
    assert TASK.prompt(GENES) == "Which genes?\nA. WW or Ww\nB. WW or ww"


@pytest.mark.parametrize(
    ("answer", "gold", "solution"),
    [
        ("B", "B", "Answer: B"),
        ("b", "B", "Answer: B"),
        ("Wet boards.", "B", "Answer: B"),
        ("Water helps.\nAnswer: B", "B", "Water helps.\nAnswer: B"),
        ("Water helps. The answer is B.", "B", "Water helps. The answer is B.\nAnswer: B"),
        (None, None, None),
    ],
)
def test_a_seeds_answer_is_a_label_or_a_choices_text(answer, gold, solution):
    seed = Seed("s", BOARDS, answer)
    assert (TASK.gold_answer(seed), TASK.solution(seed), TASK.problem(seed)) == (gold, solution, None)


@pytest.mark.parametrize(
    ("question", "answer", "words"),
    [
        (BOARDS, "E", "neither one of the labels A, B, C, D nor a choice's text"),
        (Question("Which?", ("one",), ("A",)), None, "give two or more"),
        (Question("Which?", ("one", " One."), ("A", "B")), None, None),
        (Question("Which?", ("one", "one."), ("A", "B")), None, "stands there twice"),
        (Question("Which?", ("one", "two"), ("A", "a")), None, "has one twice"),
    ],
)
def test_problems_of_seeds(question, answer, words):
    found = TASK.problem(Seed("s", question, answer))
    assert found is None if words is None else words in found


@pytest.mark.parametrize(
    ("labels", "asked", "form"),
    [
        ("ABCD", "Then write its letter alone on the last line, in the form:", "Answer: <letter>"),
        ("1234", "Then write the number in front of it alone on the last line, in the form:", "Answer: <number>"),
        ("0123", "Then write the number in front of it alone on the last line, in the form:", "Answer: <number>"),
        (("I", "II", "III", "IV"), "Then write the label in front of it alone on the last line, in the form:", "Answer: <label>"),
        (
            ("Option 1", "Option 2", "Option 3", "Option 4"),
            "Then write the label in front of it alone on the last line, in the form:",
            "Answer: <label>",
        ),
        (("(1)", "(2)", "(3)", "(4)"), "Then write the label in front of it alone on the last line, in the form:", "Answer: <label>"),
        (("i)", "ii)", "iii)", "iv)"), "Then write the label in front of it alone on the last line, in the form:", "Answer: <label>"),
    ],
)
def test_the_teacher_is_asked_for_the_label_that_is_accepted(labels, asked, form):
    question = Question(BOARDS.text, BOARDS.choices, tuple(labels))
    system, user = TASK.answer_messages(question, [])
    assert asked in system["content"] and system["content"].endswith(form)
    for label, choice in zip(labels, BOARDS.choices, strict=True):
        assert f"\n{label}. {choice}" in user["content"]
        reply = "It slides.\n" + form.replace("<letter>", label).replace("<number>", label).replace("<label>", label)
        assert TASK.equivalent(label, TASK.final_answer(reply, question), question)


@pytest.mark.parametrize("labels", [("Option 1", "Option 2", "Option 3", "Option 4"), ("(1)", "(2)", "(3)", "(4)")])
def test_a_label_of_several_signs_is_read_in_each_of_its_spellings(labels):
    question = Question(BOARDS.text, BOARDS.choices, labels)
    second = labels[1]
    for reply in (f"Answer: {second}", f"Answer: {second}. wet boards", f"The answer is {second} because it is wet.", "Answer: 2", second):
        assert final(reply, question) == second
    for reply in (f"Answer: {second}, {labels[0]}", f"Answer: {second} or {labels[2]}", f"Answer: {second}. dry boards", "Answer: 12"):
        assert final(reply, question) is None


NUMBERS = ("2", "3", "4", "1")


@pytest.mark.parametrize("answer", ["1", "2", "3", "4"])
def test_a_number_that_may_be_a_choice_or_its_place_is_refused_until_labels_say_which(answer):
    words = (
        f"answer: {answer!r} is a choice's text and may be another one's place; write one of A, B, C, D, or add a column of places, such"
        ' as ["0", "1", "2", "3"], and name it in seeds.fields.labels'
    )
    assert TASK.problem(Seed("s", Question("How many?", NUMBERS, ("A", "B", "C", "D")), answer)) == words
    # The message's two remedies.
    for letter in "ABCD":
        seed = Seed("s", Question("How many?", NUMBERS, ("A", "B", "C", "D")), letter)
        assert (TASK.problem(seed), TASK.gold_answer(seed)) == (None, letter)
    for labels in ("0123", "1234"):
        seed = Seed("s", Question("How many?", NUMBERS, tuple(labels)), answer)
        if answer in labels:
            assert (TASK.problem(seed), TASK.gold_answer(seed)) == (None, answer)


@pytest.mark.parametrize(
    ("choices", "answer", "label"),
    [
        (("12", "15", "18", "20"), "15", "B"),  # there is no sixteenth choice
        (("0", "5", "9", "7"), "9", "C"),
        (("12", "15", "18", "20"), "The sum is 15.\nAnswer: 15", "B"),
        (("2", "3", "4", "1"), "It has 3.\nAnswer: 3", "B"),  # a worked answer ends with its result
    ],
)
def test_a_number_that_can_be_no_place_is_the_choice_of_that_text(choices, answer, label):
    seed = Seed("s", Question("How many?", choices, ("A", "B", "C", "D")), answer)
    assert (TASK.problem(seed), TASK.gold_answer(seed)) == (None, label)


def test_a_place_among_texts_is_refused_with_what_to_do():
    found = TASK.problem(Seed("s", BOARDS, "1"))
    assert found == (
        "answer: '1' is neither one of the labels A, B, C, D nor a choice's text; correct it, or if it is a choice's place add a column of"
        ' places, such as ["0", "1", "2", "3"], and name it in seeds.fields.labels'
    )
    seed = Seed("s", Question(BOARDS.text, BOARDS.choices, ("0", "1", "2", "3")), "1")
    assert (TASK.problem(seed), TASK.gold_answer(seed), TASK.solution(seed)) == (None, "1", "Answer: 1")


def test_equivalence_takes_a_label_or_the_choices_text():
    assert TASK.equivalent("B", "wet boards", BOARDS)
    assert not TASK.equivalent("B", "A", BOARDS)
    assert not TASK.equivalent("E", "E", BOARDS)


def test_a_rephrase_rewords_the_stem_and_keeps_the_choices():
    found = TASK.read_rephrase('Reworded question: "Which board slides furthest?"\nA. other\nB. others', BOARDS)
    assert found == Question("Which board slides furthest?", BOARDS.choices, BOARDS.labels)


@pytest.mark.parametrize(
    "reply",
    [
        "Question: Which is hot?\nA. ice\nB. fire",
        "Which is hot?\n(A) ice\n(B) fire",
        "**Which is hot?**\n\nA) ice\nB) fire\n\nAnswer: B",
        "1. Which is hot?\n- A. ice\n- B. fire",
        "Which is hot?\n1. ice\n2. fire",
        "```\nWhich is hot?\na. ice\nb. fire\n```",
    ],
)
def test_a_new_question_is_read_with_its_choices(reply):
    found = TASK.read_new_question(reply, BOARDS)
    assert found == Question("Which is hot?", ("ice", "fire"), ("A", "B"))


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Which is hot?",
        "Which is hot?\nA. ice",
        "Which is hot?\nA. ice\nB. ice.",
        "Which is hot?\nA. ice\nC. fire",
        "Which is hot?\nA. ice\nB. fire\nB. sun",
        "A. ice\nB. fire",
    ],
)
def test_a_new_question_that_is_not_well_formed_is_none(reply):
    assert TASK.read_new_question(reply, BOARDS) is None


@given(text=st.text(max_size=200))
def test_whatever_a_reply_says_only_labels_come_out(text):
    assert final(text) in (None, *BOARDS.labels)
    TASK.read_new_question(text, BOARDS)


@given(choice=st.sampled_from(range(4)), template=st.sampled_from(["Answer: {}", "The answer is {}.", "**Answer:** ({})", "{}", "so\n{}"]))
def test_a_label_and_its_text_are_read_alike(choice, template):
    assert final(template.format(BOARDS.labels[choice])) == final(template.format(BOARDS.choices[choice])) == BOARDS.labels[choice]
