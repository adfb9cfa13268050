"""Whole runs of the real command on a local server: sums, budgets, and which calls are repeated.

Independent runs are made together, because each waits for seconds while distilabel starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from fake_faults import Fault
from fake_replies import MathReplies
from fake_server import FakeServer
from projects import KEY, Done, Project

MIX = {"answer_augmentation": 0.5, "question_rephrase": 0.25, "new_question": 0.25}
# Temporary faults: a third of the questions meet one each; the server is away for a second and complains for another.
WEATHER = [
    Fault("go_away", calls=[12], away=1.0),
    Fault("http_429", calls=range(20, 26), retry_after=1),
    Fault("http_429", calls=range(26, 28), retry_after=1, as_date=True),
    *(Fault(kind, share=0.06, attempts=1) for kind in ("http_500", "invalid_json", "half_body", "null", "wrong_encoding", "no_choices")),
]
# Permanent faults of some questions.
POISON = [
    Fault("huge", calls=[3], megabytes=20),
    *(Fault(kind, share=0.06, sticky=True) for kind in ("content_filter", "refused", "context_length", "length")),
    Fault("html", share=0.06, sticky=True),
]


@dataclass
class Case:
    """A server and the block of a run."""

    server: dict[str, Any]
    block: dict[str, Any]
    seeds: int = 100


CASES = {
    "answer_augmentation": Case({"reply": MathReplies(wrong=0.2)}, {"budget": {"samples": 30}}),
    "question_rephrase": Case({"reply": MathReplies(wrong=0.2)}, {"strategy": "question_rephrase", "budget": {"samples": 20}}),
    "new_question": Case({"reply": MathReplies(doubt=0.3)}, {"strategy": "new_question", "budget": {"samples": 20}}),
    "mix": Case({"reply": MathReplies(wrong=0.2, doubt=0.2)}, {"strategy": MIX, "budget": {"samples": 40}}),
    "duplicates": Case({}, {"budget": {"samples": 15}}, seeds=10),
    "weather": Case(
        {"reply": MathReplies(wrong=0.2), "faults": WEATHER, "latency": 0.05}, {"budget": {"samples": 30}, "teacher": {"concurrency": 8}}
    ),
    "poison": Case({"faults": POISON}, {"budget": {"samples": 90}, "teacher": {"retries": 0}}, seeds=160),
    "queries": Case(
        {"faults": [Fault(kind, share=0.07) for kind in ("http_500", "http_429", "reset_before_headers")], "latency": 0.02},
        {"strategy": MIX, "budget": {"queries": 60}},
    ),
    "tokens": Case({"latency": 0.02}, {"budget": {"tokens": 12_000}}),
    "usd": Case({"latency": 0.02}, {"budget": {"usd": 0.02}, "teacher": {"price": {"input": 1.0, "output": 2.0}}}),
    "only failing": Case({"faults": [Fault("http_500")]}, {"teacher": {"retries": 0}}),
    "401": Case({"faults": [Fault("http_401", calls=range(10, 10_000))]}, {}),
    "unknown model": Case({"models": ["another-model"]}, {}),
}


@dataclass
class Made:
    project: Project
    server: FakeServer
    done: Done

    @property
    def by_reason(self) -> Counter[str]:
        return Counter(row["reason"].split(":")[0] for row in self.project.samples if row["status"] != "accepted")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Made]]:
    """Return the case's run; all of them start when the first is requested."""
    tmp_path_factory.getbasetemp()  # created at its first use, which two threads must not do at once
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:

        def start(case: Case) -> Made:
            project = Project(tmp_path_factory.mktemp("case"), case.seeds)
            server = stack.enter_context(FakeServer(**{"api_key": KEY} | case.server))
            project.configure(server, **case.block)
            return Made(project, server, project.run())

        futures: dict[str, Future[Made]] = {name: pool.submit(start, case) for name, case in CASES.items()}
        yield lambda name: futures[name].result()


def adds_up(one: Made) -> dict[str, Any]:
    """Return the manifest after checking everything in it that can be counted elsewhere."""
    assert one.done.code == 0, one.done.err
    manifest, samples = one.project.manifest, one.project.samples
    status = Counter(row["status"] for row in samples)
    counts = manifest["counts"]
    assert counts == {"planned": len(samples)} | {name: status[name] for name in ("accepted", "rejected", "failed")}
    assert manifest["rejections"] == Counter(row["reason"] for row in samples if row["status"] == "rejected")
    queries = manifest["queries"]
    assert queries["total"] == one.server.count
    assert queries["total"] == sum(queries[purpose] for purpose in ("answer", "rephrase", "new_question", "self_check", "judge"))
    assert len({row["id"] for row in samples}) == len(samples)
    assert manifest["files"]["train"]["rows"] == counts["accepted"] + one.project.seeds
    assert one.project.training_bytes.count(b"\n") == manifest["files"]["train"]["rows"]
    assert one.project.outcomes.get("sent", 0) == 0
    return manifest


# Sums, and a budget of samples


@pytest.mark.parametrize("name", ["answer_augmentation", "question_rephrase", "new_question", "mix"])
def test_a_run_adds_up_and_makes_exactly_the_samples_asked_for_and_no_call_too_many(made, name):
    one = made(name)
    manifest = adds_up(one)
    assert manifest["status"] == "complete"
    assert manifest["counts"]["accepted"] == CASES[name].block["budget"]["samples"]
    assert manifest["counts"]["rejected"] > 0
    # Every call belongs to a sample.
    assert one.server.count == sum(len(row["requests"]) for row in one.project.samples)
    # The last candidate was needed.
    assert one.project.samples[-1]["status"] == "accepted"


def test_shares_are_kept(made):
    planned = Counter(row["strategy"] for row in made("mix").project.samples)
    for name, share in MIX.items():
        assert abs(planned[name] - share * planned.total()) <= 1


def test_duplicates_are_rejected_in_order_until_200_candidates_brought_nothing(made):
    # Ten questions and a server with equal replies: from the second round on nothing is new.
    one = made("duplicates")
    manifest = adds_up(one)
    assert manifest["status"] == "budget_exhausted"
    assert manifest["counts"] == {"planned": 210, "accepted": 10, "rejected": 200, "failed": 0}
    assert manifest["rejections"] == {"duplicate": 200}
    assert [row["status"] for row in one.project.samples[:10]] == ["accepted"] * 10


# Other budgets


@pytest.mark.slow
def test_queries_are_never_passed_retries_included(made):
    one = made("queries")
    manifest = adds_up(one)
    assert manifest["status"] == "budget_exhausted"
    assert one.server.count <= 60
    assert manifest["queries"]["total"] >= 58  # a chain of three may no longer fit
    assert manifest["queries"]["retried"] > 0
    assert sum(one.server.struck.values()) > 0


def test_tokens_are_never_passed_and_are_used_up(made):
    one = made("tokens")
    manifest = adds_up(one)
    used = sum(manifest["tokens"].values())
    [[longest]] = one.project.ledger("SELECT max(max_new_tokens + 2000) FROM calls")
    assert 12_000 - longest < used <= 12_000
    assert one.server.answered == manifest["counts"]["planned"]


def test_usd_are_never_passed(made):
    manifest = adds_up(made("usd"))
    prompt, completion = manifest["tokens"]["prompt"], manifest["tokens"]["completion"]
    assert manifest["usd"] == pytest.approx((prompt * 1.0 + completion * 2.0) / 1e6)
    assert 0.016 < manifest["usd"] <= 0.02


# Faults


def test_what_passes_changes_no_byte_of_the_training_file(made):
    calm, stormy = made("answer_augmentation"), made("weather")
    manifest = adds_up_after_a_storm(stormy)
    # Faults of a share of first attempts may be missing: the server's absence may have taken these attempts.
    assert {"go_away", "http_429"} <= set(stormy.server.struck) and len(stormy.server.struck) >= 4
    assert manifest["queries"]["retried"] > 0
    assert stormy.project.training_bytes == calm.project.training_bytes
    assert [row["status"] for row in stormy.project.samples] == [row["status"] for row in calm.project.samples]


def adds_up_after_a_storm(one: Made) -> dict[str, Any]:
    """Check the sums by the ledger: only it knows calls that never left, and a reset connection may have had more than one."""
    assert one.done.code == 0, one.done.err
    counts = one.project.manifest["counts"]
    assert counts["planned"] == counts["accepted"] + counts["rejected"] + counts["failed"] == len(one.project.samples)
    return one.project.manifest


def test_what_never_passes_fails_its_own_row_with_a_reason(made):
    one = made("poison")
    manifest = adds_up(one)
    assert manifest["counts"]["accepted"] == 90
    struck = one.server.struck
    assert one.by_reason == {
        "reply_too_large": struck["huge"],
        "content_filter": struck["content_filter"] + struck["refused"],
        "context_length": struck["context_length"],
        "invalid_json": struck["html"],
        "format": struck["length"],
    }
    assert min(one.by_reason.values()) > 0


def test_a_teacher_that_only_fails_ends_the_run_after_twenty_candidates(made):
    one = made("only failing")
    assert one.done.code == 3
    assert "candidates all failed, the last with `http_500: injected 500`; see that the teacher works" in one.done.err
    assert 20 <= one.server.count <= 20 + 16
    assert one.project.outcomes == {"failed": one.server.count}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("401", "refuses the key (HTTP 401"),
        ("unknown model", "does not know the model 'fake-model'"),
    ],
)
def test_a_refusal_that_holds_for_every_call_ends_the_run_at_once_and_keeps_what_was_paid_for(made, name, said):
    one = made(name)
    assert one.done.code == 3
    assert said in one.done.err
    assert "Traceback" not in one.done.err
    outcomes = one.project.outcomes
    assert outcomes.get("ok", 0) == one.server.answered == (0 if name == "unknown model" else 10)
    assert outcomes["failed"] <= 16
    assert not (one.project.out / "manifest.json").exists()


# Started again


def test_a_finished_run_is_not_made_again(made):
    one = made("mix")
    before = one.server.count
    done = one.project.run()
    assert (done.code, one.server.count) == (0, before)
    assert "nothing to do: this run was finished before" in done.out


def test_a_rerun_from_the_ledger_alone_asks_nothing_and_writes_the_same_bytes(made):
    one = made("new_question")
    before, calls, manifest = one.project.training_bytes, one.server.count, one.project.manifest
    one.project.forget_all_but_the_ledger()
    one.project.configure(one.server, teacher={"concurrency": 3, "timeout": 30, "retries": 1}, **CASES["new_question"].block)
    done = one.project.run()
    assert (done.code, one.server.count) == (0, calls)
    again = one.project.manifest
    assert one.project.training_bytes == before
    assert again["counts"] == manifest["counts"]
    assert again["queries"] == manifest["queries"] | {"reused": calls}


def test_other_checks_shares_and_a_larger_budget_reuse_what_is_there(made):
    one = made("question_rephrase")
    calls = one.server.count
    shares = {"question_rephrase": 0.5, "answer_augmentation": 0.5}
    one.project.configure(one.server, strategy=shares, budget={"samples": 44}, verify=["format"])
    done = one.project.run()
    assert done.code == 0, done.err
    manifest = one.project.manifest
    # Without the checks that rejected, each candidate is accepted: 22 of each strategy; the rephrased ones are already in the ledger.
    assert manifest["counts"] == {"planned": 44, "accepted": 44, "rejected": 0, "failed": 0}
    rephrased = calls // 2
    assert one.server.count - calls == 22 + max(0, 22 - rephrased) * 2
    assert manifest["queries"]["reused"] == min(22, rephrased) * 2
    assert one.server.repeated == 0


def test_with_a_longer_limit_only_replies_that_were_cut_off_are_asked_again(tmp_path):
    def reply(body: dict[str, Any]) -> str:
        text = MathReplies()(body)
        jars = int(body["messages"][-1]["content"].split()[2])
        return text if jars % 3 else "So. " * 100 + text  # 100 tokens more

    project = Project(tmp_path / "project", seeds=40)
    with FakeServer(reply) as server:
        project.configure(server, teacher={"generation": {"max_new_tokens": 90}})
        assert project.run().code == 0
        cut_off = [row["seed_id"] for row in project.samples if row["status"] == "rejected"]
        first, calls = len(project.samples), server.count
        assert (calls, project.manifest["counts"]["accepted"]) == (first, 20)
        project.configure(server, teacher={"generation": {"max_new_tokens": 900}})
        assert project.run().code == 0
    asked_again = [row["seed_id"] for row in project.samples if row["requests"][0] > calls]
    assert project.manifest["counts"] == {"planned": 20, "accepted": 20, "rejected": 0, "failed": 0}
    assert server.count - calls == len(asked_again) > 3
    assert set(asked_again) <= set(cut_off)
    assert project.paid_twice == 0


# Ownership of a folder, and problems before the first call


def test_other_seeds_and_another_task_are_refused_with_the_difference(made):
    one = made("tokens")
    calls = one.server.count
    try:
        one.project.write_seeds(range(10, 105))
        seeds = one.project.run()
        one.project.write_seeds(range(100))
        one.project.configure(one.server, task="instruction", budget={"tokens": 12_000})
        task = one.project.run()
    finally:
        one.project.write_seeds(range(100))
    assert (seeds.code, task.code) == (2, 2)
    assert "was made with other seeds: 90 are the same, 5 are new, 10 are gone; choose another output_dir" in seeds.err
    assert "was made for the task math, and this config says instruction; choose another output_dir" in task.err
    assert one.server.count == calls


def test_a_teacher_that_cannot_be_reached_ends_the_run_before_it_begins(tmp_path):
    project = Project(tmp_path / "project")
    with FakeServer() as server:
        project.configure(server)
    done = project.run()
    assert done.code == 3
    assert "cannot be reached" in done.err
    assert done.err.count("\n") == 1


def test_a_key_that_is_missing_ends_the_run_before_it_begins(tmp_path):
    project = Project(tmp_path / "project")
    project.configure("http://api.example.invalid/v1", teacher={"api_key_env": "NO_SUCH_VARIABLE"})
    done = project.run()
    assert done.code == 2
    assert "NO_SUCH_VARIABLE is not set" in done.err


# The key: last, after everything else has been written


def test_the_key_is_in_nothing_that_any_run_left_behind(made):
    searched = 0
    for name in CASES:
        project = made(name).project
        assert KEY not in "".join(project.said)
        for path in project.folder.rglob("*"):
            if path.is_file():
                searched += 1
                assert KEY.encode() not in path.read_bytes(), path
        assert project.ends()
        assert list(project.temporary.iterdir()) == []
    assert searched > 5 * len(CASES)


@pytest.mark.slow
def test_what_people_decided_stays_when_a_run_goes_on(tmp_path):
    from axolotl_synthetic.review import kept, page

    project = Project(tmp_path / "p", seeds=30)
    with FakeServer() as server:
        project.configure(server, budget={"samples": 10})
        assert project.run().code == 0
        first, *others = project.samples
        answer = kept.Answer("ann", "u1", "2026-01-01T00:00:00Z", "reject")
        record = kept.Kept("synthetic/review", "d1", first["id"], page.content_of(first), answers=(answer,))
        kept.write(project.out, {record.key: record})
        project.configure(server, budget={"samples": 20})
        assert project.run().code == 0
    after = {row["id"]: row for row in project.samples}
    assert (after[first["id"]]["status"], after[first["id"]]["reason"]) == ("rejected", "review")
    assert [after[row["id"]] for row in others] == others
    assert project.manifest["counts"] == {"planned": 20, "accepted": 19, "rejected": 1, "failed": 0}
    assert project.manifest["files"]["train"]["rows"] == 49  # 30 seeds and 19 samples
