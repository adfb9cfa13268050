"""Bounds in tokens, by the teacher's count or a tokenizer's."""

import json

import pytest

from axolotl_synthetic.checks import length
from axolotl_synthetic.checks.length import Options

from candidates import KEEPS, MATH, SEED, candidate


@pytest.mark.parametrize(("tokens", "passes"), [(4, False), (5, True), (1536, True), (1537, False)])
def test_both_bounds_are_included(tokens, passes):
    judge = length.make(MATH, KEEPS, Options(at_least=5, at_most=1536))
    assert judge(candidate(answer_tokens=tokens), SEED).passed is passes


def test_the_reason_names_the_count_and_the_bound():
    judge = length.make(MATH, KEEPS, Options(at_least=5, at_most=9))
    assert judge(candidate(answer_tokens=10), SEED).detail == "10 tokens, more than 9"
    assert judge(candidate(answer_tokens=4), SEED).detail == "4 tokens, fewer than 5"


def test_a_teacher_that_counts_nothing_is_not_held_against_the_answer():
    verdict = length.make(MATH, KEEPS)(candidate(answer_tokens=None), SEED)
    assert verdict.passed is None
    assert "name a tokenizer" in verdict.detail


@pytest.fixture
def tokenizer(tmp_path):
    """Return a tokenizer with three words, split at white space."""
    vocabulary = {"six": 0, "tens": 1, "[UNK]": 2}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    text = {"version": "1.0", "model": model, "pre_tokenizer": {"type": "WhitespaceSplit"}}
    path = tmp_path / "tokenizer.json"
    path.write_text(
        json.dumps(text | dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder")) | {"added_tokens": []})
    )
    return path


@pytest.mark.parametrize("by_folder", [True, False])
def test_a_tokenizer_of_the_users_counts_instead(tokenizer, by_folder):
    named = str(tokenizer.parent if by_folder else tokenizer)
    judge = length.make(MATH, KEEPS, Options(at_most=3, tokenizer=named))
    assert judge(candidate("six tens #### ", answer_tokens=900), SEED).detail == "3 tokens"
    assert judge(candidate("six tens are sixty", answer_tokens=1), SEED).passed is False
