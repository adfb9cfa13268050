"""Trains a student separately from the user's own training: runs `axolotl train` with the user's YAML on one of our files.

A study does this for each of its cells, and a run in rounds does it between rounds.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from axolotl_synthetic import dataset
from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import TrainingError
from axolotl_synthetic.files import storage_errors, write_text
from axolotl_synthetic.processes import run_in_group
from axolotl_synthetic.records import Seed
from axolotl_synthetic.tasks import Task, has_turns

STUDENT = "student"
PREPARED = "prepared"
# Keys of the user's YAML that are for the user's own training: a student of ours goes to no Hub, begins at no checkpoint of theirs, and
# writes into no run of a tracker that they name.
THEIRS = frozenset(
    {"synthetic", "plugins", "datasets", "hub_model_id", "hub_strategy", "hub_revision", "push_dataset_to_hub"}
    | {"resume_from_checkpoint", "auto_resume_from_checkpoints", "wandb_run_id", "wandb_log_model", "comet_experiment_key"}
    | {"hf_mlflow_log_artifacts"}
)


def training_file(folder: Path, samples: Path, settings: Settings, task: Task, seeds: Sequence[Seed]) -> dataset.TrainingFile:
    """Write the file that a student is trained on: the seed pairs, if the block includes them, and the accepted samples.

    Args:
        folder: the file's folder.
        samples: the `samples.jsonl` with the accepted samples.
        settings: the block.
        task: the block's.
        seeds: those of the run.
    """

    def prompt(seed: Seed) -> str:
        return task.prompt(seed.question)

    return dataset.write_training_file(
        *(folder, samples, seeds if settings.include_seeds else (), prompt, task.solution),
        thinking=settings.keeps_thinking,
        chats=has_turns(task),
        system=settings.system_message,
    )


def config_for(
    training: Mapping[str, Any],
    file: Path,
    folder: Path,
    *,
    settings: Settings,
    task: Task,
    seed: int,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the Axolotl YAML that trains a student on one of our files: the user's without generation, with a separate output folder.

    Args:
        training: the user's.
        file: training data that replaces the file of the user's run.
        folder: for the student and the data that Axolotl prepares.
        settings: the block.
        task: the block's.
        seed: Axolotl's.
        changes: keys that replace the user's.
    """
    key = settings.thinking_key if settings.keeps_thinking else None
    entry = dataset.axolotl_entry(file, thinking_key=key, chats=has_turns(task))
    plugins = [name for name in training.get("plugins") or [] if not str(name).startswith("axolotl_synthetic.")]
    own = [one for one in training.get("datasets") or [] if dataset.is_axolotl_entry(one, settings.folder)]
    others = [one for one in training.get("datasets") or [] if one not in own]
    kept = {name: value for name, value in training.items() if name not in THEIRS}
    return {
        **kept,
        **(changes or {}),
        **({"plugins": plugins} if plugins else {}),
        # Keep the options of the user's own entry for the training file.
        "datasets": [*others, {**(own[0] if own else entry), "path": entry["path"]}],
        "output_dir": str(folder / STUDENT),
        "dataset_prepared_path": str(folder / PREPARED),
        "seed": (changes or {}).get("seed", seed),
    }


def train(config: Mapping[str, Any], folder: Path, *, launcher: str | None = None) -> None:
    """Run `axolotl train` on a config and write its output to `train.log`. It ends when this process ends, however that happens.

    Args:
        config: from `config_for`; written to `config.yml`.
        folder: for these files.
        launcher: as Axolotl's option; None for its default.

    Raises:
        TrainingError: if it fails, with the most informative line of its output.
        StorageError: if the folder cannot be written.
    """
    path, log = folder / "config.yml", folder / "train.log"
    write_text(path, yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False))
    command = [sys.executable, "-m", "axolotl.cli.main", "train", str(path), *(["--launcher", launcher] if launcher else [])]
    from axolotl_synthetic.grading.evaluate import environment as child_environment

    environment = {**child_environment(), "AXOLOTL_DO_NOT_TRACK": os.environ.get("AXOLOTL_DO_NOT_TRACK", "1")}
    # Axolotl's own progress bar would fill the log; the user sees a line for each training.
    with storage_errors(log), log.open("w", encoding="utf-8") as output:
        code = run_in_group(command, output=output, environment=environment)
    if code != 0:
        raise TrainingError(f"axolotl train ended with {_how(code, log)}; see {log}")


def remove(folder: Path, *, student: bool = True) -> None:
    """Remove what a training left in a folder and grading no longer needs: Axolotl's prepared data, and the student."""
    for name in (PREPARED, *((STUDENT,) if student else ())):
        shutil.rmtree(folder / name, ignore_errors=True)


def _how(code: int, log: Path) -> str:
    from axolotl_synthetic.grading.evaluate import telling_line

    with log.open(encoding="utf-8", errors="replace") as file:
        last = telling_line(deque(file, maxlen=200))
    killed = ", killed, for lack of memory perhaps" if code == -9 else ""
    return f"exit code {code}{killed}: {last[:300]}"
