"""Makes the study's teacher and its student, both from scratch and on the CPU, and measures that the one is better than the other.

The teacher learns the family's problems from gold answers, and to reword them, to invent new ones and to check them. The student has
read worked solutions too, but guesses among them, and a guess is what comes to its mind first: as in larger models, much of what it
needs is there, and fine-tuning has to bring it out.

    python models.py FOLDER
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import family

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<|pad|>", "<|user|>", "<|assistant|>", "<|end|>")
SEEDS = 400
MEASURED = 200
# Batches that are drawn together, and steps between two notes: a multiple of them.
BLOCK = 8
NOTED = 80
Pair = tuple[str, str]


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained. `learning_rate` is the peak of a cosine."""

    width: int
    layers: int
    steps: int
    batch: int
    learning_rate: float


TEACHER = Recipe(width=128, layers=4, steps=1_440, batch=32, learning_rate=3e-3)
STUDENT = Recipe(width=96, layers=3, steps=1_280, batch=32, learning_rate=3e-3)
# The share of worked solutions in what the student has read. Each of their six openings is rarer than a guess.
WORKED = 0.65


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--teacher-steps", type=int, default=TEACHER.steps)
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.disable(logging.WARNING)
    write_seeds(folder / "seeds.jsonl")
    tokenizer = make_tokenizer()
    teacher = Recipe(TEACHER.width, TEACHER.layers, options.teacher_steps, TEACHER.batch, TEACHER.learning_rate)
    measured = {}
    for name, recipe, lesson in (("teacher", teacher, teachers_lesson), ("student", STUDENT, students_lesson)):
        if not (folder / name / "measured.json").exists():
            make(folder / name, tokenizer, recipe, lesson)
        measured[name] = json.loads((folder / name / "measured.json").read_text())
        print(f"{name}: {describe(measured[name])}", flush=True)
    if measured["teacher"]["right"] <= measured["student"]["right"]:
        raise SystemExit("the teacher is not better than the student: a study of it would say nothing")


def describe(measured: dict[str, float]) -> str:
    return (
        f"{measured['parameters'] / 1e6:.1f} million parameters, trained for {measured['seconds']:.0f} s, solves"
        f" {measured['right']:.1%} of {MEASURED} problems that it has not seen"
    )


def write_seeds(path: Path) -> None:
    """The user's own questions: no two alike."""
    draw, rows = random.Random("seeds"), {}
    while len(rows) < SEEDS:
        row = family.seed_row(draw)
        rows[row["question"]] = row
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()), encoding="utf-8")


def teachers_lesson(draw: random.Random) -> Pair:
    """One question and its answer, as often of each of the four sorts as the study will ask them."""
    one = family.story(draw)
    first = family.way(draw)
    text = one.told(first)
    sort = draw.random()
    if sort < 0.45:
        return text, one.solved(draw)
    if sort < 0.65:
        return f"Reword: {text}", one.told(family.way(draw, other_than=first))
    if sort < 0.85:
        return f"New: {text}", family.story(draw, one.kind).told(family.way(draw))
    spoilt = draw.random() < 0.5
    return f"Check: {spoil(text, draw) if spoilt else text}", "No" if spoilt else "Yes"


def spoil(text: str, draw: random.Random) -> str:
    """A problem that lacks a number or its question."""
    if draw.random() < 0.5:
        return re.split(r"(?<=[.?]) (?=How|What)", text)[0]
    numbers = list(re.finditer(r"\d+", text))
    number = draw.choice(numbers)
    return text[: number.start()] + "some" + text[number.end() :]


def students_lesson(draw: random.Random) -> Pair:
    """A problem with a worked solution, in one of the many ways that those begin, or a guess, which always begins in the same way."""
    one = family.story(draw)
    return one.told(family.way(draw)), one.solved(draw) if draw.random() < WORKED else one.guessed()


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Words and numbers of the family as tokens, single bytes for all else."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    draw = random.Random("tokenizer")
    texts = [text for _ in range(4_000) for text in teachers_lesson(draw)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1_024, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
    )


def make(folder: Path, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, lesson: Callable[[random.Random], Pair]) -> None:
    """Train a model from scratch, measure it, and write both."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            intermediate_size=3 * recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.width // 32,
            num_key_value_heads=recipe.width // 32,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    seconds = train(model, tokenizer, recipe, lesson, folder)
    right = measure(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    found = {"right": right, "questions": MEASURED, "parameters": model.num_parameters(), "seconds": seconds}
    (folder / "measured.json").write_text(json.dumps(found), encoding="utf-8")


def batches(
    tokenizer: PreTrainedTokenizerFast, recipe: Recipe, lesson: Callable[[random.Random], Pair], first: int
) -> Iterator[list[list[int]]]:
    """Token ids of chats, from this block of batches on. Sorted within a block, so that little is padded.

    Questions are learned from as well as answers: names and things come again in them, which teaches a small model to copy.
    """
    for block in itertools.count(first):
        draw = random.Random(f"block {block}")
        pairs = [lesson(draw) for _ in range(BLOCK * recipe.batch)]
        texts = [f"<|user|>{question}<|end|><|assistant|>{answer}<|end|>" for question, answer in pairs]
        chats = sorted(tokenizer(texts)["input_ids"], key=len)
        groups = [chats[start : start + recipe.batch] for start in range(0, len(chats), recipe.batch)]
        draw.shuffle(groups)
        yield from groups


def train(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, lesson: Callable[[random.Random], Pair], folder: Path
) -> float:
    """Train; the seconds that it took. Stopped and started again, it goes on at the last of its notes."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    warmup = recipe.steps // 20
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / recipe.steps)))
    )
    notes, done, before = folder / "unfinished.pt", 0, 0.0
    if notes.exists():
        found = torch.load(notes, weights_only=True)
        for part, state in zip((model, optimizer, schedule), found["states"], strict=True):
            part.load_state_dict(state)
        done, before = found["done"], found["seconds"]
    source = batches(tokenizer, recipe, lesson, done // BLOCK)
    began, total = time.monotonic(), 0.0
    model.train()
    for step in range(done + 1, recipe.steps + 1):
        chats = next(source)
        width = max(map(len, chats))
        ids = torch.full((len(chats), width), tokenizer.pad_token_id)
        labels = torch.full((len(chats), width), -100)
        for row, chat in enumerate(chats):
            ids[row, : len(chat)] = labels[row, : len(chat)] = torch.tensor(chat)
        # Padding stands on the right, where a causal model does not see it from the left.
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % NOTED == 0:
            seconds = time.monotonic() - began
            left = seconds / (step - done) * (recipe.steps - step)
            print(f"{folder.name}: {step:,} of {recipe.steps:,} steps, loss {total / NOTED:.3f}, {left:.0f} s left", flush=True)
            total = 0.0
            states = [part.state_dict() for part in (model, optimizer, schedule)]
            torch.save({"states": states, "done": step, "seconds": before + seconds}, notes.with_suffix(".tmp"))
            os.replace(notes.with_suffix(".tmp"), notes)
    notes.unlink(missing_ok=True)
    return before + time.monotonic() - began


def measure(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    """The share of problems solved, greedy, by the task's own lenient reading."""
    import torch

    from axolotl_synthetic.records import Question

    task, draw = family.Stories(), random.Random("measured")
    rows = [family.seed_row(draw) for _ in range(MEASURED)]
    prompts = [f"<|user|>{row['question']}<|end|><|assistant|>" for row in rows]
    tokenizer.padding_side = "left"
    model.eval()
    right = 0
    for start in range(0, MEASURED, 50):
        inputs = tokenizer(prompts[start : start + 50], return_tensors="pt", padding=True, return_token_type_ids=False)
        with torch.inference_mode():
            replies = model.generate(**inputs, max_new_tokens=80, do_sample=False)
        for row, reply in zip(rows[start : start + 50], replies, strict=True):
            text = tokenizer.decode(reply[inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            found = task.loose_answer(text, Question(row["question"]))
            right += found is not None and task.equivalent(row["answer"].rpartition("#### ")[2], found, Question(row["question"]))
    return right / MEASURED


if __name__ == "__main__":
    main()
