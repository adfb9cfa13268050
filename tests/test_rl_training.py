"""Real `axolotl train` and `axolotl preprocess` with `rl:`, on the plugin's files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_generate_verified import Varied
from test_plugin import axolotl, block, project

from fake_replies import MathReplies
from fake_server import FakeServer
from tiny_model import save_tiny_model

SYSTEM = "You count cards."


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, FakeServer]]:
    """Yield a project after `axolotl train` with `rl: dpo`, and its teacher."""
    model = save_tiny_model(tmp_path_factory.mktemp("model"))
    with FakeServer(Varied(MathReplies(wrong=0.4))) as server:
        synthetic = block(server, preferences=True, system=SYSTEM, budget={"samples": 18})
        folder = project(tmp_path_factory.mktemp("rl"), model, synthetic, rl="dpo")
        done = axolotl(folder, "train", "config.yml", "--launcher", "python")
        assert done.returncode == 0, done.stderr
        yield folder, server


def prepared_rows(folder: Path) -> list[dict[str, Any]]:
    from datasets import load_from_disk

    [cache] = [path for path in (folder / "prepared").iterdir() if path.is_dir()]
    return [dict(row) for row in load_from_disk(str(cache))]


def rows_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    manifest = json.loads((folder / "synthetic" / "manifest.json").read_text())
    return [json.loads(line) for line in (folder / "synthetic" / manifest["files"][kind]["path"]).read_text().splitlines()]


def asked(chat: list[dict[str, str]]) -> str:
    """Return a question in the small student's template."""
    assert chat[0] == {"role": "system", "content": SYSTEM}
    return f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{chat[1]['content']}<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.slow
def test_dpo_trains_on_the_pairs(begun):
    folder, _ = begun
    assert (folder / "student" / "adapter_model.safetensors").exists()
    said = {(row["prompt"], row["chosen"], row["rejected"]) for row in prepared_rows(folder)}
    pairs = rows_of(folder, "preferences")
    assert pairs
    ends = "<|im_end|>"
    assert said == {(asked(row["messages"]), row["chosen"]["content"] + ends, row["rejected"]["content"] + ends) for row in pairs}


@pytest.mark.slow
@pytest.mark.parametrize("rl", ["simpo", "orpo", "kto"])
def test_the_other_ways_train_on_the_same_run(begun, tmp_path, rl):
    before, server = begun
    folder, count = tmp_path / rl, server.count
    shutil.copytree(before, folder, ignore=shutil.ignore_patterns("prepared", "student"))
    config = yaml.safe_load((folder / "config.yml").read_text(encoding="utf-8"))
    more = {"kto": {"remove_unused_columns": False}, "simpo": {"simpo_gamma": 0.5}}
    (folder / "config.yml").write_text(yaml.safe_dump({**config, "rl": rl, **more.get(rl, {})}), encoding="utf-8")
    done = axolotl(folder, "train", "config.yml", "--launcher", "python")
    assert done.returncode == 0, done.stderr
    assert server.count == count
    assert (folder / "student" / "adapter_model.safetensors").exists()
    ends = "<|im_end|>"
    if rl == "kto":
        written = {(row["prompt"], row["completion"].rstrip(), row["label"]) for row in prepared_rows(folder)}
        assert written == {(asked(row["prompt"]), row["completion"][0]["content"] + ends, row["label"]) for row in rows_of(folder, "kto")}
        return
    said = {(row["prompt"], row["chosen"].rstrip(), row["rejected"].rstrip()) for row in prepared_rows(folder)}
    pairs = rows_of(folder, "preferences")
    assert said == {(asked(row["messages"]), row["chosen"]["content"] + ends, row["rejected"]["content"] + ends) for row in pairs}
