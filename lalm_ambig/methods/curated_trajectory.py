"""GRPOz: the curated response as one more trajectory of each group (ambiguity-aware LALM, end of Section 3.3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn.functional import pad

from lalm_ambig.core.types import Batch, Demonstrations, Groups
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.methods.trajectories import Trajectories
from lalm_ambig.readouts.logits import predicted_dist
from lalm_ambig.readouts.verbalised import format_distribution
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.total import compute_rewards, form_rewards, total_reward, upper_bound
from lalm_ambig.rollouts.parsing import parse_responses
from lalm_ambig.rollouts.passages import PassSettings, curated_spans, score_spans


@dataclass(frozen=True)
class CuratedReward:
    """The reward of the curated responses."""

    total: Float[Tensor, " group"]
    form: Float[Tensor, " group"]
    """The part of it that depends on the class name."""


@dataclass(frozen=True)
class CuratedTrajectory:
    """Settings of the curated response: its reward, and whether it is in the baseline and in the loss."""

    earns: Literal["perfect", "policy"] = "perfect"
    """`perfect`: the rewards' upper bound, so that no other response earns more. The paper asks for that guarantee.
    `policy`: what the policy's own readout after it earns, without that guarantee."""
    in_baseline: bool = True
    """Whether it counts in the group's mean and deviation."""
    in_loss: bool = True
    """Whether its own tokens are trained on."""

    def reward(
        self, encoder: Encoder, batch: Batch, *, rewards: Sequence[Reward], pass_settings: PassSettings
    ) -> CuratedReward:
        """The reward of each item's curated response.

        Args:
            encoder: The method's encoder, with its policy.
            batch: Items with curated responses.
            rewards: The run's rewards.
            pass_settings: How the policy's readout is computed, for `earns: policy`.
        """
        if self.earns == "perfect":
            bound = partial(upper_bound, label_dist=batch.label_dist)
            return CuratedReward(bound(rewards), bound(form_rewards(rewards)))
        curated = _demonstrations(batch)
        if encoder.answer is None:
            groups = _as_groups(curated, _stated_dist(encoder, batch), logits=None)
        else:
            spans = curated_spans(curated, ce=False, name=False, scores=True)
            with encoder.policy.eval_mode():
                scores = score_spans(encoder.policy, batch, spans, pass_settings).scores
            groups = _as_groups(curated, predicted_dist(scores), logits=scores)
        parts = compute_rewards(rewards, groups, label_dist=batch.label_dist, items=batch.items)
        total = partial(total_reward, parts=parts)
        return CuratedReward(total(rewards)[:, 0], total(form_rewards(rewards))[:, 0])

    def joined(self, sampled: Trajectories, batch: Batch, *, reward: CuratedReward) -> Trajectories:
        """Each group with the curated response as its last trajectory; its old log-probabilities are NaN.

        Args:
            sampled: The policy's own responses.
            batch: Their items, with curated responses.
            reward: Of each curated response.
        """
        assert sampled.rewards is not None, "new trajectories have rewards"
        curated = _demonstrations(batch)
        width = max(sampled.ids.shape[-1], curated.response.ids.shape[-1])

        def widened(values: Shaped[Tensor, "*group token"], fill: float) -> Tensor:
            return pad(values, (0, width - values.shape[-1]), value=fill)

        def join(
            values: Shaped[Tensor, "group trajectory token"],
            last: Shaped[Tensor, "group response_token"],
            fill: float = 0.0,
        ) -> Tensor:
            return torch.cat([widened(values, fill), widened(last, fill)[:, None].to(values.dtype)], dim=1)

        mask = curated.response.mask
        loss_mask = mask & ~curated.is_answer_token & self.in_loss
        not_scored = torch.full(mask.shape, torch.nan, device=mask.device)
        return replace(
            sampled,
            ids=join(sampled.ids, curated.response.ids),
            mask=join(sampled.mask, mask),
            loss_mask=join(sampled.loss_mask, loss_mask),
            old_log_probs=join(sampled.old_log_probs, not_scored),
            sampled_log_probs=join(sampled.sampled_log_probs, not_scored),
            advantages=pad(sampled.advantages, (0, 1)),
            rewards=torch.cat([sampled.rewards, reward.total[:, None]], dim=1),
            form_rewards=None
            if sampled.form_rewards is None
            else torch.cat([sampled.form_rewards, reward.form[:, None]], dim=1),
            **_joined_answers(sampled, curated),
        )

    def baseline(self, group_size: int) -> Bool[Tensor, " trajectory"]:
        """True on the trajectories that count in the group's mean and deviation."""
        return torch.tensor([True] * group_size + [self.in_baseline])


def _joined_answers(sampled: Trajectories, curated: Demonstrations) -> dict[str, Tensor]:
    """The answer positions of each group with that of the curated response as the last, which needs no closing."""
    if sampled.answer_position is None or sampled.closing is None or sampled.closing_mask is None:
        return {}
    return {
        "answer_position": torch.cat([sampled.answer_position, curated.answer_position[:, None]], dim=1),
        "closing": pad(sampled.closing, (0, 0, 0, 1)),
        "closing_mask": pad(sampled.closing_mask, (0, 0, 0, 1)),
    }


def _demonstrations(batch: Batch) -> Demonstrations:
    assert batch.curated is not None, "the data module passes on only items with a rationale"
    return batch.curated


def _stated_dist(encoder: Encoder, batch: Batch) -> Float[Tensor, "item category"]:
    """The distributions that the curated responses state: p in hundredths."""
    texts = [format_distribution(item.label_dist, encoder.categories) for item in batch.items]
    return parse_responses(texts, encoder.categories)[0].to(batch.label_dist.device)


def _as_groups(curated: Demonstrations, dist: Tensor, *, logits: Tensor | None) -> Groups:
    """The curated responses as groups of one, for the rewards to look at."""
    yes = torch.ones(len(dist), 1, dtype=torch.bool, device=dist.device)
    return Groups(
        ids=curated.response.ids[:, None],
        mask=curated.response.mask[:, None],
        is_answer_token=curated.is_answer_token[:, None],
        log_probs=torch.zeros(curated.response.ids[:, None].shape, device=dist.device),
        predicted_dist=dist[:, None],
        category_logits=None if logits is None else logits[:, None],
        well_formed=yes,
        was_completed=~yes,
        truncated=~yes,
        texts=(("",),) * len(dist),
    )
