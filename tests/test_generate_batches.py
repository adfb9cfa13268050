"""Whole runs whose calls go out in batches, by both protocols: the content of a wave, a batch's possible ends, and its cost.

The scenes run in parallel, because most of each is waiting.
"""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from aiohttp import web
from fake_batches import FakeBatches

from fake_profiles import o_series
from fake_replies import MathReplies, request_key
from projects import KEY, Project, Running, until

SAMPLES = 20
AT_ONCE = 3
BOTH = ("openai", "anthropic")
PRICE = {"input": 1.0, "output": 2.0}
Scene = Callable[..., None]
SCENES: dict[str, tuple[Scene, tuple[Any, ...]]] = {}
_WRONG = MathReplies(wrong=0.2)


def scene(body: Scene | None = None, *, each: tuple[str, ...] = (), slow: bool = False) -> Any:
    """Make a test of a function that runs in a separate project, or one for each of several protocols."""
    if body is None:
        return lambda body: scene(body, each=each, slow=slow)
    for value in each or (None,):
        SCENES[body.__name__ + (f"[{value}]" if value else "")] = body, (value,) if value else ()

    if each:

        @pytest.mark.parametrize("protocol", each)
        def test(scenes: dict[str, Future[None]], protocol: str) -> None:
            scenes[f"{body.__name__}[{protocol}]"].result()

    else:

        def test(scenes: dict[str, Future[None]]) -> None:  # type: ignore[misc]
            scenes[body.__name__].result()

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return pytest.mark.slow(test) if slow else test


@pytest.fixture(scope="module")
def scenes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """Yield the requested scenes, all running."""
    selected = {item.name for item in request.session.items}
    tmp_path_factory.getbasetemp()  # created at its first use, which two threads must not do at once
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(body, Project(tmp_path_factory.mktemp("scene") / "project", seeds=2 * SAMPLES), *arguments)
            for name, (body, arguments) in SCENES.items()
            if name in selected
        }


def wrong(body: dict[str, Any]) -> str:
    return _WRONG(body, request_key(body))


def configure(project: Project, server: FakeBatches, protocol: str | None = "openai", **block: Any) -> None:
    """Write a config with batches, of a protocol; None: without."""
    teacher = {**block.pop("teacher", {})}
    if protocol is not None:
        teacher["batch"] = {"poll": 0.05, "protocol": protocol, **teacher.pop("batch", {})}
    base_url = teacher.pop("base_url", server.base_url)
    project.configure(base_url, **{"budget": {"samples": SAMPLES}, "teacher": teacher, **block})


def sizes(server: FakeBatches) -> list[int]:
    return [len(made.requests) for made in server.batches.values()]


def spent(project: Project) -> tuple[int, int, float]:
    [row] = project.ledger("SELECT queries, tokens, usd FROM spent")
    return row


def refused(status: int, message: str = "try again") -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


def adds_up(project: Project, server: FakeBatches) -> None:
    """Check that everything was paid once, is in the ledger, and is all that counts against the budget."""
    assert server.billed_twice == 0
    assert project.paid_twice == 0
    assert sum(server.billed.values()) == project.outcomes["ok"]
    assert "sent" not in project.outcomes
    manifest = project.manifest
    queries, tokens, usd = spent(project)
    assert queries == manifest["queries"]["total"]
    assert tokens == sum(manifest["tokens"].values())
    assert usd == pytest.approx(manifest["usd"] or 0.0)


# Waves


@scene(each=("answer_augmentation", "question_rephrase", "new_question"))
def test_a_run_goes_in_as_many_waves_as_its_chains_have_calls(project: Project, protocol: str) -> None:
    depth = {"answer_augmentation": 1, "question_rephrase": 2, "new_question": 3}[protocol]
    with FakeBatches() as server:
        configure(project, server, strategy=protocol)
        done = project.run()
        assert done.code == 0, done.err
        assert sizes(server) == depth * [SAMPLES]
        assert server.direct == 0
    adds_up(project, server)
    assert project.manifest["counts"]["accepted"] == SAMPLES


@scene(each=BOTH)
def test_the_same_replies_give_the_same_samples_and_the_same_training_bytes_as_without_batches(project: Project, protocol: str) -> None:
    mix = {"answer_augmentation": 0.5, "question_rephrase": 0.25, "new_question": 0.25}
    with FakeBatches(wrong) as server:
        configure(project, server, None, strategy=mix)
        assert project.run().code == 0
        plain = [{**row, "requests": len(row["requests"])} for row in project.samples]
        trained = project.training_bytes
        assert sum(made is not None for made in server.batches.values()) == 0
        asked, server.direct = server.direct, 0
        for path in project.out.iterdir():
            path.unlink() if path.is_file() else None
        configure(project, server, protocol, strategy=mix)
        done = project.run()
        assert done.code == 0, done.err
        assert server.direct == 0
    assert sum(server.billed.values()) == asked == project.manifest["queries"]["total"]
    assert [{**row, "requests": len(row["requests"])} for row in project.samples] == plain
    assert project.training_bytes == trained
    adds_up(project, server)


@scene
def test_teacher_and_augmenter_have_batches_of_their_own_and_one_may_have_none(project: Project) -> None:
    with FakeBatches() as teacher, FakeBatches() as augmenter:
        theirs = {"base_url": augmenter.base_url, "model": "fake-model", "batch": {"protocol": "anthropic", "poll": 0.05}}
        configure(project, teacher, strategy="new_question", augmenter=theirs)
        assert project.run().code == 0
        # The augmenter makes the question and its check, the teacher the answer.
        assert (sizes(augmenter), sizes(teacher), augmenter.direct, teacher.direct) == (2 * [SAMPLES], [SAMPLES], 0, 0)
        configure(project, teacher, None, strategy="new_question", augmenter=theirs, budget={"samples": SAMPLES + 5})
        assert project.run().code == 0
        assert (sizes(augmenter), sizes(teacher), teacher.direct) == ([SAMPLES, SAMPLES, 5, 5], [SAMPLES], 5)
    assert project.paid_twice == teacher.billed_twice == augmenter.billed_twice == 0
    assert set(project.outcomes) == {"ok"}


@scene(slow=True)
def test_a_wave_is_split_by_the_limits_of_calls_and_of_bytes(project: Project) -> None:
    with FakeBatches() as server:
        configure(project, server, teacher={"batch": {"requests": 7}})
        assert project.run().code == 0
        assert sizes(server) == [7, 7, 6]
        largest = max(len(json.dumps(one)) for made in server.batches.values() for one in made.requests)
        configure(project, server, "anthropic", teacher={"batch": {"megabytes": 3 * largest / 1e6}}, output_dir="other")
        assert project.run().code == 0
    assert sum(sizes(server)[3:]) == SAMPLES
    assert all(2 <= size <= 4 for size in sizes(server)[3:-1])


@scene
def test_calls_of_a_wave_that_is_too_small_are_asked_directly_at_the_full_price(project: Project) -> None:
    with FakeBatches(wrong) as server:
        configure(project, server, teacher={"price": PRICE, "batch": {"smallest": 10}})
        done = project.run()
        assert done.code == 0, done.err
        assert sizes(server) == [SAMPLES]
        assert server.direct == project.manifest["counts"]["rejected"] > 0
    paid = project.ledger(
        "SELECT batch IS NULL, sum(calls.usd), sum(prompt_tokens + 2 * completion_tokens) / 1e6 FROM calls"
        " LEFT JOIN batched ON call = calls.id GROUP BY 1 ORDER BY 1"
    )
    assert [usd / full for _, usd, full in paid] == [pytest.approx(0.5), pytest.approx(1.0)]
    assert spent(project)[2] == pytest.approx(project.manifest["usd"]) == pytest.approx(sum(usd for _, usd, _ in paid))
    assert set(project.outcomes) == {"ok"} and project.paid_twice == 0


# A batch's possible ends


@scene(each=BOTH)
def test_an_expired_and_a_cancelled_batch_cost_the_rows_that_were_done_and_the_others_go_out_again(project: Project, protocol: str) -> None:
    with FakeBatches(fate=lambda number: ("expired", "cancelled", "completed")[min(number, 2)]) as server:
        configure(project, server, protocol, teacher={"retries": 2, "price": PRICE})
        done = project.run()
        assert done.code == 0, done.err
        # 10 of 20 calls are done, then half of the other 10, then the last 5.
        assert sizes(server) == [20, 10, 5]
    adds_up(project, server)
    assert project.outcomes == {"ok": SAMPLES, "unsent": 10 + 5}
    assert project.manifest["queries"]["total"] == SAMPLES
    reasons = Counter(reason for (reason,) in project.ledger("SELECT error FROM calls WHERE outcome = 'unsent'"))
    assert {reason.split(":")[0]: number for reason, number in reasons.items()} == {"batch_expired": 10, "batch_cancelled": 5}


@scene(slow=True)
def test_calls_that_expire_more_often_than_retries_allow_fail_alone(project: Project) -> None:
    with FakeBatches(fate=lambda number: "expired" if number < 2 else "completed", share=0.9) as server:
        configure(project, server, teacher={"retries": 1})
        done = project.run()
        assert done.code == 0, done.err
        # 18 of 20 calls are done, then 1 of the 2 left, and another candidate replaces the last one.
        assert sizes(server) == [20, 2, 1]
    [reason] = [row["reason"] for row in project.samples if row["status"] == "failed"]
    assert reason.startswith("batch_expired: ")
    adds_up(project, server)


@scene(each=BOTH)
def test_results_are_read_in_any_order_and_only_rows_with_errors_are_asked_again(project: Project, protocol: str) -> None:
    failing: set[int] = set()

    def flaky(body: dict[str, Any]) -> Any:
        key = request_key(body)
        if key % 4 == 0 and key not in failing:
            failing.add(key)
            return 500, {"error": {"message": "the server had an error"}}
        return wrong(body)

    def edit(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        strange = {**lines[0], "custom_id": "of-somebody-else"}
        return [*reversed(lines), lines[0], strange]

    with FakeBatches(flaky, edit=edit) as server:
        configure(project, server, protocol)
        done = project.run()
        assert done.code == 0, done.err
        assert "1 results of calls that are not in it, which were left out" in done.err
        assert sizes(server)[0] == SAMPLES
    adds_up(project, server)
    assert failing and project.outcomes["failed"] == len(failing)
    assert project.manifest["queries"]["retried"] == len(failing)


@scene(slow=True)
def test_a_row_that_no_result_speaks_of_counts_as_paid_and_is_asked_again(project: Project) -> None:
    def edit(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return lines[1:] if len(lines) == SAMPLES else lines

    with FakeBatches(edit=edit) as server:
        configure(project, server, budget={"samples": SAMPLES})
        assert project.run().code == 0
        assert sizes(server) == [SAMPLES, 1]
    assert project.outcomes == {"ok": SAMPLES, "failed": 1}
    [[error]] = project.ledger("SELECT error FROM calls WHERE outcome = 'failed'")
    assert error == "batch_no_result: the batch's results have no line for it"
    # Its possible cost stays reserved.
    assert spent(project)[0] == SAMPLES + 1 and spent(project)[1] > sum(project.manifest["tokens"].values())


@scene
def test_a_batch_that_the_provider_refuses_as_a_whole_ends_the_run_with_its_words_and_costs_nothing(project: Project) -> None:
    errors = ({"code": "model_not_found", "message": f"no batches for fake-model with {KEY}", "line": 3, "param": "body.model"},)
    with FakeBatches(fate=lambda number: "completed" if number else "failed", errors=errors) as server:
        configure(project, server, teacher={"price": PRICE})
        done = project.run()
        assert done.code == 3
        assert "refuses the batch batch_0000 (model_not_found: no batches for fake-model with *** (line 3))" in done.err
        assert "Traceback" not in done.err
        assert project.outcomes == {}
        assert spent(project) == (0, 0, pytest.approx(0.0, abs=1e-12))
        assert project.run().code == 0
    adds_up(project, server)
    assert KEY not in "".join(project.said) and not written(project, KEY)


def written(project: Project, secret: str) -> list[str]:
    return [path.name for path in project.out.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@scene(each=("at once", "later"))
def test_where_the_provider_has_room_for_fewer_calls_they_go_out_in_smaller_batches_and_wait(project: Project, protocol: str) -> None:
    with FakeBatches(most_queued=8, refuse_create=protocol == "at once", looks=3) as server:
        configure(project, server)
        done = project.run()
        assert done.code == 0, done.err
        made = [len(one.requests) for one in server.batches.values() if one.status == "completed"]
    assert sum(made) == SAMPLES
    assert max(made) == 5  # 20 and 10 did not fit
    assert "they went out in smaller ones" in done.err
    adds_up(project, server)


@scene(each=BOTH)
def test_a_provider_that_is_away_is_waited_for_and_one_that_made_a_batch_without_saying_so_is_not_asked_twice(
    project: Project, protocol: str
) -> None:
    trouble = {
        "upload": [refused(500)],
        "look": [refused(503), refused(500), web.Response(body=b"<html>"), refused(429)],
        "results": [refused(502)],
    }
    lost = {"create": [refused(504)]}

    def take(from_: dict[str, list[web.Response]], step: str) -> web.Response | None:
        return from_[step].pop(0) if from_.get(step) else None

    with FakeBatches(before=lambda step: take(trouble, step), after=lambda step: take(lost, step)) as server:
        configure(project, server, protocol, teacher={"batch": {"poll": 0.5}})
        done = project.run()
        assert done.code == 0, done.err
        assert sizes(server) == [SAMPLES]
        assert server.steps["create"] == 1 and server.steps["list"] >= 1
    adds_up(project, server)


@scene(each=BOTH, slow=True)
def test_a_batch_that_was_surely_not_made_is_made_anew(project: Project, protocol: str) -> None:
    trouble = [refused(502)]
    with FakeBatches(before=lambda step: trouble.pop() if step == "create" and trouble else None) as server:
        configure(project, server, protocol)
        done = project.run()
        assert done.code == 0, done.err
        assert sizes(server) == [SAMPLES]
        # Its file is deleted first, so that the first request can no longer make a batch.
        assert server.steps["delete"] == (protocol == "openai")
    adds_up(project, server)


@scene(slow=True)
def test_the_limits_other_name_is_learnt_from_the_first_batch_without_a_retry(project: Project) -> None:
    with FakeBatches(o_series) as server:
        configure(project, server, teacher={"retries": 0, "generation": {"temperature": None}}, strategy="question_rephrase")
        done = project.run()
        assert done.code == 0, done.err
        assert sizes(server) == 3 * [SAMPLES]
        names = [{"max_tokens", "max_completion_tokens"} & made.requests[0]["body"].keys() for made in server.batches.values()]
    assert names == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]
    adds_up(project, server)
    assert set(project.outcomes) == {"ok"}


@scene
def test_a_parameter_that_is_refused_ends_the_run_with_the_key_to_change_and_nothing_is_paid(project: Project) -> None:
    with FakeBatches(o_series) as server:
        configure(project, server)
        done = project.run()
        assert done.code == 3
        assert "write `generation: {temperature: null}`" in done.err
        assert not server.billed


# Budgets and prices


@scene(each=("queries", "tokens", "usd"))
def test_a_budget_is_reserved_for_a_whole_wave_before_it_is_sent_and_never_passed(project: Project, protocol: str) -> None:
    limits = {"queries": 31, "tokens": 9_000, "usd": 0.007}
    held: list[float] = []

    def before(step: str) -> None:
        if step == "upload":
            row = spent(project)
            held.append(row[("queries", "tokens", "usd").index(protocol)])
            waiting = project.ledger(
                "SELECT count(*), sum(tokens), sum(batched.usd) FROM batched JOIN calls ON id = call WHERE outcome = 'sent'"
            )
            assert row[0] - project.outcomes.get("ok", 0) == waiting[0][0]

    with FakeBatches(wrong, before=before) as server:
        configure(project, server, budget={protocol: limits[protocol]}, teacher={"price": PRICE}, strategy="question_rephrase")
        done = project.run()
        assert done.code == 0, done.err
    adds_up(project, server)
    manifest = project.manifest
    assert manifest["status"] == "budget_exhausted"
    assert len(held) == len(server.batches) > 1
    assert max(held) <= limits[protocol]
    prompt, completion = manifest["tokens"]["prompt"], manifest["tokens"]["completion"]
    assert manifest["usd"] == pytest.approx((prompt * 1.0 + completion * 2.0) / 1e6 / 2)
    used = {"queries": manifest["queries"]["total"], "tokens": prompt + completion, "usd": manifest["usd"]}[protocol]
    assert 0.7 * limits[protocol] < used <= limits[protocol]


@scene
def test_the_price_of_a_batch_is_the_same_in_the_plan_the_status_and_the_manifest(project: Project) -> None:
    with FakeBatches() as server:
        configure(project, server, teacher={"price": {**PRICE, "batch": 0.25}})
        planned = json.loads(project.run("plan", "--json").out)["estimates"]["answer_augmentation"]["usd"]
        configure(project, server, None, teacher={"price": PRICE})
        full = json.loads(project.run("plan", "--json").out)["estimates"]["answer_augmentation"]["usd"]
        configure(project, server, teacher={"price": {**PRICE, "batch": 0.25}})
        assert project.run().code == 0
    tokens = project.manifest["tokens"]
    usd = (tokens["prompt"] * 1.0 + tokens["completion"] * 2.0) / 1e6 / 4
    assert project.manifest["usd"] == pytest.approx(usd)
    assert json.loads(project.run("status", "--json").out)["usd"] == pytest.approx(usd)
    assert value(planned) == pytest.approx(value(full) / 4)
    assert "25% of the price" in re.sub(r"\s+", " ", project.run("plan").out)


def value(estimate: Any) -> float:
    return float(estimate["value"] if isinstance(estimate, dict) else estimate)


# Requests to stop


@scene(each=BOTH)
def test_ctrl_c_leaves_a_batch_to_its_provider_and_the_same_command_picks_it_up(project: Project, protocol: str) -> None:
    with FakeBatches(looks=None) as server:
        configure(project, server, protocol, teacher={"price": PRICE})
        running = project.start()
        assert until(lambda: server.steps["look"])
        running.signal(signal.SIGINT)
        done = running.wait(60)
        assert done.code == 130
        assert f"; 1 batch with {SAMPLES} calls goes on at its provider, and that picks it up" in done.err
        state = json.loads(project.run("status", "--json").out)
        [batch] = state["batches"]
        assert batch == {"id": next(iter(server.batches)), "state": "in_progress", "total": SAMPLES, "done": 0, "failed": 0}
        assert re.search(rf"batches +batch in_progress: 0 of {SAMPLES} calls, for .* \({batch['id']}\)", project.run("status").out)
        # The reservations remain.
        assert spent(project)[0] == SAMPLES
        server.finish()
        assert project.run().code == 0
        assert sizes(server) == [SAMPLES] and server.steps["create"] == 1
    adds_up(project, server)
    assert json.loads(project.run("status", "--json").out)["batches"] == []


@scene
def test_a_batch_is_picked_up_by_a_run_without_batches_and_whose_price_has_changed(project: Project) -> None:
    with FakeBatches(looks=None) as server:
        configure(project, server, teacher={"price": PRICE})
        running = project.start()
        assert until(lambda: server.steps["look"])
        running.signal(signal.SIGINT)
        assert running.wait(60).code == 130
        server.finish()
        configure(project, server, None, budget={"samples": SAMPLES + 5}, teacher={"price": {"input": 4.0, "output": 8.0}})
        done = project.run()
        assert done.code == 0, done.err
        assert (sizes(server), server.direct) == ([SAMPLES], 5)
    assert server.billed_twice == project.paid_twice == 0
    [[batched]] = project.ledger(
        "SELECT sum(calls.usd * 1e6 / (prompt_tokens * 4 + completion_tokens * 8)) FROM calls JOIN batched ON call = id"
    )
    assert batched == pytest.approx(SAMPLES / 2)
    # What was reserved at the earlier price was given back at that price.
    assert spent(project)[2] == pytest.approx(project.manifest["usd"])


@scene
def test_a_preview_asks_directly_for_somebody_waits_for_it(project: Project) -> None:
    with FakeBatches() as server:
        configure(project, server, teacher={"price": PRICE})
        assert project.run("preview").code == 0
        assert (server.direct, len(server.batches)) == (3, 0)
        assert project.run().code == 0
        assert sizes(server) == [SAMPLES - 3]
    usd, full = project.ledger("SELECT sum(usd), sum(prompt_tokens + 2 * completion_tokens) / 1e6 FROM calls WHERE id <= 3")[0]
    assert usd == pytest.approx(full)


# Providers


@scene
def test_azure_has_its_files_beside_the_deployments_and_the_deployments_name_as_the_model(project: Project) -> None:
    def check(request: web.Request) -> web.Response | None:
        if request.headers.get("api-key") != KEY or "Authorization" in request.headers:
            return refused(401, "Access denied due to invalid subscription key")
        if request.query.get("api-version") != "2024-10-21":
            return refused(404, "Resource not found")
        return None

    with FakeBatches(prefix="/openai", check=check, pending_files=1) as server:
        teacher = {
            "base_url": f"{server.base_url}/deployments/gpt",
            "model": "gpt-4o-mini",
            "headers_env": {"api-key": "OPENAI_API_KEY"},
            "query": {"api-version": "2024-10-21"},
        }
        configure(project, server, teacher=teacher)
        done = project.run()
        assert done.code == 0, done.err
        [made] = server.batches.values()
        assert {(one["url"], one["body"]["model"]) for one in made.requests} == {("/chat/completions", "gpt")}
        assert server.steps["file"] == 1
    assert written(project, KEY) == []


@scene
def test_anthropics_batches_are_in_its_own_form_and_get_the_key_in_its_own_header(project: Project) -> None:
    with FakeBatches() as server:
        generation = {"temperature": 0.5, "top_p": 0.9, "stop": "END", "extra_body": {"top_k": 5}}
        configure(project, server, "anthropic", teacher={"generation": generation})
        assert project.run().code == 0
        [made] = server.batches.values()
        asked = [request for request in server.seen if "batches" in request.path]
        assert all(one.headers["x-api-key"] == KEY and one.headers["anthropic-version"] == "2023-06-01" for one in asked)
        assert not any("Authorization" in one.headers for one in server.seen)
    params = made.requests[0]["params"]
    sampling = {"temperature": 0.5, "top_p": 0.9, "stop_sequences": ["END"], "top_k": 5, "max_tokens": 512, "model": "fake-model"}
    assert {name: value for name, value in params.items() if name not in ("messages", "system")} == sampling
    assert params["system"] and {message["role"] for message in params["messages"]} == {"user", "assistant"}
    assert written(project, KEY) == []


@scene
def test_a_server_without_batches_is_named_with_what_to_do(project: Project) -> None:
    def check(request: web.Request) -> web.Response | None:
        return web.Response(status=404, body=b"Not Found") if "/files" in request.path else None

    with FakeBatches(check=check) as server:
        configure(project, server)
        done = project.run()
    assert done.code == 3
    assert "has no batches (HTTP 404: Not Found); remove `batch`" in done.err
    assert project.outcomes == {}


# Kills: each run is ended at one step; the last one pays for nothing twice.

STEPS = {
    "openai": (
        ("before", "upload"),
        ("after", "upload"),
        ("before", "create"),
        ("after", "create"),
        ("after", "look"),
        ("after", "results"),
    ),
    "anthropic": (("before", "create"), ("after", "create"), ("after", "look"), ("after", "results")),
}


@pytest.mark.slow
@scene(each=BOTH)
def test_a_run_that_is_killed_at_any_step_goes_on_there_and_pays_for_nothing_twice(project: Project, protocol: str) -> None:
    running: list[Running] = []
    due: list[tuple[str, str]] = []

    def kill(when: str) -> Callable[[str], None]:
        def struck(step: str) -> None:
            if due and due[0] == (when, step):
                due.clear()
                running[-1].kill()
                assert project.ends(60)

        return struck

    with FakeBatches(wrong, before=kill("before"), after=kill("after"), looks=2) as server:
        # Unless a killed run's reservations are given back, the calls do not suffice.
        configure(project, server, protocol, teacher={"price": PRICE}, budget={"samples": SAMPLES, "queries": SAMPLES + 10})
        for step in STEPS[protocol]:
            due[:] = [step]
            running.append(project.start())
            done = running[-1].wait()
            assert done.code == -signal.SIGKILL, (step, done.err)
            assert len(server.batches) <= 2
        done = project.run()
        assert done.code == 0, done.err
    adds_up(project, server)
    batched = project.training_bytes
    with FakeBatches(wrong) as server:
        configure(project, server, None, output_dir="plain")
        assert project.run().code == 0
        [trained] = (project.folder / "plain").glob("train-*.jsonl")
        assert trained.read_bytes() == batched


@pytest.mark.slow
def test_seeds_that_repeat_themselves_are_left_out_where_they_are_without_batches(tmp_path: Any) -> None:
    project = Project(tmp_path / "project", seeds=520)

    def half(body: dict[str, Any]) -> str:
        # Every other seed always has the same answer: it is not asked again from its fifth round on.
        jars = int(re.findall(r"has (\d+) jars", str(body["messages"][-1]["content"]))[-1])
        return wrong({**body, "seed": None} if jars % 2 else body)

    block = {"budget": {"samples": 2_600}, "verify": ["format", "duplicate"], "teacher": {"generation": {"seed": 1}}}
    with FakeBatches(half) as server:
        configure(project, server, None, output_dir="plain", **block)
        assert project.run().code == 0
        configure(project, server, **block)
        done = project.run()
        assert done.code == 0, done.err
    manifest, plain = project.manifest, json.loads((project.folder / "plain" / "manifest.json").read_text())
    same = ("status", "ended_by", "counts", "rejections")
    assert {name: manifest[name] for name in same} == {name: plain[name] for name in same}
    assert manifest["files"]["train"]["sha256"] == plain["files"]["train"]["sha256"]
    samples = [json.loads(line) for line in (project.folder / "plain" / "samples.jsonl").read_text().splitlines()]
    assert [row["id"] for row in project.samples] == [row["id"] for row in samples]
    # 260 seeds have one answer each, asked four times; the others have nine.
    assert plain["queries"]["total"] == len(samples) == 260 * 4 + 260 * 9
    # The fifth and the sixth round were asked ahead, for all seeds.
    assert sizes(server)[:2] == [3 * 520, 3 * 520]
    assert manifest["queries"]["total"] == len(samples) + 260 * 2


@pytest.mark.slow
@pytest.mark.parametrize("protocol", BOTH)
def test_kills_at_any_moment_cost_nothing_and_change_nothing(tmp_path: Any, protocol: str) -> None:
    project = Project(tmp_path / "project", seeds=60)
    draw = random.Random(protocol)
    mix = {"answer_augmentation": 0.4, "question_rephrase": 0.3, "new_question": 0.3}
    budget = {"samples": 60, "queries": 160}

    def expired(number: int) -> str:
        return "expired" if number % 3 == 1 else "completed"

    with FakeBatches(wrong, looks=3, fate=expired, share=0.7) as server:
        configure(project, server, protocol, strategy=mix, budget=budget, teacher={"price": PRICE, "batch": {"requests": 25}})
        ends = []
        while len(ends) < 12 and 0 not in ends:
            begun = project.start()
            before = server.steps.total()
            until(lambda: server.steps.total() > before or begun.child.poll() is not None)  # noqa: B023
            time.sleep(draw.random())
            begun.kill()
            ends.append(begun.wait().code)
            assert project.ends(60)
        done = project.run()
        assert done.code == 0, done.err
    assert ends.count(-signal.SIGKILL) >= 3
    adds_up(project, server)
    with FakeBatches(wrong) as plain:
        configure(project, plain, None, strategy=mix, budget=budget, output_dir="plain")
        assert project.run().code == 0
    [trained] = (project.folder / "plain").glob("train-*.jsonl")
    assert trained.read_bytes() == project.training_bytes
