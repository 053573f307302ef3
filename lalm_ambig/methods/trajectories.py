"""Sampled responses as a training step needs them, kept for as many updates as are made on them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lalm_ambig.core.types import Batch, Groups
from lalm_ambig.rollouts.passages import ScoredSpan


@dataclass(frozen=True)
class Trajectories:
    """Trajectories of each group: tensors only, so that a checkpoint can hold them."""

    ids: Int[Tensor, "group trajectory token"]
    mask: Bool[Tensor, "group trajectory token"]
    """True on tokens, False on padding."""
    counted: Bool[Tensor, "group trajectory token"]
    """True on the tokens of the loss."""
    old_log_probs: Float[Tensor, "group trajectory token"]
    """Under the policy as it was, by the training pass of the first update; NaN before it."""
    sampled_log_probs: Float[Tensor, "group trajectory token"]
    """As recorded while sampling; NaN in the curated response, which nobody sampled."""
    advantages: Float[Tensor, "group trajectory"]
    ref_log_probs: Float[Tensor, "group trajectory token"] | None = None

    @classmethod
    def of(cls, groups: Groups, *, mask_truncated: bool) -> "Trajectories":
        """The policy's own responses; the class name's tokens do not count (SPEC 4)."""
        counted = groups.mask & ~groups.is_answer_token
        if mask_truncated:
            counted = counted & ~groups.truncated[..., None]
        nothing = torch.zeros(groups.mask.shape[:2], device=groups.mask.device)
        unknown = torch.full_like(groups.log_probs, torch.nan)
        return cls(groups.ids, groups.mask, counted, unknown, groups.log_probs, nothing)

    @classmethod
    def nothing(cls, like: Float[Tensor, "group trajectory"]) -> "Trajectories":
        """Trajectories without a token."""
        empty = torch.zeros(*like.shape, 1, device=like.device)
        return cls(empty.long(), empty.bool(), empty.bool(), empty + torch.nan, empty, torch.zeros_like(like))

    def spread(self, rows: list[int], *, total: int) -> "Trajectories":
        """The groups at these rows of `total`; the others have trajectories without a token."""
        values = {name: value for name, value in self.state().items() if value is not None}
        placed = {name: value.new_zeros(total, *value.shape[1:]) for name, value in values.items()}
        placed["old_log_probs"] += torch.nan
        for name, value in values.items():
            placed[name][rows] = value
        return replace(self, **placed)

    def with_old(self, log_probs: Tensor) -> "Trajectories":
        """Those log-probabilities taken for old wherever none are known: before the first update they are.

        They come from the same kind of pass as those they are compared with, so that the first ratio is 1 in bfloat16,
        too, where sampling and training differ in the last bits.
        """
        return replace(
            self, old_log_probs=torch.where(self.old_log_probs.isnan(), log_probs, self.old_log_probs)
        )

    def mismatch(self, log_probs: Tensor) -> Float[Tensor, " _"]:
        """|Difference| in nats between sampling and training pass on each counted token that was sampled: what the
        weights' precision costs."""
        known = self.counted & ~self.sampled_log_probs.isnan()
        return (log_probs - self.sampled_log_probs)[known].abs()

    def with_reference(self, log_probs: Tensor) -> "Trajectories":
        return replace(self, ref_log_probs=log_probs)

    def with_advantages(self, advantages: Tensor) -> "Trajectories":
        return replace(self, advantages=advantages)

    def passages(self) -> list[ScoredSpan]:
        """The trajectories, group by group."""
        lengths = self.mask.sum(-1).tolist()
        return [
            ScoredSpan(g, self.ids[g, k, :length], self.counted[g, k, :length])
            for g, row in enumerate(lengths)
            for k, length in enumerate(row)
        ]

    def state(self) -> dict[str, Tensor | None]:
        """Field by field, for a checkpoint."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class RolloutBuffer:
    """Collected trajectories of recent batches, each kept until it was used so many times."""

    def __init__(self, *, uses: int) -> None:
        self.uses = uses
        self.held: dict[str, tuple[int, Trajectories]] = {}

    def of(self, batch: Batch, collect: Callable[[Batch], Trajectories]) -> Trajectories:
        """The batch's trajectories: those held, or new ones."""
        held = self.held.get(_key(batch))
        return collect(batch) if held is None else held[1]

    def keep(self, batch: Batch, collected: Trajectories) -> Trajectories:
        """Count one use, and hold what will be used again."""
        used = self.held.pop(_key(batch), (0, collected))[0] + 1
        if used < self.uses:
            self.held[_key(batch)] = (used, collected)
        return collected

    def state(self) -> dict[str, Any]:
        """For a checkpoint: what is held."""
        return {key: {"used": used, **collected.state()} for key, (used, collected) in self.held.items()}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from a checkpoint."""
        for key, row in state.items():
            values: dict[str, Any] = {
                name: None if value is None else value.to(device)
                for name, value in row.items()
                if name != "used"
            }
            self.held[key] = (row["used"], Trajectories(**values))


def _key(batch: Batch) -> str:
    return "\n".join(item.id for item in batch.items)
