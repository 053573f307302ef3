"""Distances and properties of distributions: the public door to `lalm_ambig.core.distributions`.

The path stays whatever moves inside the package, so scripts can import from here.
"""

from lalm_ambig.core.distributions import (
    AMBIGUITY_EDGES,
    AMBIGUITY_LEVELS,
    CONSTANT_BELOW,
    SMOOTHING,
    SUM_TOLERANCE,
    ambiguity_level,
    bhattacharyya,
    brier_mean,
    brier_sum,
    check_distribution,
    deviation_between_items,
    entropy,
    js_distance,
    js_divergence,
    kl,
    kl_from_logits,
    majority,
    normalised_entropy,
    smoothed,
    squared_pearson,
)

__all__ = [
    "AMBIGUITY_EDGES",
    "AMBIGUITY_LEVELS",
    "CONSTANT_BELOW",
    "SMOOTHING",
    "SUM_TOLERANCE",
    "ambiguity_level",
    "bhattacharyya",
    "brier_mean",
    "brier_sum",
    "check_distribution",
    "deviation_between_items",
    "entropy",
    "js_distance",
    "js_divergence",
    "kl",
    "kl_from_logits",
    "majority",
    "normalised_entropy",
    "smoothed",
    "squared_pearson",
]
