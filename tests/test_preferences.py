"""Right and wrong answers to the same question: which become pairs, their form, and their effect on new and finished runs."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_generate_verified import Varied

from axolotl_synthetic import preferences, report, run
from axolotl_synthetic.config import Preferences, load_settings
from axolotl_synthetic.dataset import seed_chats
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Question, Seed, to_json

from fake_replies import MathReplies
from fake_server import FakeServer
from projects import Project

ASKED = [{"role": "user", "content": "Q"}]


def said(answer: str, status: str = "accepted", reason: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a sample whose id is its answer."""
    row = {"id": answer, "strategy": "answer_augmentation", "seed_id": "s", "question": "Q", "answer": answer, "status": status}
    return {**row, "reason": reason, "decision": None, **more}


def wrong(answer: str, reason: str = "final_answer", **more: Any) -> dict[str, Any]:
    return said(answer, "rejected", reason, **more)


def write(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> dict[str, list[dict[str, Any]]]:
    """Write both files; return their rows."""
    (folder / "samples.jsonl").write_text("".join(to_json(row) + "\n" for row in rows), encoding="utf-8")
    made = preferences.write(folder, folder / "samples.jsonl", (), Preferences(**settings), None)
    return {kind: [json.loads(line) for line in file.path.read_text().splitlines()] for kind, file in made.items()}


def pairs(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> list[tuple[str, str]]:
    found = write(folder, rows, **settings)["preferences"]
    return [(row["chosen"]["content"], row["rejected"]["content"]) for row in found]


def test_a_pair_is_an_accepted_and_a_wrong_answer_to_the_same_question(tmp_path):
    rows = [said("right"), wrong("bad"), wrong("elsewhere", question="R"), said("alone", question="S")]
    assert write(tmp_path, rows)["preferences"] == [
        {
            **{"messages": ASKED, "chosen": {"role": "assistant", "content": "right"}, "rejected": {"role": "assistant", "content": "bad"}},
            **{"id": "right", "rejected_id": "bad", "reason": "final_answer", "strategy": "answer_augmentation", "seed_id": "s"},
        }
    ]


def test_the_right_answers_take_turns_and_each_wrong_one_is_in_one_pair(tmp_path):
    rows = [wrong("w1"), said("r1"), wrong("w2", "judge"), said("r2"), wrong("w3", "execution")]
    assert pairs(tmp_path, rows) == [("r1", "w1"), ("r2", "w2"), ("r1", "w3")]


def test_a_question_has_no_more_pairs_than_asked_for(tmp_path):
    rows = [said("r"), *(wrong(f"w{number}") for number in range(12))]
    assert len(pairs(tmp_path, rows)) == 10
    assert len(pairs(tmp_path, rows, per_question=None)) == 12
    assert pairs(tmp_path, rows, per_question=1) == [("r", "w0")]


@pytest.mark.parametrize("reason", ["format", "duplicate", "self_consistency", "unreviewed", "length"])
def test_what_is_rejected_for_another_reason_is_no_wrong_answer(tmp_path, reason):
    assert pairs(tmp_path, [said("r"), wrong("w", reason)]) == []


def test_other_reasons_can_be_asked_for(tmp_path):
    assert pairs(tmp_path, [said("r"), wrong("w", "format"), wrong("v")], reasons=["format"]) == [("r", "w")]


def test_the_same_text_makes_no_second_pair_and_is_never_both(tmp_path):
    rows = [said("r"), said(" r\n"), wrong("w"), wrong("w  "), wrong("r "), said("elsewhere", question="R")]
    assert pairs(tmp_path, rows) == [("r", "w")]


def test_failed_candidates_and_empty_answers_are_left_out(tmp_path):
    assert pairs(tmp_path, [said("r"), said("w", "failed", "timeout"), wrong(""), {**wrong("v"), "answer": None}]) == []


def test_what_people_reject_is_wrong_and_what_they_correct_was(tmp_path):
    edit = {"what": "edit", "before": {"answer": "slip"}, "after": {"answer": "mended"}}
    rows = [said("mended", decision=edit), wrong("no", "review", decision={"what": "reject", "before": {}, "after": {}})]
    assert pairs(tmp_path, rows) == [("mended", "slip"), ("mended", "no")]
    assert pairs(tmp_path, rows, reasons=["final_answer"]) == []


def test_a_correction_of_the_question_makes_no_pair(tmp_path):
    edit = {"what": "edit", "before": {"question": "old", "answer": "slip"}, "after": {"question": "Q", "answer": "mended"}}
    assert pairs(tmp_path, [said("mended", decision=edit)]) == []


def test_thoughts_are_in_neither_file(tmp_path):
    found = write(tmp_path, [said("r", thinking="hm"), wrong("w", thinking="hm")])
    assert "hm" not in json.dumps(found)


def test_kto_takes_every_answer_once_without_a_partner(tmp_path):
    samples = [said("r"), wrong("w", question="R"), wrong("w", "format")]
    (tmp_path / "samples.jsonl").write_text("".join(to_json(row) + "\n" for row in samples))
    seeds = [Seed("s", Question("Q"), "r"), Seed("t", Question("T"), "seed's")]
    chats = seed_chats(seeds, lambda seed: seed.question.text, lambda seed: seed.answer)
    made = preferences.write(tmp_path, tmp_path / "samples.jsonl", chats, Preferences(), None)["kto"]
    rows = [json.loads(line) for line in made.path.read_text().splitlines()]
    assert [(row["prompt"][0]["content"], row["completion"][0]["content"], row["label"], row["reason"]) for row in rows] == [
        ("Q", "r", True, None),
        ("T", "seed's", True, None),
        ("R", "w", False, "final_answer"),
    ]
    assert made.counts == {"desirable": 2, "undesirable": 1}


def test_orpo_has_whole_conversations_and_the_system_message_apart():
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Q"}]
    pair = {"messages": [{"role": "system", "content": "Be brief."}, *turns], "chosen": {"content": "a"}, "rejected": {"content": "b"}}
    assert preferences.orpo_row(pair) == {
        "system": "Be brief.",
        "chosen": [*turns, {"content": "a"}],
        "rejected": [*turns, {"content": "b"}],
    }


@pytest.mark.parametrize("opening", ["<a>", "<a><think></think>"])
def test_kto_is_written_out_with_the_students_template(tmp_path, opening):
    # The second template asks for an answer differently from how it writes one.
    def render(chat: Any, is_to_come: bool) -> str:
        text = "".join(f"<{message['role'][0]}>{message['content']}\n" for message in chat)
        return text + opening if is_to_come else text

    path = tmp_path / "kto-0.jsonl"
    path.write_text(to_json({"prompt": ASKED, "completion": [{"role": "assistant", "content": "yes"}], "label": False}) + "\n")
    written = preferences.for_axolotl(path, "kto", lambda: render)
    assert json.loads(written.read_text()) == {"prompt": f"<u>Q\n{opening}", "completion": "yes", "label": False}


# Runs of the real command


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a finished run without preferences, then with them; the training file's bytes after each, and the calls."""
    project = Project(tmp_path_factory.mktemp("preferences"), seeds=5)
    with FakeServer(Varied(MathReplies(wrong=0.4))) as server:
        project.configure(server, budget={"samples": 15})
        project.run()
        before = project.training_bytes, server.count, (project.out / "samples.jsonl").read_bytes()
        project.configure(server, budget={"samples": 15}, preferences=True)
        done = project.run()
        yield project, server, before, done


def test_preferences_of_a_finished_run_ask_nobody_and_change_nothing_else(made):
    project, server, before, done = made
    assert done.code == 0, done.err
    assert (project.training_bytes, server.count, (project.out / "samples.jsonl").read_bytes()) == before
    files = project.manifest["files"]
    rejected = sum(sample["reason"] == "final_answer" for sample in project.samples)
    assert 0 < files["preferences"]["rows"] <= rejected
    assert files["preferences"]["counts"] == {"final_answer": files["preferences"]["rows"]}
    assert files["kto"]["counts"] == {"desirable": files["train"]["rows"], "undesirable": rejected}
    for kind in ("preferences", "kto"):
        content = (project.out / files[kind]["path"]).read_bytes()
        assert files[kind]["sha256"] == hashlib.sha256(content).hexdigest()
        assert files[kind]["path"] == f"{kind}-{files[kind]['sha256'][:12]}.jsonl"
        assert files[kind]["rows"] == len(content.splitlines())
    assert f"{files['preferences']['rows']} pairs ({files['preferences']['rows']} by final_answer) in out/preferences-" in done.out
    card = yaml.safe_load((project.out / "README.md").read_text().split("---")[1])
    assert card["configs"][1] == {"config_name": "preferences", "data_files": files["preferences"]["path"]}


def test_a_run_with_preferences_from_the_start_makes_the_same_files(made, tmp_path):
    project, server, *_ = made
    another = Project(tmp_path, seeds=5)
    another.configure(server, budget={"samples": 15}, preferences=True)
    another.out.mkdir()
    (another.out / "ledger.sqlite").write_bytes((project.out / "ledger.sqlite").read_bytes())
    before = server.count
    assert another.run().code == 0
    assert server.count == before
    assert another.manifest["files"] == project.manifest["files"]


def test_a_file_of_preferences_that_is_gone_or_changed_is_made_again(made):
    project, server, before, _ = made
    files = project.manifest["files"]
    path = project.out / files["preferences"]["path"]
    content = path.read_bytes()
    path.write_text("mine\n")
    done = project.run()
    assert done.code == 0 and f"it is kept as out/{path.name}.changed" in done.err
    assert path.read_bytes() == content and path.with_name(f"{path.name}.changed").read_text() == "mine\n"
    (project.out / files["kto"]["path"]).unlink()
    assert project.run().code == 0
    assert project.manifest["files"] == files and (project.out / files["kto"]["path"]).exists()
    assert server.count == before[1]


def test_a_reason_that_no_check_has_is_refused_before_any_call(tmp_path):
    project = Project(tmp_path, seeds=3)
    project.configure("http://127.0.0.1:9/v1", preferences={"reasons": ["final_anser"]})
    done = project.run("plan")
    assert done.code == 2
    assert "no check of this run is named final_anser; there are execution, final_answer, format, judge, review" in done.err


@pytest.mark.parametrize(
    "value, says",
    [
        ({"reasons": ["near_duplicate"]}, "near_duplicate finds no wrong answers"),
        ({"reasons": []}, "synthetic.preferences.reasons"),
        ({"pairs": 3}, "synthetic.preferences.pairs: unknown key; known here: reasons, per_question"),
        ("yes please", "synthetic.preferences"),
    ],
)
def test_a_wrong_block_is_refused(value, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_settings({"preferences": value})


@pytest.mark.parametrize("value", [None, False])
def test_preferences_are_off_unless_asked_for(value):
    assert load_settings({"preferences": value}).preferences is None


@pytest.mark.slow
def test_the_report_shows_pairs_by_reason(made):
    project, *_ = made
    block = yaml.safe_load((project.folder / "config.yml").read_text())["synthetic"]
    settings = load_settings({**block, "output_dir": str(project.out), "seeds": {"path": "gone"}})
    page = report.write(run.find(settings)).read_text(encoding="utf-8")
    rows = project.manifest["files"]["preferences"]["rows"]
    assert "Pairs by what rejected the wrong answer" in page
    assert f'scope="row">final_answer</th><td role="cell" data-of="pairs">{rows}</td>' in page
