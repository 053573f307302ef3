"""Supervised fine-tuning on curated responses (ambiguity-aware LALM, Section 3.3.2, eq. 3)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Groups, Loss
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.generation import Generation, check_needs_logits
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.own_responses import check_on_policy, supervised_experience
from lalm_ambig.methods.rollout_buffer import RolloutBuffer
from lalm_ambig.objectives.on_policy import mass_gradient
from lalm_ambig.objectives.sft import SFTExperience, SFTObjective
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rollouts.engines.base import Engine
from lalm_ambig.rollouts.passages import ScoredSpan, curated_spans, response_spans
from lalm_ambig.rollouts.sampling import Sampling


class SFT(Method):
    """CE on the curated response, plus the divergence of the distribution that is read after its reasoning."""

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        policy: Policy,
        *,
        objective: SFTObjective | None = None,
        reasoning: bool = True,
        readout: Readout = "logits",
        optimiser: Optimiser | None = None,
        generation: Generation | None = None,
        share_prompt: Sharing = "auto",
        start: Path | None = None,
        sampling: Sampling | None = None,
        group_size: int = 1,
        engine: Engine | None = None,
    ) -> None:
        """Args:
        policy: The policy to train.
        objective: Weights of the loss's terms.
        reasoning: Train on the curated chain of thought; false asks for the answer at once.
        readout: Whether a response's distribution is read from the class names' `logits` or `verbalised` as JSON.
        optimiser: AdamW's settings.
        generation: How responses are written in validation and evaluation.
        share_prompt: Compute in rows without padding, and what several texts share once: `auto` where the
            checkpoint's self-check has found that it can, true or an error, or false for the plain way.
        start: Folder of a finished run to start from; by default the base model.
        sampling: How own responses are sampled, for `objective.on_policy_kl_weight`.
        group_size: Own responses per prompt and update, for the same.
        engine: What samples them: `InProcess`, the default, or `VLLM` on its own servers (docs/guides/engines.md).

        Raises:
            InputError: A verbalised readout has a weight of L_dist, `group_size` is below 1, or there are no own
                responses for `on_policy_kl_weight`.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            readout=readout,
            optimiser=(optimiser or Optimiser()).with_default(1e-4),
            generation=generation or Generation(),
            share_prompt=share_prompt,
            start=start,
        )
        self.objective, self.sampling = objective or SFTObjective(), sampling or Sampling()
        self.group_size, self.engine = group_size, engine
        self.rollout_buffer = RolloutBuffer[Groups](uses=1)
        if group_size < 1:
            raise InputError(f"group_size must be at least 1, got {group_size}", where="model")
        self.samples = self.objective.on_policy_kl_weight > 0
        check_on_policy(readout, reasoning=reasoning, weight=self.objective.on_policy_kl_weight)
        check_needs_logits(
            readout,
            kl_weight=self.objective.kl_weight,
            class_mass_weight=self.objective.class_mass_weight,
        )

    @property
    def needs_rationale(self) -> bool:
        return self.reasoning and self.objective.uses_curated

    @property
    def sampled_tokens(self) -> int:
        return self.sampling.max_new_tokens if self.samples else 0

    def gather(self, batch: Batch) -> SFTExperience:
        curated = self._curated_spans(batch) if self.objective.uses_curated else []
        groups = self._own_responses(batch) if self.samples else None
        own = [] if groups is None else self._own_spans(groups)
        settings = replace(self.pass_settings, class_mass=mass_gradient(self.objective))
        scored = self.score(batch, [*curated, *own], settings)
        importance = None if groups is None else groups.importance
        return supervised_experience(scored, batch.label_dist, curated=len(curated), importance=importance)

    def _curated_spans(self, batch: Batch) -> list[ScoredSpan]:
        assert batch.curated is not None, "the data module passes on only items with a rationale"
        kl, ce = self.objective.kl_weight > 0, self.objective.ce_weight > 0
        # Where the divergence teaches the class, CE leaves the class name out: a hard label would pull against it.
        return curated_spans(batch.curated, ce=ce, name=not kl, scores=self.readout == "logits")

    def _own_responses(self, batch: Batch) -> Groups:
        return self.rollout_buffer.put(batch, self.rollout_buffer.get(batch, self.collect))

    def _own_spans(self, groups: Groups) -> list[ScoredSpan]:
        nothing = torch.zeros_like(groups.mask)
        return response_spans(groups.ids, groups.mask, nothing, groups.answers)

    def reduce(self, experience: SFTExperience) -> Loss:
        return self.objective(experience)

    @torch.no_grad()
    def collect(self, batches: Sequence[Batch]) -> list[Groups]:
        """Sample own responses for the passes of a step."""
        self.rollout_rows = []
        with gathered_weights(self.policy):
            sampled = self.sample(batches, group_size=self.group_size, ahead=batches[0].ahead)
        for batch, groups in zip(batches, sampled, strict=True):
            self.log_responses(batch, groups, {})
        return sampled
