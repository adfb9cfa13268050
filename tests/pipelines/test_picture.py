"""`axolotl synthetic pipeline` and the YAML that it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from distilabel.pipeline import Pipeline

from projects import Project


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    project = Project(tmp_path_factory.mktemp("picture") / "project")
    project.configure("http://127.0.0.1:9/v1", verify=["format", "final_answer"], budget={"samples": 7})
    done = project.run("pipeline")
    assert done.code == 0, done.err
    return done.out


def test_the_drawing_names_the_steps_and_what_goes_from_one_to_the_other(printed):
    assert printed.startswith("# generate (Generate)\n#   │ candidates, over, error\n#   ▼\n# verify (Verify)\n")


def test_the_yaml_says_what_is_generated_and_verified_and_holds_no_seed_and_no_key(printed):
    generate, verify = (step["step"] for step in yaml.safe_load(printed)["pipeline"]["steps"])
    assert generate["task"] == "math"
    assert generate["strategies"] == {"answer_augmentation": 1.0}
    assert generate["budget"] == {"samples": 7}
    assert verify["checks"] == ["format", "final_answer"]
    assert "Ada has" not in printed


def test_distilabel_loads_the_yaml_and_gives_it_out_again(printed, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(printed, encoding="utf-8")
    loaded = Pipeline.from_yaml(path)
    assert list(loaded.dag) == ["generate", "verify"]
    assert loaded.dump()["pipeline"]["steps"] == yaml.safe_load(printed)["pipeline"]["steps"]


def test_distilabel_tells_about_the_yaml_by_its_own_command(printed, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(printed, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("distilabel")), "pipeline", "info", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "generate" in done.stdout
    assert "verify" in done.stdout


def test_a_loaded_picture_does_not_run_and_says_what_does(printed, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(printed, encoding="utf-8")
    loaded = Pipeline.from_yaml(path)
    with pytest.raises(Exception, match="no job: it is a picture of what `axolotl synthetic generate CONFIG` runs"):
        loaded.dag.get_step("generate")["step"].load()
