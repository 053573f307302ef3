"""Sampled responses as tensors, kept for as many optimiser steps as are taken on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lalm_ambig.core.types import Batch, Groups
from lalm_ambig.objectives.grpo import GRPOExperience
from lalm_ambig.rollouts.passages import ScoredSpan

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

    @classmethod
    def from_groups(
        cls, groups: Groups, *, rewards: Float[Tensor, "group rollout"], mask_truncated: bool
    ) -> "Trajectories":
        """The policy's own responses, with advantages of 0.

        The loss leaves out the class name's tokens, since the reward does not depend on them. That is our choice.

        Args:
            groups: Sampled responses.
            rewards: Total reward of each response.
            mask_truncated: Leave all tokens of truncated responses out of the loss.
        """
        loss_mask = groups.mask & ~groups.is_answer_token
        if mask_truncated:
            loss_mask = loss_mask & ~groups.truncated[..., None]
        return cls(
            ids=groups.ids,
            mask=groups.mask,
            loss_mask=loss_mask,
            old_log_probs=torch.full_like(groups.log_probs, torch.nan),
            sampled_log_probs=groups.log_probs,
            advantages=torch.zeros_like(rewards),
            rewards=rewards,
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

    def experience(
        self, log_probs: Float[Tensor, "group trajectory token"], *, tokens: Float[Tensor, ""] | None = None
    ) -> GRPOExperience:
        """The objective's record, with the policy's present log-probabilities.

        Args:
            log_probs: In nats, with gradients.
            tokens: See `GRPOExperience.tokens`.
        """
        return GRPOExperience(
            log_probs=log_probs,
            old_log_probs=self.old_log_probs,
            ref_log_probs=self.ref_log_probs,
            mask=self.loss_mask,
            advantages=self.advantages,
            tokens=tokens,
        )

    def spans(self) -> list[ScoredSpan]:
        """The trajectories as what a training pass takes, group by group."""
        lengths = self.mask.sum(-1).tolist()
        return [
            ScoredSpan(g, self.ids[g, k, :length], self.loss_mask[g, k, :length])
            for g, row in enumerate(lengths)
            for k, length in enumerate(row)
        ]

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


@dataclass(frozen=True)
class HeldRollouts:
    """Trajectories in the buffer."""

    used: int
    """Optimiser steps taken on them so far."""
    trajectories: Trajectories


class RolloutBuffer:
    """Trajectories of recent batches, each kept until so many steps were taken on it."""

    def __init__(self, *, uses: int) -> None:
        self.uses = uses
        self.held: dict[str, HeldRollouts] = {}

    def get(self, batch: Batch, collect: Callable[[Batch], Trajectories]) -> Trajectories:
        """The batch's trajectories: those held, or new ones by `collect`."""
        held = self.held.get(_key(batch))
        return collect(batch) if held is None else held.trajectories

    def put(self, batch: Batch, trajectories: Trajectories) -> Trajectories:
        """Count one use, hold what will be used again, and return the trajectories."""
        held = self.held.pop(_key(batch), None)
        used = 1 if held is None else held.used + 1
        if used < self.uses:
            self.held[_key(batch)] = HeldRollouts(used, trajectories)
        return trajectories

    def state(self) -> dict[str, Any]:
        """The trajectories in the buffer with their uses, by key of the batch, for a checkpoint."""
        return {key: {"used": held.used, **held.trajectories.state()} for key, held in self.held.items()}

    def restore(self, state: Mapping[str, Mapping[str, Any]], device: torch.device) -> None:
        """Go on from a checkpoint."""
        for key, row in state.items():
            tensors = {name: value for name, value in row.items() if name != "used"}
            self.held[key] = HeldRollouts(row["used"], Trajectories.from_state(tensors, device))


def _key(batch: Batch) -> str:
    return "\n".join(item.id for item in batch.items)
