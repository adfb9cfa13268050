"""Check of the answer's length in tokens: long enough to learn from, and short enough not to be cut off in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.config import Block, PathText
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, not_applicable, passed
from axolotl_synthetic.wording import number_of

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


class Options(Block):
    """Bounds in tokens, both included."""

    at_least: int = Field(default=1, ge=1)
    """The shortest answer."""
    # The paper trains with sequences of 1,536 tokens (arXiv 2409.19759, settings).
    at_most: int = Field(default=1536, ge=1)
    """The longest answer."""
    tokenizer: PathText | None = None
    """Whose tokens: a folder with a `tokenizer.json`, such a file, or a model's name on the Hub; null: the teacher's own count."""

    @model_validator(mode="after")
    def validate_bounds(self) -> Options:
        if self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least}) is above at_most ({self.at_most}); swap them or drop one")
        return self


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """Return the check's judge.

    Raises:
        ConfigError: if there is no such tokenizer.
    """
    chosen = options or Options()
    count = None if chosen.tokenizer is None else _tokenizer(chosen.tokenizer)

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if candidate.answer is None:
            return failed("there is no answer")
        tokens = candidate.answer_tokens if count is None else count(candidate.answer)
        if tokens is None:
            return not_applicable("the teacher counted no tokens; name a tokenizer in verify.length.tokenizer")
        if tokens < chosen.at_least:
            return failed(f"{number_of(tokens, 'token')}, fewer than {chosen.at_least}", tokens=tokens)
        if tokens > chosen.at_most:
            return failed(f"{number_of(tokens, 'token')}, more than {chosen.at_most}", tokens=tokens)
        return passed(number_of(tokens, "token"), tokens=tokens)

    return judge


def _tokenizer(name: str) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    file = Path(name).expanduser()
    if file.is_dir():
        file = file / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(name)
    except Exception as error:  # the library raises bare Exceptions
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        path = f"synthetic.verify.length.tokenizer: {name!r}"
        raise ConfigError(f"{path} cannot be loaded: {said}; give a folder with a tokenizer.json, or a name on the Hub") from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
