"""The interface of a teacher, and the functions that open one from its settings; each provider has a file of its own.

A teacher makes one call and reports how it ended. It neither retries, counts nor stores: `pipelines/calls.py` does that, the same for every
provider.
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
    """A model that can be asked: teacher, augmenter or student."""

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        """Ask once.

        Args:
            messages: the chat so far.
            generation: how to sample.
            sample: the sample's number, for servers that take a seed.

        Raises:
            RetryableCall: if the same call may succeed later.
            RefusedCall: if the same call will never succeed.
            ServiceError: if no call to this model can succeed.
        """

    async def close(self) -> None:
        """Close connections; called once, after the last call."""


@runtime_checkable
class SeveralAtOnce(Protocol):
    """A teacher that can return several answers to one prompt with one call."""

    async def complete_several(self, messages: Sequence[Message], generation: Generation, number: int) -> list[Reply | CallFailed]:
        """Ask once for `number` replies.

        Returns:
            One to `number` outcomes in the server's order: a reply, or the failure of an unusable one. Fewer if the server returns fewer.

        Raises:
            The same as `Teacher.complete`, if the call returned nothing.
        """


def model_name(settings: ModelSettings) -> str:
    """Return the model's name in the ledger and the samples."""
    if isinstance(settings, DistilabelModel):
        named = settings.model or next(
            (settings.kwargs[key] for key in ("model", "model_id", "model_name") if key in settings.kwargs), None
        )
        return str(named or settings.llm)
    return settings.model


def serve(
    settings: ModelSettings, folder: Path = Path(), role: Role = "teacher", beside: Sequence[ModelSettings] = ()
) -> AbstractContextManager[ModelSettings]:
    """Start the servers that a model needs, for as long as the context lasts.

    Args:
        settings: the model.
        folder: where started servers write their logs.
        role: the model's role.
        beside: the models that were started before it, whose GPUs are taken.

    Returns:
        A context whose value is the settings to open teachers with: for the embedded model and vLLM, those of the started servers. An
        OpenAI-compatible server's address may have gained or lost `/v1`.

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
    """Return a teacher for the running event loop; `settings` come from `serve`.

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
    """Return the batch client of a model that has `batch`, for the running event loop."""
    assert settings.batch is not None
    if settings.batch.protocol == "anthropic":
        from axolotl_synthetic.teachers import anthropic_batches

        return anthropic_batches.AnthropicBatches(settings)
    from axolotl_synthetic.teachers import openai_batches

    return openai_batches.OpenAIBatches(settings)
