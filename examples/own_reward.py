"""A reward of your own in one file, without changing the package.

    python examples/own_reward.py

GRPO on the demo corpus, rewarded for agreement, for the form, and by this file's reward. A configuration names it by
its path, `own_reward.NotTooSure`, and `--allow-any-class` lets it be imported. In the package itself it would be
`lalm_ambig/rewards/not_too_sure.py`, found by its name (docs/extend/reward.md).
"""

import csv

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig import train
from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class NotTooSure(Reward):
    """1 less what the largest stated share exceeds the largest share of people by; in [0, 1]."""

    minimum = 0.0

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        """Score each response."""
        surer = groups.predicted_dist.amax(-1) - label_dist.amax(-1, keepdim=True)
        return (1 - surer.clamp(min=0)).to(label_dist.dtype)

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """Say what the best response earns."""
        return torch.ones_like(label_dist[:, 0])


def main() -> None:
    """Train for three updates; the reward is a column of metrics.csv and of the table of responses."""
    rewards = ["Agreement", {"class_path": "own_reward.NotTooSure"}, "Format"]
    settings = {
        "data.items_per_update": 8,
        "data.batch_size": 8,
        "model.grouping.group_size": 4,
        "model.sampling.max_new_tokens": 64,
        "model.generation.max_new_tokens": 64,
        "trainer.max_steps": 3,
        "trainer.log_every_n_steps": 1,
        "run.probe": False,
    }
    method = {"class_path": "GRPO", "init_args": {"rewards": rewards}}
    run = train("tiny", "demo", method, name="own_reward", quiet=True, allow_any_class=True, **settings)
    with (run.folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row.get("train/reward"):
                print(row["step"], {name: row[name] for name in row if name.startswith("train/reward")})


if __name__ == "__main__":
    main()
