"""Qwen3-Omni's Thinker: an encoder of its own with a token per eight frames, and a decoder with experts.

The encoder takes chunks of 100 frames, which are padded on the right before three convolutions of stride two: 13
tokens for a full chunk. The experts' weights are fused and get no LoRA.
"""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.policies.audio.mel import RATE_HZ
from lalm_ambig.policies.families.base import AudioFamily
from lalm_ambig.policies.families.qwen2_5_omni import Qwen2_5OmniFamily


class Qwen3OmniMoeFamily(Qwen2_5OmniFamily):
    """`Qwen3OmniMoeThinkerForConditionalGeneration`, with or without the talker beside it."""

    model_type = "qwen3_omni_moe_thinker"
    class_name = "Qwen3OmniMoeThinkerForConditionalGeneration"
    title = "Qwen3-Omni"
    unused = ("model.visual",)
    tokens_per_s = 13.0
    downloads_gb = {"Qwen/Qwen3-Omni-30B-A3B-Instruct": 71.0}  # noqa: RUF012  # as in the parent

    least_samples = 240

    @classmethod
    def states_per_token(cls, config: Any) -> int:
        return 1

    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        """Its processor pads no clip that is alone, so the last frames see the clip mirrored."""
        mel: Tensor = self.inputs([samples])["input_features"][0]
        return mel

    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        made = self.extractor(
            [clip.numpy() for clip in clips],
            sampling_rate=RATE_HZ,
            padding=True,
            truncation=False,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return {"input_features": made["input_features"], self.mask_name: made["attention_mask"]}

    def together(self, frames: Sequence[Float[Tensor, "mel _"]]) -> list[list[int]]:
        """Clips of a chunk or more; shorter ones are padded to the longest of their batch, and heard so."""
        chunk = 2 * int(self.config.audio_config.n_window)
        long = [place for place, clip in enumerate(frames) if clip.shape[-1] >= chunk]
        short = [place for place in range(len(frames)) if place not in long]
        groups = AudioFamily.together(self, [frames[place] for place in short])
        return [*([long] if long else []), *([short[n] for n in group] for group in groups)]

    def tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        chunk = 2 * int(self.config.audio_config.n_window)
        full, rest = divmod(frames.shape[-1], chunk)
        return full * _halved(chunk, 3) + _halved(rest, 3)

    def positions_of(self, frames: Float[Tensor, "mel frame"]) -> int:
        return self.tokens(frames)


def _halved(frames: int, times: int) -> int:
    """Frames after convolutions of stride two, each of which rounds up."""
    for _ in range(times):
        frames = (frames + 1) // 2
    return frames
