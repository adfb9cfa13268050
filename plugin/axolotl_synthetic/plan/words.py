"""Reasons of a plan, in words that a user can check.

They say what led to it, how far the case is from what was measured, and how much the choice matters. The findings are those of
arXiv 2409.19759, in our own words with its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from axolotl_synthetic.config import Settings
from axolotl_synthetic.plan.augmenter import Strength
from axolotl_synthetic.plan.costs import Rates, blend
from axolotl_synthetic.plan.crossing import CROSSOVERS, LARGEST, MEASURED_BAND, SMALLEST, SPREAD, band, crossover, seeds_for_answers
from axolotl_synthetic.plan.estimates import affordable
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION
from axolotl_synthetic.wording import number_of

# Our tasks and the paper's benchmarks of the same kind.
MEASURED_TASKS = {"math": "GSM8K", "multiple_choice": "ARC-Challenge", "text_to_sql": "Spider"}
MEASURED_STUDENTS = {"llama-2-7b": "Llama 2 7B", "mistral-7b": "Mistral 7B"}
# The crossing with Mistral 7B as the student; the others are for Llama 2 7B.
MISTRALS_CROSSOVER = 12
# Samples per seed up to which the paper measured New Question: 50,000 from 100 seeds of GSM8K.
LARGEST_RATIO = 500
# A size within this factor of a measured one counts as measured.
NEAR = 1.1
# Number of answers to one question from which `plan` warns if no answer is right or wrong.
MANY_ANSWERS = 20
# With at least this many seeds per distinct answer, the answers are labels rather than worked solutions.
SEEDS_AN_ANSWER = 5
NAMES = {"answer_augmentation": "answers", "question_rephrase": "reworded questions", "new_question": "new questions"}


@dataclass(frozen=True)
class Case:
    """The facts that a decision depends on, other than the settings.

    Attributes:
        seeds: |S|, without the held-out ones.
        teacher, augmenter: names of the models.
        student: Axolotl's `base_model`; None if unknown. Only the words depend on it.
        checkable: whether the task has final answers that are right or wrong.
        answered: share of the seeds that have an answer.
        solutions: number of different answer texts, as the student is to write them; None if not counted.
        one_answer: whether a question has only one answer, such as a label, so that a second one adds nothing.
        piloted: the results of several models' pilots in words, which replace the statement about the augmenter.
    """

    seeds: int
    teacher: str
    augmenter: str
    student: str | None = None
    checkable: bool = True
    answered: float = 1.0
    solutions: int | None = None
    one_answer: bool = False
    piloted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Findings of `decide`.

    Attributes:
        new_prompts: the strategy that makes new prompts.
        ratio: samples per seed, if all were new prompts.
        share: share of new prompts among the samples.
        samples, by: samples of new prompts that the budget buys, and the limit that ends them.
    """

    case: Case
    augmenter: Strength
    new_prompts: str
    ratio: float
    share: float
    samples: float
    by: str


def reasons(settings: Settings, found: Found, rates: Mapping[str, Rates]) -> tuple[str, ...]:
    """Return the reasons of a plan that `auto` made, the most important first."""
    texts = (
        _decision(found),
        _counted(found, rates),
        _crossing(found.case.seeds),
        _contested(found, found.share),
        *(found.case.piloted or [_augmenter(found)]),
        _unsaid(found) if found.share else "",
        _matters(found),
        *_distance(settings, found),
        _closed(settings, found.case, {ANSWER_AUGMENTATION: 1 - found.share}),
        _repeated(settings, found.case, {ANSWER_AUGMENTATION: 1 - found.share, found.new_prompts: found.share}, rates),
        _verification(settings, found.case),
    )
    return tuple(text for text in texts if text)


def reasons_of_the_user(settings: Settings, found: Found, auto: Mapping[str, float], rates: Mapping[str, Rates]) -> tuple[str, ...]:
    """Return the reasons of a plan that the config names, with what `auto` would do."""
    named = settings.strategy if isinstance(settings.strategy, dict) else {settings.strategy: 1.0}
    texts = (
        "the config names the strategy",
        f"`strategy: auto` would take {shares(auto)}: {_decision(found)}",
        _crossing(found.case.seeds),
        _contested(found, 1 - named.get(ANSWER_AUGMENTATION, 0)),
        *(found.case.piloted or [_augmenter(found) if found.augmenter.weak and named.get(NEW_QUESTION) else ""]),
        _matters(found),
        *_distance(settings, found),
        _closed(settings, found.case, named),
        _repeated(settings, found.case, named, rates),
        _verification(settings, found.case),
    )
    return tuple(text for text in texts if text)


def shares(strategy: Mapping[str, float]) -> str:
    """Return `answer_augmentation 40%, new_question 60%`."""
    return ", ".join(f"{name} {share:.0%}" for name, share in strategy.items())


def _decision(found: Found) -> str:
    low, high = band(found.case.seeds)
    if found.case.one_answer:
        made = NAMES[found.new_prompts]
        return f"a text has one label, so a second answer to a seed's own question says nothing new: {made} at any budget ratio"
    if found.share == 0:
        few = "less than one sample a seed is" if found.ratio < 1 else f"{found.ratio:.1f} samples a seed are"
        return f"{few} few, below {low:.1f}: at a low budget ratio more answers to the seeds' own questions are the most effective"
    if found.share == 1:
        better = ", New Question above Question Rephrase" if found.new_prompts == NEW_QUESTION else ""
        return f"{number(found.ratio)} samples a seed are many, above {high:.1f}: as the budget ratio rises, new prompts win{better}"
    return (
        f"{found.ratio:.1f} samples a seed are where the lead changes, between {low:.1f} and {high:.1f}: {found.share:.0%}"
        f" {NAMES[found.new_prompts]}, the rest answers to the seeds' own (the mix is our own choice: the paper compared the strategies one"
        " by one)"
    )


def _counted(found: Found, rates: Mapping[str, Rates]) -> str:
    case, made = found.case, NAMES[found.new_prompts]
    if math.isinf(found.ratio):
        return f"ratio: what the budget limits costs nothing here, so it sets no end to {made}"
    counted = f"{number_of(round(found.samples), 'sample')} / {number_of(case.seeds, 'seed')} = {number(found.ratio)}"
    inferred = "one unit of the paper's budget is taken to be one sample, which is inferred from it and not said there"
    if found.by in ("samples", "candidates"):
        return f"ratio: {counted}; {inferred}"
    each, other = (_cost(rates[name], found.by) for name in (found.new_prompts, ANSWER_AUGMENTATION))
    return (
        f"ratio: {counted}, for the limit on {found.by} buys so many {made}, at {each} each ({other} for an answer); the paper compared"
        f" equal numbers of samples, so these are what counts; {inferred}"
    )


def _cost(rates: Rates, limit: str) -> str:
    if limit == "usd":
        return f"USD {rates.usd.value if rates.usd else 0:.2g}"
    if limit == "tokens":
        return f"about {rates.tokens.value:,.0f} tokens"
    return "1 call" if rates.queries.value == 1 else f"{rates.queries.value:.3g} calls"


def _crossing(seeds: int) -> str:
    low, high = MEASURED_BAND
    (_, _), (middle, at_middle), (_, at_full) = CROSSOVERS
    found = (
        f"crossing: arXiv 2409.19759 saw the lead change at {low:.0f} to {high:.0f} samples a seed for {SMALLEST} seeds, at {at_middle} on"
        f" average for {middle:,}, at {at_full} for the full sets"
    )
    if seeds == SMALLEST:
        return found
    known = any(seeds == size for size, _ in CROSSOVERS) or not SMALLEST <= seeds <= LARGEST
    return (
        f"{found}. That is taken as {crossover(seeds):.1f} for {number_of(seeds, 'seed')}"
        f"{'' if known else ' (interpolated over the logarithm of their number)'}, {band(seeds)[0]:.1f} to {band(seeds)[1]:.1f} with the"
        f" spread seen at {SMALLEST} seeds (a factor of {SPREAD:.2f} either way, for other sizes our own choice)"
    )


def _contested(found: Found, share: float) -> str:
    """Describe the evidence against new prompts, if answers can be checked and the ratio is high, and what more seeds would change.

    Args:
        share: of new prompts in the plan.
    """
    case = found.case
    if not case.checkable or case.one_answer or not share or found.ratio <= band(case.seeds)[0]:
        return ""
    seeds = seeds_for_answers(found.samples, case.seeds)
    more = "" if seeds is None else f"; by the rule {seeds - case.seeds:,} more real seeds would make answers alone the better choice here"
    return (
        "contested: arXiv 2607.01727 (maths and physics) saw no questions made from the same seeds do better than answers alone at equal"
        f" budgets, only questions from new sources at large ones. The plan keeps the rule of arXiv 2409.19759{more}. A small study of your"
        " own decides it for your seeds: `axolotl synthetic study`"
    )


def _augmenter(found: Found) -> str:
    if not found.augmenter.weak:
        return f"augmenter: {found.augmenter.why}" if found.share else ""
    return (
        f"augmenter: {found.augmenter.why}. New questions need a strong one (with Llama 2 7B the paper's lost about 15 %: GSM8K, 1,000"
        " seeds, 10,000 samples), while Question Rephrase stays good with a weak one; the same crossing is assumed for it"
    )


def _unsaid(found: Found) -> str:
    """Warn that a run does not use several models' pilots, and say what it uses."""
    if not found.case.piloted or found.augmenter.said or not found.augmenter.weak:
        return ""
    return (
        "a run knows nothing of these pilots: until the config says `augmenter: {…, strength: strong}` (or weak), it takes the augmenter"
        " for weak by its name and rewords"
    )


def matters(seeds: int) -> str:
    """Say how much the choice of a strategy matters with this many seeds: much, less or little."""
    return "little" if seeds >= LARGEST else "less" if seeds > CROSSOVERS[1][0] else "much"


def _matters(found: Found) -> str:
    near = ". Here, near the crossing, they are about level" if 0 < found.share < 1 else ""
    how = {
        "much": "the choice matters much: it does most at low and middle amounts of data",
        "less": "the choice matters less than with few seeds: with the full seed sets the three strategies came out close",
        "little": "the choice matters little: with the full seed sets the three strategies came out close",
    }[matters(found.case.seeds)]
    levels = ". From 100 seeds of GSM8K New Question still gained beyond 50,000 samples, where the others levelled off at 10,000 to 25,000"
    return f"{how}{near}{levels if found.share == 1 and found.new_prompts == NEW_QUESTION else ''}"


def _distance(settings: Settings, found: Found) -> list[str]:
    """Describe how far the case is from what was measured, one text for each respect."""
    case = found.case
    texts = []
    if not SMALLEST <= case.seeds <= LARGEST:
        side = (
            "the lead changes later with fewer seeds, so the crossing may well lie higher"
            if case.seeds < SMALLEST
            else "between 1,000 seeds and the full sets the crossing hardly moved"
        )
        texts.append(f"not measured: {number_of(case.seeds, 'seed')}, outside the {SMALLEST} to {LARGEST:,} of the paper; {side}")
    elif not any(max(case.seeds / size, size / case.seeds) <= NEAR for size, _ in CROSSOVERS):
        texts.append(f"not measured: {number_of(case.seeds, 'seed')}; {_between(case.seeds)} were")
    if found.ratio > LARGEST_RATIO:
        texts.append(f"not measured: more than {LARGEST_RATIO} samples a seed; gains level off, and a smaller budget may do as well")
    texts.append(_task(settings.task))
    texts.append(_student(case.student))
    return texts


def _task(task: str) -> str:
    if (benchmark := MEASURED_TASKS.get(task)) is not None:
        return f"task: the paper measured {benchmark}, which is of this kind"
    return f"not measured: the task {task}; the paper's are GSM8K, Spider and ARC-Challenge, all with answers that can be checked"


def _between(seeds: int) -> str:
    below = max(size for size, _ in CROSSOVERS if size <= seeds)
    above = min(size for size, _ in CROSSOVERS if size >= seeds)
    return f"{below:,} and {above:,}"


def _student(student: str | None) -> str:
    plain = (student or "").lower().replace("_", "-")
    known = next((name for mark, name in MEASURED_STUDENTS.items() if mark in plain), None)
    if known == "Mistral 7B":
        return (
            f"student: with Mistral 7B the paper saw the lead change at about {MISTRALS_CROSSOVER} (for which number of seeds we do not"
            " know); the plan goes by Llama 2 7B, so more new prompts than this may be right"
        )
    if known:
        return f"student: {known}, the paper's own"
    return (
        f"not measured: {f'the student {student}' if student else 'your student'}; with the paper's two, Llama 2 7B and Mistral 7B, the"
        f" rule held and the crossing moved (about {MISTRALS_CROSSOVER} with the latter)"
    )


def _closed(settings: Settings, case: Case, strategy: Mapping[str, float]) -> str:
    """Warn if the seeds have so few different answers that a seed may have no other answer left."""
    answered = round(case.answered * case.seeds)
    if case.solutions is None or case.solutions * SEEDS_AN_ANSWER > answered or not strategy.get(ANSWER_AUGMENTATION):
        return ""
    own = ", and its own pair is trained on already" if settings.include_seeds else ""
    return (
        f"answers: only {case.solutions} different ones among {number_of(answered, 'seed')}. Where the teacher's replies are as bare, a"
        " seed has few"
        f" different ones to give{own}: the rest are duplicates, so far fewer samples than asked for may come of many calls. A seed that"
        " says nothing new is not asked again, and the run ends where nothing is accepted any more; `--pilot` shows it, and new or reworded"
        " questions have no such end"
    )


def _repeated(settings: Settings, case: Case, strategy: Mapping[str, float], rates: Mapping[str, Rates]) -> str:
    """Warn of many answers to one question if none is right or wrong: they teach only that question."""
    share = strategy.get(ANSWER_AUGMENTATION, 0)
    shares_of_all = {name: one for name, one in strategy.items() if one > 0}
    answers = share * affordable(settings.budget, blend(rates, shares_of_all))[0] / case.seeds
    if case.checkable or not MANY_ANSWERS <= answers < math.inf:
        return ""
    return (
        f"answers: this would mean about {answers:,.0f} answers to the same question, for each seed. Where no answer is right or wrong that"
        " teaches the few questions by heart, and not a style: `strategy: new_question` (or question_rephrase) asks others, and so do more"
        " seeds"
    )


def _verification(settings: Settings, case: Case) -> str:
    finding = "on Spider dropping the teacher's wrong answers (about 10 %) gained nothing significant over more data, as it costs variety"
    names = None if settings.verify is None else {entry if isinstance(entry, str) else next(iter(entry)) for entry in settings.verify}
    if not case.checkable or not case.answered:
        return f"verification: these answers cannot be told right from wrong, and the plan does not count on it: {finding}"
    if names is not None and "final_answer" not in names:
        return f"verification: wrong answers stay in, and the plan is the same: {finding}"
    return f"verification: wrong answers are dropped, and the plan is the same without: {finding}"


def number(value: float) -> str:
    """Format a budget ratio, with decimals only if they are significant."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
