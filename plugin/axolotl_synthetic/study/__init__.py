"""The paper's experiment on the user's own seeds, teacher and student: strategies and other arms × numbers of seeds × budgets × repeats.

    settings.py      STUDY.yml
    design.py        the lines and cells of a study, and the config of each
    costs.py         what a study will cost
    sweep.py         makes the cells: generate, train, grade; resumes where it stopped
    arms.py          the difference between arms of one strategy
    curves.py        means, the fitted law, crossings, intervals
    findings.py      the conclusions
    summary.py       the files, and the output in the terminal

`conduct` is the entry point. Its caller (`run.py`) passes in functions that make samples, estimate their cost and draw the curves
(`report/curves.py`). `plan/measured.py` lets `strategy: auto` decide by a finished study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from axolotl_synthetic import terminal
from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.lock import held
from axolotl_synthetic.plan import Forecast
from axolotl_synthetic.plan.measured import FILE, Measured
from axolotl_synthetic.study.costs import Cost, cost, hours, show_cost, show_hours
from axolotl_synthetic.study.design import cells, epochs, lines
from axolotl_synthetic.study.settings import Arm, Study, load_study, problems_with, refuse
from axolotl_synthetic.study.sweep import LEDGER, Generate, Sweep, result_of, seeds_of
from axolotl_synthetic.tasks import load_task
from axolotl_synthetic.wording import number_of

__all__ = ["Study", "conduct", "load_study", "look_ahead"]

Plan = Callable[..., Forecast]
Draw = Callable[[Measured], Mapping[str, bytes]]


def look_ahead(study: Study, settings: Settings, training: Mapping[str, Any], *, plan: Plan) -> Cost:
    """Find every problem before the first call, and show what the study will cost; call no model.

    Args:
        study: the study's settings.
        settings, training: the config's `synthetic:` block, and the whole config.
        plan: estimates the cost of a block (`run.plan`).

    Raises:
        ConfigError: with every problem between the study and its config.
    """
    task = load_task(settings.task, settings.prompts, settings.language)
    rows = len(seeds_of(settings, task, None).seeds)
    found = list(problems_with(study, settings, training, has_final_answer=task.has_final_answer, rows=rows))
    refuse(study.config, found)
    made = cost(study, settings, plan)
    refuse(study.config, made.problems(study.budget))
    ledger = study.folder / LEDGER
    paid = 0
    if ledger.exists():
        with Ledger(ledger, read_only=True) as opened:
            paid = opened.totals().queries["total"]
    show_cost(terminal.err(), study, made, paid, epochs(training))
    show_hours(terminal.err(), hours(study, {cell: result_of(study, cell) for line in lines(study) for cell in cells(study, line)}))
    return made


def conduct(study: Study, settings: Settings, training: Mapping[str, Any], *, plan: Plan, generate: Generate, draw: Draw) -> Measured:
    """Conduct the whole study; started again, it resumes at the cell where it stopped.

    Args:
        study: the study's settings.
        settings, training: the config's `synthetic:` block, and the whole config.
        plan: estimates the cost of a block and decides for `auto` (`run.plan`).
        generate: makes the samples of a block (`run.generate`).
        draw: returns the figure's files, by name (`report.study_figures`).

    Returns:
        The results, as `study.json` holds them.

    Raises:
        ConfigError: if the study or its config is wrong, or the folder holds a study of another config.
        ServiceError: if the teacher cannot be used.
        FolderInUseError: if another study uses the folder.
        Interrupted: if the user asked to stop.
    """
    look_ahead(study, settings, training, plan=plan)
    with held(study.folder):
        sweep = Sweep(study, settings, training, generate)
        sweep.claim()
        (study.folder / FILE).unlink(missing_ok=True)
        swept = sweep.run()
        # Import scipy, which takes a second, only once there is something to fit.
        from axolotl_synthetic.study import findings, summary

        found = findings.find(study, settings, swept, student=str(training["base_model"]))
        summary.write(found, study.folder, untrained={repeat + 1: score.value for repeat, score in swept.untrained.items()}, draw=draw)
        said = recommend(study, settings, plan, found.measured)
        summary.write_readme(
            found, study.folder, done_by=_done_by(study, training, found.measured), recommendation=said, title="Which strategy is worth it"
        )
        summary.show(terminal.out(), found, said, study.folder)
    return found.measured


def recommend(study: Study, settings: Settings, plan: Plan, measured: Measured) -> list[str]:
    """Return what `auto` decides by this study for the config's own budget and seeds, with its reasons."""
    if not measured.curves:
        return ["no cell could be made, so the study recommends nothing"]
    asking = settings.model_copy(update={"strategy": "auto", "study": str(study.folder)})
    try:
        made = plan(asking, student=measured.student).plan
    except ConfigError as error:
        return [f"none: {error}"]
    shares = ", ".join(made.strategy)
    return [f"for {_budget(settings.budget)} in {Path(study.config).name}: {shares}", *made.reasons]


def _budget(budget: Budget) -> str:
    limits = ", ".join(f"{name}: {value:,}" for name, value in budget.model_dump(exclude_none=True).items())
    return f"the budget ({limits})"


def _described(arm: Arm) -> str:
    """Describe an arm in the YAML's words."""
    rounds = [] if arm.rounds is None else [f"in {arm.rounds.count} rounds by {arm.rounds.by}, each {arm.rounds.growth:g} times the last"]
    verified = [] if arm.verify is None else [f"verified by {', '.join(map(str, arm.verify))}" if arm.verify else "nothing verified"]
    return ", ".join([arm.strategy, *rounds, *verified])


def _done_by(study: Study, training: Mapping[str, Any], measured: Measured) -> list[str]:
    arms = f" and {number_of(len(study.arms), 'arm')}" if study.arms else ""
    sizes = ", ".join(f"{size:,}" for size in study.seed_sizes)
    return [
        *(f"{name}: {_described(arm)}" for name, arm in study.arms.items()),
        f"{number_of(len(study.strategies), 'strategy', 'strategies')}{arms} from {sizes} seeds, up to {study.samples[-1]:,} samples;"
        f" repeats: {study.repeats}, each with another draw of seeds and of held-out questions, and another training seed",
        f"teacher {measured.teacher}, augmenter {measured.augmenter}, student {measured.student}, task {measured.task}",
        f"{epochs(training)}; graded by {measured.metric or 'nothing'} on {measured.questions or 'no'} questions each",
    ]
