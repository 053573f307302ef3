r"""On-policy DPO: the curated response against the policy's own worse ones.

Source: ambiguity-aware LALM, Section 3.3.2, eq. 4 and 5. The paper leaves open, and we chose:

1. K = 4 responses per prompt; one is rejected if its JS divergence exceeds 0.15 bits.
2. Of those over the threshold the `worst` is rejected by default; `all` takes each as a pair of its own.
3. An item without a rejected response trains on the other two terms alone.
4. The class name's tokens are not in the preference: the distribution is read before them. Nor is the end of the
   turn under the logit readout, which the curated response has and a sampled one, stopped at `</answer>`, has not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Demonstrations, Groups, Loss
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.generation import Generation, check_needs_logits
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.own_responses import check_on_policy, supervised_experience
from lalm_ambig.methods.reference import Reference, ReferenceKind
from lalm_ambig.methods.rollout_buffer import RolloutBuffer
from lalm_ambig.methods.rollout_log import response_js_bits
from lalm_ambig.objectives.dpo import DPOExperience, DPOObjective
from lalm_ambig.objectives.on_policy import mass_gradient
from lalm_ambig.objectives.sft import SFTExperience
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rollouts.engines.base import Engine
from lalm_ambig.rollouts.passages import ScoredSpan, curated_spans, response_spans
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
class ReferenceSums:
    """The reference's log-probabilities of whole responses, in nats."""

    chosen: Float[Tensor, " item"]
    """Of the curated responses; 0 for one that is in no pair."""
    rejected: Float[Tensor, " rejected"]


@dataclass(frozen=True)
class SampledNegatives:
    """The policy's own responses, which of them are rejected, and what the reference says of the pairs."""

    groups: Groups
    is_rejected: Bool[Tensor, "item rollout"]
    reference: ReferenceSums


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
        engine: Engine | None = None,
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
        engine: What samples responses: `InProcess`, the default, or `VLLM` on its own servers (docs/guides/engines.md).

        Raises:
            InputError: The settings leave nothing to prefer, or a verbalised readout has a weight of L_dist.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            readout=readout,
            optimiser=(optimiser or Optimiser()).with_default(5e-6),
            generation=generation or Generation(),
            share_prompt=share_prompt,
            start=start,
        )
        self.objective, self.negatives = objective or DPOObjective(), negatives or Negatives()
        self.sampling, self.engine = sampling or Sampling(), engine
        self.reference: Reference = Reference(reference)
        self.rollout_buffer = RolloutBuffer[SampledNegatives](uses=1)
        self.reads_own = self.objective.on_policy_kl_weight > 0 or self.objective.class_mass_weight > 0
        """Whether class scores after all sampled responses are in the loss."""
        self._check_settings()

    def _check_settings(self) -> None:
        check_on_policy(self.readout, reasoning=self.reasoning, weight=self.objective.on_policy_kl_weight)
        check_needs_logits(
            self.readout,
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
        sampled = self.rollout_buffer.put(batch, self.rollout_buffer.get(batch, self.collect))
        rejected = sampled.is_rejected
        logits, reads_own = self.readout == "logits", self.reads_own
        curated = curated_spans(batch.curated, ce=True, name=self.objective.kl_weight == 0, scores=logits)
        own = self._negatives(sampled.groups, rejected, scores=reads_own)
        settings = replace(self.pass_settings, class_mass=mass_gradient(self.objective))
        scored = self.score(batch, [*curated, *own], settings)
        preferred = self._preferred(batch.curated)
        chosen = scored.log_probs[: len(curated), : preferred.shape[1]].masked_fill(~preferred, 0).sum(-1)
        negatives = slice(len(curated), None)
        rows = (
            rejected.flatten()
            if reads_own
            else torch.ones(len(own), dtype=torch.bool, device=rejected.device)
        )
        lengths = (preferred.sum(-1), scored.mask[negatives][rows].sum(-1))
        return self._experience(
            sampled,
            ReferenceSums(chosen, scored.log_probs[negatives][rows].sum(-1)),
            supervised_experience(
                scored, batch.label_dist, curated=len(curated), importance=sampled.groups.importance
            ),
            lengths=lengths,
        )

    def reduce(self, experience: DPOExperience) -> Loss:
        return self.objective(experience)

    def _experience(
        self,
        sampled: SampledNegatives,
        policy: ReferenceSums,
        supervised: SFTExperience,
        *,
        lengths: tuple[Tensor, Tensor],
    ) -> DPOExperience:
        """The objective's record: sums of policy and reference, or their means over the tokens that count."""
        rejected, reference = sampled.is_rejected, sampled.reference
        if self.objective.preference_average == "token":
            chosen_tokens, rejected_tokens = (length.clamp(min=1) for length in lengths)
            policy, reference = (
                ReferenceSums(sums.chosen / chosen_tokens, sums.rejected / rejected_tokens)
                for sums in (policy, reference)
            )
        width = max(1, int(rejected.sum(-1).max()))
        is_pair = torch.arange(width, device=rejected.device) < rejected.sum(-1, keepdim=True)
        zeros = torch.zeros(is_pair.shape, device=policy.chosen.device)
        return DPOExperience(
            chosen=policy.chosen,
            chosen_ref=reference.chosen,
            rejected=zeros.masked_scatter(is_pair, policy.rejected),
            rejected_ref=zeros.masked_scatter(is_pair, reference.rejected),
            is_pair=is_pair,
            supervised=supervised,
        )

    # Which tokens are compared

    def _preferred(self, curated: Demonstrations) -> Bool[Tensor, "item token"]:
        """True on the tokens of the curated responses that the preference compares."""
        return curated.response.mask & ~curated.is_answer_token & self._compared(curated.response.ids)

    def _compared(self, ids: Tensor) -> Bool[Tensor, "*token"]:
        """False on the end of the turn under the logit readout: sampling stops before it, so only one side has it."""
        if self.readout == "verbalised":
            return torch.ones_like(ids, dtype=torch.bool)
        return ~torch.isin(ids, torch.tensor(self.policy.end_ids, device=ids.device))

    def _negatives(
        self, groups: Groups, rejected: Bool[Tensor, "item rollout"], *, scores: bool
    ) -> list[ScoredSpan]:
        """The rejected responses, item by item; with class scores all responses, of which only those are compared."""
        compared = groups.mask & ~groups.is_answer_token & self._compared(groups.ids)
        loss_mask = compared & rejected[..., None]
        spans = response_spans(groups.ids, groups.mask, loss_mask, groups.answers if scores else None)
        keep = rejected.flatten().tolist()
        return spans if scores else [span for span, is_in in zip(spans, keep, strict=True) if is_in]

    # New responses

    @torch.no_grad()
    def collect(self, batches: Sequence[Batch]) -> list[SampledNegatives]:
        """Sample responses for the passes of a step, and ask the reference about the pairs."""
        self.rollout_rows, sampled = [], []
        with gathered_weights(self.policy):
            size, ahead = self.negatives.group_size, batches[0].ahead
            of_batches = self.sample(batches, group_size=size, ahead=ahead)
            for batch, groups in zip(batches, of_batches, strict=True):
                rejected = self._rejected(batch, groups)
                sums = self._reference_sums(batch, groups, rejected)
                sampled.append(SampledNegatives(groups, rejected, sums))
        return sampled

    def _reference_sums(
        self, batch: Batch, groups: Groups, rejected: Bool[Tensor, "item rollout"]
    ) -> ReferenceSums:
        """The reference's log-probabilities of the responses that are in a pair."""
        assert batch.curated is not None
        paired = rejected.any(-1)
        chosen = torch.zeros(len(batch.items), device=paired.device)
        if not bool(paired.any()):
            return ReferenceSums(chosen, chosen[:0])
        every, preferred = (
            curated_spans(batch.curated, ce=True, name=False, scores=False),
            self._preferred(batch.curated),
        )
        positives = [
            replace(every[item], loss_mask=preferred[item, : len(every[item].ids)])
            for item in paired.nonzero()[:, 0].tolist()
        ]
        spans = [*positives, *self._negatives(groups, rejected, scores=False)]
        with self.reference.active(self.policy):
            sums = self.score(batch, spans, self.pass_settings).log_probs.sum(-1)
        return ReferenceSums(chosen.masked_scatter(paired, sums[: len(positives)]), sums[len(positives) :])

    def _rejected(self, batch: Batch, groups: Groups) -> Bool[Tensor, "item rollout"]:
        """Which of the responses are rejected, logged."""
        rejected = self.negatives.chosen(response_js_bits(groups, batch.label_dist))
        self.log_responses(batch, groups, {"rejected": rejected})
        return rejected
