"""On-policy DPO: the curated response against the policy's own worse ones (paper A 3.3, eq. 4 and 5)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Groups, Loss
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.generation import Generation, check_kl_needs_logits
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.reference import Kind, Reference
from lalm_ambig.methods.rollout_log import js_of, rollout_rows, rollout_values
from lalm_ambig.objectives.dpo import DPOExperience, DPOObjective
from lalm_ambig.objectives.sft import SFTExperience
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.passages import ScoredSpan, curated_spans, score_spans
from lalm_ambig.rollouts.sampling import Sampling


@dataclass(frozen=True)
class Negatives:
    """Which of the policy's own responses are rejected."""

    rollouts: int = 4
    """Responses sampled for each prompt, K."""
    js_threshold: float = 0.15
    """A response whose JS divergence from people's distribution is larger can be rejected; in bits, in [0, 1]. One that
    cannot be read counts as 1."""
    choose: Literal["worst", "all"] = "worst"
    """The one with the largest divergence, or all over the threshold."""

    def __post_init__(self) -> None:
        if self.rollouts < 1:
            raise InputError(f"rollouts must be at least 1, got {self.rollouts}", where="model.negatives")
        if not 0 <= self.js_threshold <= 1:
            raise InputError(
                f"js_threshold must be in [0, 1], got {self.js_threshold}", where="model.negatives"
            )

    def chosen(self, js: Tensor) -> Bool[Tensor, "item rollout"]:
        """True on the responses that are rejected, given the divergence of each [item, rollout]."""
        over = js > self.js_threshold
        if self.choose == "all":
            return over
        worst = torch.zeros_like(over).scatter(1, js.argmax(1, keepdim=True), True)
        return over & worst


class DPO(Method):
    """Preference of curated over sampled reasoning, with the divergence and CE of the curated one beside it."""

    def __init__(
        self,
        policy: Policy,
        *,
        objective: DPOObjective | None = None,
        negatives: Negatives | None = None,
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
            objective: β, and the weights of L_dist and CE.
            negatives: How many responses are sampled, and which of them are rejected.
            sampling: How responses are sampled.
            reference: π_ref: the `base` model (paper A) or the policy at the `start`.
            start: Folder of a finished run to start from; by default the base model.
            reasoning: Reason before answering; without, a logit readout has nothing to prefer, and it is refused.
            readout: Whether a response's distribution is read from the class names' `logits` or `verbalised` as JSON.
            optimiser: AdamW's settings; paper A's rate is 5e-6.
            generation: How responses are written in validation and evaluation.
            share_prompt: Compute the prompt once for both responses: `auto` where the checkpoint's self-check has
                found that it can, true or an error, or false for the plain way.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            readout=readout,
            optimiser=optimiser or Optimiser(learning_rate=5e-6),
            generation=generation or Generation(),
            share_prompt=share_prompt,
            start=start,
        )
        self.objective, self.negatives = objective or DPOObjective(), negatives or Negatives()
        self.sampling = sampling or Sampling()
        self.reference: Reference = Reference(reference)
        check_kl_needs_logits(readout, self.objective.kl_weight)
        if not self.writes:
            raise InputError(
                "without reasoning there is nothing to prefer:",
                where="model.reasoning",
                remedy="set reasoning to true, or readout to verbalised.",
            )

    @property
    def sampled_tokens(self) -> int:
        return self.sampling.max_new_tokens

    def gather(self, batch: Batch) -> DPOExperience:
        assert batch.curated is not None, "the data module passes on only items with a rationale"
        with gathered_weights(self.policy):
            groups, rejected = self._sample(batch)
            negatives = [_as_passage(groups, place) for place in rejected.nonzero().tolist()]
            chosen_ref, rejected_ref = self._reference(batch, negatives, paired=rejected.any(-1))
        kl, logits = self.objective.kl_weight > 0, self.readout == "logits"
        positives = curated_spans(batch.curated, ce=True, name=not kl, scores=logits)
        passed = score_spans(self.policy, batch, [*positives, *negatives], self.passes)
        count = len(positives)
        names = batch.curated.is_answer_token[:, : passed.log_probs.shape[1]]
        chosen = passed.log_probs[:count, : names.shape[1]].masked_fill(names, 0).sum(-1)
        width = max(1, int(rejected.sum(-1).max()))
        is_pair = torch.arange(width, device=rejected.device) < rejected.sum(-1, keepdim=True)
        nothing = torch.zeros(is_pair.shape, device=chosen.device)
        return DPOExperience(
            chosen=chosen,
            chosen_ref=chosen_ref,
            rejected=nothing.masked_scatter(is_pair, passed.log_probs[count:].sum(-1)),
            rejected_ref=nothing.masked_scatter(is_pair, rejected_ref),
            is_pair=is_pair,
            supervised=SFTExperience(
                passed.log_probs[:count],
                passed.mask[:count],
                passed.scores if logits else None,
                batch.label_dist,
            ),
        )

    def reduce(self, experience: DPOExperience) -> Loss:
        return self.objective(experience)

    def _reference(
        self, batch: Batch, negatives: list[ScoredSpan], *, paired: Bool[Tensor, " item"]
    ) -> tuple[Float[Tensor, " item"], Float[Tensor, " rejected"]]:
        """The reference's log-probabilities of the responses in a pair; 0 for a curated one that is in none."""
        assert batch.curated is not None
        chosen = torch.zeros(len(batch.items), device=paired.device)
        if not negatives:
            return chosen, chosen[:0]
        every = curated_spans(batch.curated, ce=True, name=False, scores=False)
        positives = [every[item] for item in paired.nonzero()[:, 0].tolist()]
        with self.reference.of(self.policy):
            sums = score_spans(self.policy, batch, [*positives, *negatives], self.passes).log_probs.sum(-1)
        return chosen.masked_scatter(paired, sums[: len(positives)]), sums[len(positives) :]

    def _sample(self, batch: Batch) -> tuple[Groups, Tensor]:
        draw = GroupSampling(self.sampling, self.negatives.rollouts, self.global_step, self.shares)
        groups = sample_groups(self.encoder, batch, draw)
        js = js_of(groups, batch.label_dist)
        rejected = self.negatives.chosen(js)
        self.values |= rollout_values(groups, batch.label_dist)
        self.rollout_rows = rollout_rows(batch.items, groups, {"js_div_bits": js, "rejected": rejected})
        return groups, rejected


def _as_passage(groups: Groups, place: list[int]) -> ScoredSpan:
    g, k = place
    length = int(groups.mask[g, k].sum())
    return ScoredSpan(g, groups.ids[g, k, :length], ~groups.is_answer_token[g, k, :length])
