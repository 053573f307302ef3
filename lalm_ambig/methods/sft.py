"""Supervised fine-tuning on curated responses (ambiguity-aware LALM, Section 3.3.2, eq. 3)."""

from dataclasses import replace
from pathlib import Path

from lalm_ambig.core.types import Batch, Loss
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.generation import Generation, check_needs_logits
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.objectives.sft import SFTExperience, SFTObjective
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.passages import curated_spans, score_spans


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
    ) -> None:
        """Args:
        policy: The policy to train.
        objective: Weights of the loss's two terms.
        reasoning: Train on the curated chain of thought; false asks for the answer at once.
        readout: Whether a response's distribution is read from the class names' `logits` or `verbalised` as JSON.
        optimiser: AdamW's settings.
        generation: How responses are written in validation and evaluation.
        share_prompt: Compute in rows without padding, and what several texts share once: `auto` where the
            checkpoint's self-check has found that it can, true or an error, or false for the plain way.
        start: Folder of a finished run to start from; by default the base model.

        Raises:
            InputError: A verbalised readout has a weight of L_dist.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            readout=readout,
            optimiser=optimiser or Optimiser(),
            generation=generation or Generation(),
            share_prompt=share_prompt,
            start=start,
        )
        self.objective = objective or SFTObjective()
        check_needs_logits(
            readout,
            kl_weight=self.objective.kl_weight,
            class_mass_weight=self.objective.class_mass_weight,
        )

    def gather(self, batch: Batch) -> SFTExperience:
        assert batch.curated is not None, "the data module passes on only items with a rationale"
        kl, ce = self.objective.kl_weight > 0, self.objective.ce_weight > 0
        logits = self.readout == "logits"
        # Where the divergence teaches the class, CE leaves the class name out: a hard label would pull against it.
        spans = curated_spans(batch.curated, ce=ce, name=not kl, scores=logits)
        settings = replace(self.pass_settings, class_mass=self.objective.class_mass_weight > 0)
        scored = score_spans(self.policy, batch, spans, settings)
        return SFTExperience(
            token_log_probs=scored.log_probs,
            mask=scored.mask,
            category_logits=scored.scores if logits else None,
            label_dist=batch.label_dist,
            log_class_mass=scored.log_class_mass,
        )

    def reduce(self, experience: SFTExperience) -> Loss:
        return self.objective(experience)
