"""The overridden members of distilabel's pipeline.

Each case is also shown on distilabel's own class, so that these tests fail, and the override can go, when a release fixes the fault.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from distilabel.pipeline import Pipeline, base
from distilabel.steps import KeepColumns, LoadDataFromDicts

from axolotl_synthetic.pipelines.hooks import EagerPipeline


class EndsSlowly(KeepColumns):  # type: ignore[misc]
    """A step that is still running when distilabel checks whether it has ended."""

    def unload(self) -> None:
        time.sleep(2.0)
        super().unload()


def run(kind: type[Pipeline], folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[str]]:
    """Run a pipeline of two steps; return how long distilabel's loops slept, and the names of the files that it left."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(base, "time", SimpleNamespace(**{**vars(time), "sleep": sleep}))
    with kind("two-steps", cache_dir=folder) as pipeline:
        LoadDataFromDicts(data=[{"number": 1}]) >> EndsSlowly(columns=["number"])
    rows = pipeline.run(use_cache=False)["default"]["train"]
    assert [row["number"] for row in rows] == [1]
    return slept, [path.name for path in folder.rglob("*")]


def test_distilabel_itself_sleeps_for_seconds_and_writes_a_cache_that_nobody_asked_for(tmp_path, monkeypatch):
    slept, files = run(Pipeline, tmp_path, monkeypatch)
    assert 2.5 in slept
    assert 0.5 in slept
    assert "batch_manager.json" in files


def test_our_pipeline_does_not_sleep_while_steps_load_and_end_and_writes_no_cache(tmp_path, monkeypatch):
    slept, files = run(EagerPipeline, tmp_path, monkeypatch)
    assert slept == []
    assert "batch_manager.json" not in files
