"""The fake server's faults, seen from the client's side of a real connection."""

from __future__ import annotations

import asyncio
import email.utils
import json
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from fake_faults import KINDS, Fault, parse
from fake_replies import MathReplies
from fake_server import FakeServer
from projects import until


def body(text: str = "Ada has 6 jars with 10 cards each. How many?", **more: object) -> dict[str, object]:
    return {"model": "fake-model", "messages": [{"role": "user", "content": text}], **more}


async def post(base_url: str, request: dict[str, object], headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
        session.post(f"{base_url}/chat/completions", json=request) as response,
    ):
        return response.status, dict(response.headers), await response.read()


def ask(
    server: FakeServer, request: dict[str, object] | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    return asyncio.run(post(server.base_url, request or body(), headers))


def choice(answer: tuple[int, dict[str, str], bytes]) -> dict[str, object]:
    assert answer[0] == 200
    return json.loads(answer[2])["choices"][0]


def said(answer: tuple[int, dict[str, str], bytes]) -> str:
    return choice(answer)["message"]["content"]


def test_a_word_problem_is_solved_and_its_tokens_counted():
    with FakeServer() as server:
        reply = json.loads(ask(server)[2])
    assert reply["choices"][0]["message"]["content"].endswith("#### 60")
    assert reply["choices"][0]["finish_reason"] == "stop"
    usage = reply["usage"]
    assert usage["prompt_tokens"] == 44 // 4 + 1  # the question has 44 characters
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_equal_requests_get_equal_replies_on_any_server_and_a_seed_makes_another():
    with FakeServer() as one, FakeServer() as other:
        assert said(ask(one)) == said(ask(one)) == said(ask(other))
        assert said(ask(one, body(seed=1))) != said(ask(one, body(seed=2)))


def test_with_vary_repeats_the_second_sample_differs_and_is_as_right():
    with FakeServer(vary_repeats=True) as server:
        first, second = said(ask(server)), said(ask(server))
    assert first != second and first.endswith("#### 60") and second.endswith("#### 60")


def test_about_the_given_share_of_answers_is_wrong():
    replies = MathReplies(wrong=0.2)
    wrong = sum(not replies(body(seed=number)).endswith("#### 60") for number in range(1000))
    assert 150 < wrong < 250


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Rephrase this problem.\n\nAda has 6 jars with 10 cards each.", "6 jars with 10 cards each"),
        ("Write a new problem like this one.\n\nAda has 6 jars with 10 cards each.", "How many"),
        ("Is this problem answerable? End with yes or no.\n\nAda has 6 jars with 10 cards each.", "Yes"),
    ],
)
def test_the_augmenter_s_prompts_are_told_apart(prompt: str, expected: str):
    assert expected in MathReplies()(body(prompt))


def test_a_reply_function_of_the_test_s_own_is_used():
    with FakeServer(reply=lambda request: f"I am {request['model']}") as server:
        assert said(ask(server)) == "I am fake-model"


def test_calls_are_remembered_with_header_names_and_never_their_values():
    with FakeServer() as server:
        ask(server, headers={"Authorization": "Bearer very-secret"})
        ask(server)
        assert [call.authorized for call in server.calls] == [True, False]
        assert "authorization" in server.calls[0].headers
        assert "very-secret" not in repr(server.calls)
        assert server.count == 2
        # It counts an answer after sending it, when the client may be here already.
        assert until(lambda: server.answered == 2, 10)


def test_max_tokens_cuts_the_reply_off():
    with FakeServer(reply=lambda _: "x" * 400) as server:
        assert choice(ask(server, body(max_tokens=10))) == {
            "index": 0,
            "message": {"role": "assistant", "content": "x" * 40},  # four characters per token
            "finish_reason": "length",
        }
        assert choice(ask(server, body(max_tokens=101)))["finish_reason"] == "stop"


@pytest.mark.parametrize(("kind", "status", "code"), [
    ("http_429", 429, "rate_limit_exceeded"),
    ("http_500", 500, "server_error"),
    ("http_502", 502, "server_error"),
    ("http_503", 503, "server_error"),
    ("http_401", 401, "invalid_api_key"),
    ("http_403", 403, "permission_denied"),
    ("http_404", 404, "not_found"),
    ("unknown_model", 404, "model_not_found"),
    ("context_length", 400, "context_length_exceeded"),
    ("refused", 400, "content_filter"),
])  # fmt: skip
def test_a_refusal_has_its_status_and_openai_s_error(kind: str, status: int, code: str):
    with FakeServer(faults=[Fault(kind)]) as server:
        answered, headers, content = ask(server)
    assert (answered, json.loads(content)["error"]["code"]) == (status, code)
    assert "Retry-After" not in headers


def test_retry_after_comes_in_both_of_its_forms():
    with FakeServer(faults=[Fault("http_429", retry_after=2, calls=[0]), Fault("http_429", retry_after=30, as_date=True)]) as server:
        seconds, date = ask(server)[1]["Retry-After"], ask(server)[1]["Retry-After"]
    assert seconds == "2"
    assert 25 < email.utils.parsedate_to_datetime(date).timestamp() - time.time() < 31


async def post_in_two_halves(base_url: str) -> tuple[int | None, type[Exception] | None]:
    """Return the status, None if there was none, and the error of the rest of the reply."""
    status = None
    try:
        async with aiohttp.ClientSession() as session, session.post(f"{base_url}/chat/completions", json=body()) as response:
            status = response.status
            await response.read()
    except aiohttp.ClientError as error:
        return status, type(error)
    return status, None


@pytest.mark.parametrize(("kind", "status"), [("reset_before_headers", None), ("reset_after_headers", 200), ("half_body", 200)])
def test_a_connection_that_ends_too_soon_is_an_error_for_the_client(kind: str, status: int | None):
    with FakeServer(faults=[Fault(kind)]) as server:
        seen, error = asyncio.run(post_in_two_halves(server.base_url))
    assert seen == status
    assert error is not None


@pytest.mark.parametrize(("kind", "finish_reason", "content"), [
    ("empty", "stop", ""),
    ("null", "stop", None),
    ("content_filter", "content_filter", None),
    ("length", "length", "01234"),
])  # fmt: skip
def test_a_poor_reply_has_status_200(kind: str, finish_reason: str, content: str | None):
    with FakeServer(reply=lambda _: "0123456789", faults=[Fault(kind)]) as server:
        got = choice(ask(server))
    assert (got["finish_reason"], got["message"]["content"]) == (finish_reason, content)


@pytest.mark.parametrize("kind", ["invalid_json", "html", "wrong_encoding"])
def test_a_broken_reply_has_status_200_and_cannot_be_read_as_json(kind: str):
    with FakeServer(faults=[Fault(kind)]) as server:
        status, _, content = ask(server)
    assert status == 200
    with pytest.raises(ValueError):  # a UnicodeDecodeError is one
        json.loads(content)


def test_no_choices_is_valid_json_without_any():
    with FakeServer(faults=[Fault("no_choices")]) as server:
        assert json.loads(ask(server)[2])["choices"] == []


def test_a_huge_reply_is_as_large_as_it_says_and_valid():
    with FakeServer(faults=[Fault("huge", megabytes=50)]) as server:
        assert len(said(ask(server))) == 50 * 1024 * 1024


def test_a_timeout_never_answers_and_takes_nobody_s_slot():
    with FakeServer(faults=[Fault("timeout", calls=[0])], slots=1) as server:
        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(asyncio.wait_for(post(server.base_url, body()), 0.3))
        assert said(ask(server)).endswith("#### 60")


def test_a_server_that_goes_away_refuses_and_comes_back_on_its_port():
    with FakeServer(faults=[Fault("go_away", calls=[0], away=0.5)]) as server:
        with pytest.raises(aiohttp.ClientError):
            ask(server)
        with pytest.raises(aiohttp.ClientConnectorError):
            ask(server)
        time.sleep(0.7)
        assert said(ask(server)).endswith("#### 60")


def test_the_first_attempts_fail_and_the_next_is_served():
    with FakeServer(faults=[Fault("http_500", attempts=2)]) as server:
        assert [ask(server)[0] for _ in range(3)] == [500, 500, 200]
        assert ask(server, body("something else"))[0] == 500
        assert [call.attempt for call in server.calls] == [0, 1, 2, 0]


def test_a_sticky_share_strikes_the_same_request_again():
    with FakeServer(faults=[Fault("http_500", share=0.5, sticky=True)]) as server:
        first = [ask(server, body(f"question {number}"))[0] for number in range(20)]
        assert first == [ask(server, body(f"question {number}"))[0] for number in range(20)]
    assert 3 < first.count(500) < 17


def test_a_fault_can_be_for_some_requests_only_and_end_after_a_while():
    fault = Fault("http_500", when=lambda request: "jars" in str(request), seconds=0.5)
    with FakeServer(faults=[fault]) as server:
        assert (ask(server)[0], ask(server, body("hello"))[0]) == (500, 200)
        time.sleep(0.6)
        assert ask(server)[0] == 200


def test_a_key_a_model_and_a_context_are_checked_when_the_server_has_them():
    with FakeServer(api_key="right", models=["fake-model"], context=100) as server:
        key = {"Authorization": "Bearer right"}
        assert ask(server)[0] == 401
        assert ask(server, body(model="other"), key)[0] == 404
        assert ask(server, body("x" * 500), key)[0] == 400
        assert ask(server, headers=key)[0] == 200


def test_no_more_calls_than_slots_are_served_at_once():
    async def burst(base_url: str) -> None:
        await asyncio.gather(*(post(base_url, body()) for _ in range(6)))

    with FakeServer(latency=0.1, slots=2) as server:
        began = time.monotonic()
        asyncio.run(burst(server.base_url))
        assert time.monotonic() - began >= 0.3  # three rounds of two
        assert server.peak > 2


def test_latencies_are_drawn_by_the_seed_and_never_above_eight_seconds():
    drawn = [FakeServer(latency="lognormal", seed=1)._draw() for _ in range(2)]
    first, second = ([next(draw) for _ in range(2000)] for draw in drawn)
    assert first == second
    assert 0.36 < sorted(first)[1000] < 0.44 and max(first) <= 8


def test_a_fault_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(ValueError, match="half_body"):
        Fault("nonsense")
    assert parse("http_429:share=0.1,retry_after=1") == Fault("http_429", share=0.1, retry_after=1)
    assert set(KINDS) >= {"timeout", "go_away"}


def test_as_a_command_it_prints_its_address_and_logs_what_it_answered(tmp_path: Path):
    command = [
        sys.executable,
        str(Path(__file__).with_name("fake_server.py")),
        "--log",
        str(tmp_path / "log"),
        "--fault",
        "http_500:calls=0-0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        base_url = process.stdout.readline().strip()
        assert [asyncio.run(post(base_url, body()))[0] for _ in range(2)] == [500, 200]
        # It is written after the answer was sent.
        assert until(lambda: (tmp_path / "log").read_text().endswith("\n"))
    finally:
        process.kill()
        process.communicate()
    assert [json.loads(line)["number"] for line in (tmp_path / "log").read_text().splitlines()] == [1]
