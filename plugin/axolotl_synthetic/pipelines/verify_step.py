"""The checks as a distilabel Step, for a user's own pipeline. `checks/` defines the checks, `judging.py` their order.

distilabel reads annotations at run time, so they are not postponed in this file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from distilabel.errors import DistilabelUserError
from distilabel.models.llms.base import LLM
from distilabel.steps import Step, StepInput
from pydantic import Field, PrivateAttr

from axolotl_synthetic.checks import Inquiry, load_checks, load_inquiries
from axolotl_synthetic.errors import CallFailed
from axolotl_synthetic.pipelines.columns import chat, check_columns, read_candidate, read_seed, read_seeds, refuse_overwriting, seed_columns
from axolotl_synthetic.pipelines.judging import Judging
from axolotl_synthetic.pipelines.rounds import Answered, Chain, Models, ask, run_chains
from axolotl_synthetic.records import Candidate, Reply, Request, Seed, failed
from axolotl_synthetic.seeds import UnusableRow
from axolotl_synthetic.strategies import Examples, Source, load_strategies
from axolotl_synthetic.tasks import load_task

Rows = list[dict[str, Any]]
_OURS = ("instruction", "strategy", "seed_id", "sample_id", "candidate", "status", "reason", "checks")


class Verify(Step):  # type: ignore[misc]  # distilabel is not typed
    """Judge samples: accepted, rejected or failed, with the verdict of every check.

    It judges the samples of `AnswerAugmentation`, `QuestionRephrase` and `NewQuestion`, and those of any other step, such as a row of
    `TextGeneration` that answers the column `question` and still has it. Every row is passed on, because an empty last batch would hang
    distilabel 1.5.3: `status` tells rows apart, and `WriteAxolotl` writes the accepted ones. A row that is already rejected or failed, by
    an earlier `Verify` for example, stays as it is and costs no call. So checks that ask an LLM can come in a second `Verify`.

    Attributes:
        task: that of the step which made the samples: `math`, `multiple_choice`, `text_to_sql`, `instruction`, or the dotted path of a
            class. Defaults to `math`.
        checks: names of checks, or mappings such as `{"length": {"at_most": 512}}` for those with options. They run in a fixed order; the
            first that fails is the row's reason. `self_check` reads the judgement that `NewQuestion` asked for; only `self_consistency`,
            `judge` and `difficulty` ask an LLM. Defaults to `None`, all free checks that fit the task: `self_check`,
            `rephrase_fidelity`, `format`, `execution`, `final_answer`, `decontamination`, `duplicate`. There are also
            `self_consistency`, `difficulty`, `judge`, `near_duplicate`, `style`, `length` and `diversity`.
        llm: the teacher, which `self_consistency` and `judge` ask. Defaults to `None`; they need it.
        augmenter: the LLM that judges with `{"judge": {"by": "augmenter"}}`. Defaults to `None`, the teacher.
        student: the LLM that `difficulty` asks new questions, best at a temperature of 0. Defaults to `None`; it needs it.
        examples: for `self_consistency`: the worked examples that the answers were made with. Defaults to none.
        seeds: rows to compare samples with: `near_duplicate` with their questions; with `include_seeds`, `duplicate` with their pairs.
            Defaults to none.
        include_seeds: whether the pairs of `seeds` are trained on too. Defaults to `False`.
        held_out: for `decontamination`: rows that a student will be graded on. Defaults to none.
        databases: as in `AnswerAugmentation`.
        decimal: as in `AnswerAugmentation`.

    Input columns:
        - question (`str`): the seed's question, as in the step that made the samples.
        - generation (`str`): the answer to judge.
        - answer (`str`, optional): the seed's answer; without one `final_answer` does not apply.
        - choices (`List[str]`, optional): multiple choice: the choices, required there.
        - labels (`List[str]`, optional): multiple choice: their labels.
        - database (`str`, optional): text to SQL: the database's name, required there.
        - context (`str`, optional): instruction: a text that the question is about.
        - text (`str`, optional): classification: the text, in the place of `question`; its closed set is in `labels`.
        - label (`str`, optional): classification: its label, or a list of several.
        - messages (`List[Dict[str, str]]`, optional): chat: the turns, in the place of `question`; map `messages` of the outputs to a name.
        - system (`str`, optional): instruction and chat: a system message, in chats one that is not among the turns.
        - instruction (`str`, optional): the question that `generation` answers. The seed's, if left out.
        - strategy (`str`, optional): `answer_augmentation` (if left out), `question_rephrase` or `new_question`: it decides which checks
            apply.
        - seed_id (`str`, optional): the seed's id; it reveals a row whose `question` or `answer` was changed, which then fails.
        - sample_id (`str`, optional): the sample's id.
        - candidate (`str`, optional): how one of our steps made the sample.
        - status (`str`, optional): a `rejected` or `failed` row is not judged again.
        - reason (`str`, optional): why it was rejected or failed.
        - checks (`List[Dict[str, Any]]`, optional): the verdicts of an earlier `Verify`, which are kept.

    Output columns:
        - instruction (`str`): the question as a student reads it.
        - final_answer (`str`): the final answer in a normal form; empty where the answer marks none.
        - strategy (`str`): the strategy's name.
        - seed_id (`str`): the seed's id.
        - sample_id (`str`): the sample's id.
        - status (`str`): `accepted`; `rejected` by a check; or `failed`, where the row could not be judged.
        - reason (`str`): the name of the check that rejected it, or what failed; empty where it was accepted.
        - checks (`List[Dict[str, Any]]`): for each check its `name`, whether it `passed` (false only where it fails), whether it
            `applies`, and the `detail`.
        - messages (`List[Dict[str, str]]`): the chat to train on; without the assistant's turn unless the row was accepted.

    Note:
        `duplicate`, `near_duplicate` and `diversity` compare a row with the accepted rows that this step has seen, so the step cannot have
        replicas with them. That memory ends with the step's process: a stopped pipeline that resumes from distilabel's cache compares only
        with later rows, so start it with `use_cache=False` instead.

    Categories:
        - filtering

    Examples:
        Judge answers of another step by the known answers:

        ```python
        from axolotl_synthetic.steps import Verify
        from distilabel.models import OpenAILLM
        from distilabel.pipeline import Pipeline
        from distilabel.steps import LoadDataFromDicts
        from distilabel.steps.tasks import TextGeneration

        with Pipeline() as pipeline:
            questions = LoadDataFromDicts(data=[{"question": "6 jars with 10 cards each. How many cards?", "answer": "60"}])
            answers = TextGeneration(llm=OpenAILLM(model="gpt-4o-mini"), input_mappings={"instruction": "question"})
            questions >> answers >> Verify(checks=["final_answer", "duplicate"])

        if __name__ == "__main__":
            rows = pipeline.run(use_cache=False)["default"]["train"]
            accepted = rows.filter(lambda row: row["status"] == "accepted")
        ```
    """

    task: str = "math"
    checks: list[str | dict[str, dict[str, Any]]] | None = None
    llm: LLM | None = None
    augmenter: LLM | None = None
    student: LLM | None = None
    examples: Rows = Field(default_factory=list)
    seeds: Rows = Field(default_factory=list)
    include_seeds: bool = False
    held_out: Rows = Field(default_factory=list)
    databases: str | None = None
    decimal: Literal["comma", "point"] | None = None

    _tools: Any = PrivateAttr(None)
    _models: Any = PrivateAttr(None)
    _ends: Any = PrivateAttr(default_factory=Counter)

    @property
    def inputs(self) -> dict[str, bool]:
        return {**seed_columns(load_task(self.task)), "generation": True, **dict.fromkeys(_OURS, False)}

    @property
    def outputs(self) -> list[str]:
        return ["instruction", "final_answer", "strategy", "seed_id", "sample_id", "status", "reason", "checks", "messages"]

    def model_post_init(self, __context: Any) -> None:
        # Report bad arguments where the step is made, not later in its process.
        tools = self._make_tools()
        if tools.inquiries and self.llm is None:
            raise DistilabelUserError(f"{', '.join(one.name for one in tools.inquiries)} asks an LLM; give Verify an `llm`")
        if self.student is None and any(one.purpose == "difficulty" for one in tools.inquiries):
            raise DistilabelUserError("difficulty asks the student; give Verify a `student`")
        if any(llm.use_offline_batch_generation for llm in self._llms):
            raise DistilabelUserError("`Verify` asks in rounds, which offline batch generation cannot do")
        refuse_overwriting(self)
        super().model_post_init(__context)

    def load(self) -> None:
        super().load()
        for llm in self._llms:
            llm.load()
        self._tools = self._make_tools()
        if self._tools.in_order and self.resources.replicas > 1:
            names = ", ".join(self._tools.in_order)
            raise DistilabelUserError(f"{names} compares rows with those before, which replicas do not share; take one replica")
        self._models = None if self.llm is None else Models(self.llm, self.augmenter, self.student)

    def unload(self) -> None:
        self._logger.info(f"{self.name}: {', '.join(f'{number} {status}' for status, number in self._ends.most_common()) or 'no rows'}")
        super().unload()
        for llm in self._llms:
            llm.unload()

    def process(self, inputs: StepInput) -> Iterator[Rows]:
        """Yield every row with its verdict."""
        # Not `*inputs`: distilabel 1.5.3 hangs where two steps lead into one and their rows fill different numbers of batches.
        judged = [self._read(row) for row in inputs]
        self._inquire([one for one in judged if one.candidate.status is None and self._tools.inquiries])
        for one in judged:
            if one.candidate.status is None and one.seed is not None:
                try:
                    one.candidate = self._tools.judging.judge(one.candidate, one.seed)
                except Exception as error:  # distilabel 1.5.3 would fill the whole batch with None
                    one.candidate = one.candidate.fail(f"verification broke: {type(error).__name__}: {error}")
        self._ends.update(one.candidate.status or "failed" for one in judged)
        yield [_columns(one) for one in judged]

    @property
    def _llms(self) -> list[LLM]:
        return [llm for llm in (self.llm, self.augmenter, self.student) if llm is not None]

    def _make_tools(self) -> "_Tools":
        task = load_task(self.task)

        def rows(name: str) -> tuple[Seed, ...]:
            return read_seeds(name, getattr(self, name), task, self.databases, self.decimal)

        if self.checks == []:
            raise DistilabelUserError("checks: names no check; name some, or leave it out for the defaults")
        keeps_answer = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
        beside = (rows("seeds"), rows("held_out"))
        checks = load_checks(self.checks, task, keeps_answer, seeds=beside[0], held_out=beside[1], include_seeds=self.include_seeds)
        in_order = tuple(check.name for check in checks if check.in_order)
        return _Tools(task, Examples(rows("examples")), load_inquiries(self.checks, task), Judging(task, checks), in_order)

    def _read(self, row: dict[str, Any]) -> "_Judged":
        blank = Candidate(0, str(row.get("sample_id") or ""), str(row.get("strategy") or ""), str(row.get("seed_id") or ""))
        if row.get("status") in ("rejected", "failed"):
            return _Judged(row, None, replace(blank, status=row["status"], reason=str(row.get("reason") or "")))
        try:
            seed = read_seed(row, self._tools.task, self.databases, self.decimal)
            candidate, round = read_candidate(row, seed, self._tools.task)
        except Exception as error:  # one bad row, or a user's class that fails on it, must not affect others
            said = str(error) if isinstance(error, UnusableRow) else f"{type(error).__name__}: {error}"
            return _Judged(row, None, blank.fail(f"unusable row: {said}"))
        return _Judged(row, seed, candidate, round)

    def _inquire(self, judged: list["_Judged"]) -> None:
        """Ask an LLM the requests of the checks. Answers to one question vote on one another, and are asked for once."""
        known: dict[str, Reply] = {}
        chains: list[Chain] = []
        for one in judged:
            assert one.seed is not None and one.candidate.question is not None
            source = Source(one.seed, self._tools.examples.beside(one.seed), one.round, shown=self._tools.examples.shown)
            messages = self._tools.task.answer_messages(one.candidate.question, source.worked)
            own = Request("answer", "teacher", messages, one.round)
            known[repr(own)] = Reply(one.candidate.answer or "")
            chains.append(self._chain(one.candidate, source, own))

        def answer(requests: Sequence[Request]) -> list[Answered]:
            asked = {repr(request): request for request in requests if repr(request) not in known}
            answered = dict(zip(asked, self._models.answer(list(asked.values())), strict=True))
            known.update({key: reply for key, reply in answered.items() if isinstance(reply, Reply)})
            return [known.get(repr(request)) or answered[repr(request)] for request in requests]

        for one, ended in zip(judged, run_chains(chains, answer), strict=True):
            if isinstance(ended, Candidate):
                one.candidate = ended
            else:
                one.candidate = one.candidate.fail(str(ended) if isinstance(ended, CallFailed) else f"{type(ended).__name__}: {ended}")

    async def _chain(self, candidate: Candidate, source: Source, own: Request) -> Candidate:
        answer = Reply(candidate.answer or "")

        async def asking(request: Request) -> Reply:
            return answer if request == own else await ask(request)

        for inquiry in self._tools.inquiries:
            if candidate.status is None and not inquiry.is_vain(candidate, source.seed, self._tools.task):
                candidate = await inquiry(candidate, source, self._tools.task, asking)
        return candidate


@dataclass(frozen=True)
class _Tools:
    """Checks and models of a step, made from its arguments."""

    task: Any
    examples: Examples
    inquiries: tuple[Inquiry, ...]
    judging: Judging
    in_order: tuple[str, ...]


@dataclass
class _Judged:
    """One row with its candidate, and its seed, which is None if the row cannot be judged."""

    row: dict[str, Any]
    seed: Seed | None
    candidate: Candidate
    round: int = 0


def _columns(one: _Judged) -> dict[str, Any]:
    row, candidate = one.row, one.candidate
    status, reason = candidate.status or "failed", candidate.reason or ""
    verdicts = candidate.checks
    if status == "failed" and not verdicts:
        verdicts = (replace(failed(reason), name="sample"),)
    elif one.seed is None and not row.get("checks"):
        # The strategies' steps have no column for verdicts; they put the detail behind the check's name.
        reason, _, detail = reason.partition(": ")
        verdicts = (replace(failed(detail), name=reason),)
    instruction = candidate.prompt or _text(row, "instruction")
    return {
        **row,
        "instruction": instruction,
        "final_answer": candidate.final_answer or _text(row, "final_answer"),
        "strategy": candidate.strategy,
        "seed_id": candidate.seed_id,
        "sample_id": candidate.id,
        "status": status,
        "reason": reason,
        "checks": [*(row.get("checks") or []), *check_columns(verdicts)],
        "messages": chat(candidate, instruction or _text(row, "question"), candidate.answer if status == "accepted" else None),
    }


def _text(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    return value if isinstance(value, str) else ""
