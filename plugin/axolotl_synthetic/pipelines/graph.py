"""The distilabel pipeline of a job: `Generate >> Verify`."""

from __future__ import annotations

from pathlib import Path

from axolotl_synthetic.checks import names_of
from axolotl_synthetic.pipelines.hooks import PromptPipeline
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.steps import Generate, Verify
from axolotl_synthetic.tasks import load_task
from axolotl_synthetic.teachers import model_name


def build(job: Job, folder: Path | None = None) -> PromptPipeline:
    """Return the pipeline of a job.

    Args:
        job: what to generate.
        folder: where distilabel keeps its files while the pipeline runs; None for its own choice.
    """
    settings = job.settings
    pipeline = PromptPipeline("synthetic", cache_dir=folder)
    with pipeline:
        generate = Generate(
            name="generate",
            task=settings.task,
            strategies=dict(job.shares),
            models={role: model_name(model) for role, model in job.models.items()},
            budget=settings.budget.model_dump(exclude_none=True),
            job=job,
        )
        generate >> Verify(name="verify", checks=list(names_of(settings.verify, load_task(settings.task))), job=job)
    return pipeline
