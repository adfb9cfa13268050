"""The model to grade: the base model, a LoRA adapter on it, or full weights. Reads file names only; loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axolotl_synthetic.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ModelArgs:
    """A model for lm-eval's `hf`.

    Attributes:
        base: a folder or a Hub name, as Axolotl's `base_model`.
        adapter: a folder with a LoRA adapter for the base.
        tokenizer: a folder with the tokenizer and chat template that the model was trained with; None: the base's.
        dtype: as lm-eval's `dtype`; None: float32 on a CPU, else the saved weights' type.
        trust_remote_code: as Axolotl's.
        thinking: whether it thinks before it answers, if its chat template can turn that on or off.
    """

    base: str
    adapter: str | None = None
    tokenizer: str | None = None
    dtype: str | None = None
    trust_remote_code: bool = False
    thinking: bool = False

    @property
    def name(self) -> str:
        return self.adapter or self.base


def student_in(folder: Path, *, base: str, dtype: str | None = None, trust_remote_code: bool = False, thinking: bool = False) -> ModelArgs:
    """Return the model that Axolotl saved in its `output_dir`.

    Args:
        folder: Axolotl's `output_dir`.
        base: Axolotl's `base_model`, which a LoRA adapter needs.
        dtype, trust_remote_code, thinking: as in `ModelArgs`.

    Raises:
        ConfigError: if there is no trained model in it.
    """
    tokenizer = str(folder) if (folder / "tokenizer_config.json").is_file() else None
    # Axolotl also writes a config.json beside an adapter, so check for the adapter first.
    if (folder / "adapter_config.json").is_file():
        return ModelArgs(base, str(folder), tokenizer, dtype, trust_remote_code, thinking)
    if (folder / "config.json").is_file():
        return ModelArgs(str(folder), None, None, dtype, trust_remote_code, thinking)
    found = "no such folder" if not folder.exists() else "neither adapter_config.json nor config.json is there"
    raise ConfigError(f"{folder}: holds no trained model ({found}); run `axolotl train` first, or correct output_dir")
