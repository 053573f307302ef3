r"""On-policy DPO: the curated response against the policy's own worse ones.

Source: ambiguity-aware LALM, Section 3.3.2, eq. 4 and 5. The paper leaves open, and we chose:

1. K = 4 responses per prompt; one is rejected if its JS divergence exceeds 0.15 bits.
2. Of those over the threshold the `worst` is rejected by default; `all` takes each as a pair of its own.
3. An item without a rejected response trains on the other two terms alone.
4. The class name's tokens are not in the preference: the distribution is read before them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Groups, Loss
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.generation import Generation, check_needs_logits
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.reference import Reference, ReferenceKind
from lalm_ambig.methods.rollout_log import response_js_bits, rollout_rows, rollout_values
from lalm_ambig.objectives.dpo import DPOExperience, DPOObjective
from lalm_ambig.objectives.sft import SFTExperience
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.passages import ScoredSpan, curated_spans, score_spans
from lalm_ambig.rollouts.sampling import Sampling


@dataclass(frozen=True)
class Negatives:
    """Which of the policy's own responses are rejected.

    Raises:
        InputError: `group_size` or `js_threshold` is out of its range.
    """

    group_size: int = 4
    """Responses sampled per prompt, K."""
    js_threshold: float = 0.15
    """A response can be rejected if its JS divergence from people's distribution is larger; in bits, in [0, 1]. One
    that cannot be read counts as 1."""
    choose: Literal["worst", "all"] = "worst"
    """The one with the largest divergence, or all over the threshold."""

    def __post_init__(self) -> None:
        if self.group_size < 1:
            raise InputError(f"group_size must be at least 1, got {self.group_size}", where="model.negatives")
        if not 0 <= self.js_threshold <= 1:
            raise InputError(
                f"js_threshold must be in [0, 1], got {self.js_threshold}", where="model.negatives"
            )

    def chosen(self, js: Float[Tensor, "item rollout"]) -> Bool[Tensor, "item rollout"]:
        """True on the responses that are rejected, given each one's divergence in bits."""
        over = js > self.js_threshold
        if self.choose == "all":
            return over
        worst = torch.zeros_like(over).scatter(1, js.argmax(1, keepdim=True), True)
        return over & worst


@dataclass(frozen=True)
class SampledNegatives:
    """The policy's own responses, and which of them are rejected."""

    groups: Groups
    is_rejected: Bool[Tensor, "item rollout"]

    def spans(self) -> list[ScoredSpan]:
        """The rejected responses, item by item."""
        return [_span(self.groups, g, k) for g, k in self.is_rejected.nonzero().tolist()]


@dataclass(frozen=True)
class ReferenceSums:
    """The reference's log-probabilities of whole responses, in nats."""

    chosen: Float[Tensor, " item"]
    """Of the curated responses; 0 for one that is in no pair."""
    rejected: Float[Tensor, " rejected"]


class DPO(Method):
    """Preference of curated over sampled reasoning, plus the divergence and CE of the curated one."""

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        policy: Policy,
        *,
        objective: DPOObjective | None = None,
        negatives: Negatives | None = None,
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
        objective: β, and the weights of L_dist and CE.
        negatives: How many responses are sampled, and which of them are rejected.
        sampling: How responses are sampled.
        reference: π_ref: the `base` model, as in the paper, or the policy at the `start`.
        start: Folder of a finished run to start from; by default the base model.
        reasoning: Reason before answering. Without, a logit readout has nothing to prefer, and it is refused.
        readout: Whether a response's distribution is read from the class names' `logits` or `verbalised` as JSON.
        optimiser: AdamW's settings; the paper's rate is 5e-6.
        generation: How responses are written in validation and evaluation.
        share_prompt: Compute the prompt once for both responses: `auto` where the checkpoint's self-check has
            found that it can, true or an error, or false for the plain way.

        Raises:
            InputError: The settings leave nothing to prefer, or a verbalised readout has a weight of L_dist.
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
        check_needs_logits(
            readout,
            kl_weight=self.objective.kl_weight,
            class_mass_weight=self.objective.class_mass_weight,
        )
        if not self.generates_text:
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
            sampled = self._sample(batch)
            rejected, negatives = sampled.is_rejected, sampled.spans()
            reference = self._reference_sums(batch, negatives, paired=rejected.any(-1))
        kl, logits = self.objective.kl_weight > 0, self.readout == "logits"
        positives = curated_spans(batch.curated, ce=True, name=not kl, scores=logits)
        settings = replace(self.pass_settings, class_mass=self.objective.class_mass_weight > 0)
        scored = score_spans(self.policy, batch, [*positives, *negatives], settings)
        count = len(positives)
        names = batch.curated.is_answer_token[:, : scored.log_probs.shape[1]]
        chosen = scored.log_probs[:count, : names.shape[1]].masked_fill(names, 0).sum(-1)
        width = max(1, int(rejected.sum(-1).max()))
        is_pair = torch.arange(width, device=rejected.device) < rejected.sum(-1, keepdim=True)
        zeros = torch.zeros(is_pair.shape, device=chosen.device)
        return DPOExperience(
            chosen=chosen,
            chosen_ref=reference.chosen,
            rejected=zeros.masked_scatter(is_pair, scored.log_probs[count:].sum(-1)),
            rejected_ref=zeros.masked_scatter(is_pair, reference.rejected),
            is_pair=is_pair,
            supervised=SFTExperience(
                scored.log_probs[:count],
                scored.mask[:count],
                scored.scores if logits else None,
                batch.label_dist,
                scored.log_class_mass,
            ),
        )

    def reduce(self, experience: DPOExperience) -> Loss:
        return self.objective(experience)

    def _reference_sums(
        self, batch: Batch, negatives: list[ScoredSpan], *, paired: Bool[Tensor, " item"]
    ) -> ReferenceSums:
        """The reference's log-probabilities of the responses that are in a pair."""
        assert batch.curated is not None
        chosen = torch.zeros(len(batch.items), device=paired.device)
        if not negatives:
            return ReferenceSums(chosen, chosen[:0])
        every = curated_spans(batch.curated, ce=True, name=False, scores=False)
        positives = [every[item] for item in paired.nonzero()[:, 0].tolist()]
        with self.reference.active(self.policy):
            sums = score_spans(
                self.policy, batch, [*positives, *negatives], self.pass_settings
            ).log_probs.sum(-1)
        return ReferenceSums(chosen.masked_scatter(paired, sums[: len(positives)]), sums[len(positives) :])

    def _sample(self, batch: Batch) -> SampledNegatives:
        """Responses to each prompt, logged, and which of them are rejected."""
        settings = GroupSampling(self.sampling, self.negatives.group_size, self.global_step, self.shares)
        groups = sample_groups(self.encoder, batch, settings)
        js = response_js_bits(groups, batch.label_dist)
        rejected = self.negatives.chosen(js)
        self.values |= rollout_values(groups, batch.label_dist)
        self.rollout_rows = rollout_rows(batch.items, groups, {"js_div_bits": js, "rejected": rejected})
        return SampledNegatives(groups, rejected)


def _span(groups: Groups, g: int, k: int) -> ScoredSpan:
    length = int(groups.mask[g, k].sum())
    return ScoredSpan(g, groups.ids[g, k, :length], ~groups.is_answer_token[g, k, :length])
