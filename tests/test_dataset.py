"""The files of a run: their content, the same bytes for the same input, and that they appear complete or not at all."""

import hashlib
import json

import pytest

from axolotl_synthetic import dataset, files
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.ledger import Totals
from axolotl_synthetic.records import PURPOSES, Question, Seed

SEEDS = [Seed("s1", Question("2 + 2?"), "#### 4"), Seed("s2", Question("3 + 3?"), None)]


def sample(number: int, status: str = "accepted", reason: str | None = None) -> dict:
    return {
        **{"id": f"a-s1-{number}", "strategy": "answer_augmentation", "seed_id": "s1", "question": "2 + 2?"},
        **{"answer": f"way {number}\n#### 4", "status": status, "reason": reason},
    }


def spool(folder, *rows):
    path = folder / "samples.jsonl.tmp"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return dataset.write_samples(folder, path)


def training(folder, samples, seeds=()):
    return dataset.write_training_file(folder, samples, seeds, lambda seed: seed.question.text, lambda seed: seed.answer)


def test_the_training_file_holds_accepted_samples_and_the_seeds_with_answers_as_chats(tmp_path):
    samples = spool(tmp_path, sample(0), sample(1, "rejected", "format"), sample(2, "failed", "timeout: 600 s"))
    made = training(tmp_path, samples, SEEDS)
    rows = [json.loads(line) for line in made.path.read_text().splitlines()]
    assert rows == [
        {
            "messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "#### 4"}],
            **{"id": "s1", "strategy": "seed", "seed_id": "s1"},
        },
        {
            "messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "way 0\n#### 4"}],
            **{"id": "a-s1-0", "strategy": "answer_augmentation", "seed_id": "s1"},
        },
    ]
    assert made.rows == 2


def test_its_name_and_hash_are_those_of_its_bytes(tmp_path):
    made = training(tmp_path, spool(tmp_path, sample(0)))
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert made.path.name == f"train-{made.sha256[:12]}.jsonl"


def test_other_samples_get_another_file_and_the_former_is_kept(tmp_path):
    one = training(tmp_path, spool(tmp_path, sample(0)))
    other = training(tmp_path, spool(tmp_path, sample(1)))
    assert one.path != other.path
    assert one.path.exists()


def test_candidates_are_counted_by_how_they_ended(tmp_path):
    rows = (sample(0), sample(1, "rejected", "format"), sample(2, "rejected", "format"), sample(3, "failed", "timeout: no reply"))
    counts = dataset.count(spool(tmp_path, *rows))
    assert (counts.planned, counts.accepted, counts.rejected, counts.failed) == (4, 1, 2, 1)
    assert counts.rejections == {"format": 2}
    assert counts.failures == {"timeout": 1}
    assert counts.by_strategy == {"answer_augmentation": {"accepted": 1, "rejected": 2, "failed": 1}}


def test_the_manifest_has_the_contracts_keys(tmp_path):
    samples = spool(tmp_path, sample(0))
    totals = Totals(dict.fromkeys(("total", *PURPOSES, "retried"), 0), 10, 5, None, 1.0)
    manifest = dataset.manifest(
        ended_by="samples",
        strategy={"answer_augmentation": 1.0},
        budget_ratio=1.0,
        seeds={"count": 1, "held_out": 0, "sha256": "x"},
        counts=dataset.count(samples),
        totals=totals,
        reused=0,
        seconds=1.0,
        samples=samples,
        training=training(tmp_path, samples),
    )
    assert set(manifest) == {
        *("format", "status", "ended_by", "strategy", "budget_ratio", "seeds", "counts", "rejections", "queries", "tokens", "usd"),
        *("seconds", "files", "prices", "reasoning_tokens", "cached_tokens", "cached_share"),
    }
    assert set(manifest["queries"]) == {
        "total",
        "answer",
        "rephrase",
        "new_question",
        "self_check",
        "judge",
        "difficulty",
        "retried",
        "reused",
    }
    assert set(manifest["counts"]) == {"planned", "accepted", "rejected", "failed"}
    assert set(manifest["files"]["train"]) == {"path", "rows", "sha256"}
    assert manifest["usd"] is None
    card = dict(task="math", teacher="m", augmenter="m", counts=dataset.count(samples))
    dataset.write_card(tmp_path, manifest, **card)
    assert f"data_files: {manifest['files']['train']['path']}" in (tmp_path / "README.md").read_text()


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "manifest.json").write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device; free some space"):
        files.write_text(tmp_path / "manifest.json", "after")
    assert (tmp_path / "manifest.json").read_text() == "before"


def test_a_damaged_manifest_is_named_with_what_to_do(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StorageError, match=r"is no JSON .* delete it"):
        dataset.read_manifest(tmp_path)


def test_what_was_thought_before_an_answer_of_a_chat_stays_with_it(tmp_path):
    turns = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Is it late?"}]
    row = {"id": "a", "strategy": "new_question", "seed_id": "s", "status": "accepted", "question": "…", "messages": turns}
    (tmp_path / "samples.jsonl").write_text(json.dumps({**row, "answer": "No.", "thinking": "It is noon."}) + "\n")
    made = dataset.write_training_file(tmp_path, tmp_path / "samples.jsonl", [], str, str, thinking=True, chats=True)
    [written] = map(json.loads, made.path.read_text().splitlines())
    assert written["messages"][:-1] == [{**turn, "train": False} for turn in turns]
    assert written["messages"][-1] == {"role": "assistant", "content": "No.", "reasoning_content": "It is noon.", "train": True}
