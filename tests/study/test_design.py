"""Cells, their order, their configs, their cost; and the rule that a smaller cell is the beginning of a larger one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console

from axolotl_synthetic import dataset, run
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.study.costs import cost, hours, show_cost
from axolotl_synthetic.study.design import Cell, Line, cells, epochs, first_accepted, lines, settings_of
from axolotl_synthetic.study.settings import Limits, Study, load_study
from axolotl_synthetic.study.sweep import CellResult, seeds_of
from axolotl_synthetic.tasks.math import TASK

from fake_server import FakeServer
from projects import KEY, Project


def study(**more: object) -> Study:
    return Study.model_validate({"config": "config.yml", "seed_sizes": [10, 4], "samples": [8, 2], "repeats": 2, **more})


def settings(**more: object):
    return load_settings({"seeds": {"path": "seeds.jsonl", "holdout": 5}, "seed": 7, **more})


def test_a_study_has_a_cell_for_each_size_budget_strategy_and_repeat():
    asked = study()
    made = [cell for line in lines(asked) for cell in cells(asked, line)]
    assert len(made) == len(set(made)) == len({cell.name for cell in made}) == 2 * 2 * 3 * 2


def test_a_whole_repeat_comes_before_the_next_and_small_before_large():
    made = list(lines(study()))
    assert [line.repeat for line in made] == [0] * 6 + [1] * 6
    assert [line.seeds for line in made[:6]] == [4] * 3 + [10] * 3
    assert [cell.samples for cell in cells(study(), made[0])] == [2, 8]


def test_a_line_is_generated_up_to_its_largest_cell_with_the_draw_of_its_repeat():
    made = settings_of(
        study(budget={"queries": 90}),
        Line(1, 4, "new_question"),
        settings(study="./other", budget={"usd": 3}, teacher={"price": {"input": 1, "output": 1}}),
    )
    assert (made.strategy, made.seeds.limit, made.seeds.holdout, made.seed, made.study) == ("new_question", 4, 5, 8, None)
    assert made.budget.model_dump() == {"samples": 8, "queries": 90, "tokens": None, "usd": None}


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Project(tmp_path, seeds=40)


@given(draw=st.integers(0, 1_000), sizes=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_the_seeds_of_a_smaller_line_are_the_first_of_a_larger_one_and_the_same_are_held_out(tmp_path_factory, draw, sizes):
    folder = tmp_path_factory.getbasetemp()
    if not (folder / "seeds.jsonl").exists():
        Project(folder, seeds=40)
    base = load_settings({"seeds": {"path": str(folder / "seeds.jsonl"), "holdout": 5}, "seed": draw})
    small, large = (
        seeds_of(settings_of(study(), Line(1, size, "new_question"), base), TASK, Line(1, size, "new_question")) for size in sorted(sizes)
    )
    assert large.seeds[: len(small.seeds)] == small.seeds
    assert large.held_out == small.held_out
    assert not {seed.id for seed in large.seeds} & {seed.id for seed in large.held_out}


def test_repeats_draw_other_seeds(seeds):
    one, two = (
        seeds_of(settings_of(study(), Line(repeat, 10, "new_question"), settings()), TASK, Line(repeat, 10, "new_question"))
        for repeat in (0, 1)
    )
    assert one.seeds != two.seeds


@given(st.lists(st.sampled_from(["accepted", "rejected", "failed"]), max_size=40), st.integers(1, 12), st.integers(1, 12))
def test_a_smaller_cell_is_the_beginning_of_a_larger_one(statuses, one, other):
    rows = [{"id": number, "status": status} for number, status in enumerate(statuses)]
    small, large = (first_accepted(rows, samples) for samples in sorted((one, other)))
    if large is not None:
        assert small == large[: len(small or ())] and small is not None
    if small is not None:
        assert sum(row["status"] == "accepted" for row in small) == min(one, other)
        assert small[-1]["status"] == "accepted"


def test_a_cut_line_is_byte_for_byte_what_a_run_with_the_smaller_budget_writes(tmp_path, monkeypatch):
    """Everything else of a study depends on this; the teacher is sometimes wrong."""
    from fake_replies import MathReplies

    project = Project(tmp_path / "project", seeds=8)
    with FakeServer(MathReplies(wrong=0.3), api_key=KEY, vary_repeats=True) as server:
        project.configure(server, strategy="answer_augmentation", budget={"samples": 20})
        large = project.run()
        assert large.code == 0, large.err
        rows = first_accepted(project.samples, 9)
        assert rows is not None and len(rows) > 9
        written = project.folder / "cut.jsonl"
        written.write_text("".join(dataset.to_json(row) + "\n" for row in rows))
        monkeypatch.chdir(project.folder)
        prepared = run.prepare(load_settings(yaml.safe_load((project.folder / "config.yml").read_text())["synthetic"]))
        cut = dataset.write_training_file(
            project.folder, written, prepared.seeds.seeds, lambda seed: TASK.prompt(seed.question), TASK.solution
        )
        project.configure(server, strategy="answer_augmentation", budget={"samples": 9})
        small = project.run()
        assert small.code == 0, small.err
    assert cut.path.read_bytes() == project.training_bytes
    assert [row["id"] for row in rows] == [row["id"] for row in project.samples]


def test_lines_in_rounds_have_a_cell_each_and_other_arms_all_cells():
    asked = study(strategies=["new_question"], arms={"by_loss": {"strategy": "new_question", "rounds": {"count": 2}}}, repeats=1)
    made = {line.name: [cell.samples for cell in cells(asked, line)] for line in lines(asked) if line.seeds == 4}
    assert made == {
        "new_question-4-seeds-repeat-1": [2, 8],
        "by_loss-4-seeds-2-samples-repeat-1": [2],
        "by_loss-4-seeds-8-samples-repeat-1": [8],
    }


def test_an_arm_is_generated_as_it_says_and_a_strategy_without_rounds_whatever_the_config_has():
    asked = study(
        arms={"by_loss": {"strategy": "new_question", "rounds": {"count": 2}}, "unverified": {"strategy": "new_question", "verify": []}}
    )
    base = settings(rounds={"count": 4}, verify=["format"])
    plain, by_loss, unverified = (
        settings_of(asked, Line(0, 4, *more), base) for more in (("new_question",), ("by_loss", 2), ("unverified",))
    )
    assert plain.rounds is None and unverified.rounds is None
    assert by_loss.rounds is not None and (by_loss.rounds.count, by_loss.budget.samples) == (2, 2)
    assert (plain.verify, by_loss.verify, unverified.verify) == (["format"], ["format"], [])
    assert {one.strategy for one in (plain, by_loss, unverified)} == {"new_question"}


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ({"new_question": {"strategy": "new_question"}}, "new_question is the name of a strategy"),
        ({"a b": {"strategy": "new_question"}}, "String should match pattern"),
        ({"best": {"strategy": "best"}}, "Input should be 'answer_augmentation'"),
        ({"early": {"strategy": "new_question", "budget": {}}}, "Extra inputs are not permitted"),
    ],
)
def test_arms_that_cannot_be_are_refused(arms, said):
    with pytest.raises(ValidationError, match=said):
        study(arms=arms)


def test_an_arm_costs_what_it_asks_beyond_the_others_of_its_strategy(seeds):
    arms = {"unverified": {"strategy": "new_question", "verify": []}, "by_loss": {"strategy": "new_question", "rounds": {"count": 2}}}
    made = cost(study(strategies=["new_question"], arms=arms), settings(), run.plan)
    # 2 repeats of 8 samples at 3 calls for each of two sizes, in each of three arms; two arms get their replies from the ledger.
    assert set(made.calls.values()) == {48.0} and len(made.calls) == 6
    assert made.total == 96


def done(arm: str, samples: int, repeat: int, seconds: float) -> tuple[Cell, CellResult]:
    cell = Cell(Line(repeat, 4, arm), samples)
    return cell, CellResult(arm, 4, samples, repeat + 1, "done", accuracy=0.5, train_seconds=seconds, grade_seconds=2.0)


def test_the_hours_to_come_follow_the_cells_that_are_done():
    asked = study(strategies=["new_question"], seed_sizes=[4], repeats=2)
    every: dict[Cell, CellResult | None] = {cell: None for line in lines(asked) for cell in cells(asked, line)}
    assert hours(asked, every) is None
    # 2 samples took 10 s, so 8 are assumed to take 40; each is graded in 2.
    first = hours(asked, every | dict([done("new_question", 2, 0, 10.0)]))
    assert first is not None and first.seconds == pytest.approx(40 + 10 + 40 + 3 * 2) and first.sizes == 1
    # 10 s and 16 s: a constant 8 s, and one per sample.
    then = hours(asked, every | dict([done("new_question", 2, 0, 10.0), done("new_question", 8, 0, 16.0)]))
    assert then is not None and then.seconds == pytest.approx(10 + 16 + 2 * 2) and then.cells == 2


def test_the_hours_to_come_count_the_students_of_rounds():
    asked = study(strategies=["new_question"], arms={"by_loss": {"strategy": "new_question", "rounds": {"count": 2, "growth": 1}}})
    asked = asked.model_copy(update={"seed_sizes": [4], "repeats": 1})
    cell = Cell(Line(0, 4, "by_loss", 8), 8)
    known = dict([done("new_question", 2, 0, 10.0), done("new_question", 8, 0, 16.0)])
    found = hours(asked, {**known, cell: None})
    # The intermediate student of 4 samples, and that of 8.
    assert found is not None and found.seconds == pytest.approx((8 + 4) + (8 + 8) + 2)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"num_epochs": 3}, "for 3 epochs, as in the paper"),
        ({}, "for 1 epoch, where the paper trains for 3"),
        ({"num_epochs": 3, "max_steps": 100}, "the same 100 steps"),
    ],
)
def test_how_long_the_students_are_trained_is_said(training, said):
    assert said in epochs(training)


@pytest.mark.parametrize(("rounds", "begins"), [({"count": 2}, "at least "), ({"count": 2, "by": "uniform"}, ""), (None, "")])
def test_calls_are_a_least_where_the_candidates_depend_on_the_number_of_samples(seeds, rounds, begins):
    asked = study(strategies=["new_question"], arms={"other": {"strategy": "new_question", "rounds": rounds}})
    console = Console(record=True, width=300)
    show_cost(console, asked, cost(asked, settings(), run.plan), 0, "trained")
    # 2 repeats of 8 samples at 3 calls for each of two sizes.
    assert f"\n{begins}96 calls in all" in console.export_text()


def test_a_study_costs_its_largest_cells(seeds):
    made = cost(study(), settings(), run.plan)
    # Two repeats of 8 samples at 1, 2 and 3 calls, for each of two sizes; as separate runs, the cells of 2 samples are added.
    assert made.calls == {
        (name, size): 16 * calls
        for size in (4, 10)
        for name, calls in (("answer_augmentation", 1), ("question_rephrase", 2), ("new_question", 3))
    }
    assert made.total == 2 * 16 * 6
    assert made.separately == pytest.approx(made.total * 10 / 8)
    assert made.usd is None and made.cells == 24


def test_a_limit_below_what_is_certain_is_refused(seeds):
    made = cost(study(), settings(), run.plan)
    assert made.problems(Limits(queries=192)) == []
    [problem] = made.problems(Limits(queries=191))
    assert problem.startswith("study.budget.queries: 191: the study takes at least 192 calls")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"samples": [8, 8]}, "study.samples: [8, 8]: names 8 2 times; name it once"),
        ({"seed_sizes": []}, "study.seed_sizes: []: list should have at least 1 item"),
        ({"target_accuracy": 80}, "study.target_accuracy: 80: input should be less than 1"),
        ({"budget": {"samples": 3}}, "study.budget.samples: unknown key; known here: queries, tokens, usd"),
        ({"config": None}, "study.config: None: input should be a valid string"),
        ({"launcher": "ray"}, "study.launcher: 'ray'"),
    ],
)
def test_a_wrong_key_is_named_with_its_value_and_what_is_known(tmp_path, block, said):
    path = tmp_path / "study.yml"
    path.write_text(yaml.safe_dump({"study": {"config": "c.yml", "seed_sizes": [2], "samples": [4], **block}}))
    with pytest.raises(ConfigError) as caught:
        load_study(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [("study: [", "is no YAML"), ("other: 1", "has no `study:` block"), ("study: {}", "study.seed_sizes: is required")]
)
def test_a_file_that_is_no_study_is_refused(tmp_path, text, said):
    path = tmp_path / "study.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_study(path)


def test_a_study_that_there_is_not_is_a_wrong_config(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(tmp_path / "none.yml")
