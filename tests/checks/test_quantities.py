"""Which numbers a text names, in digits and in words, and when two texts name the same."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.checks.quantities import missing, quantities


def means(text: str) -> list[set[Fraction]]:
    return [set(quantity.means) for quantity in quantities(text) if quantity.required]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6 jars", [{6}]),
        ("$1,250.50 each", [{Fraction("1250.5")}]),
        (".5 km", [{Fraction(1, 2)}]),
        ("3/4 of it", [{3, Fraction(3, 4)}]),
        ("½ of it", [{1, Fraction(1, 2)}]),
        ("20%", [{20, Fraction(1, 5)}]),
        ("2 million people", [{2, 2_000_000}]),
        ("two dozen eggs", [{24}]),
        ("two hundred and fifty-three", [{253}]),
        ("one thousand two hundred", [{1200}]),
        ("three four-legged dogs", [{3, 4}]),
        ("twenty-five", [{25}]),
        ("a 10-year-old with 3 cats", [{10}, {3}]),
        ("at 8:00", [{8}]),
        ("at 8:30", [{8}, {30}]),
        ("the 21st of May", [{21}]),
        ("paper of A4 for 2 of them", [{2}]),
        ("once, twice, half a dozen", [{12}]),
        ("two of them", []),
        ("someone often attends", []),
        ("9" * 50, []),
    ],
)
def test_numbers_are_read_as_people_write_them(text, expected):
    assert means(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("6 jars of 10", "ten cards in each of six jars"),
        ("two dozen eggs", "24 eggs"),
        ("有6个罐子", "6个罐子"),
        ("a quarter of them", "25% of them"),
        ("half of the 8", "1/2 of eight"),
        ("twice as many", "2 times as many"),
        ("3/4", "three quarters"),
        ("1,000 km", "1000 km"),
        ("$5.50", "5.5 dollars"),
        ("a dozen", "12"),
        ("8:00 am", "8 am"),
        ("an hour", "1 hour"),
        ("2,500,000", "2.5 million"),
        ("for three days", "over 3 days"),
        ("a third of 9", "1/3 of nine"),
    ],
)
def test_two_spellings_of_a_quantity_are_the_same(one, other):
    assert missing(one, other, spelled=True) is None
    assert missing(other, one, spelled=True) is None


@pytest.mark.parametrize(
    ("one", "other", "lost"),
    [
        ("6 jars with 10 cards", "6 jars with 11 cards", "10"),
        ("6 jars with 10 cards", "6 jars with cards", "10"),
        ("25%", "a third", "25%"),
        ("twelve boys", "eleven boys", "twelve"),
        ("1,000", "100", "1,000"),
        ("3 jars", "٣ jars", "3"),
        ("5/8 of it", "3/8 of it", "5/8"),
    ],
)
def test_a_quantity_that_is_gone_is_named(one, other, lost):
    assert missing(one, other, spelled=True) == lost


def test_words_count_only_where_they_are_english():
    assert missing("ten człowiek", "człowiek", spelled=False) is None
    assert missing("ten boys", "boys", spelled=True) == "ten"


@given(st.text(max_size=80) | st.text("0123456789.,/%½ ٣two thousandhalf-", max_size=40))
def test_a_text_names_what_it_names(text):
    assert missing(text, text, spelled=True) is None
