"""Granite Speech: a conformer, a Q-former of three tokens for fifteen states, and a Granite decoder.

The encoder has no mask, so a clip beside a longer one is computed with the other's padding. Here clips of equal length
go together, and each is what it is alone. Most checkpoints have LoRA of their own, which transformers switches on
where there is sound; it is merged into the weights, so that the reference "adapter off" is the model that hears.
"""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from lalm_ambig.policies.families.base import AudioFamily, Sizes, stacked, weight_type
from lalm_ambig.policies.families.own_lora import merge_own_lora


class GraniteSpeechFamily(AudioFamily):
    """`GraniteSpeechForConditionalGeneration`."""

    model_type = "granite_speech"
    class_name = "GraniteSpeechForConditionalGeneration"
    title = "Granite Speech"
    tower = "model.encoder"
    projectors = ("model.projector",)
    tokens_per_s = 10.0
    own_adapter = True
    least_samples = 320  # shorter ones have no spectrum
    marker = "<|audio|>"
    sizes = Sizes("encoder_config", "num_layers", "hidden_dim", "feedforward_mult", "hidden_dim")

    @classmethod
    def states_per_token(cls, config: Any) -> int:
        return int(config.downsample_rate)

    @classmethod
    def feature_channels(cls, config: Any) -> int:
        return cls.states_per_token(config) * cls.layer_channels(config)

    @classmethod
    def prepare(cls, model: Any, source: str) -> list[str]:
        notes = merge_own_lora(model, source)
        if model.config.has_lora_adapter and not notes:
            raise ValueError("its config.json says has_lora_adapter, and there is no adapter_config.json")
        model.config.has_lora_adapter = False  # a saved model holds it in its weights
        return notes

    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        mel: Tensor = self.extractor(samples[None])["input_features"]
        return mel[0].T

    def tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        window = int(self.config.window_size)
        return -(-frames.shape[-1] // window) * (window // int(self.config.downsample_rate))

    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        made = self.extractor([clip[None] for clip in clips])
        return {name: made[name] for name in ("input_features", "input_features_mask")}

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """States by windows of the Q-former; a token's row is a share of its window, which `project` puts together."""
        states = tower(stacked(frames, tower.input_linear.weight)).last_hidden_state
        tokens = self.tokens(frames[0])
        whole = pad(states, (0, 0, 0, tokens * self.config.downsample_rate - states.shape[1]))
        return list(whole.reshape(len(frames), tokens, -1))

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        windows = features.reshape(-1, self.config.window_size, self.layer_channels(self.config))
        projector = self.module(self.projectors[0])
        projected: Tensor = projector(windows.to(weight_type(projector)))
        return projected.reshape(len(features), -1)
