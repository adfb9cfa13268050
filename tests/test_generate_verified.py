"""Whole runs with checks that ask a model, and with seeds that fail their own checks: sums, costs, and repeated calls.

As in `test_generate.py`, independent runs are made together.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from test_generate import Case, Made, adds_up

from fake_replies import MathReplies, request_key
from fake_server import FakeServer
from projects import KEY, Project, seed

MIX = {"answer_augmentation": 0.5, "question_rephrase": 0.25, "new_question": 0.25}
VOTES = ["format", "final_answer", "duplicate", {"self_consistency": {"k": 4, "threshold": 0.5}}]
JUDGED = ["format", {"judge": {"threshold": 4}}, "duplicate"]


class Varied:
    """Gives another reply to each repeated request, like a model at a temperature above 0."""

    def __init__(self, replies: MathReplies) -> None:
        self.replies = replies
        self.asked: Counter[int] = Counter()

    def __call__(self, body: dict[str, Any]) -> str:
        key = request_key(body)
        self.asked[key] += 1
        return self.replies(body, key + 0x5851F42D4C957F2D * self.asked[key])


CASES = {
    "votes": Case({"reply": Varied(MathReplies(wrong=0.25))}, {"verify": VOTES, "budget": {"samples": 40}}, seeds=8),
    "votes on a mix": Case(
        {"reply": Varied(MathReplies(wrong=0.2))}, {"verify": VOTES, "strategy": MIX, "budget": {"samples": 20}}, seeds=8
    ),
    "votes within queries": Case(
        {"reply": Varied(MathReplies(wrong=0.2)), "latency": 0.02}, {"verify": VOTES, "strategy": MIX, "budget": {"queries": 50}}, seeds=40
    ),
    "votes to the last call": Case(
        {"reply": Varied(MathReplies(wrong=0.2))},
        {"verify": ["format", {"self_consistency": {"k": 5}}], "budget": {"samples": 1_000, "queries": 30}},
        seeds=6,
    ),
    "judge": Case({"reply": MathReplies(harsh=0.2, mumbled=0.2)}, {"verify": JUDGED, "budget": {"samples": 20}}),
    "cap": Case({}, {"verify": ["format", {"diversity": {"per_seed": 1}}], "budget": {"queries": 60}}, seeds=12),
}
SLOW_CASES = {
    "votes within tokens": Case({"latency": 0.02}, {"verify": VOTES, "strategy": "question_rephrase", "budget": {"tokens": 12_000}}),
    "judge within usd": Case(
        {"latency": 0.02}, {"verify": JUDGED, "budget": {"usd": 0.02}, "teacher": {"price": {"input": 1.0, "output": 2.0}}}
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Made]]:
    """Return the case's run; all but the slow ones start when the first is requested."""
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        futures: dict[str, Future[Made]] = {}

        def start(case: Case) -> Made:
            project = Project(tmp_path_factory.mktemp("case"), case.seeds)
            server = stack.enter_context(FakeServer(**{"api_key": KEY} | case.server))
            project.configure(server, **case.block)
            return Made(project, server, project.run())

        def made(name: str) -> Made:
            for key, case in ({name: SLOW_CASES[name]} if name in SLOW_CASES else CASES).items():
                if key not in futures:
                    futures[key] = pool.submit(start, case)
            return futures[name].result()

        yield made


def verdicts(one: Made, name: str) -> Counter[bool | None]:
    return Counter(check["passed"] for row in one.project.samples for check in row["checks"] if check["name"] == name)


def votes_in(detail: str) -> list[str | None]:
    votes: list[str | None] = json.loads(detail.partition("votes: ")[2])
    return votes


# Votes


def test_votes_on_the_seeds_own_questions_cost_nothing_beyond_the_answers(made):
    one = made("votes")
    manifest = adds_up(one)
    # Eight seeds, and more than four answers to each: every vote is some candidate's own answer.
    assert manifest["counts"]["planned"] >= 4 * 8
    assert one.server.count == manifest["queries"]["answer"] == manifest["counts"]["planned"]
    assert one.project.paid_twice == 0
    assert manifest["rejections"].get("self_consistency", 0) > 0


def test_the_votes_stand_in_the_samples_and_decide_as_counted_by_hand(made):
    for row in made("votes").project.samples:
        [check] = [check for check in row["checks"] if check["name"] == "self_consistency"]
        votes = Counter(votes_in(check["detail"]))
        assert votes.total() == 4
        [(most, count), *others] = votes.most_common()
        majority = count >= 2 and not (others and others[0][1] == count)
        assert check["passed"] is (majority and most == row["final_answer"])


def test_all_candidates_of_a_seed_have_the_same_votes(made):
    seen: dict[str, set[str]] = {}
    for row in made("votes").project.samples:
        [check] = [check for check in row["checks"] if check["name"] == "self_consistency"]
        seen.setdefault(row["seed_id"], set()).add(check["detail"].partition("votes: ")[2])
    assert {len(votes) for votes in seen.values()} == {1}


def test_votes_on_questions_of_their_own_are_paid_and_counted(made):
    one = made("votes on a mix")
    manifest = adds_up(one)
    queries = manifest["queries"]
    others = Counter(row["strategy"] for row in one.project.samples)
    # A new or reworded question has four answers; the seeds' eight questions have four, or as many as there are candidates.
    own = 4 * (others["question_rephrase"] + others["new_question"])
    assert queries["answer"] == own + max(4 * min(8, others["answer_augmentation"]), others["answer_augmentation"])
    assert queries["rephrase"] == others["question_rephrase"]
    assert verdicts(one, "self_consistency")[True] >= manifest["counts"]["accepted"]


@pytest.mark.parametrize("name", ["votes within queries", pytest.param("votes within tokens", marks=pytest.mark.slow)])
def test_a_budget_is_never_passed_and_nothing_is_paid_for_half_a_sample(made, name):
    one = made(name)
    manifest = adds_up(one)
    budget = (CASES | SLOW_CASES)[name].block["budget"]
    assert manifest["status"] == "budget_exhausted"
    assert one.server.count <= budget.get("queries", 10**9)
    assert sum(manifest["tokens"].values()) <= budget.get("tokens", 10**9)
    assert manifest["counts"]["failed"] == 0
    assert manifest["counts"]["accepted"] > 0
    if name == "votes within queries":
        assert one.server.count >= 50 - 6  # the longest chain, of a new question, has six calls


def test_a_budget_for_the_votes_of_every_seed_is_spent_to_its_last_call(made):
    one = made("votes to the last call")
    # Six seeds of five answers each, which are all the votes: 30 calls, 30 candidates.
    assert adds_up(one)["queries"]["total"] == one.server.count == one.project.manifest["counts"]["planned"] == 30


# The judge


def test_every_answer_is_judged_once_and_the_manifest_counts_it(made):
    one = made("judge")
    manifest = adds_up(one)
    queries, counts = manifest["queries"], manifest["counts"]
    assert queries["judge"] == queries["answer"] == counts["planned"]
    assert manifest["rejections"] == {"judge": counts["rejected"]}
    assert counts["rejected"] > 0
    said = {check["detail"] for row in one.project.samples for check in row["checks"] if check["name"] == "judge"}
    assert said == {"5 on a scale from 1 to 5", "2 on a scale from 1 to 5, below 4"}
    assert f"{counts['rejected']} by judge: the judge's score is too low" in one.done.out


def test_a_judgement_that_cannot_be_read_is_a_failure_and_no_rejection(made):
    one = made("judge")
    mumbled = [row for row in one.project.samples if row["status"] == "failed"]
    assert len(mumbled) == one.project.manifest["counts"]["failed"] > 0
    assert {row["reason"] for row in mumbled} == {"judge: its reply does not end in a score: 'I would rather not say.'"}
    assert all(row["checks"] == [] for row in mumbled)


@pytest.mark.slow
def test_usd_are_never_passed_by_a_judge_either(made):
    manifest = adds_up(made("judge within usd"))
    assert 0.01 < manifest["usd"] <= 0.02
    assert manifest["queries"]["judge"] == manifest["queries"]["answer"]


# Started again


@pytest.mark.parametrize("name", ["votes on a mix", "judge"])
def test_a_rerun_asks_nothing_and_writes_the_same(made, name):
    one = made(name)
    before, samples, calls = one.project.training_bytes, one.project.samples, one.server.count
    one.project.forget_all_but_the_ledger()
    done = one.project.run()
    assert (done.code, one.server.count) == (0, calls)
    assert one.project.training_bytes == before
    assert one.project.samples == samples


@pytest.mark.slow
def test_another_rubric_is_another_run_with_the_same_answers(made):
    one = made("judge")
    calls, answers = one.server.count, one.project.manifest["queries"]["answer"]
    rubric = one.project.folder / "rubric.md"
    rubric.write_text("It counts.")
    block: dict[str, Any] = CASES["judge"].block | {"verify": ["format", {"judge": {"rubric": "rubric.md"}}]}
    one.project.configure(one.server, **block)
    assert one.project.run().code == 0
    assert one.project.manifest["queries"]["answer"] <= answers + 20
    assert one.server.count > calls
    again = one.server.count
    assert "nothing to do" in one.project.run().out
    rubric.write_text("It counts, and it rhymes.")
    assert "nothing to do" not in one.project.run().out
    assert one.server.count > again


# A cap


def test_a_cap_ends_a_run_whose_seeds_all_have_their_share(made):
    one = made("cap")
    manifest = adds_up(one)
    assert manifest["status"] == "complete"
    assert manifest["counts"] == {"planned": 12, "accepted": 12, "rejected": 0, "failed": 0}
    assert one.server.count == 12  # of the 60 calls that it might have made


def test_a_budget_that_the_cap_cannot_fill_is_refused_before_the_first_call(tmp_path):
    project = Project(tmp_path / "project", seeds=5)
    project.configure("http://127.0.0.1:9/v1", verify=[{"diversity": {"per_seed": 2}}], budget={"samples": 11})
    done = project.run()
    assert done.code == 2
    assert "11 samples cannot be had where verify.diversity.per_seed allows 5 seeds 10 together" in done.err


# The seeds themselves


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a short name, since the paths of sockets in it must be short."""
    return tmp_path_factory.mktemp("p") / "p"


def write(project: Project, *rows: dict[str, Any]) -> None:
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


REFUSED = {"question": "Ada has 3 jars with 5 cards each. How many are blue?", "answer": "I'm sorry, I can't answer that.\n#### 15"}
UNREADABLE = {"question": "Ada has 4 jars with 5 cards each. How many cards are there?", "answer": "It depends on how they were counted."}


@pytest.mark.parametrize(("bad", "said"), [(REFUSED, "seeds fail the checks"), (UNREADABLE, "rows cannot be used")])
def test_a_run_stops_before_its_first_call_when_too_many_seeds_fail_their_own_checks(folder, bad, said):
    project = Project(folder, seeds=0)
    rows = [bad | {"question": f"{bad['question']} ({number})"} for number in range(12)]
    write(project, *rows, *(seed(number) for number in range(200, 288)))
    with FakeServer() as server:
        project.configure(server, budget={"samples": 10})
        for command in ("generate", "preview"):
            done = project.run(command)
            assert done.code == 2, done.err
            assert f"12 of 100 {said}" in done.err
            assert "(12.0%, and seeds.may_fail is 0.02)" in done.err
        # Ten of them are named, each with its line.
        lines = {int(line) for line in re.findall(r"seeds\.jsonl:(\d+)\b", done.err)}
        assert len(lines) == 10
        assert lines <= set(range(1, 13))
        assert "… and 2 more" in done.err
        assert server.count == 0
        # A plan runs no checks, so it only knows the rows.
        assert project.run("plan").code == (2 if bad is UNREADABLE else 0)
        assert project.run("status").code == 2  # nothing was begun


def test_two_in_a_hundred_are_listed_and_the_run_goes_on(folder):
    project = Project(folder, seeds=0)
    write(project, REFUSED, UNREADABLE, *(seed(number) for number in range(200, 299)))
    with FakeServer() as server:
        project.configure(server, budget={"samples": 10})
        done = project.run()
    assert done.code == 0, done.err
    assert "seeds.jsonl:1 (" in done.err
    assert "its own answer fails format: the answer is a refusal" in done.err
    assert "seeds.jsonl:2: answer marks no final answer" in done.err


@pytest.mark.slow
def test_seeds_that_fail_may_be_used_all_the_same(folder):
    project = Project(folder, seeds=0)
    write(project, *(REFUSED | {"question": f"{REFUSED['question']} ({number})"} for number in range(3)))
    with FakeServer() as server:
        project.configure(server, budget={"samples": 3}, seeds={"path": "seeds.jsonl", "may_fail": 1.0})
        assert project.run().code == 0
    assert project.manifest["counts"]["accepted"] == 3


def test_a_seed_that_gives_a_held_out_one_away_is_told(folder):
    project = Project(folder, seeds=0)
    long = "In the harbour of the old town there were, one morning in May, {} boats with {} men each. How many men{}?"
    rows = [{"question": long.format(n, n + 1, " in all" * (n % 2)), "answer": f"#### {n * (n + 1)}"} for n in range(2, 12)]
    write(project, *rows)
    with FakeServer() as server:
        project.configure(server, budget={"samples": 3}, seeds={"path": "seeds.jsonl", "holdout": 2})
        done = project.run()
        assert server.count == 0
    assert done.code == 2
    assert "its own answer fails decontamination: " in done.err
