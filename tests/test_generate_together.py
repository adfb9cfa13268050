"""Whole runs with `samples_per_call`: requests, cost, records and samples, and servers that give one reply at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fake_faults import Fault
from fake_profiles import Several, math, refused
from fake_server import FakeServer
from projects import Project, until

# Fewer than the seeds, so that a prompt's rounds are requested one after another.
TEACHER = {"concurrency": 4, "generation": {"max_new_tokens": 64}}
PRICE = {"input": 1.0, "output": 10.0}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", seeds=10)


def run(project: Project, server: FakeServer, per_call: Any, **block: Any) -> Any:
    teacher = {**TEACHER, "samples_per_call": per_call, "price": PRICE, **block.pop("teacher", {})}
    project.configure(server, teacher=teacher, **{"budget": {"samples": 40}, "verify": ["format", "final_answer"], **block})
    return project.run()


@pytest.mark.slow
def test_the_same_replies_give_the_same_samples_with_each_prompt_paid_once(project, tmp_path):
    one, profile, billed = Several(), Several(), []

    def several(body: dict[str, Any]) -> Any:
        answer = profile(body)
        billed.append(answer[1]["usage"])
        return answer

    other = Project(tmp_path / "other", seeds=10)
    with FakeServer(one) as server:
        assert run(project, server, 1).code == 0
    with FakeServer(several) as server:
        assert run(other, server, 4).code == 0
        # Ten seeds, four answers each; each prompt was sent four times, or once.
        assert (one.asked, profile.asked) == ([1] * 40, [4] * 10)
        made = other.training_bytes
        assert made == project.training_bytes
        assert other.manifest["counts"] == project.manifest["counts"]
        assert other.manifest["queries"]["total"] == project.manifest["queries"]["total"] == 40
        assert other.manifest["queries"]["reused"] == 0
        tokens = [of.manifest["tokens"] for of in (project, other)]
        assert tokens[0]["prompt"] == 4 * tokens[1]["prompt"]
        assert tokens[0]["completion"] == tokens[1]["completion"]
        # Each is a row of the ledger, and their sums are what was billed.
        assert other.ledger("SELECT count(*), count(DISTINCT key) FROM calls WHERE outcome = 'ok'") == [(40, 40)]
        [sums] = other.ledger("SELECT sum(prompt_tokens), sum(completion_tokens), sum(usd) FROM calls")
        prompt, completion = (sum(usage[name] for usage in billed) for name in ("prompt_tokens", "completion_tokens"))
        assert sums[:2] == (prompt, completion)
        assert sums[2] == pytest.approx((prompt * 1 + completion * 10) / 1e6)
        assert other.ledger("SELECT tokens FROM spent") == [(prompt + completion,)]
        # With one reply per call, the same run finds all of them in the ledger.
        other.forget_all_but_the_ledger()
        assert run(other, server, 1).code == 0
        assert server.count == 10
    assert other.training_bytes == made


@pytest.mark.slow
def test_a_run_of_single_calls_goes_on_with_several_and_asks_for_what_is_missing_alone(project):
    profile = Several()
    with FakeServer(profile) as server:
        assert run(project, server, 1, budget={"samples": 20}).code == 0
        assert run(project, server, 4, budget={"samples": 40}).code == 0
    # Two rounds of ten seeds, and the remaining two in one call each.
    assert profile.asked == [1] * 20 + [2] * 10
    assert project.paid_twice == 0
    assert set(project.outcomes) == {"ok"}


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(Several(most=1), id="ignored"),
        pytest.param(
            Several(refuses=refused("'n' : number must be at most 1. This is not supported", "n")), marks=pytest.mark.slow, id="refused"
        ),
    ],
)
def test_a_server_that_gives_one_at_a_time_is_asked_for_one_at_a_time_from_then_on(project, profile):
    with FakeServer(profile) as server:
        done = run(project, server, 4)
        assert done.code == 0, done.err
        # The first calls were concurrent; replies that they did not get were not paid for, and none is missing.
        assert sum(number > 1 for number in profile.asked) <= TEACHER["concurrency"]
        assert profile.asked[-20:] == [1] * 20
        assert server.answered - (server.count - 40) <= 40 + TEACHER["concurrency"]
    assert project.manifest["counts"]["accepted"] == 40
    assert project.manifest["queries"]["total"] == 40
    assert project.outcomes["ok"] == 40
    assert project.paid_twice == 0
    # Reservations for replies that never came are free again.
    [[queries, tokens]] = project.ledger("SELECT queries, tokens FROM spent")
    assert (queries, tokens) == (40, sum(project.manifest["tokens"].values()))


@pytest.mark.slow
def test_a_server_that_gives_fewer_than_asked_for_is_asked_for_as_many_as_it_gives(project):
    profile = Several(most=2)
    with FakeServer(profile) as server:
        assert run(project, server, 4).code == 0
    assert set(profile.asked[4:]) == {2}
    assert sum(min(number, 2) for number in profile.asked) == project.outcomes["ok"] == 40


@pytest.mark.parametrize(
    "limit",
    [
        {"usd": 0.05},
        pytest.param({"queries": 17}, marks=pytest.mark.slow),
        pytest.param({"tokens": 9_000}, marks=pytest.mark.slow),
    ],
)
def test_no_budget_is_exceeded_by_calls_that_bring_several(project, limit):
    with FakeServer(Several()) as server:
        assert run(project, server, 8, budget={"samples": 80, **limit}).code == 0
    queries, tokens, usd = project.ledger("SELECT queries, tokens, usd FROM spent")[0]
    assert queries <= limit.get("queries", 1_000)
    assert tokens <= limit.get("tokens", 10**9)
    assert usd <= limit.get("usd", 10**9)
    # Every paid reply is used.
    assert project.manifest["counts"]["planned"] == project.outcomes["ok"]


def test_a_kill_between_pays_for_no_more_than_the_calls_under_way_again(project):
    profile = Several()
    with FakeServer(profile, latency=0.3) as server:
        teacher = {**TEACHER, "samples_per_call": 4}
        project.configure(server, teacher=teacher, budget={"samples": 40}, verify=["format", "final_answer"])
        running = project.start()
        # Replies are stored shortly after the server has sent them.
        assert until(lambda: server.answered >= 4 and project.outcomes.get("ok"))
        running.kill()
        running.wait()
        assert project.ends()
        kept = project.outcomes.get("ok", 0)
        assert kept % 4 == 0 < kept
        assert project.run().code == 0
        # Ten calls make the run; calls that were open at the kill were repeated once.
        assert server.count <= 10 + TEACHER["concurrency"]
    assert project.paid_twice == 0
    assert project.manifest["counts"]["accepted"] == 40


def test_a_refused_reply_among_several_fails_its_candidate_and_is_not_asked_for_again(project):
    refusing = Several()

    def reply(body: dict[str, Any]) -> Any:
        status, answer = refusing(body)
        for choice in answer["choices"][1:2]:
            choice["message"] = {"role": "assistant", "content": None, "refusal": "I will not."}
        return status, answer

    with FakeServer(reply) as server:
        assert run(project, server, 4, budget={"queries": 40}).code == 0
        assert server.count == 10
    assert project.outcomes == {"ok": 30, "failed": 10}
    failed = [row for row in project.samples if row["status"] == "failed"]
    assert {row["reason"] for row in failed} == {"refusal: I will not."}
    assert len(failed) == 10


@pytest.mark.slow
def test_a_call_for_several_that_fails_is_made_again_for_several(project):
    profile = Several()
    with FakeServer(profile, [Fault("http_500", calls=range(3)), Fault("http_429", calls=range(3, 5), retry_after=0)]) as server:
        assert run(project, server, 4).code == 0
    # While a call waits for its retry, its seed's next candidate may request the other three.
    assert sum(profile.asked) == project.outcomes["ok"] == 40
    assert len(profile.asked) < 20
    [[queries]] = project.ledger("SELECT queries FROM spent")
    # A 500 may have been billed for all requested replies; a 429 counts as one query.
    assert 40 + 3 + 2 <= queries <= 40 + 3 * 4 + 2


def test_votes_come_with_one_call(project):
    profile = Several()
    with FakeServer(profile) as server:
        block = {"strategy": "question_rephrase", "budget": {"samples": 5}, "verify": ["format", {"self_consistency": {"k": 5}}]}
        done = run(project, server, "auto", **block)
        assert done.code == 0, done.err
        asked = [call.body.get("n", 1) for call in server.calls]
    # A rewording, its answer, and the four further votes at once.
    assert sorted(asked[:3]) == [1, 1, 4] or asked.count(4) == asked.count(1) / 2
    assert project.manifest["queries"]["answer"] == 5 * asked.count(4)


def test_what_rejection_makes_necessary_beyond_is_asked_for_one_by_one(project):
    def text(body: dict[str, Any]) -> str | None:
        return "I do not know." if body["seed"] == 0 else math(body)

    profile = Several(text=text)
    with FakeServer(profile) as server:
        assert run(project, server, 4).code == 0
    assert profile.asked[:10] == [4] * 10
    assert set(profile.asked[10:]) == {1}
    assert project.manifest["counts"]["accepted"] == 40
