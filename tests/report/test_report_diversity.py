"""The measures on texts for which they can be computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axolotl_synthetic.report import diversity
from axolotl_synthetic.report.diversity import SEEDS, distinct, measure


def test_distinct_2_is_the_share_of_different_word_pairs():
    # (a b), (b a), (a b) and (a b): two of four.
    assert distinct(["a b a b", "A, b!"]) == 2 / 4
    assert distinct(["one", ""]) is None


def test_the_same_question_again_is_wholly_alike_and_another_not_at_all():
    found = measure({"new_question": ["red apples", "red apples", "blue sky"]}, [])
    # One of three pairs has 1 and two have 0.
    assert found["new_question"].similarity == pytest.approx(1 / 3)
    assert found["new_question"].nearest.size == 0


def test_a_seeds_own_question_is_nearest_to_it_and_a_seed_is_compared_with_the_others():
    found = measure({"answer_augmentation": ["red apples"], "new_question": ["green grass"]}, ["red apples", "blue sky"])
    assert found["answer_augmentation"].nearest == pytest.approx([1.0])
    assert found["new_question"].nearest == pytest.approx([0.0])
    assert found[SEEDS].nearest == pytest.approx([0.0, 0.0])
    assert found["new_question"].similarity is None


def test_half_of_the_words_in_common_is_the_cosine_of_tf_idf():
    # Two texts in total; `red` is in both, the others in one: idf = ln((1 + 2) / (1 + 1)) + 1 for these, 1 for `red`.
    other = math.log(3 / 2) + 1
    found = measure({"new_question": ["red grass"]}, ["red apples"])
    assert found["new_question"].nearest == pytest.approx([1 / (1 + other**2)])


def test_numbers_and_signs_are_words():
    found = measure({"new_question": ["7", "8"], "question_rephrase": ["5 - 3", "5 + 3"]}, [])
    assert found["new_question"].similarity == 0
    assert found["question_rephrase"].similarity < 1


def test_texts_without_a_word_are_no_error():
    assert measure({"new_question": ["…", "!"]}, ["?"]) == {}
    assert measure({"new_question": ["…", "one", "one"]}, [])["new_question"].similarity == pytest.approx(1 / 3)


def test_more_questions_than_are_held_at_once_give_the_same(monkeypatch):
    questions = [f"word{n} word{n + 1} word{n % 7}" for n in range(50)]
    whole = measure({"new_question": questions}, questions[::3])
    monkeypatch.setattr(diversity, "AT_ONCE", 7)
    parts = measure({"new_question": questions}, questions[::3])
    for name in (SEEDS, "new_question"):
        assert np.array_equal(whole[name].nearest, parts[name].nearest)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5).map(" ".join), min_size=2, max_size=8))
def test_the_mean_is_that_of_every_pair_taken_one_by_one(texts):
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer=str.split).fit_transform(texts).toarray()
    pairs = [vectors[i] @ vectors[j] for i in range(len(texts)) for j in range(i)]
    assert measure({"new_question": texts}, [])["new_question"].similarity == pytest.approx(np.mean(pairs))
