"""Where new prompts take the lead over more answers, by the number of seeds. The paper's numbers, and what we put between them.

Facts from arXiv 2409.19759: at a low ratio of budget to seeds more answers to the seeds' own questions serve best, at a high one
new prompts do, and the lead changes earlier where there are more seeds.

arXiv 2607.01727 (maths and physics, the seeds fixed) contests the crossing: at equal budgets neither new questions from the same seeds nor
another protocol did better than answers alone, and only questions from new sources did, at large budgets. `auto` goes by the former, which
measured our three strategies, and `plan` says that it is contested.
"""

from __future__ import annotations

import itertools
import math

# Measured at 100 seeds: the lead changes somewhere between these budget ratios.
MEASURED_BAND = (27.0, 51.0)

# |S| and the budget ratio at which the lead changes. At 100 seeds the geometric mean of the band stands for it; 17.6 is the paper's
# average at 1,000; 16.4 is for the full sets, of which GSM8K's 7,473 is the size.
CROSSOVERS = ((100, math.sqrt(MEASURED_BAND[0] * MEASURED_BAND[1])), (1_000, 17.6), (7_473, 16.4))
SMALLEST, LARGEST = CROSSOVERS[0][0], CROSSOVERS[-1][0]

# The band's factor either way of its middle, 1.37. Measured at 100 seeds; that it is the same elsewhere is our own choice. It makes
# the band narrower where the crossing is lower, and 16.4 / 1.37 is the "about 12" that the paper saw with another student.
SPREAD = math.sqrt(MEASURED_BAND[1] / MEASURED_BAND[0])


def crossover(seeds: int) -> float:
    """The budget ratio at which new prompts take the lead, interpolated over log |S|, constant outside the measured sizes.

    Args:
        seeds: |S|, at least 1.
    """
    points = [(math.log(size), ratio) for size, ratio in CROSSOVERS]
    here = math.log(max(1, seeds))
    if here <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in itertools.pairwise(points):
        if here <= right:
            return low + (high - low) * (here - left) / (right - left)
    return points[-1][1]


def band(seeds: int) -> tuple[float, float]:
    """The budget ratios between which the lead changes: 27 and 51 at 100 seeds."""
    middle = crossover(seeds)
    return middle / SPREAD, middle * SPREAD


def share_of_new_prompts(seeds: int, ratio: float) -> float:
    """How much of the samples should be new prompts: none below the band, all above it, half in its middle.

    Within the band it grows with the logarithm of the ratio. The paper compared the strategies one by one, so mixing is our own
    choice: near the crossing either is about as good, and a plan should not turn over because of one sample more.

    Returns:
        0 to 1, in whole hundredths. It never falls when the ratio rises.
    """
    low, high = band(seeds)
    if ratio <= low:
        return 0.0
    if ratio >= high:
        return 1.0
    return round(math.log(ratio / low) / math.log(high / low), 2)


def seeds_for_answers(samples: float, seeds: int) -> int | None:
    """Return the smallest number of seeds, from this one on, with which so many samples would all be answers to the seeds' own questions;
    None where no number is large enough."""
    if math.isinf(samples):
        return None
    low, high = seeds, max(seeds, math.ceil(samples))
    while low < high:
        middle = (low + high) // 2
        if samples / middle <= band(middle)[0]:
            high = middle
        else:
            low = middle + 1
    return low
