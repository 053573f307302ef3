"""Gemma 4: a conformer with a token per 40 ms, and a decoder that may have inputs of its own for each layer."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.policies.families.base import Sizes, stacked, weight_type
from lalm_ambig.policies.families.gemma3n import GemmaFamily


class Gemma4Family(GemmaFamily):
    """`Gemma4ForConditionalGeneration` of a checkpoint with ears."""

    model_type = "gemma4"
    class_name = "Gemma4ForConditionalGeneration"
    title = "Gemma 4"
    sizes = Sizes("audio_config", "num_hidden_layers", "hidden_size", "4", "output_proj_dims")

    @classmethod
    def states_per_token(cls, config: Any) -> int:
        return 1

    def tokens(self, frames: Float[Tensor, "mel_and_mask frame"]) -> int:
        """Frames of the clip that are left after two convolutions of stride two."""
        heard = frames[-1] > 0
        for _ in range(2):
            heard = heard[::2]
        return int(heard.sum())

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel_and_mask _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        batch = stacked(frames, next(tower.parameters()))
        out = tower(batch[..., :-1], batch[..., -1] > 0)
        return [
            states[heard] for states, heard in zip(out.last_hidden_state, out.attention_mask, strict=True)
        ]

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        embed = self.module(self.projectors[0])
        projected: Tensor = embed(inputs_embeds=features.to(weight_type(embed)))
        return projected

    def decoder_inputs(self, ids: Int[Tensor, "row token"]) -> dict[str, Any]:
        text = self.config.text_config
        if not text.hidden_size_per_layer_input:
            return {}
        senses = [self.config.image_token_id, self.config.video_token_id, self.config.audio_token_id]
        inside = torch.isin(ids, torch.tensor(senses, device=ids.device))
        plain = ids.masked_fill(inside, text.pad_token_id)
        decoder = self.model.model.language_model
        return {"per_layer_inputs": decoder.get_per_layer_inputs(plain, decoder.embed_tokens(plain))}
