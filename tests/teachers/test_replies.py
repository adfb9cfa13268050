"""The bodies of many servers, and which replies are usable. Shapes as the named servers send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from axolotl_synthetic.errors import CallFailed, RefusedCall, RetryableCall
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers.replies import read_reply

from fake_wire import counted, message


def read(*content: Any, **fields: Any) -> Reply:
    return read_reply(json.dumps(message(*content, **fields)[1]).encode(), 0.1)


def refused(*content: Any, **fields: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        read(*content, **fields)
    return caught.value


# Content and thoughts


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_in_a_field_of_its_own_is_kept_apart(name):
    reply = read("60", **{name: "6 * 10"})
    assert (reply.text, reply.thinking, reply.raw) == ("60", "6 * 10", "60")


def test_reasoning_under_two_names_is_taken_once():
    reply = read("60", reasoning="6 * 10", reasoning_details=[{"type": "reasoning.text", "text": "6 * 10"}])
    assert reply.thinking == "6 * 10"


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "thinking", "thinking": [{"type": "text", "text": "6 * 10"}]}, {"type": "text", "text": "60"}],
        [{"type": "thinking", "thinking": "6 * 10", "signature": "x"}, {"type": "text", "text": "6"}, {"type": "text", "text": "0"}],
        [{"type": "reasoning", "summary": [{"text": "6 * 10"}]}, {"type": "output_text", "text": "60"}],
    ],
    ids=["Magistral", "Anthropic", "OpenAI's parts"],
)
def test_a_content_of_parts_is_its_texts_without_its_thoughts(parts):
    reply = read(parts)
    assert (reply.text, reply.thinking) == ("60", "6 * 10")


def test_the_raw_reply_is_kept_as_it_was_received():
    reply = read("<think>6 * 10</think>60<|im_end|>")
    assert (reply.raw, reply.text) == ("<think>6 * 10</think>60<|im_end|>", "60")


# Unusable replies


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ("<think>6 * 10", {}),
        ("<think>#### 60</think>", {}),
        (None, {"reasoning_content": "6 * 10"}),
        ("", {"reasoning": "6 * 10"}),
        ([{"type": "thinking", "thinking": "6 * 10"}], {}),
        ("<|channel|>analysis<|message|>6 * 10", {}),
    ],
)
@pytest.mark.parametrize(
    ("finish", "said"), [("length", r"cut off while .* thinking; raise `generation\.max_new_tokens`"), ("stop", "reasoning and no answer")]
)
def test_thoughts_without_an_answer_are_paid_for_once_and_say_what_to_do(content, fields, finish, said):
    error = refused(content, finish, counted(120, 512), **fields)
    assert isinstance(error, RefusedCall)  # a reply that was only thoughts would be so again, at the same price
    assert error.reason == "empty_reply"
    with pytest.raises(RefusedCall, match=said):
        raise error
    assert error.reply is not None
    assert (error.reply.prompt_tokens, error.reply.completion_tokens) == (120, 512)


def test_hidden_reasoning_that_ate_the_limit_is_seen_by_its_tokens():
    error = refused(None, "length", counted(120, 512, completion_tokens_details={"reasoning_tokens": 512}))
    assert "while the model was thinking" in str(error)


@pytest.mark.parametrize(("completion", "kind"), [(1, RetryableCall), (16, RetryableCall), (17, RefusedCall), (512, RefusedCall)])
def test_an_empty_reply_that_many_tokens_were_billed_for_is_not_paid_for_again(completion, kind):
    assert type(refused("", "stop", counted(120, completion))) is kind


def test_a_refusal_in_its_own_field_is_one_and_not_asked_for_again():
    error = refused(None, "stop", counted(20, 8), refusal="I'm sorry, I can't help with that.")
    assert isinstance(error, RefusedCall)
    assert str(error) == "refusal: I'm sorry, I can't help with that."


def test_a_reply_whose_end_is_not_known_names_the_marker_and_is_not_asked_for_again():
    error = refused("There are 60.\n\nUser: And with 7 jars?", "stop", counted(20, 8))
    assert isinstance(error, RefusedCall)
    assert error.reason == "unusable_reply"
    assert "at 'User:'" in str(error)
    assert error.reply is not None
    assert (error.reply.text, error.reply.completion_tokens) == ("", 8)


@pytest.mark.parametrize("finish", ["tool_calls", "stop", "function_call"])
def test_a_tool_call_without_words_is_no_answer(finish):
    calls = [{"id": "1", "type": "function", "function": {"name": "calculate", "arguments": "{}"}}]
    error = refused(None, finish, counted(20, 8), tool_calls=calls)
    assert isinstance(error, RefusedCall)
    assert error.reason == "tool_call"


@pytest.mark.parametrize(
    "finish", ["stop", "STOP", "end_turn", "eos", "eos_token", "stop_sequence", "complete", None, "", "FINISH_REASON_STOP"]
)
def test_a_reply_that_ended_by_itself_is_taken(finish):
    assert read("60", finish).whole


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_reply_at_a_limit_is_taken_as_cut_off(finish):
    assert read("There are six", finish).cut_off


@pytest.mark.parametrize("finish", ["error", "abort", "network_error", "insufficient_system_resource", "ABORT"])
def test_a_reply_that_the_server_broke_off_may_come_whole_the_next_time(finish):
    error = refused("There are six", finish, counted(20, 8))
    assert isinstance(error, RetryableCall)
    assert str(error) == f"broken_off: the server broke the reply off (finish_reason {finish})"
    assert error.slow_down == (finish == "insufficient_system_resource")
    assert error.reply is not None
    assert error.reply.completion_tokens == 8


@pytest.mark.parametrize("finish", ["sensitive", "content_filter", "SAFETY", "refusal"])
def test_a_reply_that_a_filter_took_away_is_not_asked_for_again(finish):
    error = refused("There are six", finish)
    assert isinstance(error, RefusedCall)
    assert error.reason == "content_filter"


@pytest.mark.parametrize("finish", ["something_new", 7, {"reason": "odd"}])
def test_a_reply_that_ended_for_an_unknown_reason_is_not_taken(finish):
    error = refused("There are six", finish)
    assert isinstance(error, RefusedCall)
    assert "is not known to end a whole reply" in str(error)


def test_a_reason_of_megabytes_is_cut_short():
    error = refused("There are six", "x" * 4_000_000)
    assert len(str(error)) < 200
    assert error.reply is not None
    assert len(error.reply.finish_reason) == 60


def test_a_body_that_is_no_json_shows_its_beginning():
    with pytest.raises(RetryableCall, match=r"55 bytes that are not JSON in UTF-8: '<html><body> Sign in to the guest"):
        read_reply(b"<html><body>\nSign in to the guest network</body></html>", 0.1)


# Other names that proxies use


def with_choice(content: str = "There are sixt", *, body: dict[str, Any] | None = None, **choice: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}, **choice}], **(body or {})}).encode()


@pytest.mark.parametrize(
    ("choice", "body"),
    [
        ({"finish_reason": "stop", "error": {"message": "provider disconnected"}}, {}),
        ({"finish_reason": "stop"}, {"error": "upstream timeout"}),
    ],
)
def test_an_error_beside_a_part_of_a_reply_is_not_taken_for_its_end(choice, body):
    with pytest.raises(RetryableCall, match="broken_off"):
        read_reply(with_choice(body=body, **choice), 0.1)


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": None, "native_finish_reason": "length"},
        {"finish_reason": None, "stop_reason": "max_tokens"},
        {"finishReason": "MAX_TOKENS"},
        {"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"},
        {"done_reason": "length"},
        {"finish_details": {"type": "max_tokens"}},
        {"finish_reason": "stop", "finish_details": {"type": "max_tokens"}},
        {"finish_reason": {"type": "max_tokens"}},
        {"stop_type": "limit"},
        {"truncated": True},
        {"stopReason": "max_tokens"},
        {"status": "incomplete"},
    ],
)
def test_a_reply_is_cut_off_under_whatever_name_a_proxy_says_so(choice):
    assert read_reply(with_choice(**choice), 0.1).cut_off


@pytest.mark.parametrize(
    "body",
    [
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        {"status": "completed", "incomplete_details": {"reason": "max_output_tokens"}},
        {"status": "incomplete"},
        {"stop_reason": "max_tokens"},
        {"done_reason": "length", "done": True},
    ],
)
@pytest.mark.parametrize("finish", [None, "stop"])
def test_a_response_says_in_its_own_fields_that_it_was_cut_off(body, finish):
    assert read_reply(with_choice(finish_reason=finish, body=body), 0.1).cut_off


@pytest.mark.parametrize(
    "body",
    [{"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, {"output_sensitive": True}, {"stop_reason": "refusal"}],
)
def test_a_response_says_in_its_own_fields_that_it_was_filtered(body):
    with pytest.raises(RefusedCall, match="content_filter"):
        read_reply(with_choice(finish_reason="stop", body=body), 0.1)


@pytest.mark.parametrize(
    "body", [{"status": "failed"}, {"status": "in_progress"}, {"base_resp": {"status_code": 1013, "status_msg": "no"}}]
)
def test_a_response_says_in_its_own_fields_that_it_was_broken_off(body):
    with pytest.raises(RetryableCall, match="broken_off"):
        read_reply(with_choice(finish_reason="stop", body=body), 0.1)


@pytest.mark.parametrize(
    "body", [{}, {"status": "completed"}, {"status": "success"}, {"truncated": False}, {"incomplete_details": None}, {"stop_reason": None}]
)
@pytest.mark.parametrize("choice", [{}, {"finish_reason": None}, {"finish_reason": ""}, {"finish_reason": "stop"}, {"stop_type": "eos"}])
def test_a_response_without_a_word_against_it_is_whole(body, choice):
    assert read_reply(with_choice(body=body, **choice), 0.1).whole


@pytest.mark.parametrize("choice", [{"finish_reason": False}, {"finish_reason": 0}, {"finish_reason": []}, {"native_finish_reason": "odd"}])
def test_an_end_that_is_told_in_an_odd_way_is_not_taken_for_a_whole_one(choice):
    with pytest.raises(RefusedCall, match="is not known to end a whole reply"):
        read_reply(with_choice(**choice), 0.1)


@pytest.mark.parametrize(("tokens", "cut_off"), [(511, False), (512, True), (600, True)])
@pytest.mark.parametrize("finish", [None, ""])
def test_a_reply_without_a_reason_is_cut_off_where_it_has_all_the_tokens_that_it_may_have(tokens, cut_off, finish):
    content = with_choice(finish_reason=finish, body={"usage": {"prompt_tokens": 9, "completion_tokens": tokens}})
    assert read_reply(content, 0.1, limit=512).cut_off is cut_off


def test_a_stop_string_that_vllm_names_is_no_reason_of_its_own():
    assert read_reply(with_choice(finish_reason="stop", stop_reason="</answer>"), 0.1).whole


def test_a_part_that_gemini_marks_as_thought_is_none_of_the_answer():
    reply = read([{"type": "text", "text": "SECRET", "thought": True}, {"type": "text", "text": "There are 60."}])
    assert (reply.text, reply.thinking) == ("There are 60.", "SECRET")
