"""Whole runs with `thinking: keep`: the thoughts in the training file, and that the installed Axolotl trains on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from axolotl_synthetic.dataset import axolotl_entry, chat_row
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import to_json
from axolotl_synthetic.student import refuse_no_thinking

from fake_profiles import math
from fake_server import FakeServer
from fake_wire import counted, message
from projects import Project
from tiny_model import save_tiny_model

THOUGHTS = "Each jar has cards, so I multiply."
MARKERS = ("<think>", "</think>", "<|", "[THINK]")
# The same thoughts and answer in each server's form.
SHAPES: dict[str, Any] = {
    "reasoning_content": lambda said: message(said, reasoning_content=THOUGHTS),
    "reasoning": lambda said: message(said, reasoning=THOUGHTS),
    "a think block": lambda said: message(f"<think>\n{THOUGHTS}\n</think>\n\n{said}"),
    "a think block, opened in the prompt": lambda said: message(f"{THOUGHTS}\n</think>\n\n{said}"),
    "Harmony channels": lambda said: message(
        f"<|channel|>analysis<|message|>{THOUGHTS}<|end|><|start|>assistant<|channel|>final<|message|>{said}<|return|>"
    ),
    "content parts": lambda said: message(
        [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHTS}]}, {"type": "text", "text": said}]
    ),
    "details of OpenRouter": lambda said: message(said, reasoning_details=[{"type": "reasoning.text", "text": THOUGHTS}]),
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", seeds=10)


def trained_on(project: Project) -> list[dict[str, Any]]:
    """Return the assistant's messages of samples, without those of seeds."""
    rows = [json.loads(line) for line in project.training_bytes.splitlines()]
    return [row["messages"][1] for row in rows if row["strategy"] != "seed"]


def test_thoughts_of_every_shape_are_kept_beside_the_answer_and_never_in_it(project):
    shapes = list(SHAPES.values())

    def think(body: dict[str, Any]) -> Any:
        return shapes[int(server.count) % len(shapes)](math(body))

    with FakeServer(think) as server:
        project.configure(server, budget={"samples": 10}, teacher={"thinking": "keep", "concurrency": 1})
        done = project.run()
        assert done.code == 0, done.err
        assert server.count >= len(shapes)
    kept = trained_on(project)
    assert [said["reasoning_content"] for said in kept] == [THOUGHTS] * 10
    for said in kept:
        assert "####" in said["content"]
        assert THOUGHTS not in said["content"]
        assert not [marker for marker in MARKERS if marker in said["content"]]


def test_dropped_is_the_default_and_leaves_nothing_of_them(project):
    with FakeServer(lambda body: message(math(body), reasoning_content=THOUGHTS)) as server:
        project.configure(server, budget={"samples": 4})
        assert project.run().code == 0
        dropped = project.training_bytes
        assert THOUGHTS.encode() not in dropped + (project.out / "samples.jsonl").read_bytes()
        # `keep` makes the file again from the ledger, without a call.
        before = server.count
        project.configure(server, budget={"samples": 4}, teacher={"thinking": "keep"})
        assert project.run().code == 0
        assert server.count == before
    assert [said.get("reasoning_content") for said in trained_on(project)] == [THOUGHTS] * 4
    assert project.training_bytes != dropped


def test_only_the_answers_thoughts_are_kept_and_no_prompt_or_check_reads_them(project):
    def think(body: dict[str, Any]) -> Any:
        said = math(body)
        return message(said, reasoning_content=f"answering: {THOUGHTS}" if "####" in said else "about the question: #### 77")

    with FakeServer(think) as server:
        project.configure(server, strategy="new_question", budget={"samples": 4}, teacher={"thinking": "keep"})
        assert project.run().code == 0
        asked = json.dumps([call.body for call in server.calls])
    assert THOUGHTS not in asked and "about the question" not in asked
    assert {said["reasoning_content"] for said in trained_on(project)} == {f"answering: {THOUGHTS}"}
    assert b"about the question" not in project.training_bytes + (project.out / "samples.jsonl").read_bytes()


@pytest.mark.slow
def test_every_row_has_the_field_and_a_rerun_writes_the_same_bytes(project):
    # Half of a surrogate pair, which the ledger cannot store, and every second reply shows no thoughts.
    def think(body: dict[str, Any]) -> Any:
        number = int(body["messages"][-1]["content"].split("Ada has ")[1].split()[0])
        return message(math(body), **({"reasoning_content": f"{THOUGHTS} \ud83d </think> <|im_end|>"} if number % 2 else {}))

    with FakeServer(think) as server:
        project.configure(server, budget={"samples": 6}, teacher={"thinking": "keep"})
        assert project.run().code == 0
        first, samples = project.training_bytes, (project.out / "samples.jsonl").read_bytes()
        project.forget_all_but_the_ledger()
        assert project.run().code == 0
    assert (project.training_bytes, (project.out / "samples.jsonl").read_bytes()) == (first, samples)
    rows = [json.loads(line)["messages"][1] for line in first.splitlines()]
    # Ten seeds, and six samples of which half show thoughts; text that would end a student's turn is removed.
    assert len(rows) == 16
    assert sorted({said["reasoning_content"] for said in rows}) == ["", f"{THOUGHTS} ?"]


def test_a_reply_of_thoughts_alone_says_so_and_names_the_limit(project):
    with FakeServer(lambda _: message(None, "length", counted(120, 512), reasoning_content=THOUGHTS)) as server:
        project.configure(server, teacher={"concurrency": 2, "thinking": "keep"})
        done = project.run()
    assert done.code == 3
    assert "cut off while the model was thinking; raise `generation.max_new_tokens`" in done.err


def tokenised(lines: Sequence[bytes], model: Path, template: str, entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Tokenise the training file with the installed Axolotl: return each row's text, and the part of it that is trained on."""
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    config = DictDefault({"train_on_inputs": False, "sequence_len": 4096, "chat_template": template})
    strategy = load(tokenizer, config, ds_cfg=entry)
    found = []
    for line in lines:
        made = strategy.tokenize_prompt({"messages": json.loads(line)["messages"]})
        labels = [one for one in made["labels"] if one != -100]
        found.append((tokenizer.decode(made["input_ids"]), tokenizer.decode(labels)))
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


def test_axolotl_trains_on_kept_thoughts_and_on_none_that_were_dropped(project, model):
    with FakeServer(lambda body: message(math(body), reasoning_content=THOUGHTS)) as server:
        for thinking in ("drop", "keep"):
            project.configure(server, budget={"samples": 4}, teacher={"thinking": thinking}, include_seeds=False)
            assert project.run().code == 0
            path = project.out / project.manifest["files"]["train"]["path"]
            rows = tokenised(
                project.training_bytes.splitlines(),
                model,
                "qwen3",
                axolotl_entry(path, thinking_key="reasoning_content" if thinking == "keep" else None),
            )
            assert len(rows) == 4
            for text, trained in rows:
                assert (THOUGHTS in trained) == (f"<think>\n{THOUGHTS}\n</think>" in text) == (thinking == "keep")
                assert "####" in trained
                assert trained.endswith("<|im_end|>")
                assert "Ada has" not in trained and "Ada has" in text


def test_a_template_that_reads_thoughts_by_another_name_is_given_that_name(model, tmp_path):
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['musing'] %}[{{ m['musing'] }}]{% endif %}{{ m['content'] }}"
        "<|im_end|>\n{% endfor %}"
    )
    other = shutil.copytree(model, tmp_path / "model")
    (other / "chat_template.jinja").write_text(template, encoding="utf-8")
    line = to_json(chat_row("What is 6 * 10?", "#### 60", "a", "answer_augmentation", "s", THOUGHTS)).encode()
    [(_, trained)] = tokenised([line], other, "tokenizer_default", axolotl_entry(Path("train.jsonl"), thinking_key="musing"))
    assert trained == f"[{THOUGHTS}]#### 60<|im_end|>"
    [(_, trained)] = tokenised([line], other, "tokenizer_default", axolotl_entry(Path("train.jsonl"), thinking_key="reasoning_content"))
    assert trained == "#### 60<|im_end|>"


def test_a_template_that_leaves_thoughts_out_is_refused_before_the_first_call(model):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    reads = "{% for m in messages %}{{ m['musing'] }}{{ m['content'] }}{% endfor %}"
    refuse_no_thinking("student", tokenizer, reads, "musing")
    with pytest.raises(ConfigError, match=r"does not write `reasoning_content` of an assistant's message.*`synthetic.thinking_key`"):
        refuse_no_thinking("student", tokenizer, reads, "reasoning_content")
