"""Hand-made rewordings: good ones pass, each bad one is refused for its own reason."""

from dataclasses import replace

import pytest

from axolotl_synthetic.checks import rephrase_fidelity
from axolotl_synthetic.records import Question, Seed

from candidates import KEEPS, MATH, candidate, reworded

MUGS = "Mira sells mugs to 48 guests in spring, and half as many mugs in summer. How many mugs does she sell in spring and summer together?"
GARDEN = "Lev gets $12 an hour for gardening. Yesterday he gardened for 50 minutes. How much did he earn?"
BOX = (
    "Tess sorts a box of 120 stamps. Yesterday she sorted 12, and today twice as many. Tomorrow she "
    "sorts half of the rest. How many is that?"
)
EGGS = "Nora's geese lay two dozen eggs a week. Three break and she bakes a cake with 4. How many eggs are left?"
TRIP = "A bus leaves at 8:00 and drives 1,200 km in 15.5 hours. What is its average speed in km per hour?"
SHIRT = "A shirt that costs $40 is sold at 25% off. What is its price?"
BOOTS = "Omar wants to dry his boots soon. Which place in the room will dry them the fastest?"
PLANET = "Which of these is NOT a planet?"
FRUIT = "Name three fruits that are red."
GERMAN = "Anna hat 6 Gläser mit je zehn Karten. Wie viele Karten hat Anna insgesamt?"
CHINESE = "小明有6个罐子，每个罐子里有10张卡片。他一共有多少张卡片？"

GOOD = [
    (
        MUGS,
        "In spring, Mira sold mugs to 48 guests; in summer she sold half that number. What is the total "
        "number of mugs she sold in both months?",
    ),
    (
        MUGS,
        "Mira had 48 guests who bought mugs from her in spring. In summer, her sales were 1/2 of that. Find how many mugs she sold in all.",
    ),
    (
        MUGS,
        "How many mugs did Mira sell over spring and summer together, if 48 of her guests bought one in "
        "spring and she sold 50% as many in summer?",
    ),
    (GARDEN, "For gardening, Lev is paid $12 per hour. If he gardened for 50 minutes yesterday, how much money did he make?"),
    (GARDEN, "Yesterday Lev spent fifty minutes gardening at a rate of twelve dollars an hour. Work out his earnings."),
    (
        BOX,
        "There are 120 stamps in the box of Tess. She sorted 12 yesterday and double that today. Tomorrow it "
        "is half of what is left: how many stamps is that?",
    ),
    (
        EGGS,
        "Each week Nora gets 24 eggs from her geese. 3 of them break and four go into a cake. What number of eggs remains?",
    ),
    (
        EGGS,
        "Nora owns geese that lay 2 dozen eggs a week. After three have broken and 4 were used for a cake, "
        "how many eggs does she have left?",
    ),
    (
        EGGS,
        "How many eggs remain to Nora's family of four, whose geese lay twenty-four eggs a week, if 3 of them break and 4 go into a cake?",
    ),
    (TRIP, "Leaving at 8 am, a bus covers 1200 km within 15.5 hours. Calculate the average speed in kilometres per hour."),
    (SHIRT, "If a $40 shirt is discounted by a quarter, how much does the shirt cost?"),
    ("Ida buys 3 pens at $0.50 each. How much does she pay?", "At 50 cents each, how much do 3 pens cost Ida?"),
    ("Ida walks 1 1/2 miles 4 times a week. How many miles does Ida walk?", "How many miles are 4 walks of 1.5 miles a week for Ida?"),
    (
        "Ida walks 1 1/2 miles 4 times a week. How many miles does Ida walk?",
        "Ida has 4 weekly walks of one and a half miles: how many in all?",
    ),
    (SHIRT, "What do you pay for a shirt priced at $40.00 when there is 25 percent off?"),
    (BOOTS, "Omar would like dry boots soon. What place in the room dries them in the shortest time?"),
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
    (MUGS, MUGS, COPY),
    (MUGS, MUGS.lower().replace(".", " ."), COPY),
    (MUGS, "In spring, Mira sold mugs to 84 guests, and half as many in summer. How many mugs in all?", "the seed's '48' is missing"),
    (MUGS, "Mira sold mugs in spring and half as many in summer. How many mugs did she sell altogether?", "the seed's '48' is missing"),
    (
        MUGS,
        "Mira sold 48 mugs in spring and 24 in summer, half as many. How many mugs did she sell?",
        "'24' is not in the seed's question",
    ),
    (
        MUGS,
        "Mira sold mugs to 48 guests in spring and half as many in summer. She sold 72 mugs. Is it so?",
        "'72' is not in the seed's question",
    ),
    (MUGS, "Mira sold mugs to 48 of her guests in spring. In summer she sold half as many mugs.", NOTHING),
    (MUGS, "Mira sold 48 mugs in spring, half as many in summer. How many in all? Answer: 48 and the half of it", ANSWERED),
    (MUGS, "Mira sold 48 mugs in spring, half as many in summer. How many in all?\n#### 48", ANSWERED),
    (MUGS, "A train has 48 wagons, and the express has half as many. How many wheels roll?", "it shares "),
    (
        GARDEN,
        "Lev gets $12 an hour for gardening. How much did he earn after 50 hours and 30 minutes?",
        "'30' is not in the seed's question",
    ),
    (GARDEN, f"{GARDEN[:-1]}, we ask? {'It was a long day. ' * 60}", "it has 1,"),
    (
        EGGS,
        "Nora's geese lay two dozen eggs a week. Some break and she bakes with 4. How many are left?",
        "the seed's 'three' is missing",
    ),
    (
        EGGS,
        "Nora's geese lay a dozen eggs a week. Three break and she bakes with 4. How many eggs are left?",
        "the seed's 'two dozen' is missing",
    ),
    (
        MUGS,
        "In spring, Mira sold mugs to 48 guests, and a third as many in summer. How many mugs in all?",
        "the seed's 'half' became 'a third'",
    ),
    (
        BOX,
        "There are 120 stamps in the box of Tess. She sorted 12 yesterday and three times that today. Tomorrow it is half of what is "
        "left: how many stamps is that?",
        "the seed's 'twice' became 'three'",
    ),
    (TRIP, "A bus leaves at 8:00 and drives 1,200 km in 15 hours. What is its average speed?", "the seed's '15.5' is missing"),
    (SHIRT, "A shirt that costs $40 is sold at 52% off. What is its price?", "the seed's '25%' is missing"),
    (SHIRT, "A shirt that costs $٤٠ is sold at 25% off. What is its price?", "the seed's '40' is missing"),
    (PLANET, "Which of these is a planet?", "the seed's 'NOT' is missing"),
    (BOOTS, "Omar wants dry boots soon. Which place in the room will NOT dry them?", "it asks for the reverse"),
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
    seed = Seed("s", Question(MUGS))
    assert rephrase_fidelity.make(MATH, KEEPS)(candidate(strategy=strategy, question=GARDEN), seed).passed is None


def test_a_rewording_that_could_not_be_read_is_not_judged():
    made = reworded(MUGS)
    assert rephrase_fidelity.make(MATH, KEEPS)(replace(made, question=None), Seed("s", Question(MUGS))).passed is None


@pytest.mark.parametrize("asked", [MUGS, GARDEN, BOX, EGGS, TRIP, SHIRT, BOOTS, PLANET, FRUIT, GERMAN, CHINESE])
def test_a_question_with_a_polite_word_before_it_is_faithful(asked):
    assert verdict(asked, f"Please: {asked}").passed is True
