"""Every YAML of `recipes/` and `examples/` passes Axolotl's own validation and ours, with no misspelt key.

A recipe also reads its seeds under the Hub's names and columns.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from axolotl_synthetic import run
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError

import hub
from fake_server import FakeServer
from tiny_model import save_tiny_model

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT)
    for folder in ("recipes", "examples")
    for path in (ROOT / folder).rglob("*.yml")
    # A study is not an Axolotl config, and the examples' output is not tested.
    if "out" not in path.parts and "study" not in yaml.safe_load(path.read_text(encoding="utf-8"))
)
RECIPES = sorted(path.name for path in (ROOT / "recipes").iterdir() if path.is_dir())
# Keys whose values are named by the user or another library, not by a schema.
FREE = ("fields", "optim_args", "kwargs")


def read(file: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    return config


def places(config: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each key."""
    for key, value in config.items():
        yield (*place, key)
        if isinstance(value, Mapping) and key not in FREE:
            yield from places(value, (*place, key))


def misspelt(config: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    made = copy.deepcopy(config)
    block = made
    for key in place[:-1]:
        block = block[key]
    block[f"{place[-1]}_"] = block.pop(place[-1])
    return made


def test_every_recipe_has_its_files():
    assert RECIPES == ["arc_challenge", "gsm8k", "instruction", "spider"]
    for name in RECIPES:
        assert {path.name for path in (ROOT / "recipes" / name).iterdir()} - {"out"} == {"README.md", "full.yml", "lora.yml"}


@pytest.mark.parametrize("name", ["", *RECIPES])
def test_a_recipes_readme_names_files_that_exist(name):
    folder = ROOT / "recipes" / name
    text = (folder / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("http") or (folder / link).exists(), link
    named = re.findall(r"recipes/\w+/\w+\.yml", text)
    assert all((ROOT / path).exists() for path in named)
    assert {Path(path).parent.name for path in named} == ({name} if name else set())


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_yaml_passes_axolotls_validation_and_ours(file, validate):
    config = read(file)
    valid = validate(config, "24 GB" if file.name == "lora.yml" else "80 GB")
    assert load_settings(valid["synthetic"]) == load_settings(config["synthetic"])
    # Our plugin's addition: only the answers have a loss.
    assert [(one["type"], one["roles_to_train"], one["train_on_eos"]) for one in valid["datasets"]] == [
        ("chat_template", ["assistant"], "turn")
    ]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_each_key_misspelt_in_a_copy_is_refused(file, validate):
    config = read(file)
    validate(config)
    for place in places(config):
        with pytest.raises((ConfigError, SystemExit)):
            validate(misspelt(config, place))


@pytest.mark.parametrize("name", RECIPES)
def test_full_fine_tuning_has_the_papers_settings(name):
    config = read(Path("recipes", name, "full.yml"))
    assert config["base_model"] == "meta-llama/Llama-2-7b-chat-hf" and "adapter" not in config
    assert (config["num_epochs"], float(config["learning_rate"]), config["lr_scheduler"], config["warmup_ratio"]) == (
        3,
        4e-5,
        "cosine",
        0.03,
    )
    assert config["sequence_len"] == 1536
    # The schema accepts any optimizer and option names; without stochastic rounding half of the steps would be lost.
    assert (config["optimizer"], config["optim_args"]) == ("adamw_torch_8bit", {"bf16_stochastic_round": True})
    block = load_settings(config["synthetic"])
    assert block.teacher.model == "meta-llama/Llama-3.1-70B-Instruct" and block.teacher.generation.temperature == 0.7


@pytest.mark.parametrize("name", RECIPES)
def test_both_variants_train_alike_on_the_same_data(name):
    full, lora = (read(Path("recipes", name, f"{kind}.yml")) for kind in ("full", "lora"))
    for config in (full, lora):
        assert config["micro_batch_size"] * config["gradient_accumulation_steps"] == 128
        assert config["sample_packing"] is False  # packed rows would have more than one sample each
    differ = {key for key in {*full, *lora} if full.get(key) != lora.get(key)}
    assert {key for key in differ if not key.startswith("lora_")} == {
        *("adapter", "learning_rate", "optimizer", "optim_args", "micro_batch_size", "gradient_accumulation_steps", "output_dir")
    }


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_reads_its_seeds_by_the_hubs_names_and_columns(name, tmp_path, monkeypatch):
    hub.settle(tmp_path, monkeypatch)
    block = read(Path("recipes", name, "lora.yml"))["synthetic"]
    write = {"gsm8k": hub.write_gsm8k, "arc_challenge": hub.write_arc, "spider": hub.write_spider, "instruction": hub.write_dolly}
    write[name](tmp_path)
    # There are few rows here: none would be left with 200 held out.
    prepared = run.prepare(load_settings({**block, "seeds": {**block["seeds"], "holdout": 2 if "holdout" in block["seeds"] else 0}}))
    counts = {"gsm8k": (10, 2), "arc_challenge": (6, 2), "spider": (4, 2), "instruction": (6, 0)}
    assert (len(prepared.seeds.seeds), len(prepared.seeds.held_out)) == counts[name]
    assert all(seed.answer for seed in prepared.seeds.seeds)
    if prepared.task.has_final_answer:
        assert all(prepared.task.gold_answer(seed) for seed in prepared.seeds.held_out)
    [problem] = prepared.seeds.problems  # only about the limit of 1,000
    assert "seeds.limit" in problem


def test_lm_eval_knows_the_tasks_that_recipes_are_graded_by(tmp_path):
    from axolotl_synthetic.grading import refuse_unknown_tasks

    tasks = {task for name in RECIPES for task in read(Path("recipes", name, "lora.yml"))["synthetic"]["grade"]["tasks"]}
    assert tasks == {"gsm8k", "arc_challenge", "arc_challenge_chat", "spider_execution", "ifeval"}
    refuse_unknown_tasks(sorted(tasks), log=tmp_path / "lm_eval.log")


# Llama 2's own template, which a recipe's `tokenizer_default` refers to.
LLAMA_2 = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
# Settings for a machine without a GPU, and sizes for a test.
ON_A_CPU = {"bf16": False, "tf32": False, "lora_mlp_kernel": False, "lora_qkv_kernel": False, "lora_o_kernel": False}
ON_A_CPU |= {"gradient_accumulation_steps": 2, "dataset_num_proc": 1}


def save_student(folder: Path) -> Path:
    """Write a tiny model whose tokenizer writes chats as Llama 2's does."""
    from transformers import AutoTokenizer

    save_tiny_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token, tokenizer.chat_template = "<|endoftext|>", LLAMA_2
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_recipe_runs_from_the_hubs_names_to_the_grades(kind, tmp_path, monkeypatch):
    """All of `axolotl train` runs, with a tiny student, a teacher on a local port, and our rows under the Hub's names."""
    hub.settle(tmp_path, monkeypatch)
    hub.write_gsm8k(tmp_path)
    student = save_student(tmp_path / "model")
    config = read(Path("recipes", "gsm8k", f"{kind}.yml"))
    with FakeServer() as server:
        block = config["synthetic"]
        block["teacher"] |= {"base_url": server.base_url, "generation": {"max_new_tokens": 64}}
        block["seeds"]["holdout"], block["budget"]["samples"] = 4, 8
        (tmp_path / "config.yml").write_text(yaml.safe_dump({**config, "base_model": str(student), **ON_A_CPU}), encoding="utf-8")
        environment = {**os.environ, "AXOLOTL_DO_NOT_TRACK": "1", "OPENAI_API_KEY": "none"}
        command = [str(Path(sys.executable).with_name("axolotl")), "train", "config.yml", "--launcher", "python"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    out = tmp_path / "recipes" / "gsm8k" / "out"
    assert (out / kind / ("adapter_config.json" if kind == "lora" else "model.safetensors")).exists()
    graded = json.loads((out / "synthetic" / "grade.json").read_text(encoding="utf-8"))
    assert [(row["task"], row["questions"]) for row in graded["rows"]] == [("synthetic_heldout", 4), ("gsm8k", 1)]
    # Every label belongs to an answer or its end of turn, none to a question or the template's own spaces.
    [training] = (out / "synthetic").glob("train-*.jsonl")
    answers = {json.loads(line)["messages"][1]["content"] for line in training.read_text(encoding="utf-8").splitlines()}
    assert set(trained_on(out / "prepared", student)) == {f"{answer}<|im_end|>" for answer in answers}


def trained_on(prepared: Path, student: Path) -> list[str]:
    """Return the text with a loss, row by row."""
    from datasets import load_from_disk
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    [cache] = (path for path in prepared.iterdir() if path.is_dir())
    return [tokenizer.decode([label for label in labels if label != -100]) for labels in load_from_disk(str(cache))["labels"]]
