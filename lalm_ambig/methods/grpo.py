"""GRPO on the policy's own responses (paper A 3.3, eq. 6 and 7; paper B 3.3), and GRPOz with the curated one in every
group."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Loss
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.grouping import (
    Grouping,
    cancelled_weight,
    check_comparison,
    check_rewards,
    check_skipping,
)
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.reference import Kind, Reference
from lalm_ambig.methods.rollout_log import by_ambiguity, js_of, rollout_rows, rollout_values
from lalm_ambig.methods.trajectories import RolloutBuffer, Trajectories
from lalm_ambig.objectives.advantages import advantages, without_spread
from lalm_ambig.objectives.grpo import GRPOExperience, GRPOObjective
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.total import compute_rewards, total_reward
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.passages import PassSettings, score_spans
from lalm_ambig.rollouts.sampling import Sampling


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
        readout: Readout = "logits",
        optimiser: Optimiser | None = None,
        generation: Generation | None = None,
        share_prompt: Sharing = "auto",
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
            reasoning: Reason before answering; without, a logit readout has nothing to learn, and it is refused.
            readout: Whether a response's distribution is read from the class names' `logits` or `verbalised` as JSON.
            optimiser: AdamW's settings; paper A's rate is 2e-5.
            generation: How responses are written in validation and evaluation.
            share_prompt: Compute each prompt once for its whole group: `auto` where the checkpoint's self-check has
                found that it can, true or an error, or false for the plain way.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            readout=readout,
            optimiser=optimiser or Optimiser(learning_rate=2e-5),
            generation=generation or Generation(),
            share_prompt=share_prompt,
            start=start,
        )
        self.rewards = [Agreement(), Format()] if rewards is None else list(rewards)
        self.objective, self.grouping = objective or GRPOObjective(), grouping or Grouping()
        self.curated, self.sampling = curated, sampling or Sampling()
        self.reference = Reference(reference) if self.objective.kl_weight else None
        self.memory = RolloutBuffer(uses=self.grouping.updates)
        self._check()

    def _check(self) -> None:
        check_rewards(self.rewards)
        check_comparison(self.grouping, curated=self.curated is not None and self.curated.in_baseline)
        if self.grouping.skip_unanimous:
            check_skipping(self.rewards, kl_weight=self.objective.kl_weight)
        if not self.writes:
            raise InputError(
                "without reasoning a response holds only the class name, which the reward does not depend on:",
                where="model.reasoning",
                remedy="set reasoning to true, or readout to verbalised.",
            )

    def notes(self) -> list[str]:
        return cancelled_weight(self.rewards, self.grouping.advantage_scale)

    @property
    def needs_rationale(self) -> bool:
        return self.curated is not None and self.reasoning

    @property
    def smallest_batch(self) -> int:
        return 2 if self.grouping.advantage_scale == "batch" else 1

    @property
    def compares(self) -> str | None:
        if self.grouping.advantage_scale == "batch":
            return "grouping.advantage_scale: batch"
        return "objective.average: token" if self.objective.average == "token" else None

    @property
    def updates(self) -> int:
        return self.grouping.updates

    @property
    def sampled_tokens(self) -> int:
        return self.sampling.max_new_tokens

    @property
    def passes(self) -> PassSettings:
        return PassSettings(self.encoder.answer, self.sampling.temperature or 1.0, self.shares)

    def gather(self, batch: Batch) -> GRPOExperience:
        collected = self.memory.of(batch, self.collect)
        log_probs = self._log_probs(batch, collected)
        if bool(collected.old_log_probs.isnan().any()):  # the first update on them
            self.values["rollouts/log_prob_mismatch"] = collected.mismatch(log_probs.detach())
        collected = self.memory.keep(batch, collected.with_old(log_probs.detach()))
        return GRPOExperience(
            log_probs=log_probs,
            old_log_probs=collected.old_log_probs,
            ref_log_probs=collected.ref_log_probs,
            mask=collected.counted,
            advantages=collected.advantages,
            tokens=self._tokens(batch, collected),
        )

    def _tokens(self, batch: Batch, collected: Trajectories) -> Tensor:
        """Counted tokens an item over all processes, times this one's items: the mean of losses that are divided by it,
        weighted by items as `Pooled` does, is a mean over all tokens."""
        own = (float(collected.counted.sum()), len(batch.items))
        tokens, items = (sum(part) for part in zip(*distributed.all_gather_object(own), strict=True))
        return torch.tensor(tokens * len(batch.items) / items, device=batch.label_dist.device)

    def reduce(self, experience: GRPOExperience) -> Loss:
        return self.objective(experience)

    @torch.no_grad()
    def collect(self, batch: Batch) -> Trajectories:
        """New responses to the batch's prompts, and their advantages."""
        with gathered_weights(self.policy):
            return self._collect(batch)

    def _collect(self, batch: Batch) -> Trajectories:
        kept, self.rollout_rows = self._worth_sampling(batch), []
        baseline = None if self.curated is None else self.curated.baseline(self.grouping.size)
        width = self.grouping.size if baseline is None else len(baseline)
        rewards = torch.zeros(len(batch.items), width, device=batch.label_dist.device)
        collected = Trajectories.nothing(rewards)
        if len(kept):
            sampled, rewards[kept] = self._sample(batch.select(kept))
            collected = sampled.spread(kept, total=len(rewards))
        found = self._advantages(rewards, baseline=baseline)
        self._log(batch, rewards=rewards, found=found, kept=kept)
        collected = collected.with_advantages(found)
        if self.reference is None:
            return collected
        with self.reference.of(self.policy):
            return collected.with_reference(self._log_probs(batch, collected))

    def _advantages(self, rewards: Tensor, *, baseline: Tensor | None) -> Tensor:
        """Of this process's groups; a deviation over the batch is that over the groups of all processes."""
        scale = self.grouping.advantage_scale
        if scale != "batch" or distributed.world_size() == 1:
            return advantages(rewards, scale=scale, baseline=baseline)
        parts = [part.to(rewards.device) for part in distributed.all_gather_object(rewards.cpu())]
        found = advantages(torch.cat(parts), scale=scale, baseline=baseline)
        own: Tensor = torch.split(found, [len(part) for part in parts])[distributed.rank()]
        return own

    def _worth_sampling(self, batch: Batch) -> list[int]:
        """Rows of the batch for which responses are sampled."""
        if not self.grouping.skip_unanimous:
            return list(range(len(batch.items)))
        silent = torch.stack([reward.silent(batch.label_dist) for reward in self.rewards if reward.weight])
        return [int(row) for row in (~silent.all(0)).nonzero()[:, 0]]

    def _sample(self, batch: Batch) -> tuple[Trajectories, Float[Tensor, "group trajectory"]]:
        """Responses to each prompt, and what each trajectory of its group earns."""
        draw = GroupSampling(self.sampling, self.grouping.size, self.global_step, self.shares)
        groups = sample_groups(self.encoder, batch, draw)
        parts = compute_rewards(self.rewards, groups, label_dist=batch.label_dist, items=batch.items)
        rewards = total_reward(self.rewards, parts)
        collected = Trajectories.of(groups, mask_truncated=self.grouping.mask_truncated)
        self.values |= {f"reward/{name}": values for name, values in parts.items()}
        self.values |= {"reward": rewards, **rollout_values(groups, batch.label_dist)}
        columns = {"js_div_bits": js_of(groups, batch.label_dist), **parts}
        self.rollout_rows = rollout_rows(batch.items, groups, columns)
        if self.curated is None:
            return collected, rewards
        best = self.curated.reward(self.encoder, batch, rewards=self.rewards, passes=self.passes)
        self.values["curated_not_best"] = (best < rewards.max(-1).values).float()
        return self.curated.joined(collected, batch), torch.cat([rewards, best[:, None]], dim=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["memory"] = distributed.all_gather_object(self.memory.state())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.memory.restore(checkpoint["memory"][distributed.rank()], self.policy.device)

    def _log_probs(self, batch: Batch, collected: Trajectories) -> Tensor:
        passed = score_spans(self.policy, batch, collected.passages(), self.passes)
        whole = torch.zeros(collected.counted.shape, device=passed.log_probs.device)
        width = passed.log_probs.shape[-1]
        whole[..., :width] = passed.log_probs.view(*whole.shape[:2], width)
        return whole

    def _log(self, batch: Batch, *, rewards: Tensor, found: Tensor, kept: list[int]) -> None:
        """What became of the rewards; the rows of sampled responses get their advantages."""
        self.values |= {
            "groups_without_spread": without_spread(rewards).float(),
            **by_ambiguity(found.abs().mean(-1), batch.label_dist, name="advantage_abs"),
        }
        if self.grouping.skip_unanimous:
            skipped = torch.ones(len(rewards))
            skipped[kept] = 0
            self.values["groups_skipped"] = skipped
        own = found[kept, : self.grouping.size].flatten().tolist()
        self.rollout_rows = [
            {**row, "advantage": round(value, 4)} for row, value in zip(self.rollout_rows, own, strict=True)
        ]
