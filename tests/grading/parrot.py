"""A model with known replies and scores: the next token depends only on the last one.

After a new line it says `#### 42`, after an `s` it says `B`, after either it ends its turn, and an `a` is always followed by an `a`.
"""

from __future__ import annotations

from pathlib import Path

from tiny_model import save_tiny_model

ANSWER = "#### 42"
FOLLOWS = {"\n": ANSWER, "s": "B", ANSWER: "<|im_end|>", "B": "<|im_end|>", "a": "a"}


def save_parrot(folder: Path, answer: str = ANSWER) -> Path:
    """Write the model, which says `answer` after a new line, and its tokenizer; return the folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    save_tiny_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([answer])
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    # The layers add nothing: the output is the last token's own vector, which the head maps to the next token.
    for layer in model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    torch.nn.init.zeros_(model.model.embed_tokens.weight)
    torch.nn.init.zeros_(model.lm_head.weight)
    follows = {answer if token == ANSWER else token: answer if follower == ANSWER else follower for token, follower in FOLLOWS.items()}
    for axis, (token, follower) in enumerate(follows.items()):
        [one], [other] = (tokenizer.encode(text, add_special_tokens=False) for text in (token, follower))
        with torch.no_grad():
            model.model.embed_tokens.weight[one, axis] = 1
            model.lm_head.weight[other, axis] = 10
    model.save_pretrained(folder)
    return folder
