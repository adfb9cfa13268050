"""The files of a run: `samples.jsonl`, the training file, the card and the manifest.

Each is written to a temporary file and renamed. The manifest comes last, so its presence means that the rest is complete. The same samples
and seeds give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from axolotl_synthetic import terminal
from axolotl_synthetic.config import CANDIDATES_PER_SAMPLE, fruitless_after
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.files import put_in_place, sha256, storage_errors, write_text
from axolotl_synthetic.ledger import CANDIDATES, EXHAUSTED, FRUITLESS, Totals
from axolotl_synthetic.records import Message, Seed, to_json
from axolotl_synthetic.wording import number_of

FORMAT = 2
MANIFEST = "manifest.json"
SAMPLES = "samples.jsonl"
CARD = "README.md"
# Digits of the content's hash in a file's name.
HASH = 12
# Axolotl's name for the message field that holds the assistant's thoughts.
THINKING = "reasoning_content"
# Message field that says whether the message is trained on.
TRAINED = "train"
# Keys of the manifest that its readers need, with their types.
MANIFEST_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "status": str,
    "strategy": dict,
    "seeds.count": int,
    "seeds.held_out": int,
    **{f"counts.{name}": int for name in ("planned", "accepted", "rejected", "failed")},
    **{f"queries.{name}": int for name in ("total", "retried", "reused")},
    "tokens.prompt": int,
    "tokens.completion": int,
    "usd": (int, float, type(None)),
    "rejections": dict,
    "files.train.path": str,
    "files.train.rows": int,
    "files.train.sha256": str,
}
# Markers around the figures that `show_figures` adds to the card.
FIGURES_BEGIN, FIGURES_END = "<!-- figures of the report -->", "<!-- end of the figures -->"


@dataclass(frozen=True)
class Counts:
    """Outcomes of the candidates: planned = accepted + rejected + failed. `rejections` are by check, `failures` by reason."""

    accepted: int
    rejected: int
    failed: int
    rejections: Mapping[str, int]
    failures: Mapping[str, int]
    by_strategy: Mapping[str, Mapping[str, int]]

    @property
    def planned(self) -> int:
        return self.accepted + self.rejected + self.failed


@dataclass(frozen=True)
class TrainingFile:
    """The file that Axolotl trains on."""

    path: Path
    rows: int
    sha256: str


def read_samples(path: Path, *, still_written: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the rows of a `samples.jsonl`.

    Args:
        path: the file.
        still_written: True if a run is writing it or was stopped: an incomplete last line is skipped.

    Raises:
        StorageError: if it cannot be read, or was changed so that a line is not a row.
    """
    return read_rows(path, {"id", "strategy", "status"}, still_written=still_written)


def read_rows(path: Path, keys: Set[str] = frozenset(), *, still_written: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the rows of one of our files, each with at least these keys; otherwise like `read_samples`."""
    with storage_errors(path), open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if still_written and not line.endswith(b"\n"):
                return
            try:
                row = orjson.loads(line)
                if not isinstance(row, dict) or not keys <= row.keys():
                    raise ValueError("no sample")
            except ValueError as error:
                remedy = "delete it and run `axolotl synthetic generate` again: nothing is paid for twice"
                raise StorageError(f"{path}:{number}: cannot be read ({error}); {remedy}") from error
            yield row


def count(samples: Path) -> Counts:
    """Count the outcomes in a `samples.jsonl`."""
    status: Counter[str] = Counter()
    rejections: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    by_strategy: dict[str, Counter[str]] = {}
    for row in read_samples(samples):
        status[row["status"]] += 1
        by_strategy.setdefault(row["strategy"], Counter())[row["status"]] += 1
        if row["status"] == "rejected":
            rejections[row["reason"]] += 1
        elif row["status"] == "failed":
            failures[row["reason"].split(":", 1)[0]] += 1
    return Counts(
        *(status["accepted"], status["rejected"], status["failed"]),
        *(dict(rejections.most_common()), dict(failures.most_common())),
        {name: dict(counts) for name, counts in by_strategy.items()},
    )


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to a temporary file, which `write_samples` moves into place."""
    with storage_errors(path), open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(to_json(row) + "\n")


def write_samples(folder: Path, spool: Path) -> Path:
    """Move verification's temporary file into place as `samples.jsonl`."""
    with storage_errors(folder), open(spool, "rb") as file:
        put_in_place(file, spool, folder / SAMPLES)
    return folder / SAMPLES


def write_training_file(
    folder: Path,
    samples: Path,
    seeds: Sequence[Seed],
    prompt: Callable[[Seed], str],
    solution: Callable[[Seed], str | None],
    *,
    thinking: bool = False,
    chats: bool = False,
    system: str | None = None,
) -> TrainingFile:
    """Write the seed pairs (seeds with an answer) and the accepted samples as chats.

    Args:
        folder: the output folder; an earlier training file stays there.
        samples: path of `samples.jsonl`, whose accepted samples are used.
        seeds: the seeds to include, perhaps none.
        prompt, solution: return a seed's question and answer as the student should see them.
        thinking: True to keep the teacher's thoughts.
        chats: True if questions have earlier turns: then each message says whether it is trained on.
        system: the system message before each question; None for a chat's own, or none.
    """
    of_seeds = seed_chats(seeds, prompt, solution, thinking, system, chats)
    return write_hashed(folder, "train", _training_rows(samples, of_seeds, thinking, system, chats))


def write_hashed(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> TrainingFile:
    """Write rows to a file named by its content's hash; earlier files with other content stay."""
    beside = folder / f"{name}.jsonl.tmp"
    digest, number = hashlib.sha256(), 0
    with storage_errors(folder), open(beside, "wb") as file:
        for row in rows:
            line = (to_json(row) + "\n").encode()
            digest.update(line)
            file.write(line)
            number += 1
        path = folder / f"{name}-{digest.hexdigest()[:HASH]}.jsonl"
        put_in_place(file, beside, path)
    return TrainingFile(path, number, digest.hexdigest())


def _training_rows(
    samples: Path, of_seeds: Iterable[dict[str, Any]], thinking: bool, system: str | None, chats: bool
) -> Iterator[dict[str, Any]]:
    yield from of_seeds
    for row in read_samples(samples):
        if row["status"] == "accepted":
            thoughts, before = _thoughts(row) if thinking else None, asked(row["question"], system, row.get("messages") or ())
            made = chat_row(row["question"], row["answer"], row["id"], row["strategy"], row["seed_id"], thoughts, before)
            yield with_turns(made, before, every=False) if chats else made


def seed_chats(
    seeds: Iterable[Seed],
    prompt: Callable[[Seed], str],
    solution: Callable[[Seed], str | None],
    thinking: bool = False,
    system: str | None = None,
    chats: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield the seed pairs (seeds with an answer) as rows of the training file; arguments as for `write_training_file`."""
    for seed in seeds:
        if (answer := solution(seed)) is not None:
            before = asked(prompt(seed), system, seed.question.chat if seed.question.turns else ())
            made = chat_row(prompt(seed), answer, seed.id, "seed", seed.id, "" if thinking else None, before)
            yield with_turns(made, before, every=True) if chats else made


def with_turns(row: dict[str, Any], before: Sequence[Message], *, every: bool) -> dict[str, Any]:
    """Return a row with all turns of its chat, each marked as trained on or not.

    A seed's own row trains on every assistant turn. A generated row trains only on its new answer. Its earlier turns would otherwise be
    learnt once for each sample of the seed, and some were written by a teacher and not verified.
    """
    messages = [{"role": turn["role"], "content": turn["content"], TRAINED: every and turn["role"] == "assistant"} for turn in before]
    return {**row, "messages": [*messages, {**row["messages"][-1], TRAINED: True}]}


def _thoughts(row: Mapping[str, Any]) -> str:
    """Return the thoughts behind a sample's answer; empty if there are none, or if people edited the question or answer."""
    edited = {} if row.get("decision") is None else row["decision"]["after"]
    return "" if {"question", "answer"} & edited.keys() else row.get("thinking") or ""


def chat_row(
    question: str,
    answer: str,
    row_id: str,
    strategy: str,
    seed_id: str,
    thinking: str | None = None,
    before: Sequence[Message] | None = None,
) -> dict[str, Any]:
    """Return a row of the training file.

    If any row has thoughts, all must, at least empty ones: Axolotl's reader takes the columns of the first rows for all.

    Args:
        question, answer: as the student reads and writes them.
        row_id, strategy, seed_id: the row's origin.
        thinking: the thoughts before the answer.
        before: all messages before the answer; None for the question alone.
    """
    said = {"role": "assistant", "content": answer} | ({} if thinking is None else {THINKING: thinking})
    return {"messages": [*(before or asked(question)), said], "id": row_id, "strategy": strategy, "seed_id": seed_id}


def asked(question: str, system: str | None = None, chat: Sequence[Message] = ()) -> list[dict[str, str]]:
    """Return the messages that an answer follows.

    Args:
        question: as the student reads it, if there is no chat.
        system: the system message; None for the chat's own, if it has one.
        chat: messages up to and including the question.
    """
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in chat] or [{"role": "user", "content": question}]
    if system is None:
        return turns
    return [{"role": "system", "content": system}, *(turn for turn in turns if turn["role"] != "system")]


def axolotl_entry(path: Path, weight: float | None = None, thinking_key: str | None = None, *, chats: bool = False) -> dict[str, Any]:
    """Return the entry of Axolotl's `datasets:` for a training file.

    Args:
        path: the file.
        weight: the share of it to train on, None for all.
        thinking_key: the name by which the student's chat template reads thoughts, None if the file has none.
        chats: True if each message says whether it is trained on.
    """
    entry: dict[str, Any] = {
        "path": str(path),
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
    if thinking_key is not None:
        entry["message_property_mappings"][thinking_key] = THINKING
        entry |= {"field_thinking": THINKING, "template_thinking_key": thinking_key}
    if chats:
        entry["message_field_training"] = TRAINED
    return entry if weight is None else {**entry, "weight": weight}


def is_axolotl_entry(entry: Any, folder: Path, kind: str = "train") -> bool:
    """Say whether an entry of `datasets:` is for a `train*.jsonl` of this folder, or for another `kind` of training file.

    The user may write such an entry to set other options of it.
    """
    path = entry.get("path") if isinstance(entry, Mapping) else None
    if not isinstance(path, str) or not Path(path).match(f"{kind}*.jsonl"):
        return False
    return os.path.dirname(os.path.abspath(path)) == os.path.abspath(folder)


def manifest(
    *,
    ended_by: str,
    strategy: Mapping[str, float],
    budget_ratio: float | None,
    seeds: Mapping[str, Any],
    counts: Counts,
    totals: Totals,
    reused: int,
    seconds: float,
    samples: Path,
    training: TrainingFile,
    prices: Mapping[str, Any] | None = None,
    more_files: Mapping[str, Any] | None = None,
    rounds: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the manifest. Write it last: its presence marks completion."""
    return {
        "format": FORMAT,
        "status": "complete" if ended_by == "samples" else "budget_exhausted",
        "ended_by": ended_by,
        "strategy": dict(strategy),
        "budget_ratio": budget_ratio,
        "seeds": dict(seeds),
        "queries": {**totals.queries, "reused": reused},
        "tokens": {"prompt": totals.prompt_tokens, "completion": totals.completion_tokens},
        "reasoning_tokens": totals.reasoning_tokens,
        "cached_tokens": totals.cached_tokens,
        "cached_share": None if totals.cached_tokens is None else round(totals.cached_tokens / max(1, totals.prompt_tokens), 4),
        "usd": totals.usd,
        "prices": dict(prices or {}),
        "seconds": round(seconds, 3),
        **({"rounds": list(rounds)} if rounds else {}),
        **outcome(counts, samples, training, more_files),
    }


def ending(manifest: Mapping[str, Any], counts: Counts) -> str:
    """Return in words what ended a run before it had all samples; empty if it has them."""
    if manifest["status"] == "complete":
        return ""
    ended_by = manifest.get("ended_by", "")
    check, number = next(iter(counts.rejections.items()), ("", 0))
    most = f"; most were rejected by {check} ({number:,} of {counts.planned:,})" if number else ""
    if ended_by == CANDIDATES:
        return f"after {CANDIDATES_PER_SAMPLE} candidates for each sample of budget.samples, of which too few were accepted{most}"
    if ended_by == FRUITLESS:
        return f"early: none of the last {fruitless_after(manifest['seeds']['count']):,} candidates was accepted{most}"
    if ended_by == EXHAUSTED:
        return f"early: no seed is left whose answers say anything new{most}"
    named = f"budget.{ended_by}" if ended_by else "a limit of the budget"
    return f"by {named}, which may be what you wanted"


def outcome(counts: Counts, samples: Path, training: TrainingFile, more_files: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the part of the manifest that people's decisions change."""
    return {
        "counts": {name: getattr(counts, name) for name in ("planned", "accepted", "rejected", "failed")},
        "rejections": dict(counts.rejections),
        "files": {
            "train": {"path": training.path.name, "rows": training.rows, "sha256": training.sha256},
            "samples": {"path": samples.name, "rows": counts.planned, "sha256": sha256(samples)},
            **(more_files or {}),
        },
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest, None if the run is not complete."""
    path = folder / MANIFEST
    remedy = "delete it and run `axolotl synthetic generate` again: nothing is paid for twice"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = _missing(manifest)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; make it readable") from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path}: is no JSON ({error}); {remedy}") from error
    if missing:
        raise StorageError(f"{path}: is no manifest of ours, or was changed ({missing}); {remedy}")
    return manifest


def _missing(manifest: Any) -> str:
    """Return the first problem with a manifest's keys, empty if there is none."""
    for place, kind in MANIFEST_KEYS.items():
        found = manifest
        for key in place.split("."):
            if not isinstance(found, dict) or key not in found:
                return f"{place} is missing"
            found = found[key]
        if not isinstance(found, kind) or isinstance(found, bool):
            return f"{place} is {found!r:.40}"
    path = manifest["files"]["train"]["path"]
    return "" if Path(path).name == path else f"files.train.path is {path!r:.40}"


def has_training_file(folder: Path, manifest: Mapping[str, Any], kind: str = "train") -> bool:
    """Say whether the training file, or one of another kind, exists with the bytes that were written."""
    try:
        file = manifest["files"][kind]
        return sha256(folder / str(file["path"])) == str(file["sha256"])
    except (OSError, KeyError, TypeError):
        return False


def put_aside_changed(folder: Path, manifest: Mapping[str, Any], kind: str = "train") -> Path | None:
    """Rename a training file that somebody changed, so that it is not overwritten; return its new name, None if there is none."""
    if kind not in manifest["files"]:
        return None
    path = folder / Path(str(manifest["files"][kind]["path"])).name
    with storage_errors(folder):
        if has_training_file(folder, manifest, kind) or not path.exists() or not path.stat().st_size:
            return None
        aside = path.with_name(f"{path.name}.changed")
        os.replace(path, aside)
    return aside


def write_card(folder: Path, manifest: Mapping[str, Any], *, task: str, teacher: str, augmenter: str, counts: Counts) -> None:
    """Write the dataset card, with the Hub's front matter."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in manifest["strategy"].items())
    rows = "\n".join(
        f"| {name} | {sum(by.values())} | {by.get('accepted', 0)} | {by.get('rejected', 0)} | {by.get('failed', 0)} |"
        for name, by in counts.by_strategy.items()
    )
    ended = ending(manifest, counts)
    reasons = "\n".join(f"- `{name}`: {number}" for name, number in counts.rejections.items()) or "- none"
    train = manifest["files"]["train"]
    cost, tokens = terminal.dollars(manifest["usd"]), manifest["tokens"]
    counted = f"{tokens['prompt']} in prompts, {tokens['completion']} in replies" if any(tokens.values()) else "not counted by the server"
    if manifest["usd"] and not any(tokens.values()):
        cost = f"at most {cost}"
    seeds = number_of(manifest["seeds"]["count"], "seed")
    more = [(kind, file["path"]) for kind in ("preferences", "kto") if (file := manifest["files"].get(kind)) is not None and file["rows"]]
    configs = "".join(f"\n  - config_name: {kind}\n    data_files: {path}" for kind, path in more)
    write_text(
        folder / CARD,
        f"""---
configs:
  - config_name: default
    data_files: {train["path"]}{configs}
tags:
  - synthetic
  - axolotl
---
# Synthetic training data: {task}

{number_of(train["rows"], "chat")} of {seeds} ({shares}), made by axolotl-synthetic with the strategies of
"Balancing Cost and Effectiveness of Synthetic Data Generation Strategies for LLMs" (arXiv 2409.19759).

| | |
| --- | --- |
| answers by | {teacher} |
| questions by | {augmenter} |
| calls | {manifest["queries"]["total"]}, {cost} |
| tokens | {counted} |
| status | {manifest["status"]}{ended and f" ({ended})"} |

| strategy | planned | accepted | rejected | failed |
| --- | --- | --- | --- | --- |
{rows}

Rejected, by check:

{reasons}

`samples.jsonl` holds every candidate with its verdicts; the model names above say which terms of use the texts are under.
""",
    )


def show_figures(folder: Path, figures: Mapping[str, str]) -> None:
    """Put figures at the end of the dataset card, replacing those of an earlier report.

    The rest of the card stays, whoever wrote it. Without a card, do nothing.

    Args:
        folder: the output folder.
        figures: each figure's path in the folder, and a line on what it shows.
    """
    try:
        card = (folder / CARD).read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    before, _, rest = card.partition(FIGURES_BEGIN)
    _, _, after = rest.partition(FIGURES_END)
    shown = "\n\n".join(f"![{text}]({path})" for path, text in figures.items())
    section = f"\n{FIGURES_BEGIN}\n## Figures\n{shown}\n{FIGURES_END}\n" if figures else ""
    write_text(folder / CARD, before.rstrip("\n") + "\n" + section + after.lstrip("\n"))
