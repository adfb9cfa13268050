"""Functions of an exported task of held-out chats, called by lm-eval: the likelihood of the seeds' own answers.

A chat has no right or wrong answer. So the metric is how many bits each byte of the user's own answer costs the student, given the real
turns before it. Only the `metrics.py` that `export.py` writes imports this file, inside lm-eval's process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.task import ConfigurableTask

SAID = {"system": "System", "user": "User", "assistant": "Assistant"}


class Chats(ConfigurableTask):  # type: ignore[misc]  # lm_eval is not typed
    """Chats whose turns the model's template receives as turns; lm-eval's own tasks have only one message and worked examples."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config={name: value for name, value in (config or {}).items() if name != "class"})

    def fewshot_context(
        self,
        doc: Mapping[str, Any],
        num_fewshot: int,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        fewshot_as_multiturn: bool = False,
        chat_template: Callable[..., str] | None = None,
        gen_prefix: str | None = None,
    ) -> str:
        messages = [dict(turn) for turn in doc["messages"]]
        if apply_chat_template and chat_template is not None:
            return chat_template(messages, add_generation_prompt=True)
        return "\n\n".join([*(f"{SAID[turn['role']]}: {turn['content']}" for turn in messages), "Assistant: "])


def likelihood(row: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, tuple[float, int]]:
    """Return the log-likelihood of the seed's answer and its length in bytes, for lm-eval to add up."""
    [(found, _)] = results
    return {"bits_per_byte": (found, len(row["answer"].encode()))}
