"""Digits of all scripts, and whether `,` or `.` begins the decimals of a number."""

import pytest

from axolotl_synthetic.config import Settings, load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.numerals import find_convention, plain, with_point
from axolotl_synthetic.seeds import read_seeds
from axolotl_synthetic.tasks.math import TASK


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("3.600 Schrauben", "3600 Schrauben"),
        ("16,5", "16.5"),
        ("1.234.567,8", "1234567.8"),
        ("0,125", "0.125"),
        # No groups of thousands begin with a zero, and none has two digits.
        ("0.125", "0.125"),
        ("16.5", "16.5"),
        # Dates, pairs and lists
        ("12.05.2024", "12.05.2024"),
        ("(1,2)", "(1,2)"),
        ("(1,5; 2,5)", "(1.5; 2.5)"),
        ("1,2,3", "1,2,3"),
        ("1, 2", "1, 2"),
    ],
)
def test_a_number_with_a_decimal_comma_gets_a_point(text, rewritten):
    assert with_point(text) == rewritten


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("１２個", "12個"),
        ("๗๒", "72"),
        ("٣٫٥", "3.5"),
        ("2½", "2 1/2"),
        ("−5", "-5"),
        ("1 000 000", "1000000"),
        ("1’000", "1000"),
        ("5 100/200", "5 100/200"),
        ("7²", "7²"),
        ("x₁", "x₁"),
    ],
)
def test_digits_and_signs_of_other_scripts_are_written_in_ascii(text, rewritten):
    assert plain(text) == rewritten


@pytest.mark.parametrize(
    ("texts", "decimal"),
    [
        (["3.600 Schrauben", "16,5", "1.200"], "comma"),
        (["Das kostet 2,50 Euro.", "#### 1.000"], "comma"),
        (["1.234.567 Menschen"], "comma"),
        (["It costs $2.50 or $1,000."], "point"),
        (["$1,234,567"], "point"),
        (["12 apples", "#### 72"], None),
        # A pair, and numbers in a row
        (["the point (1,2)"], None),
        (["read pages 1,2 and 3 of 1,000"], "point"),
        (["on 12.05.2024"], None),
    ],
)
def test_the_convention_is_the_one_that_the_texts_follow(texts, decimal):
    assert find_convention(texts).decimal == decimal


def test_what_decides_nothing_is_told():
    assert find_convention(["3.600 Schrauben", "12.000"]).note.startswith(
        "3.600 is read as 3.6; set `seeds.decimal: comma` if it means 3600"
    )


def test_both_conventions_in_one_file_are_told():
    note = find_convention(["2,50 Euro", "1,75 Euro", "2.50 dollars", "7.25 dollars", "9.99 dollars"]).note
    assert note.startswith("3 numbers are written with a decimal point and 2 with a comma, such as 2,50")


@pytest.mark.parametrize(("decimal", "gold"), [("comma", "3600 Schrauben"), ("point", "3.6 Schrauben"), (None, "3.6 Schrauben")])
def test_the_config_decides_before_the_seeds_do(tmp_path, decimal, gold):
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"question": "Wie viele?", "answer": "3.600 Schrauben"}\n', encoding="utf-8")
    settings = Settings.model_validate({"seeds": {"path": str(path), "decimal": decimal}}).seeds
    found = read_seeds(settings, required=TASK.required, optional=TASK.optional, problem=TASK.problem, seed=1, reads_numbers=True)
    assert [TASK.gold_answer(seed) for seed in found.seeds] == [gold]
    assert len(found.problems) == (decimal is None)


def test_no_other_convention_can_be_set():
    with pytest.raises(ConfigError, match=r"synthetic.seeds.decimal: 'dot'"):
        load_settings({"seeds": {"decimal": "dot"}})
