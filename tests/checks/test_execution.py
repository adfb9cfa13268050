"""The check `execution`: it compares with the seed's query if the answer is kept, else it tests whether the query runs."""

import pytest

from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.checks.gold import failing_seeds
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Seed
from axolotl_synthetic.tasks import load_task

from candidates import KEEPS, MATH, SEED, candidate
from shop import asked, make_shop

TASK = load_task("text_to_sql")
GOLD = "SELECT name FROM singer WHERE age > 30"
OLDER = Seed("older", asked("Which singers are older than 30?"), GOLD)


def verdict(query: str | None, *, seed: Seed = OLDER, strategy: str = "answer_augmentation", name: str = "execution", **options):
    [check] = load_checks([{name: options}], TASK, KEEPS)
    answer = None if query is None else f"```sql\n{query}\n```"
    return check(candidate(answer, strategy, seed, TASK), seed)


@pytest.mark.parametrize("strategy", ["answer_augmentation", "question_rephrase"])
def test_an_answer_must_give_what_the_seeds_query_gives(strategy):
    assert verdict("SELECT s.name FROM singer AS s WHERE NOT s.age <= 30", strategy=strategy).passed
    against = verdict("SELECT name FROM singer WHERE age >= 30", strategy=strategy)
    assert against.passed is False
    assert "where the seed's query gives" in against.detail


def test_a_new_question_has_no_query_to_compare_with_but_its_own_must_run():
    assert verdict("SELECT count(*) FROM stadium", strategy="new_question").passed
    assert "no such table: arena" in verdict("SELECT count(*) FROM arena", strategy="new_question").detail
    assert "calls the function load_extension" in verdict("SELECT load_extension('x')", strategy="new_question").detail


def test_a_seed_without_a_query_leaves_it_at_running():
    assert verdict("SELECT 1", seed=Seed("open", OLDER.question)).passed


def test_rows_of_the_users_own_database_are_looked_at_first(tmp_path):
    seed = Seed("file", asked("Which singers are older than 30?", make_shop(tmp_path / "shop.sqlite").file), GOLD)
    assert verdict("SELECT name FROM singer WHERE age > 40", seed=seed).detail.startswith("on the database's rows: it gives 1 row")
    assert verdict("SELECT name FROM singer WHERE age > 29", seed=seed).detail.startswith("on generated rows")


def test_an_answer_without_a_query_fails_and_another_tasks_question_is_not_judged():
    assert verdict(None).passed is False
    [check] = load_checks(["execution"], MATH, KEEPS)
    assert check(candidate(), SEED).passed is None


def test_a_seeds_query_that_does_not_run_is_a_broken_check_and_no_wrong_answer():
    found = verdict("SELECT name FROM singer", seed=Seed("bad", OLDER.question, "SELECT nope FROM singer"))
    assert (found.passed, found.broken) == (False, True)
    assert "the seed's query does not run" in found.detail


def test_time_is_an_option():
    bomb = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    assert verdict(bomb, strategy="new_question", seconds=0.1).detail == "it takes longer than 0.1 s"
    assert "more than 3 rows" in verdict("SELECT name FROM singer", strategy="new_question", rows=3).detail


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"seconds": 0}, "seconds: 0: input should be greater than 0"),
        ({"seconds": 1e6}, "seconds: 1000000.0: input should be less than or equal to 3600"),
        ({"seconds": float("nan")}, "seconds: nan: input should be"),
        ({"rows": 1.5}, "rows: 1.5: input should be a valid integer"),
        ({"result_bytes": -1}, "result_bytes: -1: input should be greater than or equal to 1"),
        ({"second": 1}, "second: unknown option; execution takes seconds, rows, result_bytes"),
    ],
)
def test_a_limit_that_is_none_is_refused_before_the_first_call(options, why):
    with pytest.raises(ConfigError) as raised:
        verdict("SELECT 1", **options)
    assert f"synthetic.verify.execution.{why}" in str(raised.value)


def test_final_answer_takes_the_seeds_query_for_the_one_that_asks_for_an_order():
    names, ordered = "SELECT name FROM singer", "SELECT name FROM singer ORDER BY age"
    question = OLDER.question
    assert verdict(ordered, seed=Seed("any", question, names), name="final_answer").passed
    assert verdict(names, seed=Seed("ordered", question, ordered), name="final_answer").passed is False


def test_gold_queries_pass_the_checks_of_their_task(tmp_path):
    file = make_shop(tmp_path / "shop.sqlite").file
    seeds = [
        Seed("one", asked("How many singers are there?", file), "select count(*) from singer"),
        Seed("two", asked("Which stadium holds most?", file), "SELECT name FROM stadium ORDER BY capacity DESC LIMIT 1"),
        Seed("slow", asked("How many pairs?", file), "SELECT count(*) FROM " + ", ".join(f"singer AS s{n}" for n in range(15))),
    ]
    checks = load_checks(["format", {"execution": {"seconds": 0.2}}, "final_answer", "decontamination", "duplicate"], TASK, KEEPS)
    found = [(seed.id, verdict.name, verdict.broken) for seed, verdict in failing_seeds(seeds, TASK, checks)]
    assert found == [("slow", "execution", True)]
