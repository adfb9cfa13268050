"""The numbers in a text, in digits and in words, and when two texts have the same numbers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.checks.quantities import missing, quantities, replaced


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
        ("once, twice, half a dozen", [{6, 12}]),
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
        ("three quarters of the 8", "75% of the 8"),
        ("three-fifths of them", "60% of them"),
        ("two thirds of 9", "2/3 of 9"),
        ("half a dozen eggs", "six eggs"),
        ("3 times as many", "triple the number"),
    ],
)
def test_two_spellings_of_a_quantity_are_the_same(one, other):
    assert missing(one, other, spelled=True) is None
    assert missing(other, one, spelled=True) is None


def test_a_reworded_number_is_read_by_the_seeds_convention():
    assert missing("3.600 Schrauben zu 16,5 g", "3600 Schrauben, 16.5 g jede", spelled=False, decimal="comma") is None
    assert missing("3.600 Schrauben", "3,6 Schrauben", spelled=False, decimal="comma") == "3600"


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
        ("three quarters of it", "two thirds of it", "three quarters"),
        ("2 thirds of it", "a third of it", "2 thirds"),
    ],
)
def test_a_quantity_that_is_gone_is_named(one, other, lost):
    assert missing(one, other, spelled=True) == lost


@pytest.mark.parametrize(
    ("one", "other", "pair"),
    [
        # Changes one of two occurrences of the seed's number.
        ("three cats and three dogs", "three cats and five dogs", ("three", "five")),
        ("the three cats ate 3 fish", "five cats ate 3 fish", ("three", "five")),
        ("two cats", "four cats", ("two", "four")),
        ("twice as many", "three times as many", ("twice", "three")),
        ("twice as many as the 3 cats", "three times as many as the 3 cats", ("twice", "three")),
        ("double the 10", "triple the 10", ("double", "triple")),
        ("half of the 3", "a third of the 3", ("half", "a third")),
        ("a quarter of them", "a fifth of them", ("a quarter", "a fifth")),
        ("two-thirds of them", "one-third of them", ("two-thirds", "one-third")),
        ("half as many", "twice as many", ("half", "twice")),
    ],
)
def test_a_number_in_words_that_became_another_of_its_kind_is_named(one, other, pair):
    assert replaced(one, other) == pair


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # The number of people is implied by their names.
        ("Ann, Ben and Cleo buy 4 pens each; the 4 pens are red", "the three friends buy 4 red pens each"),
        ("Ann has 4 pens. Ben has 4 pens.", "Two people have 4 pens each"),
        ("one of them", "three of them"),
        ("two pens for each of the two", "a pair of pens for both"),
        ("she does it twice a week", "she does it on two days a week"),
        ("twice as many", "two times as many"),
        ("half of it", "50% of it"),
        ("half of it", "it is divided by 2"),
        ("half an hour", "one hour for both"),
        ("one and a half km", "1.5 km"),
        ("the third of 4 days", "a third day out of 4"),
        ("9 quarters", "nine quarters"),
        ("5 days a week", "5 times a week"),
        ("three four-legged dogs", "3 dogs with 4 legs"),
    ],
)
def test_turns_of_speech_and_other_spellings_replace_nothing(one, other):
    assert replaced(one, other) is None


def test_words_count_only_where_they_are_english():
    assert missing("ten człowiek", "człowiek", spelled=False) is None
    assert missing("ten boys", "boys", spelled=True) == "ten"


WORDS = [
    "a",
    "two",
    "three",
    "half",
    "third",
    "thirds",
    "quarters",
    "times",
    "twice",
    "dozen",
    "and",
    "hundred",
    "2",
    "1/2",
    "50%",
    "of",
    "hour",
]


@given(
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
    | st.text(max_size=80)
    | st.text("0123456789.,/%½ ٣two thousandhalf-", max_size=40)
)
def test_a_text_names_what_it_names(text):
    assert missing(text, text, spelled=True) is None
    assert replaced(text, text) is None
