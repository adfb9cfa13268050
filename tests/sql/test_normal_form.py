"""The normal form of a query: the same words in the same order, whatever the space, the comments and the case of keywords."""

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from axolotl_synthetic.sql.queries import LONGEST_QUERY, NotAQuery, normal_form, order_matters, parsed


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("SELECT name ,  country FROM singer", "SELECT name, country FROM singer"),
        ("select\n\tname -- the name\nfrom singer /* all */ ;", "SELECT name FROM singer"),
        ("select count ( * ) , count(distinct x) from t group  by y", "SELECT count(*), count(DISTINCT x) FROM t GROUP BY y"),
        ("select T1 . a from t as T1 where T1.b in ( 1,2 )", "SELECT T1.a FROM t AS T1 WHERE T1.b IN (1, 2)"),
        ("select 'from  where' , \"group  by\" from t", "SELECT 'from  where', \"group  by\" FROM t"),
        ("select a from t where b = -1 and c - 1 > ( -2 )", "SELECT a FROM t WHERE b = -1 AND c - 1 > (-2)"),
        ("select cast ( a as int ) from t where not exists ( select 1 )", "SELECT CAST(a AS int) FROM t WHERE NOT EXISTS (SELECT 1)"),
        ("SELECT ifnull(a, 0) FROM t LIMIT 5, 2", "SELECT ifnull(a, 0) FROM t LIMIT 5, 2"),
        ("select .5, 'it''s', x'53' from t", "SELECT .5, 'it''s', x'53' FROM t"),
        ("with a as (select 1) select * from a", "WITH a AS (SELECT 1) SELECT * FROM a"),
    ],
)
def test_only_what_carries_no_meaning_changes(text, form):
    assert normal_form(text) == form
    assert normal_form(form) == form


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("DROP TABLE t", "DROP"),
        ("WITH x AS (SELECT 1) DELETE FROM t", "DELETE"),
        ("PRAGMA user_version", "PRAGMA"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("", "0 statements"),
        ("-- nothing", "0 statements"),
        ("SELECT 'open", "cannot read it"),
        ("SELECT FROM WHERE", "cannot read it"),
        ("The answer is 5.", "cannot read it"),
        ("SELECT 1" + " " * LONGEST_QUERY, "characters, more than"),
        ("SELECT 1\0", "NUL"),
        ("SELECT " + "(" * 2_000 + "1" + ")" * 2_000, "cannot read it"),
    ],
)
def test_what_is_no_query_is_refused_with_the_reason(text, why):
    with pytest.raises(NotAQuery, match=why):
        normal_form(text)


@pytest.mark.parametrize(
    ("query", "matters"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", True),
        ("SELECT a FROM t", False),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a)", False),
        ("SELECT a FROM t WHERE a = (SELECT a FROM t ORDER BY a LIMIT 1)", False),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", False),
    ],
)
def test_order_matters_only_with_an_order_by_of_the_outermost_query(query, matters):
    assert order_matters(parsed(query)) is matters


WORDS = st.sampled_from(
    ["a", "T1.b", "1", "2.5", "'x'", '"c"', "count(*)", "max(a)", "(a + 1)", "CASE WHEN a > 1 THEN 2 END", "-a", "a - b"]
)
CONDITIONS = st.sampled_from(["a = 1", "b IN (1, 2)", "a BETWEEN 1 AND 2", "name LIKE 'x'", "NOT a IS NULL", "a > (SELECT max(b) FROM u)"])
GAPS = st.sampled_from([" ", "\n", "  ", " /* x */ ", "\t-- y\n"])


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(CONDITIONS, max_size=3), GAPS)
def test_the_form_reads_as_the_query_that_it_is_the_form_of(words, conditions, gap):
    query = f"select {' , '.join(words)} from t as T1" + (f" where {' and '.join(conditions)}" if conditions else "")
    form = normal_form(gap.join(query.split(" ")))
    assert form == normal_form(query) == normal_form(form)
    assert sqlglot.parse_one(form, read="sqlite") == sqlglot.parse_one(query, read="sqlite")


@pytest.mark.parametrize("broken", ["SELECT 'a", "SELECT (((", "SELECT a FROM t WHERE", "SELECT /* a", "SELECT 1; DROP TABLE t"])
def test_a_text_that_cannot_be_read_does_no_harm_to_the_next(broken):
    with pytest.raises(NotAQuery):
        normal_form(broken)
    assert normal_form("select a from t -- b") == "SELECT a FROM t"
