"""GRPO on the policy's own reasoning, and GRPOz with the curated one in every group (paper A 3.3, eq. 6 and 7)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.errors import InputError
from lalm_ambig.methods.base import Generation, Method
from lalm_ambig.methods.collected import Collected, Memory
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.reference import Kind, Reference
from lalm_ambig.methods.rollout_log import by_ambiguity, js_of, rollout_rows, rollout_values
from lalm_ambig.objectives.advantages import Scale, advantages, without_spread
from lalm_ambig.objectives.grpo import GRPOExperience, GRPOObjective
from lalm_ambig.policies.base import Policy
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.total import earned, weighted
from lalm_ambig.rollouts.groups import Draw, sample_groups
from lalm_ambig.rollouts.passages import Settings, pass_over
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.types import Batch, Groups, Loss


@dataclass(frozen=True)
class Grouping:
    """How responses are grouped and compared."""

    size: int = 8
    """Responses sampled for each prompt, K."""
    advantage_scale: Scale = "group"
    """What a reward's difference from its group's mean is divided by: the deviation of the `group` (the papers' form)
    or of the `batch`, or by nothing (`none`)."""
    updates: int = 1
    """Optimiser steps on each batch of responses, μ."""
    mask_truncated: bool = False
    """Leave responses that were cut at their longest out of the loss; they still count in the group's mean."""

    def __post_init__(self) -> None:
        for name in ("size", "updates"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}", where="model.grouping"
                )


class GRPO(Method):
    """Groups of sampled responses, weighed against each other by their rewards."""

    def __init__(
        self,
        policy: Policy,
        *,
        rewards: list[Reward] | None = None,
        objective: GRPOObjective | None = None,
        grouping: Grouping | None = None,
        curated: CuratedTrajectory | None = None,
        sampling: Sampling | None = None,
        reference: Kind = "base",
        start: Path | None = None,
        reasoning: bool = True,
        optimiser: Optimiser | None = None,
        generation: Generation | None = None,
        share_prompt: bool = True,
    ) -> None:
        """
        Args:
            policy: What is trained.
            rewards: What responses earn; by default A(6): agreement, and 0.1 for the form.
            objective: Clip, penalty and average of the loss.
            grouping: Size of groups, scale of advantages, updates a batch.
            curated: Put the curated response into every group (GRPOz); every item needs a rationale then.
            sampling: How responses are sampled.
            reference: What the penalty is measured against: the `base` model or the policy at the `start`.
            start: Folder of a finished run to start from; by default the base model.
            reasoning: Reason before answering; false has nothing to learn from a logit readout and is refused.
            optimiser: AdamW's settings; paper A's rate is 2e-5.
            generation: How responses are written in validation and evaluation.
            share_prompt: Compute each prompt once for its whole group; false is the plain way.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            optimiser=optimiser or Optimiser(learning_rate=2e-5),
            generation=generation or Generation(),
            share_prompt=share_prompt,
            start=start,
        )
        self.rewards = [Agreement(), Format()] if rewards is None else list(rewards)
        self.objective, self.grouping = objective or GRPOObjective(), grouping or Grouping()
        self.curated, self.sampling = curated, sampling or Sampling()
        self.reference = Reference(reference) if self.objective.kl_weight else None
        self.memory = Memory(uses=self.grouping.updates)
        _check(self)

    @property
    def needs_rationale(self) -> bool:
        return self.curated is not None

    @property
    def updates(self) -> int:
        return self.grouping.updates

    @property
    def passes(self) -> Settings:
        return Settings(self.encoder.answer, self.sampling.temperature or 1.0, self.share_prompt)

    def gather(self, batch: Batch) -> GRPOExperience:
        collected = self.memory.of(batch, self.collect)
        log_probs = self._log_probs(batch, collected)
        collected = self.memory.keep(batch, collected.with_old(log_probs.detach()))
        return GRPOExperience(
            log_probs=log_probs,
            old_log_probs=collected.old_log_probs,
            ref_log_probs=collected.ref_log_probs,
            mask=collected.counted,
            advantages=collected.advantages,
        )

    def reduce(self, experience: GRPOExperience) -> Loss:
        return self.objective(experience)

    @torch.no_grad()
    def collect(self, batch: Batch) -> Collected:
        """New responses to the batch's prompts, and their advantages."""
        draw = Draw(self.sampling, self.grouping.size, self.global_step, self.share_prompt)
        groups = sample_groups(self.encoder, batch, draw)
        parts = earned(self.rewards, groups, label_dist=batch.label_dist, items=batch.items)
        rewards = weighted(self.rewards, parts)
        collected = Collected.of(groups, mask_truncated=self.grouping.mask_truncated)
        baseline = None
        if self.curated is not None:
            best = self.curated.reward(self.policy, batch, rewards=self.rewards, passes=self.passes)
            self.values["curated_not_best"] = (best < rewards.max(-1).values).float().mean()
            rewards = torch.cat([rewards, best[:, None]], dim=1)
            collected = self.curated.joined(collected, batch)
            baseline = self.curated.baseline(self.grouping.size, device=rewards.device)
        found = advantages(rewards, scale=self.grouping.advantage_scale, baseline=baseline)
        collected = collected.with_advantages(found)
        self._log(batch, groups, parts=parts, found=(rewards, found))
        if self.reference is None:
            return collected
        with self.reference.of(self.policy):
            return collected.with_reference(self._log_probs(batch, collected))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["memory"] = self.memory.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.memory.restore(checkpoint["memory"], self.policy.device)

    def _log_probs(self, batch: Batch, collected: Collected) -> Tensor:
        passed = pass_over(self.policy, batch, collected.passages(), self.passes)
        whole = torch.zeros(collected.counted.shape, device=passed.log_probs.device)
        width = passed.log_probs.shape[-1]
        whole[..., :width] = passed.log_probs.view(*whole.shape[:2], width)
        return whole

    def _log(
        self, batch: Batch, groups: Groups, *, parts: dict[str, Tensor], found: tuple[Tensor, Tensor]
    ) -> None:
        rewards, advantage = found
        sizes = advantage.abs().mean(-1)
        self.values |= {
            "reward": rewards[:, : self.grouping.size].mean(),
            **{f"reward/{name}": values.mean() for name, values in parts.items()},
            "groups_without_spread": without_spread(rewards).float().mean(),
            **by_ambiguity(sizes, batch.label_dist, name="advantage_abs"),
            **rollout_values(groups, batch.label_dist),
        }
        columns = {"js_div_bits": js_of(groups, batch.label_dist), **parts, "advantage": advantage}
        self.rollout_rows = rollout_rows(batch.items, groups, columns)


def _check(method: GRPO) -> None:
    """InputError for settings under which nothing could be learnt."""
    scale, size = method.grouping.advantage_scale, method.grouping.size
    compared = size + (method.curated is not None and method.curated.in_baseline)
    if compared < 2 and scale != "batch":
        raise InputError(
            f"a group of {size} has nothing to be compared with under advantage_scale: {scale},",
            where="model.grouping",
            remedy="set size to 2 or more.",
        )
    if not method.rewards or not any(reward.weight for reward in method.rewards):
        raise InputError("no reward has a weight, so nothing is learnt.", where="model.rewards")
    names = [reward.name for reward in method.rewards]
    if len(set(names)) < len(names):
        raise InputError(f"a reward stands twice in {names}.", where="model.rewards")
    if not method.reasoning:
        raise InputError(
            "without reasoning a response holds only the class name, which the reward does not depend on:",
            where="model.reasoning",
            remedy="set reasoning to true.",
        )
