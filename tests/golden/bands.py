"""How far a curve may lie from the stored one on another machine, and no farther.

Faults show in the first steps, of which the late means only say that training did not go astray. The numbers are from
`measure.py`; its table is in README.md of this folder.
"""

import math
from collections.abc import Mapping

from recipes import Curves

EARLY_STEPS = 6
"""Steps that are compared one by one in runs that sample. They are the warm-up."""
EARLY = 1e-2
"""Relative band of a step. Weights off by 1e-6 of themselves move a value by 1e-4 at most while no token changes."""
ABSOLUTE = 3e-6
"""Added to a step's band. GRPO's loss is a small difference of numbers near 1, which float32 knows to 1e-6."""
EXACT = 1e-5
"""Relative band of a learning rate."""
WINDOW = 8
"""Steps of a mean that is compared after `EARLY_STEPS`, where one other token may have changed all that follow."""
LATE: Mapping[str, float] = {"train/kl_to_reference": 1.5, "train/loss": 1.5}
"""Relative band of such a mean. One other token at step 8 moved the last mean of GRPO's KL by 80 %, and its loss is
that KL times the weight."""
LATE_OTHERS = 0.3
"""The same token moved the reward by 15 %."""


def farthest(new: Curves, old: Curves, *, samples: bool) -> dict[str, float]:
    """The largest deviation of each column, in bands: the curves agree where none is above 1.

    Args:
        new: Curves of this machine and code.
        old: The stored ones, with the same columns and steps.
        samples: Whether they turn on sampled tokens. Others are compared step by step to the end.
    """
    steps = EARLY_STEPS if samples else None
    return {column: max(_each(new[column], old[column], column, steps)) for column in old}


def _each(new: list[float], old: list[float], column: str, steps: int | None) -> list[float]:
    """The deviations of a column in bands."""
    if column == "lr-AdamW":  # arithmetic, stored to six digits
        return [abs(a - b) / (EXACT * b) for a, b in zip(new, old, strict=True)]
    found = [_deviation(a, b, EARLY) for a, b in zip(new[:steps], old[:steps], strict=True)]
    band = LATE.get(column, LATE_OTHERS)
    for begin in range(len(old) if steps is None else steps, len(old), WINDOW):
        window = slice(begin, begin + WINDOW)
        found.append(_deviation(_mean(new[window]), _mean(old[window]), band))
    return found


def _deviation(new: float, old: float, band: float) -> float:
    """Distance in bands; infinite where one of the two is not a number."""
    if math.isnan(old) or math.isnan(new):
        return 0.0 if math.isnan(old) and math.isnan(new) else math.inf
    return abs(new - old) / (band * abs(old) + ABSOLUTE)


def _mean(values: list[float]) -> float:
    """The mean of the values that are numbers: a margin is none where a step has no pair."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan
