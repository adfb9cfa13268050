"""Right and wrong answers to the same question, for training on preferences: `preferences-<hash>.jsonl` and `kto-<hash>.jsonl`.

Verification has paid for wrong answers; here they are put beside the right ones. Thoughts are in neither file: no check has read them, so
nothing says which were better. How Axolotl is told of a file stands in `axolotl_entry`; the forms that some of its trainers need instead,
in `orpo_row` and `kto_row`.
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
# What Axolotl calls its ways to train on pairs, and on single answers with a verdict.
RL = {**dict.fromkeys(("dpo", "ipo", "simpo", "orpo"), PAIRS), "kto": UNPAIRED}
# How the files begin that some of them need.
OTHER_FORM = {"orpo": f"{PAIRS}-orpo", "kto": f"{UNPAIRED}-written"}
Render = Callable[[Sequence[Mapping[str, str]], bool], str]
"""Writes a chat as the student reads it; true: with the beginning of the answer that is to come."""


@dataclass(frozen=True)
class Said:
    """An answer that was judged: the sample's id and strategy, its seed, and why it was rejected, empty where it was accepted."""

    id: str
    strategy: str
    seed_id: str
    question: tuple[Mapping[str, str], ...]
    answer: str
    reason: str = ""


@dataclass(frozen=True)
class Written:
    """A file of them: `counts` are pairs by the reason of the rejected answer, or rows by label."""

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
        folder: the output folder; former files stay there.
        samples: the `samples.jsonl`, with people's decisions.
        chats: seed pairs that are trained on, as rows of the training file.
        settings: whose answers are wrong, and how many pairs a question may have.
        system: the system message before each question; None: that of a chat, and none before another question.
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
    """Pair the wrong answers to each question with the right ones in turn, so that none of these is preferred to all the others."""
    questions: dict[bytes, _Answers] = {}
    wanted = _with_both(samples, settings, system)
    for said in _said(samples, settings, system):
        if (key := _key(said.question)) in wanted:
            answers = questions.setdefault(key, _Answers())
            (answers.rejected if said.reason else answers.chosen).setdefault(_text(said.answer), said)
    for answers in questions.values():
        # What people or a check let through elsewhere is not wrong because of where it stands.
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
    """Return the questions that have a right and a wrong answer: of the others nothing needs to be held in memory."""
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
    # The right ones first, so that no text has both labels.
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
    """Yield the answers that were accepted, and those that are wrong by the reasons asked for."""
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
    """Return the answer that people put another one in the place of, None where they did not or where they changed the question, too."""
    before = {} if row.get("decision") is None else row["decision"]["before"]
    return None if "question" in before else before.get("answer")


def _assistant(answer: str) -> dict[str, str]:
    return {"role": "assistant", "content": answer}


def _key(question: Sequence[Mapping[str, str]], answer: str = "") -> bytes:
    """Return what a question, or an answer to it, is known by: of a million of them not every text needs to be in memory."""
    text = "\0".join([*(f"{message['role']}\0{message['content']}" for message in question), _text(answer)])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _text(answer: str) -> str:
    """Return an answer without what does not make it another one."""
    return " ".join(answer.split())


def axolotl_entry(path: Path, rl: str, weight: float | None = None) -> dict[str, Any]:
    """Return the entry of Axolotl's `datasets:` for training with `rl`. The files for `orpo` and `kto` hold rows of `for_axolotl`."""
    entry: dict[str, Any] = {"path": str(path), "ds_type": "json"}
    if rl == "orpo":
        entry["type"] = "chat_template.argilla"
    elif rl != "kto":  # of which Axolotl takes rows that are written out already
        entry |= {"type": "chat_template.default", "field_messages": "messages"}
        entry["message_property_mappings"] = {"role": "role", "content": "content"}
    return entry if weight is None else {**entry, "weight": weight}


def for_axolotl(path: Path, rl: str, render: Callable[[], Render]) -> Path:
    """Return the file that Axolotl is to read for `rl`: ours, or one beside it in another form.

    Args:
        path: what `write` made.
        rl: the way of training.
        render: gives what writes chats as the student reads them; called where that is needed.
    """
    if rl not in OTHER_FORM:
        return path
    row = orpo_row if rl == "orpo" else _kto_row(render())
    return dataset.write_hashed(path.parent, OTHER_FORM[rl], map(row, dataset.read_rows(path))).path


def last_file(folder: Path, rl: str) -> Path:
    """Return the file for `rl` that was written last, or a name that one might have."""
    name = OTHER_FORM.get(rl, RL[rl])
    return max(folder.glob(f"{name}-{'?' * dataset.HASH}.jsonl"), key=lambda path: path.stat().st_mtime, default=folder / f"{name}.jsonl")


def orpo_row(pair: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pair as `chat_template.argilla` of Axolotl's `orpo` reads it: whole conversations, and the system message apart."""
    system = [message["content"] for message in pair["messages"] if message["role"] == "system"]
    turns = [message for message in pair["messages"] if message["role"] != "system"]
    return {"system": "\n\n".join(system), "chosen": [*turns, pair["chosen"]], "rejected": [*turns, pair["rejected"]]}


def _kto_row(render: Render) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what writes a row's chat out: Axolotl has no strategy of `kto` that uses the student's own template."""

    def written(row: Mapping[str, Any]) -> dict[str, Any]:
        prompt, whole = render(row["prompt"], True), render([*row["prompt"], *row["completion"]], False)
        # A template may begin an answer in another way than it asks for one: then the answer's own text tells where it begins.
        begins = len(prompt) if whole.startswith(prompt) else whole.rfind(row["completion"][-1]["content"].strip())
        return {"prompt": prompt, "completion": whole[begins:].rstrip(), "label": row["label"]}

    return written
