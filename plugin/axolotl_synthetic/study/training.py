"""Trains and grades one cell: Axolotl as a command of its own, with the user's YAML, then lm-eval on what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from axolotl_synthetic import dataset, grading
from axolotl_synthetic.errors import StorageError, TrainingError
from axolotl_synthetic.grading.evaluate import environment, telling_line
from axolotl_synthetic.pipelines.process import die_with

GRADED_AT_ONCE = 20


def train(config: Mapping[str, Any], folder: Path, *, launcher: str | None) -> None:
    """`axolotl train` on a config, its output to `train.log`. It ends with this process, however that one ends.

    Args:
        config: of the cell; written to `config.yml`.
        folder: the cell's.
        launcher: as Axolotl's option; None for its default.

    Raises:
        TrainingError: if it fails, with the line of its output that says the most.
        StorageError: if the folder cannot be written.
    """
    path, log = folder / "config.yml", folder / "train.log"
    dataset.write_text(path, yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False))
    command = [sys.executable, "-m", "axolotl.cli.main", "train", str(path), *(["--launcher", launcher] if launcher else [])]
    parent = os.getpid()
    try:
        output = log.open("w", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{log}: {error.strerror}; free some space or make it writable, then run the same command again") from error
    with output:
        # Axolotl's own progress bar would fill the log; the user sees a line for each cell.
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment(), "AXOLOTL_DO_NOT_TRACK": os.environ.get("AXOLOTL_DO_NOT_TRACK", "1")},
            preexec_fn=lambda: die_with(parent),
        )
        try:
            code = child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
    if code != 0:
        raise TrainingError(f"axolotl train ended with {_how(code, log)}; see {log}")


def _how(code: int, log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as file:
        last = telling_line(deque(file, maxlen=200))
    killed = ", killed, for lack of memory perhaps" if code == -9 else ""
    return f"exit code {code}{killed}: {last[:300]}"


def grade(
    model: grading.ModelArgs,
    tasks: list[str],
    *,
    include_path: Path | None,
    limit: int | None,
    log: Path,
    on_progress: Callable[[int, int], None],
) -> grading.Score:
    """lm-eval's score of a model on the first of the tasks.

    Raises:
        TrainingError: if lm-eval fails.
        ConfigError: if it does not know the task.
    """
    scores = grading.evaluate(
        model=model, tasks=tasks[:1], include_path=include_path, limit=limit, log=log, batch_size=GRADED_AT_ONCE, on_progress=on_progress
    )
    return next(iter(scores.values()))
