r"""GRPO on the policy's own responses, and GRPOz with the curated response in every group.

Sources: ambiguity-aware LALM, Section 3.3.2, eq. 6 and 7; SHALA-LLM, Sections 3.3 and 3.4, eq. 6 to 8, and Appendix A.

Where this departs from the papers, or decides what they leave open:

1. Advantages divide by the sample standard deviation (K − 1) of the group's rewards plus 1e-4. Ambiguity-aware LALM
   writes σ without an ε, and "of advantages" where it must mean rewards. SHALA-LLM has an ε without its value.
2. `advantage_scale` may be `batch` or `none`. Under `group`, the papers' form, SHALA's weight of an item is the same
   for its whole group, so the division cancels it.
3. The class name's tokens are not in the loss. The papers' rewards come from the readout before them, so they do not
   depend on which name was sampled. With `name_in_loss` rewards of the name train them (`label_shares`, the form).
4. Old log-probabilities come from a training pass, not from sampling. The first ratio is then exactly 1 in bfloat16.
5. The penalty is the k3 estimator per sampled token. The papers do not say how KL(π‖π_ref) is estimated.
6. In GRPOz the curated response earns the rewards' upper bound. The paper says that it "consistently receives the
   highest reward", and its own readout would not ensure that. It counts in the baseline and in the loss.
7. K = 8, ε = 0.2, β = 0.04 are ours for ambiguity-aware LALM, which does not give them. SHALA-LLM's K = 4, β = 0 and
   temperature 1.2 (Appendix D.2) are in its presets.
8. Each batch may serve several updates, truncated responses may leave the loss, and the loss may be averaged over
   all tokens. All three are off by default.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Groups, Loss
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.generation import Generation, check_needs_logits
from lalm_ambig.methods.grouping import (
    Comparison,
    Grouping,
    cancelled_weight,
    check_comparison,
    check_names,
    check_rewards,
    check_shares,
    check_skipping,
    check_some_reward,
)
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.own_responses import check_on_policy, curated_experience
from lalm_ambig.methods.reference import Reference, ReferenceKind
from lalm_ambig.methods.rollout_buffer import Held, RolloutBuffer
from lalm_ambig.methods.rollout_log import by_ambiguity
from lalm_ambig.methods.trajectories import Trajectories, with_tokens
from lalm_ambig.objectives.advantages import without_spread
from lalm_ambig.objectives.grpo import GRPOExperience, GRPOObjective
from lalm_ambig.objectives.on_policy import OwnReadouts, mass_gradient
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.total import compute_rewards, form_rewards, total_reward
from lalm_ambig.rollouts.engines.base import Engine, samples_elsewhere
from lalm_ambig.rollouts.passages import PassOutput, PassSettings, ScoredSpan, curated_spans
from lalm_ambig.rollouts.sampling import Sampling

MISMATCH = "rollouts/log_prob_mismatch"
"""Name in the log of |log π of the training pass − log π when sampled|, in nats, a mean over sampled tokens."""
MOST_MISMATCH = 0.3
"""Largest that rounding explains: 0.035 was measured with a 135 M model in bfloat16, below 1e-4 in float32."""


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
        engine: Engine | None = None,
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
        engine: What samples responses: `InProcess`, the default, or `VLLM` on its own servers (docs/guides/engines.md).

        Raises:
            InputError: Nothing could be learnt with these settings.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            readout=readout,
            optimiser=(optimiser or Optimiser()).with_default(2e-5),
            generation=generation or Generation(),
            share_prompt=share_prompt,
            start=start,
        )
        self.rewards = [Agreement(), Format()] if rewards is None else list(rewards)
        self.objective, self.grouping = objective or GRPOObjective(), grouping or Grouping()
        self.curated, self.sampling, self.engine = curated, sampling or Sampling(), engine
        self.reference = Reference(reference) if self.objective.kl_weight else None
        self.told_mismatch = False
        self.rollout_buffer = RolloutBuffer[Trajectories](uses=self.grouping.updates)
        self.reads_own = self.objective.on_policy_kl_weight > 0 or self.objective.class_mass_weight > 0
        """Whether class scores after the sampled responses are in the loss."""
        self._check_settings()

    def _check_settings(self) -> None:
        check_rewards(self.rewards)
        check_comparison(self.grouping, curated=self.curated is not None and self.curated.in_baseline)
        if self.grouping.skip_unanimous:
            check_skipping(self.rewards, self.objective.other_terms())
        check_shares(self.grouping, self.rewards, self.readout, curated=self.curated is not None)
        check_names(self.grouping, self.rewards, self.readout)
        check_needs_logits(self.readout, kl_weight=0.0, class_mass_weight=self.objective.class_mass_weight)
        check_on_policy(self.readout, reasoning=self.reasoning, weight=self.objective.on_policy_kl_weight)
        if not self.generates_text:
            raise InputError(
                "without reasoning a response holds only the class name, whose score is known without sampling:",
                where="model.reasoning",
                remedy="set reasoning to true, or readout to verbalised; SFT trains the scores.",
            )

    def check_data(self, *, step_items: int, items: int, label_dist: Tensor | None = None) -> None:
        """Refuse data with which `advantage_scale: batch` has one prompt to compare, or all rewards are 0."""
        for number, what in (
            (step_items, f"an update has {step_items} prompt"),
            (items, f"there is {items} training item"),
        ):
            if number < self.smallest_step:
                raise InputError(
                    f"{what}, but advantage_scale: batch compares at least {self.smallest_step}.",
                    where="data",
                    remedy="raise data.items_per_update or data.limit, or set model.grouping.advantage_scale to none.",
                )
        if label_dist is not None and not self.reads_own and not self.objective.curated_ce_weight:
            check_some_reward(self.rewards, label_dist)

    def notes(self) -> list[str]:
        return cancelled_weight(self.rewards, self.grouping.advantage_scale)

    @property
    def needs_rationale(self) -> bool:
        return self.reasoning and (self.curated is not None or self.objective.curated_ce_weight > 0)

    @property
    def smallest_step(self) -> int:
        return 2 if self.grouping.advantage_scale == "batch" else 1

    @property
    def updates(self) -> int:
        return self.grouping.updates

    @property
    def sampled_tokens(self) -> int:
        return self.sampling.max_new_tokens

    @property
    def pass_settings(self) -> PassSettings:
        return PassSettings(self.encoder.answer, self.sampling.temperature or 1.0, self.shares)

    # A pass

    def gather(self, batch: Batch) -> GRPOExperience:
        trajectories = self.rollout_buffer.get(batch, self.collect).to(batch.prompt.ids.device)
        curated = self._curated_spans(batch) if self.objective.curated_ce_weight else []
        scored = self._scored(batch, trajectories, scores=self.reads_own, beside=curated)
        log_probs = _widened(scored, trajectories)
        if bool(trajectories.old_log_probs.isnan().any()):  # the first update on them
            mismatch = trajectories.sampling_mismatch(log_probs.detach())
            self.record({MISMATCH: mismatch})
        trajectories = self.rollout_buffer.put(batch, trajectories.with_old(log_probs.detach()))
        experience = trajectories.experience(log_probs, of_engine=samples_elsewhere(self.engine))
        if curated:
            experience = replace(experience, curated=curated_experience(scored, batch.label_dist))
        return self._with_readouts(experience, scored, trajectories, batch) if self.reads_own else experience

    def reduce(self, experience: GRPOExperience) -> Loss:
        return self.objective(experience)

    def on_train_batch_end(self, *_: Any) -> None:
        """Say once that sampling and training disagree by more than rounding explains."""
        mismatch = float(self.step_metrics.values.get(f"train/{MISMATCH}", 0.0))
        if mismatch > MOST_MISMATCH and not self.told_mismatch and distributed.is_first():
            self.told_mismatch = True
            print(
                f"sampling and training disagree by {mismatch:.2f} nats a token, more than rounding explains: "
                "responses are not the policy's own. Try --trainer.precision 32-true or another policy.dtype.",
                file=sys.stderr,
            )

    def _with_readouts(
        self, experience: GRPOExperience, scored: PassOutput, trajectories: Trajectories, batch: Batch
    ) -> GRPOExperience:
        """The experience with what the policy answers after its own responses; a curated one is not its own."""
        shape, own = trajectories.mask.shape[:2], slice(self.grouping.group_size)
        count = shape.numel()
        scores, mass = scored.scores[:count].view(*shape, -1), scored.log_class_mass
        readouts = OwnReadouts(
            scores[:, own],
            batch.label_dist,
            None if mass is None else mass[:count].view(shape)[:, own],
            trajectories.importance(experience.log_probs, of_engine=samples_elsewhere(self.engine))[:, own],
        )
        if mass is None:
            return replace(experience, own=readouts)
        last = mass[count:] if self.curated is None else mass[:count].view(shape)[:, -1]
        trained = len(last) > 0 and (self.curated is None or self.curated.in_loss)
        return replace(experience, own=readouts, curated_log_class_mass=last if trained else None)

    def _curated_spans(self, batch: Batch) -> list[ScoredSpan]:
        assert batch.curated is not None, "the data module passes on only items with a rationale"
        logits = self.readout == "logits"
        return curated_spans(batch.curated, ce=True, name=not logits, scores=self.reads_own)

    def _scored(
        self,
        batch: Batch,
        trajectories: Trajectories,
        *,
        scores: bool,
        beside: Sequence[ScoredSpan] = (),
    ) -> PassOutput:
        """The policy's log-probabilities by a training pass, with gradients where they are on.

        Args:
            batch: Items with their prompts.
            trajectories: Their responses.
            scores: Whether class scores are wanted after the responses.
            beside: Further responses, which come last.
        """
        settings = replace(self.pass_settings, class_mass=mass_gradient(self.objective) if scores else None)
        return self.score(batch, [*trajectories.spans(scores=scores), *beside], settings)

    # New responses

    @torch.no_grad()
    def collect(self, batches: Sequence[Batch]) -> list[Trajectories]:
        """Sample new responses for the passes of a step, and compute their advantages over the whole step."""
        with gathered_weights(self.policy):
            return self._collect(batches)

    def _collect(self, batches: Sequence[Batch]) -> list[Trajectories]:
        self.rollout_rows = []
        of_batches = self._trajectories(batches)
        of_batches = self._with_advantages(batches, of_batches)
        if self.objective.average == "token":
            of_batches = with_tokens(batches, of_batches)
        if self.reference is None:
            return of_batches
        with self.reference.active(self.policy):
            return [
                replace(t, ref_log_probs=_widened(self._scored(batch, t, scores=False), t))
                for batch, t in zip(batches, of_batches, strict=True)
            ]

    def _trajectories(self, batches: Sequence[Batch]) -> list[Trajectories]:
        """New responses to the batches of a step, without advantages."""
        rows = [self._rows_to_sample(batch) for batch in batches]
        if self.grouping.skip_unanimous:
            every = torch.arange(sum(len(batch.items) for batch in batches))
            self.record({"groups_skipped": (every >= sum(map(len, rows))).float()})
        chosen = [batch.select(some) for batch, some in zip(batches, rows, strict=True) if some]
        ahead = [batch.select(some) for batch in batches[0].ahead if (some := self._rows_to_sample(batch))]
        size = self.grouping.group_size
        sampled = zip(chosen, self.sample(chosen, group_size=size, ahead=ahead), strict=True)
        return [
            self._rewarded(*next(sampled)).scatter(some, total=len(batch.items))
            if some
            else Trajectories.empty(
                len(batch.items), size + (self.curated is not None), device=batch.label_dist.device
            )
            for batch, some in zip(batches, rows, strict=True)
        ]

    def _rows_to_sample(self, batch: Batch) -> list[int]:
        """Rows of the batch for which responses are sampled."""
        if not self.grouping.skip_unanimous:
            return list(range(len(batch.items)))
        zero = torch.stack([reward.always_zero(batch.label_dist) for reward in self.rewards if reward.weight])
        return [int(row) for row in (~zero.all(0)).nonzero()[:, 0]]

    def _rewarded(self, batch: Batch, groups: Groups) -> Trajectories:
        """Responses to each prompt, logged, with the reward of each trajectory of its group."""
        parts = compute_rewards(self.rewards, groups, label_dist=batch.label_dist, items=batch.items)
        rewards = total_reward(self.rewards, parts)
        form = total_reward(form_rewards(self.rewards), parts) if self.grouping.name_in_loss else None
        trajectories = Trajectories.from_groups(
            groups, rewards=rewards, form_rewards=form, mask_truncated=self.grouping.mask_truncated
        )
        self.record({f"reward/{name}": values for name, values in parts.items()})
        self.record({"reward": rewards})
        self.log_responses(batch, groups, parts)
        if self.curated is None:
            return trajectories
        best = self.curated.reward(
            self.encoder, batch, rewards=self.rewards, pass_settings=self.pass_settings
        )
        self.record({"curated_not_best": (best.total < rewards.max(-1).values).float()})
        return self.curated.joined(trajectories, batch, reward=best)

    def _with_advantages(
        self, batches: Sequence[Batch], of_batches: Sequence[Trajectories]
    ) -> list[Trajectories]:
        """The trajectories of a step with their advantages, logged."""
        baseline = None if self.curated is None else self.curated.baseline(self.grouping.group_size)
        comparison = Comparison(self.grouping.advantage_scale, baseline)
        rewards = torch.cat([_rewards(t) for t in of_batches])
        counts = [len(batch.items) for batch in batches]
        values = comparison.advantages(rewards)
        self._log(batches, rewards, values)
        replaced = {"advantages": torch.split(values, counts)}
        if self.grouping.name_in_loss:
            form = torch.cat(
                [t.form_rewards if t.form_rewards is not None else _rewards(t) for t in of_batches]
            )
            replaced["form_advantages"] = torch.split(comparison.part(form, of=rewards), counts)
        return [
            replace(t, **{name: parts[n] for name, parts in replaced.items()})
            for n, t in enumerate(of_batches)
        ]

    def _log(self, batches: Sequence[Batch], rewards: Tensor, values: Tensor) -> None:
        """Log what became of the rewards, and give the rows of sampled responses their advantages."""
        label_dist = torch.cat([batch.label_dist for batch in batches])
        self.record({"groups_without_spread": without_spread(rewards).float()})
        self.record(by_ambiguity(values.abs().mean(-1), label_dist, name="advantage_abs"))
        items = [item.id for batch in batches for item in batch.items]
        of_item = dict(zip(items, values.tolist(), strict=True))
        size = self.grouping.group_size
        self.rollout_rows = [
            {**row, "advantage": round(of_item[row["id"]][n % size], 4)}
            for n, row in enumerate(self.rollout_rows)
        ]

    # Checkpoints: their keys are those of the first version

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        on_cpu = torch.device("cpu")  # else each process would read the others' tensors onto their devices
        held = self.rollout_buffer.held.items()
        memory = {key: {"used": one.used, **one.rollouts.to(on_cpu).state()} for key, one in held}
        checkpoint["memory"] = distributed.all_gather_object(memory)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        for key, row in checkpoint["memory"][distributed.rank()].items():
            tensors = {name: value for name, value in row.items() if name != "used"}
            trajectories = Trajectories.from_state(tensors, torch.device("cpu"))  # the policy is moved later
            self.rollout_buffer.held[key] = Held(row["used"], trajectories)


def _widened(scored: PassOutput, trajectories: Trajectories) -> Float[Tensor, "group trajectory token"]:
    """Log-probabilities of a pass in nats, in the trajectories' shape."""
    shape = trajectories.loss_mask.shape
    values = scored.log_probs[: shape[0] * shape[1], : shape[2]]
    log_probs = torch.zeros(shape, device=values.device)
    log_probs[..., : values.shape[-1]] = values.view(*shape[:2], values.shape[-1])
    return log_probs


def _rewards(trajectories: Trajectories) -> Float[Tensor, "group trajectory"]:
    assert trajectories.rewards is not None, "new trajectories have rewards"
    return trajectories.rewards
