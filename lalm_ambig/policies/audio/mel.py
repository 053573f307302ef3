"""From samples to the input of a Whisper-like encoder, and the number of its features."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lalm_ambig.core.errors import InputError

RATE_HZ = 16_000
MARGIN_FRAMES = 4
"""Silent frames after a clip, so that the spectrum of its last frames does not see the clip mirrored."""


def unpadded_mel(
    extractor: Any, samples: Float[Tensor, " sample"], *, tail: int
) -> Float[Tensor, "mel frame"]:
    """Log-mel frames of a clip and `tail` frames of silence, equal to the first frames of its padded window.

    At the window's end the spectrum sees the clip mirrored, as it does in the padded window. Frames after the window
    repeat its last frame.
    """
    hop = extractor.hop_length
    frames = -(-samples.numel() // hop) + tail
    length = min(frames + MARGIN_FRAMES, extractor.nb_max_frames) * hop
    padded = torch.nn.functional.pad(samples, (0, length - samples.numel()))
    mel = extractor(
        padded.numpy(), sampling_rate=RATE_HZ, padding="longest", truncation=False, return_tensors="pt"
    )
    return extended(mel["input_features"][0][:, :frames], frames)


def padded_window(
    extractor: Any, clips: Sequence[Float[Tensor, " _"]]
) -> tuple[Float[Tensor, "clip mel frame"], Int[Tensor, "clip frame"]]:
    """The encoder's input as transformers prepares it: frames of the padded window, and a mask with 1 on the clip's."""
    inputs = extractor(
        [clip.numpy() for clip in clips],
        sampling_rate=RATE_HZ,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="pt",
    )
    return inputs["input_features"], inputs["attention_mask"].long()


def feature_counts(frames: Int[Tensor, " clip"]) -> tuple[Int[Tensor, " clip"], Int[Tensor, " clip"]]:
    """Encoder positions (frames / 2, rounded up) and audio tokens (positions / 2, rounded down) of clips."""
    positions = (frames + 1) // 2
    return positions, positions // 2


def extended(mel: Float[Tensor, "mel frame"], frames: int) -> Float[Tensor, "mel longer"]:
    """The frames, with the last one repeated up to this number."""
    return torch.cat([mel, mel[:, -1:].expand(-1, frames - mel.shape[-1])], dim=-1)


def refuse_miscount(
    is_audio: Bool[Tensor, "item token"], rows: Sequence[int], features: Sequence[Float[Tensor, "_ channel"]]
) -> None:
    """Refuse a batch with a row that has another number of audio tokens than of features.

    Raises:
        InputError: For the first such row.
    """
    features_per_row = [0] * len(is_audio)
    for row, clip in zip(rows, features, strict=True):
        features_per_row[row] += len(clip)
    for row, (tokens, count) in enumerate(zip(is_audio.sum(1).tolist(), features_per_row, strict=True)):
        if tokens != count:
            raise InputError(
                f"item {row} of the batch has {tokens} audio tokens for {count} features:",
                where="policy",
                remedy="its prompt was made for another clip, or was cut.",
            )
