r"""How often 95 % intervals hold the true value, by clusters (speakers), and how often p < 0.05 where nothing differs.

    python tests/simulations/coverage.py [--worlds 4000] [--out FILE]

A world has G clusters of 10 to 60 items. The share of variance between clusters is 0, 0.1 or 0.3; effects of clusters
are exponential (skewness 2), the rest is normal. `mean`: a metric that is a mean over items. `R²`, `F1`: the real
metrics of predictions that are people's distributions with noise in their logits, some of it the cluster's. Their true
value is that of 20,000 clusters. `p`: the share of worlds with p < 0.05 for two runs that are equally good.
`3 seeds`: the mean over three seeds, in worlds where a tenth of the variance is between clusters; the numbers are then
the standard deviation between seeds, in standard deviations of items. Seeds also answer each item with noise of their
own, half as large as items differ. `p, 3 seeds`: the share with p < 0.05 for two methods that are equally good.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lalm_ambig.evaluation.intervals import FEWEST_FOR_RATIOS, Clusters, intervals, paired
from lalm_ambig.metrics.base import DistributionMetric, ItemMean
from lalm_ambig.metrics.correlations import R2Pearson
from lalm_ambig.metrics.labels import F1Macro

CLUSTERS = (2, 3, 5, 8, 10, 20, 50)
SHARES = (0.0, 0.1, 0.3)
CENTRE, SCALE = 0.4, 0.05
NOISE = 0.8
"""Standard deviation of the noise in the logits of a prediction."""


class FirstShare(ItemMean):
    """A mean over items: the probability of the first class."""

    name, label, higher_is_better, bounds = "first_share", "first share", None, (-1.0, 2.0)

    def per_item(self, label_dist: Tensor, predicted_dist: Tensor) -> Tensor:
        return predicted_dist[:, 0]


def effects(rng: np.random.Generator, share: float, sizes: np.ndarray) -> np.ndarray:
    """A number per item of mean 0 and variance 1, of which clusters share some; theirs is exponential."""
    between = (rng.exponential(size=len(sizes)) - 1) * np.sqrt(share)
    return np.repeat(between, sizes) + rng.normal(size=sizes.sum()) * np.sqrt(1 - share)


def some_sizes(rng: np.random.Generator, clusters: int) -> tuple[np.ndarray, Clusters]:
    """Items of each cluster, and the cluster of each item."""
    sizes = rng.integers(10, 61, clusters)
    return sizes, Clusters(tuple(np.repeat(np.arange(clusters), sizes).astype(str).tolist()))


def binary(values: np.ndarray) -> Tensor:
    """Distributions over two classes with those shares of the first."""
    first = torch.from_numpy(np.clip(values, 0, 1))
    return torch.stack([first, 1 - first], -1)


def of_mean(rng: np.random.Generator, clusters: int, share: float) -> bool | None:
    """Whether the interval of a mean holds the true one."""
    sizes, who = some_sizes(rng, clusters)
    predicted = binary(CENTRE + SCALE * effects(rng, share, sizes))
    found = intervals([FirstShare(2)], predicted, predicted_dist=predicted, clusters=who)["first_share"]
    return found.low is not None and found.high is not None and found.low <= CENTRE <= found.high


def of_null(rng: np.random.Generator, clusters: int, share: float) -> bool | None:
    """Whether p < 0.05 for two runs that are equally good."""
    sizes, who = some_sizes(rng, clusters)
    one, other = (binary(CENTRE + SCALE * effects(rng, share, sizes)) for _ in range(2))
    p = paired([FirstShare(2)], one, first=one, second=other, clusters=who)["first_share"].p
    return p is not None and p < 0.05


def some_seeds(rng: np.random.Generator, of_items: np.ndarray, deviation: float) -> list[Tensor]:
    """Answers of three seeds to items: each seed is better or worse as a whole, and has noise of its own."""
    return [
        binary(CENTRE + SCALE * (of_items + 0.5 * rng.normal(size=len(of_items)) + deviation * rng.normal()))
        for _ in range(3)
    ]


def of_seeds(rng: np.random.Generator, clusters: int, deviation: float) -> bool | None:
    """Whether the interval of a mean over three seeds holds the mean over all seeds and clusters."""
    sizes, who = some_sizes(rng, clusters)
    seeds = some_seeds(rng, effects(rng, 0.1, sizes), deviation)
    found = intervals([FirstShare(2)], seeds[0], predicted_dist=seeds, clusters=who)["first_share"]
    return found.low is not None and found.high is not None and found.low <= CENTRE <= found.high


def of_null_seeds(rng: np.random.Generator, clusters: int, deviation: float) -> bool | None:
    """Whether p < 0.05 for two methods of three seeds that are equally good."""
    sizes, who = some_sizes(rng, clusters)
    common = effects(rng, 0.1, sizes)
    one, other = (some_seeds(rng, common + effects(rng, 0.1, sizes), deviation) for _ in range(2))
    p = paired([FirstShare(2)], one[0], first=one, second=other, clusters=who)["first_share"].p
    return p is not None and p < 0.05


def answers(rng: np.random.Generator, share: float, sizes: np.ndarray) -> tuple[Tensor, Tensor]:
    """People's distributions over three classes, and predictions with noise in their logits."""
    label = rng.dirichlet((0.7, 0.5, 0.4), sizes.sum())
    noise = np.stack([effects(rng, share, sizes) for _ in range(3)], -1)
    predicted = torch.from_numpy(np.log(label + 0.05) + NOISE * noise).softmax(-1)
    return torch.from_numpy(label), predicted


def of_ratio(
    metric: Callable[[int], DistributionMetric],
) -> Callable[[np.random.Generator, int, float], bool | None]:
    """Whether the interval of a metric of answers holds the true value; None below the fewest clusters."""
    truths: dict[float, float] = {}

    def covered(rng: np.random.Generator, clusters: int, share: float) -> bool | None:
        if clusters < FEWEST_FOR_RATIOS:
            return None
        if share not in truths:
            own = np.random.default_rng(7)
            one = metric(3)
            one.update(*answers(own, share, some_sizes(own, 20_000)[0]))
            truths[share] = float(one.compute())
        sizes, who = some_sizes(rng, clusters)
        label, predicted = answers(rng, share, sizes)
        (found,) = intervals([metric(3)], label, predicted_dist=predicted, clusters=who).values()
        return found.low is not None and found.high is not None and found.low <= truths[share] <= found.high

    return covered


KINDS: dict[str, Callable[[np.random.Generator, int, float], bool | None]] = {
    "mean": of_mean,
    "R²": of_ratio(R2Pearson),
    "F1": of_ratio(F1Macro),
    "p": of_null,
    "3 seeds": of_seeds,
    "p, 3 seeds": of_null_seeds,
}


def share_of(kind: str, clusters: int, share: float, *, worlds: int, seed: int = 0) -> float | None:
    """Share of worlds in which it is true; None where there is no interval."""
    rng = np.random.default_rng([seed, clusters, int(share * 100), list(KINDS).index(kind)])
    found = [KINDS[kind](rng, clusters, share) for _ in range(worlds)]
    return None if None in found else float(np.mean([bool(one) for one in found]))


def table(worlds: int, clusters: Sequence[int] = CLUSTERS) -> str:
    """The shares in per cent, as Markdown: a row per kind and share of variance."""
    lines = ["| | between clusters, or seeds | " + " | ".join(f"G = {count}" for count in clusters) + " |"]
    lines.append("|---|---|" + "---|" * len(clusters))
    for kind in KINDS:
        for share in SHARES:
            values = [share_of(kind, count, share, worlds=worlds) for count in clusters]
            cells = ["–" if value is None else f"{100 * value:.1f}" for value in values]
            lines.append(f"| {kind} | {share:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=4000, help="per cell (default 4000)")
    parser.add_argument("--out", type=Path, help="also write the table there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    text = table(given.worlds)
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
