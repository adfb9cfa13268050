"""Held-out texts with labels: accuracy and macro-F1, by hand and by lm-eval on a tiny model."""

import importlib.util
import json

import pytest

from axolotl_synthetic.grading import HELD_OUT_TASK, ModelArgs, cells, compare, evaluate, export_task
from axolotl_synthetic.grading.heldout import macro_f1
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks import load_task

from stub_task import AlwaysBilling

LABELS = ("account", "billing", "shipping")


def seeds(*labels, several=False):
    return [Seed(f"s{n}", Question(f"Ticket {n}.", labels=LABELS, several=several), label) for n, label in enumerate(labels)]


def metrics(folder):
    spec = importlib.util.spec_from_file_location("exported_metrics", folder / "metrics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_macro_f1_is_the_mean_over_the_labels_that_occur():
    pairs = [(("a",), ("a",)), (("a",), ("b",)), (("b",), ("b",)), (("c",), ())]
    # a: one right, one missed: 2/3; b: one right, one wrong: 2/3; c: one missed: 0.
    assert macro_f1(pairs) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_macro_f1_of_several_labels_counts_each_of_them():
    # a: right in both: 1; b: once right, once wrong: 2/3.
    assert macro_f1([(("a", "b"), ("a", "b")), (("a",), ("a", "b"))]) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("reply", "acc", "strict", "given"),
    [
        ("billing", 1.0, 1.0, ("billing",)),
        ("This is about billing.", 1.0, 0.0, ("billing",)),
        ("shipping", 0.0, 0.0, ("shipping",)),
        ("billing or shipping", 0.0, 0.0, ()),
    ],
)
def test_a_reply_scores_by_its_label(tmp_path, reply, acc, strict, given):
    export_task(tmp_path, task=load_task("classification"), held_out=seeds("billing"))
    [row] = metrics(tmp_path).dataset()["test"]
    assert metrics(tmp_path).grade(row, [reply]) == {"acc": acc, "macro_f1": (("billing",), given), "strict_match": strict}


def test_several_labels_must_all_be_named(tmp_path):
    export_task(tmp_path, task=load_task("classification"), held_out=seeds("billing, shipping", several=True))
    [row] = metrics(tmp_path).dataset()["test"]
    assert metrics(tmp_path).grade(row, ["shipping, billing"])["acc"] == 1.0
    assert metrics(tmp_path).grade(row, ["shipping"])["acc"] == 0.0


@pytest.mark.slow
def test_lm_eval_gives_accuracy_and_macro_f1_of_base_and_student(tmp_path, tiny_model, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "lm_eval"
    export_task(folder, task=AlwaysBilling(), held_out=seeds("billing", "billing", "shipping", "account"), max_gen_toks=4)
    scores = evaluate(model=ModelArgs(str(tiny_model)), tasks=[HELD_OUT_TASK], include_path=folder, log=tmp_path / "log")
    made = compare(base="base", student="student", base_scores=scores, student_scores=scores)
    assert [(row.task, row.metric, row.questions) for row in made.rows] == [(HELD_OUT_TASK, "acc", 4), (HELD_OUT_TASK, "macro_f1", 4)]
    # Two of four are billing; its F1 is 2 * 2 / (2 * 2 + 2) = 2/3, and that of the other two labels is 0.
    assert [row.base for row in made.rows] == pytest.approx([1 / 2, 2 / 9])
    assert cells(made.rows[1]) == ("22.2 %", "22.2 %", "0.0 %")
    assert json.loads(json.dumps(made.to_dict()))["rows"][1]["metric"] == "macro_f1"
