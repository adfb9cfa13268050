"""Check that the student can learn from samples like the seeds, before a teacher is paid.

Problems are: no weights, no chat template or one that refuses such chats, a `sequence_len` that they exceed, and no room for grading in the
context. `plugin.py` loads the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from axolotl_synthetic import terminal
from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Message
from axolotl_synthetic.wording import number_of

# Seeds come in random order, so these many show whether most pairs fit.
PAIRS_READ = 200
# Suffixes of files that transformers loads weights from; trainers also leave the other files with such suffixes in NO_WEIGHTS.
WEIGHTS = (".safetensors", ".bin", ".gguf")
NO_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin", "random_states.bin")
LFS_POINTER = b"version https://git-lfs"
# Axolotl's handling of samples that are too long, by its `excess_length_strategy`.
TOO_LONG = {"drop": "drops such samples", "truncate": "cuts such samples off", "raise": "ends at such a sample"}


def chat_template(base_model: str, get: Callable[[], str]) -> str:
    """Return the template that Axolotl will write chats with.

    Args:
        base_model: the student, as the YAML names it.
        get: Axolotl's own function to find it.

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


def refuse_no_weights(base_model: str) -> None:
    """Check that a folder has weights that transformers can load; Hub names and folders of other machines are not checked.

    Raises:
        ConfigError: if it has none, or only Git LFS pointers.
    """
    folder = Path(base_model)
    try:
        if not folder.is_dir():
            return
        names = [path for suffix in WEIGHTS for path in folder.glob(f"*{suffix}") if path.name not in NO_WEIGHTS and path.is_file()]
        beginnings = [path.open("rb").read(len(LFS_POINTER)) for path in names]
    except (OSError, ValueError):  # an impossible path or an unreadable file: loading the model will report it
        return
    if not any(beginnings):
        raise ConfigError(
            f"base_model: {base_model}: the folder holds no weights ({', '.join(f'*{suffix}' for suffix in WEIGHTS)}), so nothing could"
            " be trained; put them there, or correct `base_model`"
        )
    if all(beginning in (LFS_POINTER, b"") for beginning in beginnings):
        raise ConfigError(f"base_model: {base_model}: holds pointers of Git LFS and no weights; run `git lfs pull` in that folder")


def lengths(base_model: str, pairs: Iterable[tuple[Sequence[Message], str | None]], tokenizer: Any, template: str) -> list[int]:
    """Return the token counts of pairs as the student reads them: earlier messages, question and answer.

    Raises:
        ConfigError: if the template refuses such chats, because training would end with the same error.
    """
    found = []
    for question, answer in pairs:
        # Some templates refuse an empty answer, and no sample has one.
        chat = [*question, {"role": "assistant", "content": answer or "1"}]
        try:
            text = tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False)
        except Exception as error:  # a template may raise anything
            raise ConfigError(
                f"base_model: {base_model}: its chat template refuses {_named(question)} and an answer, and no teacher was asked yet:"
                f" {str(error) or type(error).__name__}; add `chat_template: chatml` (or another name that Axolotl knows) to the YAML"
            ) from error
        found.append(len(tokenizer(text, add_special_tokens=False)["input_ids"]))
    return found


def _named(question: Sequence[Message]) -> str:
    return "a system message, a question" if question[0]["role"] == "system" else "a question"


def refuse_no_thinking(base_model: str, tokenizer: Any, template: str, key: str, **kwargs: Any) -> None:
    """Check that a chat template writes the thoughts of an assistant's message.

    Args:
        key: the name by which it should read them.
        kwargs: arguments of the template, from `chat_template_kwargs`.

    Raises:
        ConfigError: if it leaves them out, so that the student would learn to answer without thinking.
    """
    mark = "thoughts1"
    chat = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "1", key: mark}]
    if mark not in tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False, **kwargs):
        raise ConfigError(
            f"synthetic.teacher.thinking: keep: the chat template of {base_model} does not write `{key}` of an assistant's message, so the"
            " thoughts would not be trained on; name the key that it reads in `synthetic.thinking_key`, or add a template that has them"
            " (`chat_template: qwen3`) to the YAML, or write `thinking: drop`"
        )


def refuse_too_long(tokens: Sequence[int], sequence_len: int, strategy: str) -> None:
    """Warn of seeds' pairs that are longer than `sequence_len`.

    Raises:
        ConfigError: if more than half of them are, or Axolotl stops at the first.
    """
    over = sum(one > sequence_len for one in tokens)
    if not over:
        return
    text = (
        f"sequence_len: {sequence_len}: {over} of {len(tokens)} seeds' pairs are longer as the student reads them (the longest has"
        f" {number_of(max(tokens), 'token')}), and Axolotl {TOO_LONG.get(strategy, TOO_LONG['drop'])}; raise sequence_len"
    )
    if over > len(tokens) / 2 or strategy == "raise":
        raise ConfigError(text)
    terminal.notice(f"axolotl-synthetic: {text}")


def refuse_no_room(settings: Settings, context: int | None) -> None:
    """Check that `grade.max_new_tokens` fits the student's context, in tokens; None if its config does not state it.

    Raises:
        ConfigError: if no token is left for the question.
    """
    asked = settings.grade.max_new_tokens
    if asked is not None and context is not None and asked >= context:
        raise ConfigError(
            f"synthetic.grade.max_new_tokens: {asked}: the student's context is {context} tokens, question and reply together; choose at"
            f" most {context // 2}"
        )
