"""`axolotl synthetic plan` as a user runs it: the table, the JSON, a pilot's calls, and their reuse by a run.

The pilots are made together, because each waits for seconds while distilabel starts.
"""

from __future__ import annotations

import json
import re
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

FIELDS = ("queries", "tokens", "usd", "hours", "accepted", "usd_per_accepted")
PRICE = {"input": 1.0, "output": 2.0}
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture
def narrow(monkeypatch) -> None:
    """Simulate a terminal of 80 columns for rich."""
    for name, value in {"COLUMNS": "80", "FORCE_COLOR": "1", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path / "project", seeds=100)


# Without a pilot: no call is made


def test_the_table_shows_the_decision_its_reasons_and_each_strategy_in_80_columns(project, narrow):
    project.configure(NOBODY, strategy="auto", budget={"samples": 4_000})
    done = project.run("plan")
    assert done.code == 0, done.err
    lines = re.sub(r"\x1b\[[\d;]*m", "", done.out).splitlines()
    assert max(map(len, lines)) <= 80
    # 4,000 samples of 100 seeds are 40 per seed, where the lead changes: ln(40 / 27) / ln(51 / 27) = 0.62.
    assert lines[0] == "strategy: answer_augmentation 38%, new_question 62%"
    assert "budget ratio 40.0" in lines[1]
    (calls,) = [line.split() for line in lines if line.split()[:1] == ["calls"]]
    # 4,000 samples at 1, 2 and 3 calls; the mix at 0.38 * 1 + 0.62 * 3 = 2.24.
    assert calls[1:] == ["4,000", "8,000", "12,000", "8,960"]
    assert "unknown" in done.out  # no price, no dollars
    assert "assumed: prompts as they will be sent" in done.out
    # The table comes before all lines with a dash.
    assert lines.index(next(line for line in lines if "within budget" in line)) < min(
        n for n, line in enumerate(lines) if line[:4] == "  - "
    )
    assert not project.out.exists()


def test_the_json_is_one_object_with_the_contracts_keys(project):
    project.configure(NOBODY, strategy="auto", budget={"samples": 1_000}, teacher={"price": PRICE})
    done = project.run("plan", "--json")
    data = json.loads(done.out)
    assert {"strategy", "budget_ratio", "crossover", "reasons", "estimates"} <= set(data)
    assert data["strategy"] == {"answer_augmentation": 1.0}
    assert data["budget_ratio"] == 10
    assert data["crossover"] == pytest.approx(37.11, abs=0.01)
    assert all(isinstance(reason, str) for reason in data["reasons"])
    assert list(data["estimates"]) == ["answer_augmentation", "question_rephrase", "new_question"]
    for one in data["estimates"].values():
        assert set(FIELDS) <= set(one)
        assert all(isinstance(one[field], int | float) for field in FIELDS)
        assert one["usd"] == pytest.approx(1_000 * one["usd_per_accepted"])
        assert (one["measured"], one["intervals"]) == (0, None)
    assert data["planned"] == data["estimates"]["answer_augmentation"]
    assert data["pilot"] is None


def test_the_student_of_the_config_is_named(project):
    project.configure(NOBODY, strategy="auto")
    path = project.folder / "config.yml"
    path.write_text(path.read_text() + "base_model: Qwen/Qwen2.5-0.5B\n")
    assert "not measured: the student Qwen/Qwen2.5-0.5B" in project.run("plan").out


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ({"samples": 1_000, "queries": 10}, ["answer_augmentation: 1,000 queries", "new_question: 3,000 queries", "at most 10 samples"]),
        ({"tokens": 100}, ["a single sample with tokens: 100", "needs room for its longest reply"]),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",), ("--pilot", "2")])
def test_a_budget_that_no_strategy_can_meet_ends_with_2_and_what_would(project, budget, says, options):
    project.configure(NOBODY, strategy="auto", budget=budget)
    done = project.run("plan", *options)
    assert done.code == 2
    assert done.out == ""
    for text in says:
        assert text in done.err
    assert "Traceback" not in done.err


def test_a_budget_that_only_some_can_meet_says_which(project):
    project.configure(NOBODY, strategy="auto", budget={"samples": 1_000, "queries": 2_500})
    done = project.run("plan")
    assert done.code == 0
    assert "only answer_augmentation and question_rephrase can make what is asked for" in done.out


def test_a_strategy_that_falls_short_says_where_it_ends(project):
    project.configure(NOBODY, strategy="new_question", budget={"samples": 1_000, "queries": 1_500})
    done = project.run("plan")
    assert done.code == 0
    assert "what is planned ends at about 500 samples" in done.out


# Pilots


@dataclass
class Piloted:
    """A pilot's output, and the server's calls until then."""

    project: Project
    server: FakeServer
    done: Done
    asked: int

    @property
    def data(self) -> dict[str, Any]:
        assert self.done.code == 0, self.done.err
        data: dict[str, Any] = json.loads(self.done.out)
        return data


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "answers": ({"reply": MathReplies(wrong=0.3)}, {"strategy": "auto", "budget": {"samples": 20}}),
    "new questions": ({}, {"strategy": "new_question", "budget": {"samples": 3}}),
    "few calls": ({}, {"strategy": "auto", "budget": {"queries": 11}}),
    "failing": ({"faults": [Fault("http_500")]}, {"strategy": "auto"}),
}


@pytest.fixture(scope="module")
def piloted(tmp_path_factory) -> Iterator[Callable[[str], Piloted]]:
    """Return the case's `plan --pilot 5 --json`; all of them start when the first is requested."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:

        def start(name: str) -> Piloted:
            server_options, block = CASES[name]
            server = stack.enter_context(FakeServer(**{"api_key": KEY, "latency": 0.02, **server_options}))
            project = Project(tmp_path_factory.mktemp("pilot") / "project", seeds=100)
            project.configure(server, **{"teacher": {"price": PRICE, "retries": 0}, **block})
            done = project.run("plan", "--pilot", "5", "--json")
            return Piloted(project, server, done, server.count)

        futures: dict[str, Future[Piloted]] = {name: pool.submit(start, name) for name in CASES}
        yield lambda name: futures[name].result()


def test_a_pilot_asks_for_so_many_of_each_strategy_and_measures_what_they_took(piloted):
    one = piloted("answers")
    assert one.asked == 5 * (1 + 2 + 3)
    assert one.server.repeated == 0
    purposes = dict(one.project.ledger("SELECT purpose, count(*) FROM calls GROUP BY purpose"))
    assert purposes == {"answer": 15, "rephrase": 5, "new_question": 5, "self_check": 5}
    answers = one.data["estimates"]["answer_augmentation"]
    assert answers["measured"] == 5
    assert answers["acceptance"] in (0.2, 0.4, 0.6, 0.8, 1.0)
    # 20 samples at that share of candidates of one call each.
    assert answers["queries"] == pytest.approx(20 / answers["acceptance"])
    # The first five seeds' answers, from the ledger: those of New Question and Question Rephrase are about other questions.
    low, high = answers["intervals"]["acceptance"]
    assert low < answers["acceptance"] <= high
    for name, one_of in one.data["estimates"].items():
        assert one_of["measured"] == 5, name
        for field in FIELDS:
            assert one_of["intervals"][field][0] <= one_of[field] <= one_of["intervals"][field][1]
    [[tokens]] = one.project.ledger("SELECT sum(prompt_tokens + completion_tokens) FROM calls")
    # Tokens of a candidate, times five, over all strategies: nothing was left out.
    assert sum(5 * each["tokens"] * each["acceptance"] / 20 for each in one.data["estimates"].values()) == pytest.approx(tokens)


def test_a_run_finds_the_pilots_calls_and_pays_nothing_twice(piloted):
    one = piloted("answers")
    assert one.data["strategy"] == {"answer_augmentation": 1.0}  # 20 samples of 100 seeds
    assert one.project.run().code == 0
    manifest = one.project.manifest
    assert manifest["queries"]["reused"] == 5
    assert manifest["queries"]["total"] == one.server.count == one.asked + manifest["counts"]["planned"] - 5
    assert one.server.repeated == one.project.paid_twice == 0
    assert manifest["counts"]["accepted"] == 20
    # They are its first candidates, in the order of the seeds.
    first = [row["requests"] for row in one.project.samples[:5]]
    assert max(max(requests) for requests in first) <= one.asked


def test_a_pilot_of_more_candidates_than_samples_are_asked_for_is_still_made_and_all_calls_of_each_are_found(piloted):
    one = piloted("new questions")
    assert one.data["strategy"] == {"new_question": 1.0}
    assert one.data["estimates"]["new_question"]["measured"] == 5
    assert one.asked == 30
    assert one.project.run().code == 0
    assert one.project.manifest["counts"]["accepted"] == 3
    assert one.project.manifest["queries"]["reused"] == 3 * 3
    assert one.server.count == 30


def test_a_pilot_keeps_to_the_budget_and_says_what_it_could_not_measure(piloted):
    one = piloted("few calls")
    assert one.done.code == 0, one.done.err
    assert one.asked <= 11
    [[spent]] = one.project.ledger("SELECT queries FROM spent")
    assert spent == one.asked
    measured = {name: each["measured"] for name, each in one.data["estimates"].items()}
    assert sum(measured.values()) < 15
    # The pilot's calls for the others are no longer available for the answers.
    taken = one.asked - measured["answer_augmentation"]
    assert one.data["estimates"]["answer_augmentation"]["queries"] <= 11 - taken + 1e-9
    assert one.project.run().code == 0
    assert one.server.count <= 11


def test_a_pilot_of_which_no_call_brings_a_reply_ends_with_3(piloted):
    one = piloted("failing")
    assert one.done.code == 3
    assert "candidates all failed" in one.done.err
    assert "http_500" in one.done.err


def test_a_pilots_table_has_intervals_and_fits_80_columns(piloted, narrow):
    one = piloted("answers")
    before = one.server.count
    done = one.project.run("plan", "--pilot", "5")
    assert done.code == 0, done.err
    assert one.server.count == before  # the same five of each, from the ledger
    lines = re.sub(r"\x1b\[[\d;]*m", "", done.out).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(re.search(r"[\d.]+–[\d.]+", line) for line in lines)
    assert "its interval, of 95 % or more" in done.out
    assert "assumed:" not in done.out
