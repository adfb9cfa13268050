"""The record of rounds, and the manifest's and the report's entries about them."""

import json

import pytest

from axolotl_synthetic.dataset import Counts
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.rounds.record import FILE, Round, read, summary, write

ROUND = Round({"samples": 4}, 5, 4, {"a": 1.0, "b": 3.0})


def test_rounds_are_read_as_they_were_written(tmp_path):
    write(tmp_path, "key", [ROUND])
    assert read(tmp_path, "key") == [ROUND]


def test_rounds_of_other_settings_are_none_of_this_run(tmp_path):
    write(tmp_path, "key", [ROUND])
    assert read(tmp_path, "other") == [] and read(tmp_path / "elsewhere", "key") == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "key": "key", "rounds": [{"budget": {}}]}'])
def test_a_record_that_is_damaged_is_named_with_what_to_do(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StorageError, match=r"rounds.json: cannot be read .* delete it"):
        read(tmp_path, "key")


def test_the_manifest_says_of_each_round_its_budget_its_scores_and_what_moved():
    counts = Counts(12, 2, 1, {"final_answer": 2}, {}, {})
    first, last = summary([ROUND], "loss", ["a", "b", "c"], {"samples": 12}, counts)
    # Weights 1/2, 3/2 and, for the seed without a score, 1: shares 1/6, 1/2, 1/3 instead of 1/3 each.
    assert first == {
        "round": 1,
        "budget": {"samples": 4},
        "candidates": 5,
        "accepted": 4,
        "by": "loss",
        "scored": 2,
        "score": {"mean": 2.0, "least": 1.0, "quarter": 1.5, "half": 2.0, "three_quarters": 2.5, "most": 3.0},
        "weight": {"mean": 1.0, "least": 0.5, "quarter": 0.75, "half": 1.0, "three_quarters": 1.25, "most": 1.5},
        "moved": 0.1667,
    }
    assert (last["round"], last["budget"], last["candidates"], last["accepted"], last["score"]) == (2, {"samples": 12}, 15, 12, None)


def test_a_round_in_which_nothing_could_be_scored_has_no_spread():
    [first, _] = summary([Round({"samples": 4}, 5, 0, {})], "loss", ["a"], {"samples": 12}, Counts(12, 0, 0, {}, {}, {}))
    assert (first["score"], first["moved"]) == (None, 0.0)
    json.dumps(first)
