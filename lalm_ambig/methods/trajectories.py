"""Sampled responses as the tensors that GRPO trains on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.types import AnswerPlaces, Batch, Groups
from lalm_ambig.objectives.grpo import GRPOExperience
from lalm_ambig.rollouts.engines.readout import LARGEST_IMPORTANCE
from lalm_ambig.rollouts.passages import ScoredSpan, response_spans

OLDER_FIELDS = {"counted": "loss_mask"}
"""Names of fields in checkpoints of earlier versions, and what they are called now."""


@dataclass(frozen=True)
class Trajectories:
    """The trajectories of each group: tensors only, so that a checkpoint can hold them."""

    ids: Int[Tensor, "group trajectory token"]
    mask: Bool[Tensor, "group trajectory token"]
    """True on tokens, False on padding."""
    loss_mask: Bool[Tensor, "group trajectory token"]
    """True on the tokens of the loss."""
    old_log_probs: Float[Tensor, "group trajectory token"]
    """In nats, by the training pass of the first update; NaN before it."""
    sampled_log_probs: Float[Tensor, "group trajectory token"]
    """In nats, as recorded while sampling; NaN in the curated response, which nobody sampled."""
    advantages: Float[Tensor, "group trajectory"]
    ref_log_probs: Float[Tensor, "group trajectory token"] | None = None
    """In nats, under the reference; None where no penalty is taken."""
    rewards: Float[Tensor, "group trajectory"] | None = None
    """Total reward of each trajectory; None in a checkpoint of an earlier version, where nothing needs it any more."""
    form_rewards: Float[Tensor, "group trajectory"] | None = None
    """The part of the reward that depends on the class name; None where no token is weighed by it alone."""
    form_advantages: Float[Tensor, "group trajectory"] | None = None
    """The part of the advantage that comes from it."""
    answer_position: Int[Tensor, "group trajectory"] | None = None
    """See `AnswerPlaces`, as for the next two; None for a readout that states the distribution."""
    closing: Int[Tensor, "group trajectory closing_token"] | None = None
    closing_mask: Bool[Tensor, "group trajectory closing_token"] | None = None
    tokens: Float[Tensor, ""] | None = None
    """See `GRPOExperience.tokens`."""

    @classmethod
    def from_groups(
        cls,
        groups: Groups,
        *,
        rewards: Float[Tensor, "group rollout"],
        form_rewards: Float[Tensor, "group rollout"] | None = None,
        mask_truncated: bool,
    ) -> "Trajectories":
        """The policy's own responses, with advantages of 0.

        The loss leaves out the class name's tokens, since the reward does not depend on them. That is our choice.

        Args:
            groups: Sampled responses.
            rewards: Total reward of each response.
            form_rewards: The part of it that depends on the class name. If given, the name's tokens are in the loss.
            mask_truncated: Leave all tokens of truncated responses out of the loss.
        """
        loss_mask = groups.mask if form_rewards is not None else groups.mask & ~groups.is_answer_token
        if mask_truncated:
            loss_mask = loss_mask & ~groups.truncated[..., None]
        answers = groups.answers
        return cls(
            ids=groups.ids,
            mask=groups.mask,
            loss_mask=loss_mask,
            old_log_probs=torch.full_like(groups.log_probs, torch.nan),
            sampled_log_probs=groups.log_probs,
            advantages=torch.zeros_like(rewards),
            rewards=rewards,
            form_rewards=form_rewards,
            answer_position=None if answers is None else answers.position,
            closing=None if answers is None else answers.closing,
            closing_mask=None if answers is None else answers.closing_mask,
        )

    @classmethod
    def empty(cls, groups: int, trajectories: int, *, device: torch.device) -> "Trajectories":
        """So many groups of trajectories without a token, with rewards of 0."""
        zeros = torch.zeros(groups, trajectories, 1, device=device)
        return cls(
            ids=zeros.long(),
            mask=zeros.bool(),
            loss_mask=zeros.bool(),
            old_log_probs=zeros + torch.nan,
            sampled_log_probs=zeros,
            advantages=zeros[..., 0],
            rewards=zeros[..., 0],
        )

    def scatter(self, rows: list[int], *, total: int) -> "Trajectories":
        """These groups at `rows` of `total` groups; the others have trajectories without a token and rewards of 0."""
        values = {name: value for name, value in self.state().items() if value is not None}
        scattered = {name: value.new_zeros(total, *value.shape[1:]) for name, value in values.items()}
        scattered["old_log_probs"] += torch.nan
        for name, value in values.items():
            scattered[name][rows] = value
        return replace(self, **scattered)

    def with_old(self, log_probs: Float[Tensor, "group trajectory token"]) -> "Trajectories":
        """Fill in `old_log_probs` wherever they are NaN, which they are before the first update.

        They come from the same kind of pass as those they are compared with. The first ratio is then 1 in bfloat16,
        too, where sampling and training differ in the last bits.
        """
        old = torch.where(self.old_log_probs.isnan(), log_probs, self.old_log_probs)
        return replace(self, old_log_probs=old)

    def sampling_mismatch(self, log_probs: Float[Tensor, "group trajectory token"]) -> Float[Tensor, " _"]:
        """|Difference| in nats between sampling and training pass, per sampled token of the loss.

        It shows what the weights' precision costs.
        """
        is_sampled = self.loss_mask & ~self.sampled_log_probs.isnan()
        return (log_probs - self.sampled_log_probs)[is_sampled].abs()

    @property
    def answers(self) -> AnswerPlaces | None:
        """Where the distribution of each trajectory is read; None for a readout that states it."""
        if self.answer_position is None or self.closing is None or self.closing_mask is None:
            return None
        return AnswerPlaces(self.answer_position, self.closing, self.closing_mask)

    def before_answer(self) -> Bool[Tensor, "group trajectory token"]:
        """True on the tokens before each answer position."""
        assert self.answer_position is not None, "the logit readout has answer positions"
        columns = torch.arange(self.mask.shape[-1], device=self.mask.device)
        return self.mask & (columns < self.answer_position[..., None])

    def after_answer(self) -> Bool[Tensor, "group trajectory token"]:
        """True on the class name and what follows it, in trajectories that reach their answer by themselves."""
        assert self.closing_mask is not None, "the logit readout has answer positions"
        return self.mask & ~self.before_answer() & ~self.closing_mask.any(-1, keepdim=True)

    def importance(
        self, log_probs: Float[Tensor, "group trajectory token"], *, of_engine: bool = False
    ) -> Float[Tensor, "group trajectory"]:
        """π(z)/π_old(z) of what comes before the answer, without gradients, at most `LARGEST_IMPORTANCE`.

        1 before the first update. 0 for a trajectory that is out of the loss.

        Args:
            log_probs: The policy's present log-probabilities in nats.
            of_engine: Divide by the probabilities of the engine that has sampled instead, also at the first update.
        """
        counts = self.before_answer() & self.loss_mask
        before = self.sampled_log_probs if of_engine else self.old_log_probs
        ratio = (log_probs.detach() - before).masked_fill(~counts, 0).sum(-1).exp()
        return ratio.clamp(max=LARGEST_IMPORTANCE) * self.loss_mask.any(-1)

    def token_weights(self) -> Float[Tensor, "group trajectory token"]:
        r"""Token-level truncated importance weights $\min(\pi_{\mathrm{old}} / \pi_{\mathrm{engine}}, 2)$, at least 0.

        π_old is the policy with the weights that have sampled, by its own training pass; π_engine is what the engine
        says that it sampled with. 1 for tokens that nobody sampled, and outside the loss.
        """
        difference = (self.old_log_probs - self.sampled_log_probs).masked_fill(~self.loss_mask, 0)
        return difference.nan_to_num(0.0).exp().clamp(max=LARGEST_IMPORTANCE)

    def experience(
        self, log_probs: Float[Tensor, "group trajectory token"], *, of_engine: bool = False
    ) -> GRPOExperience:
        """The objective's record, with the policy's present log-probabilities in nats, with gradients.

        Args:
            log_probs: They.
            of_engine: Whether an engine has sampled whose probabilities are not the policy's: its tokens are weighed.
        """
        return GRPOExperience(
            token_weights=self.token_weights() if of_engine else None,
            log_probs=log_probs,
            old_log_probs=self.old_log_probs,
            ref_log_probs=self.ref_log_probs,
            mask=self.loss_mask,
            advantages=self.advantages,
            tokens=self.tokens,
            after_answer=None if self.form_advantages is None else self.after_answer(),
            form_advantages=self.form_advantages,
        )

    def spans(self, *, scores: bool = False) -> list[ScoredSpan]:
        """The trajectories as what a training pass takes, group by group.

        Args:
            scores: Whether class scores are wanted at the answer positions.
        """
        return response_spans(self.ids, self.mask, self.loss_mask, self.answers if scores else None)

    def to(self, device: torch.device) -> "Trajectories":
        """The same on a device; itself where it is there already."""
        return self if self.ids.device == device else self.from_state(self.state(), device)

    def state(self) -> dict[str, Tensor | None]:
        """Field by field, for a checkpoint."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor | None], device: torch.device) -> "Trajectories":
        """Trajectories of a checkpoint, also of one whose fields have older names."""
        values: dict[str, Any] = {
            OLDER_FIELDS.get(name, name): None if value is None else value.to(device)
            for name, value in state.items()
        }
        return cls(**values)


def with_tokens(batches: Sequence[Batch], of_batches: Sequence[Trajectories]) -> list[Trajectories]:
    """The trajectories of a step with their denominators for `average: token`.

    Loss tokens per item over all processes and passes, times the batch's items: a pass's loss is weighed by its share
    of the step's items (see `StepMetrics`), which leaves the mean over all tokens of the step.
    """
    counts = (sum(float(t.loss_mask.sum()) for t in of_batches), sum(len(batch.items) for batch in batches))
    tokens, items = (sum(part) for part in zip(*distributed.all_gather_object(counts), strict=True))
    return [
        replace(t, tokens=torch.tensor(tokens * len(batch.items) / items, device=t.mask.device))
        for batch, t in zip(batches, of_batches, strict=True)
    ]
