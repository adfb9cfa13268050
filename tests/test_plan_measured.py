"""`strategy: auto` by a finished study: its choice, its reasons, and its refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.config import Settings, load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.plan import Case, costs, decide
from axolotl_synthetic.plan.measured import FILE, Crossing, Curve, Law, Measured, Point, choose, interval, read_measured, to_dict

AA, QR, NQ = "answer_augmentation", "question_rephrase", "new_question"
CASE = Case(seeds=100, teacher="big", augmenter="big", student="small")


def curve(strategy: str, seeds: int, *accuracies: float, stderr: float | None = 0.01, law: Law | None = None) -> Curve:
    """Return a curve with points at 50, 200 and 800 samples."""
    points = tuple(Point(q, one, stderr, 2) for q, one in zip((50, 200, 800), accuracies, strict=True))
    return Curve(strategy, seeds, points, law, {AA: 1.0, QR: 2.0, NQ: 3.0}[strategy])


def measured(*curves: Curve, **more: Any) -> Measured:
    made = Measured(
        folder="study",
        task="math",
        teacher="big",
        augmenter="big",
        student="small",
        metric="exact_match",
        questions=100,
        untrained=0.05,
        repeats=2,
        failed=0,
        curves=curves,
        crossings=(),
    )
    return replace(made, **more)


# Answers lead at 50 samples, new questions at 800.
USUAL = (curve(AA, 100, 0.40, 0.45, 0.50), curve(NQ, 100, 0.30, 0.44, 0.60))


def settings(**budget: Any) -> Settings:
    return load_settings({"strategy": "auto", "budget": budget or {"samples": 200}, "teacher": {"price": {"input": 1, "output": 1}}})


def rates(one: Settings) -> dict[str, costs.Rates]:
    return costs.assume(one, {purpose: costs.Length(100, 100, 100) for purpose in ("answer", "rephrase", "new_question", "self_check")})


def chosen(study: Measured, case: Case = CASE, **budget: Any) -> Any:
    one = settings(**budget)
    return choose(study, one, case, rates(one))


@pytest.mark.parametrize(("samples", "best"), [(50, AA), (200, AA), (800, NQ)])
def test_the_strategy_that_the_study_expects_most_of_at_this_budget_is_taken(samples, best):
    assert chosen(measured(*USUAL), samples=samples).strategy == best


def test_a_limit_on_calls_buys_fewer_samples_of_what_takes_more_of_them():
    # 800 calls are 800 answers (50 %) or 266 new questions: 44 %, plus a part of the way to 60 %, ln(266.7/200) / ln 4 = 0.21, so 47.3 %.
    made = chosen(measured(*USUAL), queries=800)
    assert made.strategy == AA
    assert "answer_augmentation 50.0% with 800 samples, new_question 47.3% with 267 samples" in made.reasons[0]


def test_between_two_sizes_the_accuracy_is_interpolated_over_their_logarithm():
    study = measured(curve(AA, 10, 0.2, 0.2, 0.2), curve(AA, 1_000, 0.4, 0.4, 0.4))
    assert study.expected(AA, 100, 200)[0] == pytest.approx(0.3)
    assert "100 seeds are between its sizes (10, 1,000)" in " ".join(chosen(study).reasons)


def test_outside_the_sizes_the_nearest_stands_in_and_that_is_said():
    study = measured(*USUAL)
    assert study.expected(AA, 7, 200) == study.expected(AA, 100, 200)
    assert "7 seeds are outside the 100 to 100 that it measured" in " ".join(chosen(study, replace(CASE, seeds=7)).reasons)


@pytest.mark.parametrize(
    ("samples", "law", "said"),
    [
        (49, None, "49 samples are fewer than the 50 that it measured, so its smallest cell stands for them"),
        (801, None, "801 samples are more than the 800 that it measured, so the largest cell stands for it"),
        (801, Law(0.7, 1, 0.5, 0.9), "801 samples are more than the 800 that it measured, so the fitted curve is drawn on"),
        (50, None, "within what the study measured"),
        (800, None, "within what the study measured"),
    ],
)
def test_a_budget_outside_the_measured_range_says_so(samples, law, said):
    study = measured(curve(AA, 100, 0.4, 0.45, 0.5, law=law))
    assert said in " ".join(chosen(study, samples=samples).reasons)


def test_a_law_is_followed_where_there_is_one_and_the_means_where_not():
    law = Law(0.8, 4, 0.5, 0.9)
    assert curve(AA, 100, 0.4, 0.45, 0.5, law=law).at(400) == pytest.approx(0.8 - 4 / 20)
    # Halfway over the logarithm from 200 to 800.
    assert curve(AA, 100, 0.4, 0.45, 0.5).at(400) == pytest.approx(0.475)


@given(samples=st.floats(1, 1e7), a=st.floats(0, 1), b=st.floats(0, 50), c=st.floats(0.02, 3))
def test_an_expected_accuracy_is_always_a_share(samples, a, b, c):
    assert 0 <= curve(AA, 100, 0.4, 0.45, 0.5, law=Law(a, b, c, 0.9)).at(samples) <= 1


@pytest.mark.parametrize(
    ("gap", "stderr", "said"),
    [
        # The difference has a standard error of 0.0141: 2.3 points are significant, fewer are not.
        (0.03, 0.01, "the first leads by 3.0 points, more than the 2.3 that 2 repeats leave open"),
        (0.02, 0.01, "within the 2.3 that 2 repeats leave open: answer_augmentation may do as well, and asks for fewer calls a sample"),
        (0.02, None, "how certain that is the study cannot say, having one repeat"),
    ],
)
def test_how_certain_the_lead_is_stands_in_the_reasons(gap, stderr, said):
    study = measured(curve(AA, 100, 0.4, 0.4, 0.4, stderr=stderr), curve(NQ, 100, *[0.4 + gap] * 3, stderr=stderr))
    assert said in " ".join(chosen(study).reasons)


def test_a_strategy_that_the_study_left_out_is_not_taken():
    assert chosen(measured(curve(QR, 100, 0.1, 0.1, 0.1))).strategy == QR


def test_other_models_than_the_studys_are_named():
    text = " ".join(chosen(measured(*USUAL, failed=3), replace(CASE, teacher="bigger", student="another")).reasons)
    assert "not measured: the teacher bigger; the study's was big" in text
    assert "not measured: the student another" in text
    assert "augmenter big" not in text
    assert "3 of the study's cells could not be made" in text


def test_a_plan_by_a_study_has_its_crossing_and_says_what_the_paper_would_do():
    study = measured(*USUAL, crossings=(Crossing(100, AA, NQ, 250.0, "within", 120.0, 800.0),))
    one = settings(samples=800)
    made = decide(one, CASE, rates(one), study)
    assert made.strategy == {NQ: 1.0}
    assert (made.budget_ratio, made.crossover, made.band) == (8, 2.5, (1.2, 8))
    assert "the study saw new questions take the lead from answers at 250 samples (120 to ≥ 800), 2.5 a seed" in " ".join(made.reasons)
    assert made.reasons[-1].startswith("without the study: answer_augmentation 100%, by the paper")


def test_without_a_crossing_of_its_own_the_papers_stays():
    one = settings(samples=800)
    assert decide(one, CASE, rates(one), measured(*USUAL)).crossover == decide(one, CASE, rates(one)).crossover


def test_a_strategy_that_the_config_names_is_kept_whatever_a_study_says():
    one = load_settings({"strategy": QR, "study": "study"})
    assert decide(one, CASE, rates(one), measured(*USUAL)).strategy == {QR: 1.0}


@pytest.mark.parametrize(
    ("low", "high", "said"), [(60, 700, "60 to 700"), (50, 700, "≤ 50 to 700"), (60, 800, "60 to ≥ 800"), (800, 800, "≥ 800")]
)
def test_an_interval_that_reaches_the_end_of_what_was_measured_shows_it(low, high, said):
    assert interval(measured(*USUAL), Crossing(100, AA, NQ, None, "beyond", low, high)) == said


# The file


def write(folder: Path, study: Measured, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text(json.dumps({**to_dict(study), **more}))
    return folder


def test_what_is_written_is_read_again(tmp_path):
    study = measured(curve(AA, 100, 0.4, 0.45, 0.5, law=Law(0.5, 1, 0.5, None)), crossings=(Crossing(100, AA, NQ, None, "before", 50, 60),))
    assert read_measured(write(tmp_path / "study", study), task="math") == replace(study, folder=str(tmp_path / "study"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"task": "multiple_choice"}, "the study measured the task multiple_choice, and this config says math; name another study"),
        ({"curves": []}, "none of the study's cells could be made"),
        ({"format": 2}, "is of another version"),
        ({"curves": [{"strategy": AA}]}, "is damaged"),
        ({"repeats": None, "more": 1}, "is damaged"),
    ],
)
def test_a_study_that_does_not_serve_is_refused_with_what_to_do(tmp_path, more, said):
    folder = write(tmp_path / "study", measured(*USUAL), **more)
    with pytest.raises(ConfigError) as caught:
        read_measured(folder, task="math")
    assert str(caught.value).startswith("synthetic.study: ") and said in str(caught.value)


def test_a_study_that_is_missing_or_not_finished_is_told_apart(tmp_path):
    with pytest.raises(ConfigError, match="no study was made there"):
        read_measured(tmp_path / "study", task="math")
    (tmp_path / "study" / "cells").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"is not finished; `axolotl synthetic study STUDY.yml` goes on"):
        read_measured(tmp_path / "study", task="math")
