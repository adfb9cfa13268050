"""Held-out chats: the loss on the seeds' own answers, by lm-eval on a tiny model and by hand."""

import json
import math
import os
import subprocess
import sys

import pytest

from axolotl_synthetic.grading import HELD_OUT_TASK, ModelArgs, cells, compare, evaluate, export_task
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks import load_task

CHATS = [
    Seed("a", Question("Is it late?", turns=(("system", "Be brief."), ("user", "Hello?"), ("assistant", "Hi."))), "Not yet."),
    Seed("b", Question("Why?"), "Because it is."),
    Seed("c", Question("And now?"), None),
]


def test_a_chat_without_an_answer_is_left_out_and_the_others_keep_their_turns(tmp_path):
    assert export_task(tmp_path, task=load_task("chat"), held_out=CHATS) == HELD_OUT_TASK
    rows = [json.loads(line) for line in (tmp_path / "heldout.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a", "b"]
    assert [turn["role"] for turn in rows[0]["messages"]] == ["system", "user", "assistant", "user"]
    assert rows[1]["messages"] == [{"role": "user", "content": "Why?"}]


def test_chats_without_any_answer_export_nothing(tmp_path):
    assert export_task(tmp_path, task=load_task("chat"), held_out=CHATS[2:]) is None


@pytest.mark.slow
def test_lm_eval_measures_the_bits_of_the_seeds_own_answers_after_their_real_turns(tmp_path, tiny_model, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    export_task(tmp_path / "lm_eval", task=load_task("chat"), held_out=CHATS)
    scores = evaluate(model=ModelArgs(str(tiny_model)), tasks=[HELD_OUT_TASK], include_path=tmp_path / "lm_eval", log=tmp_path / "log")
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    bits, length = 0.0, 0
    for seed in CHATS[:2]:
        before = tokenizer.apply_chat_template(list(seed.question.chat), add_generation_prompt=True, tokenize=False)
        context, whole = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before.rstrip(), before + seed.answer))
        with torch.no_grad():
            found = torch.log_softmax(model(torch.tensor([whole])).logits[0].double(), dim=-1)
        # lm-eval counts the whitespace at the end of a prompt, here a line break, as part of the answer.
        bits -= sum(float(found[place - 1, whole[place]]) for place in range(len(context), len(whole))) / math.log(2)
        length += len(seed.answer)
    score = scores[HELD_OUT_TASK]
    assert (score.metric, score.questions) == ("bits_per_byte", 2)
    assert score.value == pytest.approx(bits / length, rel=1e-4)
    made = compare(base="base", student="student", base_scores=scores, student_scores=scores)
    assert cells(made.rows[0])[0] == f"{score.value:.3f}"


@pytest.mark.slow
def test_plain_lm_eval_runs_the_chats_and_the_labels(tmp_path, tiny_model):
    export_task(tmp_path / "chats", task=load_task("chat"), held_out=CHATS, task_name="held_out_chats")
    ticket = Seed("t", Question("I paid twice.", labels=("billing", "shipping")), "billing")
    export_task(tmp_path / "labels", task=load_task("classification"), held_out=[ticket], task_name="held_out_labels", max_gen_toks=4)
    command = [sys.executable, "-P", "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={tiny_model},dtype=float32"]
    command += ["--device", "cpu", "--apply_chat_template", "--include_path", str(tmp_path), "--output_path", str(tmp_path / "scores")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    command += ["--tasks", "held_out_chats,held_out_labels"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [written] = (tmp_path / "scores").rglob("results_*.json")
    results = json.loads(written.read_text())["results"]
    assert results["held_out_chats"]["bits_per_byte,none"] > 1
    assert {"acc,none", "macro_f1,none", "strict_match,none"} <= results["held_out_labels"].keys()
