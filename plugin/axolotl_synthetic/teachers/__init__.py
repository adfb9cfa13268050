"""What a teacher is, and how one is opened from its settings. Each provider has a file of its own.

A teacher makes one call and says how it ended. It does not retry, does not count and does not remember: that is for
`pipelines/calls.py`, the same for every provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from axolotl_synthetic.config import DistilabelModel, EmbeddedModel, Generation, LiteLLMModel, OpenAIModel, VLLMModel
from axolotl_synthetic.config import ModelSettings as ModelSettings
from axolotl_synthetic.errors import CallFailed
from axolotl_synthetic.records import Message, Reply, Role

if TYPE_CHECKING:
    from axolotl_synthetic.teachers.batches import Batches


class Teacher(Protocol):
    """A model that can be asked: teacher, augmenter and student alike."""

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        """Ask once.

        Args:
            messages: the chat so far.
            generation: how to sample.
            sample: the sample's number, for servers that take a seed.

        Raises:
            RetryableCall: if the same call may succeed later.
            RefusedCall: if it never will.
            ServiceError: if no call to this model can succeed.
        """

    async def close(self) -> None:
        """Let go of connections. Called once, after the last call."""


@runtime_checkable
class SeveralAtOnce(Protocol):
    """A teacher that can bring several answers to one prompt with one call."""

    async def complete_several(self, messages: Sequence[Message], generation: Generation, number: int) -> list[Reply | CallFailed]:
        """Ask once for so many replies.

        Returns:
            At least one and at most so many, in the server's order; what each of no use failed with. Fewer where the server gives no more.

        Raises:
            The same as `Teacher.complete`, if the call brought nothing.
        """


def model_name(settings: ModelSettings) -> str:
    """The name under which the ledger and the samples know the model."""
    if isinstance(settings, DistilabelModel):
        named = settings.model or next(
            (settings.kwargs[key] for key in ("model", "model_id", "model_name") if key in settings.kwargs), None
        )
        return str(named or settings.llm)
    return settings.model


def serve(
    settings: ModelSettings, folder: Path = Path(), role: Role = "teacher", beside: Sequence[ModelSettings] = ()
) -> AbstractContextManager[ModelSettings]:
    """Start what a model needs beside the run, for as long as the context lasts.

    Args:
        settings: the model.
        folder: where servers that are started write their logs.
        role: whose model it is.
        beside: the models that were started before it, which have GPUs of their own.

    Returns:
        A context whose value is the settings to open teachers with: for the embedded model and vLLM, those of the servers just started.
        An OpenAI-compatible server's may come with `/v1` added to its address or taken from it.

    Raises:
        ServiceError: if the model cannot be used; the message says what to do.
    """
    if isinstance(settings, EmbeddedModel):
        from axolotl_synthetic.teachers import embedded

        return embedded.serve(settings)
    if isinstance(settings, VLLMModel):
        from axolotl_synthetic.teachers import vllm

        return vllm.serve(settings, folder, role, sum(map(vllm.gpus_of, beside)))
    if isinstance(settings, OpenAIModel):
        from axolotl_synthetic.teachers import openai

        return nullcontext(openai.check(settings, role))
    if isinstance(settings, LiteLLMModel):
        from axolotl_synthetic.teachers import litellm

        return nullcontext(litellm.check(settings))
    return nullcontext(settings)


def open_teacher(settings: ModelSettings) -> Teacher:
    """A teacher for the running event loop; `settings` are what `serve` gave.

    Raises:
        ConfigError: if the provider's class or its arguments are wrong.
        ServiceError: if the model cannot be used.
    """
    if isinstance(settings, DistilabelModel):
        from axolotl_synthetic.teachers import distilabel

        return distilabel.open_teacher(settings)
    if isinstance(settings, OpenAIModel):
        from axolotl_synthetic.teachers import endpoints, openai

        teachers = [openai.OpenAITeacher(one) for one in settings.endpoints]
        return teachers[0] if len(teachers) == 1 else endpoints.SpreadTeacher(teachers)
    if isinstance(settings, LiteLLMModel):
        from axolotl_synthetic.teachers import litellm

        return litellm.open_teacher(settings)
    raise TypeError(f"a model of the provider {settings.provider} is opened through `serve`")


def open_batches(settings: OpenAIModel) -> Batches:
    """The batches of a model that has `batch`, for the running event loop."""
    assert settings.batch is not None
    if settings.batch.protocol == "anthropic":
        from axolotl_synthetic.teachers import anthropic_batches

        return anthropic_batches.AnthropicBatches(settings)
    from axolotl_synthetic.teachers import openai_batches

    return openai_batches.OpenAIBatches(settings)
