"""`unreviewed: wait`: Axolotl does not start to train while decisions are missing, and says how many samples are open."""

import json
import subprocess
import sys

import pytest

from axolotl_synthetic.plugin import SyntheticPlugin
from axolotl_synthetic.review import kept

from finished import finish, sample
from test_applying import book, said

A, B, C = (f"answer_augmentation-{number}" for number in range(3))


def start_training(made):
    """Do what Axolotl does in `train` and `preprocess`; return the training file."""
    cfg = {"synthetic": made.model_dump(mode="json")}
    plugin = SyntheticPlugin()
    plugin.register(cfg)
    plugin.load_datasets(cfg)
    return cfg["datasets"][0]["path"]


@pytest.fixture
def finished(tmp_path):
    def finish_with(unreviewed, answers, annotators=1):
        rows = [sample(0), sample(1), sample(2)]
        made = finish(tmp_path, rows, review={"unreviewed": unreviewed})
        if answers is not None:
            kept.write(made.folder, book(rows, answers, annotators=annotators))
        return made

    return finish_with


@pytest.fixture(autouse=True)
def generate_here(monkeypatch):
    """Run in this process what the hook runs as a separate command."""
    from axolotl_synthetic import plugin, run

    monkeypatch.setattr(plugin, "_command", lambda command, cfg, settings, *_: run.generate(settings) and 0)


@pytest.mark.parametrize(
    ("answers", "annotators", "open_ones"),
    [
        ({}, 1, "3 records are open"),
        ({A: [said("accept")], B: [said("reject")]}, 1, "1 record is open"),
        ({A: [said("accept", "ann"), said("reject", "bea")], B: [said("accept")] * 2, C: [said("accept")] * 2}, 2, "1 record is open"),
    ],
)
def test_training_waits_and_says_for_how_many(finished, capfd, answers, annotators, open_ones):
    with pytest.raises(SystemExit) as ended:
        start_training(finished("wait", answers, annotators))
    assert ended.value.code == 3
    said_to = capfd.readouterr().err
    assert open_ones in said_to
    assert "axolotl synthetic review pull CONFIG" in said_to


def test_before_anything_was_pushed_it_says_to_push(finished, capfd):
    with pytest.raises(SystemExit) as ended:
        start_training(finished("wait", None))
    assert ended.value.code == 3
    assert "nothing was pushed for review yet: axolotl synthetic review push CONFIG" in capfd.readouterr().err


def test_when_all_is_decided_it_trains_on_the_decisions(finished):
    made = finished("wait", {A: [said("accept")], B: [said("reject")], C: [said("accept")]})
    with open(start_training(made)) as file:
        assert sum('"strategy":"answer_augmentation"' in line for line in file) == 2


@pytest.mark.parametrize(("unreviewed", "samples"), [("keep", 3), ("drop", 0)])
def test_the_other_policies_do_not_wait(finished, unreviewed, samples):
    with open(start_training(finished(unreviewed, {}))) as file:
        assert sum('"strategy":"answer_augmentation"' in line for line in file) == samples


def test_without_a_review_nothing_of_argilla_is_imported(tmp_path):
    made = finish(tmp_path, [sample(0)])
    (tmp_path / "config.yml").write_text(json.dumps({"synthetic": made.model_dump(mode="json")}))
    commands = """
import sys
from axolotl_synthetic.cli import synthetic
for command in ("plan", "generate", "status"):
    synthetic([command, "config.yml"], standalone_mode=False)
print([name for name in ("argilla", "httpx", "axolotl_synthetic.review.exchange") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", commands], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
