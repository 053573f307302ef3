"""The floor of the readout `sampled`: what a policy scores that agrees with people exactly, by as many sampled labels.

A share of N labels is never exactly the distribution that they are drawn from. So its JS divergence from the target is
above 0 even if that distribution is the target. That the floor is drawn once per item is our decision, as for `panel`.
"""

from collections.abc import Sequence

import numpy as np

from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def drawn_labels(items: Sequence[Item], count: int, *, seed: int = 0) -> list[Prediction]:
    """Predict each item by the share of labels that are drawn from its own target.

    Args:
        items: The items.
        count: Labels per item, N.
        seed: Seed of the labels.
    """
    targets = np.array([item.label_dist for item in items])
    targets /= targets.sum(-1, keepdims=True)  # to the last bit, as numpy asks
    drawn = np.random.default_rng(seed).multinomial(count, targets) / count
    return [
        Prediction(i.id, i.split, i.speaker, i.votes, i.label_dist, tuple(shares), labels=count)
        for i, shares in zip(items, drawn.tolist(), strict=True)
    ]
