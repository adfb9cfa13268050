"""The end of the model's own turn: special tokens within a reply, invented turns, and similar texts that are neither."""

from __future__ import annotations

import time

import pytest

from axolotl_synthetic.thoughts import divide

SAID = "There are 60.\n#### 60"

CUT = {
    "ChatML, the next turn without its token": "<|im_end|>\nassistant\n#### 70",
    "ChatML, the user's": "<|im_end|>\n<|im_start|>user\nAnd with 7 jars?<|im_end|>\n<|im_start|>assistant\n#### 70",
    "ChatML, no end": "\n<|im_start|>user\nAnd with 7 jars?",
    "Alpaca": "<|endoftext|>\n\n### Instruction:\nCount again.\n\n### Response:\n#### 70",
    "Alpaca, without a token": "\n\n### Instruction:\nCount again.\n\n### Response:\n#### 70",
    "Vicuna": "</s>USER: And with 7 jars? ASSISTANT: #### 70",
    "a document behind it": "<|endoftext|>The next document is about ships.",
    "a document on a line of its own": "<|endoftext|>\nThe next document is about ships.",
    "user": "\n\nUser: And with 7 jars?\n\nAssistant: #### 70",
    "user, and nothing more": "\n\nUser:",
    "human in a tag": "\n<human>: And with 7 jars?\n<bot>: #### 70",
    "human": "\n\nHuman: And with 7 jars?",
    "in bold": "\n\n**User:** And with 7 jars?",
    "question": "\n\nQuestion: And with 7 jars?\nAnswer: #### 70",
    "question, numbered": "\n\nQuestion 2: And with 7 jars?",
    "Q": "\n\nQ: And with 7 jars?\nA: 70",
    "problem": "\nProblem: And with 7 jars?",
    "Chinese": "\n\n问题：还有呢？\n#### 70",
    "its own": "\n\nAssistant: #### 70",
    "roles, tokens skipped": "\nuser\nAnd with 7 jars?\nassistant\n#### 70",
    "Llama 3, tokens skipped": "assistant\n\n#### 70",
    "heading": "\n\n## Question\nAnd with 7 jars?",
    "EXAONE": "[|endofturn|]\n[|user|]And with 7 jars?",
    "Llama 3": "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd with 7 jars?",
    "Llama 4": "<|eot|><|header_start|>user<|header_end|>\n\nAnd with 7 jars?",
    "Phi": "<|end|>\n<|user|>\nAnd with 7 jars?",
    "Gemma": "<end_of_turn>\n<start_of_turn>user\nAnd with 7 jars?",
    "Gemma 4": "<turn|>\n<|turn>user\nAnd with 7 jars?",
    "Mistral": "</s>[INST] And with 7 jars? [/INST] #### 70",
    "Mistral, both": "</s><s>[INST] And with 7 jars? [/INST] #### 70",
    "Mistral, no end": " [INST] And with 7 jars?",
    "DeepSeek": "<｜end▁of▁sentence｜><｜User｜>And with 7 jars?",
    "Command R": "<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>And with 7 jars?",
    "Baichuan": "<reserved_106>And with 7 jars?<reserved_107>#### 70",
    "InternLM": "<eoa>\n<|User|>:And with 7 jars?<eoh>\n<|Bot|>:#### 70",
    "InternLM 2": "[UNUSED_TOKEN_145]\n[UNUSED_TOKEN_146]user\nAnd with 7 jars?",
    "OpenChat": "<|end_of_turn|>GPT4 Correct User: And with 7 jars?",
    "Grok 2": "<|separator|>\n\nHuman: And with 7 jars?",
    "Ling": "<role>HUMAN</role>And with 7 jars?",
    "Nemotron": "\n<extra_id_1>User\nAnd with 7 jars?",
    "GLM": "<|user|>\nAnd with 7 jars?",
    "Kimi": "[EOS]\nThe next document.",
}
TRAILING = {
    **{
        "EXAONE": "[|endofturn|]",
        "Llama 3": "<|eot_id|>",
        "Phi": "<|end|>",
        "Gemma": "<end_of_turn>",
        "Mistral": "</s>",
        "DeepSeek": "<｜end▁of▁sentence｜>",
        "Command R": "<|END_OF_TURN_TOKEN|>",
        "Baichuan": "<reserved_106>",
        "InternLM": "<eoa>",
        "InternLM, both": "<eoa>\n<eoh>",
        "InternLM 2": "[UNUSED_TOKEN_145]",
        "Yi": "<|im_end|>\n<|endoftext|>",
        "Seed": "<seed:eos>",
        "Cohere": "<EOS_TOKEN>",
        "MiniMax": "[e~[",
        "Nemotron": "<SPECIAL_12>",
        "a beginning": "<|im_end|>\n<|im_start|>",
        "a beginning with a role": "<|im_end|>\n<|im_start|>user",
        "Mistral, another beginning": "</s><s>",
        "Hunyuan": "<｜hy_eos｜>",
        "BERT": " [SEP]",
        "BERT, padded": "[SEP][PAD][PAD]",
    },
}


@pytest.mark.parametrize("behind", [*CUT.values(), *TRAILING.values()], ids=[*CUT, *(f"at the end: {name}" for name in TRAILING)])
def test_what_is_behind_the_models_own_turn_is_cut_off(behind):
    divided = divide(SAID + behind)
    assert (divided.answer.rstrip(), divided.unusable) == (SAID, "")


@pytest.mark.parametrize("before", ["<think>6 * 10</think>", "<|im_start|>assistant\n", "[|assistant|]", "<｜Assistant｜>", "<s> "])
@pytest.mark.parametrize("behind", ["<|im_end|>", "\n\nUser: And with 7 jars?", ""])
def test_both_ends_are_cut_off(before, behind):
    assert divide(before + SAID + behind).answer.strip() == SAID


@pytest.mark.parametrize(
    "raw",
    [
        "There are 60.\n\nUser: And with 7 jars?\n\nAssistant: 70.",
        "There are 60.\n\nHuman: And with 7 jars?",
        "Answer: 60\n\nUser: And with 7 jars?",
        "There are 60.\n\n### Instruction:\nCount again.\n\n### Response:\n70",
        "There are 60.\nuser\nAnd with 7 jars?\nassistant\n70",
        "There are 60.assistant\n\nThere are 70.",
        "It is sixty.\n\n用户：还有呢？",
        "It is sixty.\nQ: And with 7 jars?\nA: Seventy.",
        "It is sixty.\n<human>: And with 7 jars?\n<bot>: Seventy.",
        # A token within a sentence: the text before it is incomplete.
        "A turn ends with <|im_end|> and so on.",
        "A turn begins with <|im_start|>user and then what is asked.",
        "There are <|im_end|> 60.",
        "There are 60<|reserved_special_token_7|> cards.\n#### 60",
        # Tools
        "<|python_tag|>print(6 * 10)<|eom_id|>",
        'Let me see.\n<tool_call>\n{"name": "add"}\n</tool_call>',
        '<tool_call>{"name": "add"}</tool_call>',
        '[TOOL_CALLS][{"name": "add"}]',
        "Let me see.<|tool_calls_section_begin|>add",
        "There are 60.\n<tool_response>6 * 10</tool_response>",
        'There are 60.\n<function=add>{"x": 6}</function>',
        'There are 60.\n<function_calls>\n<invoke name="add">\n</invoke>\n</function_calls>',
        '<invoke name="add">\n</invoke>\nThere are 60.',
        # StarCoder's documents, and words outside a vocabulary
        "There are 60.<file_sep>The next file.",
        "There are <unk> cards.",
        # Citations of a search within the text
        "There are 60【4†source】 in all.",
        "There are 60\ue200cite\ue202turn0search0\ue201 in all.",
        "It is sixty. USER: And with 7 jars? ASSISTANT: 70",
        "It is sixty.\nuser: And with 7 jars?\nassistant: 70",
        # Another speaker's turn from its first word on
        "<|im_start|>user\nAnd with 7 jars?",
        "<think>6</think>\n<|im_end|>\n<|im_start|>user\nAnd with 7 jars?",
        "<|user|>\nAnd with 7 jars?",
        "[|user|]And with 7 jars?",
        "[INST] And with 7 jars? [/INST] 70",
        "<start_of_turn>user\nAnd with 7 jars?",
    ],
)
def test_where_the_answer_ends_is_not_known_and_nothing_is_taken(raw):
    divided = divide(raw)
    assert divided.answer == ""
    assert divided.unusable in raw
    assert divided.unusable


@pytest.mark.parametrize(
    "text",
    [
        "Here is a chat:\n\nUser: Hello!\nBot: Hello, how can I help?\n\nUser: I have lost my card.\nBot: I am sorry.",
        "User: Hello!\nBot: Hello, how can I help?\nUser: Bye.",
        "Bot: Hello, how can I help?\nUser: Bye.\nBot: Bye.",
        "**Ada:** Hello!\n**User:** Good morning.",
        "## A chat at the bank\n\nUser: Hello!\nAgent: Good morning.",
        "I wrote a short dialogue for you.\n\nHuman: Hello!\nRobot: Beep.",
        "Of course! This is the script.\n\n---\n\nHuman: Hello!\nRobot: Beep.",
        "```\nThere are 60.\n\nUser: And 7?\n```\nThat is the file.",
        "The log says:\n\nUser: ada\nHost: nile",
        "The marker `User:` begins a line; `<|im_end|>` ends a turn.",
        "Each user has a role: assistant\nor admin.",
        "- User: reads\n- Admin: writes",
        "user\nadmin\nguest",
        "The shop's assistant\n\nShe sells books.",
        "Q: What is it?\nA: A riddle.\nQ: And this?\nA: Another.",
        "Here are two questions:\nQ: What is it?\nA: A riddle.\nQ: And this?\nA: Another.",
        "Keep the letters apart.\nQ: the fifth of a row",
        "A [CLS] token stands first, and [SEP] ends each sentence.",
        "Question: What is it?\nAnswer: A riddle.\n\nQuestion: And this?\nAnswer: Another.",
        "### Instructions\n1. Mix.\n2. Bake.",
        "### Question\nWhy?\n\n### Answer\nBecause.",
        "The state is <|psi|> and its norm is <|PHI|>.",
        "Log in so.\nuser: ada\npassword: none",
        "assistant\nnurse\nteacher",
        "Write `<function=add>` and `<unk>` as they are.",
        "【重要】There are 60.",
        "The state is <|psi|>",
        "x = a[|i|] + 3",
        "Write a `[INST]` and then `[/INST]`.",
        "\n  There are 60.\n#### 60\n\n  ",
        "There are 60.\n#### 60\nThat was easy.",
    ],
)
def test_a_text_that_names_speakers_or_marks_is_left_byte_for_byte(text):
    divided = divide(text)
    assert (divided.answer, divided.thoughts, divided.unusable) == (text, "", "")


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        ("The answer is <|begin_of_box|>60<|end_of_box|>.", "The answer is 60."),
        ("<think>6 * 10</think>\n<|begin_of_box|>60<|end_of_box|>", "60"),
        ("#### <|begin_of_box|>60<|end_of_box|><|user|>\nAnd 7?", "#### 60"),
        ("<|begin_of_box|>60", "60"),
        ("GLM writes `<|begin_of_box|>` before it.", "GLM writes `<|begin_of_box|>` before it."),
    ],
)
def test_a_box_around_the_answer_is_taken_off(raw, answer):
    assert divide(raw).answer.strip() == answer


@pytest.mark.parametrize(
    "piece",
    [
        "\nUser: a",
        "#### 6" + " " * 50,
        "####" + "\n" * 50,
        "<|im_end|> a",
        "[INST]",
        "`<|im_end|>`",
        "assistant\n\n",
        "<|begin_of_box|>",
        " \n",
    ],
)
def test_a_hostile_reply_of_megabytes_takes_no_time(piece):
    began = time.monotonic()
    divide(piece * (2_000_000 // len(piece)) + "\nx")
    divide("#### 60\n" + piece * (2_000_000 // len(piece)) + "\nx")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "raw", ["assistant\n\n" + SAID, SAID + "【4†source】", SAID + "\ue200cite\ue202turn0search0\ue201", SAID + "<unk>", SAID + "<file_sep>"]
)
def test_a_header_without_its_tokens_and_what_stands_behind_the_answer_are_taken_off(raw):
    assert divide(raw).answer == SAID
