"""The commands as a user types them: one message and the contract's exit code, never a traceback."""

import json
import os
import re
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
    def end(_, **__):
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


@pytest.mark.parametrize("options", [["plan"], ["plan", "--json"], ["plan", "--quiet"], ["generate"]])
def test_rows_that_cannot_be_read_are_told_and_refused_and_may_be_gone_on_without(tmp_path, options, monkeypatch):
    monkeypatch.setenv("AXOLOTL_SYNTHETIC_QUIET", "0")  # `--quiet` sets it for this whole process
    made = config(tmp_path, teacher={"base_url": "http://127.0.0.1:9/v1"})
    path = tmp_path / "seeds.jsonl"
    first, *others = path.read_text().splitlines(keepends=True)
    path.write_text(first + "".join(line.replace("}", ",}") for line in others))
    result = call(options[0], made, *options[1:])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "synthetic.seeds: 5 of 6 rows cannot be used (83.3%, and seeds.may_fail is 0.02); correct them, or raise seeds.may_fail" in (
        result.stderr
    )
    if "--quiet" not in options:
        for line in range(2, 7):
            assert f"seeds: {path}:{line}: invalid JSON" in result.stderr
    # Follow the message's two remedies.
    raised = call("plan", config_of(made, may_fail=0.84), *options[1:])
    assert raised.exit_code == 0
    path.write_text(first + "".join(others))
    assert call("plan", made, *options[1:]).exit_code == 0


def config_of(made, **seeds):
    block = yaml.safe_load(made.read_text())
    block["synthetic"]["seeds"] |= seeds
    other = made.with_name("other.yml")
    other.write_text(yaml.safe_dump(block))
    return other


def test_a_csv_with_semicolons_is_trained_on_as_one_with_commas(tmp_path):
    path = tmp_path / "seeds.csv"
    rows = [f"There are {n} jars, with 3 cards each. How many cards are there?;#### {3 * n}\n" for n in range(2, 8)]
    path.write_text("question;answer\n" + "".join(rows))
    with FakeServer() as server:
        made = config(tmp_path, seeds={"path": str(path)}, budget={"samples": 6}, teacher={"base_url": server.base_url})
        planned = call("plan", made)
        done = subprocess.run([sys.executable, "-m", "axolotl_synthetic", "generate", str(made)], capture_output=True, text=True)
    assert done.returncode == planned.exit_code == 0, done.stderr
    assert f"seeds: {path}: read with the semicolon as its delimiter" in planned.stderr
    (training,) = (tmp_path / "out").glob("train-*.jsonl")
    chats = [json.loads(line)["messages"] for line in training.read_bytes().split(b"\n")[:6]]
    assert [(chat[0]["content"], chat[1]["content"]) for chat in chats if "2 jars" in chat[0]["content"]] == [
        ("There are 2 jars, with 3 cards each. How many cards are there?", "#### 6")
    ]


def test_under_numbered_choices_the_teacher_writes_what_it_is_asked_for_and_is_accepted(tmp_path):
    path = tmp_path / "arc.jsonl"
    rows = [
        {
            "question": f"Which of these is number {n} in the alphabet?",
            "choices": {"text": ["sand", "rock", chr(96 + n), "clay"], "label": list("1234")},
        }
        for n in range(2, 8)
    ]
    path.write_text("".join(json.dumps({**row, "answerKey": "3"}) + "\n" for row in rows))

    def obedient(body):
        (kind,) = re.findall(r"Answer: <(\w+)>", body["messages"][0]["content"])
        return f"The third one is the letter.\nAnswer: {'3' if kind == 'number' else 'C'}"

    fields = {"choices": "choices.text", "labels": "choices.label", "answer": "answerKey"}
    with FakeServer(obedient) as server:
        made = of_a_run(tmp_path, server, task="multiple_choice", seeds={"path": str(path), "fields": fields})
        done = program("generate", made, environment={"OPENAI_API_KEY": "none"})
    assert done.returncode == 0, done.stderr
    assert "6 of 6 accepted" in done.stdout


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


# Options of all commands


def program(*arguments, environment=None):
    """Run `axolotl-synthetic` as a shell starts it."""
    command = [os.path.join(os.path.dirname(sys.executable), "axolotl-synthetic"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})}, timeout=300)


def of_a_run(tmp_path, server, **block):
    return config(
        tmp_path,
        teacher={"base_url": server.base_url, "model": "fake-model"},
        strategy="answer_augmentation",
        **{"budget": {"samples": 6}, **block},
    )


def test_the_version_is_ours_and_those_of_what_it_runs_on():
    text = call("--version").stdout
    assert text.startswith("axolotl-synthetic 0.")
    for package in ("axolotl", "distilabel", "lm_eval", "Python"):
        assert re.search(rf"\b{package} \d+\.\d+", text)


@pytest.mark.slow
def test_quiet_prints_results_and_no_progress_and_no_notices(tmp_path):
    with FakeServer() as server:
        path = of_a_run(tmp_path, server)
        file = tmp_path / "seeds.jsonl"
        file.write_text(file.read_text().replace('"#### 6"', "null"))
        done = program("generate", path, "--quiet", environment={"OPENAI_API_KEY": "none"})
        again = program("preview", path, environment={"OPENAI_API_KEY": "none"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 of " in done.stdout
    assert "1 of 6 have no answer" in again.stderr  # omitted by `--quiet`


def test_quiet_still_prints_an_error(tmp_path):
    done = program("plan", "--quiet", tmp_path / "missing.yml")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


@pytest.mark.slow
def test_verbose_shows_the_log_that_otherwise_goes_to_a_file_alone(tmp_path):
    with FakeServer() as server:
        path = of_a_run(tmp_path, server)
        done = program("generate", path, "-v", environment={"OPENAI_API_KEY": "none"})
        without = program("generate", of_a_run(tmp_path, server, seed=7), environment={"OPENAI_API_KEY": "none"})
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "out" / "run.log").read_text()
    said = [line for line in log.splitlines() if "Step 'generate'" in line or "Running" in line]
    assert said and said[0] in done.stderr
    assert "Step '" not in without.stderr


def test_status_as_json_has_the_state_of_a_finished_run_and_of_one_that_was_stopped(tmp_path):
    with FakeServer() as server:
        path = of_a_run(tmp_path, server)
        assert call("status", path, "--json").exit_code == 2  # nothing was started
        program("preview", path, "-n", "2", environment={"OPENAI_API_KEY": "none"})
        stopped = json.loads(call("status", path, "--json").stdout)
        program("generate", path, environment={"OPENAI_API_KEY": "none"})
        complete = json.loads(call("status", path, "--json").stdout)
    assert (stopped["state"], stopped["counts"]) == ("stopped", {"accepted": 2, "rejected": 0, "failed": 0})
    assert stopped["queries"]["total"] == stopped["queries"]["answer"] == 2
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert complete["state"] == manifest["status"] == "complete"
    assert complete["counts"] == {name: manifest["counts"][name] for name in ("accepted", "rejected", "failed")}
    assert complete["queries"] == manifest["queries"]
    assert complete["tokens"] == sum(manifest["tokens"].values())
    assert (complete["usd"], complete["failures"], complete["grade"]) == (None, {}, None)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_readmes_line_gives_a_shell_its_completion(shell):
    script = program(environment={"_AXOLOTL_SYNTHETIC_COMPLETE": f"{shell}_source"}).stdout
    assert "axolotl-synthetic" in script and f"{shell}_complete" in script
    words = {"COMP_WORDS": "axolotl-synthetic pre", "COMP_CWORD": "1", "_AXOLOTL_SYNTHETIC_COMPLETE": "bash_complete"}
    assert program(environment=words).stdout == "plain,preview\n"


@pytest.mark.parametrize("name", ["README.md", "samples.jsonl"])
def test_a_folder_with_files_of_the_users_is_not_written_over(tmp_path, name):
    with FakeServer() as server:
        path = of_a_run(tmp_path, server)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / name).write_text("mine")
        done = program("generate", path, environment={"OPENAI_API_KEY": "none"})
        assert (done.returncode, server.count) == (2, 0)
    assert f"out holds {name}, which no run has made and this one would write over" in done.stderr
    assert (tmp_path / "out" / name).read_text() == "mine"
