"""Models for the tests of grading: a random Llama of 50,000 parameters, a LoRA adapter on it, and seeds with known answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from axolotl_synthetic.records import Question, Seed

from tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a LoRA adapter as Axolotl leaves it: with the tokenizer and the base model's config.json beside it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("student") / "adapter"
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    model.config.save_pretrained(folder)
    return folder


@pytest.fixture
def jars() -> list[Seed]:
    """Return three seeds whose answers are 6, 20 and 42, and one without an answer."""
    factors = [(2, 3), (4, 5), (6, 7)]
    texts = [(f"{a} jars hold {b} cards each. How many cards?", f"{a} * {b} = {a * b}\n#### {a * b}") for a, b in factors]
    answered = [Seed(f"seed-{number}", Question(question), answer) for number, (question, answer) in enumerate(texts)]
    return [*answered, Seed("seed-open", Question("How many cards are there?"))]
