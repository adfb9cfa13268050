"""The part that the three strategies share as distilabel Tasks (`strategy_steps.py`): a batch of rows in, their samples out.

`strategies/` defines a strategy's requests, `rounds.py` makes the calls of a batch, and `columns.py` defines the columns. distilabel reads
annotations at run time, so they are not postponed in this file.
"""

import json
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from distilabel.constants import DISTILABEL_METADATA_KEY
from distilabel.errors import DistilabelUserError
from distilabel.mixins.runtime_parameters import RuntimeParameter
from distilabel.models.llms.base import LLM
from distilabel.steps import StepInput
from distilabel.steps.tasks import Task
from distilabel.utils.dicts import group_dicts
from pydantic import Field, NonNegativeInt, PrivateAttr

from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.errors import CallFailed
from axolotl_synthetic.pipelines.columns import SAMPLE_COLUMNS, read_seed, read_seeds, refuse_overwriting, sample_columns, seed_columns
from axolotl_synthetic.pipelines.rounds import Chain, Models, ask, run_chains
from axolotl_synthetic.records import (
    Candidate,
    Purpose,
    Reply,
    Request,
    Seed,
    judged,
)
from axolotl_synthetic.seeds import UnusableRow
from axolotl_synthetic.strategies import Examples, Source, load_strategies
from axolotl_synthetic.tasks import load_task

Rows = list[dict[str, Any]]


@dataclass
class _Sample:
    """One sample of a row: its candidate, and its requests with their replies."""

    row: dict[str, Any]
    round: int
    seed: Seed | None
    candidate: Candidate
    heard: list[tuple[Request, Reply]] = field(default_factory=list)


class StrategyTask(Task):  # type: ignore[misc]  # distilabel is not typed
    """Task that makes a strategy's samples for every row; subclasses name the strategy."""

    task: str = "math"
    examples: Rows = Field(default_factory=list)
    databases: str | None = None
    decimal: Literal["comma", "point"] | None = None
    round: RuntimeParameter[NonNegativeInt] = Field(default=0, description="The number of samples that each row has had before.")

    purposes: ClassVar[tuple[Purpose, ...]]
    """Purposes of the strategy's calls, in their order."""

    _kind: Any = PrivateAttr(None)
    _examples: Any = PrivateAttr(None)
    _models: Any = PrivateAttr(None)

    @property
    @abstractmethod
    def strategy(self) -> str:
        """Return the strategy's name."""

    @property
    def inputs(self) -> dict[str, bool]:
        return seed_columns(load_task(self.task))

    @property
    def outputs(self) -> list[str]:
        return [*SAMPLE_COLUMNS, "candidate", "model_name"]

    def model_post_init(self, __context: Any) -> None:
        # Report bad arguments where the step is made, not later in its process.
        read_seeds("examples", self.examples, load_task(self.task), self.databases, self.decimal)
        if self._augmenter is not None and self._augmenter.use_offline_batch_generation:
            raise DistilabelUserError(f"`{type(self).__name__}` asks in rounds, which offline batch generation cannot do")
        refuse_overwriting(self)
        super().model_post_init(__context)

    def load(self) -> None:
        super().load()
        if self._augmenter is not None:
            self._augmenter.load()
        self._kind = load_task(self.task)
        self._examples = Examples(read_seeds("examples", self.examples, self._kind, self.databases, self.decimal))
        self._models = Models(self.llm, self._augmenter)

    def unload(self) -> None:
        super().unload()
        if self._augmenter is not None:
            self._augmenter.unload()

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:
        """Return the first chat sent for a row; the step must be loaded."""
        chain = self._chain(self._sample(input, self.round))
        request: Request = chain.send(None)  # type: ignore[arg-type]
        chain.close()
        return [dict(message) for message in request.messages]

    def format_output(self, output: str | None, input: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a raw reply's text without thoughts; in `process` the strategy reads its replies itself."""
        return {"generation": "" if output is None else Reply(output).text.strip()}

    def process(self, inputs: StepInput) -> Iterator[Rows]:
        """Yield the samples of all rows: sample 1 of every row, then sample 2 of every row, and so on."""
        # With this order distilabel 1.5.3 restores the columns that input_mappings had covered to the right rows.
        samples = [self._sample(row, self.round + number) for number in range(self.num_generations) for row in inputs]
        started = [sample for sample in samples if sample.candidate.status is None]
        ended = run_chains([self._chain(sample) for sample in started], self._models.answer)
        for sample, candidate in zip(started, ended, strict=True):
            sample.candidate = self._ended(sample, candidate)
        if failed := [sample.candidate for sample in samples if sample.candidate.status == "failed"]:
            self._logger.warning(f"{len(failed)} of {len(samples)} samples failed, the first with: {failed[0].reason}")
        if rejected := [sample.candidate for sample in samples if sample.candidate.status == "rejected"]:
            self._logger.info(f"{len(rejected)} of {len(samples)} samples were rejected, the first: {rejected[0].reason}")
        made = [self._columns(sample) for sample in samples]
        if self.group_generations:
            yield [{**row, **group_dicts(*made[place :: len(inputs)]), **self._model_names()} for place, row in enumerate(inputs)]
        else:
            yield [{**sample.row, **columns, **self._model_names()} for sample, columns in zip(samples, made, strict=True)]

    @property
    def _augmenter(self) -> LLM | None:
        return getattr(self, "augmenter", None)

    @property
    def _reuses_answers(self) -> bool:
        return getattr(self, "reuse_seed_answers", False)

    def _model_names(self) -> dict[str, str]:
        return {"model_name": self.llm.model_name}

    def _sample(self, row: dict[str, Any], round: int) -> _Sample:
        try:
            seed = read_seed(row, self._kind, self.databases, self.decimal)
        except Exception as error:  # one bad row, or a user's class that fails on it, must not affect others
            said = str(error) if isinstance(error, UnusableRow) else f"{type(error).__name__}: {error}"
            return _Sample(row, round, None, Candidate(0, "", self.strategy, "").fail(f"unusable row: {said}"))
        return _Sample(row, round, seed, Candidate(0, f"{self.strategy}-{seed.id}-{round}", self.strategy, seed.id))

    def _chain(self, sample: _Sample) -> Chain:
        async def listening(request: Request) -> Reply:
            try:
                reply = await ask(request)
            except CallFailed as failed:
                if failed.reply is not None:
                    sample.heard.append((request, failed.reply))
                raise
            sample.heard.append((request, reply))
            return reply

        if sample.seed is None:
            raise ValueError(sample.candidate.reason)
        source = Source(sample.seed, self._examples.beside(sample.seed), sample.round, self._reuses_answers)
        chain: Any = load_strategies()[self.strategy](sample.candidate, source, self._kind, listening)
        return chain  # type: ignore[no-any-return]  # `async def` returns a coroutine; `Awaitable` is wider

    def _ended(self, sample: _Sample, ended: Candidate | Exception) -> Candidate:
        """Return the candidate with its final answer, or failed or rejected with the reason, if there is nothing to train on."""
        if isinstance(ended, Exception):
            return sample.candidate.fail(str(ended) if isinstance(ended, CallFailed) else f"{type(ended).__name__}: {ended}")
        if ended.status is not None:
            return ended
        if ended.answer_cut_off:
            # A pipeline without Verify would train on it: distilabel's default limit is 128 tokens.
            return ended.fail("the answer was cut off at the limit of its tokens; raise max_new_tokens in the LLM's generation_kwargs")
        assert ended.question is not None and sample.seed is not None
        try:
            if ended.answer:
                return replace(ended, final_answer=self._kind.final_answer(ended.answer, ended.question))
            verdict = load_checks(["self_check"], self._kind, {})[0](ended, sample.seed)
            return replace(judged(ended, [verdict]), reason=f"self_check: {verdict.detail}")
        except Exception as error:  # a user's class may raise anything on this answer
            return ended.fail(f"task broken: {type(error).__name__}: {error}")

    def _columns(self, sample: _Sample) -> dict[str, Any]:
        question = sample.row.get("question")
        columns = sample_columns(sample.candidate, self._kind, sample.round, question if isinstance(question, str) else "")
        kept: dict[str, dict[str, Any]] = {
            f"statistics_{self.name}": {
                "input_tokens": sum(reply.prompt_tokens or 0 for _, reply in sample.heard),
                "output_tokens": sum(reply.completion_tokens or 0 for _, reply in sample.heard),
            }
        }
        texts: dict[str, str] = dict.fromkeys(self.purposes, "")
        if self.add_raw_input:
            chats = {request.purpose: json.dumps(request.messages, ensure_ascii=False) for request, _ in sample.heard}
            kept[f"raw_input_{self.name}"] = texts | chats
        if self.add_raw_output:
            kept[f"raw_output_{self.name}"] = texts | {request.purpose: _storable(reply.raw) for request, reply in sample.heard}
        return columns | {DISTILABEL_METADATA_KEY: {**(sample.row.get(DISTILABEL_METADATA_KEY) or {}), **kept}}


class AugmenterTask(StrategyTask):
    """Strategy task whose questions another LLM may write."""

    augmenter: LLM | None = None

    @property
    def outputs(self) -> list[str]:
        return [*super().outputs, "augmenter_name"]

    def _model_names(self) -> dict[str, str]:
        return {**super()._model_names(), "augmenter_name": (self.augmenter or self.llm).model_name}


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode()
