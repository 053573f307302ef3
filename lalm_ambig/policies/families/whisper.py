"""Families with an encoder like Whisper's, which is told where a clip ends: it runs on the clip's own frames."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask

from lalm_ambig.audio.inspection import MAX_S
from lalm_ambig.policies.audio.mel import RATE_HZ, extended, feature_counts, padded_window, unpadded_mel
from lalm_ambig.policies.families.base import AudioFamily


class LogMelFamily(AudioFamily):
    """A family whose frames are Whisper's log-mel, with a mask of the clip's own in its padded window."""

    mask_name: ClassVar[str] = "feature_attention_mask"
    """Name of that mask in the class's forward."""
    least_samples = 1  # fewer than three frames have no token in any case
    tail_frames: ClassVar[int] = 0
    """Silent frames that the encoder needs after a clip."""

    @classmethod
    def longest_s(cls, config: Any) -> float:
        """The encoder's positions are 20 ms apart."""
        return float(config.audio_config.max_source_positions / 50)

    @property
    def window_frames(self) -> int:
        """Longest clip in mel frames: the checkpoint's window, but at most the length that corpora are cut to."""
        return int(min(self.extractor.nb_max_frames, round(MAX_S * RATE_HZ) // self.extractor.hop_length))

    @property
    def window_s(self) -> float:
        return float(self.window_frames * self.extractor.hop_length / RATE_HZ)

    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        return unpadded_mel(self.extractor, samples, tail=self.tail_frames)

    def tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        return int(feature_counts(torch.tensor([frames.shape[-1] - self.tail_frames]))[1])

    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        mel, mask = padded_window(self.extractor, clips)
        return {"input_features": mel, self.mask_name: mask}

    def together(self, frames: Sequence[Float[Tensor, "mel _"]]) -> list[list[int]]:
        return [list(range(len(frames)))]


class WhisperFamily(LogMelFamily):
    """Two convolutions, positions, layers and a pooling of two, with a mask of the clip's positions."""

    tail_frames = 4  # the two convolutions look two frames past their last output

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """As the encoder's forward, on as many frames as the longest clip has."""
        like = tower.conv1.weight
        longest = max(f.shape[-1] for f in frames)
        # The last frame is silence at the clip's own floor: what the 30 s window would hold there.
        mel = torch.stack([extended(f, longest) for f in frames])
        mel = mel[..., : self.window_frames].to(device=like.device, dtype=like.dtype)
        states = nn.functional.gelu(tower.conv2(nn.functional.gelu(tower.conv1(mel)))).permute(0, 2, 1)
        states = states + tower.embed_positions.weight[: states.shape[1]]
        own = torch.tensor([f.shape[-1] - self.tail_frames for f in frames], device=like.device)
        positions, tokens = feature_counts(own)
        mask = seeing_first(tower, states, positions)
        for layer in tower.layers:
            states = layer(states, mask)
        states = tower.layer_norm(tower.avg_pooler(states.permute(0, 2, 1)).permute(0, 2, 1))
        return [row[:n] for row, n in zip(states, tokens.tolist(), strict=True)]


def seeing_first(
    tower: Any, states: Float[Tensor, "clip position channel"], positions: Int[Tensor, " clip"]
) -> Any:
    """The encoder's attention mask: all positions see the clip's positions and no padding."""
    seen = torch.arange(states.shape[1], device=states.device)[None] < positions[:, None]
    return create_bidirectional_mask(config=tower.config, inputs_embeds=states, attention_mask=seen.long())
