"""The process that runs lm-eval: `python -m axolotl_synthetic.grading.child JOB`, with a job that `evaluate.py` wrote.

It is a separate process because torch and lm-eval take long to import, may fill a GPU's memory, and print freely. It uses lm-eval's
own `simple_evaluate`, since the command line cannot do three things: choose device and dtype after checking the hardware, apply a
chat template only if there is one, and skip reading lm-eval's 14,000 tasks (about 10 s) for ours.
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
"""Exit code for unknown task names; the result lists them."""
THOUGHTS_END = "</think>"
MOST_ON_A_GPU = 8
"""Sequences per batch on a GPU.

Llama 2 7B needs 0.5 MiB per token (keys and values of 32 layers, 4,096 wide, 2 bytes each). GSM8K's five examples and the reply make some
1,200 tokens, so 8 sequences need 5 GiB beside 13 GiB of weights; 20 would not fit into 24 GB.
"""


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    result: dict[str, Any] = {}
    try:
        run(job, result)
    finally:
        Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    sys.exit(UNKNOWN_TASKS if result.get("unknown") else 0)


def run(job: Mapping[str, Any], result: dict[str, Any]) -> None:
    # Set this before any import: one tokenizing process is enough, and forking after threads have started warns.
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
        if job["system"] is not None:  # it comes before every question, these included
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
        log_samples=True,  # gives each question's score
    )
    result["scores"] = {name: results["results"][name] for name in names if name in results["results"]}
    result["questions"] = {name: counts["effective"] for name, counts in results["n-samples"].items()}
    result["each"] = {name: each_score(samples) for name, samples in results.get("samples", {}).items()}


def each_score(samples: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return each question's score, by the metric (with its filter) and the question's number.

    Values that are not numbers, such as the pairs of an F1, are left out.
    """
    found: dict[str, dict[str, float]] = {}
    for sample in samples:
        for metric in sample["metrics"]:
            value = sample[metric]
            if metric == "bits_per_byte":  # not aggregated yet: a text's log-likelihood and its bytes
                value = -value[0] / (math.log(2) * max(1, value[1]))
            try:
                found.setdefault(f"{metric},{sample['filter']}", {})[str(sample["doc_id"])] = float(value)
            except (TypeError, ValueError):
                continue
    return found


def fit(task: Any, context: int, asked: int | None) -> int | None:
    """Set the longest reply to the held-out questions: as requested or as exported, but at most half of the model's context.

    Without room for a question lm-eval ends, and with little room it truncates the question.

    Returns:
        The lowered limit, None if it was not lowered.
    """
    if task.OUTPUT_TYPE != "generate_until":
        return None
    wanted = asked or task.config.generation_kwargs["max_gen_toks"]
    longest = min(wanted, max(1, context // 2))
    task.set_config("generation_kwargs", {"max_gen_toks": longest}, update=True)
    return longest if longest < wanted else None


def resolve(manager: Any, asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the tasks and groups that names match (a name may be a tag or have wildcards), and the names without a match."""
    names: list[str] = []
    unknown: list[str] = []
    for name in asked:
        found = fnmatch.filter(manager.all_tasks, name)
        if not found:
            unknown.append(name)
        for match in found:
            entry = manager.task_index[match]
            # A tag has no score, but its tasks do.
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
    """Return lm-eval's arguments for a model with thoughts, by its chat template: whether to ask for them, and the text that ends them.

    Tasks then read the answer after the thoughts. Empty for a template without thoughts.
    """
    asked = {"enable_thinking": wanted} if "enable_thinking" in template else {}
    return asked | ({"think_end_token": THOUGHTS_END} if THOUGHTS_END in template else {})


def _template(model: Mapping[str, Any]) -> str:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model["tokenizer"] or model["base"], trust_remote_code=model["trust_remote_code"])
    except Exception:  # lm-eval cannot load such a model either, and reports the reason
        return ""
    found = tokenizer.chat_template
    return "\n".join(found.values()) if isinstance(found, dict) else found or ""


if __name__ == "__main__":
    main()
