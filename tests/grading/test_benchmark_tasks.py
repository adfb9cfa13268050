"""lm-eval's own GSM8K and ARC-Challenge, as in `grade.tasks`.

The task definitions are real. The rows are ours, in the place of the Hub's, and the model's replies are known.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from axolotl_synthetic.grading import ModelArgs, evaluate

from hub import arc, gsm8k, settle, write_arc, write_gsm8k
from parrot import save_parrot


@pytest.fixture(scope="module")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_parrot(tmp_path_factory.mktemp("parrot") / "model")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write test sets in which the parrot is right about one of three, two of three, and one of three questions."""
    # It answers 42: wrong, right (6 * 7), wrong.
    write_gsm8k(tmp_path, test=[gsm8k(2, 3), gsm8k(6, 7), gsm8k(4, 2)])
    # By likelihood it prefers a run of the letter `a`; asked for a letter, it says B.
    rows = [("A", ["aaaaaa", "bcd"]), ("B", ["bcd", "aaaaaa"]), ("A", ["bcd", "aaaaaa"])]
    write_arc(tmp_path, test=[arc(number, [*choices, "xyz", "klm"], key) for number, (key, choices) in enumerate(rows)])
    settle(tmp_path, monkeypatch)
    return tmp_path


@pytest.mark.slow
def test_gsm8k_and_arc_challenge_are_graded_by_lm_evals_own_tasks(hub, parrot):
    tasks = ["gsm8k", "arc_challenge", "arc_challenge_chat"]
    scores = evaluate(model=ModelArgs(str(parrot)), tasks=tasks, include_path=None, log=hub / "lm_eval.log")
    assert {task: (score.metric, score.questions) for task, score in scores.items()} == {
        "gsm8k": ("exact_match,strict-match", 3),
        "arc_challenge": ("acc_norm", 3),
        "arc_challenge_chat": ("exact_match,remove_whitespace", 3),
    }
    assert {task: score.value for task, score in scores.items()} == {
        "gsm8k": pytest.approx(1 / 3),
        "arc_challenge": pytest.approx(2 / 3),
        "arc_challenge_chat": pytest.approx(1 / 3),
    }
