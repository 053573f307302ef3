"""AdamW with linear warm-up and cosine decay, as in ambiguity-aware LALM (Section 4)."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.side_path import SIDE_PATH
from lalm_ambig.policies.base import Policy


@dataclass(frozen=True)
class Optimiser:
    """Settings of AdamW and of the learning rate's schedule.

    Raises:
        InputError: A setting is out of its range.
    """

    learning_rate: float | None = None
    """Peak learning rate. By default the method's: 1e-4 for SFT, 5e-6 for DPO, 2e-5 for GRPO."""
    projector_learning_rate: float | None = None
    """Peak learning rate of the projector, if it is trained; by default `learning_rate`."""
    side_path_learning_rate: float | None = None
    """Peak learning rate of the side path, if the policy has one; by default the projector's."""
    weight_decay: float = 0.0
    """Decoupled weight decay of matrices."""
    warmup_share: float = 0.03
    """Share of all steps in which the rate rises linearly, in [0, 1)."""
    not_finite: Literal["stop", "skip"] = "stop"
    """On a loss that is NaN or infinite: `stop` the run and name the step's items, or `skip` them as if the gradient
    were 0. Not with weights divided over processes (ZeRO-3, FSDP2)."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "projector_learning_rate", "side_path_learning_rate"):
            rate = vars(self)[name]
            if rate is not None and not 0 < rate < math.inf:
                raise InputError(f"{name} must be positive, got {rate}", where="model.optimiser")
        if not self.weight_decay >= 0:
            raise InputError(
                f"weight_decay must be at least 0, got {self.weight_decay}", where="model.optimiser"
            )
        if not 0 <= self.warmup_share < 1:
            raise InputError(
                f"warmup_share must be in [0, 1), got {self.warmup_share}", where="model.optimiser"
            )

    def with_default(self, learning_rate: float) -> "Optimiser":
        """Return these settings with the method's peak learning rate, if they have none.

        Args:
            learning_rate: The method's.
        """
        return self if self.learning_rate is not None else replace(self, learning_rate=learning_rate)

    @property
    def peak(self) -> float:
        """The peak learning rate.

        Raises:
            ValueError: It is the method's, which these settings do not know yet.
        """
        if self.learning_rate is None:
            raise ValueError("no learning rate: with_default gives it the method's")
        return self.learning_rate


def parameter_groups(policy: Policy, settings: Optimiser) -> list[dict[str, Any]]:
    """The trained parameters as AdamW's groups.

    Vectors have no weight decay. The projector and the side path have rates of their own.
    """
    projector_rate = settings.projector_learning_rate or settings.peak
    rates = {
        **dict.fromkeys(policy.projector_names, projector_rate),
        SIDE_PATH: settings.side_path_learning_rate or projector_rate,
    }
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in policy.named_parameters():
        if parameter.requires_grad:
            rate = next((rate for part, rate in rates.items() if part in name), settings.peak)
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def cosine_schedule(
    optimiser: torch.optim.Optimizer, steps: int, *, warmup_share: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate's schedule: linear from 0 over the warm-up, then half a cosine down to 0 at the last step.

    Args:
        optimiser: Its groups hold the peak rates.
        steps: Optimiser steps of the whole training.
        warmup_share: Share of the steps that are warm-up, in [0, 1); at least one step is.
    """
    warmup = max(1, round(warmup_share * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
