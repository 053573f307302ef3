r"""The noise floor: how well people agree among themselves, in scores of the same metrics.

The papers have no such bound; it is our decision. Annotators are few, so no prediction scores JS = 0 against them.
Where a vote is no whole number (raters share votes between classes), there is no floor: shares are no draws from q.

Let $m_c$ of an item's $N$ raters choose class $c$ of $C$. We take as its true distribution

$$q_c = \frac{m_c + \alpha}{N + C \alpha},$$

with α such that two raters drawn from q disagree as often as two real raters do. Then

- `panel` is one panel of N raters drawn from q, scored against another: the score of a second group of people;
- `oracle` is q, scored against a panel drawn from it. No prediction is better in expectation on Brier and KL. JS and BC
  are not proper scores, so a sharpened q can pass it there slightly.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics.base import DistributionMetric, all_metrics

DRAWS = 20
"""Panels drawn per item. For 1,000 items the JS of the floor is then within ±0.001."""
LARGEST_ALPHA = 1000.0
"""α where raters disagree even more than under a uniform distribution."""
Bound = Literal["lower", "upper"]
"""The end of its range that α ran into. What comes from q then says nothing of the items."""


def noise_floor(
    votes: Float[Tensor, "item category"], *, seed: int = 0, draws: int = DRAWS, ordered: bool = False
) -> dict[str, Any]:
    """The scores of `panel` and `oracle`, from the votes alone.

    Args:
        votes: One row per item. Items with one vote have panels of one rater, and say nothing about α.
        seed: Seed of the panels.
        draws: Panels per item that scores are averaged over.
        ordered: Whether the classes have an order, so that metrics of ordered classes are among the scores.

    Returns:
        `disagreement`: the share of pairs of raters of one item who differ, in [0, 1]; `alpha`; `panel` and `oracle`:
        metric name → mean score, None where it is infinite or undefined.

    Raises:
        InputError: No item has two votes, or a vote is negative, not finite or no whole number.
    """
    votes = checked_votes(votes)
    alpha = fit_alpha(votes)
    true_dist = smoothed_votes(votes, alpha)
    panel, sizes = panel_sampler(votes, alpha, seed=seed), panel_sizes(votes)
    metrics = all_metrics(votes.shape[-1], ordered=ordered)
    panel_rounds, oracle_rounds = [], []
    for _ in range(draws):  # two panels in memory at a time, however many are drawn
        target, predicted = panel(), panel()
        panel_rounds.append(_scores(metrics, target, predicted, sizes))
        oracle_rounds.append(_scores(metrics, target, true_dist, sizes))
    return {
        "disagreement": disagreement(votes),
        "alpha": alpha,
        "panel": _mean_scores(panel_rounds),
        "oracle": _mean_scores(oracle_rounds),
    }


def checked_votes(votes: Float[Tensor, "item category"]) -> Float[Tensor, "item category"]:
    """The votes in float64.

    Raises:
        InputError: A vote is negative or not finite, or an item has none.
    """
    votes = votes.double()
    wrong = ~((votes >= 0) & votes.isfinite()).all(-1) | (votes.sum(-1) <= 0)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise InputError(
            f"noise floor: item {row} has votes {votes[row].tolist()}; expected some, none negative"
        )
    return votes


def vote_counts(items: Sequence[Item]) -> Float[Tensor, "item category"]:
    """The votes of items as one tensor.

    Raises:
        InputError: There is no item, or as for `checked_votes`.
    """
    if not items:
        raise InputError("noise floor: there is no item")
    return checked_votes(torch.tensor([item.votes for item in items], dtype=torch.float64))


def drawn_predictions(
    items: Sequence[Item],
    label_dist: Float[Tensor, "item category"],
    *,
    predicted_dist: Float[Tensor, "item category"],
) -> list[Prediction]:
    """Predictions whose target is a drawn panel; their `votes` are the item's."""
    rows = zip(items, label_dist.tolist(), predicted_dist.tolist(), strict=True)
    return [
        Prediction(i.id, i.split, i.speaker, i.votes, tuple(p), tuple(q), annotator=i.annotator)
        for i, p, q in rows
    ]


def disagreement(votes: Float[Tensor, "item category"]) -> float:
    r"""Probability that two raters of an item differ, in [0, 1]; unbiased, over items with at least two votes.

    $$1 - \sum_c \frac{m_c (m_c - 1)}{N (N - 1)}$$

    Raises:
        InputError: No item has two votes, or a vote is no whole number.

    >>> disagreement(torch.tensor([[3.0, 1.0]]))
    0.5
    """
    votes = _with_pairs(votes)
    size = votes.sum(-1)
    same = (votes * (votes - 1)).sum(-1) / (size * (size - 1))
    return float((1 - same).mean())


def smoothed_votes(votes: Float[Tensor, "item category"], alpha: float) -> Float[Tensor, "item category"]:
    """The true distribution q of each item, by the formula of this module.

    >>> smoothed_votes(torch.tensor([[3.0, 0.0]]), 0.5).tolist()
    [[0.875, 0.125]]
    """
    return (votes + alpha) / (votes.sum(-1, keepdim=True) + votes.shape[-1] * alpha)


def fit_alpha(votes: Float[Tensor, "item category"]) -> float:
    """The α ≥ 0 at which the mean of 1 − Σq² equals `disagreement`, by bisection to 1e-9.

    Returns:
        0 where raters never differ; `LARGEST_ALPHA` where they differ more than under a uniform distribution.

    Raises:
        InputError: No item has two votes, or a vote is no whole number.
    """
    votes = _with_pairs(votes)
    target = disagreement(votes)
    low, high = 0.0, LARGEST_ALPHA
    while high - low > 1e-9:
        middle = (low + high) / 2
        reached = float((1 - smoothed_votes(votes, middle).square().sum(-1)).mean())
        low, high = (middle, high) if reached < target else (low, middle)
    return high if high > 1e-8 else 0.0


def alpha_bound(alpha: float) -> Bound | None:
    """The bound that a fitted α ran into, or None.

    At the upper one, raters of an item differ at least as often as any q allows, and q is uniform for every item. At
    the lower one they never differ, and q is the votes themselves.
    """
    if alpha >= LARGEST_ALPHA:
        return "upper"
    return "lower" if alpha <= 0 else None


def alpha_text(alpha: float) -> str:
    """α as it is printed, at a bound as such.

    >>> alpha_text(0.25), alpha_text(0.0), alpha_text(LARGEST_ALPHA)
    ('0.250', '0, its lower bound', 'over 1000, its upper bound')
    """
    shown = {"lower": "0, its lower bound", "upper": f"over {LARGEST_ALPHA:g}, its upper bound"}
    bound = alpha_bound(alpha)
    return f"{alpha:.3f}" if bound is None else shown[bound]


def panel_sampler(
    votes: Float[Tensor, "item category"], alpha: float, *, seed: int
) -> Callable[[], Float[Tensor, "item category"]]:
    """A function whose calls draw a panel per item from q, and return the panels' distributions.

    A panel has as many raters as the item. A fractional number is rounded, to at least one.
    """
    votes = votes.double()
    generator = np.random.default_rng(seed)
    sizes = panel_sizes(votes).long().numpy()
    true_dist = smoothed_votes(votes, alpha).numpy()

    def draw() -> Float[Tensor, "item category"]:
        counts = torch.from_numpy(generator.multinomial(sizes, true_dist)).double()
        return counts / counts.sum(-1, keepdim=True)

    return draw


def panel_sizes(votes: Float[Tensor, "item category"]) -> Float[Tensor, " item"]:
    """Raters of each item's panel: its votes, rounded, and at least one."""
    return votes.double().sum(-1).round().clamp_min(1)


def _with_pairs(votes: Float[Tensor, "item category"]) -> Float[Tensor, "pair_item category"]:
    shared = (votes != votes.round()).any(-1).nonzero()
    if len(shared):
        shown = ", ".join(f"{vote:g}" for vote in votes[int(shared[0])].tolist())
        raise InputError(
            f"noise floor: an item has votes {shown}: shares of votes are no draws, so they do not say how far people "
            "disagree"
        )
    with_pairs = votes[votes.sum(-1) >= 2]
    if not len(with_pairs):
        raise InputError(
            "noise floor: no item has two votes, so the votes do not say how far people disagree"
        )
    return with_pairs


def _scores(
    metrics: Sequence[DistributionMetric],
    target: Float[Tensor, "item category"],
    predicted: Float[Tensor, "item category"],
    sizes: Float[Tensor, " item"],
) -> dict[str, float]:
    return {m.name: float(m.reduce(m.rows(target, predicted, votes=sizes).sum(0))) for m in metrics}


def _mean_scores(rounds: Sequence[dict[str, float]]) -> dict[str, float | None]:
    means = {name: sum(scores[name] for scores in rounds) / len(rounds) for name in rounds[0]}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}
