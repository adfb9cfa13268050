"""Rewordings made by hand: good ones pass, each bad one is refused for its own reason."""

from dataclasses import replace

import pytest

from axolotl_synthetic.checks import rephrase_fidelity
from axolotl_synthetic.records import Question, Seed

from candidates import KEEPS, MATH, candidate, reworded

CLIPS = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did Natalia sell altogether in April and May?"
WENG = "Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes of babysitting. How much did she earn?"
JULIE = "Julie is reading a 120-page book. Yesterday, she was able to read 12 pages and today, she read twice as many pages as yesterday. If she wants to read half of the remaining pages tomorrow, how many pages should she read?"
EGGS = "Janet's ducks lay two dozen eggs per day. She eats three for breakfast and bakes muffins with 4. How many eggs are left?"
TRIP = "A bus leaves at 8:00 and drives 1,200 km in 15.5 hours. What is its average speed in km per hour?"
SHIRT = "A shirt that costs $40 is sold at 25% off. What is its price?"
PALMS = "George wants to warm his hands quickly by rubbing them. Which skin surface will produce the most heat?"
PLANET = "Which of these is NOT a planet?"
FRUIT = "Name three fruits that are red."
GERMAN = "Anna hat 6 Gläser mit je zehn Karten. Wie viele Karten hat Anna insgesamt?"
CHINESE = "小明有6个罐子，每个罐子里有10张卡片。他一共有多少张卡片？"

GOOD = [
    (
        CLIPS,
        "In April, Natalia sold clips to 48 friends; in May she sold half that number. What is the total number of clips she sold in both months?",
    ),
    (
        CLIPS,
        "Natalia had 48 friends who bought clips from her in April. In May, her sales were 1/2 of that. Find how many clips she sold in all.",
    ),
    (
        CLIPS,
        "How many clips did Natalia sell over April and May together, if 48 of her friends bought one in April and she sold 50% as many in May?",
    ),
    (WENG, "For babysitting, Weng is paid $12 per hour. If she babysat for 50 minutes yesterday, how much money did she make?"),
    (WENG, "Yesterday Weng spent fifty minutes babysitting at a rate of twelve dollars an hour. Work out her earnings."),
    (
        JULIE,
        "There are 120 pages in the book Julie is reading. She read 12 yesterday and double that today. Tomorrow she wants to finish half of what is left: how many pages is that?",
    ),
    (
        EGGS,
        "Each day Janet gets 24 eggs from her ducks. 3 of them are her breakfast and four go into muffins. What number of eggs remains?",
    ),
    (
        EGGS,
        "Janet owns ducks that lay 2 dozen eggs a day. After she has eaten three in the morning and used 4 for muffins, how many eggs does she have left?",
    ),
    (TRIP, "Leaving at 8 am, a bus covers 1200 km within 15.5 hours. Calculate the average speed in kilometres per hour."),
    (SHIRT, "If a $40 shirt is discounted by a quarter, how much does the shirt cost?"),
    (SHIRT, "What do you pay for a shirt priced at $40.00 when there is 25 percent off?"),
    (PALMS, "Rubbing his hands together, George wants to get them warm fast. What surface of the skin makes the most heat?"),
    (PLANET, "All of these are planets except one. Which one?"),
    (PLANET, "Which of the following isn't a planet?"),
    (FRUIT, "Give me 3 examples of red fruits."),
    (FRUIT, "List three red-coloured fruits."),
    (GERMAN, "Wie viele Karten besitzt Anna insgesamt, wenn sie 6 Gläser mit jeweils zehn Karten hat?"),
    (GERMAN, "Anna besitzt 6 Gläser, und in jedem liegen 10 Karten. Berechne die Zahl ihrer Karten."),
    (CHINESE, "小明的6个罐子里各有10张卡片，请问卡片总数是多少？"),
]
BAD = [
    (CLIPS, CLIPS, "a copy of the seed's question"),
    (CLIPS, CLIPS.lower().replace(".", " ."), "a copy of the seed's question"),
    (CLIPS, "In April, Natalia sold clips to 84 friends, and half as many in May. How many clips in all?", "the seed's '48' is missing"),
    (CLIPS, "Natalia sold clips in April and half as many in May. How many clips did she sell altogether?", "the seed's '48' is missing"),
    (
        CLIPS,
        "Natalia sold 48 clips in April and 24 in May, half as many. How many clips did she sell?",
        "'24' is not in the seed's question",
    ),
    (
        CLIPS,
        "Natalia sold clips to 48 friends in April and half as many in May. She sold 72 clips. Is it so?",
        "'72' is not in the seed's question",
    ),
    (CLIPS, "Natalia sold clips to 48 of her friends in April. In May she sold half as many clips.", "it asks nothing"),
    (CLIPS, "Natalia sold 48 clips in April, half as many in May. How many in all? Answer: 48 and the half of it", "it holds an answer"),
    (CLIPS, "Natalia sold 48 clips in April, half as many in May. How many in all?\n#### 48", "it holds an answer"),
    (CLIPS, "A train has 48 wagons, and the express has half as many. How many wheels roll?", "it shares "),
    (
        WENG,
        "Weng earns $12 an hour for babysitting. How much did she earn after 50 hours and 30 minutes?",
        "'30' is not in the seed's question",
    ),
    (
        EGGS,
        "Janet's ducks lay two dozen eggs per day. She eats some for breakfast and bakes with 4. How many are left?",
        "the seed's 'three' is missing",
    ),
    (
        EGGS,
        "Janet's ducks lay a dozen eggs per day. She eats three and bakes with 4. How many eggs are left?",
        "the seed's 'two dozen' is missing",
    ),
    (TRIP, "A bus leaves at 8:00 and drives 1,200 km in 15 hours. What is its average speed?", "the seed's '15.5' is missing"),
    (SHIRT, "A shirt that costs $40 is sold at 52% off. What is its price?", "the seed's '25%' is missing"),
    (SHIRT, "A shirt that costs $٤٠ is sold at 25% off. What is its price?", "the seed's '40' is missing"),
    (PLANET, "Which of these is a planet?", "the seed's 'NOT' is missing"),
    (PALMS, "Rubbing his hands warms George. Which skin surface will NOT produce heat?", "it asks for the reverse"),
    (GERMAN, "Wie viele Karten besitzt Anna, wenn sie 7 Gläser mit jeweils zehn Karten hat?", "the seed's '6' is missing"),
    (CHINESE, "小明有6个罐子，每个罐子里有12张卡片。他一共有多少张卡片？", "the seed's '10' is missing"),
]


def verdict(asked: str, text: str):
    return rephrase_fidelity.make(MATH, KEEPS)(reworded(text, Seed("s", Question(asked))), Seed("s", Question(asked)))


@pytest.mark.parametrize(("asked", "text"), GOOD)
def test_a_good_rewording_passes(asked, text):
    assert verdict(asked, text).detail == ""
    assert verdict(asked, text).passed is True


@pytest.mark.parametrize(("asked", "text", "why"), BAD)
def test_a_bad_rewording_is_refused_for_its_own_reason(asked, text, why):
    judged = verdict(asked, text)
    assert judged.passed is False
    assert judged.detail.startswith(why)


@pytest.mark.parametrize("strategy", ["answer_augmentation", "new_question"])
def test_other_strategies_are_not_held_to_it(strategy):
    seed = Seed("s", Question(CLIPS))
    assert rephrase_fidelity.make(MATH, KEEPS)(candidate(strategy=strategy, question=WENG), seed).passed is None


def test_a_rewording_that_could_not_be_read_is_not_judged():
    made = reworded(CLIPS)
    assert rephrase_fidelity.make(MATH, KEEPS)(replace(made, question=None), Seed("s", Question(CLIPS))).passed is None


@pytest.mark.parametrize("asked", [CLIPS, WENG, JULIE, EGGS, TRIP, SHIRT, PALMS, PLANET, FRUIT, GERMAN, CHINESE])
def test_a_question_with_a_polite_word_before_it_is_faithful(asked):
    assert verdict(asked, f"Please: {asked}").passed is True
