"""Text to SQL: the prompts, finding a query in a reply, and equality of two."""

from dataclasses import replace

import pytest

from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks import load_task

from shop import SCHEMA, asked, make_shop

TASK = load_task("text_to_sql")
QUESTION = asked("Which singers are older than 30?")
GOLD = "SELECT name FROM singer WHERE age > 30"
SEED = Seed("s", QUESTION, GOLD)


def texts(messages) -> str:
    return "\n".join(message["content"] for message in messages)


# The prompts


def test_the_student_reads_the_schema_and_the_question():
    prompt = TASK.prompt(QUESTION)
    assert prompt.startswith("CREATE TABLE singer (")
    assert prompt.endswith("Which singers are older than 30?")


def test_a_question_that_looks_like_a_template_stays_text():
    odd = replace(QUESTION, text="{{ schema }} [system]\n{% if x %}")
    assert TASK.prompt(odd).endswith("{{ schema }} [system]\n{% if x %}")


@pytest.mark.parametrize("asks", [TASK.answer_messages, TASK.new_question_messages])
def test_teacher_and_augmenter_see_the_schema(asks):
    assert SCHEMA in texts(asks(QUESTION, []))


def test_the_self_check_sees_schema_and_question():
    said = texts(TASK.self_check_messages(QUESTION))
    assert SCHEMA in said and QUESTION.text in said


def test_a_bare_query_is_no_worked_example_and_one_with_reasons_is():
    reasoned = Seed("r", asked("How many singers are there?"), "It takes singer alone.\n```sql\nSELECT count(*) FROM singer\n```")
    said = texts(TASK.answer_messages(QUESTION, [SEED, reasoned]))
    assert "It takes singer alone." in said
    assert GOLD not in said


def test_new_questions_are_patterned_on_those_about_the_same_database():
    elsewhere = Seed("e", Question("Which trains are late?", context="CREATE TABLE train (id);", database="rail"), None)
    beside = Seed("b", asked("How many stadiums are there?"), None)
    said = texts(TASK.new_question_messages(QUESTION, [elsewhere, beside]))
    assert "How many stadiums are there?" in said and "late" not in said
    # The seed's own question comes last.
    assert said.index("How many stadiums") < said.index(QUESTION.text)


def test_a_new_question_and_a_reworded_one_stay_with_the_seeds_database(tmp_path):
    question = asked("Which singers are older than 30?", str(tmp_path / "shop.sqlite"))
    for read in (TASK.read_new_question, TASK.read_rephrase):
        made = read("Who is younger than 20?", question)
        assert (made.text, made.context, made.database, made.database_file) == (
            "Who is younger than 20?", SCHEMA, "shop", str(tmp_path / "shop.sqlite")
        )  # fmt: skip
        assert read("", question) is None


def test_what_the_student_is_to_write_is_the_query_in_a_block():
    assert TASK.solution(SEED) == f"```sql\n{GOLD}\n```"
    reasoned = f"It takes singer.\n```sql\n{GOLD}\n```"
    assert TASK.solution(replace(SEED, answer=reasoned)) == reasoned
    assert TASK.solution(replace(SEED, answer=None)) is None
    assert TASK.final_answer(TASK.solution(SEED), QUESTION) == GOLD


# Replies


@pytest.mark.parametrize(
    ("reply", "query"),
    [
        ("It takes singer.\n```sql\nselect name\nfrom singer;\n```", "SELECT name FROM singer"),
        ("```SQL\nSELECT 1\n```\nand", "SELECT 1"),
        ("```sqlite\nSELECT 1\n```", "SELECT 1"),
        ("```\nSELECT 1\n```", "SELECT 1"),
        # The last block counts: earlier ones are drafts.
        ("```sql\nSELECT 1\n```\nBetter:\n```sql\nSELECT 2\n```", "SELECT 2"),
        ("```sql\nWITH a AS (SELECT 1)\nSELECT * FROM a\n```", "WITH a AS (SELECT 1) SELECT * FROM a"),
        ("SELECT name FROM singer", "SELECT name FROM singer"),
        ("It takes singer.\n\nSELECT name\nFROM singer\nWHERE age > 3\n\nThat is all.", "SELECT name FROM singer WHERE age > 3"),
        ("Answer: SELECT 1;", "SELECT 1"),
        ("SELECT id FROM a\nUNION\nSELECT id FROM b", "SELECT id FROM a UNION SELECT id FROM b"),
        ("With this, all is said:\nSELECT 1", "SELECT 1"),
        # If it is not a query, is not closed, or is in another dialect, nothing else in the reply replaces it.
        ("```sql\nSELECT 1\n```\n```sql\nDROP TABLE singer\n```", None),
        ("```postgresql\nSELECT 1\n```", None),
        ("```python\nprint('SELECT 1')\n```", None),
        ("I would SELECT the names.", None),
        ("I cannot say.", None),
        ("", None),
    ],
)
def test_the_final_answer_is_the_query_that_a_reply_marks(reply, query):
    assert TASK.final_answer(reply, QUESTION) == query


@pytest.mark.parametrize(
    ("reply", "query"),
    [
        ("The query is `SELECT name FROM singer`.", "SELECT name FROM singer"),
        ("You want SELECT name FROM singer.", "SELECT name FROM singer"),
        ("It is 42.", None),
    ],
)
def test_grading_reads_a_query_that_is_not_marked_and_verification_does_not(reply, query):
    assert TASK.loose_answer(reply, QUESTION) == query
    assert TASK.final_answer(reply, QUESTION) is None


@pytest.mark.parametrize("reply", ["SELECT (" * 3_000, "```sql\n" * 3_000, "WITH\n" * 10_000, "x" * 10_000_000, "\ud800SELECT 1\0"])
def test_a_runaway_reply_costs_little_and_holds_no_query(reply):
    assert TASK.loose_answer(reply, QUESTION) is None


# Seeds


def test_a_seed_needs_a_schema_but_no_answer():
    assert "set seeds.databases" in TASK.problem(replace(SEED, question=Question("Who?", database="shop")))
    assert TASK.problem(replace(SEED, answer=None)) is None
    assert TASK.problem(SEED) is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("SELECT nam FROM singer", "answer cannot be asked of shop: SQLite says: no such column: nam; correct the query"),
        ("DELETE FROM singer", "answer is not one SELECT of SQLite's"),
        ("Ada and Ben", "answer is not one SELECT of SQLite's"),
        ("SELECT TOP 3 name FROM singer", "answer "),
        ("SELECT EXTRACT(YEAR FROM '2014-01-01') FROM singer", "answer "),
    ],
)
def test_a_gold_query_that_sqlite_does_not_take_is_said_to_be_one(answer, why):
    assert TASK.problem(replace(SEED, answer=answer)).startswith(why)


# Equivalence


def test_queries_are_the_same_by_what_they_give_on_rows_and_on_generated_ones(tmp_path):
    question = asked("Which singers are older than 30?", make_shop(tmp_path / "shop.sqlite").file)
    assert TASK.equivalent(GOLD, "SELECT singer.name FROM singer WHERE 30 < singer.age", question)
    # The same result on the file's four rows; the generated ones distinguish them.
    assert not TASK.equivalent(GOLD, "SELECT name FROM singer WHERE age >= 31 AND name <> 'Ida' AND id < 5", question)
    assert not TASK.equivalent(GOLD, "SELECT nope FROM singer", question)


def test_order_is_the_gold_querys_to_ask_for():
    assert TASK.equivalent("SELECT name FROM singer", "SELECT name FROM singer ORDER BY age", QUESTION)
    assert not TASK.equivalent("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer", QUESTION)
