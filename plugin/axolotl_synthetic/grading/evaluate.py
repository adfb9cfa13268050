"""Runs lm-eval on one model in a separate process (`child.py`): its output goes to a log file, its progress to the caller."""

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

# Sequences per batch of lm-eval: enough to keep two CPU cores busy, and few enough that the progress moves every minute.
# On a GPU `child.py` uses fewer.
AT_ONCE = 20
# The only metric that is shown in addition to a task's main one.
MACRO_F1 = "macro_f1"
# The metric of chats.
LIKELIHOOD = "bits_per_byte"


@dataclass(frozen=True, slots=True)
class Score:
    """lm-eval's result for one task.

    Attributes:
        value: of the metric, between 0 and 1 if it is a share.
        stderr: standard error of `value`; None if lm-eval gives none, as for a single question.
        metric: with the filter of replies if a task has several, as in `exact_match,strict-match`.
        questions: number of questions asked, None if lm-eval does not report it.
        each: each question's score, by its number, the more the better; empty if `value` is not their mean.
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
        model: the model to grade.
        tasks: names of lm-eval's tasks, groups and tags, wildcards allowed, and of a task in `include_path`.
        include_path: a folder with tasks besides lm-eval's own.
        log: file to which lm-eval's output is appended.
        limit: most questions per task.
        batch_size: sequences at once.
        on_progress: is called with the requests done and all requests; starts again at 0 for each kind of request.
        databases: path of `spider_execution`'s databases, as in `seeds.databases`.
        max_gen_toks: the longest reply to a held-out question; None: as its task was exported.
        system: the system message before every question; None: those of the tasks themselves, including the held-out seeds'.

    Returns:
        A score for each task; for a group its own, for a tag or a wildcard those of its tasks. If a task also has a macro-F1, that
        follows it, under the task's name and the metric's.

    Raises:
        ConfigError: if a task is unknown; no model is loaded then.
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
    """Return a model's score on each row of an exported task, by the row's index.

    Args:
        model: the model to grade.
        folder: the task's.
        metrics: the first of these that the task has is used.
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
    """Check task names without loading a model, before anything is paid for. Takes about 10 s unless `tasks` is empty.

    Raises:
        ConfigError: if lm-eval knows no such task.
    """
    if tasks:
        _run(None, tasks, include_path, log, None, 1, lambda done, total: None)


def choose(metrics: Mapping[str, Any], questions: int | None = None, each: Mapping[str, Mapping[str, float]] | None = None) -> Score:
    """Return a task's main metric. lm-eval names them `metric,filter` and `metric_stderr,filter`.

    Args:
        each: each question's score, by metric and filter.
    """
    names = [key for key, value in metrics.items() if "," in key and "_stderr," not in key and isinstance(value, int | float)]
    if not names:
        raise TrainingError(f"lm-eval reported no metric, only {', '.join(metrics)}; leave the task out of synthetic.grade.tasks")
    # Prefer exact match to accuracy: a task that has both generates replies, and its accuracy is a detail.
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
        # lm-eval gives the text "N/A" if there is none.
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
    """Run the child to its end; return its exit code and the line that best explains a failure."""
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
            # After Ctrl-C or an error in `on_progress`, no model may stay in memory.
            if child.poll() is None:
                child.kill()
                child.wait()
            child.stdout.close()


def environment() -> dict[str, str]:
    """Return the child's environment: it imports from the same paths, and is not a rank of a distributed training."""
    kept = without_ranks(os.environ)
    kept |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUNBUFFERED": "1"}
    # A batch's questions end at the same moment; unless each is reported, the bar would show only the first until the next batch.
    kept["TQDM_MININTERVAL"] = "0"
    # Threads must wait without spinning: if other programs use the same cores, torch's threads would waste time on waiting.
    # On two cores under load, 16 tokens for 16 questions took 10.6 s with this and 107.8 s without.
    return {"OMP_WAIT_POLICY": "PASSIVE", **kept}


def _lines(stream: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """Yield the stream's lines as they come, with False for those that a progress bar will overwrite."""
    rest = b""
    while chunk := os.read(stream.fileno(), 65536):
        *lines, rest = re.split(rb"(?<=[\r\n])", rest + chunk)
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r\n"), line.endswith(b"\n")
        # tqdm ends a state of its bar only when it writes the next one, which may be minutes later.
        yield rest.decode("utf-8", "replace"), False
    if rest:
        yield rest.decode("utf-8", "replace"), True


def read_progress(line: str) -> tuple[int, int] | None:
    """Return done and total of lm-eval's own bar, `Running generate_until requests:  15%|█▌  | 12/80 [00:05<…`."""
    found = re.search(r"Running \w+ requests:.*\| *(\d+)/(\d+) \[", line)
    return (int(found[1]), int(found[2])) if found else None


def telling_line(lines: Sequence[str]) -> str:
    """Return the last line that names an error, else the last line with words."""
    words = [line.strip() for line in lines if line.strip()]
    errors = [line for line in words if re.match(r"[\w.]*(Error|Exception|Interrupt|NotFound)\b", line)]
    return (errors or words or ["it printed nothing"])[-1]


def _how_it_ended(code: int, last_words: str) -> str:
    if code == -signal.SIGKILL:
        return "it was killed, for lack of memory perhaps; grade where there is more"
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return last_words
