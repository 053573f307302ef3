"""From samples to the input of a Whisper-like encoder, and how many features come out of it."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

RATE_HZ = 16_000
MARGIN_FRAMES = 4
"""Silence that the spectrum is given behind a clip, so that its last frames do not see the clip mirrored."""


def unpadded_mel(
    extractor: Any, samples: Float[Tensor, " sample"], *, tail: int
) -> Float[Tensor, "mel frame"]:
    """Log-mel frames of a clip and `tail` frames of silence, equal to the first frames of its padded window.

    At the window's end the spectrum sees the clip mirrored, as there; frames behind the window are fillers.
    """
    hop = extractor.hop_length
    frames = -(-samples.numel() // hop) + tail
    heard = min(frames + MARGIN_FRAMES, extractor.nb_max_frames) * hop
    padded = torch.nn.functional.pad(samples, (0, heard - samples.numel()))
    mel = extractor(
        padded.numpy(), sampling_rate=RATE_HZ, padding="longest", truncation=False, return_tensors="pt"
    )
    return extended(mel["input_features"][0][:, :frames], frames)


def padded_window(
    extractor: Any, clips: Sequence[Float[Tensor, " _"]]
) -> tuple[Float[Tensor, "clip mel frame"], Int[Tensor, "clip frame"]]:
    """The encoder's input as transformers prepares it: frames of the padded window, and 1 where they are the clip's."""
    heard = extractor(
        [clip.numpy() for clip in clips],
        sampling_rate=RATE_HZ,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="pt",
    )
    return heard["input_features"], heard["attention_mask"].long()


def feature_counts(frames: Int[Tensor, " clip"]) -> tuple[Int[Tensor, " clip"], Int[Tensor, " clip"]]:
    """Encoder positions (one for two frames begun) and audio tokens (one for two whole positions) of clips."""
    positions = (frames + 1) // 2
    return positions, positions // 2


def extended(mel: Float[Tensor, "mel frame"], frames: int) -> Float[Tensor, "mel longer"]:
    """The frames, and the last one again up to so many."""
    return torch.cat([mel, mel[:, -1:].expand(-1, frames - mel.shape[-1])], dim=-1)
