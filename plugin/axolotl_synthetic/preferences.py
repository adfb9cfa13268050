"""Right and wrong answers to the same question, for preference training: `preferences-<hash>.jsonl` and `kto-<hash>.jsonl`.

Wrong answers that verification has rejected are already paid for; here they are paired with right ones. Neither file has thoughts, because
no check has read them. `axolotl_entry` gives a file's entry in the YAML; `orpo_row` and `kto_row` write the forms that some trainers need.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from axolotl_synthetic import dataset
from axolotl_synthetic.config import REVIEWED, Preferences

KINDS = PAIRS, UNPAIRED = "preferences", "kto"
# Axolotl's `rl` values, by whether they train on pairs or on single labelled answers.
RL = {**dict.fromkeys(("dpo", "ipo", "simpo", "orpo"), PAIRS), "kto": UNPAIRED}
# Prefixes of the files for trainers that need another form.
OTHER_FORM = {"orpo": f"{PAIRS}-orpo", "kto": f"{UNPAIRED}-written"}
Render = Callable[[Sequence[Mapping[str, str]], bool], str]
"""Function that renders a chat as the student reads it; its flag adds the beginning of the next answer."""


@dataclass(frozen=True)
class Said:
    """A judged answer: the sample's id and strategy, its seed, and why it was rejected, empty if accepted."""

    id: str
    strategy: str
    seed_id: str
    question: tuple[Mapping[str, str], ...]
    answer: str
    reason: str = ""


@dataclass(frozen=True)
class Written:
    """A written file: `counts` are pairs by the reason of the rejected answer, or rows by label."""

    path: Path
    rows: int
    sha256: str
    counts: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the file's entry in the manifest."""
        return {"path": self.path.name, "rows": self.rows, "sha256": self.sha256, "counts": dict(self.counts)}


@dataclass
class _Answers:
    """Answers to one question, each text once, in the samples' order."""

    chosen: dict[str, Said] = field(default_factory=dict)
    rejected: dict[str, Said] = field(default_factory=dict)


def write(folder: Path, samples: Path, chats: Iterable[Mapping[str, Any]], settings: Preferences, system: str | None) -> dict[str, Written]:
    """Write both files. The same samples give the same bytes.

    Args:
        folder: the output folder; earlier files stay there.
        samples: path of `samples.jsonl`, with people's decisions.
        chats: seed pairs that are trained on, as rows of the training file.
        settings: whose answers are wrong, and how many pairs a question may have.
        system: the system message before each question; None for a chat's own, or none.
    """
    reasons, labels = Counter[str](), Counter[bool]()
    pairs = dataset.write_hashed(folder, PAIRS, _counted(_pairs(samples, settings, system), "reason", reasons))
    unpaired = dataset.write_hashed(folder, UNPAIRED, _counted(_unpaired(samples, chats, settings, system), "label", labels))
    return {
        PAIRS: Written(pairs.path, pairs.rows, pairs.sha256, dict(sorted(reasons.items()))),
        UNPAIRED: Written(unpaired.path, unpaired.rows, unpaired.sha256, {"desirable": labels[True], "undesirable": labels[False]}),
    }


def _counted(rows: Iterable[dict[str, Any]], by: str, counts: Counter[Any]) -> Iterator[dict[str, Any]]:
    for row in rows:
        counts[row[by]] += 1
        yield row


def _pairs(samples: Path, settings: Preferences, system: str | None) -> Iterator[dict[str, Any]]:
    """Pair each question's wrong answers with its right ones in turn, so that no right answer is preferred to all wrong ones."""
    questions: dict[bytes, _Answers] = {}
    wanted = _with_both(samples, settings, system)
    for said in _said(samples, settings, system):
        if (key := _key(said.question)) in wanted:
            answers = questions.setdefault(key, _Answers())
            (answers.rejected if said.reason else answers.chosen).setdefault(_text(said.answer), said)
    for answers in questions.values():
        # A text that was also accepted is not wrong, even if another sample with it was rejected.
        rejected = [said for text, said in answers.rejected.items() if text not in answers.chosen]
        for right, wrong in zip(cycle(answers.chosen.values()), rejected[: settings.per_question], strict=False):
            yield {
                "messages": list(right.question),
                "chosen": _assistant(right.answer),
                "rejected": _assistant(wrong.answer),
                "id": right.id,
                "rejected_id": wrong.id,
                "reason": wrong.reason,
                "strategy": right.strategy,
                "seed_id": right.seed_id,
            }


def _with_both(samples: Path, settings: Preferences, system: str | None) -> set[bytes]:
    """Return the questions that have a right and a wrong answer; the others need not be held in memory."""
    right, wrong = set[bytes](), set[bytes]()
    for said in _said(samples, settings, system):
        (wrong if said.reason else right).add(_key(said.question))
    return right & wrong


def _unpaired(samples: Path, chats: Iterable[Mapping[str, Any]], settings: Preferences, system: str | None) -> Iterator[dict[str, Any]]:
    known: set[bytes] = set()
    for chat in chats:
        *turns, answer = chat["messages"]
        question = dataset.asked("", None, turns)
        known.add(_key(question, answer["content"]))
        yield _unpaired_row(question, answer["content"], True, "", chat["id"], chat["strategy"], chat["seed_id"])
    # Right answers come first, so that no text gets both labels.
    for label in (True, False):
        for said in _said(samples, settings, system):
            if (not said.reason) is label and (place := _key(said.question, said.answer)) not in known:
                known.add(place)
                yield _unpaired_row(said.question, said.answer, label, said.reason, said.id, said.strategy, said.seed_id)


def _unpaired_row(
    question: Sequence[Mapping[str, str]], answer: str, label: bool, reason: str, row_id: str, strategy: str, seed_id: str
) -> dict[str, Any]:
    row = {"prompt": list(question), "completion": [_assistant(answer)], "label": label, "reason": reason or None}
    return {**row, "id": row_id, "strategy": strategy, "seed_id": seed_id}


def _said(samples: Path, settings: Preferences, system: str | None) -> Iterator[Said]:
    """Yield accepted answers, and answers rejected for one of the configured reasons."""
    for row in dataset.read_samples(samples):
        if not row.get("answer") or row.get("question") is None:
            continue
        question = tuple(dataset.asked(row["question"], system, row.get("messages") or ()))
        of = (row["id"], row["strategy"], row["seed_id"], question)
        if row["status"] == "accepted":
            yield Said(*of, row["answer"])
            if (former := _corrected(row)) is not None and REVIEWED in settings.reasons:
                yield Said(*of, former, REVIEWED)
        elif row["status"] == "rejected" and row["reason"] in settings.reasons:
            yield Said(*of, row["answer"], row["reason"])


def _corrected(row: Mapping[str, Any]) -> str | None:
    """Return the answer that people replaced; None if they did not, or also changed the question."""
    before = {} if row.get("decision") is None else row["decision"]["before"]
    return None if "question" in before else before.get("answer")


def _assistant(answer: str) -> dict[str, str]:
    return {"role": "assistant", "content": answer}


def _key(question: Sequence[Mapping[str, str]], answer: str = "") -> bytes:
    """Return a short hash of a question, or of an answer to it, because a million texts need not be in memory."""
    text = "\0".join([*(f"{message['role']}\0{message['content']}" for message in question), _text(answer)])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _text(answer: str) -> str:
    """Return an answer with normalised white space."""
    return " ".join(answer.split())


def axolotl_entry(path: Path, rl: str, weight: float | None = None) -> dict[str, Any]:
    """Return the entry of Axolotl's `datasets:` for `rl`; files for `orpo` and `kto` must come from `for_axolotl`."""
    entry: dict[str, Any] = {"path": str(path), "ds_type": "json"}
    if rl == "orpo":
        entry["type"] = "chat_template.argilla"
    elif rl != "kto":  # for KTO Axolotl reads chats that are already rendered
        entry |= {"type": "chat_template.default", "field_messages": "messages"}
        entry["message_property_mappings"] = {"role": "role", "content": "content"}
    return entry if weight is None else {**entry, "weight": weight}


def for_axolotl(path: Path, rl: str, render: Callable[[], Render]) -> Path:
    """Return the file that Axolotl reads for `rl`: ours, or a copy beside it in another form.

    Args:
        path: the file that `write` made.
        rl: Axolotl's `rl` value.
        render: returns the function that writes chats as the student reads them; called only if needed.
    """
    if rl not in OTHER_FORM:
        return path
    row = orpo_row if rl == "orpo" else _kto_row(render())
    return dataset.write_hashed(path.parent, OTHER_FORM[rl], map(row, dataset.read_rows(path))).path


def last_file(folder: Path, rl: str) -> Path:
    """Return the file last written for `rl`, or a name that does not exist."""
    name = OTHER_FORM.get(rl, RL[rl])
    return max(folder.glob(f"{name}-{'?' * dataset.HASH}.jsonl"), key=lambda path: path.stat().st_mtime, default=folder / f"{name}.jsonl")


def orpo_row(pair: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pair in the form of Axolotl's `chat_template.argilla` for `orpo`: whole chats, and the system message apart."""
    system = [message["content"] for message in pair["messages"] if message["role"] == "system"]
    turns = [message for message in pair["messages"] if message["role"] != "system"]
    return {"system": "\n\n".join(system), "chosen": [*turns, pair["chosen"]], "rejected": [*turns, pair["rejected"]]}


def _kto_row(render: Render) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return a function that renders a row's chat, because Axolotl's `kto` has no strategy that uses the student's template."""

    def written(row: Mapping[str, Any]) -> dict[str, Any]:
        prompt, whole = render(row["prompt"], True), render([*row["prompt"], *row["completion"]], False)
        # If the template begins a full answer differently from a prompt for one, find the answer's own text.
        begins = len(prompt) if whole.startswith(prompt) else whole.rfind(row["completion"][-1]["content"].strip())
        return {"prompt": prompt, "completion": whole[begins:].rstrip(), "label": row["label"]}

    return written
