"""Labelled texts: add the closed set of labels, given or collected from the seeds, to every question.

`labels.py` finds labels in a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.labels import BETWEEN, named, spellings, written
from axolotl_synthetic.records import Seed

# Every prompt lists all labels. With more than these, and a different one for most texts, the column is probably a wrong one.
MOST_LABELS = 50


def with_labels(seeds: Sequence[Seed], given: Sequence[str] | None) -> list[Seed]:
    """Return the seeds with the label set in each question, and their own labels in its spelling.

    Args:
        seeds: all usable ones, whose answers are labels, one per line.
        given: the set, None to collect it from the seeds.

    Raises:
        SeedsError: if there are fewer than two labels, or so many that the column seems to hold something else.
    """
    labels = tuple(given) if given is not None else spellings(one for seed in seeds for one in (seed.answer or "").split(BETWEEN) if one)
    if len(labels) < 2:
        what = f"only the label {labels[0]!r}" if labels else "no label"
        raise SeedsError(
            f"synthetic.seeds: its rows have {what}, and texts are told apart by two or more; point seeds.fields.label at the column of"
            " labels, or write them as `labels: [one, another]`"
        )
    if given is None and len(labels) > max(MOST_LABELS, len(seeds) // 3):
        raise SeedsError(
            f"synthetic.seeds: its {len(seeds):,} rows have {len(labels):,} different labels, such as {labels[0]!r:.60}; point"
            " seeds.fields.label at the column of labels, or write them as `labels: [one, another]` if these are what is meant"
        )
    own = [None if seed.answer is None else _own(seed.answer, labels) for seed in seeds]
    several = any(one is not None and len(one) > 1 for one in own)
    made = []
    for seed, found in zip(seeds, own, strict=True):
        meant = None if found is None else written(found)
        question = replace(seed.question, labels=labels, several=several, meant=meant)
        made.append(replace(seed, question=question, answer=meant))
    return made


def _own(answer: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return a seed's labels; a line of its answer may name several if the set is given."""
    lines = [named(line, labels) or () for line in answer.split(BETWEEN)]
    found = {label for line in lines for label in line}
    return tuple(label for label in labels if label in found)
