"""The OpenAI-compatible teacher against a real local server that misbehaves: the effect of each failure on the call and the run."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
import traceback
from typing import Any

import pytest

from axolotl_synthetic.config import Generation, OpenAIModel
from axolotl_synthetic.errors import CallFailed, ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers.openai import OpenAITeacher, api_key, check, read_reply
from axolotl_synthetic.teachers.refusals import retry_after

from fake_faults import KINDS, Fault
from fake_server import FakeServer
from fake_wire import message

KEY = "sk-recognisable-0123456789abcdef"
MESSAGES = ({"role": "user", "content": "Ada has 6 jars with 10 cards each. How many cards are there?"},)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(base_url: str, *, timeout: float = 5, **generation: Any) -> Reply:
    async def once() -> Reply:
        teacher = OpenAITeacher(OpenAIModel(base_url=base_url, model="fake-model", timeout=timeout))
        try:
            return await teacher.complete(MESSAGES, Generation(**generation), 0)
        finally:
            await teacher.close()

    return asyncio.run(once())


def failure(fault: Fault | None, **server: Any) -> Exception:
    """Return the error of a call with this fault."""
    with FakeServer(faults=[fault] if fault else [], api_key=KEY, **server) as running:
        with pytest.raises((CallFailed, ServiceError)) as caught:
            ask(running.base_url, timeout=0.3 if fault and fault.kind == "timeout" else 5)
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    return caught.value


def test_a_reply_with_its_tokens():
    with FakeServer(reply=lambda body: "60 cards.\n#### 60", api_key=KEY) as server:
        reply = ask(server.base_url, temperature=0.3, max_new_tokens=77, top_p=0.9)
    # The fake server counts a token per four characters, and one more.
    assert (reply.text, reply.finish_reason) == ("60 cards.\n#### 60", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens) == (len(MESSAGES[0]["content"]) // 4 + 1, 17 // 4 + 1)
    assert 0 < reply.seconds < 5
    [call] = server.calls
    expected = {"model": "fake-model", "messages": list(MESSAGES), "temperature": 0.3, "max_tokens": 77, "top_p": 0.9}
    assert call.body == expected


def test_a_reply_at_the_length_limit_is_cut_off():
    with FakeServer(reply=lambda body: "x" * 100, api_key=KEY) as server:
        reply = ask(server.base_url, max_new_tokens=5)
    assert reply.cut_off
    assert reply.completion_tokens == 5


def test_the_fault_length_is_a_reply_that_was_cut_off():
    with FakeServer(faults=[Fault("length")], api_key=KEY) as server:
        assert ask(server.base_url).cut_off


RETRYABLE = {
    "http_408": ("http_408", "unknown"),
    "http_409": ("http_409", "query"),
    "http_429": ("http_429", "query"),
    "http_500": ("http_500", "unknown"),
    "http_502": ("http_502", "unknown"),
    "http_503": ("http_503", "query"),
    "http_504": ("http_504", "unknown"),
    "http_529": ("http_529", "unknown"),
    "timeout": ("timeout", "unknown"),
    "reset_before_headers": ("connection", "unknown"),
    "reset_after_headers": ("connection", "unknown"),
    "half_body": ("connection", "unknown"),
    "go_away": ("connection", "unknown"),
    "invalid_json": ("invalid_json", "unknown"),
    "html": ("invalid_json", "unknown"),
    "wrong_encoding": ("invalid_json", "unknown"),
    "no_choices": ("no_choices", "unknown"),
    "empty": ("empty_reply", "unknown"),
    "null": ("empty_reply", "unknown"),
}
REFUSED = {
    "http_400": ("http_400", "query"),
    "http_413": ("http_413", "query"),
    "http_422": ("http_422", "query"),
    "context_length": ("context_length", "query"),
    "refused": ("content_filter", "query"),
    "content_filter": ("content_filter", "unknown"),
    "huge": ("reply_too_large", "unknown"),
}
ENDS = {"http_401": "refuses the key", "http_403": "refuses the key", "http_404": "is no OpenAI-compatible server"} | {
    "unknown_model": "does not know the model 'fake-model'",
    "http_402": "out of credit",
}


def test_every_fault_that_there_is_has_a_test():
    assert {kind for kind in KINDS if kind != "http_NNN"} <= {*RETRYABLE, *REFUSED, *ENDS, "length"}


@pytest.mark.parametrize(("kind", "expected"), RETRYABLE.items(), ids=RETRYABLE)
def test_a_fault_that_may_pass_is_worth_a_retry(kind, expected):
    error = failure(Fault(kind))
    assert isinstance(error, RetryableCall)
    assert (error.reason, error.cost) == expected
    assert error.slow_down == (kind in ("http_429", "http_503", "http_529"))


@pytest.mark.parametrize(("kind", "expected"), REFUSED.items(), ids=REFUSED)
def test_a_fault_that_will_not_pass_fails_the_call_alone(kind, expected):
    error = failure(Fault(kind))
    assert isinstance(error, RefusedCall)
    assert (error.reason, error.cost) == expected


@pytest.mark.parametrize(("kind", "said"), ENDS.items(), ids=ENDS)
def test_a_fault_that_every_call_will_meet_ends_the_run(kind, said):
    error = failure(Fault(kind))
    assert isinstance(error, ServiceError)
    assert said in str(error)


def test_a_wrong_key_ends_the_run_and_names_the_variable(monkeypatch):
    with FakeServer(api_key="another") as server:
        with pytest.raises(ServiceError, match="environment variable OPENAI_API_KEY") as caught:
            ask(server.base_url)
    assert KEY not in str(caught.value)


def test_a_connection_that_cannot_be_made_costs_nothing_and_asks_for_fewer_calls():
    with FakeServer() as server:
        base_url = server.base_url
    with pytest.raises(RetryableCall) as caught:
        ask(base_url)
    assert (caught.value.reason, caught.value.cost, caught.value.slow_down) == ("connection", "none", True)


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_the_wait_that_a_server_asks_for_is_read_in_both_forms(as_date):
    error = failure(Fault("http_429", retry_after=30, as_date=as_date))
    assert isinstance(error, RetryableCall)
    # A date has whole seconds.
    assert error.retry_after is not None
    assert 28 <= error.retry_after <= 30


def test_the_wait_is_unknown_without_the_header():
    error = failure(Fault("http_429"))
    assert isinstance(error, RetryableCall)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("soon", None),
        ("", None),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("nan", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("Thu, 01 Jan 99999 00:00:10 GMT", None),
        ("Thu, 01 Jan 1970 00:01:40 +99999999999", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 253402387099.0),
    ],
)
def test_a_retry_after_header(value, seconds):
    assert retry_after(value, now=40.0) == seconds


def test_a_key_is_cut_out_of_what_a_server_says():
    def echo(kind: int, monkey: Any) -> Exception:
        with FakeServer() as server:
            monkey.setattr("fake_wire._error", lambda fault, call: (kind, {"error": {"message": "x" * 285 + f" bad key {KEY}"}}))
            server.faults = (Fault(f"http_{kind}"),)
            with pytest.raises((CallFailed, ServiceError)) as caught:
                ask(server.base_url)
        return caught.value

    for status in (400, 401, 404, 429, 500):
        with pytest.MonkeyPatch.context() as monkey:
            # If cut at 300 characters, the first half of the key would remain.
            assert KEY[:5] not in str(echo(status, monkey))


def test_a_key_is_cut_out_of_an_error_with_status_200():
    with FakeServer(reply=lambda body: "") as server, pytest.MonkeyPatch.context() as monkey:
        monkey.setattr("fake_wire._content", lambda fault, call, text: {"error": {"message": f"Incorrect API key provided: {KEY}"}})
        server.faults = (Fault("no_choices"),)
        with pytest.raises(ServiceError, match=r"refuses the key \(HTTP 401: Incorrect API key provided: \*\*\*\)"):
            ask(server.base_url)


@pytest.mark.parametrize("padding", [0, 270, 290, 299, 5000])
@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 404, 429, 500])
def test_a_key_is_cut_out_of_a_body_that_is_no_json_before_that_is_cut_short(status, padding):
    page = b"<html>" + b"x" * padding + f" Authorization: Bearer {KEY} is wrong</html>".encode()
    with FakeServer(reply=lambda body: (status, page, {"Content-Type": "text/html"})) as server:
        with pytest.raises((CallFailed, ServiceError)) as caught:
            ask(server.base_url)
    assert KEY[:5] not in str(caught.value)


@pytest.mark.parametrize("said", [KEY[:-3], f'\\"{KEY}\\"', KEY[:14] + "*****"])
def test_the_beginning_of_a_key_is_cut_out_as_well(said):
    with FakeServer(reply=lambda body: (400, {"error": {"message": f"bad key {said}"}})) as server:
        with pytest.raises(RefusedCall) as caught:
            ask(server.base_url)
    assert KEY[:12] not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "said", "shown"),
    [
        ("k", "max_tokens: the key k is known", "max_tokens: the key *** is known"),
        ("x", "maximum context exceeded, x=1", "maximum context exceeded, ***=1"),
        ("EMPTY", "EMPTY is not EMPTY_KEY", "*** is not EMPTY_KEY"),
        ("hunter2", "hunter2: wrong", "***: wrong"),
    ],
)
def test_a_short_key_is_cut_out_as_a_word_and_out_of_no_other(monkeypatch, key, said, shown):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with FakeServer(reply=lambda body: (400, {"error": {"message": said}})) as server:
        with pytest.raises(RefusedCall) as caught:
            ask(server.base_url)
    assert str(caught.value) == f"http_400: {shown}"


def test_a_key_is_cut_out_of_the_reason_that_a_reply_ended_for():
    with FakeServer(reply=lambda body: message("60", f"error: {KEY}")) as server:
        with pytest.raises(CallFailed) as caught:
            ask(server.base_url)
    assert KEY[:5] not in str(caught.value)
    assert caught.value.reply is not None
    assert KEY[:5] not in caught.value.reply.finish_reason


@pytest.mark.parametrize("key", ["sk-one\nsk-two-0123456789", "sk-\x00-0123456789", "sk-\x1b[0m0123456789"])
def test_a_key_with_a_control_character_in_it_is_refused_before_the_run(monkeypatch, key):
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY holds is no key") as caught:
        api_key(OpenAIModel())
    assert "0123456789" not in str(caught.value)


# Errors within a 200


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (401, ServiceError, "refuses the key"),
        (403, ServiceError, "refuses the key"),
        (402, ServiceError, "out of credit"),
        (429, RetryableCall, "http_429"),
        (503, RetryableCall, "http_503"),
        (400, RefusedCall, "http_400"),
    ],
)
def test_an_error_within_a_200_means_what_its_status_means(code, kind, said):
    body = {"error": {"code": code, "message": "no"}, "user_id": "u"}
    with FakeServer(reply=lambda _: (200, body, {"Content-Type": "application/json", "Retry-After": "30"})) as server:
        with pytest.raises((CallFailed, ServiceError), match=said) as caught:
            ask(server.base_url)
    assert type(caught.value) is kind
    if isinstance(caught.value, RetryableCall):
        assert (caught.value.slow_down, caught.value.retry_after, caught.value.cost) == (True, 30.0, "query")


def test_geminis_refusal_of_a_key_ends_the_run_although_it_is_a_400():
    body = [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}]
    with FakeServer(reply=lambda _: (400, body)) as server:
        with pytest.raises(ServiceError, match=r"refuses the key \(HTTP 400: API key not valid\. Please pass a valid API key\.\)"):
            ask(server.base_url)


def test_geminis_quota_of_a_day_ends_the_run_and_that_of_a_minute_is_waited_for():
    def quota(name: str) -> Any:
        violation = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
        body = [{"error": {"code": 429, "message": "You exceeded your current quota", "details": [violation, delay]}}]
        with FakeServer(reply=lambda _: (429, body)) as server:
            with pytest.raises((CallFailed, ServiceError)) as caught:
                ask(server.base_url)
        return caught.value

    minute = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
    assert isinstance(minute, RetryableCall)
    assert minute.retry_after == 34
    assert isinstance(quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), ServiceError)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_loses_the_question_is_refused_with_the_address_to_write(status):
    there = {"Location": "https://api.example.com/v1/chat/completions?key=" + KEY}
    with FakeServer(reply=lambda body: (status, b"", there)) as server:
        with pytest.raises(ServiceError, match=rf"another address \(HTTP {status}\); write `base_url: https://api\.example\.com/v1`"):
            ask(server.base_url)
        assert server.count == 1


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ({}, "correct `base_url`$"),
        ({"Location": "/login"}, "correct `base_url`: it leads to http://127.*/login"),
        ({"Location": "ftp://x"}, "correct"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused_too(location, said):
    with FakeServer(reply=lambda body: (302, b"", location)) as server:
        with pytest.raises(ServiceError, match=said):
            ask(server.base_url)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_question_is_followed_and_the_key_goes_to_no_other_server(status):
    with FakeServer(reply=lambda body: "60") as other:
        there = {"Location": f"{other.base_url}/chat/completions"}
        with FakeServer(reply=lambda body: (status, b"", there), api_key=KEY) as server:
            assert ask(server.base_url).text == "60"
            assert server.calls[0].authorized
    [call] = other.calls
    assert call.body["messages"] == list(MESSAGES)
    assert not call.authorized


def test_a_redirect_within_the_server_keeps_the_key_and_one_in_a_circle_ends():
    with FakeServer(reply=lambda body: "60", api_key=KEY) as server:
        ways = iter([(307, b"", {"Location": "/v2/chat/completions"})])
        server.reply = lambda body: next(ways, "60")
        assert ask(server.base_url).text == "60"
        assert [call.authorized for call in server.calls] == [True, True]
        server.reply = lambda body: (308, b"", {"Location": "/v1/chat/completions"})
        with pytest.raises(ServiceError, match=r"\(HTTP 308\) more than 5 times, the last to .*/v1/chat/completions; correct `base_url`"):
            ask(server.base_url)
        assert server.count == 2 + 5


@pytest.mark.parametrize(
    "location", ["http://a..b/v1/chat/completions", "http://[::1/v1", "http://" + "a" * 64 + "/v1", "http://a:99999/v1"]
)
def test_a_redirect_to_a_host_that_cannot_exist_fails_the_call_without_a_traceback(location):
    with FakeServer(reply=lambda body: (307, b"", {"Location": location})) as server:
        with pytest.raises((CallFailed, ServiceError)):
            ask(server.base_url)


def test_a_redirect_of_the_first_look_is_refused_before_the_run(monkeypatch):
    from fake_wire import Connection

    send = Connection.send
    there = (301, b"", {"Location": "https://api.example.com/v1/models"})
    with FakeServer() as server:
        monkeypatch.setattr(Connection, "send", lambda self, *_, **__: send(self, *there))
        with pytest.raises(ServiceError, match=r"write `base_url: https://api\.example\.com/v1`"):
            check(OpenAIModel(base_url=server.base_url))


# Unusual replies


def body(text: object = "4", finish: str = "stop", usage: object = None) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage}).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b'"text"', b"{}", b'{"choices": {}}', b'{"choices": [null]}', b"[" * 100_000, b"\xff\xfe{}"],
    ids=["nothing", "null", "list", "text", "object", "no list", "null choice", "very deep", "wrong encoding"],
)
def test_a_body_that_is_no_reply_may_be_one_the_next_time(content):
    with pytest.raises(RetryableCall):
        read_reply(content, 0.1)


@pytest.mark.parametrize("text", [None, "", "  \n", 5, ["a"]])
def test_nothing_said_may_be_something_the_next_time(text):
    with pytest.raises(RetryableCall, match="empty_reply"):
        read_reply(body(text), 0.1)


def test_nothing_said_within_the_length_limit_would_be_nothing_again():
    with pytest.raises(RefusedCall, match=r"raise `generation.max_new_tokens`"):
        read_reply(body("", "length"), 0.1)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        "none",
        {"prompt_tokens": "7", "completion_tokens": 3.5},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -1, "completion_tokens": 10**30},
    ],
)
def test_counts_that_cannot_be_true_are_none(usage):
    reply = read_reply(body(usage=usage), 0.1)
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)


# Before a run


def test_a_server_that_cannot_be_reached_is_found_before_the_run():
    with FakeServer() as server:
        settings = OpenAIModel(base_url=server.base_url)
    with pytest.raises(ServiceError, match=r"cannot be reached .*; start the server, or correct `base_url`") as caught:
        check(settings)
    assert KEY not in str(caught.value)


def test_a_host_that_does_not_exist_is_found_before_the_run():
    with pytest.raises(ServiceError, match="cannot be reached"):
        check(OpenAIModel(base_url="http://no-such-host.invalid/v1"))


def test_a_server_that_answers_is_good_enough():
    with FakeServer(api_key=KEY) as server:
        check(OpenAIModel(base_url=server.base_url))
    assert server.count == 0


def test_a_key_that_is_refused_is_found_before_the_run(monkeypatch):
    with FakeServer() as server, pytest.MonkeyPatch.context() as monkey:
        from fake_wire import Connection, refusal

        send = Connection.send
        monkey.setattr(Connection, "send", lambda self, *_, **__: send(self, *refusal(401, f"bad key {KEY}", "invalid_api_key")))
        with pytest.raises(ServiceError, match=r"refuses the key .*OPENAI_API_KEY") as caught:
            check(OpenAIModel(base_url=server.base_url))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_server_elsewhere_needs_a_key(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("OPENAI_API_KEY")
    else:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY is not set, and https://api\.example\.com/v1 needs a key") as caught:
        check(OpenAIModel(base_url="https://api.example.com/v1"))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_server_on_this_machine_needs_none(monkeypatch, host):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert api_key(OpenAIModel(base_url=f"http://{host}:8000/v1")) is None


def test_a_date_is_read_against_the_clock():
    header = email.utils.formatdate(time.time() + 100, usegmt=True)
    seconds = retry_after(header)
    assert seconds is not None
    assert 98 <= seconds <= 100
