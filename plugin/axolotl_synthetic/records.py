"""What the stages hand on to one another: seeds, questions, calls and their replies, candidates, verdicts, decisions.

All are frozen. Nothing here reads a file or decides anything; how each is made stands in the stage that makes it.

A candidate and its question go from process to process and so have no slots: with them pickling takes three times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import orjson

from axolotl_synthetic.thoughts import divide, trainable

ANSWER_AUGMENTATION = "answer_augmentation"
QUESTION_REPHRASE = "question_rephrase"
NEW_QUESTION = "new_question"
STRATEGIES = (ANSWER_AUGMENTATION, QUESTION_REPHRASE, NEW_QUESTION)

Purpose = Literal["answer", "rephrase", "new_question", "self_check", "judge", "difficulty"]
PURPOSES: tuple[Purpose, ...] = ("answer", "rephrase", "new_question", "self_check", "judge", "difficulty")
Role = Literal["teacher", "augmenter", "student"]
Status = Literal["accepted", "rejected", "failed"]

Message = Mapping[str, str]
"""One turn of a chat: `role` (system, user or assistant) and `content`."""


# `User:` in a model's reply, where it quotes a transcript, would be taken for a turn that it invented (`turns.py`).
SPEAKERS: Mapping[str, str] = {"system": "System message", "user": "The user", "assistant": "The assistant"}


@dataclass(frozen=True)
class Question:
    """A question, with what has to stand beside it to be answered.

    `choices` and `labels` (of equal length) are for multiple choice. `context` is any text that the question is about; for text to
    SQL it is the schema of `database`, whose rows are in `database_file` (None: there are only generated ones). Where that file lies
    does not tell two questions apart. `decimal` is `comma` where the seeds write 16,5 and group thousands by points.

    A text to classify has the closed set as `labels`, without choices; `several` of them may fit. `meant` is the final answer that the
    text was written for, None where nobody knows.

    `turns` are what was said in a chat before the question, each its role and text, with the system message first if there is one.
    """

    text: str
    choices: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    context: str | None = None
    database: str | None = None
    database_file: str | None = field(default=None, compare=False)
    decimal: Literal["comma", "point"] | None = field(default=None, compare=False)
    several: bool = field(default=False, compare=False)
    meant: str | None = field(default=None, compare=False)
    turns: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        # Read back from JSON, which has no tuples.
        if not isinstance(self.turns, tuple) or not all(isinstance(turn, tuple) for turn in self.turns):
            object.__setattr__(self, "turns", tuple((role, text) for role, text in self.turns))

    @property
    def chat(self) -> tuple[Message, ...]:
        """Return what was said before, and the question, with the text that it is about, as the user's last turn."""
        last = f"{self.text}\n\n{self.context}" if self.context else self.text
        return (*({"role": role, "content": text} for role, text in self.turns), {"role": "user", "content": last})

    @property
    def transcript(self) -> str:
        """Return the chat as one text, for people and for judges."""
        return "\n\n".join(f"{SPEAKERS[turn['role']]}: {turn['content']}" for turn in self.chat)


@dataclass(frozen=True, slots=True)
class Seed:
    """One of the user's own questions. `answer` is None where the file has none; `id` depends on the content alone."""

    id: str
    question: Question
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model: what identifies it in the ledger.

    Attributes:
        purpose: what the call is for; the manifest counts calls by it.
        role: which of the models is asked.
        messages: the chat.
        sample: number of this sample among equal requests, from 0: a model that is asked the same thing twice at a
            temperature above 0 is asked for two samples.
        together: numbers of further samples that will be wanted for sure, which a call may bring as well.
    """

    purpose: Purpose
    role: Role
    messages: tuple[Message, ...]
    sample: int = 0
    together: Sequence[int] = field(default=(), compare=False, repr=False)


# How servers say that a model ended by itself: OpenAI, Mistral and vLLM (stop), Anthropic (end_turn, stop_sequence), Hugging Face's TGI
# (eos_token, stop_sequence), Together (eos), Cohere (complete), Gemini (STOP). A server that says nothing means the same.
WHOLE = {"", "none", "null", "stop", "end_turn", "eos", "eos_token", "stop_sequence", "stop_token", "stop_word", "stop_str"} | {
    *("endoftext", "end_of_text", "end_of_sequence", "complete", "completed", "finish", "finished", "normal", "done")
}
# … and that it came to a limit: OpenAI (length), Anthropic and Cohere (max_tokens), Gemini (MAX_TOKENS), Mistral (model_length).
CUT_OFF = {"length", "max_tokens", "max_length", "max_new_tokens", "max_output_tokens", "max_completion_tokens", "model_length"} | {
    *("token_limit", "length_limit", "context_length", "model_context_window_exceeded", "incomplete", "limit", "truncated")
}


def normalised(finish_reason: str) -> str:
    """Return a reason in one spelling: `FinishReason.MAX_TOKENS` and `FINISH_REASON_MAX_TOKENS` are Gemini's, by way of others."""
    return finish_reason.strip().lower().rpartition(".")[2].removeprefix("finish_reason_")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        raw: the content of the reply's message as it was received. Only the ledger reads it: `text` is what is said in it.
        finish_reason: why the model ended, in the server's words.
        prompt_tokens, completion_tokens: as they are billed, reasoning included; None when the server did not say.
        seconds: from sending the request to the reply's last byte.
        thinking: what the server gave apart from the content as the model's reasoning.
        reasoning_tokens: those of `completion_tokens` that are reasoning, None when the server did not say.
        cached_tokens, written_tokens: those of `prompt_tokens` that the server read from its cache or wrote to it, None when it did not
            say.
    """

    raw: str
    finish_reason: str = "stop"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    thinking: str = ""
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    written_tokens: int | None = None

    @property
    def text(self) -> str:
        """Return the answer alone: without thoughts, channels and special tokens; empty where there is none."""
        return divide(self.raw).answer

    @property
    def reasoned(self) -> bool:
        """Return whether the model thought before it answered, as far as one can see."""
        return bool(self.thinking or self.reasoning_tokens or divide(self.raw).thoughts)

    @property
    def thoughts(self) -> str:
        """Return what the model thought, apart from the content or in it, as a student may be trained on it; empty where it shows none."""
        found = trainable("\n".join(part for part in (self.thinking, divide(self.raw).thoughts) if part.strip()))
        return found.encode(errors="replace").decode()  # as the ledger keeps it, so that a rerun reads the same

    @property
    def answer_tokens(self) -> int | None:
        """Return the tokens of `text`: by the server's count without its reasoning, or by their share of the characters where it gives the
        reasoning and does not count it. No tokenizer makes more tokens than bytes, and one ends the turn: what is more was hidden."""
        if self.completion_tokens is None:
            return None
        answer, tokens = self.text, self.completion_tokens
        if self.reasoning_tokens:
            tokens -= self.reasoning_tokens
        elif thoughts := len(self.thinking) + len(divide(self.raw).thoughts):
            tokens = round(tokens * len(answer) / (len(answer) + thoughts))
        return max(1, min(tokens, len(answer.encode(errors="replace")) + 1))

    @property
    def whole(self) -> bool:
        """Return whether the model ended by itself."""
        return self.ended in WHOLE

    @property
    def cut_off(self) -> bool:
        """Return whether the model was stopped by a limit of tokens. A reply that is neither whole nor cut off was broken off."""
        return self.ended in CUT_OFF

    @property
    def ended(self) -> str:
        """Return the reason in one spelling."""
        return normalised(self.finish_reason)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says of one candidate. `passed` is None when the check did not apply; `broken` when it crashed."""

    name: str
    passed: bool | None
    detail: str = ""
    broken: bool = False


def passed(detail: str = "") -> Verdict:
    return Verdict("", True, detail)


def failed(detail: str) -> Verdict:
    return Verdict("", False, detail)


def not_applicable(detail: str) -> Verdict:
    return Verdict("", None, detail)


@dataclass(frozen=True, slots=True)
class Decision:
    """What people decided of a sample in review.

    Attributes:
        what: accept, edit or reject.
        who: the people whose verdict it is, by their names in Argilla.
        when: the last of them said so, in UTC (ISO 8601).
        before, after: fields of the sample that it changed; with `before` the sample can be had back as it was.
    """

    what: Literal["accept", "edit", "reject"]
    who: tuple[str, ...]
    when: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """One planned sample, from the moment its number is drawn to the verdict.

    Attributes:
        number: place in the run, from 0; it alone decides which samples are in, never the order in which replies arrive.
        id: stable over reruns: strategy, seed and round.
        question: what the student is asked; the seed's own until a strategy has written another.
        prompt: `question` as the student reads it, choices and context included.
        answer: the teacher's reply, None while (or when) there is none.
        answer_cut_off: the teacher stopped at its token limit, not by itself.
        answer_tokens: the teacher's own count of the answer's tokens, its reasoning left out; None when it did not say.
        thinking: what the teacher thought before the answer, for the training file alone; None where it is not kept.
        final_answer: what the task read out of `answer`, None when there was none to read.
        self_check: the augmenter's reply about its own question, None when it was not asked.
        votes: what several answers to the question end in, None for each that marks no final answer; empty when none were asked for.
        judgement: the judge's reply, None when it was not asked.
        attempt: the student's reply to the question, None when it was not asked; empty where it was cut off.
        status, reason: `accepted`; `rejected` and the name of the check that did it; or `failed` and what went wrong.
        requests: ids in the ledger of the calls that made it.
        tokens: prompt and completion tokens of those calls together.
    """

    number: int
    id: str
    strategy: str
    seed_id: str
    question: Question | None = None
    prompt: str | None = None
    answer: str | None = None
    answer_cut_off: bool = False
    answer_tokens: int | None = None
    thinking: str | None = None
    final_answer: str | None = None
    self_check: str | None = None
    votes: tuple[str | None, ...] = ()
    judgement: str | None = None
    attempt: str | None = None
    status: Status | None = None
    reason: str | None = None
    checks: tuple[Verdict, ...] = ()
    requests: tuple[int, ...] = ()
    tokens: int = 0
    teacher: str | None = None
    augmenter: str | None = None
    decision: Decision | None = None

    def fail(self, reason: str) -> Candidate:
        return replace(self, status="failed", reason=reason)


def judged(candidate: Candidate, verdicts: Sequence[Verdict]) -> Candidate:
    """The candidate with its verdicts: the first that failed is the reason for its rejection."""
    against = next((verdict for verdict in verdicts if verdict.passed is False), None)
    if against is None:
        return replace(candidate, checks=tuple(verdicts), status="accepted", reason=None)
    if against.broken:
        return replace(candidate, checks=tuple(verdicts), status="failed", reason=f"check broken: {against.name}: {against.detail}")
    return replace(candidate, checks=tuple(verdicts), status="rejected", reason=against.name)


def to_sample(candidate: Candidate) -> dict[str, Any]:
    """A row of `samples.jsonl`, in the contract's words and order; `thinking` is there where it is kept, `messages` where there are turns
    before the question."""
    return {
        "id": candidate.id,
        "strategy": candidate.strategy,
        "seed_id": candidate.seed_id,
        "question": candidate.prompt,
        **({} if candidate.question is None or not candidate.question.turns else {"messages": list(candidate.question.chat)}),
        "answer": candidate.answer,
        **({} if candidate.thinking is None else {"thinking": candidate.thinking}),
        "final_answer": candidate.final_answer,
        "status": candidate.status,
        "reason": candidate.reason,
        "checks": [{"name": v.name, "passed": v.passed, "detail": v.detail} for v in candidate.checks],
        "requests": list(candidate.requests),
        "teacher": candidate.teacher,
        "augmenter": candidate.augmenter,
        "decision": None if candidate.decision is None else asdict(candidate.decision),
    }


def to_json(row: Mapping[str, Any]) -> str:
    """One line of a `.jsonl` file of ours: UTF-8, no spaces to spare, keys in the order given."""
    return orjson.dumps(row).decode()
