"""Replies of the fake server's model: arithmetic about jars and cards, right unless told to err. Pure functions of the request.

The purpose of a request is recognised by words of the prompts. Multiple-choice questions are about jars too, with numbers as choices. A
test that needs other replies passes a function to the server.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Literal

Purpose = Literal["answer", "rephrase", "new_question", "self_check", "judge"]

# "6 jars with 10 cards each": the only kind of problem that this model solves.
PROBLEM = re.compile(r"(\d+) (\w+) with (\d+) (\w+) each")
# Words of the prompts in `axolotl_synthetic/tasks/prompts`, and of the benchmarks' own, searched in this order.
WORDS: tuple[tuple[Purpose, tuple[str, ...]], ...] = (
    ("judge", ("you grade one answer",)),
    ("self_check", ("complete and clear", "well formed", "yes or no")),
    ("rephrase", ("reword", "rephrase")),
    ("new_question", ("write one new", "write a new", "invent")),
)
SCORE = re.compile(r"^(Score \w+:) <number>$", re.MULTILINE)
NAMES = ("Ada", "Ben", "Chen", "Dina", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jara", "Kofi", "Lena", "Milan", "Noor", "Olga", "Pablo")
HOLDERS = ("jars", "boxes", "bags", "crates", "trays", "drawers", "baskets", "shelves")
THINGS = ("cards", "coins", "marbles", "stamps", "pens", "shells", "beads", "buttons")


def request_key(body: dict[str, Any]) -> int:
    """Return a number that depends only on the messages and the `seed`."""
    digest = blake2b(digest_size=8)
    for message in body.get("messages") or ():
        digest.update(repr((message.get("role"), message.get("content"))).encode(errors="surrogatepass"))
    digest.update(repr(body.get("seed")).encode())
    return int.from_bytes(digest.digest(), "big")


def purpose_of(body: dict[str, Any]) -> Purpose:
    """Return the purpose of a request, by the words of its system prompt and last turn; worked examples between them do not count."""
    messages = body.get("messages") or []
    ends = [message for message in messages if message.get("role") == "system"] + messages[-1:]
    text = " ".join(str(message.get("content")) for message in ends).lower()
    for purpose, words in WORDS:
        for word in words:
            if word in text:
                return purpose
    return "answer"


class MathReplies:
    """The default `reply`.

    Args:
        wrong: share of the answers that are off by one.
        doubt: share of the self-checks that end with a no.
        harsh: share of the judgements that give a 2 instead of a 5.
        mumbled: share of the judgements that give no score.
    """

    def __init__(self, wrong: float = 0.0, doubt: float = 0.0, harsh: float = 0.0, mumbled: float = 0.0) -> None:
        self.wrong = wrong
        self.doubt = doubt
        self.harsh = harsh
        self.mumbled = mumbled

    def __call__(self, body: dict[str, Any], key: int | None = None) -> str:
        """Return the reply to a request; `key` replaces the request's own `request_key`, to get another sample."""
        key = request_key(body) if key is None else key
        messages = body.get("messages") or [{}]
        last = str(messages[-1].get("content"))
        purpose = purpose_of(body)
        if purpose == "judge":
            form = SCORE.findall(str(messages[0].get("content")))[-1]
            if _share(key) < self.mumbled:
                return "I would rather not say."
            return f"It is what was asked for.\n{form} {2 if _share(key) < self.mumbled + self.harsh else 5}"
        if purpose == "self_check":
            return "It leaves something open.\nNo" if _share(key) < self.doubt else "Everything that is needed is given.\nYes"
        if purpose == "new_question":
            return _new_question(key, choices="multiple-choice" in str(messages[0].get("content")))
        problems = PROBLEM.findall(last)
        if purpose == "rephrase":
            return _rephrased(last, problems, key)
        if not problems:
            return f"Nothing here can be counted.\nAnswer: A\n#### {key % 1000}"
        holders, holder, things, thing = problems[-1]
        product = int(holders) * int(things)
        said = product + 1 if _share(key) < self.wrong else product
        letter = re.search(rf"^([A-Z])[.)] {said}\b", last, re.MULTILINE) if "\nB" in last else None
        return (
            f"{_name(key)} notes on sheet {(key >> 8) % 10_000_000}: each of the {holders} {holder} holds {things} {thing}, so there are"
            f" {holders} * {things} = {said} {thing} in all.\n" + (f"Answer: {letter[1]}" if letter else f"#### {said}")
        )


def _new_question(key: int, *, choices: bool) -> str:
    holders, things = 2 + (key >> 8) % 9_973, 2 + (key >> 24) % 9_967
    holder, thing = HOLDERS[(key >> 40) % len(HOLDERS)], THINGS[(key >> 44) % len(THINGS)]
    question = f"{_name(key)} has {holders} {holder} with {things} {thing} each. How many {thing} does {_name(key)} have in all?"
    if not choices:
        return question
    right = key % 4
    return "\n".join([question, *(f"{'ABCD'[place]}. {holders * things + place - right}" for place in range(4))])


def _rephrased(last: str, problems: list[tuple[str, ...]], key: int) -> str:
    if not problems:
        return f"Put differently for {_name(key)}, {last.removeprefix('Reword: ')}"
    holders, holder, things, thing = problems[-1]
    # Use letters: another number would be a quantity that the seed does not have.
    room = "".join(chr(ord("a") + (key >> shift) % 16) for shift in (8, 12, 16, 20, 24))
    return f"How many {thing} does {_name(key)} own, keeping {holders} {holder} with {things} {thing} each in the room {room}?"


def _name(key: int) -> str:
    return NAMES[key % len(NAMES)]


def _share(key: int) -> float:
    """Return a number from 0 to 1 by the key, independent of the parts of it that choose the words."""
    return (key * 0x9E3779B97F4A7C15 % 2**64) / 2**64
