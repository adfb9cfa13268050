"""The distilabel pipeline of a job: `Generate >> Verify`."""

from __future__ import annotations

from pathlib import Path

import yaml

from axolotl_synthetic.checks import names_of
from axolotl_synthetic.pipelines.hooks import EagerPipeline
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.steps import Generate, Verify
from axolotl_synthetic.tasks import load_task
from axolotl_synthetic.teachers import model_name


def build(job: Job, folder: Path | None = None) -> EagerPipeline:
    """Return the pipeline of a job.

    Args:
        job: what to generate.
        folder: where distilabel keeps its files while the pipeline runs; None for distilabel's default.
    """
    settings = job.settings
    pipeline = EagerPipeline("synthetic", cache_dir=folder)
    with pipeline:
        generate = Generate(
            name="generate",
            task=settings.task,
            strategies=dict(job.shares),
            models={role: model_name(model) for role, model in job.models.items()},
            budget=settings.budget.model_dump(exclude_none=True),
            job=job,
        )
        generate >> Verify(name="verify", checks=list(names_of(settings.verify, load_task(settings.task, settings.prompts))), job=job)
    return pipeline


def picture(pipeline: EagerPipeline) -> str:
    """Return a pipeline as YAML that distilabel loads, below a drawing of its steps and their columns as comments."""
    lines = []
    for name in pipeline.dag:
        step = pipeline.dag.get_step(name)["step"]
        lines.append(f"# {name} ({type(step).__name__})")
        if list(pipeline.dag.get_step_successors(name)):
            lines += [f"#   │ {', '.join(step.outputs)}", "#   ▼"]
    return "\n".join(lines) + "\n" + yaml.safe_dump(pipeline.dump(), sort_keys=False, allow_unicode=True)
