"""From a clip to its audio tokens' embeddings, by a family's steps, with the side path beside the last layer."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lalm_ambig.policies.audio.mel import RATE_HZ
from lalm_ambig.policies.audio.side_path import SIDE_PATH, SidePath, captured, pooled, trained_copy
from lalm_ambig.policies.audio.text_only import TextOnly
from lalm_ambig.policies.families.base import AudioFamily


class Hearing(TextOnly):
    """The audio interface of a policy that hears."""

    family: AudioFamily
    """The description of the family, of the model that was read."""
    side_layers: tuple[int, ...] = ()
    """The encoder's layers that are heard beside the last one."""
    base: Any
    native_forward: Any
    device: Any
    audio_token_id: int
    tower: Any

    @property
    def tower_layers(self) -> nn.ModuleList:
        """The audio encoder's layers."""
        layers = self.tower.get_submodule(self.family.layers)
        assert isinstance(layers, nn.ModuleList)
        return layers

    def log_mel(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        if len(samples) < self.family.least_samples:
            return torch.zeros(1, 0)
        return self.family.frames(samples[: round(self.window_s * RATE_HZ)])

    def audio_tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        return self.family.tokens(frames) if frames.shape[-1] else 0

    def sounding(self, features: Float[Tensor, "token channels"]) -> Float[Tensor, "_ channels"]:
        return self.family.sounding(features)

    def encode_audio(
        self, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        features: dict[int, Tensor] = {}
        for places in self.family.together(frames):
            clips = [frames[place] for place in places]
            with captured(self.tower_layers, self.side_layers) as states:
                last = self.family.encode(self.tower, clips)
            features |= zip(places, self._beside(last, states, clips), strict=True)
        return [features[place] for place in range(len(frames))]

    @torch.no_grad()
    def reference_embeddings(
        self, samples: Float[Tensor, " sample"]
    ) -> tuple[Float[Tensor, "_ model"], Float[Tensor, "_ side"]]:
        """A clip's embeddings by the class's own forward on its processor's input, which ours must equal.

        Returns:
            What the decoder gets in place of audio tokens, and the states that the side path reads.
        """
        frames = self.log_mel(samples)
        count = self.audio_tokens(frames)
        ids = torch.full((1, count + 2), self.audio_token_id, device=self.device)
        ids[:, 0] = ids[:, -1] = 0  # a text around the sound
        heard: list[Tensor] = []

        with self.family.merged_embeddings(heard), captured(self.tower_layers, self.side_layers) as states:
            self.native_forward(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                use_cache=False,
                **self.native_audio([samples]),
            )
        empty = heard[0].new_zeros(count, 0)
        return heard[0][0, 1:-1], self._beside([empty], states, [frames])[0]

    def _beside(
        self,
        last: list[Float[Tensor, "_ channel"]],
        states: Mapping[int, Tensor],
        frames: Sequence[Float[Tensor, "mel _"]],
    ) -> list[Float[Tensor, "_ channels"]]:
        """Each clip's features of the last layer, with the pooled states of the side path's layers beside them."""
        if not states:
            return last
        clips = [self.family.states(states[layer], frames) for layer in self.side_layers]
        share = self.family.states_per_token(self.family.config)
        return [
            torch.cat([row, *(pooled(layer[n], len(row), share).to(row.dtype) for layer in clips)], dim=-1)
            for n, row in enumerate(last)
        ]

    @property
    def side_channels(self) -> int:
        """Channels of an audio token's features that are the side path's, after those of the last layer."""
        return len(self.side_layers) * self.family.layer_channels(self.family.config)

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        """Encoder features as input embeddings."""
        if not self.side_layers:
            return self.project_last(features)
        last, beside = features[:, : -self.side_channels], features[:, -self.side_channels :]
        added: Tensor = self.base.model.get_submodule(SIDE_PATH)(beside)
        return self.project_last(last) + added

    def project_last(
        self, features: Float[Tensor, "audio_token channel"]
    ) -> Float[Tensor, "audio_token model"]:
        """The last layer's features as input embeddings."""
        return self.family.project(features)

    @property
    def side_path(self) -> SidePath:
        """The side path that is trained. Only a policy with `side_layers` has one."""
        module = trained_copy(self.base.model.get_submodule(SIDE_PATH))
        assert isinstance(module, SidePath)
        return module

    @contextmanager
    def hearing(self, layers: tuple[int, ...]) -> Iterator[None]:
        """Inside, `encode_audio` gives other layers beside the last; without any, the side path is off."""
        before, self.side_layers = self.side_layers, layers
        try:
            yield
        finally:
            self.side_layers = before

    @property
    def needs_moments(self) -> bool:
        return bool(self.side_layers)

    def standardise(self, mean: Float[Tensor, " channel"], deviation: Float[Tensor, " channel"]) -> None:
        """Set the moments of the side path's input."""
        self.side_path.standardise(mean[-self.side_channels :], deviation[-self.side_channels :])

    def standardise_as_saved(self, tensors: Mapping[str, Tensor]) -> None:
        for name, value in tensors.items() if self.side_layers else ():
            for moment in ("mean", "deviation"):
                if name.endswith(f"{SIDE_PATH}.modules_to_save.default.{moment}"):
                    self.side_path.get_buffer(moment).copy_(value)

    def native_audio(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Any]:
        """Arguments of the class's own forward for these clips, on the device and in the encoder's type."""
        dtype = next(self.tower.parameters()).dtype
        return {
            name: value.to(self.device, dtype) if value.is_floating_point() else value.to(self.device)
            for name, value in self.family.inputs(clips).items()
        }
