"""Runs in rounds, with a real student that Axolotl trains and lm-eval scores, and a teacher behind a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic import run
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.pipelines.schedule import Phase, schedule
from axolotl_synthetic.rounds.division import weights

from fake_replies import MathReplies
from fake_server import FakeServer
from projects import KEY, Project, until
from tiny_model import axolotl_config, save_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model"))


def configure(project: Project, server: FakeServer, model, **block) -> None:
    """Write the project's config with a student and rounds of 4 and 8 samples."""
    project.configure(server, **{"budget": {"samples": 12}, "rounds": {"count": 2, "by": "loss", "launcher": "python"}, **block})
    path = project.folder / "config.yml"
    made = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(axolotl_config(model, project.folder, synthetic=made["synthetic"])))


def of_file(project: Project):
    [one] = json.loads((project.out / "rounds.json").read_text())["rounds"]
    return one


def test_a_second_round_asks_more_about_the_seeds_that_cost_the_student_most_and_nothing_is_paid_twice(tmp_path, model, monkeypatch):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(wrong=0.2), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model)
        done = project.run()
        assert done.code == 0, done.err
        calls = server.answered
        again = project.run()
        assert (again.code, server.answered) == (0, calls)
    assert "round 1 of 2: training the student on" in done.err
    reported = project.run("report")
    assert reported.code == 0, reported.err
    assert "in the next round" in (project.out / "report.html").read_text().lower()
    assert (project.out / "figures" / "rounds.png").exists()
    first, last = project.manifest["rounds"]
    assert (first["budget"], first["accepted"], first["by"], first["scored"]) == ({"samples": 4}, 4, "loss", 6)
    assert (last["budget"], last["accepted"], last["score"]) == ({"samples": 12}, 12, None)
    assert project.manifest["queries"]["total"] == project.manifest["counts"]["planned"] == calls
    # The candidates are exactly those that the scores ask for.
    record = of_file(project)
    assert len(record["scores"]) == 6 and all(value > 0 for value in record["scores"].values())
    monkeypatch.chdir(project.folder)
    seeds = run.prepare(load_settings(yaml.safe_load(Path("config.yml").read_text())["synthetic"])).seeds.seeds
    phases = [Phase(record["candidates"], weights([seed.id for seed in seeds], record["scores"]))]
    planned = islice(schedule(seeds, {"answer_augmentation": 1.0}, None, phases), len(project.samples))
    assert [row["id"] for row in project.samples] == [one.candidate.id for one in planned]


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "number"), [("python", signal.SIGTERM), ("accelerate", signal.SIGKILL)])
def test_a_run_that_is_killed_while_its_student_trains_leaves_nothing_running_and_goes_on_at_that_round(
    tmp_path, model, monkeypatch, launcher, number
):
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))  # where accelerate is
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model, rounds={"count": 2, "launcher": launcher})
        running = project.start()
        assert until((project.out / "rounds" / "round-1" / "train.log").exists)
        if launcher == "accelerate":
            assert until(lambda: any("-m axolotl.cli.train" in line and "accelerate" not in line for _, line in project.processes()))
        running.child.send_signal(number)
        _, said = running.child.communicate()
        assert project.ends(20)
        assert number == signal.SIGKILL or (running.child.returncode == 130 and "stopped; what was paid for is kept" in said)
        before = server.answered
        assert before == 4 and not (project.out / "rounds.json").exists()
        done = project.run()
        assert done.code == 0, done.err
        assert server.answered == project.manifest["queries"]["total"] == 12
    assert not (project.out / "rounds" / "round-1" / "student").exists()


@pytest.mark.slow
def test_axolotl_train_makes_the_rounds_with_the_yaml_that_it_was_given_and_then_trains_on_all(tmp_path, model):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model)
        path = project.folder / "config.yml"
        made = {**yaml.safe_load(path.read_text()), "plugins": ["axolotl_synthetic.SyntheticPlugin"], "learning_rate": 0.00123}
        path.write_text(yaml.safe_dump(made))
        command = [sys.executable, "-m", "axolotl.cli.main", "train", "config.yml", "--launcher", "python", "--weight-decay", "0.0321"]
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "AXOLOTL_DO_NOT_TRACK": "1"}
        done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        again = project.run()
        assert again.code == 0 and "nothing to do" in again.out
    between = yaml.safe_load((project.out / "rounds" / "round-1" / "config.yml").read_text())
    assert (between["learning_rate"], between["weight_decay"]) == (0.00123, 0.0321) and "plugins" not in between
    assert len(of_file(project)["scores"]) == 6 and project.manifest["counts"]["accepted"] == 12
    assert (project.folder / "student" / "adapter_config.json").exists()


@pytest.mark.slow
def test_a_budget_that_is_raised_keeps_the_rounds_that_are_over(tmp_path, model):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model)
        assert project.run().code == 0
        record = of_file(project)
        configure(project, server, model, budget={"samples": 18})
        done = project.run()
    assert done.code == 0, done.err
    assert of_file(project) == record and "training the student" not in done.err
    assert [one["accepted"] for one in project.manifest["rounds"]] == [4, 18]


@pytest.mark.slow
def test_rounds_by_the_answers_that_are_wrong_score_each_seed_by_the_tasks_own_check(tmp_path, model):
    project = Project(tmp_path / "project", seeds=5)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model, rounds={"count": 2, "by": "wrong", "launcher": "python"}, grade={"max_new_tokens": 8})
        done = project.run()
    assert done.code == 0, done.err
    # A student of random weights answers nothing correctly, so all seeds keep the same weight.
    assert set(of_file(project)["scores"].values()) == {1.0}
    assert project.manifest["rounds"][0]["moved"] == 0


@pytest.mark.slow
def test_seeds_without_answers_are_scored_by_an_accepted_one(tmp_path, model):
    project = Project(tmp_path / "project", seeds=5)
    path = project.folder / "seeds.jsonl"
    path.write_text("".join(json.dumps({"question": json.loads(line)["question"]}) + "\n" for line in path.read_text().splitlines()))
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model)
        done = project.run()
    assert done.code == 0, done.err
    # There were four samples of four seeds; the fifth counts as one of mean score.
    assert len(of_file(project)["scores"]) == 4


@pytest.mark.slow
def test_a_budget_of_calls_is_divided_as_well(tmp_path, model):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model, budget={"queries": 15})
        done = project.run()
        assert done.code == 0, done.err
        assert server.answered == 15
    first, last = project.manifest["rounds"]
    assert (first["budget"], first["candidates"], last["budget"]) == ({"queries": 5}, 5, {"queries": 15})


@pytest.mark.slow
def test_a_student_that_cannot_be_trained_ends_the_run_with_what_axolotl_says_and_keeps_the_calls(tmp_path, model):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model, rounds={"count": 2, "launcher": "python", "train": {"optimizer": "no_such_optimizer"}})
        done = project.run()
        assert done.code == 1 and "axolotl train ended with exit code" in done.err and "Traceback" not in done.err
        configure(project, server, model)
        assert project.run().code == 0
        assert server.answered == 12


def without_students(project: Project, server: FakeServer, *, rounds: dict, base_model: str = "a-model", **block) -> None:
    """Write a config whose seeds have no answer to score by, so that rounds are made and no student is trained."""
    lines = (project.folder / "seeds.jsonl").read_text().splitlines()
    questions = [{"question": json.loads(line)["question"]} for line in lines]
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    project.configure(server, **{"strategy": "new_question", "budget": {"samples": 30}, "rounds": {"by": "wrong", **rounds}, **block})
    path = project.folder / "config.yml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "base_model": base_model}))


def test_where_no_seed_can_be_scored_no_student_is_trained(tmp_path):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        without_students(project, server, rounds={"count": 2})
        done = project.run()
    assert done.code == 0, done.err
    assert "no seed has an answer to score by" in done.err and "training the student" not in done.err
    assert [one["accepted"] for one in project.manifest["rounds"]] == [10, 30]


@pytest.mark.slow
def test_more_rounds_are_made_beyond_those_that_are_over_and_none_before_their_end(tmp_path):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        without_students(project, server, rounds={"count": 2})
        assert project.run().code == 0
        calls = server.answered
        # Parts that end at 2, 6, 14 and 30 samples; the round that is over ends at 10.
        without_students(project, server, rounds={"count": 4})
        done = project.run()
        assert done.code == 0, done.err
        assert server.answered == calls
    assert [one["budget"]["samples"] for one in project.manifest["rounds"]] == [10, 14, 30]
    places = [one["candidates"] for one in json.loads((project.out / "rounds.json").read_text())["rounds"]]
    assert places == sorted(places)


@pytest.mark.slow
def test_the_manifest_of_a_lower_budget_has_no_round_that_it_did_not_reach(tmp_path):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        without_students(project, server, rounds={"count": 3, "growth": 1})
        assert project.run().code == 0
        assert [one["accepted"] for one in project.manifest["rounds"]] == [10, 20, 30]
        calls = server.answered
        without_students(project, server, rounds={"count": 3, "growth": 1}, budget={"samples": 15})
        done = project.run()
        assert done.code == 0, done.err
        assert server.answered == calls
    assert [one["accepted"] for one in project.manifest["rounds"]] == [10, 15]


@pytest.mark.slow
def test_a_part_for_which_no_budget_is_left_trains_no_student_again(tmp_path):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        without_students(project, server, rounds={"count": 3, "growth": 1}, budget={"queries": 12})
        assert project.run("preview", "-n", "6").code == 0
        calls = server.answered
        assert calls == 12
        done = project.run()
        assert done.code == 0, done.err
        assert server.answered == calls
    assert "round 2 of 3: brought nothing new, so the scores of the round before hold" in done.err
    first, second, last = project.manifest["rounds"]
    assert first["accepted"] == second["accepted"] == last["accepted"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["base_model", "rounds.json", "verify"])
def test_a_finished_runs_rounds_are_made_anew_for_another_student_other_checks_or_without_their_record(tmp_path, changed):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        without_students(project, server, rounds={"count": 2})
        assert project.run().code == 0
        assert "nothing to do" in project.run().out
        calls = server.answered
        if changed == "base_model":
            without_students(project, server, rounds={"count": 2}, base_model="another-model")
        elif changed == "verify":
            without_students(project, server, rounds={"count": 2}, verify=["format"])
        else:
            (project.out / "rounds.json").unlink()
        done = project.run()
        assert done.code == 0, done.err
        assert server.answered == calls
    assert "nothing to do" not in done.out and "round 1 of 2" in done.err


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"rounds": {"by": "luck"}}, "synthetic.rounds.by: 'luck': input should be 'loss', 'wrong' or 'uniform'"),
        ({"rounds": {"count": 1}}, "synthetic.rounds.count: 1: input should be greater than or equal to 2"),
        ({"rounds": {"cuont": 3}}, "synthetic.rounds.cuont: unknown key; did you mean `count`?"),
        ({"rounds": {"train": {"output_dir": "x"}}}, "`output_dir` cannot be set here: each round has its own; remove it"),
        ({"rounds": {}, "budget": {"samples": 6}}, "synthetic.rounds.count: 3: the first part of budget.samples: 6 would be less than one"),
        ({"rounds": {}, "balance": "uniform", "task": "classification"}, "synthetic.rounds: cannot be combined with `balance: uniform`"),
    ],
)
def test_what_is_wrong_with_rounds_is_said_before_anything_is_asked(tmp_path, block, said):
    project = Project(tmp_path / "project", seeds=6)
    project.configure("http://localhost:1/v1", **block)
    done = project.run()
    assert done.code == 2 and said in done.err


@pytest.mark.parametrize(
    ("rounds_of", "task", "more", "said"),
    [
        ({}, "math", {}, "the config has no `base_model`"),
        ({"by": "wrong"}, "instruction", {"base_model": "m"}, "cannot be told right from wrong; write `by: loss`"),
        ({}, "math", {"base_model": "m", "rl": "dpo"}, "cannot be combined with `rl: dpo`"),
    ],
)
def test_rounds_that_no_student_can_be_trained_for_are_refused_before_anything_is_asked(tmp_path, rounds_of, task, more, said):
    project = Project(tmp_path / "project", seeds=6)
    project.configure("http://localhost:1/v1", rounds=rounds_of, task=task)
    path = project.folder / "config.yml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **more}))
    done = project.run()
    assert done.code == 2 and said in done.err


def test_uniform_rounds_train_nobody_and_make_what_a_run_without_rounds_makes(tmp_path):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        project.configure(server, budget={"samples": 14})
        assert project.run().code == 0
        plain = project.training_bytes
        project.configure(server, budget={"samples": 14}, rounds={"by": "uniform"})
        done = project.run()
    assert done.code == 0 and project.training_bytes == plain
    [only] = project.manifest["rounds"]
    assert (only["by"], only["accepted"], only["score"]) == ("uniform", 14, None)


def test_the_plan_says_how_the_budget_is_divided(tmp_path):
    project = Project(tmp_path / "project", seeds=6)
    project.configure("http://localhost:1/v1", budget={"samples": 70}, rounds={})
    done = project.run("plan", "--json")
    assert done.code == 0, done.err
    assert (
        "3 rounds of 10, 20, 40 samples: the student is trained 2 times in between, and the seeds whose answers cost it the most get more"
        " of the next part"
    ) in json.loads(done.out)["reasons"]


def test_a_damaged_record_is_named_with_what_to_do(tmp_path, model):
    project = Project(tmp_path / "project", seeds=6)
    with FakeServer(MathReplies(), api_key=KEY, vary_repeats=True) as server:
        configure(project, server, model)
        project.out.mkdir()
        (project.out / "rounds.json").write_text('{"format": 1')
        done = project.run()
        assert done.code != 0 and "rounds.json: cannot be read" in done.err and "delete it" in done.err
        assert server.answered == 0
