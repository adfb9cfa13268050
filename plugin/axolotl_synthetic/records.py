"""Records that the stages pass on: seeds, questions, calls and their replies, candidates, verdicts, decisions.

All are frozen. Nothing here reads a file or decides anything; each record's stage defines how it is made. Candidates and questions have
no slots because they are pickled between processes, and slots would make that take three times as long.
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


# Not `User:`, which would be taken for an invented turn if a model's reply quotes a transcript (`turns.py`).
SPEAKERS: Mapping[str, str] = {"system": "System message", "user": "The user", "assistant": "The assistant"}


@dataclass(frozen=True)
class Question:
    """A question with everything that is needed to answer it.

    `choices` and `labels` (of equal length) are for multiple choice. `context` is any text that the question is about; for text to SQL it
    is the schema of `database`. `database_file` holds that database's rows (None: generated rows only); its path does not distinguish
    questions. `decimal` is `comma` where the seeds write 16,5 and group thousands by points.

    A text to classify has the closed set as `labels`, without choices; with `several` more than one may fit. `meant` is the final answer
    that the text was written for, None where it is unknown.

    `turns` are the chat before the question, each a role and a text, with the system message first if there is one.
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
        # JSON has no tuples, so a question read from it has lists.
        if not isinstance(self.turns, tuple) or not all(isinstance(turn, tuple) for turn in self.turns):
            object.__setattr__(self, "turns", tuple((role, text) for role, text in self.turns))

    @property
    def chat(self) -> tuple[Message, ...]:
        """Return the earlier turns and, as the user's last turn, the question with the text that it is about."""
        last = f"{self.text}\n\n{self.context}" if self.context else self.text
        return (*({"role": role, "content": text} for role, text in self.turns), {"role": "user", "content": last})

    @property
    def transcript(self) -> str:
        """Return the chat as one text for people and judges."""
        return "\n\n".join(f"{SPEAKERS[turn['role']]}: {turn['content']}" for turn in self.chat)


@dataclass(frozen=True, slots=True)
class Seed:
    """One of the user's own questions. `answer` is None where the file has none; `id` depends only on the content."""

    id: str
    question: Question
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one model, with what identifies it in the ledger.

    Attributes:
        purpose: the call's purpose; the manifest counts calls by it.
        role: the model that is asked.
        messages: the chat.
        sample: number of this sample among equal requests, from 0: the same request twice at a temperature above 0 asks for two
            samples.
        together: numbers of further samples that are surely needed, which a call may bring as well.
    """

    purpose: Purpose
    role: Role
    messages: tuple[Message, ...]
    sample: int = 0
    together: Sequence[int] = field(default=(), compare=False, repr=False)


# Finish reasons of models that ended by themselves: OpenAI, Mistral and vLLM (stop), Anthropic (end_turn, stop_sequence), Hugging Face's
# TGI (eos_token, stop_sequence), Together (eos), Cohere (complete), Gemini (STOP). A missing reason counts as one.
WHOLE = {"", "none", "null", "stop", "end_turn", "eos", "eos_token", "stop_sequence", "stop_token", "stop_word", "stop_str"} | {
    *("endoftext", "end_of_text", "end_of_sequence", "complete", "completed", "finish", "finished", "normal", "done")
}
# Finish reasons at a limit: OpenAI (length), Anthropic and Cohere (max_tokens), Gemini (MAX_TOKENS), Mistral (model_length).
CUT_OFF = {"length", "max_tokens", "max_length", "max_new_tokens", "max_output_tokens", "max_completion_tokens", "model_length"} | {
    *("token_limit", "length_limit", "context_length", "model_context_window_exceeded", "incomplete", "limit", "truncated")
}


def normalised(finish_reason: str) -> str:
    """Return a finish reason in one spelling; proxies pass on Gemini's as `FinishReason.MAX_TOKENS` and `FINISH_REASON_MAX_TOKENS`."""
    return finish_reason.strip().lower().rpartition(".")[2].removeprefix("finish_reason_")


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply.

    Attributes:
        raw: the message's content as received. Only the ledger reads it; `text` is the answer in it.
        finish_reason: why the model ended, in the server's words.
        prompt_tokens, completion_tokens: as billed, reasoning included; None when the server did not say.
        seconds: from sending the request to the reply's last byte.
        thinking: the model's reasoning, if the server sent it apart from the content.
        reasoning_tokens: the part of `completion_tokens` that is reasoning, None when the server did not say.
        cached_tokens, written_tokens: the parts of `prompt_tokens` that the server read from its cache or wrote to it, None when it did
            not say.
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
        """Return the answer without thoughts, channels and special tokens; empty where there is none."""
        return divide(self.raw).answer

    @property
    def reasoned(self) -> bool:
        """Return whether the model visibly thought before it answered."""
        return bool(self.thinking or self.reasoning_tokens or divide(self.raw).thoughts)

    @property
    def thoughts(self) -> str:
        """Return the model's thoughts, sent apart or in the content, ready for training; empty where it shows none."""
        found = trainable("\n".join(part for part in (self.thinking, divide(self.raw).thoughts) if part.strip()))
        return found.encode(errors="replace").decode()  # as the ledger stores it, so that a rerun reads the same

    @property
    def answer_tokens(self) -> int | None:
        """Return the tokens of `text`, None where the server counts none.

        Reasoning tokens are subtracted; if they are not counted, the answer's share of the characters is taken. Bytes plus one for the
        turn's end are an upper bound, because no tokenizer makes more tokens than bytes: any excess was hidden reasoning.
        """
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
        """Return whether a token limit stopped the model. A reply that is neither whole nor cut off was broken off."""
        return self.ended in CUT_OFF

    @property
    def ended(self) -> str:
        """Return the finish reason in one spelling."""
        return normalised(self.finish_reason)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict of one check on one candidate.

    Attributes:
        name: of the check.
        passed: None when the check did not apply.
        detail: why, for a person to read.
        broken: set when the check crashed.
        data: what was measured, such as votes, a score or a threshold, for programs to read.
    """

    name: str
    passed: bool | None
    detail: str = ""
    broken: bool = False
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)


def passed(detail: str = "", **data: Any) -> Verdict:
    return Verdict("", True, detail, data=data)


def failed(detail: str, **data: Any) -> Verdict:
    return Verdict("", False, detail, data=data)


def not_applicable(detail: str) -> Verdict:
    return Verdict("", None, detail)


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision of people on a sample in review.

    Attributes:
        what: accept, edit or reject.
        who: the people who decided, by their names in Argilla.
        when: time of the last of their verdicts, in UTC (ISO 8601).
        before, after: changed fields of the sample; with `before` it can be restored.
    """

    what: Literal["accept", "edit", "reject"]
    who: tuple[str, ...]
    when: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """One planned sample, from the drawing of its number to the verdict.

    Attributes:
        number: place in the run, from 0; it alone decides which samples a run has, never the order in which replies arrive.
        id: stable over reruns: strategy, seed and round.
        question: the question for the student; the seed's own until a strategy has written another.
        prompt: `question` as the student reads it, with choices and context.
        answer: the teacher's reply, None before it or without one.
        answer_cut_off: whether the teacher stopped at its token limit.
        answer_tokens: the teacher's count of the answer's tokens without reasoning; None when it did not say.
        thinking: the teacher's thoughts before the answer, only for the training file; None where they are not kept.
        final_answer: the final answer that the task read from `answer`, None when there was none.
        self_check: the augmenter's reply about its own question, None when it was not asked.
        votes: final answers of several answers to the question, None for each without one; empty when none were asked for.
        judgement: the judge's reply, None when it was not asked.
        attempt: the student's reply to the question, None when it was not asked; empty where it was cut off.
        status, reason: `accepted`; `rejected` with the name of the check; or `failed` with what went wrong.
        requests: ids in the ledger of the candidate's calls.
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
    """Return the candidate with its verdicts; the first that failed is the reason for its rejection."""
    against = next((verdict for verdict in verdicts if verdict.passed is False), None)
    if against is None:
        return replace(candidate, checks=tuple(verdicts), status="accepted", reason=None)
    if against.broken:
        return replace(candidate, checks=tuple(verdicts), status="failed", reason=f"check broken: {against.name}: {against.detail}")
    return replace(candidate, checks=tuple(verdicts), status="rejected", reason=against.name)


# Fields of a question that a row stores where they are not the seed's; its turns are in `messages`, and files differ between machines.
PARTS = ("text", "choices", "labels", "context", "database", "decimal", "several", "meant")


def to_sample(candidate: Candidate, seed: Seed) -> dict[str, Any]:
    """Return a row of `samples.jsonl` with the documented keys in their order.

    `thinking` is present where it is kept, `messages` where there are turns before the question, and `parts` where the question is not the
    seed's own: those of its fields that differ.
    """
    parts = (
        {}
        if candidate.question is None
        else {name: value for name in PARTS if (value := getattr(candidate.question, name)) != getattr(seed.question, name)}
    )
    return {
        "id": candidate.id,
        "strategy": candidate.strategy,
        "seed_id": candidate.seed_id,
        "question": candidate.prompt,
        **({} if candidate.question is None or not candidate.question.turns else {"messages": list(candidate.question.chat)}),
        **({"parts": parts} if parts else {}),
        "answer": candidate.answer,
        **({} if candidate.thinking is None else {"thinking": candidate.thinking}),
        "final_answer": candidate.final_answer,
        "status": candidate.status,
        "reason": candidate.reason,
        "checks": [
            {"name": v.name, "passed": v.passed, "detail": v.detail, **({"data": dict(v.data)} if v.data else {})} for v in candidate.checks
        ],
        "requests": list(candidate.requests),
        "tokens": candidate.tokens,
        "teacher": candidate.teacher,
        "augmenter": candidate.augmenter,
        "decision": None if candidate.decision is None else asdict(candidate.decision),
    }


def question_of(row: Mapping[str, Any], seed: Seed, prompt: str) -> Question:
    """Return the question of a row of `samples.jsonl`, with its fields.

    Args:
        row: the row. One of format 1 has no `parts`: if its question is not the seed's, its whole text is the question's text.
        seed: its seed.
        prompt: the seed's question as the student reads it.
    """
    parts = row.get("parts")
    if parts is None and row["question"] != prompt:
        *before, last = row.get("messages") or [{"content": row["question"]}]
        turns = tuple((turn["role"], turn["content"]) for turn in before)
        return Question(last["content"], decimal=seed.question.decimal, turns=turns)
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in (parts or {}).items() if name in PARTS
    }
    turns = tuple((turn["role"], turn["content"]) for turn in (row.get("messages") or ())[:-1]) or seed.question.turns
    return replace(seed.question, **fields, turns=turns)


def to_json(row: Mapping[str, Any]) -> str:
    """Return one line of our `.jsonl` files: UTF-8, without unneeded spaces, keys in the given order."""
    return orjson.dumps(row).decode()
