"""Configs that YAML reads unexpectedly, files without an end, and users' code that ends the process.

Each gives one message and exit code 2 (3 if memory is short), and nothing waits.
"""

import os
import resource
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.yaml_reader import LONGEST, read_yaml


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeds.jsonl").write_text('{"question": "What is 2 + 2?", "answer": "4"}\n{"question": "What is 3 + 3?", "answer": "6"}\n')
    return tmp_path


def told(text, command="plan"):
    with open("config.yml", "w") as file:
        file.write(text)
    result = CliRunner().invoke(synthetic, [command, "config.yml"])
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


TWICE = {
    "a key of the block": (
        "synthetic:\n  seed: 1\n  task: math\n  seed: 2\n",
        "config.yml:4: synthetic.seed: is there twice, first in line 2",
    ),
    "a key further down": (
        "synthetic:\n  budget:\n    samples: 1\n    usd: 2\n    samples: 3\n",
        "config.yml:5: synthetic.budget.samples: is there twice, first in line 3",
    ),
    "on one line": ("synthetic: {seed: 1, seed: 2}\n", "config.yml:1: synthetic.seed: is there twice, first in line 1"),
    "within a list": (
        "synthetic:\n  verify:\n    - judge: {threshold: 3, threshold: 4}\n",
        "config.yml:3: synthetic.verify.0.judge.threshold: is there twice",
    ),
    "in quotes": ('synthetic: {seed: 1, "seed": 2}\n', "synthetic.seed: is there twice"),
    "the block itself": (
        "synthetic: {seed: 1}\nbase_model: x\nsynthetic: {seed: 2}\n",
        "config.yml:3: synthetic: is there twice, first in line 1",
    ),
    "kwargs": (
        "synthetic: {teacher: {provider: distilabel, llm: X, kwargs: {a: 1, a: 2}}}\n",
        "synthetic.teacher.kwargs.a: is there twice",
    ),
    "by an anchor": ("x: &x {seed: 1, seed: 2}\nsynthetic: *x\n", "config.yml:1: synthetic.seed: is there twice, first in line 1"),
    "equal values": ("synthetic: {seed: 1, seed: 1}\n", "synthetic.seed: is there twice"),
}


@pytest.mark.parametrize("command", ["plan", "generate", "status"])
@pytest.mark.parametrize(("text", "says"), TWICE.values(), ids=TWICE)
def test_a_key_that_is_there_twice_in_our_block_is_refused_with_its_line(text, says, command):
    said = told(text, command)
    assert says in said and said.rstrip().endswith("keep one of them")


@pytest.mark.parametrize(
    "text",
    [
        "base_model: a\nbase_model: b\nsynthetic: {}\n",
        "lora: {r: 1, r: 2}\nsynthetic: {}\n",
        "a: &a {seed: 1}\nsynthetic: {<<: *a, seed: 2}\n",
        "synthetic: {teacher: {concurrency: 1}, augmenter: {concurrency: 1}}\n",
        "synthetic: {1: a, '1': b}\n",
    ],
)
def test_keys_of_axolotls_and_merged_ones_are_no_business_of_ours(folder, text):
    (folder / "c.yml").write_text(text)
    assert read_yaml(folder / "c.yml", "another")


def test_a_key_that_is_there_twice_in_a_study_is_refused(folder):
    (folder / "s.yml").write_text("study:\n  repeats: 1\n  repeats: 2\n")
    with pytest.raises(ConfigError, match=r"s.yml:3: study.repeats: is there twice, first in line 2; keep one of them"):
        read_yaml(folder / "s.yml", "another")


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1:30:00", 60), ("1:30", 60), ("-1:30", 60), ("1:30.5", 60), ("010", 8), ("-010", 8), ("0_10", 8), ("00", 8), ("0755", 8)],
)
@pytest.mark.parametrize("name", ["budget.samples", "teacher.timeout", "seed", "split"])
def test_a_number_that_is_another_to_yaml_is_refused_with_its_line(name, value, kind):
    text = value
    for part in reversed(name.split(".")):
        text = f"{{{part}: {text}}}"
    said = told(f"base_model: x\nsynthetic: {text}\n")
    assert f"config.yml:2: synthetic.{name}: '{value}' is a number in base {kind} to YAML" in said
    assert "write a number without `:` and without a 0 in front, or a text in quotes" in said


@pytest.mark.parametrize("value", ["0", "10", "1_000", "0x10", "0b11", "'010'", '"1:30"', "08", "0.5", "!!str 010", "a:b"])
def test_any_other_number_or_text_is_read(folder, value):
    (folder / "c.yml").write_text(f"synthetic: {{x: {value}}}\n")
    assert list(read_yaml(folder / "c.yml", "another")["synthetic"]) == ["x"]


def test_numbers_of_axolotls_are_no_business_of_ours(folder):
    (folder / "c.yml").write_text("warmup_steps: 010\nx: 1:30\nsynthetic: {}\n")
    assert read_yaml(folder / "c.yml", "another")["warmup_steps"] == 8


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "budget.samples",
        "budget.usd",
        "seeds.limit",
        "seeds.holdout",
        "seeds.may_fail",
        "teacher.timeout",
        "teacher.retries",
        "teacher.generation.temperature",
        "teacher.price.input",
        "grade.limit",
        "review.annotators",
        "review.select.count",
        "weight",
        "seed",
    ],
)
def test_a_boolean_is_no_number(name, value):
    block = value
    for part in reversed(name.split(".")):
        block = {part: block}
    with pytest.raises(ConfigError, match=f"synthetic.{name}: {value}: must be a number; write one"):
        load_settings(block)


def test_a_boolean_in_a_checks_list_of_numbers_is_none(folder):
    assert "synthetic.verify.judge.scale: [False, 5]: must be a number" in told("synthetic: {verify: [{judge: {scale: [false, 5]}}]}\n")
    assert load_settings({"include_seeds": True, "grade": {"after_train": False}}).include_seeds is True


@pytest.fixture
def special(folder):
    os.mkfifo(folder / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jsonl")
        os.symlink("pipe.jsonl", "link.jsonl")
        yield


SPECIAL = ["pipe.jsonl", "./pipe.jsonl", "link.jsonl", "socket.jsonl", "/dev/zero", "/dev/stdin", "/dev/null"]


@pytest.mark.parametrize("path", SPECIAL)
@pytest.mark.parametrize(
    ("block", "name"),
    [
        ("{{seeds: {{path: {0}}}}}", "synthetic.seeds.path"),
        ("{{verify: [{{judge: {{rubric: {0}}}}}]}}", "synthetic.verify.judge.rubric"),
        ("{{verify: [{{decontamination: {{files: [{0}]}}}}]}}", "synthetic.verify.decontamination.files.0"),
        ("{{review: {{guidelines: {0}}}}}", "synthetic.review.guidelines"),
        ("{{study: {0}}}", "synthetic.study"),
        ("{{output_dir: {0}}}", "synthetic.output_dir"),
    ],
)
def test_what_is_no_file_is_refused_and_never_waited_for(special, path, block, name):
    # In a separate process, so that waiting for a pipe ends in a failure.
    with open("config.yml", "w") as file:
        file.write(f"synthetic: {block.format(path)}\n")
    if path == "/dev/stdin" and not os.path.exists(path):
        pytest.skip("no standard input")
    result = CliRunner().invoke(synthetic, ["plan", "config.yml"])
    if path == "/dev/stdin" and os.path.isfile(path):
        return
    assert result.exit_code == 2, result.output
    assert f"{name}: '{path}': is a pipe, a device or a socket, and no file or folder; name one" in result.stderr


@pytest.mark.parametrize(
    ("path", "says"), [("seeds.jsonl", "is a file and no folder"), ("seeds.jsonl/out/x", "seeds.jsonl, which is a file")]
)
@pytest.mark.parametrize("command", ["plan", "generate", "status"])
def test_an_output_dir_that_can_be_no_folder_is_refused_by_its_name(path, says, command):
    said = told(f"synthetic: {{output_dir: {path}}}\n", command)
    assert f"synthetic.output_dir: '{path}': " in said and says in said and "name a folder" in said


def test_a_config_without_an_end_is_not_read_to_it(folder):
    result = CliRunner().invoke(synthetic, ["plan", "/dev/zero"])
    assert result.exit_code == 2 and f"has more than {LONGEST:,} characters, which no config has" in result.stderr


@pytest.mark.parametrize("code", ["0", "1", "", "'bye'", "None"])
@pytest.mark.parametrize("where", ["import", "class", "method"])
def test_a_users_module_that_ends_the_process_is_named_and_does_not(folder, monkeypatch, code, where):
    module = f"leaving_{where}_{abs(hash(code))}"
    lines = {
        "import": f"import sys\nsys.exit({code})\nclass T: pass\n",
        "class": f"import sys\nclass T:\n    def __init__(self): sys.exit({code})\n",
        "method": "import sys\nfrom axolotl_synthetic.tasks.math import Math\nclass T(Math):\n"
        f"    def problem(self, seed): sys.exit({code})\n",
    }
    if where == "method":
        from axolotl_synthetic.tasks import math

        lines["method"] = lines["method"].replace("import Math", f"import {type(math.TASK).__name__} as Math")
    (folder / f"{module}.py").write_text(lines[where])
    monkeypatch.syspath_prepend(str(folder))
    said = told(f"synthetic: {{task: {module}.T}}\n")
    assert ("cannot be used: SystemExit" if where != "method" else "a module of yours called sys.exit(") in said


def test_a_long_name_of_a_check_is_cut_short():
    said = told(f"synthetic: {{verify: [{'x' * 50_000}]}}\n")
    assert "no check is named 'xxx" in said and len(said) < 600


@pytest.mark.slow  # reads half a gigabyte
def test_too_little_memory_is_one_message(folder):
    with open("seeds.jsonl", "w") as file:
        for number in range(250_000):
            file.write(f'{{"question": "What is {number} + {number}? {"x" * 2_000}", "answer": "{2 * number}"}}\n')
    (folder / "config.yml").write_text("synthetic: {}\n")
    done = subprocess.run(
        [sys.executable, "-m", "axolotl_synthetic", "plan", "config.yml"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (500 * 2**20, 500 * 2**20)),
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("axolotl-synthetic: there is not enough memory;") and "Traceback" not in done.stderr
