"""Chats as seeds: rows of OpenAI and ShareGPT, in the words of Axolotl's `datasets:`, and refusals with their remedies."""

import json

import pytest

from axolotl_synthetic import config
from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.records import Question
from axolotl_synthetic.seeds import read_seeds
from axolotl_synthetic.tasks.chat import TASK

HELLO = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello?"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "Is it late?"},
    {"role": "assistant", "content": "No."},
]
BEFORE = (("system", "Be brief."), ("user", "Hello?"), ("assistant", "Hi."))
SHAREGPT = [{"from": {"user": "human", "assistant": "gpt"}.get(turn["role"], "system"), "value": turn["content"]} for turn in HELLO]


def read(tmp_path, *rows, **block):
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_seeds(config.Seeds(path=str(path), **block), required=TASK.required, optional=TASK.optional, problem=TASK.problem, seed=1)


def only(tmp_path, row, **block):
    [seed] = read(tmp_path, row, **block).seeds
    return seed


@pytest.mark.parametrize("row", [{"messages": HELLO}, {"conversations": SHAREGPT}, {"messages": json.dumps(HELLO)}, {"messages": SHAREGPT}])
def test_the_common_forms_are_read_without_a_word(tmp_path, row):
    seed = only(tmp_path, row)
    assert (seed.question, seed.answer) == (Question("Is it late?", turns=BEFORE), "No.")


def test_axolotls_words_name_the_column_the_keys_and_the_roles(tmp_path):
    rows = [{"speaker": {"user": "customer", "assistant": "agent"}.get(turn["role"], "rule"), "said": turn["content"]} for turn in HELLO]
    seed = only(
        tmp_path,
        {"dialog": rows},
        field_messages="dialog",
        message_property_mappings={"role": "speaker", "content": "said"},
        roles={"user": ["customer"], "assistant": ["agent"], "system": ["rule"]},
    )
    assert (seed.question, seed.answer) == (Question("Is it late?", turns=BEFORE), "No.")


def test_a_system_message_may_be_in_a_column_of_its_own(tmp_path):
    assert only(tmp_path, {"messages": HELLO[1:], "system": "Be brief."}).question.turns == BEFORE
    assert only(tmp_path, {"messages": HELLO[1:], "rule": "Be brief."}, field_system="rule").question.turns == BEFORE
    assert only(tmp_path, {"messages": HELLO, "system": "Be long."}).question.turns == BEFORE


def test_parts_of_text_are_one_text_and_an_empty_system_message_is_none(tmp_path):
    turns = [{"role": "system", "content": ""}, {"role": "user", "content": [{"type": "text", "text": "Is it"}, {"text": " late?"}]}]
    assert only(tmp_path, {"messages": turns}).question == Question("Is it late?")


def test_a_chat_that_ends_with_the_user_has_no_answer(tmp_path):
    seed = only(tmp_path, {"messages": HELLO[:-1]})
    assert (seed.question.text, seed.answer) == ("Is it late?", None)


def test_what_was_said_before_makes_another_seed(tmp_path):
    seeds = read(tmp_path, {"messages": HELLO}, {"messages": HELLO[-2:]}).seeds
    assert len({seed.id for seed in seeds}) == 2


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        (
            [*HELLO, {"role": "tool", "content": "7"}],
            "turn 6 is of the role 'tool'; chats with tools cannot be gone on from",
        ),
        ([HELLO[1], {"role": "assistant", "content": None, "tool_calls": [{}]}], "turn 2 calls a tool"),
        (
            [{"role": "customer", "content": "Hello?"}],
            "turn 1 is of the role 'customer'; name it in `roles`, under user, assistant or system, as {user: [customer]}",
        ),
        ([{"who": "user", "said": "Hello?"}], "turn 1 has no 'role'; its keys are who, said: name those of role and content in"),
        ([HELLO[1], HELLO[3]], "two turns of the user follow one another ('Is it late?' is the second); join them"),
        ([HELLO[1], HELLO[0]], "a system message stands behind other turns; put it first"),
        ([HELLO[0], HELLO[2]], "no turn of the user's stands before the end"),
        ([{"role": "user", "content": " "}], "turn 1 (user) says nothing"),
        ([{"role": "user", "content": [{"type": "image", "image": "x"}]}], "something else than text, such as an image"),
        ("Hello?", "messages is a text and no list in JSON"),
        ([], "messages is empty, not a list of turns"),
    ],
)
def test_a_chat_that_cannot_be_gone_on_from_is_named_by_line(tmp_path, turns, says):
    found = read(tmp_path, {"messages": HELLO}, {"messages": turns})
    assert len(found.seeds) == 1
    [problem] = found.problems
    assert ":2: " in problem
    assert says in problem


def test_a_file_without_chats_is_told_which_column_to_name(tmp_path):
    with pytest.raises(SeedsError, match=r"has a column 'messages' .*write `fields: {messages: \"dialog\"}`"):
        read(tmp_path, {"dialog": HELLO})
    with pytest.raises(SeedsError, match=r"has a column 'dialogue' .*write `field_messages: 'dialog'`"):
        read(tmp_path, {"dialog": HELLO}, field_messages="dialogue")
