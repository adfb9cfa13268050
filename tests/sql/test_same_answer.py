"""Equality of two results, and of two queries on a database's rows and on generated ones."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic import sql
from axolotl_synthetic.sql.agreement import as_it_stands, difference, normalised, possible_orders, same, same_but_for_ties
from axolotl_synthetic.sql.comparison import Comparison
from axolotl_synthetic.sql.filling import Ground
from axolotl_synthetic.sql.hints import Hints
from axolotl_synthetic.sql.images import image_of
from axolotl_synthetic.sql.profiles import PROFILES
from axolotl_synthetic.sql.reader import Clock, QueryFailed, Reader, Result
from axolotl_synthetic.sql.schema import read_schema

from shop import EMPTY, SCHEMA, make_shop


def result(*rows: tuple) -> Result:
    return Result(len(rows[0]), rows)


def agree(one: Result, other: Result, *, ordered: bool = False) -> bool:
    return same(normalised(one), normalised(other), as_it_stands(one), ordered=ordered)


@pytest.mark.parametrize(
    ("one", "other", "unordered", "ordered"),
    [
        ([("a",), ("b",)], [("a",), ("b",)], True, True),
        ([("a",), ("b",)], [("b",), ("a",)], True, False),
        ([("a",), ("a",), ("b",)], [("a",), ("b",), ("b",)], False, False),
        ([("a",)], [("a",), ("a",)], False, False),
        ([(1,)], [(1.0,)], True, True),
        ([(1,)], [("1",)], False, False),
        ([(None,)], [(None,)], True, True),
        ([(None,)], [(0,)], False, False),
        ([(0.1 + 0.2,)], [(0.3,)], True, True),
        ([(0.3,)], [(0.3001,)], False, False),
        ([("A",)], [("a",)], False, False),
        ([(b"a",)], [("a",)], False, False),
    ],
)
def test_rows_count_with_their_multiplicity_in_any_order_unless_order_matters(one, other, unordered, ordered):
    assert agree(result(*one), result(*other)) is unordered
    assert agree(result(*one), result(*other), ordered=True) is ordered


def test_other_orders_of_columns_are_those_in_which_each_holds_the_same_values():
    gold = result((1, "a", 5), (2, "b", 6))
    assert list(possible_orders(gold, result(("b", 6, 2), ("a", 5, 1)))) == [(2, 0, 1)]
    assert list(possible_orders(result((1, 1), (2, 2)), result((2, 2), (1, 1)))) == [(0, 1), (1, 0)]
    assert list(possible_orders(gold, result((1, "a", 5), (2, "b", 7)))) == []


def test_many_equal_columns_are_not_tried_for_ever():
    wide = result((7,) * 40)
    assert len(list(possible_orders(wide, wide))) == 720
    assert list(possible_orders(wide, result((7,) * 39 + (8,)))) == []


ROWS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.none() | st.integers(0, 1)), min_size=1, max_size=6)


@given(ROWS, st.permutations(range(3)), st.randoms())
def test_any_order_of_columns_and_rows_is_found(rows, order, rng):
    shuffled = rng.sample(rows, len(rows))
    gold, other = result(*rows), result(*[tuple(row[at] for at in order) for row in shuffled])
    assert any(same(gold, other, found, ordered=False) for found in possible_orders(gold, other))


@given(ROWS, ROWS)
def test_what_is_called_the_same_has_the_same_rows_in_some_order_of_columns(one, other):
    gold, found = result(*one), result(*other)
    told = any(same(gold, found, order, ordered=False) for order in possible_orders(gold, found))
    tried = any(
        sorted(map(repr, one)) == sorted(repr(tuple(row[at] for at in order)) for row in other)
        for order in itertools.permutations(range(3))
    )
    assert told is tried


@pytest.mark.parametrize(
    ("other", "is_so"),
    [
        ("abcd", True),
        ("acbd", True),
        ("bacd", False),
        ("dbca", False),
        ("abcc", False),
    ],
)
def test_rows_that_tie_may_change_places_and_no_others(other, is_so):
    # In another order of the table's rows, b and c have changed places: they tie.
    assert same_but_for_ties([result(*"abcd"), result(*"acbd")], result(*other), (0,)) is is_so


def test_a_difference_is_told_in_a_few_words():
    assert difference(result((1,), (2,)), result((1,)), ordered=False) == "it gives 1 row where the seed's query gives 2 rows"
    assert difference(result((1,), (2,)), result((1,), (None,)), ordered=False) == "it gives (NULL) where the seed's query gives (2)"
    assert difference(result((1,), (2,)), result((2,), (1,)), ordered=True) == "it gives the same rows in another order"


# Several databases


def test_one_order_of_columns_must_do_for_all_of_them():
    comparison = Comparison(ordered=False)
    assert comparison.takes(result((1, 2)), result((2, 1)), list)
    assert comparison.takes(result((3, 4)), result((4, 3)), list)
    assert not comparison.takes(result((5, 6)), result((5, 6)), list)
    assert comparison.ends_well() is True


def test_an_order_that_an_earlier_database_does_not_allow_is_none():
    comparison = Comparison(ordered=False)
    assert comparison.takes(result((1, 2)), result((1, 2)), list)
    assert not comparison.takes(result((3, 4)), result((4, 3)), list)
    assert comparison.against == "it gives (4, 3) where the seed's query gives (3, 4)"


def test_a_database_on_which_the_gold_query_depends_on_how_rows_lie_is_passed_over():
    comparison = Comparison(ordered=True)
    assert comparison.takes(result(("a",)), result(("b",)), lambda: [result(("c",))])
    assert (comparison.agreed, comparison.passed_over) == (0, 1)
    # … but that alone is no agreement
    assert not comparison.ends_well()
    assert comparison.takes(result(("a",)), result(("a",)), list)
    assert comparison.ends_well()


def test_another_number_of_columns_is_told_apart_without_a_row():
    comparison = Comparison(ordered=False)
    assert not comparison.takes(Result(1, ()), Result(2, ()), list)
    assert comparison.against == "it gives 2 columns where the seed's query gives 1 column"


# Whole queries; each pair agrees on the shop's own rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp("database") / "shop.sqlite")


BY_CHANCE = [
    ("SELECT name FROM singer WHERE age > 30", "SELECT name FROM singer WHERE age > 29"),
    ("SELECT max(age) FROM singer", "SELECT age FROM singer ORDER BY id DESC LIMIT 1"),
    ("SELECT count(*) FROM singer", "SELECT count(name) + 0 * count(country) FROM singer WHERE age > 0"),
    ("SELECT count(*) FROM concert", "SELECT count(DISTINCT id) FROM concert WHERE year < 2017"),
    ("SELECT DISTINCT country FROM singer WHERE age < 31", "SELECT country FROM singer WHERE age < 31"),
    ("SELECT name FROM stadium WHERE id NOT IN (SELECT stadium_id FROM concert)", "SELECT name FROM stadium WHERE name = 'East'"),
    ("SELECT name FROM singer ORDER BY age, id", "SELECT name FROM singer ORDER BY age"),
    ("SELECT name FROM singer ORDER BY id", "SELECT name FROM singer"),
    ("SELECT country FROM singer GROUP BY country HAVING count(*) >= 2", "SELECT country FROM singer GROUP BY country HAVING count(*) = 2"),
    ("SELECT name FROM singer WHERE country = 'Peru'", "SELECT name FROM singer WHERE country LIKE 'Peru'"),
    ("SELECT name FROM singer WHERE name LIKE 'B%'", "SELECT name FROM singer WHERE name = 'Ben'"),
    ("SELECT sum(capacity) FROM stadium", "SELECT total(capacity) FROM stadium"),
]


@pytest.mark.parametrize(("gold", "other"), BY_CHANCE)
def test_queries_that_agree_by_chance_are_told_apart_by_generated_rows(shop, gold, other):
    assert sql.compare(gold, other, shop, generated=False).stands
    verdict = sql.compare(gold, other, shop)
    assert not verdict.stands
    assert verdict.why.startswith("on generated rows (")


def test_what_the_databases_own_rows_tell_apart_is_said_of_them(shop):
    verdict = sql.compare("SELECT name FROM singer WHERE age > 30", "SELECT name FROM singer WHERE age > 40", shop)
    assert verdict.why == "on the database's rows: it gives 1 row where the seed's query gives 3 rows"


SAME = [
    ("SELECT name, age FROM singer", "select T1.AGE as years, T1.NAME from SINGER as T1"),
    ("SELECT name FROM singer WHERE age > 30 AND country = 'Peru'", "SELECT name FROM singer WHERE NOT (country <> 'Peru' OR age <= 30)"),
    ("SELECT name FROM singer WHERE age BETWEEN 20 AND 30", "SELECT name FROM singer WHERE age >= 20 AND age <= 30"),
    (
        "SELECT s.name FROM singer AS s JOIN concert AS c ON s.id = c.singer_id",
        "SELECT singer.name FROM concert, singer WHERE singer_id = singer.id",
    ),
    ("SELECT name FROM singer WHERE age >= 31", "SELECT name FROM singer WHERE age > 30"),
    ("SELECT name FROM stadium WHERE id NOT IN (SELECT stadium_id FROM concert)",
     "SELECT name FROM stadium WHERE NOT EXISTS (SELECT 1 FROM concert WHERE stadium_id = stadium.id)"),
    ("SELECT avg(age) FROM singer", "SELECT sum(age) * 1.0 / count(age) FROM singer"),
    ("SELECT name FROM singer ORDER BY age DESC", "SELECT name FROM (SELECT * FROM singer) AS x ORDER BY x.age DESC"),
    ("SELECT country, count(*) FROM singer GROUP BY country", "SELECT count(id), country FROM singer GROUP BY 2"),
    # Ties before a LIMIT or within an order may be broken in any way.
    ("SELECT name FROM stadium ORDER BY capacity DESC LIMIT 1", "SELECT name FROM stadium ORDER BY capacity DESC, id DESC LIMIT 1"),
    ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age, name DESC"),
    (
        "SELECT stadium_id FROM concert GROUP BY stadium_id ORDER BY count(*) DESC LIMIT 1",
        "SELECT stadium.id FROM stadium JOIN concert ON stadium.id = stadium_id GROUP BY stadium.id ORDER BY count(*) DESC LIMIT 1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "other"), SAME)
def test_queries_that_say_the_same_in_other_words_agree(shop, gold, other):
    for database in (shop, EMPTY):
        verdict = sql.compare(gold, other, database)
        assert verdict.stands, verdict.why


# One query in other words: SQLite compiles both to the same steps


@pytest.fixture(scope="module")
def program():
    shop = read_schema(SCHEMA)
    image = image_of(shop, Ground(shop, Hints()).fill(PROFILES[0]))

    def of(query: str):
        with Reader(shop.names, frozenset(), Clock(5), rows=1_000, result_bytes=100_000) as reader:
            return reader.program(image, query)

    return of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT name, age FROM singer WHERE age > 30", 'select "T1".NAME as n , T1.AGE from SINGER as T1 where T1.age>30 -- so'),
        (
            "SELECT count(*) FROM concert AS c JOIN singer AS s ON c.singer_id = s.id",
            "SELECT COUNT(*) FROM concert INNER JOIN singer ON singer_id = singer.id",
        ),
        ("SELECT name FROM singer WHERE country = 'France'", 'SELECT name FROM singer WHERE country = "France"'),
        (
            "SELECT country FROM singer GROUP BY country ORDER BY count(*) DESC LIMIT 1",
            "SELECT country FROM singer GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
        ),
    ],
)
def test_a_query_in_other_words_is_the_same_program(program, one, other):
    assert program(one) == program(other) is not None


ASKED = "SELECT name, age FROM singer WHERE age > 30 AND country = 'Peru' ORDER BY age LIMIT 3"


@pytest.mark.parametrize(
    "changed",
    [
        ASKED.replace("30", "31"),
        ASKED.replace("30", "30.0000001"),
        ASKED.replace(">", ">="),
        ASKED.replace("Peru", "peru"),
        ASKED.replace("= 'Peru'", "LIKE 'Peru'"),
        ASKED.replace("AND", "OR"),
        ASKED.replace(" AND country = 'Peru'", ""),
        ASKED.replace("name, age", "age, name"),
        ASKED.replace("name, age", "name, id"),
        ASKED.replace("SELECT", "SELECT DISTINCT"),
        ASKED.replace("ORDER BY age", "ORDER BY age DESC"),
        ASKED.replace("ORDER BY age", "ORDER BY age COLLATE NOCASE"),
        ASKED.replace("ORDER BY age", ""),
        ASKED.replace("LIMIT 3", "LIMIT 4"),
        ASKED.replace("LIMIT 3", "LIMIT 3 OFFSET 1"),
        ASKED.replace("name, age", "name, max(age)"),
        ASKED.replace("name, age", "name, min(age)"),
        ASKED.replace("name, age", "upper(name), age"),
        ASKED.replace("name, age", "lower(name), age"),
    ],
)
def test_a_query_with_one_change_is_another_program(program, changed):
    assert program(changed) != program(ASKED)


@pytest.mark.parametrize("blob", ["x'0001'", "x'0002'"])
def test_of_what_explain_leaves_out_no_program_is_made(program, blob):
    assert program(f"SELECT name FROM singer WHERE name = {blob}") is None
    # Rows distinguish them, as far as rows can.
    assert sql.compare(f"SELECT hex({blob}) FROM singer", "SELECT hex(x'0001') FROM singer", EMPTY).stands is (blob == "x'0001'")


def test_to_compile_a_query_needs_the_same_leave_as_to_run_it(program):
    with pytest.raises(QueryFailed, match="reads sqlite_master"):
        program("SELECT * FROM sqlite_master")
    with pytest.raises(QueryFailed, match="calls the function load_extension"):
        program("SELECT load_extension('x')")


def test_where_there_are_no_rows_but_generated_ones_the_reason_says_how_many_fillings():
    assert sql.compare("SELECT 1", "SELECT 1 + 0", EMPTY).why == "it gives what the seed's query gives on 10 generated fillings"


def test_order_is_the_gold_querys_to_ask_for():
    plain, ordered = "SELECT name FROM singer", "SELECT name FROM singer ORDER BY age"
    assert sql.compare(plain, ordered, EMPTY).stands
    assert not sql.compare(ordered, plain, EMPTY).stands


def test_a_view_is_asked_like_a_table():
    database = sql.Database("CREATE TABLE t (a INTEGER, b INTEGER); CREATE VIEW v AS SELECT a FROM t WHERE b > 3;")
    assert sql.compare("SELECT a FROM v", "SELECT a FROM t WHERE b >= 3", database).stands is False
    assert sql.compare("SELECT a FROM v", "SELECT a FROM t WHERE b > 3", database).stands


def test_a_verdict_does_not_depend_on_what_was_judged_before():
    query = "SELECT name FROM singer WHERE age >= 30"
    first = sql._compared("SELECT name FROM singer WHERE age > 30", query, EMPTY, sql.LIMITS, True)
    sql.sandbox._worker.stop()
    for other in ("age > 7", "age < 30", "country = 'Peru' AND age > 30"):
        sql.compare("SELECT name FROM singer WHERE age > 30", f"SELECT name FROM singer WHERE {other}", EMPTY)
    assert sql._compared("SELECT name FROM singer WHERE age > 30", query, EMPTY, sql.LIMITS, True) == first


# If a query takes the first or the largest, another filter or no order must give another result

HALLS = sql.Database(
    "CREATE TABLE hall (hall_id INTEGER PRIMARY KEY, name TEXT, seats NUMERIC, city TEXT, kind TEXT);\n"
    "CREATE TABLE show (id INTEGER PRIMARY KEY, hall_id TEXT REFERENCES hall (hall_id), year TEXT, guests INTEGER);"
)
SHOWS = "SELECT h.name, h.seats FROM show AS s JOIN hall AS h ON s.hall_id = h.hall_id"
MOST = "GROUP BY h.hall_id ORDER BY count(*) DESC LIMIT 1"


@pytest.mark.parametrize(
    ("gold", "wrong"),
    [
        (f"{SHOWS} WHERE s.year >= 2014 {MOST}", f"{SHOWS} {MOST}"),
        (f"{SHOWS} WHERE s.year >= 2014 {MOST}", f"{SHOWS} WHERE s.year > 2014 {MOST}"),
        (f"{SHOWS} WHERE s.year >= 2014 {MOST}", f"{SHOWS} WHERE s.year >= 2013 {MOST}"),
        (f"{SHOWS} WHERE s.year >= 2014 {MOST}", f"{SHOWS} WHERE s.id >= 2014 {MOST}"),
        (f"{SHOWS} WHERE s.year >= 2014 {MOST}", f"{SHOWS} WHERE s.year >= 2014 GROUP BY h.hall_id LIMIT 1"),
        ("SELECT max(seats) FROM hall WHERE city = 'Rome' OR kind = 'open'", "SELECT max(seats) FROM hall"),
        ("SELECT max(seats) FROM hall WHERE city = 'Rome' OR kind = 'open'", "SELECT max(seats) FROM hall WHERE city = 'Rome'"),
        ("SELECT min(guests) FROM show WHERE year = 2014 OR year = 2015", "SELECT min(guests) FROM show"),
        ("SELECT name FROM hall WHERE city = 'Rome' ORDER BY seats DESC LIMIT 1", "SELECT name FROM hall WHERE city = 'Rome' LIMIT 1"),
        ("SELECT name FROM hall WHERE city = 'Rome' ORDER BY seats LIMIT 1", "SELECT name FROM hall ORDER BY seats LIMIT 1"),
        (
            "SELECT h.city FROM hall AS h JOIN show AS s ON h.hall_id = s.hall_id WHERE s.year = '2014' ORDER BY s.guests LIMIT 1",
            "SELECT h.city FROM hall AS h JOIN show AS s ON h.hall_id = s.hall_id WHERE s.year = '2014' LIMIT 1",
        ),
    ],
)
def test_a_filter_or_an_order_that_is_dropped_gives_another_first_row(gold, wrong):
    assert sql.compare(gold, gold + " -- again", HALLS).stands
    assert not sql.compare(gold, wrong, HALLS).stands
