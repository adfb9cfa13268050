"""Comparison of several teachers: their config, their candidates, and the words about them; every number is computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.pilots import agreements, files_named, new_questions, read_pairs
from axolotl_synthetic.plan import Case, decide
from axolotl_synthetic.plan.augmenter import Strength
from axolotl_synthetic.plan.costs import Length, Value, assume
from axolotl_synthetic.plan.pilot import Paid
from axolotl_synthetic.plan.side_by_side import Cost, Piloted, Written, piloted, similarity
from axolotl_synthetic.plan.words_of_pilots import in_words, measured_strength
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks import load_task

PRICE = {"input": 1.0, "output": 2.0}
CONFIG = Path("config.yml")
LENGTHS = {name: Length(prompt=400, completion=100, worst_prompt=1_800) for name in ("answer", "rephrase", "new_question", "self_check")}
NEW = {"new_question": 1.0}
MATH = load_task("math")
SEED = Seed("s", Question("Ada has 2 jars with 3 cards each. How many?"), "#### 6")
OPEN = Seed("o", Question("Ben has 4 jars with 3 cards each. How many?"))


def row(strategy, final_answer, *, question="q", seed="s", status="accepted", checks=(), requests=(1,), reason=None, **more):
    return {
        "strategy": strategy,
        "seed_id": seed,
        "question": question,
        "answer": None if final_answer is False else f"#### {final_answer}",
        "final_answer": final_answer or None,
        "status": status,
        "reason": reason,
        "checks": [{"name": name, "passed": passed} for name, passed in checks],
        "requests": list(requests),
        **more,
    }


# The teachers


def block(model="own", **more):
    return {"teacher": {"model": model, **more}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, name, document) -> Path:
    (folder / name).write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return Path(name)


def refused(config, *files) -> str:
    with pytest.raises(ConfigError) as error:
        read_pairs(CONFIG, config, files)
    return str(error.value)


def test_a_file_without_an_augmenter_has_its_teacher_as_its_own(folder):
    config = {**block(), "augmenter": {"model": "writer"}, "budget": {"samples": 7}}
    alone = write(folder, "a.yml", {"teacher": {"model": "a"}})
    both = write(folder, "b.yml", {"synthetic": {"teacher": {"model": "b"}, "augmenter": {"model": "c"}, "budget": {"samples": 1}}})
    pairs = read_pairs(CONFIG, config, [alone, both])
    assert [(pair.teacher, pair.augmenter, pair.source) for pair in pairs] == [
        ("own", "writer", "config.yml"),
        ("a", "a", "a.yml"),
        ("b", "c", "b.yml"),
    ]
    # Everything but the models is the config's.
    assert {pair.settings.budget.samples for pair in pairs} == {7}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"augmenter": {"model": "a"}}, "a.yml: has no `teacher:`"),
        ({"synthetic": {"task": "math"}}, "a.yml: has no `teacher:`"),
        ({"synthetic": None}, "a.yml: has no `teacher:`"),
        ("- teacher\n", "a.yml: has no `teacher:`"),
        ("", "a.yml: has no `teacher:`"),
        ({"teacher": {"model": "a"}, "augmentor": {}}, "a.yml: unknown key `augmentor`"),
        ({"teacher": {"modle": "a"}}, "synthetic.teacher.modle: unknown key; did you mean `model`?"),
        ({"teacher": []}, "a.yml: synthetic.teacher: is an empty list"),
        ({"teacher": [{"model": "a"}, [{"model": "b"}]]}, "a.yml: teacher 2 of the list: synthetic.teacher: is a list within a list"),
        ({"teacher": [{"model": "a"}, {"modle": "b"}]}, "a.yml: teacher 2 of the list: "),
        ("teacher: {model: [", "a.yml:1"),
        ({"teacher": {"model": "own", "temperature": 1}}, "synthetic.teacher.temperature: unknown key"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_name(folder, document, says):
    assert says in refused(block(), write(folder, "a.yml", document))


def test_a_file_that_is_not_there_or_no_file(folder):
    assert "none.yml: cannot be read: No such file" in refused(block(), Path("none.yml"))
    assert "cannot be read: Is a directory" in refused(block(), folder)


@pytest.mark.parametrize("own", [{"price": PRICE}, {"base_url": "http://other:8000/v1"}, {"concurrency": 2}])
def test_the_same_model_twice_would_share_all_replies(folder, own):
    file = write(folder, "a.yml", {"teacher": {"model": "own", **own}})
    assert "a.yml: the teacher own is that of config.yml again" in refused(block(), file)


@pytest.mark.parametrize("own", [{"generation": {"temperature": 0.2}}, {"generation": {"reasoning_effort": "low"}}])
def test_the_same_model_that_samples_otherwise_is_another(folder, own):
    assert len(read_pairs(CONFIG, block(), [write(folder, "a.yml", {"teacher": {"model": "own", **own}})])) == 2


def test_a_budget_in_dollars_needs_the_price_of_each(folder):
    config = {**block(price=PRICE), "budget": {"usd": 1}}
    text = refused(config, write(folder, "a.yml", {"teacher": {"model": "a"}}))
    assert text.startswith("a.yml: ") and "cannot be kept without synthetic.teacher.price" in text


def test_a_list_is_refused_by_whoever_reads_one_teacher_and_no_problem_is_made_up():
    with pytest.raises(ConfigError) as error:
        load_settings({"teacher": [{"model": "a", "price": PRICE}], "budget": {"usd": 1}})
    assert str(error.value).count("\n") == 1
    assert "synthetic.teacher: is a list, which is for" in str(error.value)


def test_names_of_files(folder):
    write(folder, "a,b.yml", "")
    assert files_named(["a,b.yml"]) == [Path("a,b.yml")]
    assert files_named(["c.yml, d.yml,", "e é [x].yml"]) == [Path("c.yml"), Path("d.yml"), Path("e é [x].yml")]
    assert files_named([]) == []
    for nothing in ("", " , "):
        with pytest.raises(ConfigError, match="names no file"):
            files_named([nothing])
    assert files_named(["x" * 5_000])[0].name == "x" * 5_000  # reading it reports the error
    assert "cannot be read" in refused(block(), *files_named(["x" * 5_000]))


# Their candidates


def test_answers_agree_with_the_seeds_own():
    rows = [row("answer_augmentation", "6"), row("question_rephrase", "7"), row("answer_augmentation", None)]
    assert agreements(rows, [SEED], MATH) == [True, False, False]


def test_answers_that_were_not_made_or_cut_short_count_neither_way():
    rows = [
        row("answer_augmentation", False, status="failed", reason="http_500: …"),
        row("answer_augmentation", "6", status="failed", reason="budget: no queries left"),
        row("new_question", "6"),
        row("answer_augmentation", "6", requests=()),
    ]
    assert agreements(rows, [SEED], MATH) == []


def test_answers_to_new_questions_agree_with_what_a_check_held_them_to():
    rows = [
        row("new_question", "5", checks=[("final_answer", None), ("self_consistency", True)]),
        row("new_question", "5", checks=[("final_answer", None), ("self_consistency", False)]),
        row("new_question", "5", checks=[("final_answer", False)]),
    ]
    assert agreements(rows, [SEED], MATH) == [True, False, False]


def test_answers_to_a_seed_without_one_agree_with_more_than_half_of_them():
    rows = [row("answer_augmentation", answer, seed="o") for answer in ("12", "12", "13")]
    assert agreements(rows, [OPEN], MATH) == [True, True, False]
    # Of two different answers neither is the majority; a single answer has no other to agree with.
    assert agreements([row("answer_augmentation", answer, seed="o") for answer in ("12", "13")], [OPEN], MATH) == [False, False]
    assert agreements(rows[:1], [OPEN], MATH) == []


def test_a_task_without_final_answers_has_no_agreement():
    assert agreements([row("answer_augmentation", "6")], [SEED], load_task("instruction")) == []


def test_a_new_question_is_new_but_for_the_words_of_a_seed_or_an_earlier_one():
    rows = [
        row("new_question", "1", question="Ada has 2 JARS with 3 cards each. How many?!"),
        row("new_question", "1", question="Cleo has 5 pens."),
        row("new_question", "1", question="Cleo has 5 pens", status="rejected", reason="duplicate"),
        row("new_question", False, question=None, status="failed", reason="no question"),
        row("question_rephrase", "1", question="Dan has 5 pens."),
    ]
    found = new_questions(rows, [SEED])
    assert [(one.is_new, one.accepted) for one in found] == [(False, True), (True, True), (False, False)]
    assert found[1].runs == {"cleo has 5", "has 5 pens"}


def test_a_databases_schema_is_no_part_of_what_was_written():
    seed = Seed("s", Question("How many pets?", context="CREATE TABLE pets (id)", database="d"))
    rows = [row("new_question", "1", question=f"CREATE TABLE pets (id)\n\n{text}") for text in ("Which cats?", "Which dogs?")]
    assert [one.runs for one in new_questions(rows, [seed])] == [{"which cats"}, {"which dogs"}]


# Statistics


def test_the_mean_similarity_has_the_jackknife_interval():
    # Pairs: {a, b} and {a, c} share 1 of 3; {a, b} and {a, b} are equal; {a, c} and {a, b} 1 of 3. Mean (1/3 + 1 + 1/3) / 3 = 5/9.
    # Without each in turn one pair is left: 1/3, 1, 1/3. Their mean is 5/9, the squares add up to 2 * 4/81 + 16/81 = 24/81, and the error
    # is √(2/3 * 24/81) = 0.4444; t of 2 degrees is 4.303, so the interval reaches past both ends.
    assert similarity([{"a", "b"}, {"a", "c"}, {"a", "b"}]) == Value(pytest.approx(5 / 9), 0, 1)
    alike = similarity([{"a", "b"}] * 5)
    assert (alike.value, alike.low, alike.high) == (1, 1, 1)


def test_twenty_questions_in_two_groups_have_a_narrower_interval():
    # Ten of each: 90 of 190 pairs are equal, the others have nothing in common. Each is like 9 of 19 others, so all 20 jackknife values
    # are equal and the interval has no width.
    assert similarity([{"a"}] * 10 + [{"b"}] * 10) == Value(*[pytest.approx(90 / 190)] * 3)
    # Nineteen equal and one different: 171 of 190. Without the odd one 1, without another 153/171; mean (19 * 153/171 + 1) / 20 = 0.9,
    # squares 19 * (0.9 - 153/171)² + 0.1² = 0.010526, error √(19/20 * 0.010526) = 0.1; t of 19 degrees is 2.093.
    assert similarity([{"a"}] * 19 + [{"b"}]) == Value(pytest.approx(0.9), pytest.approx(0.6907, abs=1e-3), 1)


def test_fewer_than_two_questions_are_like_nothing_and_two_say_nothing_of_the_spread():
    assert similarity([]) is similarity([{"a"}]) is None
    assert similarity([{"a"}, {"b"}]) == Value(0, 0, 1)


def measured(rows, calls, planned, teacher=None, written=(), **block):
    settings = load_settings({"teacher": {"model": "a", "price": PRICE, **(teacher or {})}, **block})
    return piloted(Piloted("a", "a", "a.yml", "a"), settings, assume(settings, LENGTHS), planned, rows, calls, written, [])


def test_costs_are_of_each_strategy_of_all_and_of_what_is_planned():
    rows = [
        row("answer_augmentation", "6", requests=[1]),
        row("answer_augmentation", "7", requests=[2], status="rejected"),
        row("new_question", "6", requests=[3, 4]),
    ]
    calls = {number: Paid("teacher", 100, 50, 2.0) for number in (1, 2, 3, 4)}  # USD 0.0002 each
    found = measured(rows, calls, {"answer_augmentation": 0.5, "new_question": 0.5})
    assert (found.cost.candidates, found.cost.acceptance.value) == (3, pytest.approx(2 / 3))
    assert found.cost.usd_per_accepted.value == pytest.approx(0.0008 / 2)
    assert found.cost.seconds_per_accepted.value == pytest.approx(8 / 2)
    assert list(found.strategies) == ["answer_augmentation", "new_question"]
    assert found.strategies["answer_augmentation"].usd_per_accepted.value == pytest.approx(0.0004)
    # Half of each: (0.0002 + 0.0004) / 2 for a candidate, of which (0.5 + 1) / 2 are accepted.
    assert found.planned.usd_per_accepted.value == pytest.approx(0.0003 / 0.75)
    assert found.strategies["new_question"].usd_per_accepted.high == math.inf  # from one candidate
    assert measured(rows, calls, {"question_rephrase": 1.0}).planned is None


def test_an_unknown_price_of_the_augmenter_leaves_the_dollars_unknown_where_it_is_asked():
    rows = [row("answer_augmentation", "6", requests=[1]), row("new_question", "6", requests=[2])]
    calls = {1: Paid("teacher", 100, 50, 2.0), 2: Paid("augmenter", 100, 50, 2.0)}
    found = measured(rows, calls, {"answer_augmentation": 1.0}, augmenter={"model": "b"})
    assert found.planned.usd_per_accepted.value == pytest.approx(0.0002)
    assert found.cost.usd_per_accepted is found.strategies["new_question"].usd_per_accepted is None


def test_tokens_that_nobody_counted_are_no_measurement_of_dollars():
    found = measured([row("answer_augmentation", "6")], {1: Paid("teacher", None, None, 2.0)}, {"answer_augmentation": 1.0})
    assert found.cost.usd_per_accepted is None
    assert found.cost.seconds_per_accepted.value == 2


def test_where_nothing_was_accepted_an_accepted_sample_has_no_cost():
    rows = [row("answer_augmentation", "7", status="rejected")]
    found = measured(rows, {1: Paid("teacher", 100, 50, 2.0)}, {"answer_augmentation": 1.0})
    assert (found.cost.acceptance.value, found.cost.usd_per_accepted, found.cost.seconds_per_accepted) == (0, None, None)


def test_usable_questions_are_new_and_accepted():
    rows = [row("new_question", "6", requests=[1]) for _ in range(4)]
    written = [Written({"a"}, True, True), Written({"a"}, False, True), Written({"b"}, True, False)]
    found = measured(rows, {1: Paid("teacher", 100, 50, 2.0)}, {"new_question": 1.0}, written=written)
    assert (found.asked, found.written) == (4, 3)
    assert (found.distinct.value, found.usable.value) == (pytest.approx(2 / 3), 0.25)


# The words about them


def pair(name, *, usd=None, usable=None, alike=None, error=""):
    cost = None if usd is None else Cost(20, Value(1, 0.8, 1), Value(*(one / 1000 for one in usd)) if usd else None, None)
    share = None if usable is None else Value(*usable)
    blank = {"cost": cost, "planned": cost, "asked": 20, "usable": share, "error": error}
    return Piloted(name, name, f"{name}.yml", name, **blank, similarity=None if alike is None else Value(alike, alike, alike))


def test_the_cheapest_is_named_with_its_interval_and_whether_the_next_is_told_apart():
    cheap, dear = pair("cheap", usd=(0.2, 0.1, 0.3)), pair("dear", usd=(0.5, 0.4, 0.6))
    text = in_words([dear, cheap], NEW)[0]
    assert "of what is planned (new_question 100%) is that of cheap (cheap.yml), USD 0.2 (0.1 to 0.3) for 1,000" in text
    assert "next is dear (dear.yml), USD 0.5 (0.4 to 0.6)" in text
    assert "overlap" not in text
    assert "overlap" in in_words([cheap, pair("near", usd=(0.25, 0.15, math.inf))], NEW)[0]
    assert "USD 0.25 (0.15 and more) for 1,000" in in_words([cheap, pair("near", usd=(0.25, 0.15, math.inf))], NEW)[0]


def test_the_cheapest_whose_answers_agree_less_is_warned_of():
    wrong = replace(pair("wrong", usd=(0.2, 0.1, 0.3)), agreement=Value(0.5, 0.35, 0.65))
    right = replace(pair("right", usd=(0.5, 0.4, 0.6)), agreement=Value(1, 0.91, 1))
    text = in_words([right, wrong], NEW)[0]
    assert "But 50 % (35 to 65) of its answers agree" in text and "where 100 % (91 to 100) of those of right do" in text
    assert "But" not in in_words([replace(right, agreement=Value(0.7, 0.6, 0.8)), wrong], NEW)[0]  # the difference is not significant


def test_answers_to_the_seeds_alone_are_held_to_theirs_and_nothing_is_warned_of():
    wrong = replace(pair("wrong", usd=(0.2, 0.1, 0.3)), agreement=Value(0.5, 0.35, 0.65))
    right = replace(pair("right", usd=(0.5, 0.4, 0.6)), agreement=Value(1, 0.91, 1))
    assert "But" not in in_words([right, wrong], {"answer_augmentation": 1.0})[0]


def test_without_a_price_the_quickest_is_named():
    quick, slow = (
        replace(pair(name, usd=(1, 1, 1)), planned=by_seconds(*seconds)) for name, *seconds in (("quick", 2, 1, 3), ("slow", 5, 4, 6))
    )
    text = in_words([slow, quick], NEW)[0]
    assert "of slow, quick no dollars are known, so this goes by the seconds of calls: the quickest accepted sample" in text
    assert "is that of quick (quick.yml), 2 s (1 to 3); next is slow (slow.yml), 5 s (4 to 6)" in text


def by_seconds(*seconds) -> Cost:
    return Cost(20, Value(1, 0.8, 1), None, Value(*seconds))


def test_where_none_made_a_sample_of_what_is_planned_nobody_is_the_cheapest():
    none = replace(pair("none"), planned=Cost(20, Value(0, 0, 0.2), None, None))
    assert "cannot be said: none of them made one" in in_words([none, replace(none, planned=None)], NEW)[0]
    # A pair without new questions is no competitor, and its price is not missing.
    text = in_words([none, pair("some", usd=(1, 1, 1))], NEW)[0]
    assert "the cheapest accepted sample of what is planned (new_question 100%) is that of some" in text


def test_the_better_writer_is_the_one_with_more_usable_questions_and_then_the_more_different_ones():
    one, other = pair("one", usable=(0.9, 0.7, 1.0), alike=0.5), pair("other", usable=(0.3, 0.1, 0.5), alike=0.1)
    text = in_words([other, one], NEW)[1]
    assert "AgoraBench, arXiv 2412.03679" in text
    assert "The better writer of new questions is one (one.yml): of 20 new questions asked for 90 % (70 to 100) were accepted" in text
    assert "next is other (other.yml), 30 % (10 to 50)" in text and "overlap" not in text
    equal = pair("equal", usable=(0.9, 0.7, 1.0), alike=0.2)
    assert "equal (equal.yml) and one (one.yml) write new questions equally well: 90 % (70 to 100)" in in_words([one, equal], NEW)[1]
    assert "those of equal (equal.yml) less alike (0.20 against 0.50)" in in_words([one, equal], NEW)[1]
    assert "less alike" not in in_words([one, replace(equal, similarity=Value(0.4, 0.3, 0.5))], NEW)[1]  # the difference is not significant
    # Values that could not be measured are not mentioned.
    assert "better writer" not in in_words([one, pair("gone", error="away")], NEW)[1]


def test_an_augmenter_is_weak_by_measurement_where_another_one_is_better_beyond_both_intervals():
    best, worst = pair("7B", usable=(0.9, 0.7, 1.0)), pair("70B", usable=(0.3, 0.1, 0.5))
    assert measured_strength([worst, best]).weak is True
    assert measured_strength([best, worst]).weak is False
    assert measured_strength([pair("70B", usable=(0.6, 0.4, 0.8)), best]).weak is False  # the difference is not significant
    assert measured_strength([pair("70B", error="away"), best]) is None
    assert measured_strength([best]) is measured_strength([]) is None
    # The same model with other sampling settings is another writer.
    assert measured_strength([worst, replace(best, augmenter="70B")]).weak is True


def test_after_pilots_the_plans_words_name_no_size_and_the_decision_by_pilots_does_not_go_by_it():
    settings = load_settings({"teacher": {"model": "big-70B"}, "augmenter": {"model": "small-7B"}, "budget": {"samples": 10_000}})
    case, rates = Case(100, "big-70B", "small-7B"), assume(settings, LENGTHS)
    by_name = decide(settings, case, rates)
    assert dict(by_name.strategy) == {"question_rephrase": 1.0}
    assert "smaller than big-70B by its name" in " ".join(by_name.reasons)
    said = decide(settings, Case(100, "big-70B", "small-7B", piloted=("measured: …", "augmenter: measured")), rates)
    assert said.strategy == by_name.strategy  # the run's own decision, which does not know pilots
    assert "smaller than" not in " ".join(said.reasons)
    assert "augmenter: measured" in said.reasons
    assert "until the config says `augmenter: {…, strength: strong}`" in " ".join(said.reasons)
    assert dict(decide(settings, case, rates, by_pilots=Strength(False, "…")).strategy) == {"new_question": 1.0}


def test_what_the_config_says_of_the_augmenter_stands_against_every_pilot():
    augmenter = {"model": "small-7B", "strength": "weak"}
    settings = load_settings({"teacher": {"model": "big-70B"}, "augmenter": augmenter, "budget": {"samples": 10_000}})
    plan = decide(settings, Case(100, "big-70B", "small-7B"), assume(settings, LENGTHS), by_pilots=Strength(False, "…"))
    assert dict(plan.strategy) == {"question_rephrase": 1.0}
