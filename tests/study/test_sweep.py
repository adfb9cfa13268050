"""What a study hands to the runs of its lines, and which of them it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import Settings, load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.study.findings import find
from axolotl_synthetic.study.settings import Study
from axolotl_synthetic.study.sweep import CellResult, Sweep, Swept
from axolotl_synthetic.tasks.math import TASK
from axolotl_synthetic.training import config_for

from projects import seed


def test_a_students_round_is_not_trained_on_the_file_of_the_users_own_run_as_well(tmp_path: Path):
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps(seed(number)) + "\n" for number in range(9)))
    settings = load_settings({"seeds": {"path": str(tmp_path / "seeds.jsonl"), "holdout": 4}, "output_dir": str(tmp_path / "out")})
    arms = {"by_loss": {"strategy": "new_question", "rounds": {"count": 2}}}
    study = Study.model_validate(
        {"config": "config.yml", "seed_sizes": [3], "samples": [4], "repeats": 1, "arms": arms, "output_dir": str(tmp_path / "study")}
    )
    own = {"path": str(tmp_path / "out" / "train.jsonl"), "type": "chat_template", "train_on_eos": "all"}
    training = {"base_model": "model", "datasets": [{"path": "mine.jsonl", "type": "alpaca"}, own]}
    trained: list[dict[str, Any]] = []

    def generate(settings: Settings, *, ledger: Path, training: dict[str, Any]) -> None:
        trained.append(config_for(training, tmp_path / "train-1.jsonl", tmp_path, settings=settings, task=TASK, seed=1))
        raise ConfigError("enough")

    Sweep(study, settings, training, generate).run()
    assert trained[-1]["datasets"] == [
        {"path": "mine.jsonl", "type": "alpaca"},
        {"path": str(tmp_path / "train-1.jsonl"), "type": "chat_template", "train_on_eos": "all"},
    ]


def test_an_arm_without_checks_is_not_compared_with_one_that_has_none_either_because_the_config_has_none():
    arms = {"bare": {"strategy": "new_question", "verify": []}}
    study = Study.model_validate({"config": "c.yml", "seed_sizes": [3], "samples": [4], "strategies": ["new_question"], "arms": arms})
    done = [CellResult(name, 3, 4, 1, "done", accuracy=0.5, calls=4) for name in ("new_question", "bare")]
    none, some = (load_settings({"verify": verify}) for verify in ([], ["format"]))
    assert not find(study, none, Swept(tuple(done), {}), student="m").differences
    [one] = find(study, some, Swept(tuple(done), {}), student="m").differences
    assert (one.what, one.first, one.second) == ("verification", "bare", "new_question")
