"""Seconds that the intervals of all metrics take on random predictions; the last line is JSON.

python tests/benchmarks/intervals.py [--items N]
"""

import argparse
import json
import time

import torch

from lalm_ambig.evaluation.intervals import Clusters, intervals
from lalm_ambig.metrics.base import all_metrics

N_CATEGORIES = 6
N_SPEAKERS = 91


def seconds(n_items: int, clusters: Clusters) -> float:
    """Wall time of one call on `n_items` random distributions."""
    generator = torch.Generator().manual_seed(0)
    label_dist = torch.rand(n_items, N_CATEGORIES, generator=generator).square().softmax(-1)
    predicted_dist = torch.randn(n_items, N_CATEGORIES, generator=generator).softmax(-1)
    metrics = all_metrics(N_CATEGORIES)
    start = time.perf_counter()
    intervals(metrics, label_dist, predicted_dist=predicted_dist, clusters=clusters)
    return round(time.perf_counter() - start, 3)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=7442)
    given = parser.parse_args()
    torch.set_num_threads(1)
    speakers = tuple(str(item % N_SPEAKERS) for item in range(given.items))
    row = {
        **vars(given),
        "metrics": len(all_metrics(N_CATEGORIES)),
        "seconds_by_items": seconds(given.items, Clusters()),
        "seconds_by_speakers": seconds(given.items, Clusters(speakers)),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
