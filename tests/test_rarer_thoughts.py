"""Thoughts under rarer names and spellings than those of `test_thoughts.py`, and words that only resemble them."""

from __future__ import annotations

import pytest

from axolotl_synthetic.thoughts import divide

SAID = "There are 60.\n#### 60"
RARER = {
    "s1": "<|im_start|>think\nSECRET<|im_start|>answer\n" + SAID,
    "s1, with its turn": "<|im_start|>assistant\n<|im_start|>think\nSECRET\n<|im_start|>answer\n" + SAID + "<|im_end|>",
    "s1, opening in the prompt": "SECRET\n<|im_start|>answer\n" + SAID,
    "THINKING": "[THINKING]SECRET[/THINKING]" + SAID,
    "REASONING": "[REASONING]\nSECRET\n[/REASONING]\n" + SAID,
    "think in brackets": "[think]SECRET[/think]" + SAID,
    "brackets between the lines": "There are 60. [think]SECRET[/think]\n#### 60",
    "<|think|>": "<|think|>SECRET<|/think|>" + SAID,
    "<|think|> 2": "<|think|>SECRET</think>" + SAID,
    "<|thinking|>": "<|thinking|>SECRET<|end_thinking|>" + SAID,
    "end_of_thinking": "<|begin_of_thinking|>SECRET<|end_of_thinking|>" + SAID,
    "thought_start": "<|thought_start|>SECRET<|thought_end|>" + SAID,
    "</|think|>": "<|think|>SECRET</|think|>" + SAID,
    "full-width bars": "<｜begin▁of▁thinking｜>SECRET<｜end▁of▁thinking｜>" + SAID,
    "escaped": "&lt;think&gt;SECRET&lt;/think&gt;" + SAID,
    "escaped twice": "&amp;lt;think&amp;gt;SECRET&amp;lt;/think&amp;gt;" + SAID,
    "escaped, the end alone": "SECRET&lt;/think&gt;\n\n" + SAID,
    "JSON escapes": "\\u003cthink\\u003eSECRET\\u003c/think\\u003e" + SAID,
    "wide signs": "＜think＞SECRET＜/think＞" + SAID,
    "Chinese brackets": "【thinking】SECRET【/thinking】" + SAID,
    "harmony, lower case": "analysisthe user wants SECRET assistantfinal" + SAID,
    "harmony, capital": "analysisWe SECRETassistantfinal" + SAID,
    "harmony, its role too": "assistantanalysisSECRET assistantfinal" + SAID,
    "harmony, spaces": "analysis The user SECRET assistantfinal " + SAID,
    "Granite": "Here's my thought process:\nSECRET\nHere's my response:\n" + SAID,
    "ollama": "Thinking...\nSECRET\n...done thinking.\n\n" + SAID,
    "details": "<details><summary>Thought for 3 s</summary>SECRET</details>\n" + SAID,
    "bold": "**Thinking:** SECRET\n\n**Answer:** " + SAID,
    "bold, a process": "**Thought process:**\nSECRET\n**Final Answer:**\n" + SAID,
    "fence": "```thinking\nSECRET\n```\n" + SAID,
    "longcat": "<longcat_think>SECRET</longcat_think>" + SAID,
    "mm": "<mm:think>SECRET</mm:think>" + SAID,
    "ctrl": "<ctrl94>thought\nSECRET<ctrl95>" + SAID,
    "process": "<thinking_process>SECRET</thinking_process>" + SAID,
    "inner": "<inner_thought>SECRET</inner_thought>" + SAID,
    "cot-": "<chain-of-thought>SECRET</chain-of-thought>" + SAID,
    "solar": "<|think|>SECRET<|end|><|begin|>assistant<|content|>" + SAID + "<|end|>",
    "exaone": "[|assistant|]<thought>\nSECRET\n</thought>\n\n" + SAID + "[|endofturn|]",
    "wrap": "[REASONING]SECRET[/REASONING][ANSWER]" + SAID + "[/ANSWER]",
    "wrap esc": "&lt;think&gt;SECRET&lt;/think&gt;&lt;answer&gt;" + SAID + "&lt;/answer&gt;",
    "spaces": "< think >SECRET< / think >" + SAID,
    "Thought": "<Thought>SECRET</Thought>" + SAID,
    "glm": "\n<think>SECRET</think>\n" + SAID + "<|user|>",
    "a line break in the tag": "<think>SECRET</think\n>" + SAID,
}


@pytest.mark.parametrize("raw", RARER.values(), ids=RARER)
def test_rarer_names_and_spellings_are_thoughts_too(raw):
    divided = divide(raw)
    assert (divided.answer.strip(), divided.unusable) == (SAID, "")
    assert "SECRET" in divided.thoughts


def test_an_answer_in_small_letters_behind_a_final_channel_whose_tokens_are_skipped_is_the_answer():
    assert divide("analysisthe user wants SECRET.assistantfinalthere are 60").answer == "there are 60"


@pytest.mark.parametrize(
    "raw",
    [
        "analysisthe user wants SECRET",
        "analysis the user wants SECRET",
        "commentaryThe SECRET",
        "Here is my thought process:\nSECRET #### 60",
        "Here’s my thought process:\nSECRET",
        "<|im_start|>think\nSECRET",
        "[THINKING]SECRET",
        "[think]\nSECRET\n#### 60",
        "<|think|>SECRET",
        "&lt;think&gt;SECRET",
        "There are 60.\n[THINKING]SECRET",
        "Thinking...\nSECRET",
        "```thinking\nSECRET",
        "<details><summary>Thinking</summary>SECRET",
    ],
)
def test_thoughts_of_rarer_names_that_are_not_closed_leave_no_answer(raw):
    assert divide(raw).answer == ""


@pytest.mark.parametrize(
    "text",
    [
        "Analysis of the user's words.",
        "analysis of variance compares means.",
        "Her assistant finalised it.",
        "Let [thinking] be a word and [REASONING] another.",
        "See the chapters [think] and [thought].",
        "Write `&lt;think&gt;` in HTML.",
        "Here is my thought process for the garden, in short.",
        "```python\nthinking = 1\n```",
        "<details><summary>More</summary>It is 60.</details>",
        "A thinking cap.",
    ],
)
def test_words_that_only_resemble_markers_stay(text):
    assert divide(text).answer == text


def test_the_answers_of_tasks_come_back_byte_for_byte():
    texts = [
        "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nShe sold 48+24 = <<48+24=72>>72 clips altogether.\n#### 72",
        "Which factor will most likely cause a person to develop a fever?\nA. a leg muscle relaxing\nB. a bacterial population\nAnswer: B",
        "SELECT T1.name FROM user AS T1 WHERE T1.age < 30 AND T1.id <> 5 AND T1.x <= 6",
        "SELECT count(*) FROM head WHERE age > 56",
    ]
    assert [divide(text).answer for text in texts] == texts
