"""Nouns are singular after a count of one, in every message."""

import pytest

from axolotl_synthetic.wording import number_of


@pytest.mark.parametrize(
    ("count", "noun", "plural", "expected"),
    [(0, "seed", None, "0 seeds"), (1, "seed", None, "1 seed"), (1_200, "seed", None, "1,200 seeds"), (2, "reply", "replies", "2 replies")],
)
def test_a_noun_is_in_the_plural_unless_there_is_one(count, noun, plural, expected):
    assert number_of(count, noun, plural) == expected
