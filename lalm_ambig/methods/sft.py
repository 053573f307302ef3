"""Supervised fine-tuning on curated responses (paper A 3.3, eq. 3)."""

import torch
from torch import Tensor

from lalm_ambig.methods.base import Generation, Method
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.objectives.sft import SFTExperience, SFTObjective
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.reading import curated_hidden
from lalm_ambig.types import Batch, Demonstrations, Loss, Tokens


class SFT(Method):
    """CE on the curated response and the divergence of the distribution read behind its reasoning."""

    def __init__(
        self,
        policy: Policy,
        *,
        objective: SFTObjective | None = None,
        reasoning: bool = True,
        optimiser: Optimiser | None = None,
        generation: Generation | None = None,
    ) -> None:
        """
        Args:
            policy: What is trained.
            objective: Weights of the loss's two terms.
            reasoning: Train on the curated chain of thought; false asks for the answer at once.
            optimiser: AdamW's settings.
            generation: How responses are written in validation and evaluation.
        """
        super().__init__(
            policy,
            reasoning=reasoning,
            optimiser=optimiser or Optimiser(),
            generation=generation or Generation(),
        )
        self.objective = objective or SFTObjective()

    def gather(self, batch: Batch) -> SFTExperience:
        assert batch.curated is not None, "the data module passes on only items with a rationale"
        curated = self._needed(batch.curated)
        hidden = curated_hidden(self.policy, batch, curated.response)
        start = batch.prompt.ids.shape[1]
        rows = torch.arange(len(batch.items), device=hidden.device)
        names = torch.tensor(self.encoder.answer.first_ids, device=hidden.device)
        mask = self._counted(curated)
        return SFTExperience(
            token_log_probs=self._log_probs(hidden[:, start - 1 : -1], curated.response.ids, mask),
            mask=mask,
            category_logits=self.policy.category_logits(hidden[rows, start + curated.readout_at], names),
            label_dist=batch.label_dist,
        )

    def reduce(self, experience: SFTExperience) -> Loss:
        return self.objective(experience)

    def _needed(self, curated: Demonstrations) -> Demonstrations:
        """Without CE, nothing behind the answer's place is computed."""
        if self.objective.ce_weight:
            return curated
        end = int(curated.readout_at.max()) + 1
        response = Tokens(curated.response.ids[:, :end], curated.response.mask[:, :end])
        return Demonstrations(response, curated.is_name[:, :end], curated.readout_at)

    def _counted(self, curated: Demonstrations) -> Tensor:
        """Tokens that CE counts: all, but for the class name wherever the divergence teaches that (SPEC 4)."""
        if not self.objective.ce_weight:
            return torch.zeros_like(curated.response.mask)
        return curated.response.mask & ~curated.is_name if self.objective.kl_weight else curated.response.mask

    def _log_probs(self, hidden: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Log-probability of the counted tokens [item, token]; the head sees no other row."""
        logits = self.policy.logits(hidden[mask]).float()
        counted = -torch.nn.functional.cross_entropy(logits, ids[mask], reduction="none")
        return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, counted)
