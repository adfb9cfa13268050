"""Configs that break readers: one message, exit code 2, no traceback, nothing written and no call made, within seconds."""

import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.config import load_settings, secret_in
from axolotl_synthetic.errors import ConfigError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)
MERGES = "a: &a {k0: 0, k1: 1, k2: 2, k3: 3, k4: 4, k5: 5, k6: 6, k7: 7, k8: 8, k9: 9}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)
DIGITS = "9" * 10_000

TEXTS = {
    "alias bomb in the block": (BOMB + "synthetic: {verify: *h}\n", "more than 100,000 values"),
    "alias bomb in kwargs": (BOMB + "synthetic: {teacher: {provider: distilabel, llm: X, kwargs: {x: *h}}}\n", "more than 100,000 values"),
    "alias bomb beside the block": (BOMB + "base_model: *h\nsynthetic: {}\n", "more than 100,000 values"),
    "merge bomb": (MERGES + "synthetic: *h\n", "more than 100,000 keys"),
    "anchor that refers to itself": ("synthetic: &a {seeds: *a}\n", "a value 50 levels deep"),
    "list that refers to itself": ("synthetic: {verify: &a [*a]}\n", "a value 50 levels deep"),
    "anchor in kwargs": ("synthetic: {teacher: {provider: distilabel, llm: X, kwargs: &a {x: *a}}}\n", "a value 50 levels deep"),
    "3,000 brackets": ("synthetic: " + "[" * 3_000, "is nested too deeply; write it with fewer brackets"),
    "3,000 brackets that close": ("synthetic: " + "[" * 3_000 + "]" * 3_000, "is nested too deeply; write it with fewer brackets"),
    "100 brackets": ("synthetic: {verify: " + "[" * 100 + "]" * 100 + "}", "a value 50 levels deep"),
    "10,000 digits": (f"synthetic: {{budget: {{samples: {DIGITS}}}}}", "holds a value that cannot be read (Exceeds the limit"),
    "10,000 hexadecimal digits": (
        f"synthetic: {{budget: {{samples: 0x{DIGITS}}}}}",
        "budget.samples: a number of thousands of digits: is a",
    ),
    "10,000 hexadecimal digits in kwargs": (
        f"synthetic: {{teacher: {{provider: distilabel, llm: X, kwargs: {{? 0x{DIGITS} : 0x{DIGITS}}}}}}}",
        "synthetic.teacher.kwargs",
    ),
    "10,000 hexadecimal digits as a share": (f"synthetic: {{strategy: {{? 0x{DIGITS} : 0x{DIGITS}}}}}", "synthetic.strategy"),
    "10,000 hexadecimal digits as a key": (f"synthetic: {{? 0x{DIGITS} : 1}}", "keys should be strings"),
    "a day that there is not": ("synthetic: {seed: 2024-02-31}", "holds a value that cannot be read (day"),
    "a tag of Python's": ("synthetic: !!python/object/apply:os.system [id]", "is no YAML: could not determine a constructor"),
    "a broken tag": ("synthetic: {seed: !!bool maybe}", "holds a value that cannot be read"),
    "a date that is none": ("synthetic: {seed: !!timestamp x}", "holds a value that cannot be read"),
    "a number as a key": ("synthetic: {7: 1}", "synthetic"),
    "a list as a key": ("synthetic: {[1]: 1}", "synthetic"),
    "null as a key": ("synthetic: {seeds: {~: 1}}", "synthetic.seeds"),
    "NUL in a key": ('synthetic: {"a\\0b": 1}', "synthetic"),
    "no block": ("synthetic: .inf", "must be a block of settings"),
    "two documents": ("synthetic: {}\n---\nsynthetic: {}", "is no YAML"),
    "a tab": ("synthetic:\n\tseed: 1", "is no YAML"),
}


def call(folder, text, *command):
    path = folder / "config.yml"
    path.write_text(text)
    began = time.monotonic()
    result = CliRunner().invoke(synthetic, [*(command or ["plan"]), str(path)])
    assert time.monotonic() - began < 60  # a hang takes many minutes, and the machine may be busy
    return result


def refused(result) -> str:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("axolotl-synthetic: ")
    return result.stderr


@pytest.mark.parametrize("command", ["plan", "generate", "status"])
@pytest.mark.parametrize(("text", "says"), TEXTS.values(), ids=TEXTS)
def test_a_hostile_yaml_is_one_message(tmp_path, monkeypatch, text, says, command):
    monkeypatch.chdir(tmp_path)
    assert says in refused(call(tmp_path, text, command))
    assert os.listdir(tmp_path) == ["config.yml"]


def test_the_file_of_a_study_is_read_as_carefully(tmp_path):
    for text in (BOMB + "study: {seed_sizes: *h}", "study: &a {config: *a}", "study: " + "[" * 3_000, f"study: {{repeats: {DIGITS}}}"):
        refused(call(tmp_path, text, "study"))
    said = refused(
        call(tmp_path, "study: {config: c.yml, seed_sizes: [3], samples: [4611686018427387904], repeats: 4611686018427387904}", "study")
    )
    assert "study.samples.0: 4611686018427387904: input should be less than or equal to 1000000000" in said
    assert "study.repeats: 4611686018427387904: input should be less than or equal to 1000" in said


def test_a_hundred_thousand_values_are_refused_within_a_second_or_two(tmp_path):
    (tmp_path / "config.yml").write_text(TEXTS["alias bomb in the block"][0])
    began = time.process_time()
    with pytest.raises(ConfigError):
        from axolotl_synthetic.yaml_reader import read_yaml

        read_yaml(tmp_path / "config.yml", "another")
    assert time.process_time() - began < 2


# Numbers

NUMBERS = {
    "seeds": ["limit", "holdout", "may_fail"],
    "budget": ["samples", "queries", "tokens", "usd"],
    "teacher": ["concurrency", "timeout", "retries"],
    "teacher.generation": ["temperature", "max_new_tokens", "top_p"],
    "teacher.price": ["input", "output"],
    "grade": ["limit"],
    "review": ["annotators"],
    "review.select": ["count"],
    "": ["weight", "seed"],
}


@pytest.mark.parametrize(
    "value", [".inf", "-.inf", ".nan", "1.0e+308", "-1.0e+308", "4611686018427387905.0e+10", "1" + "0" * 30, f"0x{DIGITS}"]
)
@pytest.mark.parametrize("name", [f"{block}.{name}".strip(".") for block, names in NUMBERS.items() for name in names])
def test_a_number_that_is_none_or_absurd_is_refused_by_its_name(tmp_path, monkeypatch, name, value):
    monkeypatch.chdir(tmp_path)
    text = value
    for part in reversed(name.split(".")):
        text = f"{{{part}: {text}}}"
    said = refused(call(tmp_path, f"synthetic: {text}"))
    assert f"  - synthetic.{name}: " in said
    assert said.count(f"synthetic.{name}: ") == (2 if name == "budget.usd" else 1)  # dollars need a price, too


@pytest.mark.parametrize(
    ("name", "most"),
    [("teacher.generation.max_new_tokens", 10_000_000), ("budget.samples", 10**9), ("budget.tokens", 10**18), ("teacher.timeout", 604_800)],
)
def test_the_largest_number_is_taken_and_the_next_one_is_not(name, most):
    def block(value):
        for part in reversed(name.split(".")):
            value = {part: value}
        return value

    load_settings(block(most))
    with pytest.raises(ConfigError, match=rf"{name}: {most + 1}: input should be less than or equal to"):
        load_settings(block(most + 1))


def test_a_plan_for_the_largest_budget_takes_no_longer(tmp_path):
    (tmp_path / "s.jsonl").write_text('{"question": "How many?", "answer": "#### 1"}\n')
    text = f"synthetic: {{seeds: {{path: {tmp_path}/s.jsonl}}, budget: {{samples: {10**9}}}, verify: [self_consistency, judge]}}"
    assert call(tmp_path, text).exit_code == 0


@pytest.mark.parametrize("value", ["4611686018427387904", "9223372036854775807"])
def test_a_reply_of_two_to_the_62_tokens_is_refused_before_anything_is_paid(tmp_path, value):
    said = refused(call(tmp_path, f"synthetic: {{teacher: {{generation: {{max_new_tokens: {value}}}}}}}", "generate"))
    assert "synthetic.teacher.generation.max_new_tokens" in said


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**30])
def test_numbers_of_other_peoples_code_are_held_to_the_same(value):
    with pytest.raises(ConfigError, match=r"synthetic\.teacher\.kwargs\.x\.0: .*(finite|larger)"):
        load_settings({"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"x": [value]}}})


# Paths

LONG = "a" * 300
PATHS = ["seeds.path", "seeds.databases", "output_dir", "study", "review.guidelines"]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('"a\\0b.sqlite"', "holds U+0000"),
        ('"a\\ud800b.sqlite"', "half a character"),
        (f"{LONG}.sqlite", "is longer than the 255 bytes of a name"),
        ("/".join(["abc"] * 1_100) + "/x.sqlite", "is longer than the 255 bytes of a name and 4,000 of a path"),
        ("~nosuchuser/x.sqlite", "begins with the home folder of a user that there is not"),
    ],
)
def test_what_can_be_no_path_is_refused_by_its_name(tmp_path, monkeypatch, name, value, says):
    monkeypatch.chdir(tmp_path)
    text = value
    for part in reversed(name.split(".")):
        text = f"{{{part}: {text}}}"
    said = refused(call(tmp_path, f"synthetic: {text}"))
    assert f"synthetic.{name}: " in said and says in said


@pytest.mark.parametrize("value", ['"a\\0b"', LONG, "~nosuchuser/x"])
@pytest.mark.parametrize("check", ["decontamination: {files: [VALUE]}", "judge: {rubric: VALUE}", "length: {tokenizer: VALUE}"])
def test_a_checks_files_are_held_to_the_same(tmp_path, value, check):
    (tmp_path / "s.jsonl").write_text('{"question": "How many?", "answer": "#### 1"}\n')
    said = refused(call(tmp_path, f"synthetic: {{seeds: {{path: {tmp_path}/s.jsonl}}, verify: [{{{check.replace('VALUE', value)}}}]}}"))
    assert f"synthetic.verify.{'' if 'a' * 9 in value or '~' in value else '0.'}{check.split(':')[0]}" in said


@pytest.mark.parametrize("value", ["math" * 75, f"{'a' * 300}.Task", f"{'a.' * 300}Task", "..x.Task", "a..b.Task", '"a\\nb.Task"'])
def test_a_tasks_name_of_any_length_is_one_message(tmp_path, value):
    assert "synthetic.task" in refused(call(tmp_path, f"synthetic: {{task: {value}}}"))


def test_the_home_folder_is_meant_by_a_tilde_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings({"output_dir": "~/x"}).folder == tmp_path / "x"


@pytest.mark.parametrize("name", ["out[1]*", "out*", "out?", "a[bc]", "a::b", "s3://bucket/x"])
def test_an_output_dir_that_axolotls_loader_takes_for_a_pattern_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    said = refused(call(tmp_path, f"synthetic: {{output_dir: '{name}'}}", "generate"))
    assert "synthetic.output_dir: " in said and "Axolotl would look for the training file by a pattern; rename the folder" in said
    # The parent folder counts as well: the loader makes the path absolute.
    (tmp_path / "in[1]").mkdir()
    monkeypatch.chdir(tmp_path / "in[1]")
    assert f"must not hold `[` ({tmp_path}/in[1]/synthetic)" in refused(call(tmp_path, "synthetic: {}"))


@pytest.mark.parametrize(
    "name", ["out", "a b", "a{b,c}", "a~b", "é", "a%20b", "a#b", "a&b;c", "a'b", 'a"b', "a:b", "a]b", "a\\b", "-a", ".a"]
)
def test_any_other_output_dir_is_read_by_that_loader(tmp_path, name):
    datasets = pytest.importorskip("datasets")
    folder = load_settings({"output_dir": str(tmp_path / name)}).folder
    folder.mkdir()
    (folder / "train-1.jsonl").write_text('{"a": 1}\n' * 13)
    read = datasets.load_dataset("json", data_files=str(folder / "train-1.jsonl"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(read) == 13


# Secrets

SECRET = "sk-recognisable-0123456789"


@pytest.mark.parametrize(
    "block",
    [
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"openai_key": SECRET}}},
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"aws_secret_access_key": SECRET}}},
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"hf_token": SECRET}}},
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"default_headers": {"X-Api-Key": SECRET}}}},
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"default_headers": {"X-Any": f"Bearer {SECRET}"}}}},
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"models": [{"name": "a", "client_secret": SECRET}]}}},
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"base_url": f"https://x.example/v1?api_key={SECRET}"}}},
        {"teacher": {"provider": "distilabel", "llm": "X", "kwargs": {"base_url": f"https://me:{SECRET}@x.example/v1"}}},
        {"teacher": {"base_url": f"https://x.example/v1?api_key={SECRET}"}},
        {"teacher": {"base_url": f"https://x.example/v1#{SECRET}"}},
        {"review": {"api_url": f"https://x.example?key={SECRET}"}},
        {"teacher": {"openai_key": SECRET}},
        {"teacher": {"provider": "nobody", "api_key": SECRET}},
        {"teacher": [{"api_key": SECRET}]},
        {"augmenter": {"generation": [{"api_key": SECRET}]}},
        {"teacher": {"generation": {"temperature": {"password": SECRET}}}},
        {"teacher": {"model": {"x": f"https://x.example/?token={SECRET}"}}},
        {"seeds": {"path": ["https://x", f"?access_token={SECRET}"]}},
        {"verify": {"judge": SECRET, "api_key": SECRET}},
        {"strategy": {"api_key": SECRET}},
    ],
)
def test_no_secret_is_taken_or_shown(block):
    with pytest.raises(ConfigError) as caught:
        load_settings(block)
    assert SECRET not in str(caught.value)
    assert "sk-recog" not in str(caught.value)


@pytest.mark.parametrize(
    "kwargs",
    [{"max_tokens": 5, "tokenizer": "x", "api_key": None, "use_token_auth": True, "headers": {"api_key_env": "NAME"}}, {"a": ["x?y=1"]}],
)
def test_what_is_no_secret_is_taken(kwargs):
    assert secret_in(kwargs) is None
    load_settings({"teacher": {"provider": "distilabel", "llm": "X", "kwargs": kwargs}})


def test_a_line_that_is_no_yaml_is_named_and_not_shown(tmp_path):
    said = refused(call(tmp_path, f"synthetic:\n  teacher: {{api_key: {SECRET}: x}}\n"))
    assert f"{tmp_path}/config.yml:2:" in said and "is no YAML: " in said
    assert "sk-recog" not in said


def test_an_unknown_key_of_generation_gets_the_nearest_name_and_no_farther_one():
    with pytest.raises(ConfigError) as caught:
        load_settings({"teacher": {"generation": {"pots": 1}}})
    assert "did you mean" not in str(caught.value)
    with pytest.raises(ConfigError, match="did you mean `top_p`"):
        load_settings({"teacher": {"generation": {"topp": 1}}})


def test_a_folder_that_is_gone_is_one_message(tmp_path):
    gone = tmp_path / "gone"
    command = f"cd {gone} && rmdir {gone} && {sys.executable} -m axolotl_synthetic plan {tmp_path}/config.yml"
    gone.mkdir()
    (tmp_path / "config.yml").write_text("synthetic: {}")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def test_a_key_in_a_list_is_refused_by_the_name_that_the_list_has():
    headers = {"default_headers": {"Authorization": ["Bearer recognisable-0123456789"]}}
    with pytest.raises(ConfigError, match="must not hold `Authorization`") as caught:
        load_settings({"teacher": {"provider": "distilabel", "llm": "OpenAILLM", "kwargs": headers}})
    assert "recognisable" not in str(caught.value)
