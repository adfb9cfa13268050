"""The parts of a raw reply: what may be trained on, and what never. Shapes as the named models and servers write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.records import Reply
from axolotl_synthetic.thoughts import divide

BLOCKS = {
    "DeepSeek-R1": "<think>\n6 * 10 = 60\n</think>\n\nThere are 60.\n#### 60",
    "R1, opening tag in the prompt": "6 * 10 = 60\n</think>\n\nThere are 60.\n#### 60",
    "thinking": "<thinking>6 * 10</thinking>There are 60.\n#### 60",
    "reasoning": "<reasoning>6 * 10</reasoning>\nThere are 60.\n#### 60",
    "in capitals": "<THINK>6 * 10</THINK>There are 60.\n#### 60",
    "with an answer's wrapper": "<reasoning>6 * 10</reasoning>\n<answer>There are 60.\n#### 60</answer>",
    "nested": "<think>6 <think>* 10</think> = 60</think>There are 60.\n#### 60",
    "nested, of two kinds": "<thinking>6 <thought>* 10</thought> = 60</thinking>There are 60.\n#### 60",
    "several": "<think>6</think><think>10</think>There are 60.\n#### 60",
    "between the answer's lines": "There are 60.\n<think>6 * 10</think>\n#### 60",
    "empty": "<think>\n\n</think>\n\nThere are 60.\n#### 60",
    "closed twice": "<think>I must not write </think> yet.\n</think>There are 60.\n#### 60",
    "the end is spoken of": "<think>I close with `</think>` when I am done.</think>There are 60.\n#### 60",
    "an open fence in the thoughts": "<think>```python\n6 * 10\n</think>There are 60.\n#### 60",
    "an open fence, no opening tag": "```python\n6 * 10\n</think>There are 60.\n#### 60",
    "quotes on both sides": '<think>I say "6 * 10".</think>There are 60.\n#### 60',
    "at the start alone": "<scratchpad>6 * 10</scratchpad>There are 60.\n#### 60",
    "Kimi": "◁think▷6 * 10◁/think▷There are 60.\n#### 60",
    "Kimi, opening tag in the prompt": "6 * 10◁/think▷There are 60.\n#### 60",
    "Magistral": "[THINK]6 * 10[/THINK]There are 60.\n#### 60",
    "OpenThinker": "<|begin_of_thought|>6<|end_of_thought|>\n\n<|begin_of_solution|>There are 60.\n#### 60<|end_of_solution|>",
    "Cohere": "<|START_THINKING|>6 * 10<|END_THINKING|><|START_RESPONSE|>There are 60.\n#### 60<|END_RESPONSE|>",
    "Seed-OSS": "<seed:think>6 * 10</seed:think>There are 60.\n#### 60",
    "Gemma 4": "<|channel>thought\n6 * 10<channel|>There are 60.\n#### 60",
    "Granite": "Here is my thought process:\n6 * 10\nHere is my response:\nThere are 60.\n#### 60",
    "harmony": "<|channel|>analysis<|message|>6 * 10<|end|><|start|>assistant<|channel|>final<|message|>There are 60.\n#### 60<|return|>",
    "harmony, its start in the prompt": "6 * 10<|end|><|start|>assistant<|channel|>final<|message|>There are 60.\n#### 60",
    "harmony, without messages": "<|channel|>analysis 6 * 10<|channel|>final There are 60.\n#### 60",
    "harmony, a commentary between": "<|channel|>analysis<|message|>6<|end|><|start|>assistant<|channel|>commentary<|message|>Now:<|end|>"
    "<|start|>assistant<|channel|>final<|message|>There are 60.\n#### 60<|end|>",
    "harmony, tokens skipped": "analysis6 * 10 = 60.assistantfinalThere are 60.\n#### 60",
}
TOKENS = {
    "ChatML": "There are 60.\n#### 60<|im_end|>",
    "Llama 2": "There are 60.\n#### 60</s>",
    "Llama 3": "<|start_header_id|>assistant<|end_header_id|>\n\nThere are 60.\n#### 60<|eot_id|>\n",
    "Phi": "There are 60.\n#### 60<|end|>",
    "DeepSeek": "There are 60.\n#### 60<｜end▁of▁sentence｜>",
    "Gemma": "There are 60.\n#### 60<end_of_turn>\n",
    "Mistral, both ends": "<s>There are 60.\n#### 60</s>",
    "GPT-2, many": "There are 60.\n#### 60<|endoftext|><|endoftext|>\n<|endoftext|>" + " " * 100,
    "Kimi": "There are 60.\n#### 60[EOS]",
    "a turn of the user's behind it": "There are 60.\n#### 60<|im_end|>\n<|im_start|>user\nAnd with 7 jars?<|im_end|>",
    "another question behind it": "There are 60.\n#### 60<|endoftext|>Question: And with 7 jars?\n#### 70",
}


@pytest.mark.parametrize("raw", [*BLOCKS.values(), *TOKENS.values()], ids=[*BLOCKS, *(f"token of {name}" for name in TOKENS)])
def test_nothing_is_left_but_the_answer(raw):
    assert Reply(raw).text.strip() == "There are 60.\n#### 60"


@pytest.mark.parametrize("raw", BLOCKS.values(), ids=BLOCKS)
def test_a_reply_with_thoughts_shows_that_it_has_some(raw):
    assert Reply(raw).reasoned is (raw != BLOCKS["empty"])


@pytest.mark.parametrize(
    "raw",
    [
        "<think>6 * 10 = 60\n#### 60",
        "There are 60.\n#### 60\n<think>Is it so?",
        "<think>6 <think>* 10</think> = 60\n#### 60",
        "<think>6 * 10</think>There are <think>60.\n#### 60",
        "<scratchpad>6 * 10 = 60\n#### 60",
        "◁think▷6 * 10 = 60\n#### 60",
        "[THINK]6 * 10 = 60\n#### 60",
        "<|channel|>analysis<|message|>6 * 10 = 60\n#### 60",
        "<|channel|>analysis<|message|>6<|end|><|start|>assistant<|channel|>commentary<|message|>#### 60",
        "analysisWe need 6 * 10 = 60\n#### 60",
        "<think>#### 60</think>",
        "<think>#### 60</think><|im_end|>\n",
        "```\n<think>6 * 10 = 60\n#### 60\n```",
        "<|im_end|>",
    ],
)
def test_a_block_that_is_not_closed_or_has_nothing_behind_it_leaves_no_answer(raw):
    assert Reply(raw).text.strip() == ""


def test_a_final_answer_in_the_thoughts_alone_is_not_read():
    assert Reply("<think>#### 60</think>Done.").text == "Done."


def test_a_fence_around_thoughts_and_answer_hides_nothing():
    assert "6 * 10" not in Reply("```\n<think>6 * 10</think>\nHow many cards are there?\n```").text


@pytest.mark.parametrize(
    "text",
    [
        "If a<b and b<c then a < c.\n#### 3",
        "The norm <|v|> is 3, and <p|q> is 0.",
        "x <think of a number",
        "Strike it out with <s>old</s> new, or at the end: <s>old</s>",
        "In HTML you close it by </s> and go on.",
        "```html\n<p><s>old</s></p>\n</s>\n```\nThat is invalid.",
        "Use the tag `<think>` before and `</think>` after it.",
        'Split it: text.split("</think>")[-1]',
        "```python\nre.sub(r'<think>.*?</think>', '', text)\n```\nThis cuts the block out.",
        "```python\nend = r'.*</think>\\s*'\n```\nThis finds its end.",
        "Run `re.sub(r'.*</think>', '', x)` and print it.",
        "The format is:\n```xml\n<note>\n<think>one</think>\n</note>\n```",
        "<article>\n<analysis>Sound.</analysis>\n</article>",
        "The marker `<|channel|>` opens a channel, `<|im_end|>` ends a turn.",
        "  An analysis of the final assistant.  \n",
        "Let A[THINKING] be 3 and [think] again.",
        "<html><body>x</body></html>",
        "",
        " \n",
    ],
)
def test_a_text_that_only_speaks_of_markers_is_left_byte_for_byte(text):
    assert divide(text).answer == text
    assert divide(text).thoughts == ""


@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "</think>",
        "<think>a</think>b",
        "<s>",
        "</s>",
        "<|im_end|>\n",
        "<|channel|>",
        "<|channel|>final",
        "```\n<think>",
        "`</think>",
        " ",
        "<|x",
    ],
)
def test_a_hostile_reply_of_megabytes_takes_no_time(piece):
    began = time.monotonic()
    Reply(piece * (2_000_000 // len(piece)) + "x").text  # noqa: B018
    # On an idle machine it takes a tenth of that at most; a quadratic algorithm would take hours.
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("opening", ["<think>", ""])
def test_a_quote_before_the_end_of_the_thoughts_and_one_behind_it_do_not_hide_it(opening):
    assert Reply(f'{opening}So I say "sixty"</think>"sixty"').text == '"sixty"'
    assert Reply(f"{opening}It's 'sixty'</think>'sixty'").text == "'sixty'"


THOUGHT = st.lists(st.sampled_from(["```", "\n", "`", '"', "'", " ", "x", "6 < 7", "#### 60", "<b>", "</s>", "“"]), max_size=12).map(
    "".join
)
ANSWER = st.lists(st.sampled_from(["```\ncode\n```\n", "`a`", '"b"', " ", "x", "6 < 7", "#### 60\n", "<b>c</b>", "it's"]), max_size=8).map(
    "".join
)


@given(thought=THOUGHT, answer=ANSWER)
def test_whatever_the_thoughts_are_they_are_cut_out_and_the_answer_is_whole(thought, answer):
    assert divide(f"<think>{thought}\n</think>\n{answer}").answer.strip() == answer.strip()
    assert divide(f"{thought}\n</think>\n{answer}").answer.strip() == answer.strip()
    assert divide(f"<think>{thought}\n{answer}").answer == ""
    assert divide(f"<think>{thought}\n</think>\n{answer}<|im_end|>").answer.strip() == answer.strip()


MARKERS = (
    "<think>",
    "</think>",
    "<|channel|>",
    "final",
    "analysis",
    "<|message|>",
    "<|end|>",
    "<s>",
    "</s>",
    "<|im_end|>",
    "◁think▷",
    "[THINK]",
)


@given(st.lists(st.sampled_from([*MARKERS, "```\n", "`", '"', "\n", " ", "x", "<answer>", "</answer>"]), max_size=25).map("".join))
def test_no_order_of_markers_breaks_it(raw):
    divided = divide(raw)
    # Nothing is invented: every word of the answer occurs in the reply.
    assert all(piece in raw for piece in divided.answer.split())


# The tokens of the answer alone


@pytest.mark.parametrize(
    ("reply", "tokens"),
    [
        (Reply("a" * 40, completion_tokens=10), 10),
        (Reply("60"), None),
        (Reply("a" * 40, completion_tokens=810, reasoning_tokens=800), 10),
        # Hidden and not counted separately: ten letters and the end of the turn are at most eleven tokens.
        (Reply("a" * 10, completion_tokens=800), 11),
        (Reply("60", completion_tokens=800, reasoning_tokens=800), 1),
        # Of 100 characters the answer has 20, so it has 10 of 50 tokens.
        (Reply("<think>" + "t" * 80 + "</think>" + "a" * 20, completion_tokens=50), 10),
        (Reply("a" * 20, completion_tokens=50, thinking="t" * 80), 10),
        (Reply("a" * 20, completion_tokens=50, thinking="t" * 80, reasoning_tokens=35), 15),
    ],
)
def test_an_answers_tokens_are_counted_without_its_reasoning(reply, tokens):
    assert reply.answer_tokens == tokens


# Why a reply ended


@pytest.mark.parametrize("reason", ["stop", "STOP", "end_turn", "eos", "eos_token", "stop_sequence", "", "FinishReason.STOP", "COMPLETE"])
def test_a_reply_that_ended_by_itself_is_whole(reason):
    assert Reply("60", reason).whole
    assert not Reply("60", reason).cut_off


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "model_length", "FINISH_REASON_MAX_TOKENS"])
def test_a_reply_that_came_to_a_limit_was_cut_off(reason):
    assert Reply("60", reason).cut_off
    assert not Reply("60", reason).whole


@pytest.mark.parametrize("reason", ["error", "abort", "network_error", "sensitive", "content_filter", "something_new", "1"])
def test_a_reply_that_ended_otherwise_is_neither(reason):
    assert not Reply("60", reason).whole
    assert not Reply("60", reason).cut_off


@pytest.mark.parametrize(
    "raw",
    [
        '<think time="3">SECRET 77</think>There are 60.',
        "<think\nkind='long'>SECRET 77</think>There are 60.",
        '<details type="reasoning" done="true"><summary>Thought</summary>SECRET 77</details>There are 60.',
        "<reason>SECRET 77</reason>There are 60.",
        "<thought_process>SECRET 77</thought_process>There are 60.",
        "<rationale>SECRET 77</rationale>There are 60.",
        "<|begin_of_think|>SECRET 77<|end_of_think|>There are 60.",
    ],
)
def test_markers_with_attributes_and_rarer_names_are_thoughts_too(raw):
    assert divide(raw).answer.strip() == "There are 60."
    assert "SECRET" in divide(raw).thoughts


@pytest.mark.parametrize("raw", ['<think time="3">SECRET\n#### 77', '<details type="reasoning" done="false">SECRET #### 77'])
def test_a_marker_with_attributes_that_is_not_closed_leaves_no_answer(raw):
    assert divide(raw).answer == ""


def test_a_page_that_folds_something_away_is_left_alone():
    page = "See:\n<details><summary>More</summary>\nIt is 60.\n</details>\nDone."
    assert divide(page).answer == page


@pytest.mark.parametrize("shape", BLOCKS)
def test_what_may_be_trained_on_of_thoughts_has_no_marker_left(shape):
    thoughts = Reply(BLOCKS[shape]).thoughts
    left = [mark for mark in ("<", ">", "|", "[", "◁", "analysis", "process:", "response:") if mark in thoughts]
    assert left == []
    assert bool(thoughts) == (shape != "empty")
    assert "####" not in thoughts


@pytest.mark.parametrize(
    "raw",
    [
        "Thinking...\n6 * 10\n...done thinking.\n\nThere are 60.\n#### 60",
        "```thinking\n6 * 10\n```\nThere are 60.\n#### 60",
        '<details type="reasoning" done="true">\n<summary>Thought for 3 s</summary>\n6 * 10\n</details>\nThere are 60.\n#### 60',
    ],
)
def test_thoughts_are_taken_out_of_their_frame(raw):
    assert Reply(raw).thoughts == "6 * 10"


def test_thoughts_that_came_apart_come_before_those_in_the_reply():
    assert Reply("<think>b</think>There are 60.", thinking="a").thoughts == "a\nb"
