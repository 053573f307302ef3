"""The floor of the readout `sampled`: what a policy scores that agrees with people exactly, by as many sampled labels.

A share of N labels is never exactly the distribution that they are drawn from. So its JS divergence from the target is
above 0 even if that distribution is the target. That the floor is drawn once per item is our decision, as for `panel`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lalm_ambig.evaluation.predictions import Prediction


def drawn_labels(shares: Sequence[Prediction], *, seed: int = 0) -> list[Prediction]:
    """Predict each item by labels drawn from its own target, as many as were the policy's.

    An item for which the policy named no class stays as it is.

    Args:
        shares: A policy's answers by the readout `sampled`.
        seed: Seed of the labels.
    """
    targets = np.array([p.label_dist for p in shares])
    targets /= targets.sum(-1, keepdims=True)  # to the last bit, as numpy asks
    counts = np.array([p.labels or 0 for p in shares])
    drawn = np.random.default_rng(seed).multinomial(counts, targets) / np.maximum(counts, 1)[:, None]
    return [
        Prediction(
            p.id,
            p.split,
            p.speaker,
            p.votes,
            p.label_dist,
            tuple(share),
            labels=p.labels,
            annotator=p.annotator,
        )
        if p.labels
        else replace(p, response=None, closed=None, well_formed=None, tokens=None)
        for p, share in zip(shares, drawn.tolist(), strict=True)
    ]
