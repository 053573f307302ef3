r"""GRPO on the policy's own responses, and GRPOz with the curated response in every group.

Sources: ambiguity-aware LALM, Section 3.3.2, eq. 6 and 7; SHALA-LLM, Sections 3.3 and 3.4, eq. 6 to 8, and Appendix A.

Where this departs from the papers, or decides what they leave open:

1. Advantages divide by the sample standard deviation (K − 1) of the group's rewards plus 1e-4. Ambiguity-aware LALM
   writes σ without an ε, and "of advantages" where it must mean rewards. SHALA-LLM has an ε without its value.
2. `advantage_scale` may be `batch` or `none`. Under `group`, the papers' form, SHALA's weight of an item is the same
   for its whole group, so the division cancels it.
3. The class name's tokens are not in the loss. The reward comes from the readout before them, so it does not depend
   on which name was sampled.
4. Old log-probabilities come from a training pass, not from sampling. The first ratio is then exactly 1 in bfloat16.
5. The penalty is the k3 estimator per sampled token. The papers do not say how KL(π‖π_ref) is estimated.
6. In GRPOz the curated response earns the rewards' upper bound. The paper says that it "consistently receives the
   highest reward", and its own readout would not ensure that. It counts in the baseline and in the loss.
7. K = 8, ε = 0.2, β = 0.04 are ours for ambiguity-aware LALM, which does not give them. SHALA-LLM's K = 4, β = 0 and
   temperature 1.2 (Appendix D.2) are in its presets.
8. Each batch may serve several updates, truncated responses may leave the loss, and the loss may be averaged over
   all tokens. All three are off by default.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
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
from lalm_ambig.methods.reference import Reference, ReferenceKind
from lalm_ambig.methods.rollout_log import by_ambiguity, response_js_bits, rollout_rows, rollout_values
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
    """Groups of sampled responses, compared with each other by their rewards."""

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        policy: Policy,
        *,
        rewards: list[Reward] | None = None,
        objective: GRPOObjective | None = None,
        grouping: Grouping | None = None,
        curated: CuratedTrajectory | None = None,
        sampling: Sampling | None = None,
        reference: ReferenceKind = "base",
        start: Path | None = None,
        reasoning: bool = True,
        readout: Readout = "logits",
        optimiser: Optimiser | None = None,
        generation: Generation | None = None,
        share_prompt: Sharing = "auto",
    ) -> None:
        """Args:
        policy: The policy to train.
        rewards: The rewards, each with its weight. By default agreement, and 0.1 for the form (ambiguity-aware
            LALM, eq. 6).
        objective: Clip, penalty and average of the loss.
        grouping: Size of groups, scale of advantages, updates per batch.
        curated: Put the curated response into every group (GRPOz). Every item then needs a rationale.
        sampling: How responses are sampled.
        reference: π_ref of the penalty: the `base` model or the policy at the `start`.
        start: Folder of a finished run to start from; by default the base model.
        reasoning: Reason before answering. Without, a logit readout has nothing to learn, and it is refused.
        readout: Whether a response's distribution is read from the class names' `logits` or `verbalised` as JSON.
        optimiser: AdamW's settings; the rate of ambiguity-aware LALM is 2e-5.
        generation: How responses are written in validation and evaluation.
        share_prompt: Compute each prompt once for its whole group: `auto` where the checkpoint's self-check has
            found that it can, true or an error, or false for the plain way.

        Raises:
            InputError: Nothing could be learnt with these settings.
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
        self.rollout_buffer = RolloutBuffer(uses=self.grouping.updates)
        self._check_settings()

    def _check_settings(self) -> None:
        check_rewards(self.rewards)
        check_comparison(self.grouping, curated=self.curated is not None and self.curated.in_baseline)
        if self.grouping.skip_unanimous:
            check_skipping(self.rewards, kl_weight=self.objective.kl_weight)
        if not self.generates_text:
            raise InputError(
                "without reasoning a response holds only the class name, which the reward does not depend on:",
                where="model.reasoning",
                remedy="set reasoning to true, or readout to verbalised.",
            )

    def check_data(self, *, batch_size: int, items: int) -> None:
        """Refuse data with which `advantage_scale: batch` has one prompt to compare.

        Raises:
            InputError: The batch or the training split is too small.
        """
        if batch_size < self.smallest_batch:
            raise InputError(
                f"batch_size is {batch_size}, but advantage_scale: batch compares at least {self.smallest_batch} "
                "prompts.",
                where="data",
                remedy="raise data.batch_size, or set model.grouping.advantage_scale to group or none.",
            )
        if items < self.smallest_batch:
            raise InputError(
                f"there is 1 training item, but advantage_scale: batch compares at least {self.smallest_batch}.",
                where="data",
                remedy="raise data.limit, or set model.grouping.advantage_scale to group or none.",
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
    def pass_settings(self) -> PassSettings:
        return PassSettings(self.encoder.answer, self.sampling.temperature or 1.0, self.shares)

    # A step

    def gather(self, batch: Batch) -> GRPOExperience:
        trajectories = self.rollout_buffer.get(batch, self.collect)
        log_probs = self._log_probs(batch, trajectories)
        if bool(trajectories.old_log_probs.isnan().any()):  # the first update on them
            mismatch = trajectories.sampling_mismatch(log_probs.detach())
            self.values["rollouts/log_prob_mismatch"] = mismatch
        trajectories = self.rollout_buffer.put(batch, trajectories.with_old(log_probs.detach()))
        return trajectories.experience(log_probs, tokens=self._tokens(batch, trajectories))

    def reduce(self, experience: GRPOExperience) -> Loss:
        return self.objective(experience)

    def _tokens(self, batch: Batch, trajectories: Trajectories) -> Float[Tensor, ""]:
        """Denominator for `average: token`: loss tokens per item over all processes, times this process's items.

        `StepMetrics` weights each process's loss by its items. The result is the mean over all processes' tokens.
        """
        counts = (float(trajectories.loss_mask.sum()), len(batch.items))
        tokens, items = (sum(part) for part in zip(*distributed.all_gather_object(counts), strict=True))
        return torch.tensor(tokens * len(batch.items) / items, device=batch.label_dist.device)

    def _log_probs(self, batch: Batch, trajectories: Trajectories) -> Float[Tensor, "group trajectory token"]:
        """The policy's log-probabilities in nats by a training pass, with gradients where they are on."""
        scored = score_spans(self.policy, batch, trajectories.spans(), self.pass_settings).log_probs
        log_probs = torch.zeros(trajectories.loss_mask.shape, device=scored.device)
        width = scored.shape[-1]
        log_probs[..., :width] = scored.view(*log_probs.shape[:2], width)
        return log_probs

    # New responses

    @torch.no_grad()
    def collect(self, batch: Batch) -> Trajectories:
        """Sample new responses to the batch's prompts, and compute their advantages."""
        with gathered_weights(self.policy):
            return self._collect(batch)

    def _collect(self, batch: Batch) -> Trajectories:
        rows, self.rollout_rows = self._rows_to_sample(batch), []
        baseline = None if self.curated is None else self.curated.baseline(self.grouping.group_size)
        width = self.grouping.group_size if baseline is None else len(baseline)
        trajectories = Trajectories.empty(len(batch.items), width, device=batch.label_dist.device)
        if rows:
            trajectories = self._sample(batch.select(rows)).scatter(rows, total=len(batch.items))
        assert trajectories.rewards is not None, "new trajectories have rewards"
        advantage = self._advantages(trajectories.rewards, baseline=baseline)
        self._log(batch, rewards=trajectories.rewards, advantages=advantage, rows=rows)
        trajectories = replace(trajectories, advantages=advantage)
        if self.reference is None:
            return trajectories
        with self.reference.active(self.policy):
            return replace(trajectories, ref_log_probs=self._log_probs(batch, trajectories))

    def _rows_to_sample(self, batch: Batch) -> list[int]:
        """Rows of the batch for which responses are sampled."""
        if not self.grouping.skip_unanimous:
            return list(range(len(batch.items)))
        zero = torch.stack([reward.always_zero(batch.label_dist) for reward in self.rewards if reward.weight])
        return [int(row) for row in (~zero.all(0)).nonzero()[:, 0]]

    def _sample(self, batch: Batch) -> Trajectories:
        """Responses to each prompt, logged, with the reward of each trajectory of its group."""
        settings = GroupSampling(self.sampling, self.grouping.group_size, self.global_step, self.shares)
        groups = sample_groups(self.encoder, batch, settings)
        parts = compute_rewards(self.rewards, groups, label_dist=batch.label_dist, items=batch.items)
        rewards = total_reward(self.rewards, parts)
        trajectories = Trajectories.from_groups(
            groups, rewards=rewards, mask_truncated=self.grouping.mask_truncated
        )
        self.values |= {f"reward/{name}": values for name, values in parts.items()}
        self.values |= {"reward": rewards, **rollout_values(groups, batch.label_dist)}
        columns = {"js_div_bits": response_js_bits(groups, batch.label_dist), **parts}
        self.rollout_rows = rollout_rows(batch.items, groups, columns)
        if self.curated is None:
            return trajectories
        best = self.curated.reward(
            self.encoder, batch, rewards=self.rewards, pass_settings=self.pass_settings
        )
        self.values["curated_not_best"] = (best < rewards.max(-1).values).float()
        return self.curated.joined(trajectories, batch, reward=best)

    def _advantages(
        self, rewards: Float[Tensor, "group trajectory"], *, baseline: Bool[Tensor, " trajectory"] | None
    ) -> Float[Tensor, "group trajectory"]:
        """Advantages of this process's groups; `batch` takes the deviation over the groups of all processes."""
        scale = self.grouping.advantage_scale
        if scale != "batch" or distributed.world_size() == 1:
            return advantages(rewards, scale=scale, baseline=baseline)
        parts = [part.to(rewards.device) for part in distributed.all_gather_object(rewards.cpu())]
        every = advantages(torch.cat(parts), scale=scale, baseline=baseline)
        local: Tensor = torch.split(every, [len(part) for part in parts])[distributed.rank()]
        return local

    def _log(self, batch: Batch, *, rewards: Tensor, advantages: Tensor, rows: list[int]) -> None:
        """Log what became of the rewards, and give the rows of sampled responses their advantages."""
        self.values |= {
            "groups_without_spread": without_spread(rewards).float(),
            **by_ambiguity(advantages.abs().mean(-1), batch.label_dist, name="advantage_abs"),
        }
        if self.grouping.skip_unanimous:
            skipped = torch.ones(len(rewards))
            skipped[rows] = 0
            self.values["groups_skipped"] = skipped
        sampled = advantages[rows, : self.grouping.group_size].flatten().tolist()
        self.rollout_rows = [
            {**row, "advantage": round(value, 4)}
            for row, value in zip(self.rollout_rows, sampled, strict=True)
        ]

    # Checkpoints: their keys are those of the first version

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["memory"] = distributed.all_gather_object(self.rollout_buffer.state())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.rollout_buffer.restore(checkpoint["memory"][distributed.rank()], self.policy.device)
