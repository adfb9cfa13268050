"""The page's words and numbers: turn what was found in a folder into the template's values and files.

`page.html.j2` and `page.css` define its look. The template escapes all values except our own SVG and CSS. The page has no script, and its
content security policy forbids scripts and requests in case a text should get past the escaping.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from axolotl_synthetic import dataset, grading
from axolotl_synthetic.checks.words import words
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.files import write_bytes, write_text
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.plan.measured import Measured, Point
from axolotl_synthetic.report import calls, charts, curves, diversity, flow, samples
from axolotl_synthetic.report.style import Picture, pictured
from axolotl_synthetic.teachers import model_name
from axolotl_synthetic.terminal import dollars, duration
from axolotl_synthetic.wording import number_of

if TYPE_CHECKING:
    from axolotl_synthetic.run import Found

PAGE = "report.html"
FIGURES = "figures"
NAMES = (curves.NAME, "flow", "calls", "lengths", "diversity", "agreement", "rounds", "grade")
# Control characters that a page cannot show; tabs and line ends stay.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Table:
    """Rows of texts under headings; the first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Gathered:
    """All counts and measurements of a folder."""

    samples: samples.Samples
    history: calls.History
    diversity: Mapping[str, diversity.Diversity]
    seed_words: Mapping[int, int]


def write(found: Found) -> Path:
    """Write `report.html` and `figures/` into the folder, and refer to the figures in its dataset card.

    Args:
        found: the folder's contents. While a run is active there, its card stays unchanged.

    Returns:
        The page's path.

    Raises:
        StorageError: if a file there is damaged, or nothing can be written.
    """
    gathered = _gather(found)
    pictures = {picture.name: picture for picture in _pictures(found, gathered)}
    text = _render(found, gathered, pictures)
    folder = found.folder / FIGURES
    try:
        folder.mkdir(exist_ok=True)
        for name in NAMES:
            for suffix in (".svg", ".png"):
                if name not in pictures:
                    (folder / (name + suffix)).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; make it writable, then run the same command again") from error
    for picture in pictures.values():
        write_text(folder / f"{picture.name}.svg", picture.file)
        write_bytes(folder / f"{picture.name}.png", picture.png)
    write_text(found.folder / PAGE, text)
    if found.manifest is not None and not found.running:
        dataset.show_figures(found.folder, {f"{FIGURES}/{name}.png": picture.text for name, picture in pictures.items()})
    return found.folder / PAGE


def _gather(found: Found) -> Gathered:
    rows: Iterator[dict[str, Any]] = iter(())
    if found.samples is not None:
        rows = dataset.read_samples(found.samples, still_written=found.manifest is None)
    counted = samples.gather(rows, labelled=found.settings.task == "classification")
    history = calls.History()
    if found.ledger is not None:
        with Ledger(found.ledger, read_only=True) as ledger:
            history = calls.gather(ledger.history(), ledger.runs())
    seeds = found.prompts
    if len(seeds) > diversity.MOST_SEEDS:
        seeds = random.Random(0).sample(seeds, diversity.MOST_SEEDS)
    compared = {name: counted.compared[name].kept for name in counted.strategies if name in counted.compared}
    measured = diversity.measure(compared, seeds) if compared else {}
    return Gathered(counted, history, measured, Counter(len(words(prompt)) for prompt in found.prompts))


def _pictures(found: Found, gathered: Gathered) -> Iterator[Picture]:
    """Yield the figures that there is data for."""
    counted, history = gathered.samples, gathered.history
    if found.study is not None:
        yield curves.draw(found.study)
    if counted.planned:
        flows = flow.flow_of(counted.ends, strategies=counted.strategies, rows=_trained_rows(found))
        yield pictured("flow", _flow_in_words(flows), lambda width: flow.draw(flows, width))
    if history.total:
        spent = number_of(history.tokens, "token") if history.usd is None else dollars(history.usd)
        each = ", ".join(f"{purpose} {of.number:,}" for purpose, of in history.by_purpose.items())
        text = f"{number_of(history.total, 'call')} ({each}) and {spent}, mounting up over {duration(history.working)} of working time"
        yield pictured("calls", text, lambda width: charts.calls_over_time(history, width))
    if counted.question_words or counted.answer_words:
        asked: dict[str, Mapping[int, int]] = {diversity.SEEDS: gathered.seed_words, **counted.question_words}
        text = "Words of the questions and of the answers by strategy: 5, 25, 50, 75 and 95 % of them are no longer"
        yield pictured("lengths", text, lambda width: charts.lengths(asked, counted.answer_words, counted.strategies, width))
    if any(one.similarity is not None or one.nearest.size for one in gathered.diversity.values()):
        each = ", ".join(f"{name} {one.similarity:.2f}" for name, one in gathered.diversity.items() if one.similarity is not None)
        text = f"Mean similarity of two questions ({each}), and the questions' similarity to the nearest seed"
        yield pictured("diversity", text, lambda width: charts.diversity(gathered.diversity, width))
    if counted.agreement:
        each = ", ".join(f"{count} of {of}: {number:,}" for (count, of), number in sorted(_votes(counted).items()))
        yield pictured("agreement", f"Candidates by answers that agree ({each})", lambda width: charts.agreement(counted.agreement, width))
    if any(one["score"] is not None for one in _rounds(found)):
        scored = [one for one in _rounds(found) if one["score"] is not None]
        each = "; ".join(f"round {one['round']}: mean {one['score']['mean']:.2f}, {one['moved']:.0%} moved" for one in scored)
        yield pictured("rounds", f"Scores of the seeds by the student of each round ({each})", lambda width: charts.rounds(scored, width))
    if found.grade is not None and any(map(grading.is_share, found.grade.rows)):
        rows = found.grade.rows
        each = "; ".join(f"{row.task} {row.metric}: {' to '.join(grading.cells(row)[:2])}" for row in rows)
        yield pictured("grade", f"From base model to student: {each}", lambda width: charts.grade(rows, width))


def _flow_in_words(flows: flow.Flow) -> str:
    ends: Counter[str] = Counter()
    for (_, end), number in flows.ended.items():
        ends[end] += number
    parts = [f"{sum(flows.planned.values()):,} planned", f"{ends['accepted']:,} accepted"]
    parts += [f"{number:,} rejected by {end}" for end, number in ends.items() if end not in flow.ENDS]
    parts += [f"{ends['failed']:,} failed"] if ends["failed"] else []
    if flows.trained is not None:
        parts.append(f"{flows.trained + flows.seeds:,} trained on, {flows.seeds:,} of them seed pairs")
    return "From planned to trained: " + "; ".join(parts)


def _votes(counted: samples.Samples) -> Counter[tuple[int, int]]:
    votes: Counter[tuple[int, int]] = Counter()
    for (count, of, _), number in counted.agreement.items():
        votes[count, of] += number
    return votes


def _trained_rows(found: Found) -> int | None:
    return None if found.manifest is None else int(found.manifest["files"]["train"]["rows"])


def _render(found: Found, gathered: Gathered, pictures: Mapping[str, Picture]) -> str:
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    counted, history = gathered.samples, gathered.history
    text = environment.get_template("page.html.j2").render(
        css=Markup((here / "page.css").read_text(encoding="utf-8")),
        version=version("axolotl-synthetic"),
        written=_when(time.time()),
        folder=str(found.folder),
        name=found.folder.resolve().name,
        task=found.settings.task,
        state=_state(found),
        tiles=_tiles(found, gathered),
        inputs=_inputs(found, history),
        reasons=() if found.plan is None else found.plan.reasons,
        studied=None if found.study is None else _studied_table(found.study),
        remarks=_remarks(found),
        pictures={
            name: {"text": picture.text, "wide": Markup(picture.wide), "narrow": Markup(picture.narrow)}
            for name, picture in pictures.items()
        },
        has_ledger=found.ledger is not None,
        has_samples=counted.planned > 0,
        ends=_ends_table(counted),
        labels=_labels_table(counted),
        checks=_checks_table(counted),
        preferences=_preferences_table(found.manifest),
        rounds=_rounds_table(_rounds(found)),
        calls=_calls_table(history),
        pauses=[(duration(at), duration(gap)) for at, gap in history.pauses],
        reused=0 if found.manifest is None else found.manifest["queries"]["reused"],
        seeds_known=bool(found.prompts),
        lengths=_lengths_table(gathered),
        diversity=_diversity_table(gathered),
        votes=counted.agreement.total(),
        grade=found.grade,
        grades=None if found.grade is None else _grade_table(found.grade),
        decisions=dict(counted.decisions.most_common()),
        groups=_groups(counted),
    )
    return _clean(text)


def _state(found: Found) -> tuple[str, str, str]:
    """Return the run's state as a CSS class, a word and a sentence."""
    if found.manifest is not None:
        if found.manifest["status"] == "complete":
            return "done", "complete", "The run has the samples that it was to have."
        return "done", "ended by its budget", "A limit of the budget ended the run, which may be what was wanted."
    if found.running:
        return "open", "running", "This run is not finished: it is at work now, and this page shows how far it was when it was written."
    return (
        *("open", "not finished"),
        "This run is not finished: it was stopped, or never began. `axolotl synthetic generate CONFIG` goes on where it stopped.",
    )


def _tiles(found: Found, gathered: Gathered) -> list[tuple[str, str]]:
    counted, history = gathered.samples, gathered.history
    tiles = []
    if counted.planned:
        accepted = counted.count("accepted")
        tiles.append((f"{accepted:,}", f"samples accepted of {counted.planned:,} ({accepted / counted.planned:.0%})"))
    if history.total:
        tiles.append((f"{history.total:,}", "calls to the models"))
        tiles.append((_short(history.tokens), "tokens"))
        tiles.append(("unknown", "cost (no price)") if history.usd is None else (_cost(history.usd), "cost"))
        tiles.append((duration(history.working), "of calls"))
    if found.grade is not None and found.grade.rows:
        row = found.grade.rows[0]
        tiles.append((grading.cells(row)[2], f"{row.metric} on {row.task}, student against base model"))
    return tiles


def _short(number: float) -> str:
    return f"{number / 1e6:,.1f} M" if number >= 1e6 else f"{number / 1e3:,.1f} k" if number >= 1e4 else f"{number:,.0f}"


def _inputs(found: Found, history: calls.History) -> list[tuple[str, str]]:
    settings, manifest, plan = found.settings, found.manifest, found.plan
    if manifest is not None:
        seeds = f"{manifest['seeds']['count']:,} from {settings.seeds.path}, {manifest['seeds']['held_out']:,} more held out for grading"
    else:
        seeds = f"{len(found.prompts):,} from {settings.seeds.path}" if found.prompts else settings.seeds.path
    strategy = manifest["strategy"] if manifest is not None else {} if plan is None else plan.strategy
    shares = ", ".join(f"{name} {share:.0%}" for name, share in strategy.items()) or "not decided"
    by = "decided by strategy: auto" if settings.strategy == "auto" else "as the config names it"
    ratio = manifest["budget_ratio"] if manifest is not None else None if plan is None else plan.budget_ratio
    limits = ", ".join(f"{value:,} {name}" for name, value in settings.budget.model_dump().items() if value is not None)
    asked = {
        role: ", ".join(f"{model} ({number_of(n, 'call')})" for (of, model), n in history.models.items() if of == role) for role, _ in ROLES
    }
    return [
        ("Task", settings.task),
        ("Seeds", seeds),
        ("Strategy", f"{shares} ({by})"),
        ("Budget", limits.replace("_", " ")),
        ("Budget ratio", "not known" if ratio is None else f"{ratio:,.2f} samples a seed"),
        *(
            (title, asked[role] or f"{model_name(settings.model_for(role))} (not asked)")
            for role, title in ROLES
            if role in settings.models or asked[role]
        ),
        ("Calls made", "none" if history.began is None else f"from {_when(history.began)} to {_when(history.ended or history.began)}"),
    ]


ROLES: tuple[tuple[Any, str], ...] = (("teacher", "Teacher"), ("augmenter", "Augmenter"), ("student", "Student"))


def _remarks(found: Found) -> list[str]:
    """Return remarks that readers need to interpret the reasons for the strategy."""
    if found.plan is None:
        return [f"Why this strategy cannot be said again: {found.unprepared}"]
    remarks = []
    if found.changed:
        remarks.append("The config, the seeds or a file of the checks were changed since this run: the settings above are today's.")
    if found.manifest is not None and dict(found.plan.strategy) != found.manifest["strategy"]:
        today = ", ".join(f"{name} {share:.0%}" for name, share in found.plan.strategy.items())
        remarks.append(f"Today's config would lead to {today}, for the reasons given.")
    return remarks


def _studied_table(study: Measured) -> Table:
    samples = sorted({point.samples for curve in study.curves for point in curve.points})
    rows = []
    for curve in study.curves:
        at = {point.samples: point for point in curve.points}
        shares = [_share(at[number]) if number in at else "" for number in samples]
        rows.append([f"{curve.strategy.replace('_', ' ')}, {number_of(curve.seeds, 'seed')}", *shares, f"{curve.calls:.2f}"])
    return Table(["", *(number_of(number, "sample") for number in samples), "calls a sample"], rows)


def _share(point: Point) -> str:
    error = "" if point.stderr is None else f" ± {100 * point.stderr:.1f}"
    return f"{100 * point.accuracy:.1f}{error} %"


def _ends_table(counted: samples.Samples) -> Table:
    reasons = [("rejected", reason) for reason in counted.reasons("rejected")] + [
        ("failed", reason) for reason in counted.reasons("failed")
    ]
    head = ["", *(name.replace("_", " ") for name in counted.strategies), "all"]

    def row(title: str, pick: Callable[[str, str], bool]) -> list[str]:
        numbers = [
            sum(n for (of, status, reason), n in counted.ends.items() if of == strategy and pick(status, reason))
            for strategy in counted.strategies
        ]
        return [title, *(f"{number:,}" for number in (*numbers, sum(numbers)))]

    rows = [row("planned", lambda *_: True), row("accepted", lambda status, _: status == "accepted")]
    for ended, because in reasons:
        title = f"rejected by {because}" if ended == "rejected" else f"failed: {because}"
        rows.append(row(title, lambda status, reason, ended=ended, because=because: (status, reason) == (ended, because)))  # type: ignore[misc]
    return Table(head, rows)


def _rounds(found: Found) -> Sequence[Mapping[str, Any]]:
    return [] if found.manifest is None else found.manifest.get("rounds", [])


def _rounds_table(rounds: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = []
    for one in rounds:
        budget = ", ".join(f"{value:,.6g} {name}" for name, value in one["budget"].items())
        score, weight = one["score"], one["weight"]
        scores = "" if score is None else f"{score['mean']:.2f} ({score['least']:.2f} to {score['most']:.2f})"
        weights = "" if weight is None else f"{weight['least']:.2f} to {weight['most']:.2f}"
        moved = "" if weight is None else f"{one['moved']:.0%}"
        rows.append([str(one["round"]), budget, f"{one['candidates']:,}", f"{one['accepted']:,}", scores, weights, moved])
    head = ["round", "budget to its end", "candidates", "accepted", f"score by {rounds[0]['by']}" if rounds else "", "weights", "moved"]
    return Table(head, rows) if rows else None


def _labels_table(counted: samples.Samples) -> Table:
    rows = [[label, f"{ends['accepted']:,}", f"{ends['rejected']:,}"] for label, ends in sorted(counted.labels.items())]
    return Table(["label", "accepted", "rejected"], rows)


def _checks_table(counted: samples.Samples) -> Table:
    decisive = counted.reasons("rejected")
    rows = [
        [name, *(f"{by[passed]:,}" for passed in (True, False, None)), f"{decisive.get(name, 0):,}"]
        for name, by in counted.verdicts.items()
    ]
    return Table(["check", "passed", "failed", "did not apply", "rejected by it"], rows)


def _preferences_table(manifest: Mapping[str, Any] | None) -> Table | None:
    """Return the preference pairs by the rejected answer's reason, None if there are none."""
    if manifest is None or (pairs := manifest["files"].get("preferences")) is None:
        return None
    rows = [[reason, f"{number:,}"] for reason, number in pairs["counts"].items()]
    return Table(["rejected by", "pairs"], [*rows, ["all", f"{pairs['rows']:,}"]])


def _cost(usd: float) -> str:
    """Format a cost to the cent if it is at least a dollar."""
    return f"USD {usd:,.2f}" if usd >= 1 else dollars(usd)


def _part(tokens: int | None, whole: int) -> str:
    """Format a part of some tokens with its share; empty if the server did not report it."""
    return "" if tokens is None else f"{tokens:,} ({tokens / whole:.0%})" if whole else f"{tokens:,}"


def _calls_table(history: calls.History) -> Table:
    rows = []
    for purpose, of in history.by_purpose.items():
        half, most = np.percentile(of.seconds, (50, 95)) if of.seconds else (None, None)
        usd = "unknown" if of.unpriced or history.usd is None else f"{sum(of.usd):,.4f}"
        rows.append(
            [
                purpose,
                *(f"{number:,}" for number in (of.number, of.retried, of.failed, of.open)),
                *(f"{of.prompt_tokens:,}", _part(of.cached_tokens, of.prompt_tokens)),
                *(f"{of.completion_tokens:,}", _part(of.reasoning_tokens, of.completion_tokens)),
                *("" if seconds is None else f"{seconds:,.2f}" for seconds in (half, most)),
                usd,
            ]
        )
    head = [
        "for",
        "calls",
        "of them retries",
        "failed",
        "no end known",
        "prompt tokens",
        "of them cached",
        "reply tokens",
        "of them thought",
        "median s",
        "95 % within s",
        "USD",
    ]
    return Table(head, rows)


def _lengths_table(gathered: Gathered) -> Table:
    counted = gathered.samples
    measured: list[tuple[str, Mapping[int, int]]] = [("questions of the seeds", gathered.seed_words)]
    measured += [(f"questions of {name}", counted.question_words.get(name, {})) for name in counted.strategies]
    for name in counted.strategies:
        for accepted in (True, False):
            title = f"{'accepted' if accepted else 'rejected'} answers of {name}"
            measured.append((title, counted.answer_words.get((name, accepted), {})))
    rows = [
        [title, f"{sum(counts.values()):,}", *(f"{charts.quantile(counts, share):,.0f}" for share in charts.SHARES)]
        for title, counts in measured
        if counts
    ]
    return Table(["words in", "number", *("median" if share == 0.5 else f"{share:.0%}" for share in charts.SHARES)], rows)


def _diversity_table(gathered: Gathered) -> Table:
    rows = []
    for name, one in gathered.diversity.items():
        asked = gathered.samples.asked.get(name)
        rows.append(
            [
                name.replace("_", " "),
                f"{one.questions:,}",
                "" if asked is None else f"{len(asked):,}",
                "" if one.distinct is None else f"{one.distinct:.3f}",
                "" if one.similarity is None else f"{one.similarity:.3f}",
                f"{np.median(one.nearest):.3f}" if one.nearest.size else "",
            ]
        )
    head = [
        "questions of",
        "compared",
        "different in all",
        "distinct-2",
        "mean similarity of a pair",
        "similarity to the nearest seed (median)",
    ]
    return Table(head, rows)


def _grade_table(grade: grading.Grade) -> Table:
    rows = [
        [
            *(row.task, row.metric, "" if row.questions is None else f"{row.questions:,}", *grading.cells(row)),
            *(("", "") if row.better is None else (f"{row.better:,}", f"{row.worse:,}")),
            "" if row.p is None else grading.p_value(row.p),
        ]
        for row in grade.rows
    ]
    return Table(["task", "metric", "questions", "base model", "student", "difference", "better on", "worse on", "McNemar's p"], rows)


def _groups(counted: samples.Samples) -> list[dict[str, Any]]:
    """Return the samples to show by outcome: accepted first, then the most frequent reasons."""
    order = [("accepted", name) for name in counted.strategies]
    order += [(status, reason) for status in ("rejected", "failed") for reason in counted.reasons(status)]
    groups = []
    for status, kind in order:
        if (status, kind) not in counted.shown:
            continue
        rows = counted.shown[status, kind].kept
        number = counted.count("accepted", kind) if status == "accepted" else counted.reasons(status)[kind]
        title = {"accepted": "Accepted", "rejected": "Rejected by", "failed": "Failed:"}[status]
        groups.append({"status": status, "title": f"{title} {kind}", "number": number, "samples": [_sample(row) for row in rows]})
    return groups


def _sample(row: Mapping[str, Any]) -> dict[str, Any]:
    decision = row.get("decision") or {}
    changed = [
        (str(name), _cut(decision.get("before", {}).get(name)), _cut(value)) for name, value in (decision.get("after") or {}).items()
    ]
    return {
        "id": row["id"],
        "strategy": row["strategy"],
        "status": row["status"],
        "reason": row.get("reason"),
        "question": _cut(row.get("question")),
        "answer": _cut(row.get("answer")),
        "final_answer": row.get("final_answer"),
        "checks": [
            {"name": check["name"], "said": {True: "passed", False: "failed"}.get(check["passed"], "none"), "detail": check.get("detail")}
            for check in row.get("checks") or ()
        ],
        "decision": decision and {"what": decision.get("what"), "who": ", ".join(decision.get("who") or ()), "when": decision.get("when")},
        "changed": changed,
    }


def _cut(text: object) -> str | None:
    if text is None:
        return None
    shown = str(text)
    left = len(shown) - samples.LONGEST_SHOWN
    return shown if left <= 0 else f"{shown[: samples.LONGEST_SHOWN]}… ({left:,} characters more in samples.jsonl)"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _clean(text: str) -> str:
    """Replace characters that no page can hold: lone surrogates and control characters."""
    return _CONTROLS.sub("\ufffd", text).encode("utf-8", "replace").decode()
