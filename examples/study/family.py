"""The example's family of problems: small stories about names, things and one or two sums, which a model of a million parameters can
learn. Writes them (always the same for the same number), solves them, and is the task that the study names (`task: family.Stories`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.math import Math

NAMES = [
    "Ada",
    "Ben",
    "Chen",
    "Dina",
    "Emil",
    "Fatima",
    "Goran",
    "Hana",
    "Ivo",
    "Jara",
    "Kofi",
    "Lena",
    "Milan",
    "Noor",
    "Olga",
    "Pablo",
    "Quinn",
    "Rosa",
    "Sami",
    "Tova",
]
THINGS = [
    "cards",
    "coins",
    "marbles",
    "stamps",
    "pens",
    "shells",
    "beads",
    "buttons",
    "apples",
    "plums",
    "stones",
    "leaves",
    "tickets",
    "candles",
    "bottles",
    "ribbons",
]
HOLDERS = ["jars", "boxes", "bags", "crates", "trays", "baskets"]


@dataclass(frozen=True)
class Kind:
    """What is done with the numbers, and how it is told. Each step is an operator and the number that comes next."""

    steps: str
    told: tuple[str, ...]


# {n} a name, {t} things, {h} holders, {a} {b} {c} the numbers in the order in which they are used.
KINDS = (
    Kind(
        "+",
        (
            "{n} has {a} {t} and finds {b} more. How many {t} does {n} have now?",
            "There are {a} {t} on a table. {n} puts {b} {t} beside them. How many {t} are on the table?",
            "{n} made {a} {t} on Monday and {b} on Tuesday. How many {t} did {n} make in all?",
            "In the morning {n} sees {a} {t}, and in the evening {b}. What is the number of {t} that {n} sees together?",
        ),
    ),
    Kind(
        "-",
        (
            "{n} has {a} {t} and gives away {b}. How many {t} does {n} have left?",
            "There were {a} {t} in a drawer. {n} took {b} of them out. How many {t} are still in the drawer?",
            "Of {a} {t} that {n} bought, {b} are broken. How many {t} are whole?",
            "{n} needs {a} {t} and has {b}. How many {t} are missing?",
        ),
    ),
    Kind(
        "*",
        (
            "{n} has {a} {h} with {b} {t} each. How many {t} does {n} have?",
            "Each of {a} {h} holds {b} {t}. How many {t} do they hold together?",
            "{n} fills {a} {h}. Into every one go {b} {t}. What is the number of {t}?",
            "For {a} days {n} picks {b} {t} a day. How many {t} are picked in all?",
        ),
    ),
    Kind(
        "+-",
        (
            "{n} has {a} {t}, finds {b} more and gives away {c}. How many {t} are left?",
            "A shop has {a} {t}. It gets {b} more, and {n} buys {c}. How many {t} does the shop have then?",
            "On a table are {a} {t}. {n} brings {b} and takes back {c}. How many {t} are on the table?",
            "{n} wins {a} {t} and then {b}, but loses {c} of them. How many {t} does {n} keep?",
        ),
    ),
    Kind(
        "--",
        (
            "{n} has {a} {t}, gives {b} to a friend and {c} to a brother. How many {t} does {n} keep?",
            "Of {a} {t} in a shop, {b} are sold on Monday and {c} on Tuesday. How many {t} are not sold?",
            "There were {a} {t}. {n} took {b}, and later {c} more. How many {t} are still there?",
            "{n} had {a} {t}. First {b} were lost, then {c} were broken. How many {t} are left?",
        ),
    ),
    Kind(
        "*+",
        (
            "{n} has {a} {h} with {b} {t} each, and {c} {t} beside them. How many {t} are there?",
            "Each of {a} {h} holds {b} {t}. {n} adds {c} {t}. How many {t} are there in all?",
            "For {a} days {n} makes {b} {t} a day, and {c} more on the last. How many {t} did {n} make?",
            "{n} buys {a} {h}, every one with {b} {t}, and gets {c} {t} for nothing. What is the number of {t}?",
        ),
    ),
    Kind(
        "*-",
        (
            "{n} has {a} {h} with {b} {t} each and gives away {c} {t}. How many {t} are left?",
            "Each of {a} {h} held {b} {t}. {n} lost {c} of the {t}. How many {t} are left?",
            "For {a} days {n} makes {b} {t} a day. Then {c} of the {t} are sold. How many {t} are not sold?",
            "{n} fills {a} {h}. Into every one go {b} {t}, and {c} {t} are taken out. What is the number of {t} then?",
        ),
    ),
    Kind(
        "++",
        (
            "{n} has {a} {t}, finds {b} and then {c} more. How many {t} does {n} have now?",
            "On three days {n} made {a}, {b} and {c} {t}. How many {t} did {n} make in all?",
            "There are {a} {t} in a box, {b} in a bag and {c} on the table. How many {t} are there?",
            "A shop got {a} {t} on Monday, {b} on Tuesday and {c} today. What is the number of {t} that it got?",
        ),
    ),
)

OPENINGS = ("Well: ", "Let us see. ", "Step by step: ", "We count. ", "It goes like this. ", "One thing after the other: ")
STEPS = ("{x} {o} {y} = {z}.", "{x} {o} {y} is {z}.", "{x} {o} {y} makes {z}.", "we have {x} {o} {y} = {z}.")
BETWEEN = (" ", " Then ", " Next ", " After that ")
CLOSINGS = ("", " So there are {z} {t}.", " That is {z} {t}.", " The answer is {z}.", " We end with {z} {t}.")


@dataclass(frozen=True)
class Story:
    """One problem: its kind, the words and the numbers in it."""

    kind: Kind
    name: str
    thing: str
    holder: str
    numbers: tuple[int, ...]

    def told(self, way: int) -> str:
        values = dict(zip("abc", self.numbers, strict=False))
        return self.kind.told[way].format(n=self.name, t=self.thing, h=self.holder, **values)

    def sums(self) -> list[tuple[int, str, int, int]]:
        """Left, operator, right and result of each step."""
        found, left = [], self.numbers[0]
        for operator, right in zip(self.kind.steps, self.numbers[1:], strict=True):
            result = {"+": left + right, "-": left - right, "*": left * right}[operator]
            found.append((left, operator, right, result))
            left = result
        return found

    def guessed(self) -> str:
        """What a hasty reader says: the first sum's result, which is the answer where there is no second sum."""
        return f"#### {self.sums()[0][3]}"

    def solved(self, draw: random.Random) -> str:
        """A worked solution in one of some hundreds of wordings."""
        step, between = draw.choice(STEPS), draw.choice(BETWEEN)
        sums = self.sums()
        steps = between.join(step.format(x=x, o=o, y=y, z=z) for x, o, y, z in sums)
        text = draw.choice(OPENINGS) + steps + draw.choice(CLOSINGS).format(z=sums[-1][3], t=self.thing)
        return f"{text[0].upper()}{text[1:]}\n#### {sums[-1][3]}"


def story(draw: random.Random, kind: Kind | None = None) -> Story:
    """Any problem of a kind, with numbers that leave no result below 1."""
    kind = kind or draw.choice(KINDS)
    numbers = [draw.randint(2, 6), draw.randint(2, 6)] if kind.steps[0] == "*" else [draw.randint(6, 20)]
    value = numbers[0] * numbers[1] if kind.steps[0] == "*" else numbers[0]
    for place, operator in enumerate(kind.steps[len(numbers) - 1 :], len(numbers)):
        # What is taken away leaves 1, and another 1 for each that is taken away later.
        most = 9 if operator == "+" else min(9, value - 1 - kind.steps[place:].count("-"))
        number = draw.randint(min(2, most), most)
        numbers.append(number)
        value += number if operator == "+" else -number
    return Story(kind, draw.choice(NAMES), draw.choice(THINGS), draw.choice(HOLDERS), tuple(numbers))


def way(draw: random.Random, other_than: int | None = None) -> int:
    """One of the four ways to tell a problem."""
    return draw.choice([number for number in range(4) if number != other_than])


def seed_row(draw: random.Random) -> dict[str, str]:
    """A seed with its gold answer."""
    one = story(draw)
    return {"question": one.told(way(draw)), "answer": one.solved(draw)}


class Stories(Math):
    """The task: as `math`, with prompts that are short enough for a small model."""

    name = "stories"

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        return _asked(question.text)

    def rephrase_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        return _asked(f"Reword: {question.text}")

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        return _asked(f"New: {question.text}")

    def self_check_messages(self, question: Question) -> tuple[Message, ...]:
        return _asked(f"Check: {question.text}")


def _asked(text: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": text},)
