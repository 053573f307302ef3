"""Noise to hear, and a shove for weights: what tests of the model's parts share beside the fixtures."""

from collections.abc import Callable

import numpy as np
import torch

from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.tiny import Tiny

MakePolicy = Callable[..., Tiny]
"""Takes the adapter's settings, and `standardise_audio`."""
MakeEncoder = Callable[..., Encoder]
"""Takes a policy, `reasoning` and `readout`."""


def noise(seconds: float, *, seed: int) -> torch.Tensor:
    """White noise whose loudness rises and falls."""
    count = round(16_000 * seconds)
    wave = np.random.default_rng(seed).normal(0, 0.1, count) * (1 + np.sin(np.linspace(0, 9, count)))
    return torch.from_numpy(wave).float()


def nudge(policy: Policy, *, seed: int = 0, by: float = 0.05) -> None:
    """Move what is trained, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(by * torch.randn(parameter.shape, generator=generator))
