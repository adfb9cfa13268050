"""Measure how different a strategy's questions are from one another and from the seeds. Pure; callers choose the questions.

Three measures, each with its source:

- distinct-2: distinct pairs of neighbouring words as a share of all such pairs (Li et al. 2016, A Diversity-Promoting Objective Function
  for Neural Conversation Models, arXiv 1510.03055). It falls with the amount of text, so all groups use equally many questions.
- mean pairwise similarity: the cosine of TF-IDF vectors (Salton and Buckley 1988, Term-weighting approaches in automatic text retrieval),
  over all pairs of questions. Lower is more diverse.
- similarity to the nearest seed, as in Self-Instruct (Wang et al. 2023, arXiv 2212.10560, figure 4), but with the same cosine instead of
  ROUGE-L, whose time is quadratic in the length. 1 is the seed's own question.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from axolotl_synthetic.checks.words import words

# Most seeds that questions are compared with; callers draw from more.
MOST_SEEDS = 10_000
# Questions compared with all seeds at once: 8 MB at most.
AT_ONCE = 100


@dataclass(frozen=True)
class Diversity:
    """Measures of one strategy's questions, or of the seeds among themselves.

    Attributes:
        questions: number of questions compared.
        distinct: distinct-2, over as many questions as the smallest group has; None if there is no pair of words.
        similarity: mean cosine over all pairs, 0 to 1; None with fewer than two questions.
        nearest: each question's cosine with the most similar seed (a seed's with the most similar other one); empty without seeds.
    """

    questions: int
    distinct: float | None
    similarity: float | None
    nearest: np.ndarray[Any, np.dtype[np.float64]]


SEEDS = "seeds"


def measure(questions: Mapping[str, Sequence[str]], seeds: Sequence[str]) -> dict[str, Diversity]:
    """Measure each strategy's questions, and the seeds as `seeds` if there are any.

    Args:
        questions: by strategy.
        seeds: the seeds' questions, at most `MOST_SEEDS`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    groups = {**({SEEDS: seeds} if seeds else {}), **{name: texts for name, texts in questions.items() if texts}}
    vectorizer = TfidfVectorizer(analyzer=words)
    try:
        vectorizer.fit(text for texts in groups.values() for text in texts)
    except ValueError:  # no text has a word
        return {}
    vectors = {name: vectorizer.transform(texts) for name, texts in groups.items()}
    equal = min(len(texts) for texts in groups.values())
    return {
        name: Diversity(
            len(texts),
            distinct(random.Random(0).sample(texts, equal)),
            _mean_pairwise(vectors[name]),
            _nearest(vectors[name], vectors.get(SEEDS), itself=name == SEEDS),
        )
        for name, texts in groups.items()
    }


def distinct(texts: Sequence[str], n: int = 2) -> float | None:
    """Return distinct-n: distinct runs of n words as a share of all runs of n words; None if there are none."""
    runs = [tuple(found[at : at + n]) for found in map(words, texts) for at in range(len(found) - n + 1)]
    return len(set(runs)) / len(runs) if runs else None


def _mean_pairwise(vectors: Any) -> float | None:
    """Return the mean cosine over pairs of unit vectors, shape (questions, terms).

    |Σv|² counts every ordered pair, and each vector with itself.
    """
    count = vectors.shape[0]
    if count < 2:
        return None
    total = np.asarray(vectors.sum(axis=0)).ravel()
    # A question without a word is a zero vector, so its pair with itself counts 0.
    own = float(vectors.multiply(vectors).sum())
    return float((total @ total - own) / (count * (count - 1)))


def _nearest(vectors: Any, seeds: Any, *, itself: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    if seeds is None or (itself and seeds.shape[0] < 2):
        return np.empty(0)
    found = []
    for first in range(0, vectors.shape[0], AT_ONCE):
        cosines = (vectors[first : first + AT_ONCE] @ seeds.T).toarray()
        if itself:
            rows = np.arange(cosines.shape[0])
            cosines[rows, first + rows] = -1.0
        found.append(cosines.max(axis=1))
    return np.asarray(np.clip(np.concatenate(found), 0.0, 1.0))
