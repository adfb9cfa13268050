"""Runs lm-eval on one model in a process of its own (`child.py`): its output to a log file, its progress to the caller."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from axolotl_synthetic import terminal
from axolotl_synthetic.errors import ConfigError, StorageError, TrainingError
from axolotl_synthetic.grading.child import UNKNOWN_TASKS
from axolotl_synthetic.grading.export import HELD_OUT_TASK
from axolotl_synthetic.grading.models import ModelArgs
from axolotl_synthetic.grading.spider import SPIDER_TASK
from axolotl_synthetic.processes import without_ranks

# Sequences in one batch of lm-eval: enough to keep two CPU cores busy, and not so many that the progress stands still for a minute.
# On a GPU `child.py` takes fewer.
AT_ONCE = 20
# The one metric that is shown beside a task's main one.
MACRO_F1 = "macro_f1"
# The metric of chats.
LIKELIHOOD = "bits_per_byte"


@dataclass(frozen=True, slots=True)
class Score:
    """What lm-eval measured on one task.

    Attributes:
        value: of the metric, between 0 and 1 where it is a share.
        stderr: standard error of `value`; None when lm-eval gives none, as for a single question.
        metric: with the filter of replies where a task has several, as in `exact_match,strict-match`.
        questions: how many were asked, None when lm-eval does not say.
        each: what each question scored, by its number, the more the better; empty where `value` is not their mean.
    """

    value: float
    stderr: float | None
    metric: str
    questions: int | None = None
    each: Mapping[str, float] = field(default_factory=dict)


def evaluate(
    *,
    model: ModelArgs,
    tasks: Sequence[str],
    include_path: Path | None,
    log: Path,
    limit: int | None = None,
    batch_size: int = AT_ONCE,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    databases: str | None = None,
    max_gen_toks: int | None = None,
    system: str | None = None,
) -> dict[str, Score]:
    """Grade one model.

    Args:
        model: what is graded.
        tasks: names of lm-eval's tasks, groups and tags, wildcards allowed, and of a task in `include_path`.
        include_path: a folder with tasks besides lm-eval's own.
        log: a file that everything lm-eval prints is added to.
        limit: at most this many questions a task.
        batch_size: sequences at once.
        on_progress: is called with the requests done and all requests; starts again at 0 for each kind of request.
        databases: where `spider_execution` finds its databases, as in `seeds.databases`.
        max_gen_toks: the longest reply to a held-out question; None: as its task was exported.
        system: the system message that every question comes after; None: those of the tasks themselves, the held-out seeds' among them.

    Returns:
        A score for each task; for a group its own, for a tag or a wildcard those of its tasks. Where a task has a macro-F1 as well, that
        is behind it, under the task's name and the metric's.

    Raises:
        ConfigError: if a task is not known; no model is loaded then.
        TrainingError: if lm-eval ends with an error.
        StorageError: if the log cannot be written.
    """
    result = _run(model, tasks, include_path, log, limit, batch_size, on_progress, databases, max_gen_toks, system)
    if result.get("shortened"):
        terminal.notice(f"{model.name}: replies to held-out questions end after {result['shortened']} tokens, half of its context")
    questions, each = result["questions"], result.get("each", {})
    scores: dict[str, Score] = {}
    for task, metrics in result["scores"].items():
        scores[task] = choose(metrics, questions.get(task), each.get(task, {}))
        if f"{MACRO_F1},none" in metrics:
            scores[f"{task} {MACRO_F1}"] = Score(float(metrics[f"{MACRO_F1},none"]), None, MACRO_F1, questions.get(task))
    return scores


def scores_of_each(
    model: ModelArgs,
    folder: Path,
    metrics: Sequence[str],
    *,
    log: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    max_gen_toks: int | None = None,
) -> Mapping[str, float]:
    """Return what a model scores on each row of an exported task, by the row's place.

    Args:
        model: what is graded.
        folder: the task's.
        metrics: whose scores are wanted: the first of these that the task has.
        log, on_progress, max_gen_toks: as for `evaluate`.

    Raises:
        TrainingError: if lm-eval ends with an error, or the task has none of the metrics.
        StorageError: if the log cannot be written.
    """
    result = _run(model, [HELD_OUT_TASK], folder, log, None, AT_ONCE, on_progress, None, max_gen_toks)
    each: Mapping[str, Mapping[str, float]] = result.get("each", {}).get(HELD_OUT_TASK, {})
    for metric in metrics:
        if found := each.get(f"{metric},none"):
            return found
    raise TrainingError(f"lm-eval scored no question by {' or '.join(metrics)}; see {log}")


def refuse_unknown_tasks(tasks: Sequence[str], *, log: Path, include_path: Path | None = None) -> None:
    """Check names of tasks without loading a model, for before anything is paid for. Takes about 10 s unless `tasks` is empty.

    Raises:
        ConfigError: if lm-eval knows no such task.
    """
    if tasks:
        _run(None, tasks, include_path, log, None, 1, lambda done, total: None)


def choose(metrics: Mapping[str, Any], questions: int | None = None, each: Mapping[str, Mapping[str, float]] | None = None) -> Score:
    """The main one of a task's metrics, which lm-eval hands over as `metric,filter` and `metric_stderr,filter`.

    Args:
        each: what each question scored, by metric and filter.
    """
    names = [key for key, value in metrics.items() if "," in key and "_stderr," not in key and isinstance(value, int | float)]
    if not names:
        raise TrainingError(f"lm-eval reported no metric, only {', '.join(metrics)}; leave the task out of synthetic.grade.tasks")
    # Exact match before accuracy: a task that has both generates, and its accuracy is a detail.
    preferred = ("exact_match,strict-match", "exact_match,", "acc_norm,", "acc,", "")
    name = next(name for start in preferred for name in names if name.startswith(start))
    metric, _, chosen_filter = name.partition(",")
    stderr = metrics.get(f"{metric}_stderr,{chosen_filter}")
    scored = (each or {}).get(name, {})
    # Less is better of a likelihood, and whoever compares question by question takes more for better.
    if metric == LIKELIHOOD or (scored and not math.isclose(sum(scored.values()) / len(scored), metrics[name], abs_tol=1e-6)):
        scored = {}
    return Score(
        value=float(metrics[name]),
        # The text "N/A" where there is none.
        stderr=float(stderr) if isinstance(stderr, int | float) else None,
        metric=metric if chosen_filter == "none" else name,
        questions=questions,
        each=scored,
    )


def _run(
    model: ModelArgs | None,
    tasks: Sequence[str],
    include_path: Path | None,
    log: Path,
    limit: int | None,
    batch_size: int,
    on_progress: Callable[[int, int], None],
    databases: str | None = None,
    max_gen_toks: int | None = None,
    system: str | None = None,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="axolotl-synthetic-") as scratch:
        job, result = Path(scratch) / "job.json", Path(scratch) / "result.json"
        content = {
            "model": asdict(model) if model else None,
            "tasks": list(tasks),
            "lm_eval_tasks": any(task not in (HELD_OUT_TASK, SPIDER_TASK) for task in tasks),
            "include_path": str(include_path) if include_path else None,
            "limit": limit,
            "batch_size": batch_size,
            "metadata": {"databases": databases} if databases else {},
            "max_gen_toks": max_gen_toks,
            "system": system,
            "result": str(result),
        }
        job.write_text(json.dumps(content), encoding="utf-8")
        code, last_words = _child(job, log, on_progress)
        written: dict[str, Any] = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {}
    if code == UNKNOWN_TASKS and written.get("unknown"):
        names = ", ".join(map(repr, written["unknown"]))
        raise ConfigError(f"synthetic.grade.tasks: lm-eval knows no task {names}; `lm_eval ls tasks` lists the names")
    if code != 0:
        what = f"lm-eval could not grade {model.name}" if model else "lm-eval could not read its tasks"
        raise TrainingError(f"{what}: {_how_it_ended(code, last_words)}; see {log}")
    return written


def _child(job: Path, log: Path, on_progress: Callable[[int, int], None]) -> tuple[int, str]:
    """Run the child to its end; its exit code and the line that says the most about a failure."""
    command = [sys.executable, "-P", "-m", "axolotl_synthetic.grading.child", str(job)]
    last_lines: deque[str] = deque(maxlen=200)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log_file = log.open("a", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{log}: the log of lm-eval cannot be written: {error}; free space or change output_dir") from error
    with log_file:
        log_file.write(f"--- lm-eval: {job.read_text(encoding='utf-8')}\n")
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
        assert child.stdout is not None
        reported: tuple[int, int] | None = None
        try:
            for line, is_final in _lines(child.stdout):
                if (progress := read_progress(line)) and progress != reported:
                    on_progress(*progress)
                    reported = progress
                if is_final:
                    log_file.write(line + "\n")
                    if terminal.is_verbose():
                        terminal.echo(line + "\n")
                    log_file.flush()
                    last_lines.append(line)
            return child.wait(), telling_line(last_lines)
        finally:
            # Whatever ended us - Ctrl-C, an error in `on_progress` - must not leave a model in memory.
            if child.poll() is None:
                child.kill()
                child.wait()
            child.stdout.close()


def environment() -> dict[str, str]:
    """The child's environment: what is importable here is importable there, and it is no rank of a distributed training."""
    kept = without_ranks(os.environ)
    kept |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUNBUFFERED": "1"}
    # A batch's questions are done at the same moment; unless each is reported, the bar would show the first of them until the next.
    kept["TQDM_MININTERVAL"] = "0"
    # Threads that wait without spinning. Where other programs want the same cores, torch's would spend their time on waiting:
    # on two cores under load, 16 tokens for 16 questions took 10.6 s so and 107.8 s otherwise.
    return {"OMP_WAIT_POLICY": "PASSIVE", **kept}


def _lines(stream: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """The stream's lines as they come, False for those that a progress bar will overwrite."""
    rest = b""
    while chunk := os.read(stream.fileno(), 65536):
        *lines, rest = re.split(rb"(?<=[\r\n])", rest + chunk)
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r\n"), line.endswith(b"\n")
        # tqdm ends a bar's state when it writes the next one, which may be minutes later.
        yield rest.decode("utf-8", "replace"), False
    if rest:
        yield rest.decode("utf-8", "replace"), True


def read_progress(line: str) -> tuple[int, int] | None:
    """Done and all of lm-eval's own bars, `Running generate_until requests:  15%|█▌  | 12/80 [00:05<…`."""
    found = re.search(r"Running \w+ requests:.*\| *(\d+)/(\d+) \[", line)
    return (int(found[1]), int(found[2])) if found else None


def telling_line(lines: Sequence[str]) -> str:
    """The last line that names an error, else the last line with words."""
    words = [line.strip() for line in lines if line.strip()]
    errors = [line for line in words if re.match(r"[\w.]*(Error|Exception|Interrupt|NotFound)\b", line)]
    return (errors or words or ["it printed nothing"])[-1]


def _how_it_ended(code: int, last_words: str) -> str:
    if code == -signal.SIGKILL:
        return "it was killed, for lack of memory perhaps; grade where there is more"
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return last_words
