"""Samples that reveal a held-out question, verbatim or nearly, and the files that a user names."""

import json

import pytest

from axolotl_synthetic.checks import decontamination
from axolotl_synthetic.checks.decontamination import Options
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Candidate, Question, Seed
from axolotl_synthetic.tasks import load_task

from candidates import CHOICES, INSTRUCTION, KEEPS, MATH, SEED, STEM, candidate

HELD_OUT = Seed(
    "held",
    Question(
        "A shop sells apples in bags of five and pears in bags of nine, and a customer buys two bags of either kind. How many pieces?"
    ),
    "Two bags of apples hold 10 apples because there are five in each bag.\nTwo bags of pears hold 18 "
    "pears.\nIn all 10 + 18 = 28.\n#### 28",
)
SHORT = Seed("short", Question("How tall is the tower?"), "#### 90")


def check(*held_out: Seed, task=MATH, **options):
    return decontamination.make(task, KEEPS, Options(**options), held_out)


def new(question: str, answer: str = "#### 1"):
    return candidate(answer, "new_question", question=question)


def test_thirteen_words_of_a_held_out_question_give_it_away():
    thirteen = "sells apples in bags of five and pears in bags of nine and"
    verdict = check(HELD_OUT)(new(f"Who {thirteen.upper()} plums? Name the shop."), SEED)
    assert (verdict.passed, verdict.detail) == (False, f"it shares 13 words with the held-out seed held: {thirteen!r}")


def test_twelve_words_do_not():
    assert check(HELD_OUT)(new("Who sells apples in bags of five and pears in bags of nine? Name the shop."), SEED).passed is True


def test_the_number_of_words_is_the_users():
    judge = check(HELD_OUT, words=5)
    assert judge(new("Who sells pears in bags of nine?"), SEED).passed is False


@pytest.mark.parametrize(
    "answer",
    [
        "As everybody knows, a shop sells apples in bags of five and pears in bags of nine.\n#### 1",  # its question
        "Well: two bags of apples hold 10 apples because there are five in each bag.\n#### 1",  # its worked answer
    ],
)
def test_an_answer_may_give_it_away_as_well(answer):
    assert check(HELD_OUT)(candidate(answer), SEED).passed is False


def test_a_question_that_is_nearly_a_held_out_one_gives_it_away_however_short():
    judge = check(SHORT)
    assert judge(new("How tall is the  tower"), SEED).detail == "its question is 100% like that of the held-out seed short"
    assert judge(new("How old is the tower?"), SEED).passed is True


def test_a_changed_number_is_another_question_where_the_rest_is_short():
    held_out = Seed("h", Question("Ada has 6 jars with 10 cards each. How many cards are there?"), "#### 60")
    assert check(held_out)(new("Ada has 7 jars with 10 cards each. How many cards are there?"), SEED).passed is True


def test_equal_stems_with_other_choices_are_two_questions():
    held_out = Seed("h", Question(STEM.question.text, ("the left one", "the right one", "the one above"), ("A", "B", "C")), "B")
    judge = check(held_out, task=CHOICES)
    made = candidate("Answer: A", seed=STEM, task=CHOICES)
    assert judge(made, STEM).passed is True
    assert check(STEM, task=CHOICES)(made, STEM).passed is False


def test_a_context_in_common_gives_nothing_away():
    context = "The quick brown fox jumps over the lazy dog and then over the fence and the gate."
    held_out = Seed("h", Question("Who jumps?", context=context), "The fox.")
    other = Seed("o", Question("What is lazy?", context=context), "The dog.")
    judge = check(held_out, task=INSTRUCTION)
    assert judge(candidate("The dog is.", seed=other, task=INSTRUCTION), other).passed is True


def test_answers_that_are_no_prose_are_not_compared():
    class Queries(type(load_task("instruction"))):
        prose = False

    query = "SELECT a, b, c, d FROM t JOIN u ON t.id = u.id WHERE a > 3 AND b < 5 ORDER BY c"
    held_out = Seed("h", Question("Which are the large ones?"), query)
    assert check(held_out, task=Queries())(candidate(query, task=Queries()), SEED).passed is True
    assert check(held_out, task=INSTRUCTION)(candidate(query, task=INSTRUCTION), SEED).passed is False


def test_with_nothing_to_give_away_it_does_not_apply():
    verdict = check()(candidate(), SEED)
    assert (verdict.passed, verdict.detail) == (None, "no seeds are held out and no files are named")


# Files

GIVEN_AWAY = new("A tortoise walks four metres in a minute and rests for two minutes after each. How far is it after an hour?")
ROWS = [{"id": 1, "question": "Is it?"}, {"id": 2, "question": GIVEN_AWAY.question.text, "choices": {"text": ["yes", "no"]}}]


def write(path, rows=ROWS):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        path.write_text("id,question\n" + "".join(f'{row["id"]},"{row["question"]}"\n' for row in rows))
    else:
        path.write_text("".join(f"{row['question']}\n\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet", "txt", "md"])
def test_a_file_of_the_users_is_compared_with_whatever_its_format(tmp_path, suffix):
    path = write(tmp_path / f"test.{suffix}")
    judge = check(files=[str(path)])
    place = {"jsonl": ":2", "json": ":row 2", "csv": ":3", "parquet": ":row 2"}.get(suffix, ":3")
    assert judge(GIVEN_AWAY, SEED).detail == f"its question is 100% like that of {path}{place}"
    assert judge(new("What is the way to the harbour?"), SEED).passed is True


def test_only_the_columns_that_are_named_count(tmp_path):
    rows = [{"asked": "What is the way to the harbour?", "note": GIVEN_AWAY.question.text, "more": {"deep": ["Who is it that sings?"]}}]
    path = write(tmp_path / "test.jsonl", rows)
    judge = check(files=[str(path)], columns=["asked", "more"])
    assert judge(GIVEN_AWAY, SEED).passed is True
    assert judge(new("What is the way to the harbour?"), SEED).passed is False
    assert judge(new("Who is it that sings?"), SEED).passed is False


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("test.jsonl", b'{"question": "Is it?"}\n{"question": ', "test.jsonl:2: invalid JSON"),
        ("test.jsonl", b'{"id": 1}\n', "test.jsonl holds no text"),
        ("test.txt", b"\xff\xfe", "test.txt cannot be read: "),
        ("test.xls", b"x", "test.xls ends in .xls; save it as one of .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .txt, .md"),
    ],
)
def test_a_file_that_cannot_be_read_whole_is_refused_with_its_place(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as error:
        check(files=[str(tmp_path / name)])
    assert str(error.value).startswith(f"synthetic.verify.decontamination.files: {tmp_path}")
    assert said in str(error.value)


def test_a_new_conversation_gives_away_what_is_said_on_its_way_and_a_seeds_own_turns_do_not():
    told = "the key to the boat house hangs behind the third board on the left of the red door by the pier"
    held_out = Seed("h", Question("Where is the key to the boat house kept in winter?"), f"In winter {told}.")
    judge = decontamination.make(load_task("chat"), KEEPS, Options(), [held_out])
    turns = (("user", "Tell me a secret."), ("assistant", f"Well, {told}."))
    made = Candidate(0, "c", "new_question", "s", question=Question("Thanks, any other?", turns=turns), answer="None that I know.")
    assert judge(made, Seed("s", Question("Hello?"), None)).passed is False
    assert judge(made, Seed("s", Question("Any more?", turns=turns), None)).passed
