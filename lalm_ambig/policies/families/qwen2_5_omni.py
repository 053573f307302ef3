"""Qwen2.5-Omni's Thinker, which takes audio and text and writes text. Talker and vocoder are never loaded.

Its encoder works on chunks of two seconds and sees no padding. Positions have three axes, which are equal without
pictures. Its own forward does not compare the number of audio tokens with that of features, and shifts the next item's
audio if they differ: `AudioModel.embed` refuses that.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.policies.audio.mel import feature_counts
from lalm_ambig.policies.families.whisper import LogMelFamily


class Qwen2_5OmniFamily(LogMelFamily):  # the model's name
    """`Qwen2_5OmniThinkerForConditionalGeneration`, with or without the talker beside it."""

    model_type = "qwen2_5_omni_thinker"
    class_name = "Qwen2_5OmniThinkerForConditionalGeneration"
    title = "Qwen2.5-Omni"
    projectors = ()
    unused: ClassVar[tuple[str, ...]] = ("model.visual", "model.audio_tower.audio_bos_eos_token")
    downloads_gb: ClassVar[Mapping[str, float]] = {
        "Qwen/Qwen2.5-Omni-7B": 22.0
    }  # the talker, too, which is not read

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """The encoder's own forward on the concatenated clips."""
        device = next(tower.parameters()).device
        lengths = torch.tensor([f.shape[-1] for f in frames], device=device)
        mel = torch.cat([f.to(device) for f in frames], dim=-1)
        states = tower(mel, feature_lens=lengths).last_hidden_state
        return list(states.split([self.tokens(f) for f in frames]))

    def states(
        self, states: Tensor, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> Sequence[Float[Tensor, "position channel"]]:
        """The encoder keeps the clips' own positions one after another."""
        return torch.split(states, [self.positions_of(f) for f in frames])

    def positions_of(self, frames: Float[Tensor, "mel frame"]) -> int:
        """Positions of a clip in the encoder's layers."""
        return int(feature_counts(torch.tensor([frames.shape[-1]]))[0])

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        return features

    def positions(self, positions: Int[Tensor, "item token"]) -> Int[Tensor, "3 item token"]:
        return positions.expand(3, *positions.shape)
