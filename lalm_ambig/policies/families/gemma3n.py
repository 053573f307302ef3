"""Gemma 3n: a conformer, and a decoder with inputs of its own for each layer, derived from the token ids.

A clip always takes as many tokens as 30 s do; the class fills the rest with the embedding of a padding token. Token ids
in the ranges of its eyes and ears have embeddings of their own. Embeddings alone would lose the layers' inputs, so ids
go along.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad
from transformers.utils import is_timm_available

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.families.base import AudioFamily, Sizes, stacked, weight_type


class GemmaFamily(AudioFamily):
    """Gemma's frames: log-mel with a row that is 1 on frames of the clip and 0 on its extractor's padding."""

    projectors = ("model.embed_audio",)
    unused = ("model.vision_tower", "model.embed_vision")
    takes_ids = True

    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel_and_mask frame"]:
        made = self.inputs([samples])
        mel, mask = made["input_features"][0], made["input_features_mask"][0]
        return torch.cat([mel, mask[:, None].to(mel.dtype)], dim=1).T

    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        made = self.extractor([clip.numpy() for clip in clips], return_tensors="pt")
        return {name: made[name] for name in ("input_features", "input_features_mask")}

    def wrapped(self, mark: str) -> str:
        return f"{self.tokenizer.boa_token}{mark}{self.tokenizer.eoa_token}"


class Gemma3nFamily(GemmaFamily):
    """`Gemma3nForConditionalGeneration`. Its eyes are timm's, so timm must be installed."""

    model_type = "gemma3n"
    class_name = "Gemma3nForConditionalGeneration"
    title = "Gemma 3n"
    layers = "conformer"
    stays = ("model.embed_vision",)
    tokens_per_s = 6.25
    fills_window = True
    least_samples = 513  # two frames
    sizes = Sizes("audio_config", "conf_num_hidden_layers", "hidden_size", "4", "hidden_size")

    @classmethod
    def check_settings(cls, source: str, settings: Mapping[str, Any]) -> None:
        super().check_settings(source, settings)
        if not is_timm_available():
            raise InputError(
                f"{source} is read with its eyes, which are timm's, and timm is not installed:",
                where="policy.path",
                remedy="pip install timm.",
            )

    @classmethod
    def states_per_token(cls, config: Any) -> int:
        return int(config.audio_config.conf_reduction_factor)

    @classmethod
    def feature_channels(cls, config: Any) -> int:
        return super().feature_channels(config) + 1

    def wrapped(self, mark: str) -> str:
        return f"\n\n{super().wrapped(mark)}\n\n"

    def tokens(self, frames: Float[Tensor, "mel_and_mask frame"]) -> int:
        return int(self.config.audio_soft_tokens_per_image)

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel_and_mask _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """Features with a last channel that is 1 on tokens with sound and 0 on the filling behind them."""
        batch = stacked(frames, next(tower.parameters()))
        out = tower(batch[..., :-1], batch[..., -1] == 0)
        states, heard = out.last_hidden_state, ~out.audio_mel_mask
        marked = torch.cat([states, heard[..., None].to(states.dtype)], dim=-1)
        return list(pad(marked, (0, 0, 0, self.tokens(frames[0]) - states.shape[1])))

    def sounding(self, features: Float[Tensor, "token channels"]) -> Float[Tensor, "_ channels"]:
        return features[features[:, self.feature_channels(self.config) - 1] > 0]

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        embed = self.module(self.projectors[0])
        sound = embed(inputs_embeds=features[:, :-1].to(weight_type(embed)))
        last = torch.tensor([self.config.text_config.vocab_size - 1], device=features.device)
        filling = embed(input_ids=last)
        return torch.where(features[:, -1:] > 0, sound, filling)

    def embed_ids(self, ids: Int[Tensor, "*item token"]) -> Float[Tensor, "*item token channel"]:
        """As the class does it: ids in the range of an eye or ear are looked up there."""
        model = self.model.model
        eyes, ears = self.config.vision_config.vocab_offset, self.config.audio_config.vocab_offset
        embeddings: Tensor = self.model.get_input_embeddings()(ids)
        for module, inside in (
            (model.embed_vision, (ids >= eyes) & (ids < ears)),
            (model.embed_audio, ids >= ears),
        ):
            if inside.any():
                looked_up = module(input_ids=ids[inside]).to(embeddings.dtype)
                embeddings = embeddings.masked_scatter(inside[..., None], looked_up)
        return embeddings

    def decoder_inputs(self, ids: Int[Tensor, "row token"]) -> dict[str, Any]:
        return {"per_layer_inputs": self.model.model.language_model.get_per_layer_inputs(ids)}
