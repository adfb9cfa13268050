"""The page on training data is true: its YAMLs load, its numbers are the defaults, and its commands run in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_generate_verified import Varied

from axolotl_synthetic.config import NO_WRONG_ANSWER, Preferences, load_settings
from axolotl_synthetic.preferences import RL

from fake_hub import TOKEN, FakeHub
from fake_replies import MathReplies
from fake_server import FakeServer
from projects import Project

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "plugin" / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
COMMANDS = [line.split("#")[0].split() for line in re.findall(r"^    axolotl synthetic (.*)$", PAGE, re.MULTILINE)]


def test_its_yaml_loads():
    settings = [load_settings(one["synthetic"]) for one in BLOCKS]
    assert settings[0].system == "You are a patient teacher of arithmetic." and settings[1].language == "German"
    assert settings[2].preferences == Preferences() and settings[3].preferences is not None
    assert BLOCKS[4]["rl"] in RL


def test_what_it_calls_the_defaults_are_the_defaults():
    assert set(Preferences().reasons) == {"final_answer", "execution", "judge", "review"}
    assert "ten pairs at most" in PAGE and Preferences().per_question == 10
    assert "duplicate" in NO_WRONG_ANSWER
    named = {"dpo", *re.findall(r"`(\w+)`", PAGE.split("With `rl: dpo` (or")[1].split(")")[0])}
    assert named == RL.keys()


def test_every_file_that_is_linked_exists():
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert link.startswith("http") or (ROOT / "plugin" / "docs" / link).exists(), link


@pytest.mark.slow
def test_its_commands_run_on_a_run_of_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project = Project(tmp_path, seeds=5)
    together: dict[str, Any] = {key: value for one in (BLOCKS[0], BLOCKS[2]) for key, value in one["synthetic"].items()}
    with FakeServer(Varied(MathReplies(wrong=0.4))) as server, FakeHub() as hub:
        project.configure(server, **together)
        assert project.run().code == 0
        for name, value in {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        for command in COMMANDS:
            done = project.run(command[0], *command[2:])
            assert command[1] == "config.yml"
            assert done.code == 0, done.err
    assert list(hub.repositories) == ["me/my-data"] and hub.repositories["me/my-data"].private
