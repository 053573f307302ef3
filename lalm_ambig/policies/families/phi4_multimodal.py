"""Phi-4-multimodal: a conformer with a token per 80 ms inside the decoder's embeddings, and LoRA of its own for speech.

The class has no module for the decoder beside its model, and no ids for a clip's end: its extractor masks the frames of
shorter clips only in a batch. Here clips of equal length go together, without a mask. The LoRA that the hub keeps
in `speech-lora` is merged into the weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from lalm_ambig.policies.audio.mel import RATE_HZ
from lalm_ambig.policies.families.base import AudioFamily, Sizes, stacked, weight_type
from lalm_ambig.policies.families.own_lora import merge_own_lora

SPEECH = "speech-lora"
"""Folder of the checkpoint's own LoRA for speech."""


class Phi4MultimodalFamily(AudioFamily):
    """`Phi4MultimodalForCausalLM`."""

    model_type = "phi4_multimodal"
    class_name = "Phi4MultimodalForCausalLM"
    title = "Phi-4-multimodal"
    decoder = "model"
    tower = "model.embed_tokens_extend.audio_embed.encoder"
    layers = "encoders"
    projectors = (
        "model.embed_tokens_extend.audio_embed.up_proj_for_speech",
        "model.embed_tokens_extend.audio_embed.down_proj_for_speech",
    )
    unused = (
        "model.embed_tokens_extend.image_embed",
        "model.embed_tokens_extend.audio_embed.up_proj_for_vision_speech",
        "model.embed_tokens_extend.audio_embed.down_proj_for_vision_speech",
    )
    tokens_per_s = 12.5
    least_samples = 400
    own_adapter = True
    adapter_folder = SPEECH
    marker = "<|audio|>"
    sizes = Sizes("audio_config", "num_blocks", "hidden_size", "intermediate_size", "hidden_size")

    @classmethod
    def prepare(cls, model: Any, source: str) -> list[str]:
        return merge_own_lora(model, source, SPEECH) or [
            f"no {SPEECH} is beside its weights, which are used alone"
        ]

    @classmethod
    def states_per_token(cls, config: Any) -> int:
        return 1

    @classmethod
    def token_id(cls, config: Any) -> int:
        return int(config.audio_config.audio_token_id)

    @contextmanager
    def merged_embeddings(self, heard: list[Tensor]) -> Iterator[None]:
        def note(_: nn.Module, __: Any, embeddings: Tensor) -> None:
            heard.append(embeddings.clone())

        handle = self.module("model.embed_tokens_extend").register_forward_hook(note)
        try:
            yield
        finally:
            handle.remove()

    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        mel: Tensor = self.extracted(samples)["audio_input_features"][0]
        return mel.T

    def tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        count = torch.tensor(frames.shape[-1] * self.extractor.audio_feat_stride)
        return int(self.extractor._compute_audio_embed_size(count))

    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        made = self.extractor([clip.numpy() for clip in clips], sampling_rate=RATE_HZ, return_tensors="pt")
        return dict(made)

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        return list(tower(stacked(frames, next(tower.parameters())), None))

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        up, down = (self.module(name) for name in self.projectors)
        projected: Tensor = down(gelu(up(features.to(weight_type(up)))))
        return projected
