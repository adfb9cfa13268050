"""Rewordings made by hand: good ones pass, each bad one is refused for its own reason."""

from dataclasses import replace

import pytest

from axolotl_synthetic.checks import rephrase_fidelity
from axolotl_synthetic.records import Question, Seed

from candidates import KEEPS, MATH, candidate, reworded

PLUMS = "Mira picked 48 plums on Saturday and half as many on Sunday. How many plums did Mira pick on both days together?"
BIKES = "Tomas earns $12 an hour for repairing bikes. Today he worked for just 50 minutes. How much did he earn?"
FENCE = (
    "Ines has to paint a fence of 120 boards. She painted 12 boards on Monday and twice as many on Tuesday. If she paints half of the"
    " remaining boards on Wednesday, how many boards is that?"
)
EGGS = "The hens of a farm lay two dozen eggs per day. The farmer eats three for breakfast and bakes with 4. How many eggs are left?"
TRIP = "A bus leaves at 8:00 and drives 1,200 km in 15.5 hours. What is its average speed in km per hour?"
SHIRT = "A shirt that costs $40 is sold at 25% off. What is its price?"
TEA = "Lena wants to cool her tea quickly by pouring it. Which kind of cup will lose the most heat?"
PLANET = "Which of these is NOT a planet?"
FRUIT = "Name three fruits that are red."
GERMAN = "Anna hat 6 Gläser mit je zehn Karten. Wie viele Karten hat Anna insgesamt?"
CHINESE = "小明有6个罐子，每个罐子里有10张卡片。他一共有多少张卡片？"

GOOD = [
    (PLUMS, "On Saturday, Mira picked 48 plums; on Sunday she picked half that number. What is the total number of plums for both days?"),
    (PLUMS, "48 plums were picked by Mira on Saturday. On Sunday it was 1/2 of that. Find how many plums she picked in all."),
    (PLUMS, "How many plums did Mira pick at the weekend if it was 48 on Saturday and 50% as many on Sunday?"),
    (BIKES, "For repairing bikes, Tomas is paid $12 per hour. If he worked for 50 minutes today, how much money did he make?"),
    (BIKES, "Today Tomas spent fifty minutes repairing bikes at a rate of twelve dollars an hour. Work out his earnings."),
    (
        FENCE,
        "There are 120 boards in the fence of Ines. 12 got paint on Monday, double that on Tuesday, half the rest later: how many?",
    ),
    (
        EGGS,
        "Each day a farmer gets 24 eggs from his hens. 3 of them are his breakfast and four are for baking. What number remains?",
    ),
    (EGGS, "A farm has hens that lay 2 dozen eggs a day. With three eaten and 4 used for baking, how many eggs does the farmer have left?"),
    (TRIP, "Leaving at 8 am, a bus covers 1200 km within 15.5 hours. Calculate the average speed in kilometres per hour."),
    (SHIRT, "If a $40 shirt is discounted by a quarter, how much does the shirt cost?"),
    (SHIRT, "What do you pay for a shirt priced at $40.00 when there is 25 percent off?"),
    (TEA, "By pouring her tea, Lena tries to get it cool fast. What cup loses the most heat?"),
    (PLANET, "All of these are planets except one. Which one?"),
    (PLANET, "Which of the following isn't a planet?"),
    (FRUIT, "Give me 3 examples of red fruits."),
    (FRUIT, "List three red-coloured fruits."),
    (GERMAN, "Wie viele Karten besitzt Anna insgesamt, wenn sie 6 Gläser mit jeweils zehn Karten hat?"),
    (GERMAN, "Anna besitzt 6 Gläser, und in jedem liegen 10 Karten. Berechne die Zahl ihrer Karten."),
    (CHINESE, "小明的6个罐子里各有10张卡片，请问卡片总数是多少？"),
]
COPY, NOTHING, ANSWERED = "a copy of the seed's question", "it asks nothing", "it holds an answer"
BAD = [
    (PLUMS, PLUMS, COPY),
    (PLUMS, PLUMS.lower().replace(".", " ."), COPY),
    (PLUMS, "Mira picked 84 plums on Saturday, and half as many on Sunday. How many in all?", "the seed's '48' is missing"),
    (PLUMS, "Mira picked plums on Saturday and half as many on Sunday. How many plums are that?", "the seed's '48' is missing"),
    (PLUMS, "Mira picked 48 plums on Saturday and 24 on Sunday. How many in all?", "'24' is not in the seed's question"),
    (PLUMS, "Mira picked 48 plums and half as many. She picked 72. Is that so?", "'72' is not in the seed's question"),
    (PLUMS, "Mira picked 48 plums on Saturday. On Sunday she picked half as many plums.", NOTHING),
    (PLUMS, "Mira picked 48 plums, then half as many. How many in all? Answer: 48 and the half of it", ANSWERED),
    (PLUMS, "Mira picked 48 plums, then half as many. How many in all?\n#### 48", ANSWERED),
    (PLUMS, "A train has 48 wagons, and the express has half as many. How many wheels roll?", "it shares "),
    (BIKES, "Tomas earns $12 an hour. How much did he earn after 50 hours and 30 minutes?", "'30' is not in the seed's question"),
    (BIKES, f"{BIKES[:-1]}, we ask? {'It was a long day. ' * 60}", "it has 1,"),
    (
        EGGS,
        "The hens lay two dozen eggs per day. He eats some and bakes with 4. How many are left?",
        "the seed's 'three' is missing",
    ),
    (
        EGGS,
        "The hens lay a dozen eggs per day. He eats three, bakes with 4. How many are left?",
        "the seed's 'two dozen' is missing",
    ),
    (TRIP, "A bus leaves at 8:00 and drives 1,200 km in 15 hours. What is its average speed?", "the seed's '15.5' is missing"),
    (SHIRT, "A shirt that costs $40 is sold at 52% off. What is its price?", "the seed's '25%' is missing"),
    (SHIRT, "A shirt that costs $٤٠ is sold at 25% off. What is its price?", "the seed's '40' is missing"),
    (PLANET, "Which of these is a planet?", "the seed's 'NOT' is missing"),
    (TEA, "Pouring tea cools it for Lena. Which cup will NOT keep the heat?", "it asks for the reverse"),
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
    seed = Seed("s", Question(PLUMS))
    assert rephrase_fidelity.make(MATH, KEEPS)(candidate(strategy=strategy, question=BIKES), seed).passed is None


def test_a_rewording_that_could_not_be_read_is_not_judged():
    made = reworded(PLUMS)
    assert rephrase_fidelity.make(MATH, KEEPS)(replace(made, question=None), Seed("s", Question(PLUMS))).passed is None


@pytest.mark.parametrize("asked", [PLUMS, BIKES, FENCE, EGGS, TRIP, SHIRT, TEA, PLANET, FRUIT, GERMAN, CHINESE])
def test_a_question_with_a_polite_word_before_it_is_faithful(asked):
    assert verdict(asked, f"Please: {asked}").passed is True
