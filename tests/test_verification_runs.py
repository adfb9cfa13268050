"""Whole runs with checks that ask a model: what they cost, what they reject, and what a rerun pays for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fake_replies import MathReplies
from fake_server import FakeServer
from projects import Project


def adds_up(project: Project) -> dict[str, Any]:
    manifest = project.manifest
    counts, queries = manifest["counts"], manifest["queries"]
    assert counts["planned"] == counts["accepted"] + counts["rejected"] + counts["failed"] == len(project.samples)
    purposes = ("answer", "rephrase", "new_question", "self_check", "judge")
    assert queries["total"] == sum(queries[purpose] for purpose in purposes) == len(project.ledger("SELECT 1 FROM calls"))
    return manifest


def test_votes_of_a_seeds_answers_are_shared_and_an_answer_against_them_is_rejected(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", seeds=6)
    replies = MathReplies(wrong=0.2)
    with FakeServer(replies, vary_repeats=True) as server:
        project.configure(
            server, budget={"samples": 1_000, "queries": 30}, verify=["format", {"self_consistency": {"k": 5, "threshold": 0.5}}]
        )
        assert project.run().code == 0
        # 6 seeds of 5 answers each: 30 calls, and all 25 to 30 votes of the candidates come from them.
        manifest = adds_up(project)
        assert manifest["queries"]["total"] == server.count == 30
        assert manifest["counts"]["planned"] == 30
        votes = [next(check["detail"] for check in row["checks"] if check["name"] == "self_consistency") for row in project.samples]
        assert all(len(json.loads(detail.partition("votes: ")[2])) == 5 for detail in votes)
        for row in project.samples:
            jars, cards = map(int, re.findall(r"(\d+) jars with (\d+) cards", row["question"])[0])
            if row["status"] == "accepted":
                # The fake model errs in a fifth of its answers, so a majority of five is right.
                assert row["final_answer"] == str(jars * cards)
        assert project.paid_twice == 0


def test_a_judge_rejects_below_its_threshold_fails_what_cannot_be_read_and_keeps_to_the_budget(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", seeds=12)
    solve = MathReplies()

    def reply(body: dict[str, Any], key: int | None = None) -> str:
        asked = str(body["messages"][-1]["content"])
        mark = re.search(r"Last line: Score (\w+): <number>", asked)
        if mark is None:
            return solve(body, key)
        jars = int(re.findall(r"(\d+) jars", asked)[0])
        # Seeds have 2 to 13 jars: from 10 on a reply without a score, odd ones a bad one.
        return "I cannot say." if jars >= 10 else f"Weighed.\nScore {mark[1]}: {2 if jars % 2 else 5}"

    with FakeServer(reply) as server:
        project.configure(server, budget={"samples": 1_000, "queries": 24}, verify=["format", {"judge": {"threshold": 4}}])
        assert project.run().code == 0
        manifest = adds_up(project)
        # One answer and one judgement for each of the 12 seeds.
        assert manifest["queries"]["answer"] == manifest["queries"]["judge"] == 12
        by_jars = {int(re.findall(r"(\d+) jars", row["question"])[0]): row for row in project.samples}
        assert {jars for jars, row in by_jars.items() if row["status"] == "accepted"} == {2, 4, 6, 8}
        assert {jars for jars, row in by_jars.items() if row["reason"] == "judge"} == {3, 5, 7, 9}
        assert {jars for jars, row in by_jars.items() if row["status"] == "failed"} == {10, 11, 12, 13}
        assert all(
            row["reason"].startswith("judge: its reply does not end in a score") for row in by_jars.values() if row["status"] == "failed"
        )
        before = project.training_bytes
        project.forget_all_but_the_ledger()
        assert project.run().code == 0
        assert server.count == 24
        assert project.training_bytes == before


@pytest.mark.parametrize(("may_fail", "code"), [(0.02, 2), (0.5, 0)])
def test_seeds_whose_own_answer_fails_the_checks_are_listed_and_stop_the_run_above_the_share_allowed(tmp_path, may_fail, code):
    project = Project(tmp_path / "project", seeds=10)
    path = project.folder / "seeds.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["answer"] = "I cannot help with that.\n#### 15"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with FakeServer() as server:
        project.configure(server, seeds={"path": "seeds.jsonl", "may_fail": may_fail}, budget={"samples": 5})
        done = project.run()
        assert done.code == code, done.err
        assert "seeds.jsonl:4" in done.err
        assert "its own answer fails format" in done.err
        if code:
            assert "1 of 10 seeds fail the checks of this run with their own answers (10.0%, and seeds.may_fail is 0.02)" in done.err
            assert server.count == 0
