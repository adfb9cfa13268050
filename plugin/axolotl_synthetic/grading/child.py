"""The process that lm-eval runs in: `python -m axolotl_synthetic.grading.child JOB`, with a job that `evaluate.py` wrote.

Apart, because torch and lm-eval take long to import, may take all of a GPU's memory, and print what they like. It is lm-eval's
own `simple_evaluate` and not its command line, for three things that the command line cannot do: choose the device and the type
of numbers after looking, apply a chat template only where there is one, and not read its 14,000 tasks (about 10 s) for ours.
"""

from __future__ import annotations

import fnmatch
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axolotl_synthetic.grading.export import HELD_OUT_TASK

UNKNOWN_TASKS = 3
"""Exit code when a task's name is not known; the names stand in the result."""
THOUGHTS_END = "</think>"
MOST_ON_A_GPU = 8
"""Sequences at once on a GPU. Llama 2 7B keeps 0.5 MiB a token (keys and values of 32 layers, 4,096 wide, 2 bytes each) and GSM8K's five
examples make some 1,200 tokens with the reply: 5 GiB for 8 of them beside 13 GiB of weights, where 24 GB have room for no 20."""


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    result: dict[str, Any] = {}
    try:
        run(job, result)
    finally:
        Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    sys.exit(UNKNOWN_TASKS if result.get("unknown") else 0)


def run(job: Mapping[str, Any], result: dict[str, Any]) -> None:
    # Before anything reads them: one process for tokenizing is enough, and forking after threads have started warns.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from lm_eval.tasks import TaskManager, get_task_dict
    from lm_eval.utils import setup_logging

    setup_logging()
    include = [*([job["include_path"]] if job["include_path"] else []), str(Path(__file__).with_name("tasks"))]
    manager = TaskManager(include_path=include, include_defaults=job["lm_eval_tasks"], metadata=job["metadata"])
    names, result["unknown"] = resolve(manager, job["tasks"])
    if result["unknown"] or job["model"] is None:
        return

    from lm_eval import simple_evaluate

    model = load_model(job["model"], job["batch_size"])
    tasks: list[Any] = list(names)
    if HELD_OUT_TASK in names:
        task = get_task_dict([HELD_OUT_TASK], manager)[HELD_OUT_TASK]
        result["shortened"] = fit(task, model.max_length, job["max_gen_toks"])
        if job["system"] is not None:  # which comes before every question, and so before these
            task.set_config("description", "")
        tasks[names.index(HELD_OUT_TASK)] = task
    results = simple_evaluate(
        model=model,
        tasks=tasks,
        task_manager=manager,
        limit=job["limit"],
        system_instruction=job["system"],
        apply_chat_template=getattr(model.tokenizer, "chat_template", None) is not None,
        fewshot_as_multiturn=getattr(model.tokenizer, "chat_template", None) is not None,
        log_samples=True,  # for each question's score
    )
    result["scores"] = {name: results["results"][name] for name in names if name in results["results"]}
    result["questions"] = {name: counts["effective"] for name, counts in results["n-samples"].items()}
    result["each"] = {name: each_score(samples) for name, samples in results.get("samples", {}).items()}


def each_score(samples: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return what each question of a task scored, by the metric (with its filter) and the question's number. What is no number, such as the
    pairs that an F1 is made of, is left out."""
    found: dict[str, dict[str, float]] = {}
    for sample in samples:
        for metric in sample["metrics"]:
            value = sample[metric]
            if metric == "bits_per_byte":  # until they are added up: the log-likelihood of a text, and its bytes
                value = -value[0] / (math.log(2) * max(1, value[1]))
            try:
                found.setdefault(f"{metric},{sample['filter']}", {})[str(sample["doc_id"])] = float(value)
            except (TypeError, ValueError):
                continue
    return found


def fit(task: Any, context: int, asked: int | None) -> int | None:
    """Set the longest reply to the held-out questions: as asked for, or as they were exported; at most half of the model's context, since
    lm-eval ends where no room is left for a question, and cuts questions off where there is little.

    Returns:
        What it was lowered to, None when it was not.
    """
    if task.OUTPUT_TYPE != "generate_until":
        return None
    wanted = asked or task.config.generation_kwargs["max_gen_toks"]
    longest = min(wanted, max(1, context // 2))
    task.set_config("generation_kwargs", {"max_gen_toks": longest}, update=True)
    return longest if longest < wanted else None


def resolve(manager: Any, asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tasks and groups that names stand for (a name may be a tag or have wildcards), and the names that stand for none."""
    names: list[str] = []
    unknown: list[str] = []
    for name in asked:
        found = fnmatch.filter(manager.all_tasks, name)
        if not found:
            unknown.append(name)
        for match in found:
            entry = manager.task_index[match]
            # A tag has no score of its own, its tasks have.
            names += entry["task"] if entry["type"] == "tag" else [match]
    return list(dict.fromkeys(names)), unknown


def load_model(model: Mapping[str, Any], batch_size: int) -> Any:
    import torch
    from lm_eval.api.registry import get_model

    cuda = torch.cuda.is_available()
    arguments = {
        "pretrained": model["base"],
        "peft": model["adapter"],
        "tokenizer": model["tokenizer"],
        "dtype": model["dtype"] or ("auto" if cuda else "float32"),
        "trust_remote_code": model["trust_remote_code"],
        **thinking(_template(model), model["thinking"]),
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    at_once = min(batch_size, MOST_ON_A_GPU) if cuda else batch_size
    return get_model("hf").create_from_arg_obj(given, {"batch_size": at_once, "device": "cuda" if cuda else "cpu"})


def thinking(template: str, wanted: bool) -> dict[str, Any]:
    """Return what lm-eval needs to know of a model that thinks, by its chat template: whether to ask it to, and what its thoughts end with,
    so that tasks read the answer behind them. Nothing for a template that knows no thoughts."""
    asked = {"enable_thinking": wanted} if "enable_thinking" in template else {}
    return asked | ({"think_end_token": THOUGHTS_END} if THOUGHTS_END in template else {})


def _template(model: Mapping[str, Any]) -> str:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model["tokenizer"] or model["base"], trust_remote_code=model["trust_remote_code"])
    except Exception:  # of a model that lm-eval will not load either, and says why
        return ""
    found = tokenizer.chat_template
    return "\n".join(found.values()) if isinstance(found, dict) else found or ""


if __name__ == "__main__":
    main()
