"""The reasons for which a student would not learn of samples like the seeds: no chat template, a `sequence_len` that they do not fit into,
a context in which grading has no room. Found before a teacher is paid; who loads the tokenizer, and when, is for `plugin.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from axolotl_synthetic import terminal
from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError

# Seeds come in random order, and so many tell whether most pairs fit.
PAIRS_READ = 200
# What Axolotl does with a sample that is too long, by its `excess_length_strategy`.
TOO_LONG = {"drop": "drops such samples", "truncate": "cuts such samples off", "raise": "ends at such a sample"}


def chat_template(base_model: str, get: Callable[[], str]) -> str:
    """Return the template that Axolotl will write chats with.

    Args:
        base_model: the student, as the YAML names it.
        get: Axolotl's own way to find it.

    Raises:
        ConfigError: if there is none.
    """
    try:
        return get()
    except ValueError as error:
        raise ConfigError(
            f"base_model: {base_model}: has no chat template to train on chats with ({error}); add `chat_template: chatml` (or another name"
            " that Axolotl knows) to the YAML, or train an instruct model"
        ) from error


def lengths(pairs: Iterable[tuple[str, str | None]], tokenizer: Any, template: str) -> list[int]:
    """Return the tokens of questions and answers as the student reads them; empty where the template refuses such chats."""
    found = []
    for question, answer in pairs:
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": answer or ""}]
        try:
            text = tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False)
            found.append(len(tokenizer(text, add_special_tokens=False)["input_ids"]))
        except Exception:  # whatever a template does: Axolotl tells of it in its own words
            return []
    return found


def refuse_too_long(tokens: Sequence[int], sequence_len: int, strategy: str) -> None:
    """Tell of seeds' pairs that are longer than `sequence_len`.

    Raises:
        ConfigError: if more than half of them are, or Axolotl ends at the first.
    """
    over = sum(one > sequence_len for one in tokens)
    if not over:
        return
    text = (
        f"sequence_len: {sequence_len}: {over} of {len(tokens)} seeds' pairs are longer as the student reads them (the longest has"
        f" {max(tokens):,} tokens), and Axolotl {TOO_LONG.get(strategy, TOO_LONG['drop'])}; raise sequence_len"
    )
    if over > len(tokens) / 2 or strategy == "raise":
        raise ConfigError(text)
    terminal.notice(f"axolotl-synthetic: {text}")


def refuse_no_room(settings: Settings, context: int | None) -> None:
    """Hold `grade.max_new_tokens` against the student's context, in tokens; None where its config does not say.

    Raises:
        ConfigError: if no token is left for the question.
    """
    asked = settings.grade.max_new_tokens
    if asked is not None and context is not None and asked >= context:
        raise ConfigError(
            f"synthetic.grade.max_new_tokens: {asked}: the student's context is {context} tokens, question and reply together; choose at"
            f" most {context // 2}"
        )
