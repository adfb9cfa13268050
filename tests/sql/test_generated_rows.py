"""Generated rows: they keep a schema's types and keys, are the same everywhere, and test a query's literals."""

import random
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axolotl_synthetic.sql import images
from axolotl_synthetic.sql.filling import Ground
from axolotl_synthetic.sql.hints import Hints, hints_of, hints_of_schema
from axolotl_synthetic.sql.images import image_of, rearranged
from axolotl_synthetic.sql.profiles import CLOSE, COUNTED, EMPTY, LARGER, MORE, PROFILES, RARE, Profile, profiles_for, spread_out
from axolotl_synthetic.sql.queries import parsed
from axolotl_synthetic.sql.schema import quoted, read_schema
from axolotl_synthetic.sql.values import near

from shop import SCHEMA

ALL = (*PROFILES, RARE, *CLOSE, *COUNTED, *MORE, *LARGER)
SHOP = read_schema(SCHEMA)
ADULTS = "SELECT name FROM singer WHERE country = 'France' AND age >= 30"
BY_NAME = {profile.name: profile for profile in ALL}


def rows_of(query: str, profile: Profile, schema=SHOP) -> dict[str, list[tuple]]:
    return Ground(schema, hints_of(parsed(query), schema.columns)).fill(profile)


def column(rows: dict[str, list[tuple]], table: str, name: str, schema=SHOP) -> list:
    (found,) = [table_ for table_ in schema.tables if table_.name == table]
    at = [column.name for column in found.columns].index(name)
    return [row[at] for row in rows[table]]


# Schemas of every kind: types, composite keys, and references to themselves, to later tables, and in a circle.

TYPES = ["INTEGER", "INT", "REAL", "NUMERIC(10, 2)", "TEXT", "VARCHAR(20)", "DATE", "DATETIME", "BOOLEAN", "BLOB", ""]


@st.composite
def schemas(draw) -> str:
    count = draw(st.integers(1, 4))
    tables = []
    for number in range(count):
        columns = [
            f"c{at} {draw(st.sampled_from(TYPES))}{draw(st.sampled_from(['', ' NOT NULL', ' UNIQUE']))}"
            for at in range(draw(st.integers(1, 4)))
        ]
        constraints = []
        key = draw(st.sampled_from(["none", "own", "two"]))
        if key == "own":
            columns.insert(0, "id INTEGER PRIMARY KEY")
        if key == "two" and len(columns) > 1:
            constraints.append("PRIMARY KEY (c0, c1)")
        if draw(st.booleans()):
            # SQLite accepts a key only if it names something unique, but many schemas declare others.
            columns.append(f"up INTEGER REFERENCES t{draw(st.integers(0, count - 1))} (c0)")
        tables.append(f"CREATE TABLE t{number} ({', '.join(columns + constraints)});")
    return "\n".join(tables)


@settings(max_examples=80, deadline=None)
@given(schemas(), st.sampled_from(ALL))
def test_every_schema_is_filled_and_its_keys_hold(text, profile):
    schema = read_schema(text)
    rows = Ground(schema, Hints()).fill(profile)
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image_of(schema, rows))
    for table in schema.tables:
        # SQLite accepted every row: no constraint was broken.
        [[count]] = connection.execute(f"SELECT count(*) FROM {quoted(table.name)}")
        assert count == len(rows[table.name])
        for key in table.foreign_keys:
            parents = [column.name for column in next(one for one in schema.tables if one.name == key.table).columns]
            there = {row[parents.index(key.parents[0])] for row in rows[key.table]} | {None}
            own = [column.name for column in table.columns].index(key.columns[0])
            if key.table == table.name or _cut(schema, table):
                continue
            assert {row[own] for row in rows[table.name]} <= there
    connection.close()


def _cut(schema, table) -> bool:
    """Return whether a table is in a circle of references: those references are cut, and name nothing."""
    ways = {one.name: {key.table for key in one.foreign_keys} for one in schema.tables}
    reached, todo = set(), [table.name]
    while todo:
        for other in ways[todo.pop()] - reached:
            reached.add(other)
            todo.append(other)
    return any((other in reached and table.name in ways.get(other, ())) or other == table.name for other in reached)


def test_types_are_kept():
    schema = read_schema("CREATE TABLE t (i INTEGER, r REAL, s TEXT, d DATE, z DATETIME, b BOOLEAN, y VARCHAR(9))")
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image_of(schema, Ground(schema, Hints()).fill(BY_NAME["stairs"])))
    kinds = set(connection.execute("SELECT typeof(i), typeof(r), typeof(s), typeof(d), typeof(b), typeof(y) FROM t"))
    assert kinds == {("integer", "real", "text", "text", "integer", "text")}
    [[dates]] = connection.execute("SELECT count(*) FROM t WHERE strftime('%Y', d) > '1990' AND strftime('%H', z) IS NOT NULL")
    assert dates == len(connection.execute("SELECT * FROM t").fetchall())


def test_the_same_rows_come_out_in_every_process():
    program = (
        "import sys; sys.path[:0] = ['tests']\n"
        "from axolotl_synthetic.sql.filling import Ground; from axolotl_synthetic.sql.hints import hints_of\n"
        "from axolotl_synthetic.sql.profiles import PROFILES; from axolotl_synthetic.sql.queries import parsed\n"
        "from axolotl_synthetic.sql.schema import read_schema; from shop import SCHEMA\n"
        "schema = read_schema(SCHEMA)\n"
        "query = \"SELECT name FROM singer WHERE country IN ('France', 'Peru') AND age > 30\"\n"
        "print([Ground(schema, hints_of(parsed(query), schema.columns)).fill(profile) for profile in PROFILES])"
    )
    # The order of sets differs between processes.
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed}, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert len(said.pop()) > 1_000


# Literals


def test_a_literal_and_its_neighbours_are_in_the_column_that_is_compared_with_it():
    rows = rows_of(ADULTS, BY_NAME["literals"])
    countries, ages = column(rows, "singer", "country"), column(rows, "singer", "age")
    assert countries.count("France") > len(countries) / 3
    assert {"fRANCE", "Frances", "Franc", "aFrance"} & set(countries)
    assert min(ages) < 30 < max(ages)
    everywhere = {age for profile in PROFILES for age in column(rows_of(ADULTS, profile), "singer", "age")}
    assert {29, 30, 31} <= everywhere
    assert "France" not in column(rows, "stadium", "name")


@pytest.mark.parametrize(
    ("query", "table", "name", "wanted"),
    [
        ('SELECT id FROM singer WHERE country = "France"', "singer", "country", "France"),
        ("SELECT id FROM singer WHERE country LIKE '%ran%'", "singer", "country", "ran"),
        ("SELECT id FROM singer AS s JOIN concert AS c ON s.id = c.singer_id WHERE c.year = 2014", "concert", "year", 2014),
        ("SELECT id FROM singer WHERE 'Peru' <> country", "singer", "country", "Peru"),
        ("SELECT id FROM singer WHERE age IN (20, -5)", "singer", "age", -5),
        ("SELECT id FROM singer WHERE age BETWEEN 60 AND 70", "singer", "age", 60),
        ("SELECT country, sum(age) AS total FROM singer GROUP BY country HAVING total > 99", "singer", "age", 99),
        ("SELECT id FROM concert WHERE stadium_id = 77", "concert", "stadium_id", 77),
    ],
)
def test_literals_are_found_wherever_they_stand(query, table, name, wanted):
    assert any(wanted in column(rows_of(query, profile), table, name) for profile in PROFILES)


def test_a_length_that_is_compared_is_met():
    rows = [
        value
        for profile in PROFILES
        for value in column(rows_of("SELECT id FROM singer WHERE length(name) > 9", profile), "singer", "name")
    ]
    assert {9, 10} <= {len(value) for value in rows}


def test_the_literals_of_check_constraints_are_used_because_sqlite_would_take_no_other_rows():
    schema = read_schema("CREATE TABLE t (g TEXT CHECK (g IN ('M', 'F')), n INTEGER CHECK (n > 1000))")
    ground = Ground(schema, hints_of_schema(schema.text, schema.columns))
    taken = set()
    for profile in PROFILES:
        connection = sqlite3.connect(":memory:")
        connection.deserialize(image_of(schema, ground.fill(profile)))
        taken |= {g for [g] in connection.execute("SELECT g FROM t")}
    assert taken - {None} == {"M", "F"}  # NULL satisfies a CHECK


def test_a_primary_key_that_is_a_row_number_takes_whole_numbers_alone_and_no_row_that_has_none_ends_the_filling():
    query = "SELECT name FROM singer WHERE id > 3.5"
    for profile in PROFILES:
        assert all(isinstance(number, int) for number in column(rows_of(query, profile), "singer", "id"))
    image = image_of(SHOP, {"singer": [(1, "Ada", None, 3), (2.5, "Ben", None, 3), (3, "Chen", None, 3)], "stadium": [], "concert": []})
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image)
    assert connection.execute("SELECT id FROM singer").fetchall() == [(1,), (3,)]


def test_neighbours_of_numbers_dates_and_texts():
    assert list(near(5, "integer")) == [4, 6]
    assert list(near(3.5, "integer")) == [3, 4]
    assert list(near("2009", "text")) == ["2008", "2010"]
    assert list(near("2020-02-28", "date")) == ["2020-02-27", "2020-02-29", "2021-02-27"]
    assert list(near("%Hey%", "text")) == ["hEY", "Heys", "He", "aHey"]


# Spreads


@pytest.mark.parametrize("size", [1, 2, 7, 24, 40])
def test_stairs_have_no_two_groups_of_one_size(size):
    sizes = sorted(Counter(spread_out(random.Random(size), range(60), size, "stairs")).values(), reverse=True)
    assert sum(sizes) == size
    assert len(set(sizes)) == len(sizes)


def test_columns_in_stairs_differ_in_how_many_values_they_have():
    # 12 rows are 1 + 2 + 3 + 4 and two more: at most four groups, and up to two fewer.
    assert {len(set(spread_out(random.Random(seed), range(60), 12, "stairs"))) for seed in range(40)} == {2, 3, 4}


@pytest.mark.parametrize("size", [1, 2, 7, 24, 40])
def test_close_groups_differ_in_size_and_the_largest_is_not_far_ahead(size):
    for seed in range(20):
        sizes = sorted(Counter(spread_out(random.Random(seed), range(60), size, "close")).values())
        assert sum(sizes) == size
        assert len(set(sizes)) == len(sizes)
        # 24 rows in three to six groups: 7 8 9, 4 5 6 9, 2 3 4 5 10 or 1 2 3 4 5 9.
        assert size != 24 or sizes[-1] <= 10


def test_counted_groups_are_one_row_smaller_just_as_large_and_one_larger():
    sizes = Counter(spread_out(random.Random(1), range(60), 14, "counted", (4,))).values()
    assert {3, 4, 5} <= set(sizes)


def test_a_query_that_counts_rows_gets_groups_of_that_size():
    query = "SELECT stadium_id FROM concert GROUP BY stadium_id HAVING count(*) >= 40"
    hints = hints_of(parsed(query), SHOP.columns)
    assert profiles_for(hints)[-len(COUNTED) :] == COUNTED
    sizes = set(Counter(column(Ground(SHOP, hints).fill(COUNTED[0]), "concert", "stadium_id")).values())
    assert {39, 40, 41} <= sizes


def test_a_query_that_limits_gets_more_rows_than_that():
    assert all(len(rows_of("SELECT name FROM singer LIMIT 30 OFFSET 5", p)["singer"]) > 35 for p in PROFILES if p.parents > 1)


def test_there_are_fillings_with_no_row_with_nulls_with_ties_and_without():
    assert rows_of("SELECT 1", EMPTY) == {"singer": [], "stadium": [], "concert": []}
    assert None in column(rows_of("SELECT 1", BY_NAME["nulls"]), "singer", "country")
    assert None not in column(rows_of("SELECT 1", BY_NAME["nulls"]), "singer", "name")
    assert len(set(column(rows_of("SELECT 1", BY_NAME["ties"]), "singer", "age"))) <= 3
    ages = column(rows_of("SELECT name FROM singer ORDER BY age", BY_NAME["stairs"]), "singer", "age")
    assert len(set(ages)) == len(ages)


def test_some_row_is_referred_to_by_none():
    rows = rows_of("SELECT 1", BY_NAME["stairs"])
    assert set(column(rows, "singer", "id")) > set(column(rows, "concert", "singer_id"))


def test_rearranged_rows_are_the_same_rows_in_other_orders():
    rows = rows_of("SELECT 1", BY_NAME["stairs"])
    image = image_of(SHOP, rows)
    scans = []
    for one in (image, *rearranged(SHOP, image)):
        connection = sqlite3.connect(":memory:")
        connection.deserialize(one)
        scans.append([name for [name] in connection.execute("SELECT id FROM singer")])
    first = list(range(1, BY_NAME["stairs"].parents + 1))
    assert scans == [first, first[::-1], [*first[::2], *first[1::2]][::-1]]


def test_rows_whose_columns_are_more_than_names_and_types_are_not_rearranged():
    schema = read_schema("CREATE TABLE t (a TEXT COLLATE NOCASE)")
    assert rearranged(schema, image_of(schema, Ground(schema, Hints()).fill(BY_NAME["stairs"]))) == ()


def singers_in(image: bytes) -> list[str]:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image)
    return [name for [name] in connection.execute("SELECT name FROM singer ORDER BY id")]


def singers(*names: str) -> dict[str, list[tuple]]:
    return {"singer": [(at, name, None, 3) for at, name in enumerate(names)], "stadium": [], "concert": []}


def test_a_filling_has_none_of_the_rows_of_the_one_before_it():
    assert singers_in(image_of(SHOP, singers("Ada", "Ben", "Chen"))) == ["Ada", "Ben", "Chen"]
    assert singers_in(image_of(SHOP, singers("Dina"))) == ["Dina"]
    assert singers_in(image_of(SHOP, singers())) == []


def test_a_filling_that_broke_leaves_nothing_to_the_next_one(monkeypatch):
    insert = images._insert

    def breaks(connection, statement, rows):
        insert(connection, statement, rows)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(images, "_insert", breaks)
        with pytest.raises(MemoryError):
            image_of(SHOP, singers("Ada"))
    assert singers_in(image_of(SHOP, singers("Ben"))) == ["Ben"]


def test_only_so_many_databases_stay_open_and_one_that_was_closed_is_made_again(monkeypatch):
    monkeypatch.setattr(images, "KEPT_OPEN", 2)
    monkeypatch.setattr(images, "_open", type(images._open)())
    schemas = [read_schema(f"CREATE TABLE t (c{number} INTEGER)") for number in range(3)]
    for at in (0, 1, 2, 0, 1):
        connection = sqlite3.connect(":memory:")
        connection.deserialize(image_of(schemas[at], {"t": [(at,)]}))
        assert connection.execute(f"SELECT c{at} FROM t").fetchall() == [(at,)]
        assert len(images._open) <= 2
    assert [text for text, _ in images._open] == [schemas[0].text, schemas[1].text]
