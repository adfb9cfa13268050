"""The commands as a user types them: one message and the contract's exit code, never a traceback."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from axolotl_synthetic import run as running
from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.errors import FolderInUseError, Interrupted, ServiceError

from fake_server import FakeServer


def seeds(folder, count=6, **more):
    path = folder / "seeds.jsonl"
    rows = [
        {"question": f"There are {n} jars with 3 cards each. How many cards are there?", "answer": f"#### {3 * n}"}
        for n in range(2, 2 + count)
    ]
    path.write_text("".join(json.dumps({**row, **more}) + "\n" for row in rows))
    return path


def config(folder, text=None, **block):
    path = folder / "config.yml"
    made = {"seeds": {"path": str(seeds(folder))}, "output_dir": str(folder / "out"), **block}
    path.write_text(text if text is not None else yaml.safe_dump({"synthetic": made}))
    return path


def call(*arguments):
    result = CliRunner().invoke(synthetic, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        ("synthetic: [", "is no YAML"),
        ("base_model: x", "has no `synthetic:` block"),
        ("synthetic:\n  tsak: math", "synthetic.tsak: unknown key; did you mean `task`?"),
        ("synthetic:\n  task: poetry", "'poetry' is no task"),
        ("synthetic:\n  seeds: {path: nowhere.jsonl}", "nowhere.jsonl"),
        ("synthetic:\n  verify: [jugde]", "no check is named 'jugde'"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "generate"])
def test_a_wrong_config_ends_with_one_message_and_2(tmp_path, command, text, says):
    path = config(tmp_path, text) if text is not None else tmp_path / "missing.yml"
    result = call(command, path)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert result.stderr.startswith("axolotl-synthetic: ")


@pytest.mark.parametrize(
    ("error", "code"), [(ServiceError("x"), 3), (FolderInUseError("x"), 4), (Interrupted("x"), 130), (KeyboardInterrupt(), 130)]
)
def test_every_end_has_its_exit_code(tmp_path, monkeypatch, error, code):
    def end(_, *, caller):
        raise error

    monkeypatch.setattr(running, "generate", end)
    assert call("generate", config(tmp_path)).exit_code == code


def test_a_teacher_that_cannot_be_reached_ends_with_3_and_its_address(tmp_path):
    result = call("generate", config(tmp_path, teacher={"base_url": "http://127.0.0.1:9/v1"}))
    assert result.exit_code == 3
    assert "http://127.0.0.1:9/v1 cannot be reached" in result.stderr


def test_a_missing_key_is_named_by_its_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    result = call("generate", config(tmp_path, teacher={"base_url": "https://example.invalid/v1", "api_key_env": "SOME_KEY"}))
    assert result.exit_code == 2
    assert "SOME_KEY is not set" in result.stderr


def test_status_before_any_run_says_how_to_start_one(tmp_path):
    result = call("status", config(tmp_path))
    assert result.exit_code == 2
    assert "axolotl synthetic generate CONFIG" in result.stderr
    assert not (tmp_path / "out").exists()


def test_grade_without_a_student_says_to_train_first(tmp_path):
    path = config(tmp_path)
    path.write_text(path.read_text() + f"base_model: {tmp_path}\noutput_dir: {tmp_path / 'student'}\n")
    result = call("grade", path)
    assert result.exit_code == 2
    assert "run `axolotl train` first" in result.stderr


def test_grade_without_axolotls_keys_names_them(tmp_path):
    result = call("grade", config(tmp_path))
    assert result.exit_code == 2
    assert "base_model: is missing from the config" in result.stderr


def test_seeds_without_answers_work_and_the_check_that_needs_them_says_that_it_was_off(tmp_path):
    path = tmp_path / "bare.jsonl"
    path.write_text('{"question": "There are 4 jars with 3 cards each. How many cards are there?"}\n')
    with FakeServer() as server:
        made = config(tmp_path, seeds={"path": str(path)}, budget={"samples": 1}, teacher={"base_url": server.base_url})
        done = subprocess.run(
            [sys.executable, "-m", "axolotl_synthetic", "generate", str(made)], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 have no answer: the check final_answer is off for them" in done.stderr
    (sample,) = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    (verdict,) = [check for check in sample["checks"] if check["name"] == "final_answer"]
    assert verdict == {"name": "final_answer", "passed": None, "detail": "off: the seed has no answer to compare with"}
    assert sample["status"] == "accepted"


def test_help_names_every_command():
    text = call("--help").stdout
    for command in ("plan", "preview", "generate", "status", "grade", "report"):
        assert command in text


def test_a_log_gets_no_colour_codes(tmp_path):
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "axolotl_synthetic", "plan", str(config(tmp_path))],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert "\x1b[" not in done.stdout + done.stderr
